"""A whole run: variants cut into shards, scored one after the other, kept, and merged into the outputs.

A shard holds calls that follow each other in the input. Within it they are scored in the order of their places, so
that neighbours can share what they have in common, and go back to the order of the input. What one shard's results
are depends on its calls and the plan alone: whoever makes it, and after however many interruptions, gets the same.
"""

import collections
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from ag_data.disk import explain_full_disk
from ag_data.variants import Call, Status

from ag_scorers.batches import batched
from ag_scorers.outputs import Writer
from ag_scorers.results import Result, ScorerResult
from ag_scorers.shards import RunFolder

SMALLEST, LARGEST = 256, 4096  # calls in a shard
SHARD_BYTES = 1 << 26  # of scores, about, that a shard should hold
ITEMS = 8  # genes in a window, about, for want of anything better

Run = Callable[[Iterable[Call]], Iterator[Result]]


def shard_size(templates: Iterable[ScorerResult]) -> int:
    """Calls in a shard: a power of two between 256 and 4,096, fewer where each has many scores."""
    each = 4 * sum(t.tracks.sizes["track"] * (ITEMS if t.scorer.requires else 1) for t in templates)
    return int(np.clip(2 ** int(np.log2(max(SHARD_BYTES // max(each, 1), 1))), SMALLEST, LARGEST))


def score_calls(run: Run, calls: Sequence[Call]) -> list[Result]:
    """One result for each call, in the order of `calls`; scored in that of their places."""
    order = [number for number, _ in sorted(enumerate(calls), key=lambda entry: _place(entry[1]))]
    results: dict[int, Result] = {}
    for number, result in zip(order, run(calls[number] for number in order), strict=True):
        results[number] = result
    return [results[number] for number in range(len(calls))]


def by_place(calls: Iterable[Call]) -> list[Call]:
    """Calls in the order in which they are scored."""
    return sorted(calls, key=_place)


def _place(call: Call) -> tuple[Any, ...]:
    variant = call.variant
    if variant is None:
        return (1, "", 0, "", "")
    return (0, variant.chromosome, variant.start, variant.reference_bases, variant.alternate_bases)


def run_shards(
    run: Run,
    calls: Iterable[Call],
    check: Callable[[Iterable[Call]], Iterable[Call]],
    folder: RunFolder,
    size: int,
) -> None:
    """Scores what the folder does not have yet.

    `calls` are all of the input's; `check` compares those of a shard with the genome.
    """
    for number, chunk in enumerate(batched(calls, size)):
        if number in folder.manifests:
            continue
        begun = time.monotonic()
        results = score_calls(run, list(check(chunk)))
        with explain_full_disk(f"finished shards are kept in {folder.folder}"):
            folder.write(number, results, time.monotonic() - begun)


def merge(
    results: Iterable[Result], writers: Sequence[Writer], total: int
) -> tuple[collections.Counter[str], Result | None]:
    """Streams results into the writers; returns how many calls have each status, and the first that failed.

    Raises RuntimeError unless there are as many as the input has alleles, `total`.
    """
    statuses: collections.Counter[str] = collections.Counter()
    failed = None
    for result in results:
        statuses[result.call.status.value] += 1
        if failed is None and result.call.status is Status.FAILED:
            failed = result
        for writer in writers:
            writer.write(result)
    if statuses.total() != total:
        raise RuntimeError(f"there are results of {statuses.total():,} alleles, but the input has {total:,}")
    return statuses, failed


def read_results(folder: RunFolder) -> Iterator[Result]:
    """The results of all shards in input order, checked against the manifests. Raises RuntimeError if one is amiss."""
    last = (-1, -1)
    for number in range(len(folder.manifests)):
        manifest = folder.manifests.get(number)
        if manifest is None:
            raise RuntimeError(f"{folder.folder}: shard {number} is missing; run the same command again")
        counts: collections.Counter[str] = collections.Counter()
        for result in folder.read(number):
            place = (result.call.record, result.call.alt)
            if place <= last:
                raise RuntimeError(f"{folder.folder}: shard {number} has {place} after {last}; remove it and run again")
            last = place
            counts[result.call.status.value] += 1
            yield result
        if dict(counts) != manifest.statuses:
            raise RuntimeError(f"{folder.folder}: shard {number} holds {dict(counts)}, expected {manifest.statuses}")


def plan_of(vcf: str, digest: str, total: int, size: int, settings: dict[str, str]) -> dict[str, Any]:
    """What goes into `plan.json`: two runs with equal plans have equal shards."""
    return {
        "vcf": {"name": vcf, "sha256": digest},
        "alleles": total,
        "shard size": size,
        "shards": -(-total // size),
        "settings": {name: _parsed(value) for name, value in settings.items()},
    }


def _parsed(value: str) -> Any:
    return json.loads(value) if value.startswith(("{", "[")) else value
