"""Recurrent networks as scikit-learn's estimators: of texts, series and words, in its pipelines and searches."""

import io
import json
import pickle
import subprocess
import sys

import numpy as np
import pandas
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import (
    check_estimator_cloneable,
    check_estimators_unfitted,
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
    parametrize_with_checks,
)

import rnnzoo
from rnnzoo.errors import RecipeError, RunError
from rnnzoo.sklearn import InvalidData, SequenceClassifier, SequenceRegressor, SequenceTagger
from rnnzoo.sklearn import load as load_estimator

ESTIMATORS = (SequenceClassifier, SequenceRegressor, SequenceTagger)
TEXTS = [f"a {word} film {n % 3}" for n in range(12) for word in ("good", "bad")]
STARS = [5, 1] * 12
TINY = {"hidden_size": 4, "batch_size": 8, "learning_rate": 0.05, "random_state": 0}
ROUNDING = "single precision: sums in another batch are rounded in another order, and the check allows 1e-7"
EXPECTED_FAILURES = {  # of scikit-learn's checks, each with its reason; they hold where the rounding is the same
    "check_methods_subset_invariance": ROUNDING,
    "check_methods_sample_order_invariance": ROUNDING,
}
LEARNING = {  # for scikit-learn's checks of what is learned; the others need two epochs
    "check_classifiers_train": {"max_epochs": 8, "hidden_size": 16},
    "check_classifiers_classes": {"max_epochs": 12, "hidden_size": 16, "batch_size": 8},
    "check_regressors_train": {"architecture": "bidirectional", "max_epochs": 30, "hidden_size": 32},
}


def series(count=24, features=2):
    """Ragged series whose label is the sign of their last step's first feature."""
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(3 + n % 3, features)) for n in range(count)]
    return rows, np.array([row[-1, 0] for row in rows])


@pytest.fixture(scope="module")
def reviewer():
    return SequenceClassifier(max_epochs=6, **TINY).fit(TEXTS, STARS)


@pytest.fixture(scope="module")
def regressor():
    X, y = series()
    return SequenceRegressor(architecture="gru", max_epochs=2, **TINY).fit(X, 1000 + 50 * y)


@pytest.mark.slow
@parametrize_with_checks(
    [cls("gru", max_epochs=2, hidden_size=4, learning_rate=0.03, random_state=0) for cls in ESTIMATORS[:2]],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_scikit_learns_own_checks_hold(estimator, check):
    check(estimator.set_params(**LEARNING.get(getattr(check, "func", check).__name__, {})))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_an_estimator_is_built_and_cloned_as_scikit_learn_asks(cls):
    name, estimator = cls.__name__, cls(architecture={"name": "stacked", "num_layers": 2}, random_state=3)
    for check in (
        check_estimator_cloneable,
        check_no_attributes_set_in_init,
        check_parameters_default_constructible,
        check_estimators_unfitted,
    ):
        check(name, cls() if check is check_parameters_default_constructible else estimator)
    assert clone(estimator).get_params() == estimator.get_params()
    with pytest.raises(NotFittedError):
        estimator.predict(TEXTS)


def test_texts_are_labelled_with_the_classes_that_were_given(reviewer):
    assert reviewer.predict(["a good film", "a bad film"]).tolist() == [5, 1]
    assert reviewer.classes_.tolist() == [1, 5] and reviewer.score(TEXTS, STARS) == 1
    probabilities = reviewer.predict_proba(np.array(TEXTS, dtype=object))
    assert probabilities.shape == (24, 2) and np.allclose(probabilities.sum(1), 1)
    assert (reviewer.predict_proba(pandas.Series(TEXTS)) == probabilities).all()
    assert reviewer.summary_["status"] == "finished" and not hasattr(reviewer, "n_features_in_")


def test_a_fit_leaves_no_file_and_no_random_number_behind(here):
    before = torch.get_rng_state()
    SequenceClassifier(max_epochs=1, **TINY).fit(TEXTS, STARS)
    assert torch.equal(before, torch.get_rng_state()) and not list(here.iterdir())


def test_an_answer_does_not_depend_on_the_rows_beside_it_but_for_rounding(reviewer):
    together = reviewer.predict_proba(TEXTS)
    alone = np.concatenate([reviewer.predict_proba([text]) for text in TEXTS[:4]])
    np.testing.assert_allclose(alone, together[:4], rtol=1e-4, atol=1e-6)


def test_the_same_random_state_gives_the_same_network_and_another_one_another(reviewer):
    again, other = (SequenceClassifier(**(reviewer.get_params() | {"random_state": n})) for n in (0, 1))
    expected = reviewer.predict_proba(TEXTS)
    assert (again.fit(TEXTS, STARS).predict_proba(TEXTS) == expected).all()
    assert (other.fit(TEXTS, STARS).predict_proba(TEXTS) != expected).any()


def test_numbers_are_predicted_in_their_own_unit(regressor):
    X, y = series()
    predictions = regressor.predict(X)
    assert predictions.shape == (24,) and regressor.n_features_in_ == 2
    assert abs(predictions.mean() - 1000 - 50 * y.mean()) < 50
    both = SequenceRegressor(architecture="gru", max_epochs=1, **TINY).fit(X, np.stack([y, -y], 1))
    assert both.predict(X[:3]).shape == (3, 2)


def test_series_of_one_length_are_an_array_and_a_row_of_a_table_is_a_series_of_one_feature():
    X = np.random.default_rng(0).normal(size=(16, 5, 1))
    y = np.where(X[:, -1, 0] > 0, "up", "down")
    wide = SequenceClassifier("gru", None, max_epochs=1, **TINY).fit(X, y)
    table = SequenceClassifier("gru", None, max_epochs=1, **TINY).fit(X[:, :, 0], y)
    assert wide.n_features_in_ == 1 and table.n_features_in_ == 5
    np.testing.assert_array_equal(wide.predict_proba(X), table.predict_proba(X[:, :, 0]))
    np.testing.assert_allclose(wide.predict_proba(list(X)), wide.predict_proba(X), rtol=1e-6)


def test_words_are_tagged_one_by_one():
    X = [["the", "dog", "barks"], ["a", "cat", "sleeps", "!"]] * 8
    y = [["D", "N", "V"], ["D", "N", "V", "."]] * 8
    tagger = SequenceTagger(max_epochs=8, **TINY).fit(X, y)
    assert tagger.predict(X[:2]) == y[:2] and tagger.score(X, y) == 1 and tagger.classes_ == [".", "D", "N", "V"]
    assert [len(tags) for tags in tagger.predict([["(dog)", "cat."], ["a"]])] == [2, 1]


@pytest.mark.parametrize("name", ["reviewer", "regressor"])
def test_a_saved_estimator_answers_alike_and_is_a_model_that_rnnzoo_loads(name, request, tmp_path):
    estimator, X = request.getfixturevalue(name), TEXTS if name == "reviewer" else series()[0]
    estimator.save(tmp_path / "saved")
    again = type(estimator).load(tmp_path / "saved")
    assert again.get_params() == estimator.get_params() and again.predict(X).dtype == estimator.predict(X).dtype
    np.testing.assert_array_equal(again.predict(X), estimator.predict(X))
    assert rnnzoo.load(tmp_path / "saved").summary["status"] == "finished"
    assert not [path for path in (tmp_path / "saved").iterdir() if path.suffix not in (".json", ".safetensors")]
    with pytest.raises(RunError, match="something is there"):
        estimator.save(tmp_path / "saved")
    with pytest.raises(RunError, match=f"holds a {type(estimator).__name__}, not a SequenceTagger"):
        SequenceTagger.load(tmp_path / "saved")


def test_a_pickle_names_no_class_but_the_estimators_and_numpys_and_answers_alike(reviewer):
    modules = set()

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            modules.add(module.partition(".")[0])
            return super().find_class(module, name)

    again = Unpickler(io.BytesIO(pickle.dumps(reviewer))).load()
    assert modules <= {"rnnzoo", "numpy", "_codecs"}
    np.testing.assert_array_equal(again.predict_proba(TEXTS), reviewer.predict_proba(TEXTS))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"estimator": "os.system"}, "holds no estimator of rnnzoo but 'os.system'"),
        ({"parameters": {"hidden_sise": 3}}, "is not that of a SequenceClassifier"),
        ({"kind": "words"}, "kind is 'words'"),
        ({"dtype": "O8,i4"}, "is not that of a SequenceClassifier"),
        ({"classes": 3}, "classes of the type"),
    ],
)
def test_a_folder_that_holds_no_estimator_is_refused(reviewer, tmp_path, change, message):
    reviewer.save(tmp_path / "saved")
    path = tmp_path / "saved" / "estimator.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RunError, match=message):
        load_estimator(tmp_path / "saved")
    path.unlink()
    with pytest.raises(RunError, match="no estimator can be loaded"):
        load_estimator(tmp_path / "saved")


def test_pipelines_and_searches_take_it():
    upper = FunctionTransformer(lambda rows: [row.upper() for row in rows])
    model = make_pipeline(upper, SequenceClassifier("gru", max_epochs=1, **TINY))
    search = GridSearchCV(model, {"sequenceclassifier__hidden_size": np.array([2, 3])}, cv=2).fit(TEXTS, STARS)
    assert search.best_params_["sequenceclassifier__hidden_size"] in (2, 3) and len(search.predict(TEXTS)) == 24
    X, y = series()
    scores = cross_val_score(SequenceRegressor("gru", max_epochs=1, **TINY), X, y, cv=2)
    assert scores.shape == (2,) and np.isfinite(scores).all()


def bad_series(value):
    X, _ = series()
    X[2] = value
    return X


@pytest.mark.parametrize(
    ("cls", "X", "message"),
    [
        (SequenceClassifier, [*TEXTS[:3], 5, *TEXTS[4:]], "X, row 4: expected text, got 5"),
        (SequenceClassifier, bad_series(np.full((3, 2), np.nan)), "X, row 3.*NaN"),
        (SequenceClassifier, bad_series(np.ones((3, 5))), "X, row 3: 5 features a step.* expecting 2"),
        (SequenceClassifier, bad_series(np.ones((0, 2))), "X, row 3"),
        (SequenceClassifier, [["a", "word"]] * 24, "takes texts, series of numbers, tables, got lists of words"),
        (SequenceRegressor, TEXTS, "takes series of numbers, tables, got texts"),
        (SequenceTagger, TEXTS, "takes lists of words, got texts"),
        (SequenceClassifier, [], "0 sample|no rows|Expected 2D array"),
    ],
)
def test_what_cannot_be_learned_from_is_a_value_error_that_names_the_row(cls, X, message):
    with pytest.raises(ValueError, match=message):
        cls(**TINY).fit(X, STARS)


def test_mistakes_of_labels_and_settings_are_told(reviewer):
    with pytest.raises(ValueError, match="one class only"):
        SequenceClassifier(**TINY).fit(TEXTS, [1] * 24)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        SequenceClassifier(**TINY).fit(TEXTS, STARS[1:])
    with pytest.raises(RecipeError, match=r"max_epochs: must be .*got 0"):
        SequenceClassifier(max_epochs=0).fit(TEXTS, STARS)
    with pytest.raises(rnnzoo.UnknownName, match="Did you mean 'lstm'"):
        SequenceClassifier("lsmt").fit(TEXTS, STARS)
    with pytest.raises(InvalidData, match="row 1: expected text"):
        reviewer.predict([3.0])


def test_any_architecture_and_a_recipe_beneath_can_be_named():
    recipe = {"model": {"inputs": {"tokens": {"size": 7}}}, "callbacks": {"early_stopping": {"patience": 1}}}
    stacked = {"name": "stacked", "num_layers": 2}
    model = SequenceClassifier(stacked, "gru", recipe=recipe, max_epochs=1, validation_fraction=0.25, **TINY)
    model.fit(TEXTS, STARS)
    assert model.summary_["data"]["sizes"] == {"train": 18, "dev": 6}
    assert model._predictor.recipe["model"]["architecture"]["cell"]["name"] == "gru"
    assert model._predictor.model.input_of("tokens").output_size == 7


def test_without_scikit_learn_one_line_says_what_to_install():
    code = "import sys; sys.modules['sklearn'] = None\ntry: import rnnzoo.sklearn\nexcept ImportError as e: print(e)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "rnnzoo.sklearn needs scikit-learn 1.6 or later: pip install 'rnnzoo[sklearn]'\n"
