"""What processes tell each other: a number of each; gradients of embeddings by the rows that some process touched."""

import pytest
import ranks
import torch
from ranks import Case
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from rnnzoo.training import exchange

WORDS, SIZE = 2**13, 2**5  # as large as `exchange.LARGE`


class Net(nn.Module):
    def __init__(self, tied: bool = False, sparse: bool = False, words: int = WORDS) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.embedding = nn.Embedding(words, SIZE, sparse=sparse)
        self.out = nn.Linear(SIZE, words if tied else 3)
        if tied:
            self.out.weight = self.embedding.weight

    def forward(self, words):
        return self.out(self.embedding(words)).tanh().sum()


class Hooked:
    """In place of a model of several processes: what would be registered."""

    hooks = 0

    def register_comm_hook(self, state, hook):
        self.hooks += 1


def gradients(by_rows, steps=2):
    """Of two steps on words that differ by process; and how many numbers each all-reduce has carried."""
    sent, all_reduce = [], torch.distributed.all_reduce

    def counted(numbers, *arguments, **options):
        sent.append(numbers.numel())
        return all_reduce(numbers, *arguments, **options)

    net = Net()
    model = DistributedDataParallel(net, gradient_as_bucket_view=True)
    if by_rows:
        exchange.by_rows(model, net)
    torch.distributed.all_reduce = counted
    try:
        for step in range(steps):
            model.zero_grad()
            rank = torch.distributed.get_rank()
            model(torch.tensor([[5, 7, 7 + step], [WORDS - 1, 100 + rank, 5]])).backward()
    finally:
        torch.distributed.all_reduce = all_reduce
    return [p.grad.clone() for p in net.parameters()], sent


def told():
    return exchange.begin(torch.tensor(10.0 + torch.distributed.get_rank()))()


@pytest.mark.parametrize("world", [2, 3])
def test_gradients_by_rows_are_the_dense_ones_and_few_numbers_are_sent(world):
    dense, rows = ranks.run(world, [Case(gradients, (False,)), Case(gradients, (True,))])
    for (expected, _), (found, sent) in zip(dense, rows, strict=True):
        for one, other in zip(expected, found, strict=True):
            torch.testing.assert_close(other, one, atol=1e-7, rtol=1e-6)
            assert other.any()
        others = 3 * SIZE + 3
        first, second = 3 + world, 4 + world  # rows that some process has touched: 5, 7, 8, the last, and one of each
        assert [n for n in sent if n != WORDS] == [first * SIZE + others, second * SIZE + others]


def test_each_process_has_the_number_of_each():
    assert ranks.run(3, [Case(told, ())]) == [([10.0, 11.0, 12.0],) * 3]


@pytest.mark.parametrize(
    ("net", "hooks"),
    [(Net(), 1), (Net(tied=True), 0), (Net(sparse=True), 0), (Net(words=100), 0)],
    ids=["large", "tied", "sparse", "small"],
)
def test_rows_are_shared_of_large_embeddings_that_no_other_layer_has(net, hooks):
    model = Hooked()
    exchange.by_rows(model, net)
    assert model.hooks == hooks
