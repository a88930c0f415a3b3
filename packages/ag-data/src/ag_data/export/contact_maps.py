"""cooler: contact maps as other Hi-C tools read them, one track for each cooler.

A .cool file with one track is a plain cooler; with several, it holds one under `NAME.cool::/<track>` each (`cooler ls`
lists them). A .mcool file has one track at `/resolutions/<bp>`. Values (log ratio of observed to expected contacts,
so they may be negative) are in the column `count`, float32, upper triangle.

Bins cover the chromosome. Predictions usually lie on the grid of whole bins from the chromosome's start, and the bins
are of one size; for a window off the grid, the stretches before and after it are one bin each.
"""

import pathlib
from collections.abc import Iterable, Mapping

import cooler
import numpy as np
import pandas as pd
import xarray as xr
from ag_core.errors import InputError

from ag_data.cache import replacing
from ag_data.export.tree import (
    chromosomes_of,
    file_name,
    interval_of,
    on_the_genome,
    refuse_overlaps,
    track_labels,
    values_of,
)

SUFFIXES = (".cool", ".mcool")


def check_cooler(tree: xr.DataTree, path: pathlib.Path) -> list[tuple[str, str, xr.Dataset]]:
    """The leaves that go into the file; reads no values.

    Raises InputError when there are none, for overlapping regions, both alleles, and a .mcool with several tracks.
    """
    leaves = on_the_genome(tree, ("position", "position_2", "track"), "cooler")
    if any(dataset.attrs.get("allele") for _, _, dataset in leaves):
        raise InputError(f"{path}: a cooler holds one allele; write .zarr")
    refuse_overlaps(leaves, "interval", "cooler")
    count = leaves[0][2].sizes["track"]
    if path.suffix == ".mcool" and count > 1:
        raise InputError(f"{path} can hold one track, but there are {count}; write .cool or choose one (--tracks)")
    return leaves


def write_cooler(tree: xr.DataTree, path: pathlib.Path) -> list[str]:
    """Writes the contact maps of a tree (`ag_data.export.tree`), complete or not at all; returns cooler URIs.

    Raises InputError as `check_cooler` does.
    """
    leaves = check_cooler(tree, path)
    resolution, labels = leaves[0][2].attrs["resolution"], track_labels(leaves[0][2])
    groups = map_groups(path, labels, resolution)
    bins = _bins(leaves, chromosomes_of(tree), resolution)
    with replacing(path) as (scratch,):
        for track, group in enumerate(groups):
            pixels = pd.concat([_pixels(dataset, bins, track) for _, _, dataset in leaves], ignore_index=True)
            metadata = {"track": labels[track], **{str(key): str(value) for key, value in tree.attrs.items()}}
            write_map(f"{scratch}::{group}", bins, pixels, metadata, append=track > 0)
    return [map_uri(path, group) for group in groups]


def map_groups(path: pathlib.Path, labels: list[str], resolution: int) -> list[str]:
    """Where in the file the map of each track lies."""
    if path.suffix == ".mcool":
        return [f"resolutions/{resolution}"]
    if len(labels) == 1:
        return ["/"]
    names = [file_name(label) for label in labels]
    return [name if names.count(name) == 1 else f"{name}.{i}" for i, name in enumerate(names)]


def map_uri(path: pathlib.Path, group: str) -> str:
    """What cooler calls a map."""
    return str(path) if group == "/" else f"{path}::/{group}"


def write_map(
    uri: str,
    bins: pd.DataFrame,
    pixels: pd.DataFrame | Iterable[pd.DataFrame],
    metadata: Mapping[str, str],
    *,
    append: bool,
    assembly: str | None = None,
) -> None:
    """One cooler of pixels (upper triangle) that are sorted by their bins."""
    cooler.create_cooler(
        uri,
        bins,
        pixels,
        columns=["count"],
        dtypes={"count": np.float32},
        symmetric_upper=True,
        ordered=True,
        metadata=dict(metadata),
        assembly=assembly,
        mode="a" if append else "w",
    )


def _bins(leaves: list[tuple[str, str, xr.Dataset]], lengths: dict[str, int], resolution: int) -> pd.DataFrame:
    """Bins of all chromosomes that have a map."""
    tables = []
    for chromosome in sorted({interval_of(dataset).chromosome for _, _, dataset in leaves}):
        length = lengths[chromosome]
        intervals = [interval_of(dataset) for _, _, dataset in leaves]
        starts = [interval.start for interval in intervals if interval.chromosome == chromosome]
        if all(start % resolution == 0 for start in starts):
            edges = np.arange(0, length, resolution)
        else:
            inside = [
                np.arange(interval.start, interval.end + 1, resolution)
                for interval in intervals
                if interval.chromosome == chromosome
            ]
            edges = np.unique(np.concatenate([[0], *inside]))
        edges = np.append(edges[(edges >= 0) & (edges < length)], length)
        tables.append(pd.DataFrame({"chrom": chromosome, "start": edges[:-1], "end": edges[1:]}))
    return pd.concat(tables, ignore_index=True)


def _pixels(dataset: xr.Dataset, bins: pd.DataFrame, track: int) -> pd.DataFrame:
    """The upper triangle of one track; bins off the chromosome are left out."""
    interval, resolution = interval_of(dataset), dataset.attrs["resolution"]
    values = values_of(dataset)[:, :, track].values.astype(np.float32)
    here = (bins["chrom"] == interval.chromosome).to_numpy()
    first, edges = int(np.argmax(here)), bins["start"].to_numpy()[here]
    starts = interval.start + resolution * np.arange(len(values))
    kept = np.flatnonzero((starts >= 0) & (starts < bins["end"].to_numpy()[here].max()))
    number = np.searchsorted(edges, starts[kept]) + first
    row, column = np.triu_indices(len(kept))
    count = values[kept[row], kept[column]]
    known = np.isfinite(count)
    return pd.DataFrame({"bin1_id": number[row][known], "bin2_id": number[column][known], "count": count[known]})
