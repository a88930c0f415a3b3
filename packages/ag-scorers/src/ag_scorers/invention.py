"""Results that calls might have, made of those of a few that were tried, so that outputs can be written of them.

What compresses must stay: neighbours share values (what REF says nearby), so neighbours among the calls get the
scores of neighbours that were tried, one after the other. Those of a run of neighbours are all changed in the same
way, and never twice alike, lest a compressor find the same scores again. Which genes a call has is looked up, not
invented.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from ag_core.interfaces import AbstractScorer
from ag_data.variants import Call, Status

from ag_scorers.campaign import by_place
from ag_scorers.engine import Engine
from ag_scorers.results import Result, ScorerResult
from ag_scorers.scoring import kind_of

SEED = 6
ARRAYS = ("values", "ref", "alt")  # quantiles and tails are looked up of the values

Table = Mapping[str, np.ndarray]
Runs = Sequence[Sequence[Result]]


def tried(pool: Mapping[str, Runs]) -> list[Result]:
    """All results of a pool."""
    return [result for runs in pool.values() for run in runs for result in run]


def invent(engine: Engine, blocks: Iterable[Sequence[Call]], pool: Mapping[str, Runs]) -> Iterator[Result]:
    """Results of calls; those of a block follow each other in the input. `pool`: by kind, runs of tried neighbours."""
    random = np.random.default_rng(SEED)
    known = {result.call.variant: result for result in tried(pool)}
    for block in blocks:
        # Neighbours in the file need not be so on the genome.
        together = [call for call in block if call.variant is not None]
        ordered = together == by_place(together)
        sources: dict[str, _Tried] = {}
        for call in block:
            kind = None if call.status is not Status.SCORED or call.variant is None else kind_of(call.variant)
            if call.variant is None or kind is None or not pool.get(kind):
                yield Result(call)
                continue
            if call.variant in known:  # all of them, where the input is small
                yield Result(call, known[call.variant].scores)
                continue
            if kind not in sources:
                sources[kind] = _Tried(pool[kind], (call.variant.chromosome, call.variant.start), ordered, random)
            yield sources[kind].next(engine, call)


class _Tried:
    """The results of one kind for a block: those of the nearest run, then of the next one, and so on."""

    def __init__(self, runs: Runs, place: tuple[str, int], ordered: bool, random: np.random.Generator):
        self._random = random
        self._others = [result for run in runs for result in run]
        if not ordered:
            runs = [[result] for result in self._others]
            random.shuffle(runs)
        self._runs = itertools.cycle(sorted(runs, key=lambda run: _distance(run[0], place)) if ordered else runs)
        self._left: list[Result] = []

    def next(self, engine: Engine, call: Call) -> Result:
        """The next call's result."""
        random = self._random
        if not self._left:
            run = list(next(self._runs))
            begin = int(random.integers(len(run)))
            self._left = run[begin:] or run
            other = self._others[int(random.integers(len(self._others)))]
            self._other = {one.key: one for one in other.scores}
            self._share, self._factor = random.uniform(0.5, 1), 2 ** random.uniform(-0.5, 0.5)
        near = self._left.pop(0)
        try:
            tables = {one.key: _table(engine, engine.scorers[one.key], call) for one in near.scores}
        except Exception:  # a call that a scorer refuses fails in the run as well
            return Result(call)
        return Result(call, tuple(self._made(one, tables[one.key]) for one in near.scores))

    def _made(self, near: ScorerResult, table: Table | None) -> ScorerResult:
        """`near`, changed as all of its run are; NaN and 0 stay."""
        if table is not None and not len(near.values):
            near = next((one for result in self._others for one in result.scores if _has_like(one, near)), near)
            table = table if len(near.values) else near.table
        other = self._other.get(near.key, near)
        mine = _matched(table, near)
        theirs = np.arange(len(mine)) % len(other.values) if len(other.values) else None
        changed = {}
        for name in ARRAYS:
            values, more = getattr(near, name), getattr(other, name)
            if values is None:
                continue
            values = values[mine]
            if more is not None and theirs is not None:
                mixed = self._share * values + (1 - self._share) * more[theirs]
                values = np.where(np.isnan(mixed) | (values == 0), values, mixed)
            changed[name] = (self._factor * values).astype(getattr(near, name).dtype)
        return dataclasses.replace(near, table=near.table if table is None else table, **changed)


def _distance(result: Result, place: tuple[str, int]) -> tuple[bool, int]:
    variant = result.call.variant
    return (True, 0) if variant is None else (variant.chromosome != place[0], abs(variant.start - place[1]))


def _has_like(one: ScorerResult, near: ScorerResult) -> bool:
    return one.key == near.key and len(one.values) > 0


def _table(engine: Engine, scorer: AbstractScorer, call: Call) -> Table | None:
    """The items that a scorer will report on; None if only a prediction tells, or there is but one."""
    assert call.variant is not None
    if not scorer.requires or type(scorer).rows is not AbstractScorer.rows:
        return None
    interval = engine.interval(call.variant)
    return scorer.items(interval, call.variant, engine.resolution_of(scorer), engine.resources).table


def _matched(table: Table | None, near: ScorerResult) -> np.ndarray:
    """For each item of `table`, an item of `near`: of the same gene, else of its strand, for that tells what is NaN."""
    if table is None or not len(near.values):
        return np.arange(len(near.values))
    size = min((len(column) for column in table.values()), default=1)
    chosen = np.arange(size) % len(near.values)
    for name in ("gene_strand", "gene_id"):
        if name in table and name in near.table:
            places: dict[object, list[int]] = {}
            for number, value in enumerate(near.table[name]):
                places.setdefault(value, []).append(number)
            for number, value in enumerate(table[name]):
                if value in places:
                    chosen[number] = places[value][number % len(places[value])]
    return chosen
