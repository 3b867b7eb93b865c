"""Every engine path equals the plain loop, and the plain loop equals torch on sequences of every length."""

import copy
import itertools
import pickle
import re
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from rnnzoo.cells.base import Cell, LinearCell, NoiseSpec, PointwiseCell, StateSpec
from rnnzoo.cells.gru import GRUCell
from rnnzoo.cells.lstm import LSTMCell
from rnnzoo.cells.vanilla import VanillaCell, VanillaReluCell
from rnnzoo.engine.choose import PATHS
from rnnzoo.engine.layout import Layout
from rnnzoo.engine.paths.fused import recognise
from rnnzoo.engine.recurrence import Recurrence, detach, report, run_together, select, set_path, using_path
from rnnzoo.engine.sequences import Sequences
from rnnzoo.errors import ZooError

BUILT_IN = [LSTMCell, GRUCell, VanillaCell, VanillaReluCell]
LENGTHS = {"ragged": [3, 9, 0, 1, 9, 5], "equal": [9] * 6, "sorted": [9, 7, 7, 4, 2, 1]}


def inputs(cell, lengths):
    torch.manual_seed(0)
    x = torch.randn(len(lengths), 9, cell.input_size, requires_grad=True)
    h0 = [torch.randn(len(lengths), *s.shape, requires_grad=True) for s in cell.state_specs()]
    return x, torch.tensor(lengths), tuple(h0)


def everything(layer, x, lengths, h0):
    """Outputs, last states and every gradient, from outputs and from last states."""
    outputs, last = layer(Sequences.of(x, lengths), h0)
    weights = [torch.linspace(-1, 1, t.numel()).view_as(t) for t in (outputs.padded, *last)]
    total = sum((t * w).sum() for t, w in zip((outputs.padded, *last), weights, strict=True))
    wanted = [x, *(h0 or ()), *layer.cell.parameters()]
    return [outputs.padded, *last, *torch.autograd.grad(total, wanted)]


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("given_state", [True, False], ids=["h0", "zeros"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("cell_class", BUILT_IN)
def test_the_fused_path_equals_the_reference_in_outputs_states_and_gradients(cell_class, reverse, given_state, lengths):
    layer = Recurrence(cell_class(5, 7), reverse)
    x, lengths, h0 = inputs(layer.cell, lengths)
    h0 = h0 if given_state else None
    with using_path(layer, "reference"):
        wanted = everything(layer, x, lengths, h0)
    with using_path(layer, "fused"):
        found = everything(layer, x, lengths, h0)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    assert layer.ran == {"reference": 1, "fused": 1}


@pytest.mark.parametrize("path", ["reference", "fused"])
@pytest.mark.parametrize(("cell_class", "torch_class"), [(LSTMCell, nn.LSTM), (GRUCell, nn.GRU), (VanillaCell, nn.RNN)])
def test_both_directions_equal_torch_on_packed_sequences(cell_class, torch_class, path):
    torch.manual_seed(1)
    oracle = torch_class(5, 7, bidirectional=True, batch_first=True)
    x, lengths = torch.randn(4, 8, 5), torch.tensor([3, 8, 1, 5])
    packed, last = oracle(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
    wanted = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0].chunk(2, -1)
    last = last if isinstance(last, tuple) else (last,)
    for direction, suffix in enumerate(("", "_reverse")):
        layer = Recurrence(cell_class(5, 7), reverse=bool(direction))
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        layer.cell.load_state_dict({name: getattr(oracle, f"{name}_l0{suffix}") for name in names})
        with using_path(layer, path):
            outputs, state = layer(Sequences.of(x, lengths))
        torch.testing.assert_close(outputs.padded, wanted[direction])
        torch.testing.assert_close(state, tuple(s[direction] for s in last))


class Weighted(Cell):
    """A general cell: a matrix state, a readout of another size, and an early projection that is a tuple."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.states = (StateSpec("S", (hidden_size, 2)), StateSpec("n", (1,), initial=1.0))
        self.key, self.out = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size * 2, 3)

    @property
    def output_size(self):
        return 3

    def project(self, x):
        return self.key(x), x[..., :2]

    def step(self, gx, state):
        k, v = gx
        matrix, n = state
        return 0.9 * matrix + torch.tanh(k).unsqueeze(-1) * v.unsqueeze(-2), 0.5 * n + v.mean(-1, keepdim=True)

    def readout(self, gx, state):
        return self.out(state[0].flatten(-2)) / (1 + state[1].abs())


class Decay(LinearCell):
    gates = ("z", "v")

    def coefficients(self, gx):
        z = torch.sigmoid(gx[0])
        return 1 - z, z * gx[1]


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("cell_class", [*BUILT_IN, Weighted, Decay])
def test_a_batch_equals_its_sequences_one_by_one(cell_class, reverse):
    layer = Recurrence(cell_class(5, 7), reverse)
    x, lengths, h0 = inputs(layer.cell, LENGTHS["ragged"])
    with using_path(layer, "reference"):
        outputs, last = layer(Sequences.of(x, lengths), h0)
        for row, length in enumerate(lengths.tolist()):
            one, end = layer(Sequences.of(x[row : row + 1, :length]), tuple(s[row : row + 1] for s in h0))
            torch.testing.assert_close(outputs.padded[row, :length], one.padded[0])
            torch.testing.assert_close(tuple(s[row] for s in last), tuple(s[0] for s in end))


@pytest.mark.parametrize("path", ["reference", "auto"])
@pytest.mark.parametrize("cell_class", [*BUILT_IN, Weighted, Decay])
def test_backward_is_the_forward_direction_of_each_sequence_flipped(cell_class, path):
    forward = Recurrence(cell_class(5, 7), path=path)
    backward = Recurrence(forward.cell, reverse=True, path=path)
    x, lengths, h0 = inputs(forward.cell, LENGTHS["ragged"])
    flipped = x.detach().clone()
    for row, length in enumerate(lengths.tolist()):
        flipped[row, :length] = x[row, :length].flip(0)
    outputs, last = backward(Sequences.of(x, lengths), h0)
    mirrored, end = forward(Sequences.of(flipped, lengths), h0)
    torch.testing.assert_close(last, end)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(outputs.padded[row, :length], mirrored.padded[row, :length].flip(0))


@pytest.mark.parametrize("path", ["reference", "auto"])
@pytest.mark.parametrize("cell_class", [*BUILT_IN, Weighted])
def test_a_split_sequence_with_carried_state_equals_the_whole(cell_class, path):
    layer = Recurrence(cell_class(5, 7))
    x, lengths, h0 = inputs(layer.cell, LENGTHS["ragged"])
    with using_path(layer, path):
        whole, last = layer(Sequences.of(x, lengths), h0)
        first, middle = layer(Sequences.of(x[:, :4], lengths.clamp(max=4)), h0)
        second, end = layer(Sequences.of(x[:, 4:], (lengths - 4).clamp(min=0)), middle)
    torch.testing.assert_close(torch.cat([first.padded, second.padded], 1), whole.padded)
    torch.testing.assert_close(end, last)


@pytest.mark.parametrize("path", ["reference", "auto"])
@pytest.mark.parametrize("cell_class", [*BUILT_IN, Weighted])
@pytest.mark.parametrize("junk", [1e6, float("nan"), float("inf")])
def test_padding_never_changes_an_answer_or_a_gradient(cell_class, path, junk):
    layer = Recurrence(cell_class(5, 7), reverse=True)
    x, lengths, h0 = inputs(layer.cell, LENGTHS["ragged"])
    noisy = x.detach().clone()
    for row, length in enumerate(lengths.tolist()):
        noisy[row, length:] = junk
    with using_path(layer, path):
        wanted = everything(layer, x, lengths, h0)
        found = everything(layer, noisy.requires_grad_(), lengths, h0)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)


def test_an_empty_sequence_keeps_the_initial_state_and_gives_no_output():
    for path, reverse in itertools.product(("reference", "fused"), (False, True)):
        layer = Recurrence(LSTMCell(5, 7), reverse)
        x, lengths, h0 = inputs(layer.cell, LENGTHS["ragged"])
        with using_path(layer, path):
            outputs, last = layer(Sequences.of(x, lengths), h0)
        torch.testing.assert_close(tuple(s[2] for s in last), tuple(s[2] for s in h0))
        assert not outputs.padded[2].any() and not outputs.at_ends()[2].any()


def test_a_batch_of_empty_sequences_is_answered():
    layer = Recurrence(GRUCell(5, 7))
    h0 = (torch.randn(2, 7),)
    outputs, last = layer(Sequences.of(torch.randn(2, 3, 5), torch.zeros(2, dtype=torch.int64)), h0)
    torch.testing.assert_close(last, h0)
    assert outputs.padded.shape == (2, 3, 7) and not outputs.padded.any()


class LSTMOfAStranger(PointwiseCell):
    """An LSTM under another name; with `leak` one gate is changed."""

    gates, states, leak = ("a", "b", "c", "d"), ("h", "c"), 0.0

    def update(self, gx, gh, state):
        a, b, c, d = (p + q for p, q in zip(gx, gh, strict=True))
        memory = torch.sigmoid(b) * state[1] + (torch.sigmoid(a) + self.leak) * torch.tanh(c)
        return torch.tanh(memory) * torch.sigmoid(d), memory


def test_a_cell_is_taken_by_the_fused_layers_for_what_it_computes_not_for_its_name_or_class():
    class ChangedLSTM(LSTMCell):
        def update(self, gx, gh, state):
            h, c = super().update(gx, gh, state)
            return 0.5 * h, c

    class Leaky(LSTMOfAStranger):
        leak = 1e-3

    class ReadLSTM(LSTMCell):
        def readout(self, gx, state):
            return state[1]

    assert recognise(LSTMOfAStranger(2, 3)) == "lstm"
    assert [recognise(c(2, 3)) for c in BUILT_IN] == ["lstm", "gru", "rnn_tanh", "rnn_relu"]
    assert [recognise(c(2, 3)) for c in (ChangedLSTM, Leaky, ReadLSTM, Decay, Weighted)] == [None] * 5


def test_a_chosen_path_that_cannot_run_a_cell_says_why_and_one_that_does_not_exist_names_the_nearest():
    layer = Recurrence(Weighted(5, 7))
    with (
        using_path(layer, "fused"),
        pytest.raises(ZooError, match="'fused' cannot run Weighted: no fused layer computes this cell"),
    ):
        layer(Sequences.of(torch.zeros(1, 2, 5)))
    for choose in (
        partial(set_path, layer),
        partial(set_path, nn.Linear(2, 2)),
        partial(Recurrence, layer.cell, False),
    ):
        with pytest.raises(ZooError, match=r"no engine path is named 'fusd'\.\n  Did you mean 'fused'\?"):
            choose("fusd")


def test_the_choice_of_a_path_belongs_to_the_layers_of_one_model_and_goes_with_their_copies():
    model = nn.ModuleList([Recurrence(LSTMCell(5, 7)), Recurrence(LSTMCell(5, 7), path="fused")])
    other = Recurrence(LSTMCell(5, 7))
    with using_path(model, "reference"):
        copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    assert [layer.path for layer in (*model, other)] == ["auto", "fused", "auto"]
    for layer in itertools.chain(*copies):
        layer(Sequences.of(torch.zeros(1, 2, 5)))
        assert layer.ran == {"reference": 1} and layer.why == "forced"


def test_layers_side_by_side_may_each_run_on_a_path_of_their_own():
    torch.manual_seed(0)
    layers = [Recurrence(LSTMCell(5, 7), reverse) for reverse in (False, True)]
    x, lengths, _ = inputs(layers[0].cell, LENGTHS["ragged"])
    wanted = [layer(Sequences.of(x, lengths)) for layer in layers]
    paths = ("fused", "reference")
    for layer, layer.path in zip(layers, paths, strict=True):
        layer.ran.clear()
    found = run_together(layers, Sequences.of(x, lengths), [None, None])
    assert [dict(layer.ran) for layer in layers] == [{path: 1} for path in paths]
    for (outputs, last), (as_wanted, end) in zip(found, wanted, strict=True):
        torch.testing.assert_close(outputs.padded, as_wanted.padded)
        torch.testing.assert_close(last, end)


def test_the_report_names_each_layers_cell_path_and_reason():
    model = nn.ModuleList([Recurrence(LSTMCell(5, 7)), Recurrence(Weighted(5, 7), reverse=True)])
    with torch.no_grad():
        for layer in model:
            layer(Sequences.of(torch.zeros(1, 2, 5)))
    first, second = report(model)
    assert (first["cell"], first["path"], first["calls"]) == ("LSTMCell", "fused", {"fused": 1})
    assert (second["path"], second["direction"]) == ("reference", "backward")
    assert "no fused layer computes this cell" in second["why"]


def test_the_engine_draws_masks_per_sequence_and_per_step_in_training_and_their_mean_in_evaluation():
    seen = []

    class Masked(Cell):
        noise = (NoiseSpec((7,), 0.5, per="sequence"), NoiseSpec((7,), 0.25))

        def project(self, x):
            return x[..., :1].expand(*x.shape[:-1], 7)

        def step(self, gx, state, locked, fresh):
            seen.append((locked, fresh))
            return (state[0] + gx,)

    layer = Recurrence(Masked(5, 7))
    x = Sequences.of(torch.zeros(6, 9, 5))
    layer(x)
    seen.clear()  # the first call verifies one step, with masks of its own
    layer(x)
    locked, fresh = zip(*seen, strict=True)
    assert all(torch.equal(mask, locked[0]) for mask in locked)
    assert not all(torch.equal(mask, fresh[0]) for mask in fresh)
    assert set(torch.stack(fresh).unique().tolist()) == {0.0, 1.0}
    seen.clear()
    layer.eval()(x)
    assert all((a == 0.5).all() and (b == 0.75).all() for a, b in seen)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda self, gx, state: (state[0][:, :3],), r"returned state 'h' of shape \(6, 3\), declared \(6, 7\)"),
        (lambda self, gx, state: (state[0], state[0]), "returned 2 states, declared 1"),
    ],
)
def test_a_cell_that_breaks_its_declaration_is_named_with_both_sides(wrong, message):
    broken = type("Broken", (Cell,), {"step": wrong, "project": lambda self, x: x})
    with pytest.raises(ValueError, match=f"Broken.*{message}"):
        Recurrence(broken(5, 7))(Sequences.of(torch.zeros(6, 1, 5)))


def test_bf16_autocast_gives_finite_outputs_near_the_exact_ones():
    for cell_class, path in itertools.product(BUILT_IN, ("reference", "fused")):
        layer = Recurrence(cell_class(5, 7))
        x, lengths, _ = inputs(layer.cell, LENGTHS["ragged"])
        with using_path(layer, path):
            exact, _ = layer(Sequences.of(x, lengths))
        with torch.autocast("cpu", torch.bfloat16):
            lacking = PATHS[path].refuses(layer.cell, Sequences.of(x, lengths))  # on a processor without AVX-512
            with using_path(layer, "auto" if lacking else path):
                rough, last = layer(Sequences.of(x, lengths))
        torch.testing.assert_close(rough.padded.float(), exact.padded, atol=0.05, rtol=0.05)
        assert all(s.isfinite().all() for s in last)


def test_states_are_detached_and_chosen_layer_by_layer():
    state = [(torch.randn(3, 2, requires_grad=True), torch.randn(3, 1)), (torch.randn(3, 4),)]
    assert not any(s.requires_grad for layer in detach(state) for s in layer)
    chosen = select(state, torch.tensor([2, 2, 0]))
    torch.testing.assert_close(chosen[0][1], state[0][1][[2, 2, 0]])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=7), st.integers(0, 2))
def test_rows_and_padding_are_two_views_of_the_same_steps(lengths, extra):
    time = max(lengths) + extra
    layout = Layout(torch.tensor(lengths), time, torch.device("cpu"))
    x = torch.arange(1.0, 1 + len(lengths) * time * 2).view(len(lengths), time, 2)
    x = x * layout.mask.unsqueeze(-1)
    rows = Sequences(layout, padded=x).rows
    assert len(rows) == sum(lengths)
    torch.testing.assert_close(Sequences(layout, rows=rows).padded, x)
    if sum(lengths):
        kept = [n for n in lengths if n]
        packed = pack_padded_sequence(x[[i for i, n in enumerate(lengths) if n]], kept, True, enforce_sorted=False)
        torch.testing.assert_close(rows, packed.data)
        assert layout.batch_sizes.tolist() == packed.batch_sizes.tolist()
        twice = rows[layout.row_reversal][layout.row_reversal]
        torch.testing.assert_close(twice, rows)


def test_lengths_outside_the_time_there_is_are_refused():
    with pytest.raises(ValueError, match=r"lengths must lie in 0..4, the number of steps, got \[5, 1\]"):
        Sequences.of(torch.zeros(2, 4, 3), torch.tensor([5, 1]))
    with pytest.raises(ValueError, match="one length for each of 2 sequences, got 3"):
        Sequences.of(torch.zeros(2, 4, 3), torch.tensor([1, 1, 1]))


def test_the_table_of_paths_says_where_each_is_defined():
    """CONTRIBUTING.md's table: the name of each path, and its file."""
    page = (Path(__file__).parents[3] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `([\w/]+)\.py` \|", page, re.MULTILINE)
    defined = {name: type(path).__module__.removeprefix("rnnzoo.engine.") for name, path in PATHS.items()}
    assert {name: file.replace("/", ".") for name, file in rows} == defined
