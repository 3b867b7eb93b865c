"""Feed a reader what nobody writes: `python tests/fuzz.py TARGET [--seconds N] [--seed N] [--atheris]`.

Valid files are cut, spliced and changed byte by byte (`mangled`), JSON value by value (`altered`), and new ones are put
together from the words of a format (`written`), by hypothesis; with `--atheris`, libFuzzer does it by what the code
covers. A reader may refuse a file by a `ZooError` and no otherwise: whatever else it raises, or takes more than two
seconds or 300 MiB for, is a finding. Prints the executions per second and the findings; exits 1 where there are any.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import hypothesis
from fuzz_targets import TARGETS, Target
from hypothesis import strategies as st

from rnnzoo.errors import ZooError

SLOW = 2.0  # seconds
LARGE = 300  # MiB beyond the most that an execution before it took
EXAMPLES = 200  # between two looks at the clock
ODD = [None, True, False, 0, -1, 1, 2**31, 2**63, 10**300, 0.5, 1e308, "", "x", "\x1b[2J", "../x", "a\0b", "\u202e"]
ODD += [
    [],
    [[]],
    {},
    {"": None},
    ["x"] * 3,
    {"$tensor": "0"},
    {"$float": "nan"},
    {"$pairs": []},
    "os.system",
    [[]] * 99,
]


# -- strategies -----------------------------------------------------------------------------------------------------


@st.composite
def mangled(draw: st.DrawFn, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """A valid file with a few changes: bytes, a cut, a piece of another, a piece again, a word."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 5))):
        size = len(content)
        start = draw(st.integers(0, size))
        end = min(size, start + draw(st.sampled_from((0, 1, 2, 4, 8, 64, 1024))))
        change = draw(st.integers(0, 5))
        if change == 0:
            content[start:end] = draw(st.binary(max_size=8))
        elif change == 1 and start < size:
            content[start] ^= 1 << draw(st.integers(0, 7))
        elif change == 2:
            del content[start:]
        elif change == 3:
            other = draw(st.sampled_from(seeds))
            at = draw(st.integers(0, len(other)))
            content[start:end] = other[at : at + draw(st.integers(0, 256))]
        elif change == 4:
            content[start:start] = content[start:end] * draw(st.integers(1, 20))
        else:
            content[start:end] = draw(st.sampled_from(words))
    return bytes(content)


@st.composite
def altered(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Valid JSON behind its first byte, with a few values taken out or replaced by odd ones."""
    content = draw(st.sampled_from(seeds))
    tree = [json.loads(content[1:])]
    for _ in range(draw(st.integers(1, 3))):
        above, key = tree, 0
        while isinstance(below := above[key], (dict, list)) and below and draw(st.integers(0, 9)):
            above, key = below, draw(st.sampled_from(list(below) if isinstance(below, dict) else range(len(below))))
        if draw(st.integers(0, 4)) or above is tree:
            above[key] = draw(
                st.sampled_from(ODD).map(copy.deepcopy) | st.text(max_size=3) | st.floats(allow_nan=False, width=32)
            )
        else:
            del above[key]
    return content[:1] + json.dumps(tree[0], ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


def written(words: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Words of a format one after another, behind a byte that chooses its kind."""
    pieces = st.lists(st.sampled_from(words) | st.binary(max_size=3), max_size=40)
    return st.builds(lambda kind, parts: bytes([kind]) + b"".join(parts), st.integers(0, 9), pieces)


def strategy(target: Target) -> st.SearchStrategy[bytes]:
    whole = mangled(target.seeds, target.words)
    return whole | altered(target.seeds) if target.is_json else whole | written(target.words)


# -- running --------------------------------------------------------------------------------------------------------


class Findings:
    """What a target raised that it must not, once for each place in the code, with the shortest input."""

    def __init__(self, target: Target) -> None:
        self.target, self.executions = target, 0
        self.found: dict[str, tuple[bytes, str]] = {}

    def execute(self, content: bytes) -> None:
        self.executions += 1
        before = os.getcwd()
        began, peak = time.process_time(), _peak()
        with tempfile.TemporaryDirectory(prefix="rnnzoo-fuzz-") as folder:
            os.chdir(folder)
            try:
                self.target.read(content, Path(folder))
            except ZooError:
                pass
            except Exception as error:  # a finding
                frames = [
                    f for f in traceback.extract_tb(error.__traceback__) if f"{os.sep}rnnzoo{os.sep}" in f.filename
                ]
                place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
                self._note(f"{type(error).__name__} at {place}", content, traceback.format_exc())
            finally:
                os.chdir(before)
        if (seconds := time.process_time() - began) > SLOW and self.executions > 1:
            self._note("slow", content, f"{seconds:.1f} s")
        if _peak() > peak + LARGE and self.executions > 1:
            self._note("large", content, f"{_peak() - peak:.0f} MiB")

    def _note(self, key: str, content: bytes, text: str) -> None:
        if key not in self.found or len(content) < len(self.found[key][0]):
            self.found[key] = (content, text)

    def __str__(self) -> str:
        parts = [
            f"{key}\n{text}\n{len(content)} bytes: {content[:600]!r}" for key, (content, text) in self.found.items()
        ]
        return "\n\n".join(parts) or "no findings"


def _peak() -> float:
    """The most memory that this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def by_hypothesis(findings: Findings, examples: int, seed: int) -> None:
    """Run a target on so many inputs."""

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy(findings.target))
    def run(content: bytes) -> None:
        findings.execute(content)

    run()


def by_atheris(findings: Findings, seconds: float, seed: int, stop: Callable[[], None]) -> None:
    """Run a target until the time is over, guided by the branches that are taken. Does not return."""
    import atheris

    corpus = Path(tempfile.mkdtemp(prefix="rnnzoo-fuzz-"))
    for number, content in enumerate(findings.target.seeds):
        (corpus / str(number)).write_bytes(content)
    end = time.monotonic() + seconds

    def run(content: bytes) -> None:
        findings.execute(content)
        if time.monotonic() > end:
            stop()

    atheris.Setup([sys.argv[0], f"-seed={seed + 1}", "-verbosity=0", "-rss_limit_mb=4096", str(corpus)], run)
    atheris.Fuzz()


def main(words: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--atheris", action="store_true", help="needs the package atheris")
    arguments = parser.parse_args(None if words is None else list(words))
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    if arguments.atheris:
        import atheris

        with atheris.instrument_imports(include=["rnnzoo"]):
            target = TARGETS[arguments.target]()
    else:
        target = TARGETS[arguments.target]()
    findings = Findings(target)
    began = time.monotonic()

    def report() -> int:
        seconds = time.monotonic() - began
        speed = findings.executions / seconds
        print(
            f"{arguments.target}: {findings.executions} executions in {seconds:.0f} s, {speed:.0f} a second", flush=True
        )
        print(findings, flush=True)
        return int(bool(findings.found))

    if arguments.atheris:
        by_atheris(findings, arguments.seconds, arguments.seed, lambda: os._exit(report()))
    number = arguments.seed
    while time.monotonic() - began < arguments.seconds:
        by_hypothesis(findings, EXAMPLES, number)
        number += 1
    return report()


if __name__ == "__main__":
    sys.exit(main())
