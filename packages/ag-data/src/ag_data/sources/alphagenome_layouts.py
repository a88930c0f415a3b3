"""Records of AlphaGenome's training data of one chromosome, by layout: kept on disk, read by place."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from jaxtyping import Bool, Float, Int, Shaped

from ag_data.sources.alphagenome_files import Bundle, Record
from ag_data.sources.windows import RowSpool, Windows

Values = Shaped[np.ndarray, "..."]
_PLACE = ["start", "end", "strand"]


class Layout(Protocol):
    """What is known of a chromosome."""

    def add(self, record: Record, values: Values) -> None:
        """Adds a record, and the tensor of its values."""
        ...

    def read(self, interval: Interval) -> Any:
        """As `AbstractSource.read`."""
        ...


class Signal:
    """Windows of tracks; what is masked or not covered by a record is NaN, and of overlapping ones the first counts."""

    def __init__(self, bundle: Bundle, kept: Int[np.ndarray, " track"], dtype: np.dtype):
        self._bundle, self._kept = bundle, kept
        self._windows = Windows(len(kept), dtype, bundle.resolution, "share", _as_float32)

    def add(self, record: Record, values: Float[np.ndarray, "position slot"]) -> None:
        chosen = values[:, self._kept]
        if self._bundle.mask:
            mask = record.tensor(self._bundle.mask).reshape(-1)
            if mask.dtype != bool or len(mask) != values.shape[1]:
                raise InputError(
                    f"{record.label}: {self._bundle.mask} is {mask.dtype} of {len(mask)}; expected a flag for each of "
                    f"{values.shape[1]} slots"
                )
            chosen[:, ~mask[self._kept]] = np.nan
        start = first_base(record, len(values), self._bundle)
        self._windows.add(record.interval.chromosome, start, chosen)

    def read(self, interval: Interval) -> Float[np.ndarray, "position track"]:
        bins = -(-interval.width // self._bundle.resolution)
        values = np.full((bins, len(self._kept)), np.nan, np.float32)
        for first, piece in self._windows.read(interval):
            part = values[first : first + len(piece)]
            part[:] = np.where(np.isnan(part), piece, part)
        return values


class Classes:
    """Windows of flags; a base that no record covers is of no class."""

    def __init__(self, bundle: Bundle, kept: Int[np.ndarray, " track"], dtype: np.dtype):
        self._bundle, self._kept = bundle, kept
        self._windows = Windows(len(kept), np.dtype(np.uint8), 1)

    def add(self, record: Record, values: Bool[np.ndarray, "position 5"]) -> None:
        start = first_base(record, len(values), self._bundle)
        self._windows.add(record.interval.chromosome, start, values[:, self._kept])

    def read(self, interval: Interval) -> Bool[np.ndarray, "position track"]:
        values = np.zeros((interval.width, len(self._kept)), bool)
        for first, piece in self._windows.read(interval):
            values[first : first + len(piece)] |= piece > 0
        return values


class Contacts:
    """Square maps, moved to the nearest bin of the grid, as a band of `offsets` bins."""

    def __init__(self, bundle: Bundle, kept: Int[np.ndarray, " track"], offsets: int):
        self._bundle, self._kept, self._offsets = bundle, kept, offsets
        self._spool: RowSpool | None = None
        self._bins = 0
        self._places: list[tuple[int, int]] = []  # first bin on the grid, number of the first row

    def add(self, record: Record, values: Float[np.ndarray, "position position_2 slot"]) -> None:
        if self._spool is None:
            self._bins = len(values)
            self._spool = RowSpool(self._bins * len(self._kept), np.dtype(np.float32))
        if len(values) != self._bins:
            raise InputError(
                f"{record.label} is {len(values)} bins wide, others {self._bins}; expected maps of one size"
            )
        size = self._bundle.resolution
        place = (first_base(record, self._bins, self._bundle) + size // 2) // size
        chosen = _as_float32(values[:, :, self._kept])
        self._places.append((place, self._spool.append(chosen.reshape(self._bins, -1))))

    def read(self, interval: Interval) -> Float[np.ndarray, "position offset track"]:
        size = self._bundle.resolution
        first, last = interval.start // size, -(-interval.end // size)
        band = np.full((last - first, self._offsets, len(self._kept)), np.nan, np.float32)
        for place, row in self._places:
            low, high = max(place, first), min(place + self._bins, last)
            if low >= high or self._spool is None:
                continue
            rows = self._spool.rows(row + low - place, row + high - place).reshape(high - low, self._bins, -1)
            for i in range(low, high):
                reach = min(self._offsets, place + self._bins - i)
                part = band[i - first, :reach]
                part[:] = np.where(np.isnan(part), rows[i - low, i - place :][:reach], part)
        return band


class Junctions:
    """Introns with reads in any track. `positions` of sites are those of an interval, where records lack them.

    `positions` count from the interval's start.
    """

    def __init__(self, kept: Int[np.ndarray, " track"], positions: Mapping[Interval, Int[np.ndarray, "4 site"]]):
        self._kept, self._positions = kept, positions
        self._parts: list[pd.DataFrame] = []
        self._all: xr.Dataset | None = None

    def add(self, record: Record, values: Float[np.ndarray, "donor acceptor slot"]) -> None:
        inside = "splice_site_positions" in record.features
        positions = record.tensor("splice_site_positions") if inside else self._positions.get(record.interval)
        if positions is None:
            raise InputError(
                f"{record.label}: no record of `positions` has its interval, {record.interval.region}; both bundles "
                "must come from one version and subset"
            )
        self._parts.append(introns_of(record, values, positions, self._kept))
        self._all = None

    def read(self, interval: Interval) -> xr.Dataset:
        if self._all is None:
            self._all = _join(self._parts, len(self._kept))
        edges = np.searchsorted(self._all["start"].values, (interval.start, interval.end))
        return self._all.isel(junction=slice(*edges))


def fill(layout: Layout, records: Iterable[Record], values_of: Callable[[Record], Values]) -> Layout:
    """Adds all records to a layout."""
    for record in records:
        layout.add(record, values_of(record))
    return layout


def first_base(record: Record, bins: int, bundle: Bundle) -> int:
    """Where the targets of a record start: in the middle of its interval."""
    extra, odd = divmod(record.interval.width - bins * bundle.resolution, 2)
    if extra < 0 or odd:
        raise InputError(
            f"{record.label}: {bins:,} bins of {bundle.resolution} bp do not lie in the middle of its interval, "
            f"{record.interval.region}; is this {bundle.name}?"
        )
    return record.interval.start + extra


def introns_of(
    record: Record,
    counts: Float[np.ndarray, "donor acceptor slot"],
    positions: Int[np.ndarray, "4 site"],
    kept: Int[np.ndarray, " track"],
) -> pd.DataFrame:
    """Introns with reads: start, end, strand, and a column of counts for each track (spec/model.md 3.6).

    The first half of the slots is '+', between rows 0 (donors) and 1 (acceptors); the second '-', rows 2 and 3.
    """
    if positions.shape != (4, len(counts)) or counts.shape[-1] % 2:
        raise InputError(
            f"{record.label}: counts have the shape {counts.shape}, positions {positions.shape}; expected "
            "[site, site, 2 x track] and [4, site]"
        )
    half, tables = counts.shape[-1] // 2, []
    for strand, rows in (("+", (0, 1)), ("-", (2, 3))):
        donor, acceptor = (positions[row].astype(np.int64) for row in rows)
        values = counts[:, :, half * (strand == "-") :][:, :, kept]
        there = (values > 0).any(axis=-1) & (donor >= 0)[:, None] & (acceptor >= 0)
        d, a = np.nonzero(there)
        left, right = (donor[d], acceptor[a]) if strand == "+" else (acceptor[a], donor[d])
        # A site is the exonic base beside the intron.
        table = pd.DataFrame({"start": left + 1 + record.interval.start, "end": right + record.interval.start})
        table["strand"] = strand
        table = pd.concat([table, pd.DataFrame(np.nan_to_num(values[d, a]).astype(np.float32))], axis=1)
        tables.append(table.loc[(table["start"] < table["end"]).to_numpy()])
    return pd.concat(tables, ignore_index=True)


def _join(parts: list[pd.DataFrame], tracks: int) -> xr.Dataset:
    """All introns of a chromosome, sorted; of those that several records tell, the first."""
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*_PLACE, *range(tracks)])
    table = table.drop_duplicates(_PLACE).sort_values(_PLACE)
    count = table[list(range(tracks))].to_numpy(np.float32)
    return xr.Dataset(
        {"count": (("junction", "track"), count)},
        coords={
            "start": ("junction", table["start"].to_numpy(np.int64)),
            "end": ("junction", table["end"].to_numpy(np.int64)),
            "strand": ("junction", table["strand"].to_numpy(object)),
        },
    )


def _as_float32(values: Values) -> Float[np.ndarray, "..."]:
    return values.astype(np.float32)
