"""What checks look at: the tracks of a modality, whether they lie in files or in a store, and samples of each."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from ag_core.genome import Interval
from jaxtyping import Float, Int

from ag_data.doctor.levels import Levels, find_levels

# How much of each track is looked at, in windows spread evenly over the genome. A genome with no more is read whole.
SAMPLED_BINS, SAMPLED_BASES = 1 << 23, 1 << 26
_WINDOW = 1 << 18  # base pairs
# Tracks sampled at a time: 8 x 8 M float32 values are 256 MiB.
_TOGETHER = 8
# Windows looked at base by base, of tracks with wider bins.
_FINE = 16
# Width in bp of the bins in which tracks are compared with each other, and the number of them.
COMPARED, COMPARED_BINS = 128, 1 << 16

Tracks = Int[np.ndarray, " _"]


@dataclasses.dataclass(frozen=True, eq=False)
class Signals:
    """The tracks of one modality. `read(interval, tracks)` is `AbstractSource.read` in the genome's names.

    `read` gets starts on the grid of `resolution`, and ends on it or at the chromosome's end.
    """

    modality: str
    layout: str
    resolution: int
    # Type the values are stored in, or would be.
    dtype: str
    table: xr.Dataset
    # What messages call each track.
    labels: Sequence[str]
    # Length of each chromosome in bp.
    chromosomes: Mapping[str, int]
    read: Callable[[Interval, Tracks], Any]
    # Which tracks come from the same file, so that they are read together.
    files: Sequence[int]
    # As `read`, but of single bases, where tracks have wider bins and their files tell more.
    read_bases: Callable[[Interval, Tracks], Any] | None = None
    # Bases that are not N, about, where that was looked up.
    known: Mapping[str, int] = dataclasses.field(default_factory=dict)
    # `ag_data.store.STATISTICS` along (contig, track), where they are known.
    statistics: xr.Dataset | None = None

    @property
    def strands(self) -> list[str]:
        """'+', '-' or '.' of each track."""
        return [str(strand) for strand in self.table["strand"].values]

    def groups(self) -> Iterator[Tracks]:
        """Tracks that are read together."""
        files = np.asarray(self.files)
        for file in dict.fromkeys(self.files):
            tracks = np.flatnonzero(files == file)
            for first in range(0, len(tracks), _TOGETHER):
                yield tracks[first : first + _TOGETHER]

    def windows(self) -> list[Interval]:
        """Stretches of all chromosomes on the grid, `SAMPLED_BINS` in all (or the whole genome, if it has no more)."""
        bases = min(SAMPLED_BINS * self.resolution, SAMPLED_BASES)
        width = max(1, _WINDOW // self.resolution) * self.resolution
        total = sum(self.chromosomes.values())
        found = []
        for chromosome, length in self.chromosomes.items():
            whole = -(-length // width)
            wanted = whole
            if total > bases:
                wanted = min(whole, max(2, round(bases / width * length / total)))
            # Of `whole` windows side by side, `wanted` at equal distances.
            for number in (np.arange(wanted) + 0.5) * whole // wanted:
                start = int(number) * width
                found.append(Interval(chromosome, start, min(start + width, length)))
        return found

    def sample(self, tracks: Tracks, windows: Sequence[Interval]) -> list["Sample"]:
        """What is measured in `windows`, for each of `tracks` (which must be of one group)."""
        ends = np.cumsum([-(-window.width // self.resolution) for window in windows], dtype=np.int64)
        values = np.empty((len(tracks), int(ends[-1]) if len(ends) else 0), np.float32)
        for window, end in zip(windows, ends, strict=True):
            part = np.asarray(self.read(window, tracks))
            values[:, end - len(part) : end] = part.T
        return [Sample(self, int(track), tuple(windows), ends, row) for track, row in zip(tracks, values, strict=True)]


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """Values of one track in some windows, one after the other; `ends` tells where each window's end."""

    signals: Signals
    track: int
    windows: tuple[Interval, ...]
    ends: Int[np.ndarray, " window"]
    values: Float[np.ndarray, " bin"]

    @property
    def label(self) -> str:
        """What messages call the track."""
        return self.signals.labels[self.track]

    @property
    def modality(self) -> str:
        """Its modality."""
        return self.signals.modality

    @property
    def resolution(self) -> int:
        """Base pairs in a bin."""
        return self.signals.resolution

    @property
    def whole(self) -> bool:
        """Whether the windows are all there is."""
        return sum(window.width for window in self.windows) == sum(self.signals.chromosomes.values())

    def pieces(self) -> Iterator[tuple[Interval, Float[np.ndarray, " bin"]]]:
        """The windows and the values of each."""
        for window, end, start in zip(self.windows, self.ends, np.r_[0, self.ends[:-1]], strict=True):
            yield window, self.values[start:end]

    @functools.cached_property
    def positive(self) -> Float[np.ndarray, " _"]:
        """Finite values above zero."""
        return self.values[np.isfinite(self.values) & (self.values > 0)]

    @functools.cached_property
    def levels(self) -> Levels:
        """Small distinct values, and what they tell about units; of bases where sums over bins tell nothing."""
        levels, read = find_levels(self.positive), self.signals.read_bases
        if self.resolution == 1 or read is None or levels.unit is not None:
            return levels
        some = [self.windows[row] for row in np.unique(np.linspace(0, len(self.windows) - 1, _FINE).astype(int))]
        return find_levels(np.concatenate([np.asarray(read(w, np.array([self.track])))[:, 0] for w in some]))

    def compared(self) -> Float[np.ndarray, " _"]:
        """Sums over `COMPARED` bp (more, where that gives too many bins); what was not measured counts as 0."""
        size = max(1, COMPARED // self.resolution, len(self.values) // COMPARED_BINS)
        parts = []
        for _, values in self.pieces():
            values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
            parts.append(np.add.reduceat(values, np.arange(0, len(values), size), dtype=np.float64))
        return np.concatenate(parts) if parts else np.zeros(0)
