"""What a Dask worker runs: one model for each process, one shard at a time."""

import pathlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from ag_core.errors import InputError
from ag_data.variants import Call

from ag_scorers.cluster.order import Order
from ag_scorers.results import Result

# The engine of this process, with the order that it was opened for.
_opened: list[tuple[Order, "Bench"]] = []
# A device computes one thing at a time, whatever number of threads the worker has.
_lock = threading.Lock()


class Bench:
    """An engine, ready to score calls of a file.

    Raises InputError when the worker's files are not those of the order.
    """

    def __init__(self, order: Order):
        from ag_data.fasta import Fasta

        from ag_scorers.calibration import load_calibration
        from ag_scorers.scoring import open_engine

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


def score_shard(order: Order, calls: Sequence[Call], opened: Callable[[Order], Bench] = Bench) -> tuple[bytes, float]:
    """A shard's file (`ag_scorers.shard_file`) and the seconds it took; the same bytes whoever makes it."""
    from ag_scorers.campaign import score_calls
    from ag_scorers.shard_file import write_shard

    with _lock:
        if not _opened or _opened[0][0] != order:
            _opened[:] = [(order, opened(order))]
        bench = _opened[0][1]
        begun = time.monotonic()
        results = score_calls(bench.score, list(bench.check(calls)))
        with tempfile.TemporaryDirectory(prefix="ag-") as folder:
            path = pathlib.Path(folder) / "shard.arrow"
            write_shard(path, results, bench.engine.templates())
            return path.read_bytes(), time.monotonic() - begun
