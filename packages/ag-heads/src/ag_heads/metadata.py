"""Track metadata of the published model: what each output slot measures. Source: spec/scoring.md section 4.

One compact parquet file, made from the specification's tables by `python -m ag_heads.metadata HUMAN MOUSE`. Needed to
load the published weights, whose slots and track means it describes; models trained here carry their own tables.
"""

import functools
import pathlib
import sys

import numpy as np
import pandas as pd
import xarray as xr
from ag_core.schema import PADDING, track_table

TABLE = pathlib.Path(__file__).parent / "data" / "official_tracks.parquet"
ORGANISMS = {"human": "HOMO_SAPIENS", "mouse": "MUS_MUSCULUS"}


@functools.cache
def _table() -> pd.DataFrame:
    return pd.read_parquet(TABLE)


def official_tracks(modality: str, organism: str = "human") -> xr.Dataset:
    """Track table of a modality ("rna_seq") in slot order, padding included.

    Raises LookupError for an unknown modality or organism.
    """
    table = _table()
    rows = table.loc[(table["modality"] == modality) & (table["organism"] == organism)].sort_values("slot")
    if rows.empty:
        known = sorted(set(zip(table["modality"].astype(str), table["organism"].astype(str), strict=True)))
        raise LookupError(f"no tracks of {modality!r} for {organism!r}; there are {known}")
    columns = rows.drop(columns=["modality", "organism", "slot"])
    real = columns["name"].astype(str).str.lower() != PADDING
    filled = [name for name in columns if columns.loc[real, name].notna().any() or name in ("name", "strand")]

    def plain(column: pd.Series) -> np.ndarray:
        if column.dtype.kind == "f":
            return column.to_numpy(float)
        return column.astype(object).where(column.notna(), "").to_numpy(object)

    return track_table({name: plain(columns.loc[:, name]) for name in filled})


def compact(sources: dict[str, pathlib.Path], target: pathlib.Path = TABLE) -> None:
    """Joins the specification's tables, drops what follows from the rest, and compresses."""
    parts = []
    for organism, path in sources.items():
        part = pd.read_parquet(path).assign(organism=organism)
        parts.append(part.drop(columns=["resolution", "is_padding", "partner_index"], errors="ignore"))
    table = pd.concat(parts, ignore_index=True)
    table = table.rename(columns={"output_type": "modality", "index": "slot", "Assay title": "assay"})
    table["modality"] = table["modality"].str.lower()
    table["slot"] = table["slot"].astype(np.int16)
    for name in table.columns.difference(["slot", "nonzero_mean", "name"]):
        table[name] = table[name].astype("category")
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(target, index=False, compression="zstd", compression_level=19)


if __name__ == "__main__":
    compact(dict(zip(ORGANISMS, map(pathlib.Path, sys.argv[1:3]), strict=True)))
