"""Tensors by name: `gx.r`, `state.c`, from the names that a cell gives its gates and its states."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Sequence
from keyword import iskeyword
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from rnnzoo.errors import CellError


class Named(tuple[Tensor, ...]):
    """Tensors by name, as `gx.r` or `state.c`; it unpacks, indexes and compares like the tuple that it is."""

    __slots__ = ()
    _fields: ClassVar[tuple[str, ...]] = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Tensor: ...

        @classmethod
        def _make(cls, values: Iterable[Tensor], /) -> Named: ...

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (self._fields, tuple(self))  # the class has no module to be found in: it is made again


_types: dict[tuple[str, ...], type[Named]] = {}


def named_type(names: tuple[str, ...]) -> type[Named]:
    """The named tuple of these fields, always the same class. Raises: CellError for names that it cannot have."""
    known = _types.get(names)
    if known is not None:
        return known
    check_names(names, "a cell", "state")
    fields = namedtuple("Named", names)  # type: ignore[misc]  # its names are known only now
    _types[names] = type("Named", (fields, Named), {"__slots__": (), "__reduce__": Named.__reduce__})
    return _types[names]


def check_names(names: Sequence[str], whose: str, what: str) -> None:
    """Refuse names that cannot be read as `gx.name`. what: "gate" or "state". Raises: CellError."""
    if isinstance(names, str):
        raise CellError(f"{whose} names its {what}s by the string {names!r}, not by a tuple.\n  Write ('{names}',).")
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name.isidentifier() or iskeyword(name) or name.startswith("_"):
            problem = "is not a name that Python can read after a dot"
        elif hasattr(tuple, name):
            problem = "is a method of every tuple"
        elif name in names[:index]:
            problem = "is there twice"
        else:
            continue
        example = "gx.r" if what == "gate" else "state.c"
        raise CellError(
            f"{whose} has a {what} {name!r}, which {problem}.\n  Equations read it as {example}: rename it."
        )


def _restored(names: tuple[str, ...], values: tuple[Tensor, ...]) -> Named:
    return named_type(names)._make(values)
