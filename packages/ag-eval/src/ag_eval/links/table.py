"""A table of pairs of an element and a gene, read and checked, and what can be said of them without a model."""

import os
import pathlib
from typing import Any

import numpy as np
import pandas as pd
from ag_core.errors import InputError
from jaxtyping import Float

from ag_eval.links.settings import LinkManifest
from ag_eval.table_files import open_table

# Below this distance contact does not grow any more, as in the ABC model's power law.
NEAREST = 5_000


def read_links(path: str | os.PathLike[str], manifest: LinkManifest) -> Any:
    """Its columns by what they mean, with `target` as 0 and 1, `distance` in bp from the element's middle to the TSS.

    Raises InputError that names file, column or row and what to do.
    """
    path = pathlib.Path(path)
    named = manifest.columns | {f"peer {name}": column for name, column in manifest.peers.items()}
    named |= {f"feature {name}": column for name, column in manifest.features.items()}
    named |= {f"activity {number}": column for number, column in enumerate(manifest.activity)}
    named |= {"contact": manifest.contact} if manifest.contact else {}
    given = open_table(path, manifest)
    if missing := sorted({column for column in named.values() if column not in given}):
        raise InputError(
            f"{path} has no column {', '.join(missing)}; it has {', '.join(map(str, given.columns[:12]))}. Expected is "
            f"{manifest.source}"
        )
    table: Any = pd.DataFrame({role: given[column] for role, column in named.items()})
    if "used" in table:
        table = table.loc[table["used"].astype(str).str.lower().isin(["true", "1", "1.0"])]
    table = table.reset_index(drop=True)
    if not len(table):
        raise InputError(f"{path} has no row that is used; give a table with pairs")
    for role in ("chromosome", "start", "end", "tss", "gene"):
        if (gap := table[role].isna()).any():
            raise InputError(f"{path}: {int(gap.sum())} rows lack {role}, first row {int(gap.idxmax()) + 1}")
    for role in ("start", "end", "tss"):
        numbers: Any = pd.to_numeric(table[role], errors="coerce")
        if (wrong := ~(numbers >= 0) | (numbers % 1 != 0)).any():
            raise InputError(f"{path}: {role} {table[role][wrong].iloc[0]!r} is no position; positions are 0-based")
        table[role] = numbers.astype(np.int64)
    if (empty := table["end"] <= table["start"]).any():
        row = table.loc[empty].iloc[0]
        raise InputError(f"{path}: the element {row['chromosome']}:{row['start']}-{row['end']} is empty; correct it")
    table["target"] = _labels(table["target"], manifest, path)
    twice = table.duplicated(["chromosome", "start", "end", "gene"])
    if twice.any():
        row = table.loc[twice].iloc[0]
        raise InputError(
            f"{path}: {int(twice.sum())} pairs occur more than once, such as {row['chromosome']}:{row['start']}-"
            f"{row['end']} and {row['gene']}; leave one of each"
        )
    middle = (table["start"] + table["end"]) // 2
    distance = table["distance"] if "distance" in table else middle - table["tss"]
    table["distance"] = np.abs(_numbers(distance))
    return table


def _labels(column: Any, manifest: LinkManifest, path: pathlib.Path) -> Any:
    known = dict.fromkeys(manifest.labels.positive, 1.0) | dict.fromkeys(manifest.labels.negative, 0.0)
    # One odd value, and pandas reads the column as text.
    numbers = column.map(known).fillna(column.astype(str).map({str(key): value for key, value in known.items()}))
    if (wrong := numbers.isna()).any():
        raise InputError(
            f"{path}: {int(wrong.sum())} labels such as {column[wrong].iloc[0]} are neither positive "
            f"({manifest.labels.positive}) nor negative ({manifest.labels.negative})"
        )
    return numbers


def baselines(rows: Any) -> dict[str, Float[np.ndarray, " row"]]:
    """Scores that need no model: nearness, and activity times contact where the table has activity.

    `abc_like` is the numerator of the ABC model only: its denominator wants all elements of a gene, not those tested.
    """
    found = {"distance": -rows["distance"].to_numpy(np.float64)}
    activity = [name for name in rows if str(name).startswith("activity ")]
    if activity:
        values = rows[activity].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
        mean = np.where((values < 0).any(axis=1), np.nan, np.prod(np.maximum(values, 0), axis=1) ** (1 / len(activity)))
        if "contact" in rows:
            contact = _numbers(rows["contact"])
        else:
            contact = NEAREST / np.maximum(rows["distance"].to_numpy(np.float64), NEAREST)
        found["abc_like"] = mean * contact
    peers = [str(name) for name in rows if str(name).startswith("peer ")]
    return found | {name.removeprefix("peer "): _numbers(rows[name]) for name in peers}


def _numbers(column: Any) -> Float[np.ndarray, " row"]:
    """NaN for what is no number."""
    numbers: Any = pd.to_numeric(column, errors="coerce")
    return numbers.to_numpy(np.float64)
