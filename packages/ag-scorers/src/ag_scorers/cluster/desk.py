"""The desk of a run: which shards are handed out to whom, and what comes back."""

import collections
import contextlib
import itertools
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from ag_core.errors import InputError
from ag_data.disk import explain_full_disk
from ag_data.variants import Call
from rich.console import Console

from ag_scorers.cluster.arrivals import ClusterLost, Killed, read_result
from ag_scorers.cluster.order import Order
from ag_scorers.cluster.pace import AHEAD, SLOW
from ag_scorers.cluster.placement import Placement
from ag_scorers.cluster.worker import Fault, score_shard
from ag_scorers.shards import RunFolder

# Times that Dask may give a shard up because the workers that had it died: each counts several of them.
KILLED = 2
_POLL = 0.05
_LOOK = 1.0  # seconds between two looks at the workers
# Seconds for a finished shard to arrive, at first; then it rests as long as that, and gets twice the time.
_FETCH = 10.0


class Desk:
    """What is handed out and not back yet; it outlives the loss of a cluster."""

    def __init__(
        self,
        order: Order,
        chunks: Iterator[tuple[int, list[Call]]],
        folder: RunFolder,
        console: Console,
        advance: Callable[[int], None],
        patience: float,
    ):
        self.order, self.chunks, self.folder, self.console, self.advance = order, chunks, folder, console, advance
        self.patience = patience
        self.waiting: dict[int, list[Call]] = {}
        self.placement = Placement(f"finished shards are kept in {folder.folder}, and the same command goes on")
        self.done = self.handed = self.copies = 0
        self._took: list[float] = []  # seconds from handing out until back
        self._killed: collections.Counter[int] = collections.Counter()
        self._devices: set[str] = set()

    def __str__(self) -> str:
        return (
            f"{self.done} shards, handed out {self.handed} times; {self.placement.faults} failed on workers, "
            f"{self.copies} copied to idle ones, {len(self.placement.out)} workers left out"
        )

    def serve(self, client: Any) -> None:
        """Until nothing is missing. Raises ClusterLost or OSError when this client is of no use any more."""
        self.client, self.running = client, {}
        self._resting: dict[Any, tuple[float, float]] = {}  # futures that did not arrive: until when, and for how long
        self._peopled = time.monotonic()  # when a worker was seen last
        self._look()
        for number in sorted(self.waiting):  # of a cluster that was lost
            self._submit(number)
        self._fill()
        while self.running:
            if client.status != "running":
                raise ClusterLost("its scheduler is gone")
            now = time.monotonic()
            came = [
                future
                for future in self.running
                if future.status != "pending" and self._resting.get(future, (0.0, 0.0))[0] <= now
            ]
            for future in came:
                self._take(future)
            if came:
                self._fill()
            else:
                time.sleep(_POLL)
            if time.monotonic() > self._looked + _LOOK:
                self._look()
                self._fill()

    def _look(self) -> None:
        self._looked = time.monotonic()
        self.placement.live = set(self.client.nthreads())
        if self.placement.live:
            self._peopled = self._looked
        elif self._looked > self._peopled + self.patience:
            raise InputError(f"{no_worker(self.patience)}; {self.placement.kept}")
        for future, (number, _, allowed) in list(self.running.items()):
            if allowed is not None and self.placement.live.isdisjoint(allowed):  # it would wait for ever
                self._drop(future)
                self._submit(number)

    def _fill(self) -> None:
        room = AHEAD * max(1, len(self.placement.usable())) - len(self.running)
        with _not_the_cluster("the variants cannot be read"):
            more = list(itertools.islice(self.chunks, max(room, 0)))
        for number, chunk in more:
            self.waiting[number] = chunk
            self._submit(number)
        if not more and self._took and len(self.running) < len(self.placement.usable()):
            self._copy_slow()

    def _submit(self, number: int, allowed: list[str] | None = None) -> None:
        allowed = allowed or self.placement.allowed(number)
        # Of no other run's shard: a scheduler takes equal names for one and the same.
        name = f"shard-{number:05d}-{uuid.uuid4().hex}"
        future = self.client.submit(
            score_shard, self.order, self.waiting[number], key=name, pure=False, retries=0, workers=allowed
        )
        self.running[future] = number, time.monotonic(), allowed
        self.handed += 1

    def _copy_slow(self) -> None:
        """Gives shards that take long to workers without any: whoever is first counts."""
        late = time.monotonic() - SLOW * statistics.median(self._took)
        times = collections.Counter(number for number, _, _ in self.running.values())
        slow = sorted((at, n) for n, at, _ in self.running.values() if at < late and times[n] == 1)
        if not slow:
            return
        at_work = {key: worker for worker, keys in self.client.processing().items() for key in keys}
        idle = sorted(self.placement.usable() - set(at_work.values()))
        begun = {n for future, (n, _, _) in self.running.items() if future.key in at_work}
        for (_, number), worker in zip([one for one in slow if one[1] in begun], idle, strict=False):
            self._submit(number, [worker])
            self.copies += 1

    def _withdraw(self, worker: str) -> None:
        """Gives what a worker still has to others."""
        keys = set(self.client.processing([worker]).get(worker, ()))
        for future in [one for one in self.running if one.key in keys]:
            number = self.running[future][0]
            self._drop(future)
            self._submit(number)

    def _drop(self, future: Any) -> None:
        del self.running[future]
        self._resting.pop(future, None)
        future.cancel()

    def _take(self, future: Any) -> None:
        if future not in self.running:  # another copy was first
            return
        number, at, _ = self.running[future]
        _, patience = self._resting.get(future, (0.0, _FETCH))
        try:
            result = read_result(future, number, patience)
        except TimeoutError:  # its worker may be stopped, which Dask will find out; others are asked meanwhile
            self._resting[future] = time.monotonic() + patience, 2 * patience
            return
        except Killed as error:
            self._killed[number] += 1
            if self._killed[number] >= KILLED:
                raise InputError(f"{error}; {self.placement.kept}") from error
            self.console.print(f"{error}; it is tried once more", highlight=False, markup=False)
            self._drop(future)
            self._submit(number)
            return
        if result is None:
            return
        del self.running[future]
        self._resting.pop(future, None)
        others = [other for other, (n, _, _) in self.running.items() if n == number]
        if isinstance(result, Fault) and result.scored is not None and self.placement.excuse(number, result):
            result = result.scored
        if isinstance(result, Fault):
            known = result.worker in self.placement.out
            if note := self.placement.blame(number, result):
                self.console.print(note, highlight=False, markup=False)
            future.release()
            if not others:
                self._submit(number)
            if not known and result.worker in self.placement.out:
                self._withdraw(result.worker)
            return
        self.placement.praise(result.worker)
        if result.device not in self._devices:
            self._devices.add(result.device)
            if len(self._devices) > 1:
                text = f"workers have devices of several kinds, whose last digits differ: {sorted(self._devices)}"
                self.console.print(text, highlight=False, markup=False)
        self._took.append(time.monotonic() - at)
        with (
            _not_the_cluster(f"shard {number} cannot be kept in {self.folder.folder}"),
            explain_full_disk(f"finished shards are kept in {self.folder.folder}"),
        ):
            self.folder.keep(number, result.data, result.seconds)
        self.done += 1
        self.advance(len(self.waiting.pop(number)))
        future.release()
        for other in others:
            self._drop(other)


@contextlib.contextmanager
def _not_the_cluster(what: str) -> Iterator[None]:
    """Keeps errors of this machine's files apart from those of connections, which are OSErrors as well."""
    try:
        yield
    except OSError as error:
        raise RuntimeError(f"{what}: {error}") from error


def no_worker(patience: float) -> str:
    """What to say after so many seconds without any."""
    return f"no worker in {patience:.0f} s; start some (dask worker ADDRESS --nthreads 1) with this suite installed"
