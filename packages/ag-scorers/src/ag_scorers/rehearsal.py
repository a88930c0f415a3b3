"""Writes the outputs of a part of the input, with the run's own writers, to tell what the whole will take.

The part is all of the input where that is little, else blocks of neighbouring records from all over it: what
neighbours have in common compresses. Their scores are made of those that were tried (`ag_scorers.invention`).
"""

import dataclasses
import itertools
import pathlib
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from ag_data.variants import Call, read_variants
from ag_data.vcf.text import open_lines

from ag_scorers.invention import Runs, invent, tried
from ag_scorers.results import Result
from ag_scorers.scoring_run import ScoringRun
from ag_scorers.shard_file import write_shard

SCORES = 1_500_000  # to be written, about
BLOCK = 64  # neighbouring records
BLOCKS = 8  # at least


@dataclasses.dataclass(frozen=True)
class Written:
    """What an output will take, in bytes and seconds."""

    path: pathlib.Path
    bytes: int
    seconds: float


def rehearse(run: ScoringRun, pool: Mapping[str, Runs]) -> tuple[list[Written], int]:
    """Predicts every output, and the bytes of all shards together; `pool`: by kind, runs of tried neighbours."""
    scores = [sum(one.values.size for one in result.scores) for result in tried(pool)]
    wanted = SCORES / max(np.mean(scores) if scores else 1, 1)
    step = max(1, int(run.total / max(wanted, BLOCK * BLOCKS)))
    with tempfile.TemporaryDirectory(prefix="agenome-plan-") as name:
        folder = pathlib.Path(name)
        part, half = folder / "part.vcf", folder / "half.vcf"
        _thin(pathlib.Path(run.survey.vcf), part, step)
        blocks = _blocks(run.survey.check(read_variants(part)))
        results = list(run.calibrated(invent(run.engine, blocks, pool)))
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


def _blocks(calls: Iterable[Call]) -> Iterator[list[Call]]:
    for _, block in itertools.groupby(calls, lambda call: call.record // BLOCK):
        yield list(block)


def _half(results: Iterable[Result]) -> Iterator[Result]:
    """Those of every second block, as if the others were not there."""
    for result in results:
        block, place = divmod(result.call.record, BLOCK)
        if not block % 2:
            call = dataclasses.replace(result.call, record=block // 2 * BLOCK + place)
            yield dataclasses.replace(result, call=call)


def _thin(source: pathlib.Path, target: pathlib.Path, step: int) -> None:
    """Every `step`-th block of records of a VCF or BCF file."""
    with open_lines(source) as (header, records), target.open("w", encoding="utf-8", errors="surrogateescape") as out:
        kept = (line for number, line in enumerate(records) if number // BLOCK % step == 0)
        for line in itertools.chain(header, kept):
            out.write(f"{line}\n")
