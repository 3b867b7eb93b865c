"""The argument of a generated scan is the same struct in C++ and in ctypes."""

import re
import subprocess
from importlib.resources import files

import pytest
from conftest import no_compiler

from rnnzoo.cells.base import PointwiseCell
from rnnzoo.cells.gru import GRUCell
from rnnzoo.cells.lstm import LSTMCell
from rnnzoo.cells.wrappers import Zoneout
from rnnzoo.engine.codegen.trace_cache import traced
from rnnzoo.engine.cpp.build import compiler
from rnnzoo.engine.cpp.emit import emit
from rnnzoo.engine.cpp.struct import FIELDS, NAMES, declaration, mirror


class Scaled(PointwiseCell):
    """A step that reads a parameter of the cell."""

    gates = ("a",)
    params = ("scale",)

    def update(self, gx, gh, state):
        return (self.scale * (gx[0] + gh[0]),)


@pytest.mark.skipif(no_compiler(), reason="no C++ compiler")
@pytest.mark.parametrize("cell", [GRUCell(2, 3), LSTMCell(2, 3), Zoneout(2, 3, cell="lstm")])
def test_every_member_stands_at_the_same_place_in_cpp_and_in_ctypes(cell, tmp_path):
    trace = traced(cell)
    prints = "\n".join(f'std::printf("%zu %zu\\n", offsetof(Call, {f.name}), sizeof(Call::{f.name}));' for f in FIELDS)
    source = "#include <cstddef>\n#include <cstdint>\n#include <cstdio>\n"
    (tmp_path / "offsets.cpp").write_text(f"{source}{declaration(trace)}\nint main() {{ {prints} }}\n")
    subprocess.run([compiler(), "-o", str(tmp_path / "offsets"), str(tmp_path / "offsets.cpp")], check=True)
    output = subprocess.run([str(tmp_path / "offsets")], check=True, capture_output=True, text=True).stdout
    members = [getattr(mirror(trace), field.name) for field in FIELDS]
    assert [tuple(map(int, line.split())) for line in output.splitlines()] == [(m.offset, m.size) for m in members]


def test_the_scan_uses_every_member_and_no_other():
    template = files("rnnzoo.engine.cpp").joinpath("scan.cpp").read_text(encoding="utf-8")
    sources = [template, *(emit(traced(cell)) for cell in (GRUCell(2, 3), Zoneout(2, 3, cell="lstm"), Scaled(2, 3)))]
    used = {name for source in sources for name in re.findall(r"\b(?:s|call)->(\w+)", source)}
    assert used == NAMES
