"""The range of each quantity, by its standard name: one table for constructors and for recipes.

A part's parameter that carries one of these names is checked against it, a plugin's too, so that a recipe's mistakes
are found together, before anything is built.
"""

import math
from typing import Any, NamedTuple


class Limit(NamedTuple):
    """Numbers from `low` to `high`; `open_low` leaves out `low` itself, `open_high` leaves out `high`."""

    whole: bool
    low: float
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        if self.high == math.inf:
            return f"{kind} {'>' if self.open_low else '>='} {self.low}"
        return f"{kind} in {'(' if self.open_low else '['}{self.low}, {self.high}{')' if self.open_high else ']'}"

    def holds(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            return False
        if not math.isfinite(value):
            return False
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)


COUNT = Limit(True, 1)
SIZE = Limit(True, 1, 1_000_000)  # a layer's width: more than this is a slip of the finger, not a model
PROBABILITY = Limit(False, 0, 1, open_high=True)

LIMITS = {
    "input_size": SIZE,
    "hidden_size": SIZE,
    "output_size": SIZE,
    "embedding_size": SIZE,
    "character_size": SIZE,
    "character_filters": SIZE,
    "filters": SIZE,
    "case_size": SIZE,
    "word_column": COUNT,
    "tag_column": COUNT,
    "last_hidden_size": SIZE,
    "proj_size": SIZE,
    "num_layers": Limit(True, 1, 1000),
    "num_heads": COUNT,
    "chrono_steps": Limit(True, 3),
    "vocab_size": Limit(True, 5, 100_000_000),
    "min_freq": COUNT,
    "max_length": COUNT,
    "batch_size": COUNT,
    "eval_batch_size": COUNT,
    "batch_tokens": COUNT,
    "tbptt_steps": COUNT,
    "lookback": COUNT,
    "horizon": COUNT,
    "segment": COUNT,
    "length": COUNT,
    "beam": COUNT,
    "length_penalty": Limit(False, 0),
    "temperature": Limit(False, 0),
    "top_k": COUNT,
    "top_p": Limit(False, 0, 1, open_low=True),
    "n_mels": Limit(True, 1, 1000),
    "window_ms": Limit(False, 0, 10_000, open_low=True),
    "hop_ms": Limit(False, 0, 10_000, open_low=True),
    "stack": Limit(True, 1, 1000),
    "shift": Limit(True, 0, 1000),
    "max_epochs": COUNT,
    "accumulate_grad_batches": COUNT,
    "log_every_n_steps": COUNT,
    "patience": COUNT,
    "examples": COUNT,
    "seed": Limit(True, 0, 2**32 - 1),
    "split_seed": Limit(True, 0, 2**32 - 1),
    "dropout": PROBABILITY,
    "rate": PROBABILITY,
    "embedding_dropout": PROBABILITY,
    "word_dropout": PROBABILITY,
    "type_dropout": PROBABILITY,
    "rare_word_dropout": Limit(False, 0),
    "locked_dropout": PROBABILITY,
    "label_smoothing": PROBABILITY,
    "dev_fraction": Limit(False, 0, 1, open_low=True, open_high=True),
    "teacher_forcing": Limit(False, 0, 1),
    "teacher_forcing_end": Limit(False, 0, 1),
    "teacher_forcing_steps": COUNT,
    "lr": Limit(False, 0, open_low=True),
    "weight_decay": Limit(False, 0),
    "momentum": PROBABILITY,
    "warmup": Limit(False, 0, 1, open_high=True),
    "gradient_clip_val": Limit(False, 0, open_low=True),
}


def problem(name: str, value: Any) -> str | None:
    """What is wrong with `value` as the quantity `name`; None if nothing is, or the name has no limit.

    None as a value means "not set" and is left to the parameter's type.
    """
    limit = LIMITS.get(name)
    if limit is None or value is None or limit.holds(value):
        return None
    return f"must be {limit}, got {value!r}"


def check(**values: Any) -> None:
    """Raises ValueError for the first value outside its limit, as in `check(hidden_size=0)`."""
    for name, value in values.items():
        wrong = problem(name, value)
        if wrong:
            raise ValueError(f"{name} {wrong}")
