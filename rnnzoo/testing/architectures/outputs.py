"""What an architecture says of itself, and the shapes of what it gives."""

from __future__ import annotations

import torch

from rnnzoo.architectures.base import CAUSAL, EACH, SEQUENCE
from rnnzoo.architectures.encoded import Encoded
from rnnzoo.testing.architectures.subject import (
    ANSWERS,
    INPUT,
    TIME,
    ArchitectureSubject,
    answer,
    batch_of,
)


def check_answers(subject: ArchitectureSubject) -> str:
    """`answers` names shapes of answer that there are, and says the same each time."""
    found = subject.answers
    message = f"answers: expected some of {', '.join(sorted(ANSWERS))}, found {found!r}"
    subject.require(isinstance(found, frozenset) and bool(found) and found <= ANSWERS, message)
    subject.require(found == subject.answers, "answers: expected the same twice")
    subject.require(CAUSAL not in found or EACH in found, "answers: causal is one answer a step, many_to_many as well")
    decodes = subject.network().target_decoder() is not None
    message = "answers: expected a target_decoder() where sequence_to_sequence is named, and nowhere else"
    subject.require(decodes == (SEQUENCE in found), message)
    return ", ".join(sorted(found))


def check_shapes(subject: ArchitectureSubject) -> str:
    """Outputs, last and state have the shapes that are promised; outputs are zeros past the ends."""
    network = subject.network()
    subject.require(network.input_size == INPUT, f"input_size: expected {INPUT}, found {network.input_size}")
    x, lengths = batch_of()
    encoded = network(x, lengths)
    subject.require(isinstance(encoded, Encoded), f"expected an Encoded, found a {type(encoded).__name__}")
    size = network.output_size
    decoder = network.target_decoder()
    if decoder is not None:
        decoded, wanted = answer(network, x, lengths)["decoded"].shape, (len(x), 3, decoder.output_size)
        subject.require(decoded == wanted, f"features of 3 steps: expected shape {wanted}, found {tuple(decoded)}")
        size = encoded.outputs.shape[-1]
    for what, tensor, shape in (
        ("outputs", encoded.outputs, (*x.shape[:2], size)),
        ("last", encoded.last, (len(x), size)),
    ):
        subject.require(tensor.shape == shape, f"{what}: expected shape {shape}, found {tuple(tensor.shape)}")
        subject.finite(tensor, what)
    past = torch.arange(TIME) >= lengths[:, None]
    subject.require(not encoded.outputs[past].any(), "outputs: expected zeros past the ends, found others")
    subject.require(not encoded.last[lengths == 0].any(), "last: expected zeros for an empty sequence, found others")
    message = "state: expected a list with a tuple of (batch, ...) tensors for each layer and direction"
    state = encoded.state
    subject.require(isinstance(state, list) and all(isinstance(layer, tuple) for layer in state), message)
    subject.require(all(len(tensor) == len(x) for layer in state or () for tensor in layer), message)
    without = network(x, lengths, need_state=False)
    subject.require(without.state is None, "need_state=False: expected no state, found one")
    subject.agree(without.outputs, encoded.outputs, "outputs with need_state=False")
    return f"output_size={network.output_size}"
