"""What the three estimators share: their parameters, training, keeping and saving."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from rnnzoo.errors import DataError, RunError
from rnnzoo.sklearn import trained
from rnnzoo.sklearn.sequences import Kind, checked, kind_of
from rnnzoo.sklearn.trained import InvalidData
from rnnzoo.system import files
from rnnzoo.system.files import JsonObject
from rnnzoo.system.plain import plain

SEEDS = 2**31
EVALUATED = 512  # rows at once, where nothing is learned


class SequenceEstimator(BaseEstimator):
    """A recurrent network with scikit-learn's methods.

    architecture, cell: names of `rnnzoo list`, or mappings with a name and settings; an architecture that fixes its
    cell leaves `cell` out. hidden_size: of each layer and direction. pooling: "last", "mean", "max" or "max_mean", what
    is made of all steps where there is one answer. dropout: before the last layer. learning_rate: of Adam. batch_size:
    rows. validation_fraction: the share of the rows that is held out to choose the best epoch; None trains on all rows,
    and takes the epoch with the best score on them. recipe: a recipe, by path, name or as a mapping, for what these
    parameters do not say. verbose: whether the run is printed. random_state: the same int gives the same network.

    Fitted attributes: n_features_in_ (of numbers), summary_: the facts of the run, such as its scores.
    """

    tasks: ClassVar[Mapping[Kind, str]]  # by what rows are

    def __init__(
        self,
        architecture: Any = "bidirectional",
        cell: Any = "lstm",
        *,
        hidden_size: int = 32,
        pooling: str = "last",
        dropout: float = 0.0,
        max_epochs: int = 20,
        batch_size: int = 32,
        learning_rate: float = 1e-2,
        validation_fraction: float | None = None,
        recipe: Any = None,
        verbose: bool = False,
        random_state: Any = None,
    ) -> None:
        self.architecture = architecture
        self.cell = cell
        self.hidden_size = hidden_size
        self.pooling = pooling
        self.dropout = dropout
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.recipe = recipe
        self.verbose = verbose
        self.random_state = random_state

    # -- training --

    def _train(self, X: Any, kind: Kind, targets: list[Any]) -> None:
        """Train on checked rows. Raises: InvalidData, RecipeError, RunError."""
        from rnnzoo import registry
        from rnnzoo.data.forms import FORMS

        task = self.tasks[kind]
        form = registry.load("tasks", task).form
        columns = dict(zip(FORMS[form].columns, (X, targets), strict=True))
        parts = {"train": columns} if self.validation_fraction is not None else {"train": columns, "dev": columns}
        self._files, self.summary_ = trained.train(self.recipe, parts, self._sections(task), bool(self.verbose))
        self._kind, self._model = kind, trained.restored(self._files)

    def _kind_of(self, X: Any) -> Kind:
        """Raises: InvalidData for rows that the estimator has no task for."""
        kind = kind_of(X)
        if kind not in self.tasks:
            takes = {"text": "texts", "words": "lists of words", "series": "series of numbers", "table": "tables"}
            known = ", ".join(takes[name] for name in self.tasks)
            raise InvalidData(f"{type(self).__name__} takes {known}, got {takes[kind]}.")
        return kind

    def _sections(self, task: str) -> dict[str, Any]:
        """The recipe's sections that the parameters decide."""
        from rnnzoo import registry
        from rnnzoo.recipe.schema import signature

        name = self.architecture if isinstance(self.architecture, str) else dict(self.architecture).get("name")
        taken = signature(registry.load("architectures", str(name)), registry.KINDS["architectures"].reserved)
        own = {key: value for key, value in (("cell", self.cell), ("hidden_size", self.hidden_size)) if key in taken}
        given = {"name": name} if isinstance(self.architecture, str) else dict(self.architecture)
        sections: dict[str, Any] = {
            "task": {"name": task},
            "seed": int(check_random_state(self.random_state).randint(SEEDS)),
            "model.architecture": {key: value for key, value in own.items() if value is not None} | given,
            "model.head.dropout": self.dropout,
            "optimizer": {"name": "adam", "lr": self.learning_rate},
            "trainer": {
                "max_epochs": self.max_epochs,
                "enable_progress_bar": bool(self.verbose),
                "gradient_clip_val": 1.0,
            },
            "tracking": {"mode": "disabled", "predictions": "none"},
            "data.batch_size": self.batch_size,
            "data.eval_batch_size": max(self.batch_size, EVALUATED),
        }
        if task != "tagging":
            sections["model.pooling"] = self.pooling
        if self.validation_fraction is not None:
            sections["data.dev_fraction"] = self.validation_fraction
        return sections

    # -- asking --

    def _answers(self, X: Any) -> list[dict[str, Any]]:
        """One answer for each row, see `rnnzoo.tasks`. Raises: NotFittedError, InvalidData."""
        check_is_fitted(self, "summary_")
        rows = checked(self, X, self._kind, reset=False)
        try:
            return self._predictor.predict(rows)
        except DataError as error:
            raise InvalidData(*error.messages) from error

    @property
    def _predictor(self) -> Any:
        if getattr(self, "_model", None) is None:
            self._model = trained.restored(self._files)
        return self._model

    # -- keeping --

    def __getstate__(self) -> dict[str, Any]:
        """All but the network itself, which is made of its files again."""
        state = dict(super().__getstate__())
        state.pop("_model", None)
        return state

    def save(self, folder: str | Path) -> None:
        """Write the estimator as a folder of safetensors and JSON, which `rnnzoo.load` reads too.

        Raises: NotFittedError; RunError if the folder holds anything.
        """
        check_is_fitted(self, "summary_")
        folder = Path(folder)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RunError(f"cannot save the estimator in {folder}: something is there.\n  Choose another folder.")
        folder.mkdir(parents=True, exist_ok=True)
        parameters = self.get_params(deep=False)
        seed = parameters["random_state"]
        if not isinstance(seed, (int, np.integer, type(None))):
            parameters["random_state"] = None
        facts = {"estimator": type(self).__name__, "parameters": parameters, "kind": self._kind, **self._fitted()}
        if hasattr(self, "n_features_in_"):
            facts["n_features_in"] = self.n_features_in_
        trained.write(self._files, folder)
        files.write_text(folder / trained.SUMMARY, _json(self.summary_))
        files.write_text(folder / trained.ESTIMATOR, _json(facts))

    @classmethod
    def load(cls, folder: str | Path) -> Any:
        """The estimator that `save` wrote. Runs no code of the folder. Raises: RunError, also if it is of another
        class."""
        kept, summary, facts = trained.read(Path(folder))
        if facts.get("estimator") != cls.__name__:
            raise RunError(f"{folder} holds a {facts.get('estimator')!s:.60}, not a {cls.__name__}.")
        try:
            found = cls(**facts["parameters"])
            if facts["kind"] not in cls.tasks:
                raise ValueError(f"kind is {facts['kind']!r:.40}")
            found._kind, found._files, found.summary_ = facts["kind"], kept, summary
            if "n_features_in" in facts:
                found.n_features_in_ = int(facts["n_features_in"])
            found._set_fitted(facts)
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{folder}: {trained.ESTIMATOR} is not that of a {cls.__name__}: {error}.") from error
        return found

    def _fitted(self) -> JsonObject:
        """What a subclass keeps of fitting: JSON."""
        return {}

    def _set_fitted(self, facts: JsonObject) -> None:
        """Take back what `_fitted` gave. Raises: KeyError, TypeError, ValueError for what it did not."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.string = True
        tags.input_tags.three_d_array = True
        return tags


def _json(value: Any) -> str:
    return json.dumps(_plain(value), indent=2, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """numpy's numbers as Python's, and NaN as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return plain(value.item() if isinstance(value, np.generic) else value)
