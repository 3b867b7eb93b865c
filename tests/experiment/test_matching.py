"""What a model takes of a trained one: every row and every layer that it takes is the one of the same name."""

import pytest
import torch

from rnnzoo import recipe as recipes
from rnnzoo.batch import SPECIALS, Batch, DataSpec, Field
from rnnzoo.experiment.matching import Trained, take
from rnnzoo.experiment.network import make_network
from rnnzoo.experiment.resolver import resolve

WORDS = ("good", "bad", "film", "plot")
SMALL = ["--model.inputs.tokens.size=3", "--model.architecture.hidden_size=4"]


def tokens(*words: str) -> Field:
    return Field("tokens", (*SPECIALS, *words))


def classes(words=WORDS, labels=("negative", "positive")) -> DataSpec:
    return DataSpec("labelled_text", {"tokens": tokens(*words)}, Field("label", labels))


def stream(words=WORDS) -> DataSpec:
    return DataSpec("text_stream", {"tokens": tokens(*words)}, tokens(*words))


def tags(words=WORDS, labels=("O", "B-X", "I-X"), scheme=None) -> DataSpec:
    options = {"scheme": scheme} if scheme else {}
    return DataSpec("tagged_text", {"tokens": tokens(*words)}, Field("tags", labels, options=options))


class Made:
    """A network of a shipped recipe for some data, its weights drawn from a seed."""

    def __init__(self, name: str, spec: DataSpec, *overrides: str, seed: int = 1, small: bool = True) -> None:
        self.recipe, self.spec = resolve(recipes.read(name, [*(SMALL if small else ()), *overrides])), spec
        torch.manual_seed(seed)
        self.model, self.task = make_network(self.recipe, spec)
        self.drawn = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return self.model.state_dict()

    def takes(self, other: "Made") -> dict[str, dict]:
        trained = Trained(other.weights, other.spec, other.recipe)
        return {part["part"]: part for part in take(self.model, self.spec, self.recipe, trained)}

    def probabilities(self, *words: str) -> dict[str, float]:
        """The answer to a text, by label."""
        names = self.spec.inputs["tokens"].names
        row = [names.index(word) if word in names else SPECIALS.index("<unk>") for word in words]
        batch = Batch({"tokens": torch.tensor([row])}, torch.tensor([len(row)]))
        return self.task.predictions(self.model.eval(), batch)[0]["probabilities"]


def test_words_are_matched_by_spelling_and_labels_by_name():
    source = Made("quickstart", classes(), seed=1)
    new = Made("quickstart", classes(("plot", "fresh", "good"), ("positive", "mixed", "negative")), seed=2)
    outcomes = new.takes(source)
    word, own_word = source.weights["inputs.0.embedding.weight"], new.weights["inputs.0.embedding.weight"]
    assert torch.equal(own_word[4], word[7]) and torch.equal(own_word[6], word[4])  # plot, good
    assert torch.equal(own_word[5], word[1])  # a new word starts as <unk>
    assert torch.equal(own_word[:4], word[:4])
    for name in ("head.weight", "head.bias"):
        theirs, own = source.weights[name], new.weights[name]
        assert torch.equal(own[0], theirs[1]) and torch.equal(own[2], theirs[0])
        assert torch.equal(own[1], new.drawn[name][1])  # a new label stays as it was drawn
    assert (outcomes["inputs.tokens"]["outcome"], outcomes["inputs.tokens"]["rows"]) == ("grown", 6)
    assert (outcomes["head"]["outcome"], outcomes["head"]["rows"], outcomes["head"]["of"]) == ("grown", 2, 3)


@pytest.mark.parametrize("words", [WORDS[::-1], (*WORDS, "fresh"), ("fresh", *WORDS[::-1])])
def test_before_training_a_model_answers_as_the_one_that_it_starts_from(words):
    """Whatever the order of words and labels; also to a text with a word that is new to it."""
    source = Made("quickstart", classes(), seed=1)
    new = Made("quickstart", classes(words, ("positive", "negative")), seed=2)
    outcomes = new.takes(source)
    for text in (("good", "film"), ("bad", "fresh", "plot"), ("nothing", "known")):
        assert new.probabilities(*text) == pytest.approx(source.probabilities(*text), abs=1e-6)
    assert outcomes["head"]["outcome"] == "taken"


@pytest.mark.parametrize("name", ["quickstart", "toy_tags"])
def test_a_language_model_starts_the_forward_layers_of_a_classifier_or_tagger(name):
    source = Made("toy_text", stream(), "--model.architecture=lstm", seed=1)
    new = Made(name, classes() if name == "quickstart" else tags(), seed=2)
    outcomes = new.takes(source)
    forward, backward = (f"architecture.layers.{number}" for number in (0, 1))
    for tensor in new.drawn:
        if tensor.startswith((forward, "inputs")):
            assert torch.equal(new.weights[tensor], source.weights[tensor])
        else:
            assert torch.equal(new.weights[tensor], new.drawn[tensor])
    assert outcomes[forward]["outcome"] == outcomes["inputs.tokens"]["outcome"] == "taken"
    assert outcomes[backward]["why"] == "the trained model reads forwards alone"
    assert "it is for" in outcomes["head"]["why"]  # a label named as a word takes nothing of it


def test_layers_are_matched_by_depth_between_one_direction_and_two():
    deep = "--model.architecture.num_layers=2"
    source = Made("quickstart", classes(), deep, "--model.architecture.merge=sum", seed=1)
    new = Made("toy_text", stream(), "--model.architecture=stacked", SMALL[1], deep, seed=2)
    new.takes(source)
    for tensor in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        for own, theirs in ((0, 0), (1, 2)):
            own_tensor = new.weights[f"architecture.layers.{own}.cell.{tensor}"]
            assert torch.equal(own_tensor, source.weights[f"architecture.layers.{theirs}.cell.{tensor}"])


def test_a_wrapped_cell_and_a_bare_one_share_their_weights():
    wrapped = "--model.architecture.cell={name: zoneout, rate: 0.1, cell: lstm}"
    source, new = Made("quickstart", classes(), wrapped, seed=1), Made("quickstart", classes(), seed=2)
    assert new.takes(source)["architecture.layers.1"]["outcome"] == "taken"
    theirs = source.weights["architecture.layers.1.cell.cell.weight_hh"]
    assert torch.equal(new.weights["architecture.layers.1.cell.weight_hh"], theirs)


def test_transitions_between_tags_go_by_both_names():
    source = Made("toy_tags", tags(), "--task.crf=true", seed=1)
    with torch.no_grad():
        source.model.head.transitions.normal_()
    new = Made("toy_tags", tags(labels=("I-X", "O", "new", "B-X")), "--task.crf=true", seed=2)
    assert new.takes(source)["head"]["rows"] == 3
    order = torch.tensor([2, 0, 1])
    own = torch.tensor([0, 1, 3])
    expected = source.weights["head.transitions"][order][:, order]
    assert torch.equal(new.weights["head.transitions"][own][:, own], expected)
    assert torch.equal(new.weights["head.emissions.weight"][own], source.weights["head.emissions.weight"][order])


def test_a_tied_head_goes_with_its_embedding():
    sizes = ["--model.inputs.tokens.size=4"]
    source = Made("toy_text", stream(), *sizes, seed=1)
    new = Made("toy_text", stream(WORDS[::-1]), *sizes, "--model.head.tie_weights=true", seed=2)
    new.takes(source)
    assert torch.equal(new.weights["head.weight"][4:], source.weights["inputs.0.embedding.weight"].flip(0)[:4])


@pytest.mark.parametrize(
    ("overrides", "part", "why"),
    [
        (["--model.architecture.cell=gru"], "architecture.layers.0", "its cell is gru, and the trained model's lstm"),
        (["--model.inputs.tokens.size=5"], "inputs.tokens", r"is \(8, 5\), and the trained model's \(8, 3\)"),
        (["--model.pooling=attention"], "pool", "the trained model has no pool"),
    ],
)
def test_what_does_not_fit_stays_as_it_was_drawn_and_says_why(overrides, part, why):
    source, new = Made("quickstart", classes(), seed=1), Made("quickstart", classes(), *overrides, seed=2)
    outcome = new.takes(source)[part]
    assert outcome["outcome"] == "left"
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(outcome["why"])


def test_words_and_labels_of_another_language_are_left():
    source, new = Made("quickstart", classes(), seed=1), Made("quickstart", classes(("gut",), ("-", "+")), seed=2)
    outcomes = new.takes(source)
    assert outcomes["inputs.tokens"]["why"] == "no name in common, such as 'gut' and 'plot'"
    assert outcomes["head"]["outcome"] == "left"
    assert torch.equal(new.weights["head.weight"], new.drawn["head.weight"])


def test_an_adaptive_softmax_of_other_words_is_left():
    """Its rows are clusters of words."""
    cutoffs = "--task.cutoffs=[5]"
    source = Made("toy_text", stream(), cutoffs, seed=1)
    same, other = Made("toy_text", stream(), cutoffs, seed=2), Made("toy_text", stream(WORDS[::-1]), cutoffs, seed=2)
    assert same.takes(source)["head"]["outcome"] == "taken"
    assert other.takes(source)["head"]["outcome"] == "left"


@pytest.mark.parametrize(
    ("recipe", "spec", "source", "source_spec", "overrides"),
    [
        ("imdb_from_lm", classes(), "wikitext2_lstm", stream(), ["--task.cutoffs=null"]),
        ("reviews_from_sentiment", classes(), "imdb_bilstm", classes(), []),
    ],
)
def test_a_shipped_recipe_has_the_sizes_of_what_it_starts_from(recipe, spec, source, source_spec, overrides):
    new, source = Made(recipe, spec, small=False), Made(source, source_spec, *overrides, small=False)
    outcomes = new.takes(source)
    left = {part for part, outcome in outcomes.items() if outcome["outcome"] == "left"}
    assert left <= {"head"} and {"architecture.layers.0", "architecture.layers.1"} <= outcomes.keys()
