"""Correlations and errors whose sums are kept window by window, so that windows can be drawn again without the data."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ag_eval.tracks.sums import RawSums, Sums

# How often each window is drawn.
Draws = Int[np.ndarray, "draw window"]


class Measured(NamedTuple):
    """Figures of one metric for groups (tracks, classes), of whom, and the same in every draw of windows.

    `of` says what the groups are, for the names of their mean and median; "" if there is no sense in these.
    """

    metric: str
    predictor: str
    of: str
    groups: list[str]
    values: Float[np.ndarray, " group"]
    draws: Float[np.ndarray, "draw group"] | None = None


def draw_windows(seen: Bool[np.ndarray, " window"], repeats: int, seed: int = 0) -> Draws:
    """`repeats` draws, with replacement, of as many windows as were seen; none with fewer than two of them."""
    count = int(seen.sum())
    draws = np.zeros((repeats if count > 1 else 0, len(seen)), np.int64)
    draws[:, seen] = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / max(count, 1)), len(draws))
    return draws


class WindowSums:
    """Sums of pairs of values along positions, for each track and window. Source: spec/scoring.md 7.1.

    With `raw` the total is the reference's float32 one, which cannot be drawn again.
    """

    def __init__(self, tracks: int, *, raw: bool = False):
        self._kind: Any = RawSums if raw else Sums
        self._total = self._kind.empty(tracks)
        self._numbers: list[int] = []
        self._parts: list[Sums] = []

    def add(
        self,
        number: int,
        truth: Float[np.ndarray, "position track"],
        guess: Float[np.ndarray, "position #track"],
        counted: Bool[np.ndarray, "position #track"] | None = None,
    ) -> None:
        """Adds positions of window `number`; NaN in `truth` does not count, NaN in `guess` makes the track's NaN."""
        counted = ~np.isnan(truth) if counted is None else counted & ~np.isnan(truth)
        own = self._kind.of(truth, np.broadcast_to(guess, truth.shape), counted)
        self._total = self._total.merge(own)
        if self._kind is Sums:
            self._numbers.append(number)
            self._parts.append(own)

    @property
    def counts(self) -> Float[np.ndarray, " track"]:
        """Positions of each track."""
        return np.asarray(self._total.count, np.float64)

    def pearson(self) -> Float[np.ndarray, " track"]:
        """Over all positions together."""
        return np.asarray(self._total.pearson(), np.float64)

    def errors(self) -> tuple[Float[np.ndarray, " track"], Float[np.ndarray, " track"]]:
        """Mean squared and mean absolute error."""
        one, two = self._total.errors()
        return np.asarray(one, np.float64), np.asarray(two, np.float64)

    def draw_pearson(self, draws: Draws) -> Float[np.ndarray, "draw track"] | None:
        """As `pearson`, in each draw; None where there is nothing to draw."""
        if not self._parts or not len(draws):
            return None
        count, total = self._column("count"), self._total
        # About the mean of all, so that nothing cancels.
        x = self._column("mean_x") - total.mean_x
        y = self._column("mean_y") - total.mean_y
        weights = draws[:, self._numbers].astype(np.float64)
        n = weights @ count
        some = np.where(n > 0, n, np.nan)
        sum_x, sum_y = weights @ (count * x), weights @ (count * y)
        square_x = weights @ (self._column("square_x") + count * x * x)
        square_y = weights @ (self._column("square_y") + count * y * y)
        product = weights @ (self._column("product") + count * x * y)
        var_x, var_y = square_x - sum_x**2 / some, square_y - sum_y**2 / some
        flat = ~((var_x > 1e-12 * square_x) & (var_y > 1e-12 * square_y)) | np.isnan(self.pearson())
        power = np.sqrt(np.where(flat, 1, var_x)) * np.sqrt(np.where(flat, 1, var_y))
        return np.where(flat, np.nan, np.clip((product - sum_x * sum_y / some) / power, -1, 1))

    def draw_errors(self, draws: Draws) -> tuple[Any, Any]:
        """As `errors`, in each draw."""
        if not self._parts or not len(draws):
            return None, None
        weights = draws[:, self._numbers].astype(np.float64)
        n = weights @ self._column("count")
        some = np.where(n > 0, n, np.nan)
        return weights @ self._column("squared_error") / some, weights @ self._column("absolute_error") / some

    def _column(self, name: str) -> Float[np.ndarray, "window track"]:
        return np.stack([getattr(part, name) for part in self._parts])


class WindowMeans:
    """A figure of each window (NaN: not defined), whose mean counts, for each track."""

    def __init__(self):
        self._numbers: list[int] = []
        self._values: list[np.ndarray] = []

    def add(self, number: int, values: Float[np.ndarray, " track"]) -> None:
        """Those of a window, or of something in it."""
        self._numbers.append(number)
        self._values.append(np.asarray(values, np.float64))

    def mean(self) -> Float[np.ndarray, " track"]:
        """Over what is defined."""
        values = np.stack(self._values)
        known = ~np.isnan(values)
        return np.where(known, values, 0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)

    def draw_mean(self, draws: Draws) -> Float[np.ndarray, "draw track"] | None:
        """As `mean`, in each draw."""
        if not len(draws):
            return None
        values, weights = np.stack(self._values), draws[:, self._numbers].astype(np.float64)
        known = ~np.isnan(values)
        count = weights @ known
        return weights @ np.where(known, values, 0) / np.where(count > 0, count, np.nan)
