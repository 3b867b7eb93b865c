"""The loss of a batch, and training by it."""

from __future__ import annotations

import torch

from rnnzoo.testing.tasks.subject import TaskSubject, rows_of, splits


def check_loss_is_finite(subject: TaskSubject) -> str:
    """The loss of a batch is one finite number."""
    _, loss = subject.loss(*subject.built())
    subject.require(loss.shape == (), f"loss: expected one number, found shape {tuple(loss.shape)}")
    subject.finite(loss, "loss")
    return f"{loss.item():.3f} before training"


def check_loss_in_any_order(subject: TaskSubject) -> None:
    """A batch in another order has the same loss."""
    task, model, batch = subject.built()
    order = torch.randperm(len(batch)).tolist()
    found, wanted = (subject.loss(task, model, rows_of(batch, rows))[1] for rows in (order, sorted(order)))
    subject.agree(found, wanted, "loss in another order")


def check_loss_is_a_mean_over_its_count(subject: TaskSubject) -> None:
    """Losses of the parts of a batch, weighted by `count`, have the whole's loss as their mean."""
    task, model, batch = subject.built()
    wanted = subject.loss(task, model, batch)[1]
    for how, parts in splits(batch).items():
        counts = [task.count(part) for part in parts]
        subject.require(sum(counts) == task.count(batch), f"count {how}: expected {task.count(batch)}, found {counts}")
        weighted = [n * subject.loss(task, model, part)[1] for n, part in zip(counts, parts, strict=True)]
        subject.agree(sum(weighted, torch.zeros(())) / sum(counts), wanted, f"loss {how}")


def check_gradient_reaches_the_head(subject: TaskSubject) -> None:
    """The loss has a finite gradient for every parameter of the model, the head's included."""
    task, model, batch = subject.built()
    subject.loss(task, model.train(), batch)[1].backward()
    for name, parameter in model.named_parameters():
        subject.reached(name, parameter)


def check_training_lowers_the_loss(subject: TaskSubject) -> str:
    """A hundred steps on one batch bring its loss below two thirds of what it was."""
    task, model, batch = subject.built()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    before = subject.loss(task, model, batch)[1].item()
    model.train()
    for _ in range(100):
        optimizer.zero_grad()
        subject.loss(task, model, batch)[1].backward()
        optimizer.step()
    after = subject.loss(task, model.eval(), batch)[1].item()
    subject.require(after < before - abs(before) / 3, f"loss: expected two thirds of {before:.3f}, found {after:.3f}")
    return f"from {before:.3f} to {after:.3f}"
