"""One modality on its way from its sources to the work folder of a store."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import xarray as xr
from ag_core.genome import Interval
from ag_core.schema import strand_partners

from ag_data.assays import assay
from ag_data.export.tree import as_coordinates
from ag_data.manifest import Modality
from ag_data.parts import Part, form_of, join_tables
from ag_data.store import JUNCTION_COLUMNS, STATISTICS
from ag_data.store_writer import StoreWriter, as_stored, blocks, count, count_nothing

_PIECE = 1 << 20  # positions asked of a source at a time
_WINDOW = 1 << 17  # bp in a chunk at most: a common length of windows

# (what is being done, base pairs done, base pairs in all)
Progress = Callable[[str, int, int], None]


class ModalityJob:
    """Writes all `parts` of a modality; `old` are the attributes of those that are stored already.

    `settings` are the manifest's for the modality.
    """

    def __init__(
        self,
        writer: StoreWriter,
        modality: str,
        parts: list[Part],
        chromosomes: Mapping[str, int],
        settings: Modality | None,
        old: Mapping[str, Any],
        pool: ThreadPoolExecutor,
        progress: Progress | None,
    ):
        self.writer, self.modality, self.parts, self.pool = writer, modality, parts, pool
        self.chromosomes = chromosomes
        self.progress = progress or (lambda what, done, total: None)
        self.layout, self.resolution, self.offsets = form_of(parts[0].source)
        self.table = join_tables(part.table for part in parts)
        self.attrs = self._attributes(settings, old)

    def _attributes(self, settings: Modality | None, old: Mapping[str, Any]) -> dict[str, Any]:
        usual = assay(self.modality, self.resolution)
        fixed = {"classes": "uint8", "junctions": "float32"}
        chosen = settings.model_dump(exclude_none=True) if settings else {}
        given = {key: old[key] for key in ("dtype", "unit", "left_edge") if key in old} | chosen
        return {
            "modality": self.modality,
            "layout": self.layout,
            "resolution": self.resolution,
            "unit": given.get("unit", usual.unit),
            "dtype": fixed.get(self.layout, given.get("dtype", usual.dtype)),
            "left_edge": given.get("left_edge", usual.left_edge),
            **({"offsets": self.offsets} if self.offsets else {}),
            "tracks": self.table.sizes["track"],
            "contigs": list(self.chromosomes),
            "facts": {**old.get("facts", {}), **{part.label: dict(part.source.facts()) for part in self.parts}},
        }

    def run(self) -> None:
        """Writes what an interrupted run has not, then the table."""
        self.writer.begin(self.modality, self.attrs)
        done, total = 0, sum(self.chromosomes.values())
        rows = []
        for chromosome, length in self.chromosomes.items():
            self.progress(self.modality, done, total)
            if self.layout == "junctions":
                rows.append(self._junctions(chromosome, length))
            else:
                rows.append(self._blocks(chromosome, length, done, total))
            done += length
        self.progress(self.modality, done, total)
        arrays = {key: (("contig", "track"), np.stack([row[key] for row in rows])) for key in STATISTICS}
        statistics = xr.Dataset(arrays, coords={"contig": list(self.chromosomes)})
        table = self._with_means(statistics) if self.layout == "signal" else self.table
        self.writer.finish(self.modality, as_coordinates(table), statistics)

    def _blocks(self, chromosome: str, length: int, done: int, total: int) -> dict[str, np.ndarray]:
        name = f"{self.modality}/{chromosome}/signal"
        tracks = self.table.sizes["track"]
        band = (self.offsets,) if self.layout == "contacts" else ()
        shape = (-(-length // self.resolution), *band, tracks)
        dims = ("position", "offset", "track") if band else ("position", "track")
        fresh = (name, 0) not in self.writer.statistics
        most = max(1, _WINDOW // self.resolution)
        array = self.writer.array(name, shape, dims, self.attrs["dtype"], fresh, most)
        step, collected = max(1, _PIECE // self.resolution), []
        measured = self._windows(chromosome)
        for number, first, last in blocks(array):
            if (name, number) not in self.writer.statistics:
                values = None
                for low in range(first, last, step):
                    high = min(low + step, last)
                    interval = Interval(chromosome, low * self.resolution, min(high * self.resolution, length))
                    if not any(start < interval.end and interval.start < end for start, end in measured):
                        continue
                    if values is None:
                        values = np.full((last - first, *shape[1:]), array.fill_value, self.attrs["dtype"])
                    values[low - first : high - first] = self._read(interval, (high - low, *band))
                    self.progress(f"{self.modality} {chromosome}", done + interval.end, total)
                if values is None:  # nothing to write: the array reads as not measured there
                    counted = count_nothing((last - first) * (self.offsets or 1), tracks)
                else:
                    array[first:last] = values
                    counted = count(values)
                self.writer.close_block(name, number, counted, array)
            collected.append(self.writer.statistics[name, number])
        return _merge(collected)

    def _windows(self, chromosome: str) -> list[tuple[int, int]]:
        """Stretches where some part may have something."""
        every = [part.windows(chromosome) for part in self.parts]
        if any(windows is None for windows in every):
            return [(0, self.chromosomes[chromosome])]
        return [window for windows in every for window in windows or ()]

    def _read(self, interval: Interval, shape: tuple[int, ...]) -> np.ndarray:
        def one(part: Part) -> np.ndarray:
            values = part.read(interval)
            if values is None:
                filler = 0 if part.absent == "zero" or self.layout == "classes" else np.nan
                values = np.full((*shape, _size(part)), filler, np.float32)
            return as_stored(values, self.attrs["dtype"], f"{part.label}, {interval.region}")

        return np.concatenate(list(self.pool.map(one, self.parts)), axis=-1)

    def _junctions(self, chromosome: str, length: int) -> dict[str, np.ndarray]:
        """The union of the introns of all parts; an intron that a part does not have counts 0 there."""
        name = f"{self.modality}/{chromosome}"
        if (f"{name}/count", 0) in self.writer.statistics:
            return _merge([self.writer.statistics[f"{name}/count", 0]])
        interval = Interval(chromosome, 0, length)
        tables = [part.read(interval) for part in self.parts]
        keys = sorted({key for table in tables if table is not None for key in _introns(table)})
        rows = {key: row for row, key in enumerate(keys)}
        counts = np.zeros((len(keys), self.table.sizes["track"]), np.float32)
        column = 0
        for part, table in zip(self.parts, tables, strict=True):
            if table is None and part.absent != "zero":
                counts[:, column : column + _size(part)] = np.nan
            elif table is not None and table.sizes["junction"]:
                counts[[rows[key] for key in _introns(table)], column : column + _size(part)] = table["count"].values
            column += _size(part)
        array = self.writer.array(f"{name}/count", counts.shape, ("junction", "track"), "float32", fresh=True)
        if len(keys):
            array[:] = counts
        starts, ends, strands = zip(*keys, strict=True) if keys else ((), (), ())
        columns = {
            "start": np.array(starts, np.int64),
            "end": np.array(ends, np.int64),
            "strand": np.array(strands, "U1"),
        }
        self.writer.columns(name, {key: columns[key] for key in JUNCTION_COLUMNS}, "junction")
        self.writer.close_block(f"{name}/count", 0, count(counts), array)
        return _merge([self.writer.statistics[f"{name}/count", 0]])

    def _with_means(self, statistics: xr.Dataset) -> xr.Dataset:
        """The table with `nonzero_mean` where the manifest has none: the mean over bins that are not zero, per base.

        Both strands of an experiment share theirs (spec/model.md 6.5); a track without signal gets 1.
        """
        total, nonzero = (statistics[key].sum("contig").values for key in ("total", "nonzero"))
        means = np.where(nonzero > 0, total / np.maximum(nonzero, 1) / self.resolution, 1.0)
        means = (means + means[strand_partners(self.table)]) / 2
        if "nonzero_mean" in self.table:
            given = self.table["nonzero_mean"].values.astype(float)
            means = np.where(np.isnan(given), means, given)
        return self.table.assign(nonzero_mean=("track", means))


def _introns(table: xr.Dataset) -> list[tuple[int, int, str]]:
    return list(zip(*(table[key].values.tolist() for key in JUNCTION_COLUMNS), strict=True))


def _merge(entries: Iterable[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Statistics of a chromosome from those of its blocks."""
    entries = list(entries)
    columns = {key: np.array([entry[key] for entry in entries], np.float64) for key in STATISTICS}
    return {
        key: values.max(axis=0) if key == "largest" else values.min(axis=0) if key == "smallest" else values.sum(axis=0)
        for key, values in columns.items()
    }


def _size(part: Part) -> int:
    return part.table.sizes["track"]
