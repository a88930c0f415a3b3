"""Contact maps as a band of log ratios on the 2,048-bp grid: what .cool, .hic and tables of pairs have in common.

Value: natural log of (observed + p) / (expected + p), where expected is the mean of all valid pairs of bins at that
distance on that chromosome (`ag_data.sources.expected`) and p is `pseudo` times the smallest expected value of the
band. Observed is balanced where the file has weights. Source: spec/model.md 3.4, spec/scoring.md 4.

A map with bins of at most 2,048 bp is put on the grid first: each contact is shared out over the grid's bins in
proportion to what its two bins have in common with them, and sums are divided by the valid area. A map with larger
bins is divided by its own expected values; each pair of grid bins then takes the pair of bins that holds their centres.
"""

import abc
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.interfaces import AbstractSource
from ag_core.schema import track_table
from jaxtyping import Float, Int

from ag_data.sources.expected import expected_by_distance

GRID = 2048
_BLOCK = 512  # bins worked on at a time
_LEAST_VALID = 0.5  # share of a grid bin that valid bins must cover


@dataclasses.dataclass(frozen=True)
class ContactSettings:
    """How ratios are made.

    - `offsets`: width of the band in grid bins (512 reach to 1 Mb).
    - `pseudo`: added to both sides, in units of the smallest expected value of the band.
    - `min_coverage`: bins with fewer contacts within the band than this share of the median bin are masked.
    - `smooth`: diagonals with fewer contacts than this are pooled to tell what is expected.
    """

    offsets: int = 512
    pseudo: float = 1.0
    min_coverage: float = 0.1
    smooth: float = 400

    def __post_init__(self):
        if self.offsets < 1 or self.pseudo < 0 or self.min_coverage < 0 or self.smooth < 0:
            raise InputError(f"{self}: expected offsets of at least 1 and nothing negative")


class Pixels(NamedTuple):
    """Pairs of bins, numbered from the start of their chromosome, row <= column, each pair once."""

    row: Int[np.ndarray, " pixel"]
    column: Int[np.ndarray, " pixel"]
    count: Float[np.ndarray, " pixel"]


class _Chromosome(NamedTuple):
    """What is known of a chromosome before values are read; `cell` is a bin of the grid that is worked on."""

    name: str
    length: int
    weights: Float[np.ndarray, " bin"] | None
    valid: Float[np.ndarray, " bin"]  # 1 or 0
    cell: Int[np.ndarray, " bin"]  # the first cell a bin lies in
    share: Float[np.ndarray, " bin"]  # how much of the bin lies there; the rest is in the next cell
    area: Float[np.ndarray, " cell"]  # valid part of a cell, 0 for one that is masked
    expected: Float[np.ndarray, " offset"]
    pseudo: float


class AbstractContacts(AbstractSource):
    """A contact map. Implementations tell its bins, their weights and its pixels."""

    layout = "contacts"
    resolution = GRID

    def __init__(self, name: str, native: int, settings: ContactSettings):
        self.native, self.offsets = native, settings.offsets  # bp of the file's bins; width of the band
        self._name, self._settings = name, settings
        self._work = max(native, GRID)
        # Offsets that the band needs on the grid that is worked on.
        self.offsets = settings.offsets
        self._reach = settings.offsets if native <= GRID else -(-settings.offsets * GRID // native) + 1
        self._chromosome: _Chromosome | None = None
        self._seen: dict[str, dict[str, float]] = {}

    @abc.abstractmethod
    def _bins(self, chromosome: str) -> int:
        """Number of bins of a chromosome."""

    @abc.abstractmethod
    def _weights(self, chromosome: str) -> Float[np.ndarray, " bin"] | None:
        """What each bin is multiplied by (NaN: masked); None for raw counts."""

    @abc.abstractmethod
    def _pixels(self, chromosome: str, first: int, last: int, reach: int) -> Iterator[Pixels]:
        """Pixels of rows [first, last), in pieces: all with columns below last + `reach`, and perhaps others."""

    @property
    @abc.abstractmethod
    def balance(self) -> str:
        """The name of the weights, "none" for raw counts."""

    def tracks(self) -> xr.Dataset:
        return track_table({"name": [self._name], "strand": ["."]})

    def facts(self) -> Mapping[str, Any]:
        """Settings, and of each chromosome that was read: contacts in the band, bins, masked bins."""
        placed = "contacts shared out by area" if self.native <= GRID else "pair that holds both centres"
        facts = {"native_resolution": self.native, "placed": placed, "balance": self.balance}
        return {**facts, **dataclasses.asdict(self._settings), **({"chromosomes": self._seen} if self._seen else {})}

    def read(self, interval: Interval) -> Float[np.ndarray, "position offset 1"]:
        """Log ratios of bin i and bin i + offset; NaN for masked bins and beyond the chromosome."""
        if self._chromosome is None or self._chromosome.name != interval.chromosome:
            self._chromosome = self._prepare(interval.chromosome)
        known = self._chromosome
        first, last = interval.start // GRID, -(-interval.end // GRID)
        if self.native <= GRID:
            return self._ratio(known, first, last)[..., None]
        rows, offsets = np.arange(first, last), np.arange(self._settings.offsets)
        centre = np.minimum(np.arange(first, last + len(offsets)) * GRID + GRID // 2, known.length - 1)
        bins = centre // self.native
        ratio = self._ratio(known, bins[0], bins[len(rows) - 1] + 1)
        row = bins[rows - first]
        column = bins[(rows - first)[:, None] + offsets]
        values = ratio[(row - row[0])[:, None], column - row[:, None]]
        values[rows[:, None] + offsets >= -(-known.length // GRID)] = np.nan
        return values[..., None]

    def _ratio(self, known: _Chromosome, first: int, last: int) -> Float[np.ndarray, "cell offset"]:
        observed, _ = self._band(known, first, last)
        area = _padded(known.area, first, last + self._reach)
        rows, offsets = np.arange(last - first)[:, None], np.arange(self._reach)
        area = area[rows] * area[rows + offsets]
        with np.errstate(divide="ignore", invalid="ignore"):
            observed = np.where(area > 0, observed / area, np.nan)
            ratio = np.log((observed + known.pseudo) / (known.expected + known.pseudo))
        return np.where(np.isfinite(ratio), ratio, np.nan).astype(np.float32)

    def _band(
        self, known: _Chromosome, first: int, last: int
    ) -> tuple[Float[np.ndarray, "cell offset"], Float[np.ndarray, " offset"]]:
        """Sums of values of valid pairs for cells [first, last), and contacts among them at each offset."""
        shape = (last - first, self._reach)
        values, contacts = np.zeros(shape[0] * shape[1]), np.zeros(self._reach)
        start, end = (min(edge * self._work // self.native, len(known.cell)) for edge in (first, last))
        end = min(end + (last * self._work % self.native > 0), len(known.cell))
        reach = self._reach * self._work // self.native + 2
        for row, column, count in self._pixels(known.name, start, end, reach):
            value = count * known.valid[row] * known.valid[column]
            weighted = value if known.weights is None else value * known.weights[row] * known.weights[column]
            for a, share_a in _cells(known, row):
                for b, share_b in _cells(known, column):
                    share, cell, offset = share_a * share_b, np.minimum(a, b), np.abs(b - a)
                    kept = (share * value != 0) & (cell >= first) & (cell < last) & (offset < self._reach)
                    place = (cell[kept] - first) * self._reach + offset[kept]
                    values += np.bincount(place, (share * weighted)[kept], len(values))
                    contacts += np.bincount(offset[kept], (share * value)[kept], self._reach)
        return values.reshape(shape), contacts

    def _prepare(self, chromosome: str) -> _Chromosome:
        """Two passes over the pixels of a chromosome: which bins are covered, and what is expected."""
        count, weights = self._bins(chromosome), self._weights(chromosome)
        length = self.chromosomes()[chromosome] or count * self.native
        start = np.arange(count) * self.native
        end = np.minimum(start + self.native, length)
        cell = start // self._work
        share = (np.minimum((cell + 1) * self._work, end) - start) / (end - start)

        coverage = np.zeros(count)
        step, reach = (max(1, size * self._work // self.native) for size in (_BLOCK, self._reach))
        for first in range(0, count, step):
            for row, column, contacts in self._pixels(chromosome, first, min(first + step, count), reach):
                if not len(row):  # far from all contacts; the sums below take as long as there are bins
                    continue
                contacts = contacts * (column - row < reach)
                coverage += np.bincount(row, contacts, count) + np.bincount(column, contacts * (row != column), count)
        least = self._settings.min_coverage * np.median(coverage[coverage > 0]) if coverage.any() else 0
        valid = (coverage > 0) & (coverage >= least)
        if weights is not None:
            valid &= np.isfinite(weights)
            weights = np.where(valid, weights, 0)

        cells = -(-length // self._work)
        area = np.bincount(cell, valid * share * (end - start), cells + 1)
        area += np.bincount(cell + 1, valid * (1 - share) * (end - start), cells + 1)
        inside = np.minimum((np.arange(cells) + 1) * self._work, length) - np.arange(cells) * self._work
        area = np.where(area[:cells] >= _LEAST_VALID * inside, area[:cells] / self._work, 0)

        known = _Chromosome(
            chromosome, length, weights, valid.astype(np.float64), cell, share, area, np.zeros(self._reach), 0
        )
        sums, contacts = np.zeros(self._reach), np.zeros(self._reach)
        for first in range(0, cells, _BLOCK):
            last = min(first + _BLOCK, cells)
            values, seen = self._band(known, first, last)
            used = _padded(area, first, last + self._reach) > 0
            rows = np.arange(last - first)[:, None]
            sums += (values * used[rows] * used[rows + np.arange(self._reach)]).sum(axis=0)
            contacts += seen
        pairs = np.array([area[: cells - offset] @ area[offset:] for offset in range(min(self._reach, cells))])
        expected = expected_by_distance(sums, _padded(pairs, 0, self._reach), contacts, self._settings.smooth)
        smallest = np.min(expected[expected > 0], initial=np.inf)
        self._seen[chromosome] = {
            "contacts": float(contacts.sum()),
            "bins": count,
            "masked_bins": int(count - valid.sum()),
        }
        pseudo = self._settings.pseudo * smallest if np.isfinite(smallest) else 0.0
        return known._replace(expected=expected, pseudo=float(pseudo))


def _cells(
    known: _Chromosome, bins: Int[np.ndarray, " pixel"]
) -> Iterator[tuple[Int[np.ndarray, " pixel"], Float[np.ndarray, " pixel"]]]:
    """The one or two cells a bin lies in, and how much of it lies there."""
    share = known.share[bins]
    yield known.cell[bins], share
    if (share < 1).any():
        yield known.cell[bins] + 1, 1 - share


def _padded(values: Float[np.ndarray, " _"], first: int, last: int) -> Float[np.ndarray, " _"]:
    """`values[first:last]`, zero beyond their end."""
    inside = values[first:last]
    return np.pad(inside, (0, last - first - len(inside)))
