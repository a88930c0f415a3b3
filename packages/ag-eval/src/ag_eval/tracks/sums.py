"""Errors and correlations of tracks over more positions than fit into memory: states that update and merge.

Sums are float64 about running means (Chan et al. 1983), so that 10^9 positions do not cancel. `RawSums` are the
reference's own: float32 sums of products, for comparing with its figures. Source: spec/scoring.md 7.1.
"""

import dataclasses
from typing import Self

import numpy as np
from jaxtyping import Bool, Float

Tracks = Float[np.ndarray, " track"]
EPSILON = float(np.finfo(np.float32).eps)


@dataclasses.dataclass
class Sums:
    """Of each track: how many positions, means, central second moments, and errors."""

    count: Tracks
    mean_x: Tracks
    mean_y: Tracks
    square_x: Tracks
    square_y: Tracks
    product: Tracks
    squared_error: Tracks
    absolute_error: Tracks

    @classmethod
    def empty(cls, tracks: int) -> Self:
        """Nothing seen yet."""
        return cls(*(np.zeros(tracks) for _ in dataclasses.fields(cls)))

    @classmethod
    def of(
        cls,
        truth: Float[np.ndarray, "position track"],
        guess: Float[np.ndarray, "position track"],
        counted: Bool[np.ndarray, "position track"],
    ) -> Self:
        """Those of some positions; what is not `counted` may hold anything."""
        x, y = (np.where(counted, values, 0).astype(np.float64) for values in (truth, guess))
        count = counted.sum(axis=0).astype(np.float64)
        some = np.maximum(count, 1)
        mean_x, mean_y = x.sum(axis=0) / some, y.sum(axis=0) / some
        apart = x - y
        x, y = np.where(counted, x - mean_x, 0), np.where(counted, y - mean_y, 0)
        return cls(
            count,
            mean_x,
            mean_y,
            (x * x).sum(axis=0),
            (y * y).sum(axis=0),
            (x * y).sum(axis=0),
            (apart * apart).sum(axis=0),
            np.abs(apart).sum(axis=0),
        )

    def merge(self, other: Self) -> Self:
        """Those of both."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1)
        x, y = other.mean_x - self.mean_x, other.mean_y - self.mean_y
        weight = self.count * share
        return type(self)(
            count,
            self.mean_x + x * share,
            self.mean_y + y * share,
            self.square_x + other.square_x + x * x * weight,
            self.square_y + other.square_y + y * y * weight,
            self.product + other.product + x * y * weight,
            self.squared_error + other.squared_error,
            self.absolute_error + other.absolute_error,
        )

    def pearson(self) -> Tracks:
        """NaN where either does not vary."""
        power = np.sqrt(self.square_x) * np.sqrt(self.square_y)
        # What is left of equal values is rounding.
        flat = (self.square_x <= _residue(self.count, self.mean_x)) | (
            self.square_y <= _residue(self.count, self.mean_y)
        )
        return np.where(flat, np.nan, np.clip(self.product / np.where(flat, 1, power), -1, 1))

    def errors(self) -> tuple[Tracks, Tracks]:
        """Mean squared and mean absolute error; NaN without a position."""
        count = np.where(self.count > 0, self.count, np.nan)
        return self.squared_error / count, self.absolute_error / count


def _residue(count: Tracks, mean: Tracks) -> Tracks:
    return count * np.square(mean * np.finfo(np.float64).eps * 8)


@dataclasses.dataclass
class RawSums:
    """The reference's: float32 sums of x, y, their squares and product, merged by addition."""

    count: np.ndarray
    x: np.ndarray
    y: np.ndarray
    xx: np.ndarray
    yy: np.ndarray
    xy: np.ndarray
    squared_error: np.ndarray
    absolute_error: np.ndarray

    @classmethod
    def empty(cls, tracks: int) -> Self:
        """Nothing seen yet."""
        return cls(*(np.zeros(tracks, np.float32) for _ in dataclasses.fields(cls)))

    @classmethod
    def of(cls, truth: np.ndarray, guess: np.ndarray, counted: np.ndarray) -> Self:
        """Those of some positions."""
        x, y = (np.where(counted, values, 0).astype(np.float32) for values in (truth, guess))
        parts = (counted.astype(np.float32), x, y, x * x, y * y, x * y, np.square(x - y), np.abs(x - y))
        return cls(*(part.sum(axis=0, dtype=np.float32) for part in parts))

    def merge(self, other: Self) -> Self:
        """Those of both."""
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in dataclasses.fields(self))
        return type(self)(*(one + two for one, two in pairs))

    def pearson(self) -> np.ndarray:
        """As the reference: with its epsilon, and so 0 where nothing varies; NaN without a position."""
        with np.errstate(invalid="ignore", divide="ignore"):
            mean_x, mean_y = self.x / self.count, self.y / self.count
            covariance = self.xy - self.count * mean_x * mean_y
            power = np.sqrt(self.xx - self.count * mean_x**2) * np.sqrt(self.yy - self.count * mean_y**2)
            return covariance / (power + np.float32(EPSILON))

    def errors(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean squared and mean absolute error; NaN without a position."""
        with np.errstate(invalid="ignore"):
            return self.squared_error / self.count, self.absolute_error / self.count


class TrackMetrics:
    """Pearson's r, r of log(1 + signal), MSE and MAE of each track, over everything it was shown.

    `float32_raw_sums` computes as the reference does.
    """

    def __init__(self, tracks: int, *, float32_raw_sums: bool = False):
        self._kind = RawSums if float32_raw_sums else Sums
        self._plain, self._logged = self._kind.empty(tracks), self._kind.empty(tracks)

    def update(
        self,
        truth: Float[np.ndarray, "batch position track"],
        guess: Float[np.ndarray, "batch position_guessed track"],
        mask: Bool[np.ndarray, "batch #position track"] | None = None,
    ) -> None:
        """Adds a batch. Longer predictions are cropped at both ends alike; NaN in `truth` does not count.

        Raises ValueError for predictions that are shorter than what was measured.
        """
        truth, guess = np.asarray(truth, np.float32), crop(np.asarray(guess, np.float32), truth.shape[1])
        counted = ~np.isnan(truth) if mask is None else ~np.isnan(truth) & mask
        tracks = truth.shape[-1]
        truth, guess, counted = (x.reshape(-1, tracks) for x in (truth, guess, np.broadcast_to(counted, truth.shape)))
        with np.errstate(invalid="ignore"):
            logged = np.log1p(truth), np.log1p(guess)
        self._plain = self._plain.merge(self._kind.of(truth, guess, counted))  # pyright: ignore[reportArgumentType]
        self._logged = self._logged.merge(self._kind.of(*logged, counted))  # pyright: ignore[reportArgumentType]

    def merge(self, other: "TrackMetrics") -> None:
        """Adds what another has seen."""
        if self._kind is not other._kind:
            raise ValueError("float32 raw sums and float64 sums do not merge")
        self._plain = self._plain.merge(other._plain)  # pyright: ignore[reportArgumentType]
        self._logged = self._logged.merge(other._logged)  # pyright: ignore[reportArgumentType]

    @property
    def counts(self) -> Tracks:
        """Positions of each track."""
        return np.asarray(self._plain.count, np.float64)

    def values(self) -> dict[str, Tracks]:
        """Each metric for each track; NaN where it is not defined."""
        mse, mae = self._plain.errors()
        return {
            "pearsonr": self._plain.pearson(),
            "pearsonr_log1p": self._logged.pearson(),
            "mse": mse,
            "mae": mae,
        }

    def summary(self) -> dict[str, float]:
        """Unweighted means over the tracks that have positions, and a defined value."""
        seen = self.counts > 0
        found = {name: values[seen & ~np.isnan(values)] for name, values in self.values().items()}
        return {name: float(values.mean()) if len(values) else float("nan") for name, values in found.items()}


def crop(guess: np.ndarray, length: int) -> np.ndarray:
    """The middle `length` positions; an odd rest is cut at the right."""
    rest = guess.shape[1] - length
    if rest < 0:
        raise ValueError(f"{guess.shape[1]} predicted positions for {length} measured ones; predict as many")
    return guess[:, rest // 2 : rest // 2 + length]
