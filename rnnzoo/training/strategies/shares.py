"""Tensors of which each process holds a share: what is asked of them, and their whole values."""

from __future__ import annotations

from typing import cast

from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def is_shared_out(tensor: Tensor) -> bool:
    """Whether each process holds a share of it alone."""
    return isinstance(tensor, DTensor)


def whole(tensor: Tensor) -> Tensor:
    """The whole tensor. Where it is shared out, all processes are to ask for it."""
    return cast(Tensor, tensor.full_tensor()) if isinstance(tensor, DTensor) else tensor


def share(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor: all of it, unless it is shared out."""
    return cast(Tensor, tensor.to_local()) if isinstance(tensor, DTensor) else tensor


def from_share(held: Tensor, like: Tensor) -> Tensor:
    """The tensor of which this process holds `held`, shared out as another one is.

    Raises: ValueError if the other one's share is of another shape.
    """
    if not isinstance(like, DTensor):
        return held.to(like.device)
    wanted = like.to_local()
    if held.shape != wanted.shape:
        raise ValueError(f"a share of {(*held.shape,)} is not one of {(*wanted.shape,)}")
    held = held.to(wanted.device)
    return cast(
        Tensor, DTensor.from_local(held, like.device_mesh, like.placements, shape=like.shape, stride=like.stride())
    )


def share_out(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, which all processes have, shared out as another one of its shape is."""
    if not isinstance(like, DTensor) or tensor.shape != like.shape:
        return tensor
    mesh = like.device_mesh
    return cast(Tensor, distribute_tensor(tensor.to(like.device), mesh, like.placements, src_data_rank=None))
