"""Jobs of Slurm through dask-jobqueue: submitted, and sent anew when they end before the run does."""

import contextlib
import pathlib
from typing import Any

from ag_core.errors import InputError
from ag_data.yaml_file import read_yaml

from ag_scorers.cluster.pace import QUEUE

# Keys of the YAML file that are not those of SLURMCluster.
_JOBS, _WAIT = "jobs", "wait"


def open_slurm(path: pathlib.Path) -> tuple[Any, float]:
    """A cluster with its jobs submitted, and the seconds that a run waits while none of them is there.

    The file has the options of `dask_jobqueue.SLURMCluster`; `jobs`, how many to keep going; and `wait`, those seconds
    (a day). Raises InputError for a missing package, options that are refused, and jobs that are.
    """
    try:
        from dask_jobqueue.slurm import SLURMCluster  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError("--slurm needs dask-jobqueue: pip install 'ag-scorers[slurm]'") from error
    options, _ = read_yaml(path, "--slurm")
    jobs = options.pop(_JOBS, None) if isinstance(options, dict) else None
    if not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 1:
        raise InputError(f"--slurm {path}: expected options of dask_jobqueue.SLURMCluster, and jobs: a number")
    wait = options.pop(_WAIT, QUEUE)
    if not isinstance(wait, int | float) or not wait > 0:
        raise InputError(f"--slurm {path}: wait is {wait!r}, expected seconds")
    refused: list[str] = []
    try:
        cluster: Any = SLURMCluster(job_cls=_job_class(refused), **options)
    except (TypeError, ValueError) as error:
        raise InputError(f"--slurm {path}: {error}") from error
    cluster.scale(jobs=jobs)
    cluster.sync(_submitted, cluster)
    if refused:
        cluster.close()
        reason = " ".join(refused[0].split())
        raise InputError(f"--slurm {path}: {len(refused)} of {jobs} jobs could not be submitted: {reason}")
    cluster.loop.add_callback(_renew, cluster, jobs)
    return cluster, float(wait)


def _job_class(refused: list[str]) -> Any:
    """Jobs that keep the reason when they cannot be submitted: Dask would only log it, and wait for them for ever."""
    from dask_jobqueue.slurm import SLURMJob  # pyright: ignore[reportMissingImports]
    from distributed import Status

    class WatchedJob(SLURMJob):
        async def start(self) -> None:
            try:
                await super().start()
            except Exception as error:
                refused.append(str(error))
                self.status = Status.running

        async def close(self) -> None:
            await super().close()
            self.status = Status.closed  # as Dask wants it of all that it has made

    return WatchedJob


async def _submitted(cluster: Any) -> None:
    await cluster


def _renew(cluster: Any, jobs: int) -> None:
    """Asks for the same number of jobs again and again: those that ended, at their wall time say, are sent anew."""
    from dask import config
    from dask.utils import parse_timedelta
    from distributed import Status

    if cluster.status is not Status.running:
        return
    for name, job in list(cluster.workers.items()):
        if job.job_id is None:  # refused when it was sent anew
            with contextlib.suppress(KeyError):
                del cluster.workers[name]
    cluster.scale(jobs=jobs)
    # Until then Dask takes a worker that is gone for one that may come back.
    seconds = parse_timedelta(config.get("distributed.deploy.lost-worker-timeout"))
    cluster.loop.call_later(seconds, _renew, cluster, jobs)
