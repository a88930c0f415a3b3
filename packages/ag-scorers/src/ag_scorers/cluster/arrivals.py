"""What became of a shard that was handed out: it is fetched, or its error is told apart from the cluster's."""

from typing import Any

from ag_core.errors import InputError

from ag_scorers.cluster.worker import Fault, Scored


class ClusterLost(RuntimeError):
    """The scheduler is gone, or forgot what it was asked."""


class Killed(Exception):
    """Workers died of a shard, or while they had it."""


def read_result(future: Any, number: int, patience: float) -> Scored | Fault | None:
    """None for one that is not finished any more: its worker was lost, and Dask gave it to another.

    Raises TimeoutError for one that is finished, but does not arrive; Killed; and ClusterLost.
    """
    from distributed import KilledWorker

    # The client's thread may change it at any time.
    status = future.status
    if status == "pending":
        return None
    if status == "finished":
        return _fetch(future, patience)
    if status != "error":  # lost, cancelled
        raise ClusterLost(f"shard {number} was {status}")
    try:
        error = future.exception(timeout=patience)
    except TimeoutError:
        return None
    if error is None:
        return None
    if isinstance(error, KilledWorker):
        raise Killed(
            f"shard {number} has killed several workers, or was with them when they died: most likely it needs more "
            "memory than they have; give them more, or score with smaller batches (--batch-size)"
        ) from error
    if isinstance(error, InputError):
        raise error
    if isinstance(error, ImportError):
        raise InputError(f"a worker lacks a package ({error}); install this suite, the same version, on all") from error
    raise RuntimeError(f"shard {number} failed on a worker: {type(error).__name__}: {error}") from error


def _fetch(future: Any, patience: float) -> Scored | Fault | None:
    """None if it turns out that it must be made again. Raises TimeoutError."""
    try:
        return future.result(timeout=patience)
    except TimeoutError:
        raise
    except Exception:
        if future.status == "finished":  # a connection
            raise
        return None  # the next look tells
