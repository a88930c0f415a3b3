"""What a Dask worker runs: one model for each process, one shard at a time."""

import dataclasses
import errno
import logging
import os
import pathlib
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from ag_core.cache import keep_compiled
from ag_core.errors import InputError
from ag_data.variants import Call

from ag_scorers.cluster.order import Order
from ag_scorers.results import Result

# The engine of this process, with the order that it was opened for.
_opened: list[tuple[Order, "Bench"]] = []
# A device computes one thing at a time, whatever number of threads the worker has.
_lock = threading.Lock()
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Scored:
    """A shard's file (`ag_scorers.shard_file`), the seconds it took, and the worker that made it.

    - `worker`: its address; `device`: what it computes on, as JAX calls it.
    """

    data: bytes
    seconds: float
    worker: str
    device: str = ""


@dataclasses.dataclass(frozen=True)
class Fault:
    """Why a worker could not score a shard, for a reason of its own: another one may.

    - `worker`: its address; `host`: the machine.
    - `lasting`: trying again is of no use, as with a file that is not there.
    - `scored`: the shard nevertheless, if all of its variants failed: it may be them, or the worker's device.
    """

    worker: str
    host: str
    text: str
    lasting: bool = False
    scored: Scored | None = None

    def __str__(self) -> str:
        return f"worker {self.worker} on {self.host}: {self.text}"


class Bench:
    """An engine, ready to score calls of a file.

    Raises InputError when the worker's files are not those of the order.
    """

    def __init__(self, order: Order):
        from ag_data.fasta import Fasta

        from ag_scorers.calibration import load_calibration
        from ag_scorers.scoring import open_engine

        keep_programs()
        order.check_versions()
        order.check_files()
        fasta = Fasta(order.fasta)
        self.engine = open_engine(fasta, **dict(order.options))
        if self.engine.checkpoint.digest != order.model_digest:
            raise InputError(
                f"the worker's model {order.options['model']} has the digest {self.engine.checkpoint.digest[:12]}, the "
                f"run's {order.model_digest[:12]}; give a path that is the same on all machines"
            )
        self.calibration = load_calibration(order.calibration, self.engine, model=str(order.options["model"]))
        self._fasta, self._order = fasta, order

    def check(self, calls: Iterable[Call]) -> Iterator[Call]:
        """Calls compared with the genome."""
        if self._order.repair:
            from ag_data.vcf.repair import repair_calls

            return repair_calls(calls, self._fasta, self._order.longest)
        from ag_data.variants import check_calls

        return check_calls(calls, self._fasta, self._order.longest)

    def score(self, calls: Iterable[Call]) -> Iterator[Result]:
        """Results in order, with quantiles if there is a calibration."""
        from ag_scorers.batches import batched
        from ag_scorers.calibration import calibrate_results
        from ag_scorers.scoring_run import TOGETHER

        results = self.engine.run(calls)
        if not self.calibration:
            return results
        return (one for some in batched(results, TOGETHER) for one in calibrate_results(some, self.calibration))


def keep_programs() -> None:
    """Has compiled programs kept as the command line does: what one worker has compiled, the next one there reads.

    What a shard brings imports jax, which has read its settings by then; so they are told to it, unless there are some.
    """
    import jax

    keep_compiled()
    if getattr(jax.config, "jax_compilation_cache_dir", None) is None:
        for name, kind in (
            ("jax_compilation_cache_dir", str),
            ("jax_persistent_cache_min_compile_time_secs", float),
            ("jax_compilation_cache_max_size", int),
        ):
            jax.config.update(name, kind(os.environ[name.upper()]))


def score_shard(order: Order, calls: Sequence[Call], opened: Callable[[Order], Bench] = Bench) -> Scored | Fault:
    """A shard, the same bytes whoever makes it; or what keeps this worker from making it.

    Raises InputError for what is wrong with the input, which any worker would find.
    """
    with _lock:
        try:
            if not _opened or _opened[0][0] != order:
                _opened[:] = [(order, opened(order))]
        except Exception as error:
            # The process that gave the order has opened all of this, so it is about this machine.
            _log.exception("the model could not be opened")
            if _is_full(error):
                return _fault(_full_disk(error))
            if isinstance(error, (InputError, OSError)):
                return _fault(str(error), lasting=True)
            return _fault(f"{type(error).__name__}: {error}")
        try:
            return _score(_opened[0][1], calls)
        except InputError:
            raise
        except Exception as error:
            _log.exception("a shard could not be scored")
            return _fault(_full_disk(error) if _is_full(error) else f"{type(error).__name__}: {error}")


def _score(bench: Bench, calls: Sequence[Call]) -> Scored | Fault:
    import jax
    from ag_data.variants import Status

    from ag_scorers.campaign import score_calls
    from ag_scorers.shard_file import write_shard

    begun = time.monotonic()
    results = score_calls(bench.score, list(bench.check(calls)))
    with tempfile.TemporaryDirectory(prefix="ag-") as folder:
        path = pathlib.Path(folder) / "shard.arrow"
        write_shard(path, results, bench.engine.templates())
        device = jax.devices()[0].device_kind
        scored = Scored(path.read_bytes(), time.monotonic() - begun, _address(), device)
    failed = [result.call for result in results if result.call.status is Status.FAILED]
    if not failed or any(result.call.status is Status.SCORED for result in results):
        return scored
    text = f"not one variant of a shard could be scored: {failed[0]}: {failed[0].detail}"
    return dataclasses.replace(_fault(text), scored=scored)


def _address() -> str:
    """Of this process as a worker."""
    from distributed import get_worker

    try:
        return get_worker().address
    except ValueError:  # called without a cluster
        return f"process {os.getpid()}"


def _fault(text: str, *, lasting: bool = False) -> Fault:
    return Fault(_address(), socket.gethostname(), text, lasting)


def _is_full(error: Exception) -> bool:
    # Arrow's errors have the number in their text alone.
    known = isinstance(error, OSError) and error.errno in _FULL
    return known or any(os.strerror(number) in str(error) for number in _FULL)


def _full_disk(error: Exception) -> str:
    return (
        f"no space left in its temporary folder {tempfile.gettempdir()} ({error}); free some, or start the worker with "
        "another folder (TMPDIR=DIR)"
    )
