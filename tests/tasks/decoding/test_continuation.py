"""A language model goes on with a text: by single steps that equal whole passes, and as text that a reader expects."""

import pytest
import torch

from rnnzoo import registry
from rnnzoo.batch import EOS, Batch, DataSpec, Field
from rnnzoo.data.encoding.text import Encoder
from rnnzoo.model import build_model
from rnnzoo.tasks.decoding.continuation import continue_text, stepper, text_of
from rnnzoo.tasks.next_word import NextWord

NAMES = ("<pad>", "<unk>", "<bos>", "<eos>", "the", "dog", "barks", ",", ".", "(", ")")


def field(*names, unit="space"):
    return Field("tokens", names or NAMES, options={"unit": unit, "lowercase": False})


def language_model(architecture="lstm", tokens=None, **settings):
    torch.manual_seed(0)
    tokens = tokens or field()
    spec = DataSpec("text_stream", {"tokens": tokens}, tokens)
    model = build_model(
        spec, NextWord(spec), {"name": architecture, "hidden_size": 8, **settings}, {"tokens": {"size": 5}}
    ).eval()
    with torch.no_grad():
        model.head.weight.mul_(5)
    return model, spec


STACKED = {"architecture": "stacked", "num_layers": 3, "residual": True, "dropout": 0.3}


@pytest.mark.parametrize("cell", sorted(entry.name for entry in registry.entries("cells")))
def test_single_steps_are_what_a_pass_over_the_whole_sequence_gives(cell):
    model, _ = language_model(**STACKED, cell=cell)
    tokens = torch.randint(3, len(NAMES), (4, 9))
    lengths = torch.full((4,), 9)
    with torch.inference_mode():
        wanted, _ = model.step_logits(Batch({"tokens": tokens}, lengths))
        step, state = stepper(model), None
        for t in range(9):
            logits, state = step(tokens[:, t], state)
            torch.testing.assert_close(logits, wanted[:, t], atol=2e-5, rtol=1e-4)


def likeliest(model, ids, length, forbid=(0, 1, 2)):
    """Greedy by whole passes."""
    for _ in range(length):
        with torch.inference_mode():
            logits, _ = model.step_logits(Batch({"tokens": torch.tensor([ids])}, torch.tensor([len(ids)])))
        ids = [*ids, int(logits[0, -1].index_fill(0, torch.tensor(forbid), -torch.inf).argmax())]
    return ids


@pytest.mark.parametrize("prompt", ["", "the dog", "the\nbarks"])
def test_a_prompt_is_gone_on_with_from_its_state_and_no_prompt_from_a_new_line(prompt):
    model, spec = language_model(**STACKED)
    read = {"": [EOS], "the dog": [4, 5], "the\nbarks": [4, EOS, 6]}[prompt]
    wanted = likeliest(model, read, 12)[len(read) :]
    assert continue_text(model, spec, prompt, 12, temperature=0).tokens == tuple(NAMES[i] for i in wanted)
    assert continue_text(model, spec, prompt, 12, beam=1).tokens == tuple(NAMES[i] for i in wanted)


@pytest.mark.parametrize(("prompt", "read"), [("", [EOS]), ("the dog", [4, 5]), ("the\nbarks", [4, EOS, 6])])
def test_nothing_is_read_before_a_prompt(prompt, read, monkeypatch):
    model, spec = language_model()
    seen, embed = [], model.embed
    monkeypatch.setattr(model, "embed", lambda batch: seen.extend(batch.inputs["tokens"][0].tolist()) or embed(batch))
    continue_text(model, spec, prompt, 1, temperature=0)
    assert seen == read


def test_a_long_prompt_is_read_in_windows_as_if_at_once():
    model, spec = language_model()
    words = [NAMES[i] for i in torch.randint(4, len(NAMES), (2500,)).tolist()]
    wanted = likeliest(model, [*map(NAMES.index, words)], 3)[-3:]
    assert continue_text(model, spec, " ".join(words), 3, temperature=0).tokens == tuple(NAMES[i] for i in wanted)


def test_the_text_is_the_prompt_as_typed_and_what_follows():
    model, spec = language_model()
    found = continue_text(model, spec, "the  zebra barks at the gnu", 20, seed=3)
    assert found.text.startswith("the  zebra barks at the gnu")
    assert found.unknown == ("zebra", "at", "gnu") and len(found.tokens) == 20
    assert not {"<unk>", "<pad>", "<bos>"} & set(found.tokens)
    assert found.text.count("\n") == found.tokens.count("<eos>")
    assert found == continue_text(model, spec, "the  zebra barks at the gnu", 20, seed=3)
    assert found != continue_text(model, spec, "the  zebra barks at the gnu", 20, seed=4)


def test_a_prompt_that_ends_a_line_is_gone_on_with_at_the_next_ones_beginning():
    model, spec = language_model()
    text = continue_text(model, spec, "the dog\n", 3, seed=3).text
    assert text.startswith("the dog\n") and not text.removeprefix("the dog\n").startswith(" ")


def test_tokens_become_text_as_their_unit_has_it():
    ids = [4, 5, 7, 6, 9, 5, 10, 8, EOS, 4, 5]
    assert text_of(Encoder(NAMES, "space"), ids) == " the dog , barks ( dog ) .\nthe dog"
    assert text_of(Encoder(NAMES, "word"), ids) == " the dog, barks (dog).\nthe dog"
    assert text_of(Encoder(NAMES, "word"), ids, first=True) == "the dog, barks (dog).\nthe dog"
    assert text_of(Encoder(NAMES, "word"), [7, 4]) == ", the"
    assert text_of(Encoder(NAMES, "space"), [EOS, 4]) == "\nthe"
    letters = Encoder((*NAMES[:4], *"ab c"), "character")
    assert text_of(letters, [4, 5, 6, 7, EOS, 4]) == "ab c\na"


def test_a_model_of_characters_that_knows_line_feeds_begins_after_one():
    letters = field(*NAMES[:4], "\n", "a", "b", unit="character")
    model, spec = language_model(tokens=letters)
    wanted = likeliest(model, [4, 5, 4, 6], 8)[4:]
    found = continue_text(model, spec, "a\nb", 8, temperature=0)
    assert found.tokens == tuple(letters.names[i] for i in wanted)
    assert found.text == "a\nb" + "".join(found.tokens).replace("<eos>", "\n")


def test_a_wide_beam_writes_what_is_likelier_than_greedy():
    model, spec = language_model()

    def likelihood(tokens):
        ids = [EOS, *map(NAMES.index, tokens)]
        with torch.inference_mode():
            logits, _ = model.step_logits(Batch({"tokens": torch.tensor([ids[:-1]])}, torch.tensor([len(ids) - 1])))
        return -torch.nn.functional.cross_entropy(logits[0], torch.tensor(ids[1:]), reduction="sum").item()

    greedy, wide = (continue_text(model, spec, "", 6, **how) for how in ({"temperature": 0}, {"beam": 200}))
    assert likelihood(wide.tokens) >= likelihood(greedy.tokens) - 1e-5


def test_a_beam_has_no_use_for_settings_of_drawing():
    model, spec = language_model()
    with pytest.raises(ValueError, match="beam takes the likeliest tokens and draws none: it has no use for top_k"):
        continue_text(model, spec, "the", 3, beam=2, top_k=3)
