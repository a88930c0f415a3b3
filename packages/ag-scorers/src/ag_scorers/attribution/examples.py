"""Attributions as plain arrays: many examples of one length, the form that motif tools take and `.npz` files keep."""

import json
import os
import pathlib
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_data.npz import read_npz
from jaxtyping import Float, Int8

from ag_scorers.attribution.api import find_leaves

_ARRAYS = ("sequences", "contributions", "hypothetical")


class Examples(NamedTuple):
    """One-hot sequences (A, C, G, T), contributions and hypothetical contributions of all bases.

    `intervals` are 0-based half-open text, one for each example; `names` those of the places.
    """

    sequences: Int8[np.ndarray, "example position 4"]
    contributions: Float[np.ndarray, "example position 4"]
    hypothetical: Float[np.ndarray, "example position 4"]
    names: list[str]
    intervals: list[str]


def gather_examples(tree: xr.DataTree) -> Examples:
    """The places of a tree of attributions (`attribute`), for one target.

    Raises InputError for several targets and for places of different lengths.
    """
    leaves = list(find_leaves(tree))
    lengths = {dataset.sizes["position"] for _, dataset in leaves}
    if len(lengths) != 1:
        raise InputError(
            f"{len(leaves)} places of {min(lengths, default=0):,} to {max(lengths, default=0):,} bp make no one array; "
            "make the regions equally long, or write .zarr or .parquet"
        )
    if any("target" in dataset.dims for _, dataset in leaves):
        targets = leaves[0][1].sizes["target"]
        raise InputError(f"{targets} targets, but these arrays hold one; choose one, or write .zarr or .parquet")
    sequences, contributions, hypothetical = (
        np.stack([dataset[name].values for _, dataset in leaves])
        for name in ("sequence", "contribution", "hypothetical")
    )
    names, intervals = zip(*((name, str(dataset.attrs["interval"])) for name, dataset in leaves), strict=True)
    return Examples(sequences, contributions, hypothetical, list(names), list(intervals))


def write_examples(path: str | os.PathLike[str], examples: Examples, attrs: dict[str, object] | None = None) -> None:
    """Writes a compressed `.npz`: the arrays by name, `names`, `intervals`, and `attrs` as JSON text."""
    texts = {"names": np.array(examples.names, str), "intervals": np.array(examples.intervals, str)}
    with open(path, "wb") as file:  # numpy would add a suffix to the name
        texts["attrs"] = np.array(json.dumps(attrs or {}))
        arrays: dict[str, Any] = {**dict(zip(_ARRAYS, examples[:3], strict=True)), **texts}
        np.savez_compressed(file, **arrays)


def read_examples(path: str | os.PathLike[str]) -> Examples:
    """Reads what `write_examples` wrote, or any `.npz` with its three arrays. Raises InputError."""
    path = pathlib.Path(path)
    file = read_npz(path, ".npz of attributions", "expected one of `agenome attribute`")
    if missing := [name for name in _ARRAYS if name not in file]:
        raise InputError(f"{path} has no {', '.join(missing)}; expected an .npz of `agenome attribute`")
    sequences, contributions, hypothetical = (file[name] for name in _ARRAYS)
    count = len(sequences) if sequences.ndim else 0
    names, intervals = (file[name].tolist() if name in file else [""] * count for name in ("names", "intervals"))
    return make_examples(sequences, contributions, hypothetical, names, intervals, source=str(path))


def make_examples(
    sequences: np.ndarray,
    contributions: np.ndarray,
    hypothetical: np.ndarray,
    names: list[str] | None = None,
    intervals: list[str] | None = None,
    *,
    source: str = "attributions",
) -> Examples:
    """Examples from arrays that are all [example, position, 4]. Raises InputError for others, and for NaN."""
    arrays = [np.asarray(x) for x in (sequences, contributions, hypothetical)]
    shapes = {x.shape for x in arrays}
    if len(shapes) != 1 or arrays[0].ndim != 3 or arrays[0].shape[-1] != 4:
        found = ", ".join(f"{name} {x.shape}" for name, x in zip(_ARRAYS, arrays, strict=True))
        raise InputError(f"{source}: {found}; expected three arrays (example, position, 4)")
    if not all(np.isfinite(x).all() for x in arrays):
        raise InputError(f"{source}: there are NaN or infinite values; make the attributions again")
    blank = [""] * len(arrays[0])
    dtypes = (np.int8, np.float32, np.float32)
    sequences, contributions, hypothetical = (x.astype(dtype) for x, dtype in zip(arrays, dtypes, strict=True))
    return Examples(sequences, contributions, hypothetical, names or blank, intervals or blank)
