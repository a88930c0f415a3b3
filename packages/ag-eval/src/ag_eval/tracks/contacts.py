"""Contact maps, and how those of two cell types differ. Source: spec/scoring.md 7.3, A23-24."""

import warnings
from collections.abc import Iterator

import numpy as np
from ag_core.errors import InputError

from ag_eval.tracks.contact_metrics import insulation_correlation, map_correlation
from ag_eval.tracks.questions import MODEL, AbstractQuestion, Setting, track_names
from ag_eval.tracks.window_sums import Draws, Measured, WindowMeans
from ag_eval.tracks.windows import Window

# Bins on either side of a boundary that insulation looks at.
WIDTH = 4


class ContactTracks(AbstractQuestion):
    """Pearson's r of each map, window by window, and of its insulation; the mean over windows counts.

    Pairs of different bins, each once. The baseline says that contacts fall with distance.
    """

    def __init__(self, setting: Setting):
        super().__init__(setting)
        self._names = track_names(setting.matched.tracks)
        self._means = {key: WindowMeans() for key in (("pearson", MODEL), ("pearson_insulation", MODEL))}
        self._means["pearson", "distance"] = WindowMeans()

    def add(self, window: Window) -> None:
        """As `AbstractQuestion.add`."""
        truth, guess = np.asarray(window.target["contacts"], np.float64), window.guess
        apart = _apart(len(truth))
        found: dict[tuple[str, str], list[float]] = {key: [] for key in self._means}
        for track in range(truth.shape[2]):
            one, two = truth[..., track], guess[..., track]
            found["pearson", MODEL].append(map_correlation(one, two))
            found["pearson", "distance"].append(map_correlation(one, apart))
            with np.errstate(invalid="ignore"):
                enough = len(one) > 2 * WIDTH and not np.isnan(one).all()
                found["pearson_insulation", MODEL].append(_insulation(one, two) if enough else np.nan)
        for key, values in found.items():
            self._means[key].add(window.number, np.array(values))
        rows, columns = np.triu_indices(len(truth), 1)
        near = np.repeat(apart[rows, columns], truth.shape[2])
        self.points.add(
            window.number, truth[rows, columns].ravel(), {MODEL: guess[rows, columns].ravel(), "distance": near}
        )

    def figures(self, draws: Draws) -> Iterator[Measured]:
        """As `AbstractQuestion.figures`."""
        for (metric, who), means in self._means.items():
            yield Measured(metric, who, "tracks", self._names, means.mean(), means.draw_mean(draws))


class ContactDifferences(AbstractQuestion):
    """Pearson's r of the difference between the maps of two cell types, window by window.

    Maps of one cell type are averaged first. What tells nothing of the cell type has no difference, and so no r.
    Raises InputError when the tracks lack one of the cell types.
    """

    def __init__(self, setting: Setting):
        super().__init__(setting)
        assert setting.own.cells is not None
        names = setting.matched.tracks["biosample_name"].values
        self._columns = [np.flatnonzero(names == cell) for cell in setting.own.cells]
        self._group = " - ".join(setting.own.cells)
        for cell, columns in zip(setting.own.cells, self._columns, strict=True):
            if not len(columns):
                known = ", ".join(sorted({str(name) for name in names}))
                raise InputError(
                    f"{setting.own.name}: no map of {cell} that model and store share (biosample_name); there are "
                    f"{known}: use others, or a file of yours that says `cells`"
                )
        self._means = WindowMeans()

    def add(self, window: Window) -> None:
        """As `AbstractQuestion.add`."""
        truth, guess = (
            np.subtract(*(np.asarray(maps, np.float64)[..., columns].mean(axis=2) for columns in self._columns))
            for maps in (window.target["contacts"], window.guess)
        )
        self._means.add(window.number, np.array([map_correlation(truth, guess)]))
        rows, columns = np.triu_indices(len(truth), 1)
        self.points.add(window.number, truth[rows, columns], {MODEL: guess[rows, columns]})

    def figures(self, draws: Draws) -> Iterator[Measured]:
        """As `AbstractQuestion.figures`."""
        yield Measured("pearson", MODEL, "", [self._group], self._means.mean(), self._means.draw_mean(draws))


def _apart(bins: int) -> np.ndarray:
    places = np.arange(bins)
    return -np.log(np.abs(places[:, None] - places) + 1.0)


def _insulation(one: np.ndarray, two: np.ndarray) -> float:
    """As `insulation_correlation`; bins around which nothing is known are left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return insulation_correlation(one, np.where(np.isnan(one), np.nan, two), WIDTH)
