"""Connections to clusters: an address, processes on this machine, or jobs of Slurm (and PBS) through dask-jobqueue."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from ag_core.errors import InputError

INSTALL = 'pip install "ag-scorers[cluster]"'
# Seconds until a connection is given up.
_TIMEOUT = 20.0
_JOBS = "jobs"


@contextlib.contextmanager
def open_cluster(address: str | None, local: int | None, slurm: pathlib.Path | None) -> Iterator[Callable[[], Any]]:
    """How to connect to the one cluster that is asked for; what was started for it ends with the block.

    - `address`: of a scheduler, such as tcp://10.0.0.1:8786;
    - `local`: so many worker processes here;
    - `slurm`: a YAML file with the options of `dask_jobqueue.SLURMCluster`, and `jobs`, how many to start.

    Raises InputError for more than one, a missing package, and options that are refused.
    """
    if sum(one is not None for one in (address, local, slurm)) != 1:
        raise InputError("give one of --cluster, --local-cluster and --slurm")
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError(f"a cluster needs Dask, which is not installed: {INSTALL}") from error
    if address is not None:
        yield lambda: Client(address, timeout=_TIMEOUT, set_as_default=False)
        return
    if local is not None:
        if local < 1:
            raise InputError(f"--local-cluster {local}: expected a number of processes")
        cluster: Any = LocalCluster(n_workers=local, threads_per_worker=1, processes=True, dashboard_address=":0")
    else:
        assert slurm is not None
        cluster = _jobs(slurm)
    with cluster:
        yield lambda: Client(cluster.scheduler_address, timeout=_TIMEOUT, set_as_default=False)


def _jobs(path: pathlib.Path) -> Any:
    try:
        from dask_jobqueue import SLURMCluster  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError("--slurm needs dask-jobqueue, which is not installed: pip install dask-jobqueue") from error
    try:
        options = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"--slurm {path} cannot be read ({error})") from error
    if not isinstance(options, dict) or not isinstance(options.get(_JOBS), int):
        raise InputError(f"--slurm {path}: expected options of dask_jobqueue.SLURMCluster, and jobs: a number")
    jobs = options.pop(_JOBS)
    try:
        cluster = SLURMCluster(**options)
    except (TypeError, ValueError) as error:
        raise InputError(f"--slurm {path}: {error}") from error
    cluster.scale(jobs=jobs)
    return cluster
