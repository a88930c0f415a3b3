"""Laws of scorers within the engine, from sequences to scores: batches, order, partial evaluation, grids, strands."""

import functools
import pathlib
import tempfile
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from ag_core.genome import Interval
from ag_core.interfaces import AbstractScorer
from ag_data.variants import Call, Status

from ag_scorers.engine import Engine
from ag_scorers.kit.mirror_law import require_mirrored
from ag_scorers.kit.probes import places
from ag_scorers.kit.scorer_subject import Bench, ScorerSubject
from ag_scorers.kit.verdicts import Broken, NotApplicable, Verdict, require, require_close, require_tables
from ag_scorers.results import Result, ScorerResult

GRID = 2048
Scores = Mapping[str, ScorerResult]


class EngineRuns:
    """The kit's variants scored in several ways, each once, by all scorers together."""

    def __init__(self, scorers: Mapping[str, AbstractScorer], bench: Bench):
        self.scorers, self.bench, self.world = dict(scorers), bench, bench.world
        found = places(self.world)
        middle = next(iter(found.values()))[1]
        self.variants = {name: variant for name, (variant, window) in found.items() if window == middle}
        self.window = middle
        self.plain = self.engine(partial=False, batch_size=1)
        self.alone = self.read(self.plain.run(self.calls(), middle))

    def engine(self, **options: object) -> Engine:
        """An engine on the kit's world."""
        options = {"resources": self.world.here.resources} | options
        return Engine(self.world.checkpoint, self.world.here.fasta, self.scorers, **options)  # pyright: ignore

    def calls(self, names: Sequence[str] | None = None) -> list[Call]:
        """Calls of some variants, all by default."""
        calls = []
        for number, name in enumerate(self.variants if names is None else names):
            one = self.variants[name]
            bases = one.reference_bases, one.alternate_bases
            calls.append(Call(number, 0, one.chromosome, one.position, *bases, "", Status.SCORED, one))
        return calls

    def read(self, results: object) -> list[Scores]:
        """Scores by scorer's key, for each call. Raises Broken for a call that failed."""
        read = []
        for result in list(results):  # pyright: ignore
            assert isinstance(result, Result)
            require(result.call.status is Status.SCORED, f"{result.call.variant}: {result.call.detail}")
            read.append({one.key: one for one in result.scores})
        return read

    def compare(self, key: str, got: Sequence[Scores], want: Sequence[Scores], where: str) -> None:
        """Raises Broken unless one scorer's results are the same."""
        for name, mine, other in zip(self.variants, got, want, strict=True):
            require_tables(mine[key].table, other[key].table, f"{name}, {where}")
            require_close(mine[key].values, other[key].values, f"{name}, {where}", rtol=2e-3, atol=5e-5)


def _batches(runs: EngineRuns) -> list[Scores]:
    return runs.read(runs.engine(partial=False, batch_size=3).run(runs.calls(), runs.window))


def _partial(runs: EngineRuns) -> list[Scores]:
    return runs.read(runs.engine(partial=True, batch_size=3).run(runs.calls(), runs.window))


def _reversed(runs: EngineRuns) -> list[Scores]:
    names = list(reversed(runs.variants))
    return runs.read(runs.plain.run(runs.calls(names), runs.window))[::-1]


def _one_by_one(runs: EngineRuns) -> list[Scores]:
    return [runs.read(runs.plain.run([call], runs.window))[0] for call in runs.calls()]


# What is done, and how it is called in the verdicts.
WAYS: Mapping[str, tuple[str, Callable[[EngineRuns], list[Scores]]]] = {
    "engine, batches": ("three in a batch", _batches),
    "engine, order": ("last first", _reversed),
    "engine, chunks": ("one by one", _one_by_one),
    "engine, partial": ("partial evaluation", _partial),
}


def _grid(runs: EngineRuns, key: str) -> None:
    """On a grid a variant scores what it scores in that window."""
    engine = runs.engine(partial=True, window_grid=GRID, batch_size=3)
    own, given = [], []
    for variant in runs.variants.values():
        own.append({one.key: one for one in engine.score(variant)})
        given.append({one.key: one for one in runs.plain.score(variant, engine.interval(variant))})
    runs.compare(key, own, given, f"windows on a grid of {GRID} bp")


def _strand(runs: EngineRuns, subject: ScorerSubject) -> None:
    """On '-' the scores are those of '+' in the mirror image, where windows have a middle."""
    probe = subject.probes[0]
    own, other = (subject.scorer.spans(subject.items(probe, land)) for land in (None, runs.world.mirror))
    if own is not None and other is not None:
        turned = sorted((subject.rows - end, subject.rows - start) for start, end in other)
        if turned != sorted((int(start), int(end)) for start, end in own):
            raise NotApplicable("its windows have no middle; see `mirror image`")
    interval, variant = probe.mirrored
    window = probe.interval
    key = next(key for key, scorer in runs.scorers.items() if scorer is subject.scorer)
    minus = runs.plain.score(probe.variant, Interval(window.chromosome, window.start, window.end, "-"))
    there = Engine(
        runs.world.checkpoint,
        runs.world.mirror.fasta,
        runs.scorers,
        resources=runs.world.mirror.resources,
        partial=False,
        batch_size=1,
    )
    plus = there.score(variant, interval)
    values, mirrored = (next(one.values for one in found if one.key == key) for found in (minus, plus))
    require_mirrored(subject, np.asarray(mirrored), np.asarray(values), "on '-'")


def check_engine(scorers: Mapping[str, AbstractScorer], bench: Bench | None = None) -> dict[str, list[Verdict]]:
    """For each scorer, by key, the verdicts of the laws within the engine; all of them run together.

    Takes about half a minute, most of it compilation.
    """
    if bench is None:
        names = tuple(sorted({name for scorer in scorers.values() for name in scorer.modalities}))
        with tempfile.TemporaryDirectory() as folder:
            return check_engine(scorers, Bench(pathlib.Path(folder), names))
    verdicts: dict[str, list[Verdict]] = {key: [] for key in scorers}
    try:
        runs = EngineRuns(scorers, bench)
    except Exception as error:  # a plugin may be anybody's
        broken = Verdict("engine", False, f"{type(error).__name__}: {error}")
        return {key: [broken] for key in scorers}
    for name, (where, way) in WAYS.items():
        try:
            got = way(runs)
        except Exception as error:
            for key in scorers:
                verdicts[key].append(Verdict(name, False, f"{type(error).__name__}: {error}"))
            continue
        for key in scorers:
            verdicts[key].append(_verdict(name, functools.partial(runs.compare, key, got, runs.alone, where)))
    for key, scorer in scorers.items():
        subject = ScorerSubject(scorer, bench)
        verdicts[key].append(_verdict("engine, grid", functools.partial(_grid, runs, key)))
        verdicts[key].append(_verdict("engine, strand", functools.partial(_strand, runs, subject)))
    return verdicts


def _verdict(name: str, law: Callable[[], None]) -> Verdict:
    try:
        law()
    except NotApplicable as reason:
        return Verdict(name, None, str(reason))
    except Broken as broken:
        return Verdict(name, False, str(broken))
    except Exception as error:
        return Verdict(name, False, f"{type(error).__name__}: {error}")
    return Verdict(name, True)
