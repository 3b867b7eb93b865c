"""An estimator from the folder that its `save` wrote, whichever it is."""

from __future__ import annotations

from pathlib import Path

from rnnzoo.errors import RunError, unknown
from rnnzoo.sklearn import trained
from rnnzoo.sklearn.base import SequenceEstimator
from rnnzoo.sklearn.classifier import SequenceClassifier
from rnnzoo.sklearn.regressor import SequenceRegressor
from rnnzoo.sklearn.tagger import SequenceTagger

ESTIMATORS: dict[str, type[SequenceEstimator]] = {
    cls.__name__: cls for cls in (SequenceClassifier, SequenceRegressor, SequenceTagger)
}


def load(folder: str | Path) -> SequenceEstimator:
    """The estimator that its `save` wrote into a folder. Runs no code of it. Raises: RunError."""
    name = trained.read(Path(folder)).facts.get("estimator")
    if name not in ESTIMATORS:
        raise RunError(unknown(f"{folder} holds no estimator of rnnzoo but", repr(name)[1:60].rstrip("'"), ESTIMATORS))
    return ESTIMATORS[name].load(folder)
