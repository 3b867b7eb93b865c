"""What the processes of a training tell each other beside gradients; and gradients of embeddings by their rows."""

# No `annotations` from __future__: DDP reads those of a hook, and as types.

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributed import GradBucket
from torch.nn.parallel import DistributedDataParallel

LARGE = 2**18  # numbers of an embedding: 1 MiB in fp32, which gloo takes 3 ms for within a machine


def begin(value: Tensor) -> Callable[[], list[float]]:
    """Send a number to all processes, while this one goes on. The call of the answer waits for theirs, by process.

    All processes begin and end in the same order. value: a tensor of one number.
    """
    mine = value.detach().reshape(1)
    parts = [torch.empty_like(mine) for _ in range(torch.distributed.get_world_size())]
    work = torch.distributed.all_gather(parts, mine, async_op=True)

    def wait() -> list[float]:
        work.wait()
        numbers: list[float] = torch.cat(parts).tolist()
        return numbers

    return wait


def by_rows(ranks: DistributedDataParallel, model: nn.Module) -> None:
    """Share, of large embeddings' gradients on CPUs, the rows alone that some process has touched.

    A batch has some thousands of the words of a vocabulary: the other rows are zeros in each process, and so is their
    mean. What training computes is the same. Left alone: sparse gradients, which are rows already, and embeddings whose
    weights another module has too, as with tied ones, where all rows are touched.
    """
    parts = [part for part in model.modules() if isinstance(part, nn.Embedding)]
    uses = [id(p) for part in model.modules() for p in part.parameters(recurse=False)]
    large = {id(p.weight) for p in parts if p.weight.numel() >= LARGE and uses.count(id(p.weight)) == 1}
    if any(part.sparse for part in parts) or any(p.device.type != "cpu" for p in model.parameters()) or not large:
        return
    ranks.register_comm_hook(large, _mean_of_rows)


def _mean_of_rows(large: set[int], bucket: GradBucket) -> torch.futures.Future[Tensor]:
    """DDP's mean of a bucket of gradients over the processes; of the parameters with an id in `large`, by rows."""
    buffer = bucket.buffer().div_(torch.distributed.get_world_size())
    gradients = list(zip(bucket.parameters(), bucket.gradients(), strict=True))
    rows = [touched(gradient) if id(parameter) in large else None for parameter, gradient in gradients]
    if all(some is None for some in rows):
        return _sum(buffer).then(lambda done: done.value()[0])
    kept = [g.flatten() if some is None else g[some].flatten() for some, (_, g) in zip(rows, gradients, strict=True)]

    def put_back(done: torch.futures.Future[list[Tensor]]) -> Tensor:
        sums = done.value()[0].split([part.numel() for part in kept])
        for some, (_, gradient), total in zip(rows, gradients, sums, strict=True):
            if some is None:
                gradient.copy_(total.view_as(gradient))
            else:
                gradient[some] = total.view(-1, *gradient.shape[1:])
        return buffer

    return _sum(torch.cat(kept)).then(put_back)


def touched(gradient: Tensor) -> Tensor:
    """The numbers of the rows that are not zero in some process, which all processes get alike; waits for them."""
    mask = gradient.abs().amax(1).ne(0).to(torch.uint8)  # of NaN, too; five times as fast as any(1)
    torch.distributed.all_reduce(mask, torch.distributed.ReduceOp.MAX)
    return mask.nonzero().squeeze(1)


def _sum(numbers: Tensor) -> torch.futures.Future[list[Tensor]]:
    future: torch.futures.Future[list[Tensor]] = torch.distributed.all_reduce(numbers, async_op=True).get_future()
    return future
