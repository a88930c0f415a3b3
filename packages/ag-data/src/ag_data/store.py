"""A store of measured tracks (zarr v3): `open_store` checks it, `TrackStore.read` gives any window of it.

    /                     attrs: schema, format, complete, organism, build, contigs {name: length, digest}
    /rna_seq              columns of the track table along `track`; statistics (contig, track); attrs: layout,
                          resolution, unit, ...
    /rna_seq/chr1         signal(position, track)
    /contact_maps/chr1    signal(position, offset, track), the upper band
    /splice_junctions/chr1   count(junction, track), with start, end, strand along `junction`

The tree opens with `xarray.open_datatree(path, engine="zarr", consolidated=False)` as well.
"""

import contextlib
import operator
import os
import pathlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import xarray as xr
import zarr
from ag_core.errors import InputError
from ag_core.genome import Interval
from jaxtyping import Int, Shaped

from ag_data.contigs import match_contig

SCHEMA, FORMAT = "ag-tracks", 1
LAYOUTS = ("signal", "usage", "classes", "contacts", "junctions")
# Along (contig, track), of the bins of a modality: sums, numbers of bins that are not zero and not measured, extremes.
STATISTICS = ("total", "nonzero", "missing", "largest", "smallest")
JUNCTION_COLUMNS = ("start", "end", "strand")


class TrackStore:
    """Measured tracks by modality and interval (0-based half-open). Threads may share it, and it can be pickled.

    Raises InputError when there is no store at `path`, or one that is not complete, damaged, or of a newer version.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = pathlib.Path(path)
        self.attrs = _check_root(self.path)
        self._groups: dict[str, zarr.Group] = {}
        self._about: dict[str, dict[str, Any]] = {}
        with _whole(self.path):
            self.organism = str(self.attrs["organism"])
            self.build = str(self.attrs["build"])
            # Length of each chromosome in bp.
            contigs = self.attrs["contigs"].items()
            self.chromosomes: dict[str, int] = {name: operator.index(entry["length"]) for name, entry in contigs}
            self._root = zarr.open_group(self.path, mode="r", zarr_format=3)
            for name in self.attrs["modalities"]:
                self._groups[name] = group = self._group(name)
                self._about[name] = _check_about(f"{self.path}/{name}", group.attrs.asdict())
        self.modalities: tuple[str, ...] = tuple(self._groups)
        self._arrays: dict[str, zarr.Array | None] = {}
        self._junctions: dict[str, xr.Dataset] = {}
        self._lock = threading.Lock()

    def __reduce__(self):
        return TrackStore, (self.path,)

    def __repr__(self) -> str:
        return f"TrackStore({str(self.path)!r}, {self.organism}, {', '.join(self.modalities) or 'empty'})"

    def attributes(self, modality: str) -> dict[str, Any]:
        """What holds for all tracks of a modality: layout, resolution, unit, dtype, left_edge, facts, ..."""
        return dict(self._modality(modality))

    def layout(self, modality: str) -> str:
        """One of `LAYOUTS`; see `ag_core.interfaces.AbstractSource`."""
        return self._modality(modality)["layout"]

    def resolution(self, modality: str) -> int:
        """Base pairs in a bin."""
        return self._modality(modality)["resolution"]

    def tracks(self, modality: str) -> xr.Dataset:
        """The track table, with all columns."""
        self._modality(modality)
        columns = {}
        with _whole(self.path / modality):
            for name, array in self._groups[modality].arrays():
                if array.metadata.dimension_names == ("track",):  # pyright: ignore[reportAttributeAccessIssue]
                    columns[name] = ("track", _text(np.asarray(array[:])))
        order = ["track", "name", "strand", *sorted(columns)]
        return xr.Dataset({key: columns[key] for key in dict.fromkeys(order)}).set_coords("track")

    def statistics(self, modality: str) -> xr.Dataset:
        """`STATISTICS` along (contig, track); what was counted while the tracks were written."""
        contigs = self._modality(modality)["contigs"]
        with _whole(self.path / modality):
            arrays = {name: (("contig", "track"), _column(self._groups[modality], name)) for name in STATISTICS}
            return xr.Dataset(arrays, coords={"contig": contigs})

    def has(self, modality: str, chromosome: str) -> bool:
        """Whether tracks of this modality were imported on a chromosome."""
        return self._find(modality, chromosome) is not None

    def dataset(self, modality: str, chromosome: str) -> xr.Dataset:
        """One chromosome, values read when they are used, with the track table's columns along `track`.

        Junctions have a `strand` of their own, which takes the place of the table's.
        """
        name = self._find(modality, chromosome)
        if name is None:
            raise InputError(
                f"{self.path} has no {modality} on {chromosome}; it has {', '.join(self._about[modality]['contigs'])}"
            )
        group = f"{modality}/{name}"
        with _whole(self.path / group):
            dataset = xr.open_zarr(self.path, group=group, consolidated=False, chunks=None, zarr_format=3)
        table = self.tracks(modality)
        dataset = dataset.set_coords([key for key in JUNCTION_COLUMNS if key in dataset])
        dataset = dataset.assign_coords({key: table[key] for key in table.variables if key not in dataset.variables})
        text = {key: (x.dims, _text(x.values)) for key, x in dataset.coords.items() if x.dtype.kind == "T"}
        keep = ("layout", "resolution", "unit", "left_edge")
        attrs = {key: value for key, value in self.attributes(modality).items() if key in keep}
        return dataset.assign_coords(text).assign_attrs(attrs, modality=modality, chromosome=name)

    def read(
        self, modality: str, interval: Interval, tracks: Sequence[int] | Int[np.ndarray, " _"] | None = None
    ) -> Any:
        """Values over an unstranded interval, as `AbstractSource.read` has them, but in the stored type.

        The interval may hang off the chromosome: what lies beyond its ends, or was not imported, is NaN (no class,
        no junction). Its start and width are multiples of the resolution. Junctions: introns wholly inside.
        Raises InputError for an unknown chromosome or modality, ValueError for an interval off the grid.
        """
        about = self._modality(modality)
        if match_contig(interval.chromosome, self.chromosomes) is None:
            known = ", ".join(list(self.chromosomes)[:5])
            raise InputError(f"{self.path} knows no chromosome {interval.chromosome!r}; it has {known}, ...")
        if about["layout"] == "junctions":
            return self._read_junctions(modality, interval, tracks)
        resolution = about["resolution"]
        if interval.start % resolution or interval.width % resolution:
            raise ValueError(f"{interval} is off the grid of {modality}, whose bins have {resolution} bp")
        first, last = interval.start // resolution, interval.end // resolution
        array = self._array(modality, interval.chromosome)
        if array is None:
            return self._nothing(modality, last - first, tracks)
        low, high = max(first, 0), min(last, array.shape[0])
        with _whole(self.path / modality / interval.chromosome):
            stored = np.asarray(array[low : max(low, high)])
        selected = _select(stored, tracks, about)
        if (low, high) == (first, last):
            return selected
        values = self._nothing(modality, last - first, tracks)
        if low < high:
            values[low - first : high - first] = selected
        return values

    def _nothing(self, modality: str, bins: int, tracks: Any) -> Shaped[np.ndarray, "position ... track"]:
        """What is there where nothing was measured."""
        about = self._about[modality]
        size = (about["tracks"] if tracks is None else len(tracks),)
        if about["layout"] == "classes":
            return np.zeros((bins, *size), bool)
        if about["layout"] == "contacts":
            size = (about["offsets"], *size)
        return np.full((bins, *size), np.nan, about["dtype"])

    def _read_junctions(self, modality: str, interval: Interval, tracks: Any) -> xr.Dataset:
        whole = self._whole_junctions(modality, interval.chromosome)
        # Sorted by start; the end decides for those near the interval's end.
        low, high = np.searchsorted(whole["start"].values, (interval.start, interval.end))
        part = whole.isel(junction=slice(int(low), int(high)))
        part = part.isel(junction=part["end"].values <= interval.end)
        return part if tracks is None else part.isel(track=np.asarray(tracks))

    def _whole_junctions(self, modality: str, chromosome: str) -> xr.Dataset:
        """All junctions of a chromosome, kept in memory: they are few."""
        name = self._find(modality, chromosome)
        key = f"{modality}/{name}"
        if key not in self._junctions:
            if name is None:
                tracks = self._about[modality]["tracks"]
                columns = {k: np.zeros(0, object if k == "strand" else np.int64) for k in JUNCTION_COLUMNS}
                count = np.zeros((0, tracks), np.float32)
            else:
                group = self._group(key)
                columns = {k: _column(group, k) for k in JUNCTION_COLUMNS}
                count = _column(group, "count")
            coords = {k: ("junction", column) for k, column in columns.items()}
            self._junctions[key] = xr.Dataset({"count": (("junction", "track"), count)}, coords=coords)
        return self._junctions[key]

    def _array(self, modality: str, chromosome: str) -> zarr.Array | None:
        key = f"{modality}/{chromosome}"
        if key not in self._arrays:
            with self._lock:
                name = self._find(modality, chromosome)
                with _whole(self.path / modality / str(name)):
                    array = None if name is None else self._group(f"{modality}/{name}")["signal"]
                wanted = self._nothing(modality, 0, None).shape[1:]
                if array is not None and not (isinstance(array, zarr.Array) and array.shape[1:] == wanted):
                    raise InputError(
                        f"{self.path}/{key} has no signal of {wanted} values a bin; the store is damaged, import again"
                    )
                self._arrays[key] = cast(zarr.Array | None, array)
        return self._arrays[key]

    def _modality(self, modality: str) -> dict[str, Any]:
        if modality not in self._about:
            raise InputError(f"{self.path} has no {modality!r}; it has {', '.join(self.modalities) or 'nothing'}")
        return self._about[modality]

    def _group(self, name: str) -> zarr.Group:
        with _whole(self.path / name):
            return zarr.open_group(self.path, path=name, mode="r", zarr_format=3)  # codecs of format 2 may run code

    def _find(self, modality: str, chromosome: str) -> str | None:
        return match_contig(chromosome, self._modality(modality)["contigs"])


def open_store(path: str | os.PathLike[str]) -> TrackStore:
    """The store at `path`; see `TrackStore`."""
    return TrackStore(path)


def work_folder(path: pathlib.Path) -> pathlib.Path:
    """Where what is new lies until it is whole."""
    return path.with_name(f"{path.name}.partial")


def _check_root(path: pathlib.Path) -> dict[str, Any]:
    if not (path / "zarr.json").is_file():
        hint = "expected a folder made by `agenome tracks import`"
        if work_folder(path).exists():
            hint = f"an import was interrupted ({work_folder(path)} is there): run the same command again to finish it"
        raise InputError(f"{path} is no track store; {hint}")
    try:
        attrs: dict[str, Any] = zarr.open_group(path, mode="r", zarr_format=3).attrs.asdict()
    except Exception as error:  # whatever json or zarr dislike
        raise InputError(f"{path} is damaged: {path / 'zarr.json'} is not readable ({error}); import again") from error
    if attrs.get("schema") != SCHEMA:
        raise InputError(f"{path} is a zarr store, but not one of tracks; open it with xarray.open_datatree")
    if not isinstance(attrs.get("format"), int) or attrs["format"] > FORMAT:
        raise InputError(f"{path} has format {attrs.get('format')}, this ag-data reads up to {FORMAT}: upgrade ag-data")
    if attrs.get("complete") is not True:
        raise InputError(f"{path} is being changed, or the import was interrupted: run the same import again")
    return attrs


@contextlib.contextmanager
def _whole(path: pathlib.Path) -> Iterator[None]:
    """Says that a store is damaged, whatever json, zarr or a codec raise for it."""
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{path} holds more than fits into memory; read less at a time") from error
    except Exception as error:
        raise InputError(f"{path} is missing or damaged ({type(error).__name__}: {error}); import again") from error


def _check_about(place: str, about: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a modality, with what reading needs. Raises InputError."""
    if about.get("layout") not in LAYOUTS:
        raise InputError(f"{place} has no layout that is known; the store is damaged, import again")
    for key, least in (("resolution", 1), ("tracks", 0), *((("offsets", 1),) if about["layout"] == "contacts" else ())):
        if type(about.get(key)) is not int or not least <= about[key] < 1 << 40:
            raise InputError(f"{place} has {key} {about.get(key)!r}; the store is damaged, import again")
    if not isinstance(about.get("contigs"), list) or not all(isinstance(name, str) for name in about["contigs"]):
        raise InputError(f"{place} has contigs {about.get('contigs')!r}; the store is damaged, import again")
    np.dtype(about["dtype"])
    return about


def _select(values: np.ndarray, tracks: Any, about: dict[str, Any]) -> np.ndarray:
    if about["layout"] == "classes":
        values = values.astype(bool)
    return values if tracks is None else values[..., np.asarray(tracks)]


def _text(column: np.ndarray) -> np.ndarray:
    return column.astype(object) if column.dtype.kind == "T" else column


def _column(group: zarr.Group, name: str) -> np.ndarray:
    return _text(np.asarray(cast(zarr.Array, group[name])[:]))
