"""Writes the outputs of a part of the input, with the run's own writers, to tell what the whole will take.

The part is every n-th record of the input, all of it where that is little. Its alleles get the scores of the nearest
variant of their kind that was tried, each time multiplied by another number, lest a compressor find them twice.
"""

import bisect
import dataclasses
import itertools
import pathlib
import tempfile
import time
from collections.abc import Mapping, Sequence

import numpy as np
from ag_core.genome import Variant
from ag_data.variants import Call, Status, read_variants
from ag_data.vcf.text import open_lines

from ag_scorers.results import Result
from ag_scorers.scoring import kind_of
from ag_scorers.scoring_run import ScoringRun
from ag_scorers.shard_file import ARRAYS, write_shard

SEED = 6
SCORES = 1_500_000  # to be written, about


@dataclasses.dataclass(frozen=True)
class Written:
    """What an output will take, in bytes and seconds."""

    path: pathlib.Path
    bytes: int
    seconds: float


def rehearse(run: ScoringRun, pool: Mapping[str, Sequence[Result]]) -> list[Written]:
    """Predicts every output; `pool` has scored variants by kind."""
    scores = [sum(one.values.size for one in result.scores) for results in pool.values() for result in results]
    wanted = SCORES / max(np.mean(scores) if scores else 1, 1)
    step = max(1, int(run.total / max(wanted, 512)))
    written = []
    with tempfile.TemporaryDirectory(prefix="agenome-plan-") as folder:
        for number, path in enumerate(run.outputs):
            parts = [
                _write(run, path, pool, pathlib.Path(folder, f"{number}-{each}"), each) for each in (step, 2 * step)
            ]
            written.append(_predict(path, run.total, *(parts if step > 1 else parts[:1])))
    return written


def shard_bytes(run: ScoringRun, pool: Mapping[str, Sequence[Result]]) -> float:
    """Bytes that a scored call takes in a shard."""
    results = [result for results in pool.values() for result in results]
    with tempfile.TemporaryDirectory(prefix="agenome-plan-") as folder:
        path = pathlib.Path(folder, "shard.arrow")
        write_shard(path, results, run.engine.templates())
        return path.stat().st_size / max(len(results), 1)


def _predict(path: pathlib.Path, total: int, larger: tuple[int, int, float], *more: tuple[int, int, float]) -> Written:
    """A straight line through one point (all of it) or two: alleles, bytes, seconds."""
    count, size, seconds = larger
    if more and more[0][0] < count:
        slopes = [(large - small) / (count - more[0][0]) for large, small in zip(larger[1:], more[0][1:], strict=True)]
        size += max(slopes[0], 0) * (total - count)
        seconds += max(slopes[1], 0) * (total - count)
    return Written(path, round(size), seconds)


def _write(
    run: ScoringRun, path: pathlib.Path, pool: Mapping[str, Sequence[Result]], folder: pathlib.Path, step: int
) -> tuple[int, int, float]:
    """Number of alleles, bytes and seconds of the output for every `step`-th record."""
    folder.mkdir()
    source, target = folder / "part.vcf", folder / "output"
    _thin(pathlib.Path(run.survey.vcf), source, step)
    target.mkdir()
    random = np.random.default_rng(SEED)
    nearest = {kind: _Nearest(results) for kind, results in pool.items()}
    count, begun = 0, time.monotonic()
    with run.open_writers([target / path.name], source) as (writer,):
        for call in run.survey.check(read_variants(source)):
            if call.status is Status.SCORED and call.variant is not None and (kind := kind_of(call.variant)) in nearest:
                writer.write(_vary(nearest[kind](call.variant), random.uniform(0.5, 1), call))
            else:
                writer.write(Result(call))
            count += 1
    seconds = time.monotonic() - begun
    return count, sum(file.stat().st_size for file in target.rglob("*") if file.is_file()), seconds


class _Nearest:
    """The nearest of some results; any of them for a chromosome that has none."""

    def __init__(self, results: Sequence[Result]):
        places = [
            (result.call.variant.chromosome, result.call.variant.start) for result in results if result.call.variant
        ]
        order = sorted(range(len(places)), key=places.__getitem__)
        self._places, self._results = [places[number] for number in order], [results[number] for number in order]

    def __call__(self, variant: Variant) -> Result:
        place = variant.chromosome, variant.start
        after = bisect.bisect_left(self._places, place)
        near = range(max(after - 1, 0), min(after + 1, len(self._places)))
        return self._results[
            min(near, key=lambda n: (self._places[n][0] != place[0], abs(self._places[n][1] - place[1])))
        ]


def _vary(result: Result, factor: float, call: Call) -> Result:
    scores = []
    for one in result.scores:
        arrays = {name: getattr(one, name) for name in ARRAYS}
        changed = {name: array * array.dtype.type(factor) for name, array in arrays.items() if array is not None}
        scores.append(dataclasses.replace(one, **changed))
    return Result(call, tuple(scores))


def _thin(source: pathlib.Path, target: pathlib.Path, step: int) -> None:
    """Every `step`-th record of a VCF or BCF file."""
    with open_lines(source) as (header, records), target.open("w", encoding="utf-8", errors="surrogateescape") as out:
        for line in itertools.chain(header, itertools.islice(records, 0, None, step)):
            out.write(f"{line}\n")
