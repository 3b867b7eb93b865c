"""A vocabulary that holds the words of a trained model's after its own."""

from rnnzoo.batch import SPECIALS, DataSpec, Field
from rnnzoo.data.encoding.known_words import with_words_of


def spec(*words, unit="word", target="label", counts=(), **options):
    field = Field("tokens", (*SPECIALS, *words), options={"unit": unit, **options}, counts=counts)
    return DataSpec("labelled_text", {"tokens": field}, field if target == "tokens" else Field(target, ("a", "b")))


def test_the_words_of_the_trained_model_come_after_its_own():
    made = with_words_of(spec("x", "y", counts=(0, 0, 0, 0, 2, 1)), spec("y", "z", unit="word"))
    assert made.inputs["tokens"].names == (*SPECIALS, "x", "y", "z")
    assert made.inputs["tokens"].size == 7 and made.inputs["tokens"].counts == (0, 0, 0, 0, 2, 1, 0)


def test_words_that_are_predicted_or_cut_otherwise_stay_as_they_are():
    known = spec("y", "z")
    for own in (spec("x", target="tokens"), spec("x", unit="character"), spec("x", unit="subword", merges=["a b"])):
        assert with_words_of(own, known) is own
    assert with_words_of(spec("x", unit="subword", merges=["a b"]), spec("y", unit="subword")).inputs == (
        spec("x", unit="subword", merges=["a b"]).inputs
    )
