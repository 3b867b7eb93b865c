"""Continuing texts as OpenAI's interface for completions has it."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from rnnzoo import limits
from rnnzoo.serving.options import Options
from rnnzoo.serving.questions import check_keys, check_text, kind
from rnnzoo.serving.refused import Refused

if TYPE_CHECKING:
    from rnnzoo.inference.predictor import Predictor

SETTINGS: dict[str, tuple[Any, Any]] = {  # the annotation and the default
    "max_tokens": (limits.Count, 16),
    "temperature": (limits.NonNegative, 1.0),
    "top_p": (limits.TopP, 1.0),
}
ONLY = {  # keys of which there is this value alone
    **{"n": 1, "best_of": 1, "echo": False, "logprobs": None, "suffix": None, "logit_bias": None},
    **{"presence_penalty": 0, "frequency_penalty": 0},
}
FREE = ("model", "prompt", "seed", "stop", "stream", "stream_options", "user")
KEYS = (*FREE, *SETTINGS, *ONLY)
STOPS = 4


class Completion(NamedTuple):
    """A request for completions, checked. seed: of the first prompt; each further one has the next seed."""

    prompts: list[str]
    sampling: dict[str, Any]
    length: int
    seed: int
    stops: list[str]
    stream: bool

    @classmethod
    def of(cls, request: Mapping[str, Any], options: Options) -> Completion:
        """Raises: Refused."""
        check_keys(request, KEYS)
        for name, value in ONLY.items():
            if request.get(name, value) not in (value, None):
                raise Refused(400, f"{name} can only be {json.dumps(value)} here", name)
        settings = {name: default for name, (_, default) in SETTINGS.items()}
        settings |= {name: request[name] for name in SETTINGS if request.get(name) is not None}
        for name, value in settings.items():
            if problem := limits.violation(SETTINGS[name][0], value):
                raise Refused(422, f"{name} {problem}", name)
        seed = request.get("seed")
        if seed is not None and (problem := limits.violation(limits.Seed, seed)):
            raise Refused(422, f"seed {problem}", "seed")
        stream = request.get("stream") or False
        if not isinstance(stream, bool):
            raise Refused(422, f"stream is true or false, got {kind(stream)}", "stream")
        prompts, length = _prompts(request, options), settings.pop("max_tokens")
        if len(prompts) * length > options.tokens:
            raise Refused(
                413,
                f"{len(prompts)} x {length:,} tokens are asked for, and of a request at most {options.tokens:,}",
                "max_tokens",
            )
        chosen = secrets.randbits(31) if seed is None else seed
        return cls(prompts, settings, length, chosen, _stops(request, options), stream)

    def answer(self, predictor: Predictor, model: str) -> dict[str, Any]:
        """The texts that follow the prompts, as `Predictor.generate` writes them."""
        choices, read, written = [], 0, 0
        for index, prompt in enumerate(self.prompts):
            seed = (self.seed + index) % 2**32
            continuation = predictor.generate(prompt, self.length, seed=seed, **self.sampling)
            text = continuation.text[len(prompt) :]
            cut = min((at for stop in self.stops if (at := text.find(stop)) >= 0), default=None)
            reason = "length" if cut is None else "stop"
            choices.append({"text": text[:cut], "index": index, "logprobs": None, "finish_reason": reason})
            read += int(predictor.form.ask([prompt], predictor.spec).lengths.sum()) if prompt else 0
            written += len(continuation.tokens)
        usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        name, created = f"cmpl-{secrets.token_hex(12)}", int(time.time())
        head = {"id": name, "object": "text_completion", "created": created, "model": model}
        return {**head, "choices": choices, "usage": usage}


def events(answer: Mapping[str, Any]) -> Iterator[bytes]:
    """An answer as server-sent events, one a choice: what a client that asks for a stream reads."""
    for choice in answer["choices"]:
        yield b"data: " + json.dumps({**answer, "choices": [choice], "usage": None}).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"


def _prompts(request: Mapping[str, Any], options: Options) -> list[str]:
    prompt = request.get("prompt")
    prompts = [""] if prompt is None else prompt if isinstance(prompt, list) else [prompt]
    if not prompts or len(prompts) > options.texts:
        raise Refused(413, f"a request has 1 to {options.texts:,} prompts, got {len(prompts):,}", "prompt")
    for text in prompts:
        check_text(text, "prompt", "prompt", options)
    return prompts


def _stops(request: Mapping[str, Any], options: Options) -> list[str]:
    stop = request.get("stop")
    stops = [] if stop is None else stop if isinstance(stop, list) else [stop]
    if len(stops) > STOPS:
        raise Refused(422, f"stop has at most {STOPS} texts, got {len(stops)}", "stop")
    for text in stops:
        check_text(text, "stop", "stop", options)
        if not text:
            raise Refused(422, "stop is empty, which every text holds at once", "stop")
    return stops
