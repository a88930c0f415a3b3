"""Tracks of a store in the formats of other tools, judged by the suffix.

| output | holds |
| --- | --- |
| `.bw`, `.bigwig` | one track |
| a name without suffix | a folder with a bigWig for each track, and a manifest that imports them again |
| `.bedpe`, `.bedpe.gz` | splice junctions of one modality |
| `.cool`, `.mcool` | contact maps of one modality |

Blocks of the store are read one after another, so memory does not grow with chromosomes or tracks.
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from jaxtyping import Float, Int

from ag_data.contigs import match_contig
from ag_data.query import select_in
from ag_data.store import TrackStore

LAYOUTS = {
    ".bw": ("signal", "usage", "classes"),
    ".bigwig": ("signal", "usage", "classes"),
    ".bedpe": ("junctions",),
    ".bedpe.gz": ("junctions",),
    ".cool": ("contacts",),
    ".mcool": ("contacts",),
    "": ("signal", "usage", "classes"),
}
_BYTES = 1 << 26  # values read at a time


@dataclasses.dataclass(frozen=True)
class Chosen:
    """What is written of a modality: some tracks on some chromosomes."""

    store: TrackStore
    modality: str
    rows: Int[np.ndarray, " track"]
    chromosomes: list[str]

    @property
    def table(self) -> xr.Dataset:
        """The chosen rows of the track table."""
        return self.store.tracks(self.modality).isel(track=self.rows)

    def blocks(
        self, chromosome: str, rows: Int[np.ndarray, " _"] | None = None
    ) -> Iterator[tuple[int, Float[np.ndarray, "position ... track"]]]:
        """(first bin, float32 values) of neighbouring blocks of a chromosome; of all chosen tracks, or of `rows`."""
        about, rows = self.store.attributes(self.modality), self.rows if rows is None else rows
        resolution = about["resolution"]
        bins = -(-self.store.chromosomes[chromosome] // resolution)
        # All tracks are in each chunk, whose length is a power of two, too.
        width = 4 * about["tracks"] * about.get("offsets", 1)
        step = 1 << max(0, (_BYTES // width).bit_length() - 1)
        for first in range(0, bins, step):
            interval = Interval(chromosome, first * resolution, min(first + step, bins) * resolution)
            yield first, np.asarray(self.store.read(self.modality, interval, rows), np.float32)


def export_store(
    store: TrackStore,
    path: str | os.PathLike[str],
    *,
    modality: str | None = None,
    tracks: str = "",
    chromosomes: Sequence[str] | None = None,
    force: bool = False,
) -> list[str]:
    """Writes tracks of a store, whole or not at all, and returns the files (cooler: URIs).

    - `modality`: by default all that the format can hold; `tracks`: a query, see `ag_data.query`;
      `chromosomes`: by default all that were imported.
    - bigWig has the value of a base: the bin's value by the number of its bases. BEDPE and cooler have values as
      they are stored. What was not measured is left out; see `ag_data.export.store_bigwig` for zeros.

    Raises InputError for an unknown suffix, a modality, track or chromosome that is not there or does not go into the
    format, several where it can hold one, and a file that exists (unless `force`).
    """
    path = pathlib.Path(path)
    suffix = _suffix(path)
    _check_place(path, force)
    chosen = _choose(store, path, LAYOUTS[suffix], modality, tracks, chromosomes)
    if suffix in ("", ".bw", ".bigwig"):
        from ag_data.export.store_bigwig import write_store_bigwigs

        return [str(file) for file in write_store_bigwigs(chosen, path)]
    if len(chosen) > 1:
        names = ", ".join(one.modality for one in chosen)
        raise InputError(f"{path} can hold one modality, but {names} fit; choose one (--modality)")
    if LAYOUTS[suffix] == ("junctions",):
        from ag_data.export.junctions import write_bedpe

        return [str(write_bedpe(_junction_tree(chosen[0]), path))]
    from ag_data.export.store_maps import write_store_maps

    return write_store_maps(chosen[0], path)


def _suffix(path: pathlib.Path) -> str:
    name = path.name.lower()
    for suffix in LAYOUTS:
        if suffix and name.endswith(suffix):
            return suffix
    if not path.suffix:
        return ""
    known = ", ".join(suffix for suffix in LAYOUTS if suffix)
    raise InputError(f"{path}: cannot tell the format; use one of {known}, or no suffix for a folder of bigWigs")


def _check_place(path: pathlib.Path, force: bool) -> None:
    if path.exists() and not force:
        raise InputError(f"{path} exists; choose another name, or replace it with --force")
    if path.is_dir() and _suffix(path):
        raise InputError(f"{path} is a folder: it will not be replaced by a file; choose another name")
    parent = next(parent for parent in path.absolute().parents if parent.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise InputError(f"cannot write {path}: {parent} is not a folder that can be written to")


def _choose(
    store: TrackStore,
    path: pathlib.Path,
    layouts: tuple[str, ...],
    modality: str | None,
    tracks: str,
    chromosomes: Sequence[str] | None,
) -> list[Chosen]:
    kinds = {name: store.layout(name) for name in (store.modalities if modality is None else [modality])}
    fitting = [name for name, layout in kinds.items() if layout in layouts]
    if not fitting:
        have = ", ".join(f"{name} ({layout})" for name, layout in kinds.items()) or "nothing"
        raise InputError(f"{path} holds {' or '.join(layouts)}, but the store has {have}; use another suffix")
    rows = choose_rows(store, fitting, tracks)
    return [Chosen(store, name, own, _chromosomes(store, name, chromosomes)) for name, own in rows.items()]


def choose_rows(store: TrackStore, modalities: Iterable[str], query: str) -> dict[str, Int[np.ndarray, " track"]]:
    """Rows of each modality's track table that fit a query, without modalities that have none.

    Raises InputError for a query that is wrong, and when nothing fits.
    """
    return select_in({name: store.tracks(name) for name in modalities}, query, "see `agenome tracks info`")


def _chromosomes(store: TrackStore, modality: str, wanted: Sequence[str] | None) -> list[str]:
    """Names of the store's, in its order. Raises InputError for one on which the modality was not imported."""
    imported: list[str] = store.attributes(modality)["contigs"]
    found = {name: match_contig(name, imported) for name in (imported if wanted is None else wanted)}
    lost = [name for name, match in found.items() if match is None]
    if lost or not found:
        raise InputError(
            f"{store.path} has no {modality} on {', '.join(lost) or '(none)'}; it has {', '.join(imported)}"
        )
    return [name for name in imported if name in found.values()]


def _junction_tree(chosen: Chosen) -> xr.DataTree:
    """As predictions are (`ag_data.export.tree`): a leaf for each chromosome."""
    store, datasets = chosen.store, {}
    for name in chosen.chromosomes:
        whole = Interval(name, 0, store.chromosomes[name])
        dataset = store.read(chosen.modality, whole, chosen.rows)
        attrs = {"interval": str(whole), "region": str(whole), "resolution": 1}
        dataset = dataset.assign_coords({"name": ("track", chosen.table["name"].values)})
        datasets[f"{chosen.modality}/{name}"] = dataset.assign_attrs(attrs)
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs={"chromosomes": store.chromosomes}), **datasets})
