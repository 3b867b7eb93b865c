import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rnnzoo.architectures.stacked import Stacked
from rnnzoo.batch import Field
from rnnzoo.inputs.tokens import TokenEmbedding
from rnnzoo.layers.dropout import LockedDropout

WORDS = Field("tokens", ("<pad>", "<unk>", "<bos>", "<eos>", *map(str, range(96))))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_a_locked_mask_is_the_same_at_each_step_and_another_for_each_sequence():
    out = LockedDropout(0.5)(torch.ones(40, 9, 30))
    assert set(out.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(out, out[:, :1].expand_as(out))
    assert len({tuple(row) for row in out[:, 0].tolist()}) == 40
    assert out.mean().item() == pytest.approx(1, abs=0.1)


def test_in_evaluation_nothing_is_dropped():
    x = torch.randn(2, 3, 4)
    assert torch.equal(LockedDropout(0.5).eval()(x), x)
    embedding = TokenEmbedding(WORDS, 8, type_dropout=0.5).eval()
    tokens = torch.arange(100)[None]
    assert torch.equal(embedding(tokens), embedding.embedding(tokens))


def test_a_dropped_type_is_gone_wherever_it_stands_and_the_others_are_scaled_up():
    embedding = TokenEmbedding(WORDS, 8, type_dropout=0.25)
    tokens = torch.randint(1, 100, (20, 50))
    out, plain = embedding(tokens), embedding.embedding(tokens)
    dropped = (out == 0).all(-1)
    torch.testing.assert_close(out[~dropped], plain[~dropped] / 0.75)
    for word in tokens.unique():
        assert len(dropped[tokens == word].unique()) == 1
    share = dropped.float().mean().item()
    assert 0.1 < share < 0.4
    assert not torch.equal(dropped, (embedding(tokens) == 0).all(-1))


def test_a_layer_reads_the_one_below_through_one_mask_for_all_steps():
    stack = Stacked(3, "vanilla", 30, num_layers=2, locked_dropout=0.5)
    x, lengths = torch.randn(4, 6, 3), torch.tensor([6, 6, 4, 1])

    below = Stacked(3, "vanilla", 30, num_layers=1)
    below.layers[0].load_state_dict(stack.layers[0].state_dict())
    plain = below(x, lengths).outputs

    read = []
    between = stack._between
    stack._between = lambda outputs: read.append(between(outputs)) or read[-1]
    stack(x, lengths)
    stack.eval()(x, lengths)
    ratio = torch.where(plain == 0, torch.nan, read[0].padded / plain)
    for row, length in zip(ratio, lengths, strict=True):
        torch.testing.assert_close(row[:length], row[:1].expand(int(length), -1))
    assert set(ratio[0].round().unique().tolist()) == {0.0, 2.0}
    torch.testing.assert_close(read[1].padded, plain)


def test_a_last_layer_of_another_size_is_what_comes_out():
    stack = Stacked(5, "lstm", 7, num_layers=3, last_hidden_size=4)
    assert [cell.hidden_size for cell in stack.cells] == [7, 7, 4] and stack.output_size == 4
    assert stack(torch.randn(2, 3, 5)).outputs.shape == (2, 3, 4)
    with pytest.raises(ValueError, match="hidden_size 7 and last_hidden_size 4"):
        Stacked(5, "lstm", 7, residual=True, last_hidden_size=4)


def test_recurrent_weights_are_dropped_anew_for_each_batch_and_all_there_in_evaluation():
    dropped = Stacked(3, {"name": "weight_drop", "rate": 0.5, "cell": "lstm"}, 16, num_layers=1)
    (cell,) = dropped.cells
    x = torch.randn(2, 5, 3)
    torchs = nn.LSTM(3, 16, batch_first=True)

    def as_in_torch(weight_hh):
        own = {"weight_ih_l0": cell.cell.weight_ih, "weight_hh_l0": weight_hh}
        own |= {"bias_ih_l0": cell.cell.bias_ih, "bias_hh_l0": cell.cell.bias_hh}
        return torch.func.functional_call(torchs, own, (x,))[0]

    torch.manual_seed(5)
    first, second = dropped(x).outputs, dropped(x).outputs
    torch.manual_seed(5)
    masks = [F.dropout(torch.ones_like(cell.cell.weight_hh), 0.5) for _ in range(2)]
    torch.testing.assert_close(first, as_in_torch(cell.cell.weight_hh * masks[0]))
    torch.testing.assert_close(second, as_in_torch(cell.cell.weight_hh * masks[1]))
    assert not torch.equal(first, second) and masks[0].unique().tolist() == [0, 2]
    torch.testing.assert_close(dropped.eval()(x).outputs, as_in_torch(cell.cell.weight_hh))
    first.sum().backward()
    assert torch.equal(cell.cell.weight_hh.grad == 0, masks[0] == 0)


def test_dropped_weights_run_on_the_path_that_the_cell_has_without():
    x, ran = torch.randn(4, 6, 8), []
    for cell in ("lstm", {"name": "weight_drop", "rate": 0.5, "cell": "lstm"}):
        stack = Stacked(8, cell, 16)
        stack(x).outputs.sum().backward()
        ran.append([layer.ran for layer in stack.layers])
    assert ran[0] == ran[1]
