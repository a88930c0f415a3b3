"""Hands shards to Dask workers and keeps what comes back, until none is missing.

Shards are written by this process alone, each once, from bytes that do not depend on who made them; so a worker that
dies, comes back late or does the same shard twice changes nothing. When the scheduler is lost, what is missing is
handed out anew as soon as it is back.
"""

import contextlib
import time
from collections.abc import Callable, Iterable
from typing import Any

from ag_core.errors import InputError
from ag_data.variants import Call
from rich.console import Console

from ag_scorers.batches import batched
from ag_scorers.cluster.arrivals import ClusterLost
from ag_scorers.cluster.desk import Desk, no_worker
from ag_scorers.cluster.order import Order
from ag_scorers.cluster.pace import PATIENCE
from ag_scorers.shards import RunFolder

# Times that the cluster may be lost without a shard between them.
LOSSES = 10


def run_on_cluster(
    open_client: Callable[[], Any],
    order: Order,
    calls: Iterable[Call],
    folder: RunFolder,
    size: int,
    console: Console,
    advance: Callable[[int], None] = lambda count: None,
    patience: float | None = None,
) -> None:
    """Scores the shards that `folder` does not have, on the workers of the cluster that `open_client` connects to.

    `patience` is in seconds; by default that of `open_client`, or PATIENCE.
    Raises InputError when there is no worker or no cluster for that time, a shard kills worker after worker, or every
    worker lacks a file; RuntimeError when a shard fails again and again, or no worker is left that can make one. The
    shards that are done stay.
    """
    if patience is None:
        patience = float(getattr(open_client, "patience", PATIENCE))
    chunks = ((number, chunk) for number, chunk in enumerate(batched(calls, size)) if number not in folder.manifests)
    desk = Desk(order, chunks, folder, console, advance, patience)
    fruitless, before = 0, 0
    while True:
        client = _connect(open_client, folder, patience)
        try:
            _wait_for_workers(client, patience)
            desk.serve(client)
            break
        except Exception as error:
            if not _is_loss(error, client):
                raise
            fruitless, before = 1 if desk.done > before else fruitless + 1, desk.done
            if fruitless >= LOSSES:
                raise InputError(
                    f"the cluster was lost {LOSSES} times without a shard between them, at last by {error}; "
                    f"{desk.placement.kept}"
                ) from error
            console.print(f"the cluster was lost ({error}); waiting for it", highlight=False, markup=False)
            time.sleep(1.0)
        finally:
            with contextlib.suppress(Exception):  # of a scheduler that is gone
                client.close(timeout=5)
    console.print(str(desk), highlight=False, markup=False)


def _is_loss(error: Exception, client: Any) -> bool:
    """Whether it is the connection that failed. This process's own files have errors of their own by then."""
    from concurrent.futures import CancelledError

    from distributed.client import ClosedClientError

    if isinstance(error, (OSError, ClusterLost, CancelledError, ClosedClientError)):
        return True
    # A client that is closed by its own thread has lost its parts.
    return isinstance(error, AttributeError) and client.status != "running"


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
        raise InputError(no_worker(patience)) from error
