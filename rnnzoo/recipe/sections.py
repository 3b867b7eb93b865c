"""The sections of a recipe that are Lightning's and the tracker's business: how to run it, what to tell.

Each class here is the schema of a section: its parameters with their types, ranges and defaults.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from rnnzoo.limits import Count, Fraction, Limit, Positive, Seed, Share
from rnnzoo.registry import Part

Devices = Count | Literal[-1, "auto"] | list[Annotated[int, Limit(0)]]
Strategy = Literal[  # Lightning's names, but for fsdp2; some are refused by `make_trainer`
    "auto",
    "ddp",
    "ddp_find_unused_parameters_true",
    "ddp_spawn",
    "ddp_spawn_find_unused_parameters_true",
    "ddp_fork",
    "ddp_fork_find_unused_parameters_true",
    "ddp_notebook",
    "ddp_notebook_find_unused_parameters_true",
    "fsdp2",
    "fsdp",
    "fsdp_cpu_offload",
    "deepspeed",
    "deepspeed_stage_1",
    "deepspeed_stage_2",
    "deepspeed_stage_2_offload",
    "deepspeed_stage_3",
    "deepspeed_stage_3_offload",
]
BatchLimit = Annotated[int, Limit(0)] | Share  # a number of batches, or a share of them: 1 is not 1.0


@dataclass(frozen=True)
class RunOptions:
    """The keys beside the sections. seed: of all random numbers. engine: how cells run over time."""

    seed: Seed = 1
    engine: Literal["auto", "fused", "native", "triton", "scan", "linear", "compiled", "deferred", "reference"] = "auto"


Epochs = Annotated[int, Limit(0)] | Literal["always"]  # for which a part is frozen


@dataclass(frozen=True)
class TransferOptions:
    """How training starts from a trained model. A complete recipe has each of these keys only where it is set.

    init_from: a run's folder or id, a shipped model's name, or hf://owner/name: what fits of its weights is taken.
    freeze: by part of the model, such as "inputs" or "architecture", for how many epochs its weights stay as they are,
    or "always".
    layer_decay: the learning rate of each layer as a share of that of the layer above it. The head has the optimizer's.
    """

    init_from: str | None = None
    freeze: dict[str, Epochs] | None = None
    layer_decay: Annotated[float, Limit(0, 1, open_low=True)] | None = None


@dataclass(frozen=True)
class TrainerOptions:
    """Arguments of `lightning.Trainer`, by its names.

    devices: how many, -1 for all, "auto" for all of an accelerator (one process on the CPU), or a list of indices.
    limit_*_batches, overfit_batches: a whole number of batches, or a share of them as a float; None is all.
    max_time: "00:12:00:00", in days, hours, minutes and seconds: training ends with the batch in which it is over.
    precision: "auto" is bf16-mixed where the processor or GPU computes in bfloat16, and else 32-true.
    gradient_clip_val: the largest norm, or the largest value, of the gradient.
    exact: bitwise the same weights for 1, 2 and 4 processes, on the CPU with one thread each. `data.batch_size` is then
    that of all processes together. See docs/many_machines.md.
    """

    max_epochs: Count = 5
    max_steps: Annotated[int, Limit(-1)] = -1
    max_time: str | None = None
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"] = "auto"
    devices: Devices = 1
    num_nodes: Count = 1
    strategy: Strategy = "auto"
    precision: Literal["auto", "32-true", "16-mixed", "bf16-mixed", "16-true", "bf16-true", "64-true"] = "32-true"
    gradient_clip_val: Positive | None = None
    gradient_clip_algorithm: Literal["norm", "value"] = "norm"
    accumulate_grad_batches: Count = 1
    limit_train_batches: BatchLimit | None = None
    limit_val_batches: BatchLimit | None = None
    limit_test_batches: BatchLimit | None = None
    overfit_batches: BatchLimit = 0.0
    val_check_interval: Count | Annotated[float, Limit(0, 1, open_low=True)] | None = None
    check_val_every_n_epoch: Count = 1
    log_every_n_steps: Count = 50
    deterministic: bool = False
    detect_anomaly: bool = False
    fast_dev_run: bool | Count = False
    enable_progress_bar: bool = True
    exact: bool = False


@dataclass(frozen=True)
class LoaderOptions:
    """What a recipe's `data` may say of any data set: how its batches are loaded, which changes none of them.

    num_workers: processes for each part that make batches ahead of their use; 0 makes them when they are needed.
    """

    num_workers: Annotated[int, Limit(0)] = 0


@dataclass(frozen=True)
class StreamingOptions:
    """Data larger than memory, of any data set of text. A complete recipe has these keys only where they are set.

    streaming: rows are read some at a time, and encoded once into files of the user's cache, from which every process
    takes its batches. window: so many neighbouring rows are sorted by length and shuffled at a time, 100,000 if not
    given; with all rows or more, batches are those of rows in memory.
    """

    streaming: bool = False
    window: Count | None = None


@dataclass(frozen=True)
class FoldOptions:
    """Cross-validation, of any data set: `rnnzoo fit RECIPE --folds 5` trains each fold.

    A complete recipe has these keys only where they are set.
    folds: into how many parts the rows of train and dev are cut. fold: which of them is the dev split, from 1.
    """

    folds: Annotated[int, Limit(2, 1000)] | None = None
    fold: Count | None = None


@dataclass(frozen=True)
class BadNumbersOptions:
    """What follows on a step whose loss or gradient is NaN or infinite.

    policy: "stop" ends the run before the step is made. "skip" leaves the step out: no weight moves, and its batches
    count in no metric. "rollback" also returns to the weights and the optimizer's state of at least `every_n_steps`
    steps before, and goes on with the next batches at `lr_factor` times the learning rate. at_most: so many times in a
    run; the next one ends it.
    """

    policy: Literal["stop", "skip", "rollback"] = "stop"
    at_most: Count = 5
    lr_factor: Fraction = 0.5
    every_n_steps: Count = 100


@dataclass(frozen=True)
class TrackingOptions:
    """What is logged to Weights & Biases, if anything, and to other trackers; a run's own files are always written.

    mode: of W&B. "auto" is online where a key is configured and offline where none is. What is left open is as W&B's
    environment says (WANDB_PROJECT, WANDB_NAME, WANDB_RUN_GROUP, ...), or `wandb init`; then the project is "rnnzoo",
    and a run is named after its recipe, parts and seed. job_type: "fit" if nobody says otherwise. notes: some lines.
    also: trackers beside W&B, by name or with settings.
    checkpoints: when trackers that keep models get the best one and the latest: at the end of the run, after each
    validation, or never. W&B's list of a model's files tells its server their paths on this machine.
    predictions: what the run's folder keeps of each example of the test: its counts for each metric and its texts,
    the counts alone, or nothing. `rnnzoo compare` tells by them whether a difference is real.
    """

    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    project: str | None = None
    group: str | None = None
    run_name: str | None = None
    tags: list[str] = field(default_factory=list)
    entity: str | None = None
    job_type: str | None = None
    notes: str | None = None
    checkpoints: Literal["end", "each", "none"] = "end"
    predictions: Literal["all", "counts", "none"] = "all"
    also: list[Annotated[Any, Part("trackers")]] = field(default_factory=list)


@dataclass(frozen=True)
class CheckpointOptions:
    """How often the state of a training is saved, from which `rnnzoo fit --resume` continues.

    every_n_steps: optimizer steps; null for time alone. every_minutes: minutes. A state is saved, too, at the end, when
    the process is asked to stop, and between epochs where that costs little.
    """

    every_n_steps: Count | None = None
    every_minutes: Annotated[float, Limit(0)] = 5.0


@dataclass(frozen=True)
class SweepOptions:
    """How `rnnzoo sweep` runs a recipe many times. `rnnzoo fit` leaves the section out: it is no part of a run.

    Beside these keys a sweep has `keys`, what is varied: by the dotted key of the recipe a list of values, or a range
    `{low: 1.0e-4, high: 1.0e-2, scale: log}`.
    method: "grid" runs every combination. "random" draws combinations. "halving" trains all of them a little, and goes
    on with the better ones, see `rnnzoo.sweep.halving`. "optuna" has one of its samplers propose each combination from
    the scores so far (`pip install 'rnnzoo[optuna]'`).
    draws: how many combinations are drawn; each is run with every seed. seeds: of the runs; the recipe's own if there
    is none. draw_seed: of the draws themselves.
    metric: the dev metric that chooses, as it is logged, such as "val/f1"; the task's own if there is none. mode: which
    is better, for another metric than the task's.
    factor: of halving: one in so many goes on, and trains so many times as long. sampler: optuna's.
    failures: so many failed runs in a row end the sweep. at_most: more runs than these are refused.
    """

    method: Literal["grid", "random", "halving", "optuna"] = "grid"
    draws: Count | None = None
    seeds: list[Seed] | None = None
    draw_seed: Seed = 1
    metric: str | None = None
    mode: Literal["max", "min"] | None = None
    factor: Annotated[int, Limit(2, 100)] = 3
    sampler: Literal["tpe", "gp", "cmaes", "qmc", "random"] = "tpe"
    failures: Count = 3
    at_most: Count = 1000


@dataclass(frozen=True)
class ConfirmOptions:
    """How the best combination of a sweep is run again. seeds: how many new ones; 0 for none."""

    seeds: Annotated[int, Limit(0, 100)] = 3


@dataclass(frozen=True)
class MatchOptions:
    """What all combinations of a sweep are to have alike, so that they can be compared.

    parameters: how many, "1M" or 1000000. key: of the size that is solved for. tolerance: the largest difference, a
    share of `parameters`.
    """

    parameters: Count | str
    key: str = "model.architecture.hidden_size"
    tolerance: Fraction = 0.02
