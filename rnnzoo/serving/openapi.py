"""What the server answers to: as an OpenAPI document, and as a page for people that loads nothing from elsewhere."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from rnnzoo import __version__
from rnnzoo.serving.options import Options
from rnnzoo.serving.questions import MANY, ONE

ERRORS = {
    "400": "the request cannot be read, or has a key that is not known",
    "403": "the request is for another host, or from another site's page",
    "413": "the request is larger than the server takes",
    "415": "the body is not sent as JSON",
    "422": "a value is not one that the model can be asked with",
    "503": "the server has more requests than it can answer",
}


def document(model: str, asks: str, generates: bool, options: Options) -> dict[str, Any]:
    """The OpenAPI document. asks: what /predict takes. generates: whether the model continues texts."""
    paths: dict[str, Any] = {"/predict": {"post": _post("Ask the model", _predict_schema(asks, options))}}
    if generates:
        paths["/v1/completions"] = {"post": _post("Continue a text", _completion_schema(options))}
        paths["/v1/models"] = {"get": _get("The model, as OpenAI's interface lists it")}
    paths |= {
        "/health": {"get": _get("Whether the server can answer: 200, or 503")},
        "/metrics": {"get": _get("Requests, errors, seconds and batches, for Prometheus")},
    }
    return {"openapi": "3.1.0", "info": {"title": f"rnnzoo: {model}", "version": __version__}, "paths": paths}


def _post(summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    message = {"type": "object", "properties": {"message": {"type": "string"}}}
    error = {"content": {"application/json": {"schema": {"type": "object", "properties": {"error": message}}}}}
    answer = {"description": "the answer", "content": {"application/json": {"schema": {"type": "object"}}}}
    responses = {"200": answer} | {code: {"description": text, **error} for code, text in ERRORS.items()}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {"summary": summary, "requestBody": body, "responses": responses}


def _get(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": "the answer"}}}


def _predict_schema(asks: str, options: Options) -> dict[str, Any]:
    step = {"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}}]}
    kinds: dict[str, dict[str, Any]] = {
        "text": {"type": "string", "maxLength": options.characters},
        "series": {"type": "array", "items": step, "minItems": 1, "maxItems": options.steps},
        "sound": {"type": "string", "contentEncoding": "base64", "contentMediaType": "audio/wav"},
    }
    one = kinds[asks]
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": options.texts}
    key, keys = (next(key for key, kind in names.items() if kind == asks) for names in (ONE, MANY))
    properties, example = {key: one, keys: many}, {key: TYPED[asks].example}
    return {
        "oneOf": [
            {"type": "object", "required": [key], "properties": {key: value}, "additionalProperties": False}
            for key, value in properties.items()
        ],
        "example": example,
    }


def _completion_schema(options: Options) -> dict[str, Any]:
    text = {"type": "string", "maxLength": options.characters}
    properties = {
        "prompt": {"anyOf": [text, {"type": "array", "items": text, "maxItems": options.texts}]},
        "max_tokens": {"type": "integer", "minimum": 1, "maximum": options.tokens, "default": 16},
        "temperature": {"type": "number", "minimum": 0, "default": 1},
        "top_p": {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 1},
        "seed": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
        "stop": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "maxItems": 4}]},
        "stream": {"type": "boolean", "default": False},
    }
    return {"type": "object", "properties": properties, "example": {"prompt": "the dog", "max_tokens": 20, "seed": 1}}


PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui,sans-serif;
max-width:44rem;margin:2rem auto;padding:0 1rem}}
pre{{background:#8882;padding:.6rem;overflow:auto}}textarea{{width:100%;box-sizing:border-box;font:inherit}}
code{{font-family:ui-monospace,monospace}}h2{{font-size:1.1rem;margin-top:2rem}}td{{padding-right:1rem}}
</style></head><body>{body}</body></html>"""


def docs(document: Mapping[str, Any]) -> str:
    """The document as a page."""
    parts = [
        f"<h1>{html.escape(document['info']['title'])}</h1><p>As OpenAPI: <a href='/openapi.json'>openapi.json</a>"
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2><code>{method.upper()} {path}</code></h2><p>{html.escape(operation['summary'])}.")
            if "requestBody" not in operation:
                continue
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            example = json.dumps(schema["example"])
            command = f"curl -H 'Content-Type: application/json' \\\n  -d '{example}' http://HOST:PORT{path}"
            parts.append(f"<pre>{html.escape(command)}</pre><details><summary>Schema</summary><pre>")
            parts.append(html.escape(json.dumps(schema, indent=1)) + "</pre></details><table>")
            parts += [f"<tr><td>{code}<td>{html.escape(text)}" for code, text in ERRORS.items()]
            parts.append("</table>")
    return PAGE.format(title=html.escape(document["info"]["title"]), body="".join(parts))


FORM = """<h1>{model}</h1>
<form id="form"><p><label for="input">{label}</label><textarea id="input" rows="5" required></textarea>
<p><button>Ask</button> <a href="/docs">How to ask from a program</a></form><pre id="answer" aria-live="polite"></pre>
<script>
document.getElementById("form").addEventListener("submit", async (event) => {{
  event.preventDefault();
  const typed = document.getElementById("input").value, answer = document.getElementById("answer");
  answer.textContent = "...";
  try {{
    const body = JSON.stringify({{{key}: {value}}});
    const response = await fetch("/predict", {{method: "POST", headers: {{"Content-Type": "application/json"}}, body}});
    const got = await response.json();
    answer.textContent = response.ok ? JSON.stringify(got, null, 1) : got.error.message;
  }} catch (error) {{ answer.textContent = String(error); }}
}});
</script>"""


class Typed(NamedTuple):
    """How a field of the form is called, the script that makes its value the request's, and an example of that."""

    label: str
    script: str
    example: Any


TYPED = {
    "text": Typed("A text", "typed", "not bad at all"),
    "series": Typed("A series of numbers, as JSON: [0.5, 0.1] has two steps", "JSON.parse(typed)", [0.5, 0.1]),
    "sound": Typed("A WAV file in base64", "typed", "UklGRg=="),
}


def form(model: str, asks: str) -> str:
    """A page with one field, which asks the server."""
    typed = TYPED[asks]
    body = FORM.format(model=html.escape(model), label=typed.label, key=asks, value=typed.script)
    return PAGE.format(title=html.escape(model), body=body)
