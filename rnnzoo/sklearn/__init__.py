"""Recurrent networks as scikit-learn's estimators. They need the extra: pip install 'rnnzoo[sklearn]'.

X is a list of texts, a list of arrays (time, features), or an array (n, time, features). A row of a table (n, time)
is a series of one feature. Importing this imports scikit-learn; torch and Lightning come with the first `fit`.
"""

try:
    import sklearn.utils.validation

    sklearn.utils.validation.validate_data  # noqa: B018  # of scikit-learn 1.6
except (ImportError, AttributeError) as cause:
    raise ImportError("rnnzoo.sklearn needs scikit-learn 1.6 or later: pip install 'rnnzoo[sklearn]'") from cause

from rnnzoo.sklearn.classifier import SequenceClassifier
from rnnzoo.sklearn.regressor import SequenceRegressor
from rnnzoo.sklearn.saved import load
from rnnzoo.sklearn.tagger import SequenceTagger
from rnnzoo.sklearn.trained import InvalidData

__all__ = ["InvalidData", "SequenceClassifier", "SequenceRegressor", "SequenceTagger", "load"]
