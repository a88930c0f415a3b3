"""Shape and total of the signal in peaks, as ChromBPNet and ProCapNet measure them. Source: spec/scoring.md A18-22."""

from collections.abc import Iterator

import numpy as np

from ag_eval.tracks.profile_metrics import log_totals, profile_distance
from ag_eval.tracks.questions import MODEL, AbstractQuestion, Setting, experiments, gc_content, middle_bins
from ag_eval.tracks.window_sums import Draws, Measured, WindowMeans, WindowSums
from ag_eval.tracks.windows import Window


class ProfileTracks(AbstractQuestion):
    """Of each experiment, both strands together, over the middle of windows around peaks.

    Mean Jensen-Shannon distance of the shapes (lower is better), r of log(1 + total), and r along positions. Baselines:
    a flat profile, the mean measured profile of the other windows, and G+C for totals and positions.
    """

    def __init__(self, setting: Setting):
        super().__init__(setting)
        self._experiments = experiments(setting.matched.tracks)
        count = len(self._experiments)
        self._distances = {name: WindowMeans() for name in (MODEL, "flat")}
        self._totals = {name: WindowSums(count) for name in (MODEL, "gc_content")}
        self._positions = {name: WindowSums(count, raw=setting.float32_raw_sums) for name in (MODEL, "gc_content")}
        # Of each window: measured shapes, which the mean of the others is held against.
        self._numbers: list[int] = []
        self._shapes: list[np.ndarray] = []

    def add(self, window: Window) -> None:
        """As `AbstractQuestion.add`."""
        resolution = self.setting.matched.resolution
        chosen = middle_bins(len(window.guess), self.setting.own.middle, resolution)
        gc = gc_content(window.codes, resolution)[chosen]
        truth = self._side_by_side(np.asarray(window.target["signal"], np.float32)[chosen])
        guess = self._side_by_side(window.guess[chosen])
        self._distances[MODEL].add(window.number, profile_distance(truth, guess))
        self._distances["flat"].add(window.number, profile_distance(truth, np.ones_like(truth)))
        totals, guessed = log_totals(truth)[None], log_totals(guess)[None]
        self._totals[MODEL].add(window.number, totals, guessed)
        self._totals["gc_content"].add(window.number, totals, np.full_like(totals, gc.mean()))
        self._positions[MODEL].add(window.number, truth.T, guess.T)
        strands = truth.shape[1] // len(gc)
        self._positions["gc_content"].add(window.number, truth.T, np.tile(gc, strands)[:, None])
        with np.errstate(invalid="ignore"):
            self._shapes.append((truth / truth.sum(axis=1, keepdims=True)).astype(np.float32))
        self._numbers.append(window.number)
        self.points.add(window.number, totals[0], {MODEL: guessed[0], "gc_content": np.full(len(totals[0]), gc.mean())})

    def figures(self, draws: Draws) -> Iterator[Measured]:
        """As `AbstractQuestion.figures`."""
        names = list(self._experiments)
        self.notes["peaks"] = len(self._numbers)
        if len(self._shapes) > 1:
            self._distances["mean_profile"] = self._others()
        for who, means in self._distances.items():
            yield Measured("jensen_shannon", who, "tracks", names, means.mean(), means.draw_mean(draws))
        for metric, both in (("pearson_log_counts", self._totals), ("pearson", self._positions)):
            for who, sums in both.items():
                yield Measured(metric, who, "tracks", names, sums.pearson(), sums.draw_pearson(draws))

    def _others(self) -> WindowMeans:
        shapes, means = np.stack(self._shapes), WindowMeans()
        known = np.asarray(~np.isnan(shapes).any(axis=2, keepdims=True))
        shapes = np.where(known, shapes, 0)
        total, count = shapes.sum(axis=0, dtype=np.float64), known.sum(axis=0)
        for number, own, there in zip(self._numbers, shapes, known, strict=True):
            others = np.maximum(total - own, 0) / np.maximum(count - there, 1)
            means.add(number, profile_distance(np.where(there, own, np.nan), others))
        return means

    def _side_by_side(self, values: np.ndarray) -> np.ndarray:
        """[experiment, strand x position], strands of one experiment one after the other."""
        # All have as many strands, or the missing ones are empty.
        most = max(len(strands) for strands in self._experiments.values())
        rows = []
        for strands in self._experiments.values():
            parts = [values[:, strands[sign]] for sign in sorted(strands)]
            parts += [np.zeros(len(values), values.dtype)] * (most - len(parts))
            rows.append(np.concatenate(parts))
        return np.stack(rows)
