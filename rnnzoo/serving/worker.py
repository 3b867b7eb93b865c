"""The one thread that has the model: it answers what many requests ask, together.

A batch is what waits when the model is free. So that there is more than one input to answer, the first of them waits
for `batch_wait` seconds, unless `batch_size` of them are there before, or the model was busy for that long anyway.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rnnzoo.errors import ZooError
from rnnzoo.serving.options import Options
from rnnzoo.serving.refused import Refused
from rnnzoo.system.console import inline

BUSY = "the server has more requests than it can answer; try again later"
BROKEN = "the server failed to answer; its log says why"
GRACE_SECONDS = 5.0  # for a batch that is being answered when the server ends
Result = TypeVar("Result")
log = logging.getLogger("rnnzoo")


@dataclass
class Job:
    """Something that a request waits for. inputs: of a prediction; work: anything else that the model's thread does."""

    future: asyncio.Future[Any]
    inputs: Sequence[Any] = ()
    work: Callable[[], Any] | None = None
    arrived: float = field(default_factory=time.monotonic)


class Worker:
    """Answers requests of one event loop in a thread of its own."""

    def __init__(
        self,
        predict: Callable[[list[Any]], list[Any]],
        options: Options,
        seen: Callable[[int], None] = lambda inputs: None,
    ) -> None:
        """predict: answers inputs, in order. seen: is told how many inputs each batch has."""
        self.predict, self.options, self.seen = predict, options, seen
        self.jobs: deque[Job] = deque()
        self.changed = threading.Condition()
        self.ended = False
        self.thread = threading.Thread(target=self._run, name="rnnzoo-model", daemon=True)

    def start(self) -> None:
        """Begin to work for the event loop that is running."""
        self.loop = asyncio.get_running_loop()
        self.thread.start()

    async def stop(self, seconds: float = GRACE_SECONDS) -> None:
        """Take no more work, and wait for what is under way: a thread within torch could crash Python where that ends.

        What takes longer is left alone.
        """
        with self.changed:
            self.ended = True
            self.changed.notify()
        await asyncio.to_thread(self.thread.join, seconds)

    @property
    def alive(self) -> bool:
        return self.thread.is_alive() and not self.ended

    @property
    def waiting(self) -> int:
        """Requests that the model has not begun to answer."""
        return len(self.jobs)

    async def answer(self, inputs: Sequence[Any]) -> list[Any]:
        """The model's answers to inputs, in order. Raises: Refused."""
        return await self._done(Job(self.loop.create_future(), inputs))

    async def do(self, work: Callable[[], Result]) -> Result:
        """What some work with the model returns. Raises: Refused."""
        result: Result = await self._done(Job(self.loop.create_future(), work=work))
        return result

    async def _done(self, job: Job) -> Any:
        with self.changed:
            if len(self.jobs) >= self.options.waiting:
                self.jobs = deque(job for job in self.jobs if not job.future.done())
            if self.ended or len(self.jobs) >= self.options.waiting:
                raise Refused(503, BUSY)
            self.jobs.append(job)
            if len(self.jobs) == 1 or len(self.jobs) >= self.options.batch_size:
                self.changed.notify()
        timer = self.loop.call_later(self.options.timeout, self._give_up, job.future)
        try:
            return await job.future
        finally:
            timer.cancel()

    def _give_up(self, future: asyncio.Future[Any]) -> None:
        if not future.done():
            future.set_exception(Refused(503, f"no answer within {self.options.timeout:g} seconds; try again later"))

    def _run(self) -> None:
        while (jobs := self._next()) is not None:
            results = self._results(jobs)
            try:
                self.loop.call_soon_threadsafe(_deliver, results)
            except RuntimeError:  # the loop has ended
                return

    def _next(self) -> list[Job] | None:
        """The jobs to do now, once there are some: a batch of predictions, or one other work. None at the end."""
        with self.changed:
            while not self.ended:
                while self.jobs and self.jobs[0].future.done():  # nobody waits for it any more
                    self.jobs.popleft()
                if not self.jobs:
                    self.changed.wait()
                    continue
                if self.jobs[0].work is not None:
                    return [self.jobs.popleft()]
                left = self.jobs[0].arrived + self.options.batch_wait - time.monotonic()
                if left > 0 and sum(len(job.inputs) for job in self.jobs) < self.options.batch_size:
                    self.changed.wait(left)
                    continue
                return self._batch()
        return None

    def _batch(self) -> list[Job]:
        """The predictions that wait, up to the batch size, but at least one."""
        jobs = [self.jobs.popleft()]
        size = len(jobs[0].inputs)
        while self.jobs and self.jobs[0].work is None and size + len(self.jobs[0].inputs) <= self.options.batch_size:
            job = self.jobs.popleft()
            if not job.future.done():
                jobs.append(job)
                size += len(job.inputs)
        return jobs

    def _results(self, jobs: list[Job]) -> list[tuple[asyncio.Future[Any], Any]]:
        """Each job's future, and its answers or its error. An input that the model refuses spoils no other's answer."""
        try:
            if jobs[0].work is not None:
                return [(jobs[0].future, jobs[0].work())]
            inputs = [item for job in jobs for item in job.inputs]
            answers = iter(self.predict(inputs))
            self.seen(len(inputs))
            return [(job.future, [next(answers) for _ in job.inputs]) for job in jobs]
        except Exception as error:  # the server goes on, whatever a plugin's model raises
            if len(jobs) > 1:
                return [result for job in jobs for result in self._results([job])]
            return [(jobs[0].future, _refusal(error))]


def _refusal(error: Exception) -> Exception:
    """What a request is told of an error: of its own input all, of the server's nothing."""
    if isinstance(error, ZooError):
        return Refused(422, inline(str(error).splitlines()[0].rstrip("."), 500))
    if isinstance(error, Refused):
        return error
    log.error("a request could not be answered", exc_info=error)
    return Refused(500, BROKEN)


def _deliver(results: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in results:
        if future.done():  # its request was given up
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
