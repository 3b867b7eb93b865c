"""Where random numbers are drawn, and where not."""

from __future__ import annotations

import torch

from rnnzoo.testing.cells.running import run, ways
from rnnzoo.testing.cells.subject import CellSubject, ragged, some_state


def check_eval_is_deterministic(subject: CellSubject) -> None:
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


def check_noise_is_the_engines(subject: CellSubject) -> str:
    """In training a step draws no random number: the engine does, by `noise`, so that every path sees the same."""
    cell = subject.moved().train()
    x, state = torch.randn(4, cell.input_size), some_state(cell, 4)
    masks = [torch.bernoulli(torch.full((4, *spec.shape), 1 - spec.rate)) for spec in cell.noise]
    generator, results = torch.get_rng_state(), []
    for _ in range(2):
        gx = cell.project(x)
        after = cell.as_state(cell.step(gx, state, *masks))
        results.append((cell.readout(gx, after), *after))
    drawn = not torch.equal(generator, torch.get_rng_state())
    message = "expected a step in training to draw no random number (declare `noise`), found it drew some"
    subject.require(not drawn, message)
    subject.agree(results[1], results[0], "a second step in training with the same masks", 0)
    x, lengths = ragged(cell)
    torch.manual_seed(3)
    wanted = run(cell, x, lengths)[0]
    torch.manual_seed(3)
    subject.agree(run(cell, x, lengths)[0], wanted, "outputs in training with the same seed", 0)
    return f"masks: {', '.join(f'{s.rate} per {s.per}' for s in cell.noise) or 'none'}"
