"""The paths of the server, and what answers each."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from rnnzoo.errors import ZooError
from rnnzoo.serving import openapi
from rnnzoo.serving.completions import Completion, events
from rnnzoo.serving.gate import App, Gate, Handler, answer, refusal
from rnnzoo.serving.metrics import CONTENT_TYPE, Metrics
from rnnzoo.serving.options import Options
from rnnzoo.serving.questions import questions
from rnnzoo.serving.refused import Refused
from rnnzoo.serving.worker import Worker
from rnnzoo.system.console import inline

if TYPE_CHECKING:
    from rnnzoo.inference.predictor import Predictor

PAGE_HEADERS = {  # a page loads nothing from elsewhere, and stands in no other page
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' data: blob:; frame-ancestors 'none'"
}
log = logging.getLogger("rnnzoo")


class Server:
    """A model, the thread that has it, and the answers to requests."""

    def __init__(self, predictor: Predictor, name: str, options: Options) -> None:
        """name: of the model, for people."""
        self.predictor, self.name, self.options = predictor, name, options
        self.asks, self.generates = predictor.form.asks, predictor.task.generates_text
        self.metrics = Metrics(lambda: self.worker.waiting)
        self.worker = Worker(self._predict, options, self.metrics.batches.observe)
        self.document = openapi.document(name, self.asks, self.generates, options)
        self.started = int(time.time())
        self.page: str | None = None

    def app(self) -> App:
        """The ASGI application. Its lifespan starts and stops the thread."""
        posted: dict[str, Handler] = {"/predict": self._answer}
        routes = [
            Route("/", self._index),
            Route("/health", self._health),
            Route("/metrics", self._figures),
            Route("/openapi.json", self._openapi),
            Route("/docs", self._docs),
        ]
        if self.generates:
            posted["/v1/completions"] = self._complete
            routes.append(Route("/v1/models", self._models))
        self.paths = [*(route.path for route in routes), *posted]
        handlers: dict[Any, Any] = {HTTPException: self._no_such_path, Refused: self._refuse}
        app = Starlette(routes=routes, lifespan=self._lifespan, exception_handlers=handlers)
        return Gate(app, posted, self.paths, self.options, self.metrics)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self.worker.start()
        yield
        await self.worker.stop()

    def _predict(self, inputs: list[Any]) -> list[Any]:
        return self.predictor.predict(inputs, batch_size=self.options.batch_size)

    async def _answer(self, request: dict[str, Any]) -> Response:
        asked = questions(request, self.asks, self.options)
        answers = await self.worker.answer(asked.inputs)
        return answer(answers[0] if asked.alone else {"answers": answers})

    async def _complete(self, request: dict[str, Any]) -> Response:
        asked = Completion.of(request, self.options)
        completion = await self.worker.do(lambda: asked.answer(self.predictor, self.name))
        if asked.stream:
            return StreamingResponse(events(completion), media_type="text/event-stream")
        return answer(completion)

    async def _health(self, request: Request) -> Response:
        well = self.worker.alive
        return answer({"status": "ok" if well else "failed", "model": self.name}, 200 if well else 503)

    async def _figures(self, request: Request) -> Response:
        return Response(self.metrics.text(), media_type=CONTENT_TYPE)

    async def _openapi(self, request: Request) -> Response:
        return answer(self.document)

    async def _docs(self, request: Request) -> Response:
        return _page(openapi.docs(self.document))

    async def _models(self, request: Request) -> Response:
        model = {"id": self.name, "object": "model", "created": self.started, "owned_by": "rnnzoo"}
        return answer({"object": "list", "data": [model]})

    async def _index(self, request: Request) -> Response:
        if self.page is None:
            self.page = await self.worker.do(self._make_page)
        return _page(self.page)

    def _make_page(self) -> str:
        """The page that runs the model itself, where there is one; else a form that asks this server."""
        from rnnzoo.export.web import pages

        try:
            return pages.page(self.predictor)
        except ZooError as error:
            log.info("no page runs this model: %s", str(error).splitlines()[0])
        except Exception as error:  # of a plugin's model: the server has another page
            log.warning("no page runs this model: %s: %s", type(error).__name__, inline(error, 200))
        return openapi.form(self.name, self.asks)

    def _refuse(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return refusal(error)

    def _no_such_path(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if request.url.path in self.paths:
            return answer(Refused(405, f"{request.url.path} is not asked by {request.method}; see /docs").body(), 405)
        return answer(Refused(404, f"there is no such path; there are: {', '.join(self.paths)}").body(), 404)


def _page(text: str) -> Response:
    return HTMLResponse(text, headers=PAGE_HEADERS)
