"""Connections to clusters: an address, processes on this machine, or jobs of Slurm through dask-jobqueue."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from ag_core.errors import InputError

from ag_scorers.cluster.pace import PATIENCE
from ag_scorers.cluster.slurm import open_slurm

INSTALL = 'pip install "ag-scorers[cluster]"'
# Seconds until a connection is given up.
_TIMEOUT = 20.0


@dataclasses.dataclass(frozen=True)
class Connection:
    """Opens a client of a cluster when called; `patience`: seconds that a run waits while there is no worker."""

    connect: Callable[[], Any]
    patience: float = PATIENCE

    def __call__(self) -> Any:
        return self.connect()


@contextlib.contextmanager
def open_cluster(address: str | None, local: int | None, slurm: pathlib.Path | None) -> Iterator[Connection]:
    """How to connect to the one cluster that is asked for; what was started for it ends with the block.

    - `address`: of a scheduler, such as tcp://10.0.0.1:8786;
    - `local`: so many worker processes here;
    - `slurm`: the file of `ag_scorers.cluster.slurm`.

    Raises InputError for more than one, a missing package, options that are refused, and jobs that are.
    """
    if sum(one is not None for one in (address, local, slurm)) != 1:
        raise InputError("give one of --cluster, --local-cluster and --slurm")
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError(f"a cluster needs Dask, which is not installed: {INSTALL}") from error
    if address is not None:
        yield Connection(lambda: Client(address, timeout=_TIMEOUT, set_as_default=False))
        return
    patience = PATIENCE
    if local is not None:
        if local < 1:
            raise InputError(f"--local-cluster {local}: expected a number of processes")
        # For this machine only, the dashboard too, which by default listens on all its addresses.
        here: dict[str, Any] = {
            "host": "127.0.0.1",
            "dashboard_address": "127.0.0.1:0",
            "worker_dashboard_address": "127.0.0.1:0",
        }
        cluster: Any = LocalCluster(n_workers=local, threads_per_worker=1, processes=True, **here)
    else:
        assert slurm is not None
        cluster, patience = open_slurm(slurm)
    with cluster:
        options = {"timeout": _TIMEOUT, "set_as_default": False, "security": cluster.security}
        yield Connection(lambda: Client(cluster.scheduler_address, **options), patience)
