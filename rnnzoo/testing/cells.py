"""What every recurrent cell promises, as checks that any cell can be put to.

    report = check_cell("lstm")              # a name, {"name": "zoneout", "cell": "gru"}, or a class
    test_contract = cell_tests("mingru")     # in a test file: one pytest case per check

Each check runs on the CPU, in well under a second but for those that start processes or train.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from rnnzoo import registry
from rnnzoo.cells.base import Cell, CellLike, State, make_cell
from rnnzoo.engine.choose import PATHS
from rnnzoo.engine.recurrence import Recurrence, detach, select
from rnnzoo.engine.sequences import Sequences
from rnnzoo.testing import fresh
from rnnzoo.testing.base import Check, NotApplicable, Report, bind, check_part, tests_of

INPUT, HIDDEN = 5, 8
SIZES = ((INPUT, HIDDEN), (16, 16))  # input_size, hidden_size
LENGTHS = (3, 9, 0, 1, 9, 5)  # steps
TIME = 10  # steps with padding: one more than the longest sequence has
TOLERANCE = 1e-5  # of the largest number that is compared, or of 1
GIVEN = frozenset({"input_size", "hidden_size"})


def check_cell(
    cell: CellLike, expected_failures: Mapping[str, str] | None = None, raise_failures: bool = True
) -> Report:
    """Put a cell to every check: a registered name, a mapping with a name and parameters, or a class.

    expected_failures: by check name, the reason why it does not hold for this cell; added to the class's own attribute
    `expected_failures`. One that holds nevertheless is a failure.
    Raises: ConformanceError, an AssertionError that lists all failed checks, if `raise_failures`; UnknownName.
    """
    subject = Subject(cell)
    return check_part("cell", subject.name, checks_for(cell), subject.declared(expected_failures), raise_failures)


def cell_tests(cell: CellLike, expected_failures: Mapping[str, str] | None = None) -> Callable[..., None]:
    """A pytest test of a cell, one case per check; expected failures are strict xfails with their reason."""
    return tests_of(checks_for(cell), Subject(cell).declared(expected_failures))


def checks_for(cell: CellLike) -> list[Check]:
    """All checks of one cell."""
    return bind([*CHECKS, *PATH_CHECKS], Subject(cell))


# -- the cell under test --------------------------------------------------------------------------------------------


class Subject:
    """A cell under test: how it is named and made, and how what it gives is compared."""

    def __init__(self, cell: CellLike) -> None:
        self.cell = cell
        self.parameters = {k: v for k, v in cell.items() if k != "name"} if isinstance(cell, Mapping) else {}
        plain = cell["name"] if isinstance(cell, Mapping) else cell
        inside = ", ".join(f"{key}={value}" for key, value in self.parameters.items())
        self.name = (plain if isinstance(plain, str) else plain.__qualname__) + (f"({inside})" if inside else "")
        self.maker: Any = registry.load("cells", plain) if isinstance(plain, str) else plain

    def declared(self, expected_failures: Mapping[str, str] | None) -> dict[str, str]:
        """The expected failures of the class and those that are given."""
        return {**getattr(self.maker, "expected_failures", {}), **(expected_failures or {})}

    def make(self, input_size: int = INPUT, hidden_size: int = HIDDEN, seed: int = 1) -> Cell:
        """The cell as it is built, in training mode. Raises: NotApplicable if it does not build."""
        torch.manual_seed(seed)
        try:
            return make_cell(self.cell, input_size, hidden_size)
        except Exception as error:
            raise NotApplicable(f"the cell does not build: {type(error).__name__}: {error}") from error

    def moved(self, seed: int = 1) -> Cell:
        """The cell in evaluation mode, every parameter a little away from where it began, as training leaves it."""
        cell = self.make(seed=seed).eval()
        with torch.no_grad():
            for parameter in cell.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        return cell

    @cached_property
    def _kept(self) -> Cell:
        return self.moved()

    @property
    def kept(self) -> Cell:
        """One `moved` cell for all checks that only run it: paths that generate code do so once."""
        return self._kept.eval()

    @cached_property
    def batch(self) -> tuple[Tensor, Tensor]:
        """x and lengths for other processes: both halves have an empty sequence."""
        return ragged(self.kept, (3, 9, 0, 1, 0, 5))

    @cached_property
    def _elsewhere(self) -> dict[str, Any]:
        return fresh.ask(self.maker, self.parameters, self.kept, *self.batch)

    def elsewhere(self, part: str) -> Any:
        """A part of what `fresh.ask` found, asked once for all checks. Raises: AssertionError, NotApplicable."""
        found = self._elsewhere[part]
        if isinstance(found, dict) and "skipped" in found:
            raise NotApplicable(found["skipped"])
        if isinstance(found, dict) and "error" in found:
            raise AssertionError(f"{self.name}: expected an answer of another process, found {found['error']}")
        return found

    def require(self, condition: bool, told: str) -> None:
        if not condition:
            raise AssertionError(f"{self.name}: {told}")

    def agree(self, found: Any, wanted: Any, what: str, tolerance: float = TOLERANCE) -> None:
        """Compare tensors, or states of tensors, relative to their scale. Raises: AssertionError with both sides."""
        if isinstance(wanted, tuple):
            self.require(len(found) == len(wanted), f"{what}: expected {len(wanted)} tensors, found {len(found)}")
            for k, (a, b) in enumerate(zip(found, wanted, strict=True)):
                self.agree(a, b, f"{what} {k}", tolerance)
            return
        shapes = tuple(found.shape), tuple(wanted.shape)
        self.require(shapes[0] == shapes[1], f"{what}: expected shape {shapes[1]}, found {shapes[0]}")
        if not wanted.numel():
            return
        apart = (found.detach() - wanted.detach()).abs()
        apart = torch.where(found.isnan() & wanted.isnan(), 0, apart).nan_to_num(float("inf"))
        allowed = tolerance * max(1.0, float(wanted.detach().abs().nan_to_num(1, 1, 1).max()))
        place = tuple(int(i) for i in torch.unravel_index(apart.argmax(), apart.shape))
        self.require(
            float(apart.max()) <= allowed,
            f"{what}: expected {wanted[place].item():.6g}, found {found[place].item():.6g} at {list(place)} of "
            f"{list(shapes[0])}, further apart than {allowed:.1g}",
        )

    def finite(self, tensor: Tensor, what: str) -> None:
        bad = int((~tensor.isfinite()).sum())
        self.require(not bad, f"{what}: expected finite numbers, found {bad} of {tensor.numel()} NaN or infinite")


def ragged(cell: Cell, lengths: tuple[int, ...] = LENGTHS, time: int = TIME) -> tuple[Tensor, Tensor]:
    """Random x (batch, time, features) and lengths (batch,)."""
    return torch.randn(len(lengths), time, cell.input_size, dtype=dtype_of(cell)), torch.tensor(lengths)


def dtype_of(cell: Cell) -> torch.dtype:
    return next((p.dtype for p in cell.parameters()), torch.float32)


def some_state(cell: Cell, batch: int) -> State:
    """A state that a few steps have led to; the free ones moved on from there by random numbers."""
    with torch.no_grad():
        state: State | None = None
        for _ in range(3):
            _, state = cell(torch.randn(batch, cell.input_size, dtype=dtype_of(cell)), state)
        assert state is not None
        return tuple(
            s + 0.3 * torch.randn_like(s) if spec.free and differentiable(s) else s.clone()
            for s, spec in zip(state, cell.state_specs(), strict=True)
        )


def differentiable(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


Run = Callable[..., tuple[Tensor, State]]


def run(
    cell: Cell,
    x: Tensor,
    lengths: Tensor | None = None,
    state: State | None = None,
    reverse: bool = False,
    path: str = "reference",
) -> tuple[Tensor, State]:
    """Outputs (batch, time, features), zeros past the ends, and last states, by one of the engine's paths."""
    outputs, last = Recurrence(cell, reverse, path)(Sequences.of(x, lengths), state)
    assert last is not None
    return outputs.padded, last


def run_scan(cell: Cell, x: Tensor, lengths: Tensor | None = None, state: State | None = None) -> tuple[Tensor, State]:
    """The same by the cell's own `scan`."""
    assert cell.scan is not None
    sequences = Sequences.of(x, lengths)
    layout = sequences.layout
    first = cell.initial_state(layout.batch, x) if state is None else state
    rows, last = cell.scan(cell.project(sequences.rows), layout, tuple(layout.sort(s) for s in first))
    return Sequences(layout, rows=rows).padded, tuple(layout.unsort(s) for s in last)


def ways(cell: Cell) -> Iterator[tuple[str, Run]]:
    """How a cell is run in practice: by the reference loop, as the engine chooses, and by its own scan."""
    for path in ("reference", "auto"):
        yield f"on path {path}", partial(run, path=path)
    if cell.scan is not None and not cell.noise:
        yield "by its scan", run_scan


def everything(
    run: Run, cell: Cell, x: Tensor, lengths: Tensor | None, state: State | None, of: str = "outputs and last states"
) -> dict[str, Tensor]:
    """Outputs, last states and every gradient, from what `of` names, by name."""
    leaves = leaves_of(cell, x, state)
    found = results(run, cell, leaves, lengths, state)
    total = weighted({name: t for name, t in found.items() if name in of or ("last" in of and name != "outputs")})
    if not total.requires_grad:
        return found | {f"gradient of {name}": torch.zeros_like(tensor) for name, tensor in leaves.items()}
    gradients = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    zeros = (torch.zeros_like(t) if g is None else g for g, t in zip(gradients, leaves.values(), strict=True))
    return found | {f"gradient of {name}": g for name, g in zip(leaves, zeros, strict=True)}


def leaves_of(cell: Cell, x: Tensor, state: State | None) -> dict[str, Tensor]:
    """What gradient may flow to, by name: x, the states of h0, the parameters."""
    first = {f"h0 {spec.name}": s for spec, s in zip(cell.state_specs(), state or (), strict=False)}
    given = {name: t.detach().clone().requires_grad_() for name, t in {"x": x, **first}.items() if differentiable(t)}
    return given | {name: p for name, p in cell.named_parameters() if p.requires_grad}


def results(
    run: Run, cell: Cell, leaves: Mapping[str, Tensor], lengths: Tensor | None, state: State | None
) -> dict[str, Tensor]:
    """Outputs and last states by name, from the leaves and what of a state is none."""
    specs = cell.state_specs()
    if state is not None:
        state = tuple(leaves.get(f"h0 {spec.name}", s) for spec, s in zip(specs, state, strict=True))
    outputs, last = run(cell, leaves["x"], lengths, state)
    return {"outputs": outputs} | {f"last {spec.name}": s for spec, s in zip(specs, last, strict=True)}


def weighted(tensors: Mapping[str, Tensor]) -> Tensor:
    """One number in which every number of some tensors has its own weight."""
    reals = (torch.view_as_real(t) if t.is_complex() else t for t in tensors.values() if t.requires_grad)
    parts = [(real * torch.linspace(-1, 1, real.numel(), dtype=real.dtype).view_as(real)).sum() for real in reals]
    return torch.stack(parts).sum() if parts else torch.zeros(())


# -- how it is built ------------------------------------------------------------------------------------------------


def check_builds_from_json(subject: Subject) -> str:
    """The constructor takes input_size, hidden_size and plain data with defaults: a recipe can build the cell."""
    from rnnzoo.recipe.schema import signature

    parameters = signature(subject.maker, GIVEN)
    lacking = [name for name, p in parameters.items() if p.required and name not in subject.parameters]
    subject.require(not lacking, f"expected a default for every parameter, found none for {', '.join(lacking)}")
    given = {name: p.default for name, p in parameters.items() if not p.required} | subject.parameters
    given = json.loads(json.dumps(given))
    for sizes in SIZES:
        torch.manual_seed(1)
        plain = make_cell(subject.cell, *sizes).eval()
        torch.manual_seed(1)
        from_json = make_cell(lambda i, h: subject.maker(i, h, **given), *sizes).eval()
        x = torch.randn(2, 4, sizes[0])
        subject.agree(run(from_json, x)[0], run(plain, x)[0], f"outputs when built from {json.dumps(given)}")
    return f"parameters: {', '.join(given) or 'none'}"


def check_initialises_every_parameter(subject: Subject) -> None:
    """The constructor gives every parameter and buffer its numbers: none is what the memory held before."""
    with NanForEmpty():
        cell = make_cell(subject.cell, INPUT, HIDDEN)
    unset = [name for name, tensor in cell.state_dict().items() if differentiable(tensor) and tensor.isnan().any()]
    told = f"expected numbers in every parameter and buffer, found what `torch.empty` left in {', '.join(unset)}"
    subject.require(not unset, told)


class NanForEmpty(TorchDispatchMode):
    """While it is on, memory that was not set holds NaN."""

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), keywords: Any = None
    ) -> Any:
        result = function(*arguments, **(keywords or {}))
        empty = "empty" in function.__name__ and isinstance(result, Tensor) and differentiable(result)
        return result.fill_(float("nan")) if empty else result


def check_declared_state(subject: Subject) -> str:
    """States have the number, shapes, dtypes and device that the cell declares, at the start and after a step."""
    for sizes in SIZES:
        for dtype in (torch.float32, torch.float64):
            cell = subject.make(*sizes).eval().to(dtype)
            specs = cell.state_specs()
            x = torch.randn(3, sizes[0], dtype=dtype)
            first = cell.initial_state(3, x)
            outputs, after = cell(x, first)
            for when, state in {"at the start": first, "after a step": after}.items():
                subject.require(
                    isinstance(state, tuple) and len(state) == len(specs),
                    f"expected a tuple of {len(specs)} states {when}, found {_described(state)}",
                )
                for spec, tensor in zip(specs, state, strict=True):
                    wanted = (3, *spec.shape), spec.dtype_for(dtype)
                    found = tuple(tensor.shape), tensor.dtype
                    told = f"state '{spec.name}' {when}: expected {_kind(*wanted)}, found {_kind(*found)}"
                    subject.require(found == wanted, told)
            for spec, tensor in zip(specs, first, strict=True):
                told = f"state '{spec.name}' at the start: expected {spec.initial} throughout, found other numbers"
                subject.require(bool((tensor == spec.initial).all()), told)
            wanted_output = (3, cell.output_size), dtype
            found_output = tuple(outputs.shape), outputs.dtype
            told = f"output: expected {_kind(*wanted_output)}, found {_kind(*found_output)}"
            subject.require(found_output == wanted_output, told)
    elsewhere = subject.make().initial_state(3, torch.zeros(1, device="meta"))
    told = "initial_state: expected the device of its argument, found another"
    subject.require(all(s.device.type == "meta" for s in elsewhere), told)
    return ", ".join(f"{s.name} {list(s.shape)}" for s in subject.make().state_specs())


def _described(state: Any) -> str:
    return f"{len(state)} in a {type(state).__name__}" if isinstance(state, (tuple, list)) else type(state).__name__


def _kind(shape: tuple[int, ...], dtype: torch.dtype) -> str:
    return f"{str(dtype).removeprefix('torch.')} {list(shape)}"


def check_follows_its_device(subject: Subject) -> None:
    """After `.to(device)` every tensor of the cell is there: parameters and buffers, and no tensor kept aside."""
    cell = subject.make()
    for place, module in cell.named_modules():
        for name, value in vars(module).items():
            told = f"expected every tensor as a parameter or buffer, found '{place + '.' if place else ''}{name}' aside"
            subject.require(not isinstance(value, Tensor), told)
    cell = subject.make().eval().to("meta")
    try:
        outputs, state = cell(torch.zeros(2, cell.input_size, device="meta"))
    except (NotImplementedError, RuntimeError) as error:
        if "meta tensor" in str(error) or "Meta tensor" in str(error):
            raise NotApplicable("its step depends on numbers, which the meta device has not") from error
        raise
    subject.require(all(t.device.type == "meta" for t in (outputs, *state)), "expected results on the cell's device")


# -- what it computes over time -------------------------------------------------------------------------------------


def check_step_equals_sequence(subject: Subject) -> None:
    """A loop of single steps gives what a run over the whole sequence gives."""
    cell = subject.kept
    x, first = torch.randn(4, 7, cell.input_size), some_state(cell, 4)
    for given in (None, first):
        outputs, state = [], given
        for t in range(x.shape[1]):
            y, state = cell(x[:, t], state)
            outputs.append(y)
        whole, last = run(cell, x, state=given)
        subject.agree(whole, torch.stack(outputs, 1), "outputs of the whole sequence, against single steps")
        subject.agree(last, state, "last state of the whole sequence, against single steps")


def check_scan_equals_steps(subject: Subject) -> None:
    """`scan` gives the outputs, last states and gradients of a loop of `step` and `readout`."""
    cell = subject.kept
    if cell.scan is None:
        raise NotApplicable("the cell has no scan")
    if cell.noise:
        raise NotApplicable("scan takes no noise")
    for lengths in (LENGTHS, (9,) * 3, (1,)):
        x, ends = ragged(cell, lengths)
        for state in (None, some_state(cell, len(lengths))):
            wanted = everything(run, cell, x, ends, state)
            for name, found in everything(run_scan, cell, x, ends, state).items():
                subject.agree(found, wanted[name], f"{name} by scan, against steps")


def check_split_invariance(subject: Subject) -> None:
    """A sequence cut anywhere, with carried state, gives the same outputs and the same last state."""
    cell = subject.kept
    x, lengths = ragged(cell)
    first = some_state(cell, len(x))
    for way, run_it in ways(cell):
        whole, last = run_it(cell, x, lengths, first)
        for cuts in ((4,), (1,), (9,), (2, 3, 7)):
            parts, state, begin = [], first, 0
            for end in (*cuts, x.shape[1]):
                part, state = run_it(cell, x[:, begin:end], (lengths - begin).clamp(0, end - begin), state)
                parts.append(part)
                begin = end
            subject.agree(torch.cat(parts, 1), whole, f"outputs of a sequence cut at {list(cuts)} {way}")
            subject.agree(state, last, f"last state of a sequence cut at {list(cuts)} {way}")


def check_padding_invariance(subject: Subject) -> None:
    """What stands past a sequence's end, and how much of it, changes no output, state or gradient."""
    cell = subject.kept
    x, lengths = ragged(cell)
    first = some_state(cell, len(x))
    past = torch.arange(x.shape[1]) >= lengths[:, None]
    for way, run_it in ways(cell):
        wanted = everything(run_it, cell, x, lengths, first)
        for junk in (1e6, float("nan"), float("inf")):
            found = everything(run_it, cell, x.masked_fill(past[..., None], junk), lengths, first)
            for name, value in wanted.items():
                subject.agree(found[name], value, f"{name} with {junk} in the padding {way}")
        longer, last = run_it(cell, F.pad(x, (0, 0, 0, 7)), lengths, first)
        subject.agree(longer[:, : x.shape[1]], wanted["outputs"], f"outputs with more padding {way}")
        for spec, state in zip(cell.state_specs(), last, strict=True):
            subject.agree(state, wanted[f"last {spec.name}"], f"last {spec.name} with more padding {way}")


def check_batch_order_invariance(subject: Subject) -> None:
    """The order of the sequences in a batch changes nothing but the order of the answers."""
    cell = subject.kept
    x, lengths = ragged(cell)
    first = some_state(cell, len(x))
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    for way, run_it in ways(cell):
        outputs, last = run_it(cell, x, lengths, first)
        mixed, end = run_it(cell, x[order], lengths[order], tuple(s[order] for s in first))
        subject.agree(mixed, outputs[order], f"outputs in another batch order {way}")
        subject.agree(end, tuple(s[order] for s in last), f"last state in another batch order {way}")


def check_batch_of_one_invariance(subject: Subject) -> None:
    """A sequence alone gives what it gives in a batch: sequences do not see each other."""
    cell = subject.kept
    x, lengths = ragged(cell)
    first = some_state(cell, len(x))
    for way, run_it in ways(cell):
        outputs, last = run_it(cell, x, lengths, first)
        for row, length in enumerate(LENGTHS):
            if not length:
                continue
            alone, end = run_it(cell, x[row : row + 1, :length], None, tuple(s[row : row + 1] for s in first))
            subject.agree(alone[0], outputs[row, :length], f"outputs of sequence {row} alone {way}")
            subject.agree(tuple(s[0] for s in end), tuple(s[row] for s in last), f"last state of {row} alone {way}")


def check_reverse_is_flipped(subject: Subject) -> None:
    """The backward direction is the forward one over each sequence flipped within its length."""
    cell = subject.kept
    x, lengths = ragged(cell)
    first = some_state(cell, len(x))
    outputs, last = run(cell, x, lengths, first, reverse=True)
    mirrored, end = run(cell, _flipped(x), lengths, first)
    subject.agree(outputs, _flipped(mirrored), "outputs of the backward direction")
    subject.agree(last, end, "last state of the backward direction")


def _flipped(x: Tensor) -> Tensor:
    flipped = x.clone()
    for row, length in enumerate(LENGTHS):
        flipped[row, :length] = x[row, :length].flip(0)
    return flipped


def check_empty_sequences(subject: Subject) -> None:
    """A sequence of length 0 gives no output, and gives back its first state, the initial one if none was given."""
    cell = subject.kept
    for lengths in (LENGTHS, (0, 0)):
        x, ends = ragged(cell, lengths)
        empty = ends == 0
        given = some_state(cell, len(x))
        for state in (None, given):
            outputs, last = run(cell, x, ends, state)
            wanted = cell.initial_state(len(x), x) if state is None else state
            subject.agree(tuple(s[empty] for s in last), tuple(s[empty] for s in wanted), "state of an empty sequence")
            subject.agree(outputs[empty], torch.zeros_like(outputs[empty]), "outputs of an empty sequence")


def check_causality(subject: Subject) -> None:
    """A later input changes no earlier output."""
    cell = subject.kept
    x = torch.randn(3, 8, cell.input_size)
    for way, run_it in ways(cell):
        outputs, _ = run_it(cell, x)
        for t in (1, 4, 7):
            later = x.clone()
            later[:, t:] += torch.randn_like(later[:, t:])
            subject.agree(
                run_it(cell, later)[0][:, :t], outputs[:, :t], f"outputs before step {t}, changed after {way}"
            )


def check_inputs_unchanged(subject: Subject) -> None:
    """`project`, `step` and `readout` change neither their inputs nor a given state in place."""
    cell = subject.kept
    x, first = torch.randn(3, cell.input_size), some_state(cell, 3)
    masks = [torch.full((3, *spec.shape), 1 - spec.rate) for spec in cell.noise]
    with torch.no_grad():
        with unchanged(subject, "project", x):
            gx = cell.project(x)
        with unchanged(subject, "step", gx, first, masks):
            after = cell.step(gx, first, *masks)
        with unchanged(subject, "readout", gx, after):
            cell.readout(gx, after)


class unchanged:
    """Demands that the tensors in some values are, at the end of a with block, as they were at its start."""

    def __init__(self, subject: Subject, method: str, *values: Any) -> None:
        self.subject, self.method, self.tensors = subject, method, list(_tensors(values))

    def __enter__(self) -> None:
        self.before = [tensor.clone() for tensor in self.tensors]

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            same = all(map(torch.equal, self.tensors, self.before))
            self.subject.require(
                same, f"{self.method}: expected its arguments as they were, found one changed in place"
            )


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)


def check_state_reorder(subject: Subject) -> None:
    """States can be chosen, repeated and reordered between steps, as beam search does."""
    cell = subject.kept
    x, state = torch.randn(4, cell.input_size), some_state(cell, 4)
    index = torch.tensor([3, 3, 0])
    outputs, after = cell(x, state)
    chosen, end = cell(x[index], select([state], index)[0])
    subject.agree(chosen, outputs[index], "outputs of chosen sequences")
    subject.agree(end, select([after], index)[0], "states of chosen sequences")


# -- randomness -----------------------------------------------------------------------------------------------------


def check_eval_is_deterministic(subject: Subject) -> None:
    """In evaluation the same input gives the same numbers, whatever ran before, and draws no random number."""
    cell = subject.kept
    x, lengths = ragged(cell)
    for way, run_it in ways(cell):
        outputs, last = run_it(cell, x, lengths)
        generator = torch.get_rng_state()
        run_it(cell, x[:, :6] + 1)
        drawn = not torch.equal(generator, torch.get_rng_state())
        subject.require(not drawn, f"expected no random number drawn in evaluation, found some {way}")
        again, end = run_it(cell, x, lengths)
        subject.agree(again, outputs, f"outputs of a second run in evaluation {way}", 0)
        subject.agree(end, last, f"last state of a second run in evaluation {way}", 0)


def check_noise_is_the_engines(subject: Subject) -> str:
    """In training a step draws no random number: the engine does, by `noise`, so that every path sees the same."""
    cell = subject.moved().train()
    x, state = torch.randn(4, cell.input_size), some_state(cell, 4)
    masks = [torch.bernoulli(torch.full((4, *spec.shape), 1 - spec.rate)) for spec in cell.noise]
    generator, results = torch.get_rng_state(), []
    for _ in range(2):
        gx = cell.project(x)
        after = cell.step(gx, state, *masks)
        results.append((cell.readout(gx, after), *after))
    drawn = not torch.equal(generator, torch.get_rng_state())
    told = "expected a step in training to draw no random number (declare `noise`), found it drew some"
    subject.require(not drawn, told)
    subject.agree(results[1], results[0], "a second step in training with the same masks", 0)
    x, lengths = ragged(cell)
    torch.manual_seed(3)
    wanted = run(cell, x, lengths)[0]
    torch.manual_seed(3)
    subject.agree(run(cell, x, lengths)[0], wanted, "outputs in training with the same seed", 0)
    return f"masks: {', '.join(f'{s.rate} per {s.per}' for s in cell.noise) or 'none'}"


# -- gradients ------------------------------------------------------------------------------------------------------


def check_gradient_reaches_everything(subject: Subject) -> None:
    """Gradient reaches every parameter, the input of every step, every free first state, and goes through time."""
    cell = subject.moved()
    x, lengths = ragged(cell, (3, 4, 1, 4), 5)
    state = some_state(cell, 4)
    found = everything(run, cell, x, lengths, state)
    free = {f"gradient of h0 {spec.name}": spec.free for spec in cell.state_specs()}
    for name, gradient in found.items():
        if name.startswith("gradient"):
            self_kept = free.get(name, True)
            told = f"{name}: expected it to be other than zero somewhere, found zeros"
            subject.require(not self_kept or bool(gradient.any()), told)
            subject.finite(gradient, name)
    per_step = found["gradient of x"].abs().sum(-1)
    valid = torch.arange(5) < lengths[:, None]
    told = "gradient of x: expected some at every step of every sequence and none in the padding, found "
    subject.require(bool((per_step > 0)[valid].all()), told + "a step without")
    subject.require(not bool(per_step[~valid].any()), told + "some in the padding")
    x = x.detach().requires_grad_()
    outputs, _ = run(cell, x[:, :3])
    (gradient,) = torch.autograd.grad((outputs[:, -1] * torch.linspace(-1, 1, outputs.shape[-1])).sum(), x)
    told = "gradient of the last output: expected it to reach the first input through the state, found zeros there"
    subject.require(bool(gradient[:, 0].any()), told)


STRIDE = 1e-6  # of finite differences, in float64


def check_gradcheck(subject: Subject) -> None:
    """In float64 the gradient is what finite differences say it is, along a random direction of every leaf."""
    cell = subject.moved().double()
    x, lengths = ragged(cell, (3, 0, 2), 3)
    state = some_state(cell, 3)
    found = everything(run, cell, x, lengths, state)
    leaves = leaves_of(cell, x, state)
    fixed = [f"h0 {spec.name}" for spec in cell.state_specs() if not spec.free]
    for name, leaf in leaves.items():
        if name in fixed:
            continue
        direction, start = torch.randn_like(leaf), leaf.detach().clone()
        ends = []
        for stride in (STRIDE, -STRIDE):
            leaf.data = start + stride * direction
            ends.append(weighted(results(run, cell, leaves, lengths, state)).detach())
        leaf.data = start
        wanted = (ends[0] - ends[1]) / (2 * STRIDE)
        slope = (found[f"gradient of {name}"].conj() * direction).sum().real
        subject.agree(slope, wanted, f"slope along a direction of {name}, against finite differences")


def check_detach_cuts(subject: Subject) -> None:
    """A detached state carries its numbers on, and no gradient back: truncated backpropagation through time."""
    cell = subject.moved()
    x = torch.randn(2, 6, cell.input_size, requires_grad=True)
    _, middle = run(cell, x[:, :3])
    cut = detach([middle])[0]
    subject.agree(cut, middle, "a detached state", 0)
    outputs, _ = run(cell, x[:, 3:], state=cut)
    whole, _ = run(cell, x)
    subject.agree(outputs, whole[:, 3:], "outputs after a detached state")
    (gradient,) = torch.autograd.grad(outputs.square().sum(), x)
    subject.require(not gradient[:, :3].any(), "expected no gradient before a detached state, found some")
    subject.require(bool(gradient[:, 3:].any()), "expected gradient after a detached state, found none")


# -- the engine's paths ---------------------------------------------------------------------------------------------


COMPILING = ("compiled",)  # paths that compile anew for each mode and kind of input: checked in one, if asked for
COMPILE = "RNNZOO_CHECK_COMPILED"


def path_check(path: str) -> Callable[[Subject], str]:
    """The check of one path of the engine against the reference loop."""

    def check(subject: Subject) -> str:
        cell = subject.kept
        x, lengths = ragged(cell)
        refusal = PATHS[path].refuses(cell, Sequences.of(x, lengths))
        if refusal is not None:
            raise NotApplicable(refusal)
        if path in COMPILING and not os.environ.get(COMPILE):
            raise NotApplicable(f"it takes a minute to compile; {COMPILE}=1 in the environment checks it")
        given = some_state(cell, len(x))
        sources = ("outputs and last states", "outputs", "last states")
        cases = itertools.product((False, True), (False, True), (None, given), sources)
        if path in COMPILING:
            cases = itertools.product((True,), (False, True), (given,), sources[:1])
        for training, reverse, state, of in cases:
            cell.train(training)
            found, wanted = (
                _seeded_run(partial(run, reverse=reverse, path=p), cell, x, lengths, state, of)
                for p in (path, "reference")
            )
            case = f"{'training' if training else 'evaluation'}, {'backward' if reverse else 'forward'}, "
            case += f"h0 {'not given' if state is None else 'given'}, gradient of {of}"
            for name, value in wanted.items():
                subject.agree(found[name], value, f"{name} on path {path} ({case})")
        layer = Recurrence(cell.eval(), path=path)
        with torch.no_grad():
            without, _ = layer(Sequences.of(x, lengths))
        subject.agree(without.padded, run(cell, x, lengths)[0], f"outputs without gradient on path {path}")
        reported = dict(layer.ran), bool(layer.why)
        told = f"expected path {path} to be reported with a reason, found {reported[0]} and {layer.why!r}"
        subject.require(reported == ({path: 1}, True), told)
        return "equals the reference"

    check.__name__ = f"check_path_{path}"
    check.__doc__ = f"The engine's path {path} equals the reference in outputs, last states and every gradient."
    return check


def _seeded_run(run_it: Run, *arguments: Any) -> dict[str, Tensor]:
    torch.manual_seed(7)  # masks in training are the same then
    return everything(run_it, *arguments)


# -- numbers --------------------------------------------------------------------------------------------------------


def check_keeps_float64(subject: Subject) -> None:
    """A cell in float64 gives float64, and the numbers of float32 to float32's precision."""
    cell = subject.moved()
    x, lengths = ragged(cell)
    outputs, last = run(cell, x, lengths)
    exact, end = run(cell.double(), x.double(), lengths)
    subject.require(exact.dtype == torch.float64, f"outputs: expected float64 from float64, found {exact.dtype}")
    subject.agree(outputs.double(), exact, "outputs in float32, against float64", 1e-4)
    subject.agree(tuple(s.to(e.dtype) for s, e in zip(last, end, strict=True)), end, "last state in float32", 1e-4)


def check_autocast(subject: Subject) -> None:
    """Under bf16 autocast outputs, states and gradients are finite, and parameters keep gradients of their own type."""
    for training in (False, True):
        cell = subject.moved().train(training)
        x, lengths = ragged(cell)
        for path in ("auto", "reference"):
            with torch.autocast("cpu", torch.bfloat16):
                outputs, last = run(cell, x, lengths, path=path)
            for what, tensor in {"outputs": outputs, **{f"state {k}": s for k, s in enumerate(last)}}.items():
                subject.finite(tensor, f"{what} under bf16 autocast")
            parameters = [p for p in cell.parameters() if p.requires_grad]
            gradients = torch.autograd.grad(outputs.float().square().sum(), parameters, allow_unused=True)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    subject.finite(gradient, "gradients under bf16 autocast")
                    subject.require(gradient.dtype == parameter.dtype, "gradients: expected the parameters' dtype")


def check_finite_for_large_inputs(subject: Subject) -> None:
    """Inputs of 1e4 in size give finite outputs, states and gradients."""
    cell = subject.make().eval()
    x, lengths = ragged(cell)
    found = everything(run, cell, 1e4 * x.sign(), lengths, None)
    for name, tensor in found.items():
        subject.finite(tensor, f"{name} for inputs of 1e4")


def check_finite_for_long_sequences(subject: Subject) -> None:
    """Two thousand steps give finite outputs and states."""
    cell = subject.make().eval()
    with torch.no_grad():
        outputs, last = run(cell, torch.randn(2, 2000, cell.input_size))
    for what, tensor in {"outputs": outputs, **{f"state {k}": s for k, s in enumerate(last)}}.items():
        subject.finite(tensor, f"{what} after 2000 steps")


# -- copies and files -----------------------------------------------------------------------------------------------


def check_deepcopy(subject: Subject) -> None:
    """A deep copy gives the same numbers, and shares no tensor."""
    cell = subject.moved()
    x, lengths = ragged(cell)
    wanted = run(cell, x, lengths)
    twin = copy.deepcopy(cell)
    subject.agree(run(twin, x, lengths), wanted, "a deep copy")
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    subject.agree(run(cell, x, lengths), wanted, "the cell after its copy was changed", 0)


def check_state_dict_round_trip(subject: Subject) -> None:
    """Another cell gives the same numbers once it has loaded the `state_dict`: all that was learnt is in it."""
    cell, other = subject.moved(), subject.make(seed=2).eval()
    other.load_state_dict(cell.state_dict(), strict=True)
    x, lengths = ragged(cell)
    subject.agree(run(other, x, lengths), run(cell, x, lengths), "a cell with the same state_dict")


# -- training -------------------------------------------------------------------------------------------------------


def check_every_parameter_learns(subject: Subject) -> None:
    """One step of an optimiser changes every parameter, and leaves all of them finite."""
    cell = subject.make()
    x, lengths = ragged(cell)
    before = {name: p.detach().clone() for name, p in cell.named_parameters() if p.requires_grad}
    optimizer = torch.optim.Adam(cell.parameters(), 1e-2)
    outputs, last = run(cell, x, lengths)
    loss = (outputs - 1).square().mean() + sum((s.abs() - 1).square().mean() for s in last if s.requires_grad)
    loss.backward()
    optimizer.step()
    same = [name for name, p in cell.named_parameters() if name in before and torch.equal(p, before[name])]
    told = f"expected every parameter to change in a step of training, found unchanged: {', '.join(same)}"
    subject.require(not same, told)
    for name, parameter in cell.named_parameters():
        subject.finite(parameter, f"{name} after a step of training")


COPIED = 8  # sequences, their steps, and tokens
RATES = (2e-2, 5e-3)  # of learning, tried in turn


def check_overfits_copy(subject: Subject) -> str:
    """Trained on eight sequences with the same end, the cell names the first token of each, from memory."""
    rights = []
    for rate in RATES:
        steps, right = _trained_to_copy(subject.make(16, 16), rate)
        if right == COPIED:
            return f"after {steps} steps at a rate of {rate}"
        rights.append(str(right))
    found = " and ".join(rights)
    raise AssertionError(f"{subject.name}: expected {COPIED} of {COPIED} first tokens after training, found {found}")


def _trained_to_copy(cell: Cell, rate: float) -> tuple[int, int]:
    """Train a cell for at most 400 steps. Returns the steps it took, and how many sequences it is right about."""
    head = nn.Linear(cell.output_size, COPIED)
    tokens = torch.randint(COPIED, (COPIED, COPIED))
    tokens[:, 0], tokens[:, -1] = torch.arange(COPIED), 0
    x, target = F.one_hot(tokens, cell.input_size).float(), torch.arange(COPIED)
    layer = Recurrence(cell)
    parameters = [*cell.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, rate)
    right = 0
    for step in range(1, 401):
        loss = F.cross_entropy(head(layer.train()(Sequences.of(x))[0].at_ends()), target)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 10 == 0:
            with torch.no_grad():
                answers = head(layer.eval()(Sequences.of(x))[0].at_ends()).argmax(-1)
            right = int((answers == target).sum())
            if right == COPIED:
                break
    return step, right


# -- other processes ------------------------------------------------------------------------------------------------


def check_no_work_at_import(subject: Subject) -> None:
    """Importing the cell's module defines it and does nothing else: no output, thread, random number, heavy import."""
    did = subject.elsewhere("import")
    subject.require(not did, f"expected an import that only defines, found {'; '.join(did)}")


def check_reload_in_a_fresh_process(subject: Subject) -> None:
    """Another process that loads the checkpoint gives the same outputs and last states."""
    found = subject.elsewhere("reload")
    for name, wanted in fresh.outcome(subject.kept, *subject.batch).items():
        subject.agree(found[name], wanted, f"{name} in a fresh process")


def check_two_processes_equal_one(subject: Subject) -> None:
    """A step of two processes over halves of a batch (gloo, DistributedDataParallel) is that of one over all of it."""
    found = subject.elsewhere("ddp")
    cell = copy.deepcopy(subject.kept)
    wanted = fresh.gradients(fresh.Outcome(cell), cell, *subject.batch)
    subject.require(
        found.keys() == wanted.keys(),
        f"expected gradients of {', '.join(wanted)} in two processes, found those of {', '.join(found) or 'none'}",
    )
    for name, gradient in wanted.items():
        subject.agree(found[name], gradient, f"gradient of {name} in two processes")


CHECKS: tuple[Callable[[Subject], str | None], ...] = (
    check_builds_from_json,
    check_initialises_every_parameter,
    check_declared_state,
    check_follows_its_device,
    check_step_equals_sequence,
    check_scan_equals_steps,
    check_split_invariance,
    check_padding_invariance,
    check_batch_order_invariance,
    check_batch_of_one_invariance,
    check_reverse_is_flipped,
    check_empty_sequences,
    check_causality,
    check_inputs_unchanged,
    check_state_reorder,
    check_eval_is_deterministic,
    check_noise_is_the_engines,
    check_gradient_reaches_everything,
    check_gradcheck,
    check_detach_cuts,
    check_keeps_float64,
    check_autocast,
    check_finite_for_large_inputs,
    check_finite_for_long_sequences,
    check_deepcopy,
    check_state_dict_round_trip,
    check_every_parameter_learns,
    check_overfits_copy,
    check_no_work_at_import,
    check_reload_in_a_fresh_process,
    check_two_processes_equal_one,
)
PATH_CHECKS = tuple(path_check(path) for path in PATHS if path != "reference")
