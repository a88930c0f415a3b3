"""Work for the devices: a thread for each takes requests in order and computes those of equal shape together."""

import collections
import dataclasses
import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any

from ag_scorers.serve.errors import ServiceError

# What a worker does with the payloads of one key: a result, or an exception, for each.
Work = Callable[[Hashable, Sequence[Any]], Sequence[Any]]


@dataclasses.dataclass
class _Task:
    key: Hashable
    payload: Any
    most: int
    future: "Future[Any]"


class DeviceQueue:
    """Tasks in order of arrival; those with the key of the first one that waits go with it, as many as it says."""

    def __init__(self, workers: Sequence[Work], capacity: int):
        self.capacity = capacity
        self._tasks: collections.deque[_Task] = collections.deque()
        self._changed = threading.Condition()
        self._closed = False
        self.batches: collections.Counter[int] = collections.Counter()
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=f"device {number}", daemon=True)
            for number, work in enumerate(workers)
        ]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        """Tasks that wait."""
        return len(self._tasks)

    def submit(self, key: Hashable, payload: Any, most: int = 1) -> "Future[Any]":
        """A task; up to `most` of its key are computed together. Raises ServiceError when too many wait."""
        task = _Task(key, payload, most, Future())
        with self._changed:
            if self._closed:
                raise ServiceError("UNAVAILABLE", "the server is shutting down")
            if len(self._tasks) >= self.capacity:
                self._drop_cancelled()
            if len(self._tasks) >= self.capacity:
                raise ServiceError("UNAVAILABLE", f"{self.capacity} requests wait already; try again later")
            self._tasks.append(task)
            self._changed.notify()
        return task.future

    def close(self) -> None:
        """Ends the threads once they have done what they are at; what waits is given up."""
        with self._changed:
            self._closed = True
            waiting = list(self._tasks)
            self._tasks.clear()
            self._changed.notify_all()
        for task in waiting:
            if task.future.set_running_or_notify_cancel():
                task.future.set_exception(ServiceError("UNAVAILABLE", "the server is shutting down"))
        for thread in self._threads:
            thread.join()

    def _drop_cancelled(self) -> None:
        self._tasks = collections.deque(task for task in self._tasks if not task.future.cancelled())

    def _take(self) -> list[_Task] | None:
        """The next tasks of one key, now running; None at the end."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._tasks or self._closed)
                if not self._tasks:
                    return None
                first = self._tasks.popleft()
                taken = [first] if first.future.set_running_or_notify_cancel() else []
                rest: collections.deque[_Task] = collections.deque()
                for task in self._tasks if taken else ():
                    fits = len(taken) < first.most and task.key == first.key
                    if not fits:
                        rest.append(task)
                    elif task.future.set_running_or_notify_cancel():
                        taken.append(task)
                if taken:
                    self._tasks = rest
                    return taken

    def _run(self, work: Work) -> None:
        while (tasks := self._take()) is not None:
            self.batches[len(tasks)] += 1
            try:
                results = work(tasks[0].key, [task.payload for task in tasks])
            except BaseException as error:  # the thread must live on, and whoever waits must know
                results = [error] * len(tasks)
            for task, result in zip(tasks, results, strict=True):
                if isinstance(result, BaseException):
                    task.future.set_exception(result)
                else:
                    task.future.set_result(result)
            del tasks, results  # large arrays, while this thread waits


def wait(future: "Future[Any]", seconds: float) -> Any:
    """The result. Raises ServiceError when it takes longer or the request was given up, else what went wrong."""
    try:
        return future.result(max(seconds, 0))
    except TimeoutError:
        future.cancel()
        raise ServiceError("DEADLINE_EXCEEDED", "the request took too long; ask for less, or try again later") from None
    except CancelledError:
        raise ServiceError("CANCELLED", "the request was given up") from None
