"""Hands shards to Dask workers and keeps what comes back, until none is missing.

Shards are written by this process alone, each once, from bytes that do not depend on who made them; so a worker that
dies, comes back late or does the same shard twice changes nothing. When the scheduler is lost, what is missing is
handed out anew as soon as it is back.
"""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ag_core.errors import InputError
from ag_data.disk import explain_full_disk
from ag_data.variants import Call
from rich.console import Console

from ag_scorers.batches import batched
from ag_scorers.cluster.order import Order
from ag_scorers.cluster.worker import score_shard
from ag_scorers.shards import RunFolder

# Shards that are handed out for each worker, so that none waits for its next.
AHEAD = 2
# Seconds for a scheduler to come back, and for the first worker to appear.
PATIENCE = 300.0
_POLL = 0.05


def run_on_cluster(
    open_client: Callable[[], Any],
    order: Order,
    calls: Iterable[Call],
    folder: RunFolder,
    size: int,
    console: Console,
    advance: Callable[[int], None] = lambda count: None,
    patience: float = PATIENCE,
) -> None:
    """Scores the shards that `folder` does not have, on the workers of the cluster that `open_client` connects to.

    Raises InputError when no worker appears, the cluster stays away for `patience` seconds, or a shard kills more
    workers than Dask allows (3); the shards that are done stay.
    """
    chunks = ((number, chunk) for number, chunk in enumerate(batched(calls, size)) if number not in folder.manifests)
    waiting: dict[int, list[Call]] = {}
    while True:
        client = _connect(open_client, folder, patience)
        try:
            _wait_for_workers(client, patience)
            _hand_out(client, order, chunks, waiting, folder, advance)
            return
        except (OSError, _ClusterLost) as error:
            console.print(f"the cluster was lost ({error}); waiting for it", highlight=False, markup=False)
        finally:
            with contextlib.suppress(Exception):  # of a scheduler that is gone
                client.close(timeout=5)


class _ClusterLost(RuntimeError):
    """The scheduler is gone, or forgot what it was asked."""


def _connect(open_client: Callable[[], Any], folder: RunFolder, patience: float) -> Any:
    end = time.monotonic() + patience
    while True:
        try:
            return open_client()
        except (OSError, TimeoutError) as error:
            if time.monotonic() > end:
                raise InputError(
                    f"no cluster in {patience:.0f} s ({error}); shards that are done are kept in {folder.folder}, and "
                    "the same command goes on"
                ) from error
            time.sleep(1.0)


def _wait_for_workers(client: Any, patience: float) -> None:
    try:
        client.wait_for_workers(1, timeout=patience)
    except TimeoutError as error:
        raise InputError(
            f"no worker in {patience:.0f} s; start some (dask worker ADDRESS --nthreads 1) with this suite installed"
        ) from error


def _hand_out(
    client: Any,
    order: Order,
    chunks: Iterator[tuple[int, list[Call]]],
    waiting: dict[int, list[Call]],
    folder: RunFolder,
    advance: Callable[[int], None],
) -> None:
    """Until nothing is missing; `waiting` are shards that were handed out and are not back."""
    from distributed import as_completed

    running: dict[Any, int] = {}
    results = as_completed([], loop=client.loop, raise_errors=False)

    def submit(number: int) -> None:
        future = client.submit(score_shard, order, waiting[number], pure=False, retries=0)
        running[future] = number
        results.add(future)

    for number in sorted(waiting):  # of a cluster that was lost
        submit(number)

    def fill() -> None:
        room = AHEAD * max(1, len(client.scheduler_info()["workers"])) - len(running)
        for number, chunk in itertools.islice(chunks, max(room, 0)):
            waiting[number] = chunk
            submit(number)

    fill()
    while running:
        _wait(client, results, running)
        future = next(results)
        number = running.pop(future)
        data, seconds = _result(future, number)
        with explain_full_disk(f"finished shards are kept in {folder.folder}"):
            folder.keep(number, data, seconds)
        advance(len(waiting.pop(number)))
        future.release()
        fill()


def _wait(client: Any, results: Any, running: Iterable[Any]) -> None:
    """Until something is back. Of a scheduler that is gone the iterator alone would say nothing."""
    while not results.has_ready():
        if client.status != "running" or any(future.status in ("cancelled", "lost") for future in running):
            raise _ClusterLost("its scheduler is gone")
        time.sleep(_POLL)


def _result(future: Any, number: int) -> tuple[bytes, float]:
    from distributed import KilledWorker

    if future.status == "finished":
        return future.result()
    if future.status in ("lost", "cancelled"):
        raise _ClusterLost(f"shard {number} was {future.status}")
    error = future.exception()
    if isinstance(error, KilledWorker):
        raise InputError(
            f"shard {number} has killed several workers: most likely it needs more memory than they have; give them "
            "more, or score with smaller batches (--batch-size)"
        ) from error
    raise error
