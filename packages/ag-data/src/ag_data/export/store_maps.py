"""Contact maps of a store as coolers, as they are stored: column `count`, float32, upper triangle within the band.

Pairs that were not measured, and those farther apart than the band reaches, have no pixel; zeros have one.
"""

import pathlib
from collections.abc import Iterator

import numpy as np
import pandas as pd
from ag_core.errors import InputError

from ag_data.cache import replacing
from ag_data.export.contact_maps import map_groups, map_uri, write_map
from ag_data.export.store_tracks import Chosen
from ag_data.export.tree import track_labels

_PIXELS = 1 << 19  # at a time


def write_store_maps(chosen: Chosen, path: pathlib.Path) -> list[str]:
    """Writes maps block by block and returns cooler URIs. Raises InputError for a .mcool of several tracks."""
    store, labels = chosen.store, track_labels(chosen.table)
    if path.suffix == ".mcool" and len(labels) > 1:
        raise InputError(
            f"{path} can hold one track, but there are {len(labels)}; write .cool or choose one (--tracks)"
        )
    resolution = store.resolution(chosen.modality)
    groups = map_groups(path, labels, resolution)
    about = {"organism": store.organism, "build": store.build, "modality": chosen.modality}
    about["unit"] = str(store.attributes(chosen.modality)["unit"])
    bins = _bins(chosen, resolution)
    with replacing(path) as (scratch,):
        for number, (group, row) in enumerate(zip(groups, chosen.rows.tolist(), strict=True)):
            metadata = {"track": labels[number], **about}
            pixels = _pixels(chosen, row)
            write_map(f"{scratch}::{group}", bins, pixels, metadata, append=number > 0, assembly=store.build or None)
    return [map_uri(path, group) for group in groups]


def _bins(chosen: Chosen, resolution: int) -> pd.DataFrame:
    tables = []
    for name in chosen.chromosomes:
        starts = np.arange(0, chosen.store.chromosomes[name], resolution)
        ends = np.minimum(starts + resolution, chosen.store.chromosomes[name])
        tables.append(pd.DataFrame({"chrom": name, "start": starts, "end": ends}))
    return pd.concat(tables, ignore_index=True)


def _pixels(chosen: Chosen, row: int) -> Iterator[pd.DataFrame]:
    """Pixels of one track, sorted by their bins, a table for each block."""
    resolution = chosen.store.resolution(chosen.modality)
    before = 0  # bins of earlier chromosomes
    for name in chosen.chromosomes:
        bins = -(-chosen.store.chromosomes[name] // resolution)
        for first, block in chosen.blocks(name, np.array([row])):
            # A pixel takes many times the room of its value.
            step = max(1, _PIXELS // block.shape[1])
            for skip in range(0, len(block), step):
                values = block[skip : skip + step, :, 0]
                position, offset = np.nonzero(np.isfinite(values))
                bin_ = first + skip + position
                inside = bin_ + offset < bins
                bin_, offset, value = bin_[inside], offset[inside], values[position[inside], offset[inside]]
                yield pd.DataFrame({"bin1_id": before + bin_, "bin2_id": before + bin_ + offset, "count": value})
        before += bins
