"""How unusual a score is: its place among the scores of common variants, track by track.

    calibration = load_calibration("auto", engine)
    for result in engine.run(calls):
        result = calibrate_result(result, calibration)   # quantiles and tails are filled in

See `quantile_lookup` for what the numbers mean, `calibration_table` for the file.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ag_core.checkpoint import SPEC_FILE, find
from ag_core.errors import InputError
from ag_core.plugins import registry
from jaxtyping import Float, Float32, Int

from ag_scorers.calibration_table import (
    CalibrationTable,
    ScorerTable,
    Track,
    describe_engine,
    describe_scorer,
    differences,
    point_ranks,
    read_table,
    track_names,
)
from ag_scorers.engine import Engine
from ag_scorers.pareto_tail import DECADES, ParetoTail, fit_tail
from ag_scorers.parity import Parity, read_parity
from ag_scorers.quantile_lookup import counts, quantiles, reference_quantiles, tail_probabilities
from ag_scorers.results import Result, ScorerResult

AUTO, NONE, FILE = "auto", "none", "calibration.parquet"
EMPIRICAL, PARETO = "empirical", "pareto"
_SHOWN = 3


class Lookup:
    """One scorer's background, for the tracks of a run.

    - `tracks`: (name, strand), in the run's order; each must be in the table.
    - `tail`: "empirical", or "pareto" for a tail that is extrapolated beyond the largest background score.
    - `parity`: quantiles by the reference's rule (left insertion point, no interpolation).

    Raises InputError for tracks that the table does not have.
    """

    def __init__(
        self,
        table: ScorerTable,
        tracks: tuple[Track, ...],
        middle: int,
        tail_size: int,
        *,
        tail: str = EMPIRICAL,
        parity: bool = False,
    ):
        rows = {track: row for row, track in enumerate(table.tracks)}
        absent = [f"{name} ({strand})" for name, strand in tracks if (name, strand) not in rows]
        if absent:
            more = f" and {len(absent) - _SHOWN:,} more" if len(absent) > _SHOWN else ""
            raise InputError(f"tracks that the table does not have: {', '.join(absent[:_SHOWN])}{more}")
        chosen = np.array([rows[track] for track in tracks], np.int64)
        self.signed, self.parity = bool(table.about["signed"]), parity
        self.count, self.breaks = table.count[chosen], np.ascontiguousarray(table.values[chosen])
        sizes, self._group = np.unique(self.count, return_inverse=True)
        self._ranks = np.full((len(sizes), self.breaks.shape[1]), np.iinfo(np.int64).max)
        for row, size in enumerate(sizes):
            ranks = point_ranks(int(size), middle, tail_size)
            self._ranks[row, : len(ranks)] = ranks
        self.upper = self.lower = None
        if tail == PARETO:
            self.upper = self._fit(self.breaks, middle, tail_size)
            self.lower = self._fit(-self.breaks[:, ::-1], middle, tail_size) if self.signed else None

    def __call__(
        self, values: Float[np.ndarray, "item track"]
    ) -> tuple[Float32[np.ndarray, "item track"], Float32[np.ndarray, "item track"]]:
        """(quantiles, tails) of scores; NaN where a score is, or the background has none."""
        items, width = values.shape
        flat, tracks = values.astype(np.float32).ravel(), np.tile(np.arange(width), items)
        n = self.count[tracks].astype(np.float64)
        left, right = counts(self.breaks, self._ranks, self._group, self.count, flat, tracks)
        found = self._parity(values) if self.parity else quantiles(left, right, n, self.signed).reshape(values.shape)
        odds = tail_probabilities(left, right, n, self.signed)
        odds = self._extrapolate(odds, flat, tracks, left, right, n)
        tails = np.where(n > 0, -np.log10(odds), np.nan).astype(np.float32)
        tails = np.abs(tails)  # no -0
        missing = np.isnan(values)
        return np.where(missing, np.float32(np.nan), found), np.where(missing.ravel(), np.nan, tails).astype(
            np.float32
        ).reshape(values.shape)

    def _parity(self, values: Float[np.ndarray, "item track"]) -> Float32[np.ndarray, "item track"]:
        if len(self._ranks) != 1 or not self.count[0]:
            raise InputError("the reference's lookup needs the same number of background scores on all tracks")
        cdf = (self._ranks[0] + 0.5) / self.count[0]
        return reference_quantiles(self.breaks, 2 * cdf - 1 if self.signed else cdf, values)

    def _fit(self, breaks: Float32[np.ndarray, "track point"], middle: int, tail_size: int) -> ParetoTail:
        """The upper tails; in `breaks` padding may stand on either side."""
        points = np.array([len(point_ranks(int(n), middle, tail_size)) for n in self.count])
        size = min(tail_size, int(points.max(initial=0)))
        highest = np.full((len(breaks), size), np.nan, np.float32)
        for row, values in enumerate(breaks):
            kept = values[np.isfinite(values)][-size:]
            highest[row, size - len(kept) :] = kept
        return fit_tail(highest, np.where(points >= size, self.count, 0))

    def _extrapolate(
        self,
        odds: Float[np.ndarray, " value"],
        values: Float32[np.ndarray, " value"],
        tracks: Int[np.ndarray, " value"],
        left: Float[np.ndarray, " value"],
        right: Float[np.ndarray, " value"],
        n: Float[np.ndarray, " value"],
    ) -> Float[np.ndarray, " value"]:
        """Odds of scores beyond all of the background by the fitted tails, as far as there are any."""
        sides = 2.0 if self.signed else 1.0
        for fit, sign, beyond in ((self.upper, 1, left == n), (self.lower, -1, right == 0)):
            chosen = np.flatnonzero(beyond & (n > 0) & ~np.isnan(values))
            if fit is None or not len(chosen):
                continue
            guessed = sides * fit.probability(sign * values[chosen].astype(np.float64), tracks[chosen])
            odds[chosen] = np.fmin(odds[chosen], np.fmax(guessed, odds[chosen] * 10**-DECADES))
        return odds


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What `load_calibration` found: `lookups` by the run's scorer keys, perhaps none.

    - `notes`: what a user should be told once: why there is no calibration, or which scorers lack one.
    - `digest`: SHA-256 of the file; empty without one.
    """

    lookups: Mapping[str, Lookup]
    notes: tuple[str, ...] = ()
    digest: str = ""
    path: pathlib.Path | None = None

    def __bool__(self) -> bool:
        return bool(self.lookups)


def load_calibration(
    source: str | os.PathLike[str],
    engine: Engine,
    *,
    model: str | os.PathLike[str] | None = None,
    tail: str = EMPIRICAL,
    parity: Parity | str | bool = Parity.FIXED,
) -> Calibration:
    """The calibration for the scorers of `engine`.

    - `source`: a table's path; "auto" for the one beside the checkpoint; "none".
    - `model`: name or folder of the checkpoint, for "auto"; by default the named model with the same digest.
    - `tail`: "empirical" (at most log10(n + 1)) or "pareto" (extrapolated beyond the background where a fit stands up).
    - `parity`: "upstream" looks quantiles up by the reference's rule, which needs as many background scores on every
      track; tails are the same. Independent of the engine's `parity`.

    A table made for something else is refused with the difference in words (InputError); with "auto" that is a note,
    and the run goes on without. Scorers that the table does not know are noted.
    """
    if tail not in (EMPIRICAL, PARETO):
        raise InputError(f"tail {tail!r}: expected {EMPIRICAL!r} or {PARETO!r}")
    rule = read_parity(parity) is Parity.UPSTREAM
    if str(source) == NONE:
        return Calibration({})
    if str(source) != AUTO:
        return _open(pathlib.Path(source), engine, tail, rule)
    folder = _folder(engine) if model is None else find(model)
    path = folder / FILE if folder is not None else None
    if path is None or not path.is_file():
        return Calibration({}, (f"no calibration beside model {engine.checkpoint.spec.name!r}: no quantiles",))
    try:
        return _open(path, engine, tail, rule)
    except InputError as error:
        return Calibration({}, (f"no quantiles: {error}",))


def calibrate_result(result: Result, calibration: Calibration) -> Result:
    """`result` with quantiles and tails where the calibration knows the scorer."""
    return calibrate_results([result], calibration)[0]


def calibrate_results(results: Sequence[Result], calibration: Calibration) -> list[Result]:
    """As `calibrate_result`, of many: one lookup for all of them costs little more than one for a single result."""
    found: dict[tuple[int, str], ScorerResult] = {}
    for key, lookup in calibration.lookups.items():
        mine = [(number, one) for number, result in enumerate(results) for one in result.scores if one.key == key]
        if not mine:
            continue
        ends = np.cumsum([len(one.values) for _, one in mine])[:-1]
        arrays = lookup(np.concatenate([one.values for _, one in mine]))
        parts = zip(*(np.split(array, ends) for array in arrays), strict=True)
        for (number, one), (ranks, tails) in zip(mine, parts, strict=True):
            found[number, key] = dataclasses.replace(one, quantiles=ranks, tails=tails)
    return [
        dataclasses.replace(result, scores=tuple(found.get((number, one.key), one) for one in result.scores))
        if result.scores
        else result
        for number, result in enumerate(results)
    ]


def _open(path: pathlib.Path, engine: Engine, tail: str, parity: bool) -> Calibration:
    table = read_table(path)
    wrong = differences(table.binding, describe_engine(engine, indels=True))
    if wrong:
        raise InputError(f"{path} was made for something else ({'; '.join(wrong)}); make one with `agenome calibrate`")
    lookups, unknown = {}, []
    tracks = {scores.key: track_names(scores.tracks) for scores in engine.templates()}
    for key, scorer in engine.scorers.items():
        about = describe_scorer(scorer, engine.tables)
        found = _find(table, key, about, path)
        if found is None:
            unknown.append(key)
            continue
        try:
            lookups[key] = Lookup(found, tracks[key], table.middle, table.tail, tail=tail, parity=parity)
        except InputError as error:
            raise InputError(f"{path}: scorer {key}: {error}") from error
    if not lookups:
        raise InputError(f"{path} knows none of the scorers {', '.join(unknown)}; it has {', '.join(table.scorers)}")
    notes = (f"no quantiles for {', '.join(unknown)}: not in {path.name}",) if unknown else ()
    return Calibration(lookups, notes, hashlib.sha256(path.read_bytes()).hexdigest(), path)


def _find(table: CalibrationTable, key: str, about: Mapping[str, Any], path: pathlib.Path) -> ScorerTable | None:
    """The table of the same scorer under whatever key; one of the same key that is another scorer is refused."""
    for found in table.scorers.values():
        if dict(found.about) == dict(about):
            return found
    if key not in table.scorers:
        return None
    found = table.scorers[key].about
    wrong = [
        f"{name}: the table's is {found.get(name)}, the run's {about.get(name)}"
        for name in sorted({*found, *about})
        if found.get(name) != about.get(name)
    ]
    raise InputError(f"{path}: its scorer {key} is another one ({'; '.join(wrong)}); make a table with this one")


def _folder(engine: Engine) -> pathlib.Path | None:
    """The folder of the named model that the engine runs, if it is one."""
    for name in registry().names("models"):
        folder = pathlib.Path(registry().create("models", name))
        try:
            if json.loads((folder / SPEC_FILE).read_text()).get("digest") == engine.checkpoint.digest:
                return folder
        except (OSError, ValueError):  # a broken model of somebody else is not this run's affair
            continue
    return None
