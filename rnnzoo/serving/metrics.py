"""The figures of a server, as Prometheus reads them."""

from __future__ import annotations

import functools
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """Counts of requests, errors and batches, and how long answers took."""

    def __init__(self, waiting: Callable[[], float] = lambda: 0) -> None:
        """waiting: how many requests wait for the model now."""
        self.registry = registry = CollectorRegistry()
        labels = ("path", "status")
        self.requests = Counter("rnnzoo_requests", "Requests that were answered", labels, registry=registry)
        self.errors = Counter("rnnzoo_errors", "Requests with an answer of 400 or above", labels, registry=registry)
        self.seconds = Histogram(
            "rnnzoo_request_seconds", "Seconds to answer", ["path"], buckets=SECONDS, registry=registry
        )
        self.batches = Histogram("rnnzoo_batch_size", "Inputs answered together", buckets=SIZES, registry=registry)
        self._of = functools.cache(self._labelled)
        Gauge("rnnzoo_waiting", "Requests that wait for the model", registry=registry).set_function(waiting)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request. path: one that the server has, or "other"."""
        counts, histogram = self._of(path, status)
        for count in counts:
            count.inc()
        histogram.observe(seconds)

    def _labelled(self, path: str, status: int) -> tuple[list[Counter], Histogram]:
        counts = [self.requests, *([self.errors] if status >= 400 else [])]
        return [count.labels(path, status) for count in counts], self.seconds.labels(path)

    def text(self) -> bytes:
        """All figures in Prometheus's text format."""
        return generate_latest(self.registry)
