"""Where both fronts bring their requests: account, quota, time, memory, and then the work."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from ag_core.genome import Variant

from ag_scorers.serve.backend import Backend
from ag_scorers.serve.errors import ServiceError, describe
from ag_scorers.serve.limits import Account, Accounts, Deadlines
from ag_scorers.serve.messages import Catalogue
from ag_scorers.serve.metrics import Metrics
from ag_scorers.serve.predicting import Output
from ag_scorers.serve.replica import Scores
from ag_scorers.serve.requests import IntervalScores, Prediction, VariantScores

_LATER = 0.5  # seconds
LOG = logging.getLogger("ag_scorers.serve")


class Desk:
    """What fronts share. `open` says whether requests are taken."""

    def __init__(self, backend: Backend, accounts: Accounts):
        self.backend, self.accounts, self.open = backend, accounts, True
        self.metrics, self.deadlines = Metrics(backend), Deadlines()
        self.catalogue = Catalogue(backend.tables)
        self._running, self._changed = 0, threading.Condition()

    def visit(self, front: str, method: str) -> "Visit":
        """A request that begins now."""
        return Visit(self, front, method)

    @contextmanager
    def work(self) -> Iterator[None]:
        """Something that `drain` waits for. Raises ServiceError when requests are not taken any more."""
        with self._changed:
            if not self.open:
                raise ServiceError("UNAVAILABLE", "the server is shutting down")
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def wait_while_open(self, gone: Callable[[], bool]) -> None:
        """Until requests are not taken any more, or `gone` says so: whoever changes that calls `wake`."""
        with self._changed:
            self._changed.wait_for(lambda: not self.open or gone())

    def wake(self) -> None:
        """Has those who wait look again."""
        with self._changed:
            self._changed.notify_all()

    def drain(self, seconds: float) -> bool:
        """Takes no more requests; whether those under way have ended, after `seconds` at the latest."""
        with self._changed:
            self.open = False
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._running, seconds)

    def close(self) -> None:
        """Ends all threads; call it when the fronts are closed."""
        self.drain(0)
        self.backend.close()
        self.deadlines.close()


class Visit:
    """One request, from its first byte to its last: a context manager, in which everything is given back at the end.

    `give_up` is called when time is up; it must make the front stop sending.
    """

    def __init__(self, desk: Desk, front: str, method: str):
        self._desk, self._backend = desk, desk.backend
        self._front, self._method = front, method
        self._stack, self._outcome = ExitStack(), {}
        self._account: Account | None = None
        self._futures: list[Any] = []
        self.deadline = time.monotonic() + desk.backend.settings.timeout

    def __enter__(self) -> "Visit":
        self._stack.enter_context(self._desk.metrics.watch(self._front, self._method, self._outcome))
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is not None and "status" not in self._outcome:
            self.failed(error) if isinstance(error, Exception) else self._outcome.update(status="CANCELLED")
        self.cancel()
        self._stack.close()

    def limit(self, seconds: float | None, give_up: Callable[[], object]) -> None:
        """Sets the time: what the client asks for, but no more than the server allows."""
        if seconds is not None:
            self.deadline = min(self.deadline, time.monotonic() + seconds)
        # Later, so that work which takes too long is told so, and only a client that keeps still is cut off.
        self._stack.callback(self._desk.deadlines.set(self.deadline + _LATER, give_up))

    def enter(self, key: str | None) -> None:
        """Finds the account of a key and takes one of its places. Raises ServiceError."""
        self._stack.enter_context(self._desk.work())
        self._account = self._desk.accounts.find(key)
        self._stack.enter_context(self._account.slot())

    def failed(self, error: BaseException) -> tuple[str, str]:
        """Status and text of what went wrong; what nobody foresaw is logged, requests and keys are not."""
        status, text = describe(error)
        told, self._outcome["status"] = self._outcome.get("status"), status
        if status == "INTERNAL" and told is None:
            LOG.error("%s %s failed", self._front, self._method, exc_info=error)
        return status, text

    def cancel(self) -> None:
        """Nobody waits any more for what has not begun."""
        for future in self._futures:
            future.cancel()

    def predict(self, request: Prediction) -> list[dict[str, Output]]:
        """Outputs of each allele; their memory is counted until the visit ends."""
        self._charge(request.bases)
        self._stack.enter_context(self._backend.budget.hold(self._backend.size(request), self.deadline))
        return self._backend.predict(request, self.deadline, self._told)

    def score(self, request: VariantScores) -> Iterator[tuple[Variant, Scores]]:
        """Each variant with its scores."""
        self._charge(request.bases)
        return self._backend.score(request, self.deadline, self._told)

    def score_interval(self, request: IntervalScores) -> Scores:
        """Scores of an interval."""
        self._charge(request.bases)
        return self._backend.score_interval(request, self.deadline, self._told)

    def _told(self, future: Any) -> None:
        self._futures = [future]

    def _charge(self, bases: int) -> None:
        assert self._account is not None
        self._account.charge(bases)
        self._desk.metrics.charged(self._account.name, bases)
