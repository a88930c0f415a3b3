"""AlphaGenome's own training data as a source, one bundle at a time."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.interfaces import AbstractSource
from ag_core.schema import is_padding
from jaxtyping import Shaped

from ag_data.sources.alphagenome_files import Files, Path, Record, find_bundle
from ag_data.sources.alphagenome_layouts import Classes, Contacts, Junctions, Layout, Signal, fill
from ag_data.sources.alphagenome_slots import number_slots, read_slots


class AlphaGenomeSource(AbstractSource):
    """A bundle of `ag_data.sources.alphagenome_files`: a folder, a file, or several files.

    - `bundle`: its name (ATAC, ..., SPLICE_JUNCTIONS) where neither the folder nor the records tell it.
    - `positions`: for SPLICE_JUNCTIONS, the folder or file of SPLICE_SITE_POSITIONS.
    - `tracks`: a table (parquet, TSV, CSV) with a row for each slot: name, strand, and further columns; of one with the
      column output_type, the rows of this bundle. Slots called padding are left out. By default slots are numbered.
    - `offsets`: width of the band of contact maps, in bins.

    Targets that are shorter than their interval lie in its middle; positions of splice sites count from the interval's
    start. Bins that are not on the grid are shared out, contact maps move by at most half a bin. Masked tracks are NaN,
    as is what no record covers; where records overlap, the first in the order of files counts. The records of one
    chromosome at a time lie unpacked in a temporary file, and one of them in memory.
    """

    def __init__(
        self,
        path: Path | list[Path],
        *,
        bundle: str | None = None,
        positions: Path | None = None,
        tracks: Path | None = None,
        offsets: int = 512,
    ):
        self._files = Files(path)
        first = self._files.first()
        self.bundle = find_bundle(self._files, first, bundle)
        self.layout, self.resolution = self.bundle.layout, self.bundle.resolution
        if offsets < 1:
            raise InputError(f"offsets is {offsets}; expected at least 1")
        self.offsets = offsets if self.layout == "contacts" else None
        self._positions = None
        if self.layout == "junctions" and "splice_site_positions" not in first.features:
            if positions is None:
                raise InputError(f"{first.label}: counts need the positions of sites; set `positions` to their bundle")
            self._positions = Files(positions)
        values = first.tensor(self.bundle.values)
        self._check_shape(first, values)
        self._dtype, self._slots = values.dtype, values.shape[-1]
        # Junctions have a slot for each strand of a track; of classes, the last is "none of them".
        size = {"junctions": self._slots // 2, "classes": self._slots - 1}.get(self.layout, self._slots)
        table = number_slots(self.bundle, size, first) if tracks is None else read_slots(tracks, self.bundle, size)
        self._kept = np.flatnonzero(~is_padding(table))
        if not len(self._kept):
            raise InputError(f"table of tracks {tracks}: all slots of {self.bundle.name} are padding")
        self._table = table.isel(track=self._kept).assign_coords(track=np.arange(len(self._kept)))
        self._loaded: tuple[str, Layout] | None = None

    def tracks(self) -> xr.Dataset:
        return self._table

    def chromosomes(self) -> Mapping[str, int | None]:
        return dict.fromkeys(self._files.chromosomes())

    def facts(self) -> Mapping[str, Any]:
        """The bundle, and how its values are kept."""
        kept = {"dtype": str(self._dtype), "slots": self._slots}
        return {"bundle": self.bundle.name, "files": len(self._files.paths), **kept}

    def read(self, interval: Interval) -> Any:
        """As `AbstractSource.read` says of the layout."""
        if self._loaded is None or self._loaded[0] != interval.chromosome:
            self._loaded = None  # frees the disk before more is written
            self._loaded = interval.chromosome, self._load(interval.chromosome)
        return self._loaded[1].read(interval)

    def _load(self, chromosome: str) -> Layout:
        """The records of a chromosome."""
        if self.layout == "junctions":
            records = self._positions.records(chromosome) if self._positions else ()
            sites = {record.interval: record.tensor("splice_site_positions") for record in records}
            layout = Junctions(self._kept, sites)
        elif self.offsets:
            layout = Contacts(self.bundle, self._kept, self.offsets)
        else:
            kind = Classes if self.layout == "classes" else Signal
            layout = kind(self.bundle, self._kept, self._dtype)
        return fill(layout, self._files.records(chromosome), self._values)

    def _values(self, record: Record) -> Shaped[np.ndarray, "..."]:
        """The tensor of a record, which must be like that of the first."""
        values = record.tensor(self.bundle.values)
        self._check_shape(record, values)
        if values.shape[-1] != self._slots or values.dtype != self._dtype:
            raise InputError(
                f"{record.label} has {values.shape[-1]} slots of {values.dtype}, the first record {self._slots} of "
                f"{self._dtype}; one bundle has the same slots throughout"
            )
        return values

    def _check_shape(self, record: Record, values: Shaped[np.ndarray, "..."]) -> None:
        rank = 3 if self.layout in ("contacts", "junctions") else 2
        fits = values.ndim == rank and values.size > 0 and (rank == 2 or values.shape[0] == values.shape[1])
        fits &= self.layout != "classes" or (values.dtype == bool and values.shape[-1] == 5)
        if not fits:
            raise InputError(
                f"{record.label}: {self.bundle.values} is {values.dtype} of shape {values.shape}, which is not that of "
                f"{self.bundle.name}"
            )
