"""Where things are: CONTRIBUTING.md's table of floors is what the imports say."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOOR = re.compile(r"^\| (\d+) \| (`[^|]+`) \|", re.M)
FLOORS = {
    room.strip("` "): int(floor)
    for floor, rooms in FLOOR.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    for room in rooms.split(",")
}


def modules() -> dict[str, Path]:
    """Each module of the package by its dotted name."""
    paths = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in (ROOT / "rnnzoo").rglob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in paths.items()}


def imports() -> dict[str, set[str]]:
    """What each module imports of the package: also inside functions, and for types."""
    names = modules()
    found: dict[str, set[str]] = {name: set() for name in names}
    for name, path in names.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found[name] |= {alias.name for alias in node.names if alias.name in names}
            elif isinstance(node, ast.ImportFrom) and node.module in names:
                full = {f"{node.module}.{alias.name}" for alias in node.names}
                found[name] |= (full & names.keys()) or {node.module}
                assert not node.level
    return found


def room(module: str) -> str:
    return module.split(".")[1]


def upwards() -> list[str]:
    """Imports of a room on the same floor or a higher one."""
    return [
        f"{name} imports {other}"
        for name, others in imports().items()
        for other in others
        if "rnnzoo" not in (name, other) and room(name) != room(other)
        if FLOORS[room(name)] < FLOORS[room(other)] or FLOORS[room(name)] == FLOORS[room(other)] > 0
    ]


def cyclic() -> list[str]:
    """Modules that import themselves by way of others, and those that import such."""
    edges = imports()
    edges.pop("rnnzoo")  # names what is public, and imports it when it is asked for
    free = {name: others - {"rnnzoo"} for name, others in edges.items()}
    while ready := [name for name, others in free.items() if not others & free.keys()]:
        for name in ready:
            del free[name]
    return sorted(free)


def test_every_room_has_a_floor_and_every_floor_its_rooms():
    here = {room(name) for name in modules() if name != "rnnzoo"}
    assert here == FLOORS.keys()


def test_a_room_imports_only_from_floors_below_its_own():
    assert not upwards()


def test_no_module_imports_itself_by_way_of_others():
    assert not cyclic()


# What a cell is; the other files in rnnzoo/cells are cells.
CONTRACT = {f"rnnzoo.cells.{name}" for name in ("base", "build", "cell", "linear", "named", "pointwise", "specs")}


def test_a_cell_imports_torch_and_what_cells_are_made_of():
    """And an architecture no cell by its name."""
    edges = imports()
    for name in edges:
        if name.startswith("rnnzoo.cells.") and name not in CONTRACT:
            assert edges[name] <= {"rnnzoo.cells.base", "rnnzoo.limits"}, name
        if name.startswith("rnnzoo.architectures."):
            assert not {other for other in edges[name] if other.startswith("rnnzoo.cells.")} - {"rnnzoo.cells.base"}


def test_the_hall_is_small():
    assert len(list((ROOT / "rnnzoo").glob("*.py"))) <= 8
