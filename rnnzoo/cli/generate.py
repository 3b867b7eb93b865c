"""`rnnzoo generate`: continue a text with a language model."""

from __future__ import annotations

from typing import Any, get_args

from rnnzoo import limits
from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.errors import ZooError
from rnnzoo.system import console
from rnnzoo.system.paths import typed

EXAMPLE = 'rnnzoo generate runs/toy_text/ID --prompt "the dog" --length 50 --temperature 0.8'
SETTINGS: dict[str, tuple[Any, str]] = {
    "length": (limits.Count, "words or characters to write (default: 100)"),
    "temperature": (limits.NonNegative, "below 1 the likely becomes likelier; 0 takes the likeliest (default: 1)"),
    "top_k": (limits.Count, "draw from the k likeliest only"),
    "top_p": (limits.TopP, "draw from the fewest likeliest that have this probability together"),
    "beam": (limits.Count, "beam search of this width for the likeliest continuation; nothing is drawn"),
    "seed": (limits.Seed, "the same seed writes the same text (default: 0)"),
}


def add_arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's folder or id, or a shipped model's name")
    parser.text_flags = ("--prompt",)
    parser.add_argument("--prompt", default="", metavar="TEXT", help="the text to continue (default: a new line)")
    for name, (annotation, summary) in SETTINGS.items():
        parser.add_argument(f"--{name}", type=get_args(annotation)[0], metavar=name[0].upper(), help=summary)
    parser.add_argument("--midi", type=typed, metavar="FILE", help="write the notes of a model of chorales as MIDI")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: Namespace) -> int:
    settings = _settings(arguments)
    from rnnzoo.inference import predictor

    continuation = predictor.load(arguments.run).generate(arguments.prompt, **settings)
    if arguments.midi is not None:
        from rnnzoo.data.readers import midi

        midi.write(arguments.midi, continuation.text.split())
    if arguments.json:
        console.print_json(continuation._asdict())
    else:
        console.print("\n".join(map(console.inline, continuation.text.split("\n"))))
    if continuation.unknown:
        console.print_error(f"the model does not know: {', '.join(map(console.inline, continuation.unknown))}.")
    return 0


def _settings(arguments: Namespace) -> dict[str, Any]:
    """The settings that were asked for. Raises: ZooError, with every mistake in them."""
    settings = {name: value for name in SETTINGS if (value := getattr(arguments, name)) is not None}
    wrong = [
        f"rnnzoo generate: --{name} {problem}."
        for name, value in settings.items()
        if (problem := limits.violation(SETTINGS[name][0], value))
    ]
    drawing = [f"--{name}" for name in settings if name not in ("length", "beam")]
    if "beam" in settings and drawing:
        wrong.append(
            f"rnnzoo generate: --beam takes the likeliest and draws nothing.\n  Leave out {drawing[0]}, or --beam."
        )
    if wrong:
        raise ZooError(*wrong)
    return settings
