"""Comparisons as tables, and tables of scores back from files."""

import pathlib

import numpy as np
import pandas as pd
import xarray as xr
from ag_core.errors import InputError
from ag_data.cache import replacing

SUFFIXES = (".parquet", ".tsv", ".tsv.gz")


def comparison_table(tree: xr.DataTree) -> pd.DataFrame:
    """A row for each variant or control, scorer, item and track: score, deviation, beyond (see `compare`)."""
    parts = []
    for key, node in tree.children.items():
        child = node.to_dataset()
        items, tracks = child.sizes["item"], child.sizes["track"]
        columns = {"variant": np.repeat(child["variant"].values, tracks)}
        columns["control"] = np.repeat(child["control"].values, tracks)
        columns["scorer"] = np.full(items * tracks, key, object)
        for name in ("gene", "gene_name"):
            there = child[name].values if name in child.coords else np.full(items, "", object)
            columns[name] = np.repeat(there, tracks)
        for name in ("name", "strand", "biosample_name"):
            if name in child.coords:
                columns["track" if name == "name" else name] = np.tile(child[name].values, items)
        for name in ("score", "deviation", "beyond"):
            columns[name] = child[name].values.ravel()
        table = pd.DataFrame(columns)
        parts.append(table[table["score"].notna()])
    return pd.concat(parts, ignore_index=True)


def write_comparison(table: pd.DataFrame, path: pathlib.Path) -> None:
    """Writes a table; the suffix tells the format. Raises InputError for another suffix."""
    if not path.name.endswith(SUFFIXES):
        raise InputError(f"cannot write {path}: expected a name that ends in {', '.join(SUFFIXES)}")
    with replacing(path) as (scratch,):
        if path.suffix == ".parquet":
            table.to_parquet(scratch, index=False)
        else:
            table.to_csv(scratch, sep="\t", index=False)


def read_scores(path: pathlib.Path) -> pd.DataFrame:
    """The columns of a table of scores that `mechanisms` reads. Raises InputError when it is no such file."""
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path, columns=["variant", "output", "tail"])
        return pd.read_csv(path, sep="\t", usecols=["variant", "output", "tail"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path} cannot be read as scores with tails ({error}); make it with `agenome score -o scores.parquet` and "
            "a calibration"
        ) from error
