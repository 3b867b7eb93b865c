"""What `Cell.project` gives: a tensor, or a tuple of such, named or not, as deep as the cell likes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from torch import Tensor

Tree: TypeAlias = Tensor | tuple["Tree", ...]


def apply(function: Callable[[Tensor], Tensor], tree: Tree) -> Tree:
    """The same tree of other tensors."""
    if isinstance(tree, Tensor):
        return function(tree)
    return _like(tree, [apply(function, branch) for branch in tree])


def cut(tree: Tree, into: Callable[[Tensor], Sequence[Tensor]], count: int) -> Sequence[Tree]:
    """A tree for each of `count` parts, into which a function cuts every tensor."""
    if isinstance(tree, Tensor):
        return into(tree)
    branches = [cut(branch, into, count) for branch in tree]
    return [_like(tree, [branch[k] for branch in branches]) for k in range(count)]


def split(tree: Tree, sizes: list[int]) -> Sequence[Tree]:
    """Packed rows (rows, ...) as a tree for each step, of which `sizes` says how many rows it has."""
    # one split: a slice for each step would have a gradient as long as the whole for each step
    return cut(tree, lambda tensor: tensor.split(sizes), len(sizes))


def _like(tree: tuple[Tree, ...], branches: list[Tree]) -> Tree:
    return type(tree)(*branches) if hasattr(tree, "_fields") else tuple(branches)
