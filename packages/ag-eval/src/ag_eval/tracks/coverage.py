"""Signal along the genome and usage of splice sites: correlation of each track, over all windows together."""

from collections.abc import Iterator

import numpy as np

from ag_eval.tracks.questions import MODEL, AbstractQuestion, Setting, gc_content, middle_bins, track_names
from ag_eval.tracks.window_sums import Draws, Measured, WindowSums
from ag_eval.tracks.windows import Window

# How values are changed before they are correlated, by metric.
CHANGES = {
    "pearson": lambda x: x,
    "pearson_log1p": np.log1p,
    "pearson_sqrt": lambda x: np.sqrt(1 + x) - 1,
}


class CoverageTracks(AbstractQuestion):
    """Pearson's r as it is and of log(1 + signal), mean squared and absolute error (spec 7.1; A4, 7-8, 12-17).

    r of sqrt(1 + signal) - 1 as well, if that is asked for. The baseline says that every track follows G+C.
    """

    def __init__(self, setting: Setting):
        super().__init__(setting)
        self._names = track_names(setting.matched.tracks)
        wanted = [name for name in CHANGES if name != "pearson_sqrt" or setting.own.metric == name]
        raw = setting.float32_raw_sums
        count = len(self._names)
        self._sums = {name: WindowSums(count, raw=raw) for name in wanted}
        self._gc = {name: WindowSums(count, raw=raw) for name in wanted}

    def add(self, window: Window) -> None:
        """As `AbstractQuestion.add`."""
        own, matched = self.setting.own, self.setting.matched
        truth = np.asarray(next(window.target[name] for name in ("signal", "usage") if name in window.target))
        chosen = middle_bins(len(truth), own.middle, matched.resolution)
        truth, guess = truth[chosen].astype(np.float32), window.guess[chosen]
        gc = gc_content(window.codes, matched.resolution)[chosen, None].astype(np.float32)
        known = ~np.isnan(truth)
        if matched.layout == "usage":  # few bases have any
            rows = known.any(axis=1)
            truth, guess, gc, known = truth[rows], guess[rows], gc[rows], known[rows]
        self.notes["values_compared"] = self.notes.get("values_compared", 0) + int(known.sum())
        for name, sums in self._sums.items():
            change = CHANGES[name]
            with np.errstate(invalid="ignore"):
                changed = change(truth)
                sums.add(window.number, changed, change(guess), known)
            self._gc[name].add(window.number, changed, gc, known)
        by_gc = np.broadcast_to(gc, truth.shape)
        self.points.add(window.number, truth.ravel(), {MODEL: guess.ravel(), "gc_content": by_gc.ravel()})

    def figures(self, draws: Draws) -> Iterator[Measured]:
        """As `AbstractQuestion.figures`."""
        for name in self._sums:
            for who, sums in ((MODEL, self._sums[name]), ("gc_content", self._gc[name])):
                yield Measured(name, who, "tracks", self._names, sums.pearson(), sums.draw_pearson(draws))
        plain = self._sums["pearson"]
        for name, values, drawn in zip(("mse", "mae"), plain.errors(), plain.draw_errors(draws), strict=True):
            yield Measured(name, MODEL, "tracks", self._names, values, drawn)
