"""What the server tells about itself, in the text form of Prometheus."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from ag_scorers.serve.backend import Backend

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """Requests by method, status and front; bp by key; what waits and what is held. Keys appear by name only."""

    def __init__(self, backend: Backend):
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        names = ["front", "method"]
        self._done = Counter("ag_requests", "Requests that ended", [*names, "status"], registry=registry)
        self._seconds = Histogram("ag_request_seconds", "Time of a request", names, registry=registry, buckets=_SECONDS)
        self._running = Gauge("ag_requests_running", "Requests under way", names, registry=registry)
        self._bases = Counter("ag_bases", "Bp that requests asked for", ["key"], registry=registry)
        for name, text, value in (
            ("ag_queue_length", "Tasks that wait for a device", lambda: len(backend.queue)),
            ("ag_answer_bytes", "Bytes of answers being made or sent", lambda: backend.budget.used),
        ):
            Gauge(name, text, registry=registry).set_function(value)
        self._batches: Any = Gauge("ag_batches", "Runs of a device by tasks in them", ["size"], registry=registry)
        self._counts = backend.queue.batches

    @contextmanager
    def watch(self, front: str, method: str, outcome: dict[str, str]) -> Iterator[None]:
        """Counts a request; `outcome["status"]` is read when it ends."""
        begun, running = time.perf_counter(), self._running.labels(front, method)
        running.inc()
        try:
            yield
        finally:
            running.dec()
            self._seconds.labels(front, method).observe(time.perf_counter() - begun)
            self._done.labels(front, method, outcome.get("status", "OK")).inc()

    def charged(self, key: str, bases: int) -> None:
        """Counts bp of an account."""
        self._bases.labels(key).inc(bases)

    def text(self) -> bytes:
        """All of it now."""
        for size, count in dict(self._counts).items():
            self._batches.labels(str(size)).set(count)
        return generate_latest(self.registry)
