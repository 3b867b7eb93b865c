"""Models under torch's other ways of running them: each gives what the ordinary call gives, or refuses in words."""

import copy
import io
import pickle
import threading
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from rnnzoo import create_model
from rnnzoo.engine.layout import Layout
from rnnzoo.engine.recurrence import report, set_path, using_path
from rnnzoo.engine.sequences import Sequences
from rnnzoo.errors import ZooError

CELLS = ("lstm", "gru", "vanilla", "zoneout")
LENGTHS = torch.tensor([6, 2, 4])
each_cell = pytest.mark.parametrize("cell", CELLS)


def model(cell="gru", **parameters):
    torch.manual_seed(0)
    return create_model("bidirectional", 5, cell=cell, hidden_size=4, **parameters).eval()


def inputs(dtype=torch.float32):
    return torch.randn(3, 6, 5, dtype=dtype, generator=torch.Generator().manual_seed(1))


def outputs(net, x, lengths=LENGTHS):
    return net(x, lengths=lengths).outputs


def gradients(net, run):
    """The gradients by x and by every parameter of the squared outputs of run(x)."""
    x = inputs().requires_grad_()
    return torch.autograd.grad(run(x).square().sum(), (x, *net.parameters()))


def same(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def by_functional_gradient(net):
    x = inputs()
    weights = dict(net.named_parameters())

    def loss(x, weights):
        return torch.func.functional_call(net, weights, (x,), {"lengths": LENGTHS}).outputs.square().sum()

    of_x, of_weights = torch.func.grad(loss, (0, 1))(x, weights)
    same((of_x, *of_weights.values()), gradients(net, lambda x: outputs(net, x)))


def by_vmap(net):
    several = torch.stack([inputs(), 2 * inputs()])
    same(torch.func.vmap(lambda x: outputs(net, x))(several), torch.stack([outputs(net, x) for x in several]))


def differences(net, x, tangent, size=1e-6):
    return (outputs(net, x + size * tangent) - outputs(net, x - size * tangent)) / (2 * size)


def by_jvp(net):
    net, x = net.double(), inputs(torch.float64)
    tangent = torch.ones_like(x)
    same(torch.func.jvp(lambda x: outputs(net, x), (x,), (tangent,))[1], differences(net, x, tangent))


def by_forward_mode(net):
    net, x = net.double(), inputs(torch.float64)
    tangent = torch.ones_like(x)
    with forward_ad.dual_level():
        found = forward_ad.unpack_dual(outputs(net, forward_ad.make_dual(x, tangent))).tangent
    same(found, differences(net, x, tangent))


def twice(net):
    net, x = net.double(), torch.randn(2, 2, 5, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([2, 1])
    assert torch.autograd.gradgradcheck(lambda x: outputs(net, x, lengths), x)


def on_meta(net):
    net.to("meta")
    assert outputs(net, inputs().to("meta")).shape == (3, 6, 8)
    assert net(inputs().to("meta")).last.shape == (3, 8)


def on_fake_tensors(net):
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert copy.deepcopy(net)(torch.randn(3, 6, 5)).outputs.shape == (3, 6, 8)


def without_reentering(net):
    def run(x):
        return checkpoint(lambda x: outputs(net, x), x, use_reentrant=False)

    same(gradients(net, run), gradients(net, lambda x: outputs(net, x)))


def reentering(net):
    x = inputs().requires_grad_()
    checkpoint(lambda x: outputs(net, x), x, use_reentrant=True).square().sum().backward()
    same((x.grad, *(p.grad for p in net.parameters())), gradients(net, lambda x: outputs(net, x)))


def saved_elsewhere(net):
    def run(x):
        with torch.autograd.graph.save_on_cpu():
            return outputs(net, x)

    same(gradients(net, run), gradients(net, lambda x: outputs(net, x)))


def changed_in_place(net):
    def ragged(x):
        return outputs(net, x).add_(1)

    def whole(x):
        return net(x[:1]).outputs.mul_(2)

    same(gradients(net, ragged), gradients(net, lambda x: outputs(net, x) + 1))
    same(gradients(net, whole), gradients(net, lambda x: net(x[:1]).outputs * 2))


def copied(net):
    wanted = outputs(net, inputs())
    same(outputs(pickle.loads(pickle.dumps(copy.deepcopy(net))), inputs()), wanted)


def in_inference(net):
    with torch.inference_mode():
        found = outputs(net, inputs())
    same(found, outputs(net, inputs()))
    gradients(net, lambda x: outputs(net, x))  # what was kept in inference hinders no gradient


def counted(net):
    with FlopCounterMode(display=False) as counter:
        found = outputs(net, inputs())
    assert counter.get_total_flops() > 0
    same(found, outputs(net, inputs()))


def beside_another_default_device(net):
    wanted = outputs(net, inputs())
    x = inputs()
    with torch.device("meta"):
        found = outputs(net, x)
    same(found, wanted)


def with_lists_and_arrays(net):
    wanted = outputs(net, inputs())
    for lengths in ([6, 2, 4], (6, 2, 4), np.array([6, 2, 4]), np.array([6, 2, 4], np.uint8), LENGTHS.float()):
        same(outputs(net, inputs(), lengths), wanted)


def with_nobody(net):
    for lengths in (None, torch.zeros(0, dtype=torch.int64)):
        x = torch.randn(0, 6, 5, requires_grad=True)
        found = outputs(net, x, lengths)
        found.sum().backward()
        assert found.shape == (0, 6, 8) and x.grad.shape == x.shape


def with_nothing_but_empty_sequences(net):
    x = inputs().requires_grad_()
    encoded = net(x, lengths=torch.zeros(3, dtype=torch.int64))
    (encoded.outputs.sum() + encoded.last.sum()).backward()
    assert not encoded.outputs.any() and not encoded.last.any() and x.grad.shape == x.shape


MODES = (
    by_functional_gradient,
    by_vmap,
    by_jvp,
    by_forward_mode,
    twice,
    on_meta,
    on_fake_tensors,
    without_reentering,
    reentering,
    saved_elsewhere,
    changed_in_place,
    copied,
    in_inference,
    counted,
    beside_another_default_device,
    with_lists_and_arrays,
    with_nobody,
    with_nothing_but_empty_sequences,
)


@each_cell
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.__name__)
def test_a_model_gives_the_same_in_every_mode(cell, mode):
    mode(model(cell))


@each_cell
def test_recording_by_torch_jit_is_refused_in_words(cell):
    for record in (
        lambda net: torch.jit.trace(net, (inputs(), LENGTHS), check_trace=False),
        lambda net: torch.onnx.export(net, (inputs(), LENGTHS), io.BytesIO(), dynamo=False),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(ZooError, match="a recurrent model cannot be recorded"):
                record(model(cell))


def test_quantisation_says_that_it_leaves_a_cell_as_it_is():
    net = model("lstm")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.ao.quantization.quantize_dynamic(net, {nn.LSTM, nn.Linear})
    assert any("LSTMCell has no quantised form" in str(one.message) for one in said)


class Whole(nn.Module):
    """A model without lengths, and tensors alone for an answer."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        encoded = self.net(x)
        return encoded.outputs, encoded.last


@pytest.mark.slow
@each_cell
def test_an_exported_model_gives_what_the_model_gives_and_lengths_are_refused_in_words(cell):
    net = Whole(model(cell))
    same(torch.export.export(net, (inputs(),), strict=False).module()(inputs()), net(inputs()))
    with pytest.raises(ValueError, match="lengths decide how many steps run, and have no numbers here"):
        torch.export.export(net.net, (inputs(), LENGTHS), strict=False)


@pytest.mark.slow
@each_cell
def test_a_compiled_model_has_the_same_outputs_and_gradients_whatever_the_lengths(cell):
    net = model(cell)
    compiled = torch.compile(lambda x, lengths: net(x, lengths=lengths).outputs * 2, backend="aot_eager")
    for lengths in (LENGTHS, torch.tensor([1, 6, 0])):
        same(
            gradients(net, lambda x, lengths=lengths: compiled(x, lengths)),
            gradients(net, lambda x, lengths=lengths: outputs(net, x, lengths) * 2),
        )


def test_a_forced_path_is_refused_where_a_mode_follows_every_operation():
    net = model("gru")
    set_path(net, "native")
    with pytest.raises(ZooError, match=r"cannot run GRUCell: torch\.func transforms it"):
        by_vmap(net)


def test_a_layout_keeps_its_lengths_when_the_tensor_given_is_changed():
    lengths = LENGTHS.clone()
    net, x = model("gru"), inputs()
    wanted = outputs(net, x)
    encoded = net(x, lengths=lengths)
    layout = Layout(lengths, 6, torch.device("cpu"))
    lengths.fill_(1)
    same(encoded.outputs, wanted)
    assert layout.num_rows == 12 and layout.lengths.tolist() == [6, 2, 4]


@pytest.mark.parametrize(
    ("lengths", "words"),
    [
        (torch.tensor([6, 2.5, 4]), "lengths must be whole numbers"),
        (torch.tensor([True, True, False]), "must be one whole number a sequence, got torch.bool"),
        (torch.tensor(6), "expected one length for each of 3 sequences"),
        ([6, 2], "expected one length for each of 3 sequences, got 2"),
        ([6, 2, 7], r"lengths must lie in 0\.\.6"),
    ],
)
def test_lengths_that_are_none_are_refused(lengths, words):
    with pytest.raises(ValueError, match=words):
        Sequences.of(inputs(), lengths)


@each_cell
def test_a_state_of_another_shape_is_refused_with_both_shapes_as_torch_does(cell):
    net = model(cell)
    state = net(inputs(), lengths=LENGTHS).state
    for cut in (lambda s: s[:1], lambda s: s[:, :1], lambda s: s.unsqueeze(0)):
        given = [tuple(map(cut, one)) for one in state]
        with pytest.raises(ValueError, match=r"expected state 'h' of shape \(3, 4\), got \("):
            net(inputs(), lengths=LENGTHS, state=given)
    with pytest.raises(ValueError, match="states"):
        net(inputs(), lengths=LENGTHS, state=[() for _ in state])


def normed(net, way):
    for layer in net.layers:
        way(layer.cell)
    return net.train()


WAYS = {
    "weight_norm": lambda cell: nn.utils.weight_norm(cell, "weight_hh"),
    "weight_norm by parametrisation": lambda cell: parametrizations.weight_norm(cell, "weight_hh"),
    "spectral_norm": lambda cell: nn.utils.spectral_norm(cell, "weight_hh"),
    "spectral_norm by parametrisation": lambda cell: parametrizations.spectral_norm(cell, "weight_hh"),
    "pruning": lambda cell: prune.l1_unstructured(cell, "weight_hh", 0.3),
}


@pytest.mark.parametrize("path", ["auto", "reference", "deferred"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_normed_and_pruned_weights_learn_at_every_step(way, path):
    net = normed(model("gru"), WAYS[way])
    before = [p.detach().clone() for p in net.parameters()]
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    with using_path(net, path):
        for _ in range(3):
            optimizer.zero_grad()
            outputs(net, inputs()).square().sum().backward()
            optimizer.step()
            assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in net.parameters())
        assert not any(torch.equal(a, b) for a, b in zip(net.parameters(), before, strict=True))
        net.eval()
        found = outputs(net, inputs())
    # the truth: a plain cell with the weights that there are now
    with torch.no_grad():
        plain = model("gru")
        for layer, theirs in zip(plain.layers, net.layers, strict=True):
            for hook in theirs.cell._forward_pre_hooks.values():
                hook(theirs.cell, ())
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(layer.cell, name).copy_(getattr(theirs.cell, name))
        same(found, outputs(plain, inputs()))


@pytest.mark.parametrize("name", ["weight_drop", "zoneout", "lstm"])
def test_eight_threads_run_a_new_model_as_one_does(name):
    wanted = outputs(model(name), inputs())
    net, begin, faults = model(name), threading.Barrier(8), []

    def work():
        try:
            begin.wait()
            for _ in range(3):
                found = outputs(net, inputs())
                found.sum().backward()
                same(found, wanted)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert all(type(p) is nn.Parameter for p in net.parameters())


def test_the_report_says_that_a_mode_follows_every_operation():
    net = model("gru").to("meta")
    outputs(net, inputs().to("meta"))
    assert {layer["path"] for layer in report(net)} == {"reference"}
    assert all("meta tensors" in str(layer["why"]) for layer in report(net))
