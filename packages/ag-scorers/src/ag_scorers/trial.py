"""Scores a few variants of each kind ahead of a long run, to tell what the whole will take."""

import collections
import dataclasses
import functools
import resource
import sys
import time
from collections.abc import Sequence

import numpy as np
from ag_data.variants import Call, Status

from ag_scorers.batches import batched
from ag_scorers.campaign import by_place
from ag_scorers.results import Result
from ag_scorers.scoring import kind_of
from ag_scorers.scoring_run import ScoringRun

SEED = 5
PIECE = 16  # neighbours
STRETCH = 64  # calls scored together, as many as the engine looks at together
SHARDS = 8  # of which variants are taken
PIECES = 32  # of each kind, at most
ENOUGH = 12.0  # seconds for each kind, about
RUNS = 4  # longer runs of neighbours of each kind, at most


@dataclasses.dataclass(frozen=True)
class Trial:
    """What was measured of one kind of variant, once its programs were compiled."""

    kind: str
    count: int  # in the whole input
    runs: list[list[Result]]  # results of neighbours, in the order of their places
    variants: int  # measured
    seconds: float  # for those
    compiling: float

    @property
    def each(self) -> float:
        """Seconds for one variant."""
        return self.seconds / self.variants


def run_trials(run: ScoringRun) -> list[Trial]:
    """A trial of each kind that the input has, on neighbours from all over the input, as a run would score them."""
    stretches, runs = _stretches(run)
    return [_try(run, kind, run.survey.kinds[kind], stretches[kind], runs[kind]) for kind in sorted(stretches)]


def _stretches(run: ScoringRun) -> tuple[dict[str, list[list[Call]]], dict[str, list[list[Call]]]]:
    """By kind, calls that are scored together, from all over some shards: some pieces of neighbours, and long runs."""
    random = np.random.default_rng(SEED)
    shards = -(-run.total // run.shard_size)
    chosen = set(random.choice(shards, min(SHARDS, shards), replace=False).tolist())
    found: dict[str, list[list[Call]]] = collections.defaultdict(list)
    runs: dict[str, list[list[Call]]] = collections.defaultdict(list)
    for number, chunk in enumerate(batched(run.survey.raw(), run.shard_size)):
        if number not in chosen:
            continue
        kinds: dict[str, list[Call]] = collections.defaultdict(list)
        for call in by_place(run.survey.check(chunk)):
            if call.status is Status.SCORED and call.variant is not None:
                kinds[kind_of(call.variant)].append(call)
        for kind, calls in kinds.items():
            pieces = list(batched(calls, PIECE))
            wanted = min(-(-PIECES // len(chosen)), len(pieces))
            found[kind] += [pieces[piece] for piece in random.choice(len(pieces), wanted, replace=False)]
            begin = random.integers(max(len(calls) - run.engine.looks_at, 0) + 1)
            runs[kind].append(calls[begin : begin + run.engine.looks_at])
    stretches = {}
    for kind, pieces in found.items():
        mixed = [pieces[number] for number in random.permutation(len(pieces))]
        groups = batched(mixed, STRETCH // PIECE)
        stretches[kind] = [by_place(call for piece in group for call in piece) for group in groups]
    return stretches, {kind: [many[n] for n in random.permutation(len(many))[:RUNS]] for kind, many in runs.items()}


def _try(run: ScoringRun, kind: str, count: int, stretches: Sequence[list[Call]], runs: Sequence[list[Call]]) -> Trial:
    found: list[list[Result]] = []
    measured, seconds, compiling = 0, 0.0, 0.0
    left = list(stretches)
    again = left[0][: max(4, run.engine.batch_size)] if len(left[0]) > 4 else left[0]
    compiling += _timed(run, again)[1]  # the first programs, with few variants
    while left:
        stretch = left.pop(0)
        results, took, compiled = _timed(run, stretch)
        found += batched(results, PIECE)
        if compiled and left:  # another program: its next variants tell the speed
            compiling += took
            continue
        measured, seconds = measured + len(stretch), seconds + took
        if seconds > ENOUGH and measured >= STRETCH:
            break
    # Pieces are from many places; how much neighbours have in common is seen of as many as a run has together.
    together, taken = 0, 0.0
    for calls in runs:
        part = calls[: int(ENOUGH * measured / seconds)]
        if len(part) <= STRETCH or taken > ENOUGH:
            break
        results, took, compiled = _timed(run, part)
        found.append(results)
        if compiled:
            compiling += took
            _, took, _ = _timed(run, part)
        together, taken = together + len(part), taken + took
    if together:
        measured, seconds = together, taken
    return Trial(kind, count, found, measured, seconds, compiling)


def _timed(run: ScoringRun, calls: list[Call]) -> tuple[list[Result], float, bool]:
    before, begun = _compiled(), time.monotonic()
    results = list(run.score(calls))
    return results, time.monotonic() - begun, _compiled() > before


@functools.cache
def _counter() -> list[int]:
    """Counts programs that jax compiles from now on."""
    import jax

    count = [0]

    def note(event: str, duration_secs: float, **kwargs: str | int) -> None:
        count[0] += event == "/jax/core/compile/backend_compile_duration"

    jax.monitoring.register_event_duration_secs_listener(note)
    return count


def _compiled() -> int:
    return _counter()[0]


def peak_memory() -> int:
    """The most memory that this process has had so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def device_memory() -> int | None:
    """The most memory taken on the accelerator so far, in bytes; None on a CPU."""
    import jax

    statistics = jax.devices()[0].memory_stats()
    return None if statistics is None else statistics.get("peak_bytes_in_use")
