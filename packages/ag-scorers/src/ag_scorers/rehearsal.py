"""Writes the outputs of a part of the input, with the run's own writers, to tell what the whole will take.

The part is every n-th record of the input, all of it where that is little. Its alleles get the scores of the nearest
variant of their kind that was tried, blended with those of another one and multiplied by a number of their own, lest a
compressor find them twice. Their quantiles are looked up anew: there are only so many of them, and that compresses.
"""

import bisect
import dataclasses
import itertools
import pathlib
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from ag_core.genome import Variant
from ag_data.variants import Call, Status, read_variants
from ag_data.vcf.text import open_lines

from ag_scorers.results import Result, ScorerResult
from ag_scorers.scoring import kind_of
from ag_scorers.scoring_run import ScoringRun
from ag_scorers.shard_file import write_shard

SEED = 6
SCORES = 1_500_000  # to be written, about


@dataclasses.dataclass(frozen=True)
class Written:
    """What an output will take, in bytes and seconds."""

    path: pathlib.Path
    bytes: int
    seconds: float


def rehearse(run: ScoringRun, pool: Mapping[str, Sequence[Result]]) -> tuple[list[Written], int]:
    """Predicts every output, and the bytes of all shards together; `pool` has scored variants by kind."""
    scores = [sum(one.values.size for one in result.scores) for results in pool.values() for result in results]
    wanted = SCORES / max(np.mean(scores) if scores else 1, 1)
    step = max(1, int(run.total / max(wanted, 512)))
    with tempfile.TemporaryDirectory(prefix="agenome-plan-") as name:
        folder = pathlib.Path(name)
        part, half = folder / "part.vcf", folder / "half.vcf"
        _thin(pathlib.Path(run.survey.vcf), part, step)
        results = list(run.calibrated(invent(run.survey.check(read_variants(part)), pool)))
        sources = [(part, results)]
        if step > 1:
            _thin(part, half, 2)
            sources.append((half, list(_half(results))))
        written = []
        for number, path in enumerate(run.outputs):
            sizes = [_write(run, path, *source, folder / f"{number}-{source[0].stem}") for source in sources]
            written.append(_predict(path, run.total, *sizes))
        return written, _shards(run, folder / "shard.arrow", results)


def _predict(path: pathlib.Path, total: int, larger: tuple[int, int, float], *more: tuple[int, int, float]) -> Written:
    """A straight line through one point (all of it) or two: alleles, bytes, seconds."""
    count, size, seconds = larger
    if more and more[0][0] < count:
        slopes = [(large - small) / (count - more[0][0]) for large, small in zip(larger[1:], more[0][1:], strict=True)]
        size += max(slopes[0], 0) * (total - count)
        seconds += max(slopes[1], 0) * (total - count)
    return Written(path, round(size), seconds)


def _write(
    run: ScoringRun, path: pathlib.Path, source: pathlib.Path, results: Sequence[Result], folder: pathlib.Path
) -> tuple[int, int, float]:
    """Number of alleles, bytes and seconds of the output for the records of `source`."""
    folder.mkdir()
    begun = time.monotonic()
    with run.open_writers([folder / path.name], source) as (writer,):
        for result in results:
            writer.write(result)
    seconds = time.monotonic() - begun
    return len(results), sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()), seconds


def _shards(run: ScoringRun, path: pathlib.Path, results: Sequence[Result]) -> int:
    """Bytes of all shards, by an empty one and a full one."""
    full = results[: run.shard_size]
    if not run.in_shards or not full:
        return 0
    sizes = []
    for some in ([], full):
        write_shard(path, some, run.engine.templates())
        sizes.append(path.stat().st_size)
    empty, size = sizes
    return round(-(-run.total // run.shard_size) * empty + run.total * (size - empty) / len(full))


def invent(calls: Iterable[Call], pool: Mapping[str, Sequence[Result]]) -> Iterator[Result]:
    """Results that calls might have."""
    random = np.random.default_rng(SEED)
    nearest = {kind: _Nearest(results) for kind, results in pool.items()}
    for call in calls:
        kind = None if call.status is not Status.SCORED or call.variant is None else kind_of(call.variant)
        if call.variant is None or kind not in nearest:
            yield Result(call)
            continue
        others = pool[kind]
        other = {one.key: one for one in others[int(random.integers(len(others)))].scores}
        share, factor = random.uniform(0.5, 1), 2 ** random.uniform(-0.5, 0.5)
        near = nearest[kind](call.variant).scores
        yield Result(call, tuple(_blend(one, other.get(one.key, one), share, factor, random) for one in near))


def _blend(
    one: ScorerResult, other: ScorerResult, share: float, factor: float, random: np.random.Generator
) -> ScorerResult:
    """`one`, with some of `other`'s items in its own; NaN and 0 stay."""
    if not len(other.values):
        other = one
    items = random.integers(len(other.values), size=len(one.values)) if len(one.values) else []
    changed = {}
    for name in ("values", "ref", "alt"):
        mine, more = getattr(one, name), getattr(other, name)
        if mine is None or more is None:
            continue
        mixed = share * mine + (1 - share) * more[items]
        changed[name] = (factor * np.where(np.isnan(mixed) | (mine == 0), mine, mixed)).astype(mine.dtype)
    return dataclasses.replace(one, **changed)


def _half(results: Iterable[Result]) -> Iterator[Result]:
    """Those of every second record, as if the others were not there."""
    for result in results:
        record, odd = divmod(result.call.record, 2)
        if not odd:
            yield dataclasses.replace(result, call=dataclasses.replace(result.call, record=record))


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


def _thin(source: pathlib.Path, target: pathlib.Path, step: int) -> None:
    """Every `step`-th record of a VCF or BCF file."""
    with open_lines(source) as (header, records), target.open("w", encoding="utf-8", errors="surrogateescape") as out:
        for line in itertools.chain(header, itertools.islice(records, 0, None, step)):
            out.write(f"{line}\n")
