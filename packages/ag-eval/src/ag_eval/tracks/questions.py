"""What all kinds of evaluations of tracks share: a question takes in windows, one after the other, then has figures."""

import abc
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from ag_data import Annotation
from jaxtyping import Float, UInt8

from ag_eval.tracks.points import TrackPoints
from ag_eval.tracks.settings import TrackSettings
from ag_eval.tracks.window_sums import Draws, Measured
from ag_eval.tracks.windows import Matched, Window

# The name of the model among predictors, until the results say what it is called.
MODEL = "model"
# G and C are counted in this many bp around a bin.
CONTEXT = 1024


@dataclasses.dataclass(frozen=True, eq=False)
class Setting:
    """What a question is asked with: settings, matched tracks, number of windows, genes where it needs them."""

    own: TrackSettings
    matched: Matched
    windows: int
    genes: Annotation | None = None
    float32_raw_sums: bool = False


class AbstractQuestion(abc.ABC):
    """Implementations are final. `notes` become attributes of the results."""

    def __init__(self, setting: Setting):
        self.setting, self.points = setting, TrackPoints(setting.windows)
        self.notes: dict[str, Any] = {}

    @abc.abstractmethod
    def add(self, window: Window) -> None:
        """Takes in one window."""

    @abc.abstractmethod
    def figures(self, draws: Draws) -> Iterator[Measured]:
        """All figures, those of the model as of `MODEL`, the evaluation's own metric first or not."""


def track_names(tracks: xr.Dataset) -> list[str]:
    """What tracks are called in results: the strand behind the name, where there is one."""
    pairs = zip(tracks["name"].values.tolist(), tracks["strand"].values.tolist(), strict=True)
    return [name if strand == "." else f"{name} {strand}" for name, strand in pairs]


def experiments(tracks: xr.Dataset) -> dict[str, dict[str, int]]:
    """Both strands of an experiment together: name -> strand -> number of the track."""
    found: dict[str, dict[str, int]] = {}
    for number, (name, strand) in enumerate(zip(tracks["name"].values, tracks["strand"].values, strict=True)):
        found.setdefault(str(name), {})[str(strand)] = number
    return found


def gc_content(codes: UInt8[np.ndarray, " position"], resolution: int) -> Float[np.ndarray, " bin"]:
    """Share of G and C in `CONTEXT` bp (or the bin, if that is longer) around each bin's middle; 0 for N."""
    width = max(CONTEXT, resolution)
    sums = np.concatenate([[0], np.cumsum((codes == 1) | (codes == 2))])
    middle = np.arange(resolution // 2, len(codes), resolution)
    low, high = np.maximum(middle - width // 2, 0), np.minimum(middle + width // 2, len(codes))
    return (sums[high] - sums[low]) / np.maximum(high - low, 1)


def middle_bins(count: int, middle: int | None, resolution: int) -> slice:
    """The bins of the middle `middle` bp of a window of `count` bins; all of them without it."""
    if middle is None:
        return slice(0, count)
    size = min(-(-middle // resolution), count)
    first = (count - size) // 2
    return slice(first, first + size)
