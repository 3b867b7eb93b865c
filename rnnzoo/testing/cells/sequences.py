"""What a cell computes over time: steps, cuts, padding, the order of a batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from rnnzoo.testing.base import NotApplicable
from rnnzoo.testing.cells.running import everything, run, run_scan, ways
from rnnzoo.testing.cells.subject import LENGTHS, CellSubject, ragged, some_state


def check_step_equals_sequence(subject: CellSubject) -> None:
    """A loop of single steps gives what a run over the whole sequence gives."""
    cell = subject.kept
    x, first = torch.randn(4, 7, cell.input_size), some_state(cell, 4)
    for start in (None, first):
        outputs, state = [], start
        for t in range(x.shape[1]):
            y, state = cell(x[:, t], state)
            outputs.append(y)
        whole, last = run(cell, x, state=start)
        assert state is not None
        subject.agree(whole, torch.stack(outputs, 1), "outputs of the whole sequence, against single steps")
        subject.agree(last, state, "last state of the whole sequence, against single steps")


def check_scan_equals_steps(subject: CellSubject) -> None:
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


def check_split_invariance(subject: CellSubject) -> None:
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


def check_padding_invariance(subject: CellSubject) -> None:
    """What is past a sequence's end, and how much of it, changes no output, state or gradient."""
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


def check_batch_order_invariance(subject: CellSubject) -> None:
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


def check_batch_of_one_invariance(subject: CellSubject) -> None:
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


def check_reverse_is_flipped(subject: CellSubject) -> None:
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


def check_empty_sequences(subject: CellSubject) -> None:
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


def check_causality(subject: CellSubject) -> None:
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
