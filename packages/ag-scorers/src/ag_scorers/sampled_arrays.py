"""Random cells of the arrays of a zarr store or an AnnData file. Each allele counts as one more, for its status.

Only what was chosen is read; of an AnnData file also `obs` and the list of alleles, as anndata itself reads them.
"""

import json
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import zarr
from jaxtyping import Int

from ag_scorers.anndata_scores import OFFICIAL, library
from ag_scorers.dataset import VARIABLES
from ag_scorers.sampled_rows import SampledRow, choose_rows, split_rows
from ag_scorers.tidy import ITEM_COLUMNS, NAMES, OF_ANNOTATION, OPTIONAL

_CALL = ("variant", "call")


def zarr_provenance(path: pathlib.Path) -> dict[str, str]:
    """What made a store, from the root's attributes."""
    return {name: text for name, text in _open_zarr(path).attrs.items() if isinstance(text, str)}


def sample_zarr(path: pathlib.Path, count: int, seed: int) -> list[SampledRow]:
    """Of all alleles, and all cells of all scorers."""
    root = _open_zarr(path)
    scorers = [group for _, group in sorted(root.groups())]
    sizes = [_array(root, "status").shape[0], *(math.prod(_array(group, "score").shape) for group in scorers)]
    alleles, *cells = split_rows(choose_rows(sum(sizes), count, seed), sizes)
    rows = list(zip(alleles.tolist(), ({} for _ in alleles), strict=True))
    for group, chosen in zip(scorers, cells, strict=True):
        rows += _zarr_cells(group, chosen) if len(chosen) else ()
    calls = np.array([call for call, _ in rows], np.int64)
    variants, statuses = (np.asarray(_array(root, name).oindex[calls]).tolist() for name in ("variant", "status"))
    return [
        SampledRow({**_spell_out(variant), "status": status, **values}, call)
        for (call, values), variant, status in zip(rows, variants, statuses, strict=True)
    ]


def _open_zarr(path: pathlib.Path) -> zarr.Group:
    return zarr.open_group(path, mode="r", zarr_format=3)  # codecs of format 2 may run code


def _array(group: zarr.Group, name: str) -> zarr.Array:
    found = group[name]
    assert isinstance(found, zarr.Array)
    return found


def _zarr_cells(group: zarr.Group, chosen: Int[np.ndarray, " cell"]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number of the allele, and columns, of each cell."""
    item, track = np.divmod(chosen, _array(group, "score").shape[1])
    items: dict[str, list[Any]] = {}
    columns: dict[str, list[Any]] = {}
    for name, array in group.arrays():
        dims = getattr(array.metadata, "dimension_names", None)
        if dims == ("item",):
            items[name] = np.asarray(array.oindex[item]).tolist()
        elif name in VARIABLES and dims == ("item", "track"):
            columns[NAMES.get(name, name)] = np.asarray(array.vindex[item, track]).tolist()
        elif name in ("name", "strand"):
            columns[{"name": "track", "strand": "track_strand"}[name]] = np.asarray(array.oindex[track]).tolist()
    others = {name for name in items if name not in {*_CALL, *ITEM_COLUMNS, *OF_ANNOTATION}}
    for number in range(len(chosen)):
        of_item = {name: column[number] for name, column in items.items()}
        values = {name: of_item[name] for name in ITEM_COLUMNS if name in of_item}
        values |= {name: column[number] for name, column in columns.items()} | {"scorer": group.attrs["scorer"]}
        if others:
            values["item"] = json.dumps({name: of_item[name] for name in others})
        yield of_item["call"], values


def _spell_out(variant: str) -> dict[str, Any]:
    """The parts of `str(Call)`; a chromosome's name may have colons, and so may a breakend."""
    place, _, alternate = variant.partition(">")
    chromosome, position, reference = place.rsplit(":", 2)
    parts = {"chromosome": chromosome, "position": int(position), "reference": reference, "alternate": alternate}
    return {"variant": variant, **parts}


def anndata_provenance(path: pathlib.Path) -> dict[str, str]:
    """What made a file, from `uns`; empty if it does not tell."""
    with _open(path) as file:
        return _read(file["uns/provenance"]) if "uns/provenance" in file else {}


def sample_anndata(path: pathlib.Path, count: int, seed: int) -> list[SampledRow]:
    """Of all alleles, and all cells."""
    with _open(path) as file:
        obs, var, calls = (_read(file[name]) for name in ("obs", "var", "uns/calls"))
        scorer = _read(file["uns/variant_scorer"])
        arrays = {"score": file["X"]}
        layers = file["layers"]
        arrays |= {NAMES[name]: layers[layer] for name, layer in OPTIONAL.items() if layer in layers}
        sizes = [len(calls), len(obs) * len(var)]
        alleles, cells = split_rows(choose_rows(sum(sizes), count, seed), sizes)
        rows = _records(calls.iloc[alleles])
        items = obs.rename(columns={official: name for name, official in OFFICIAL.items()})
        item, track = np.divmod(cells, max(len(var), 1))
        tracks = var[["name", "strand"]].set_axis(["track", "track_strand"], axis=1)
        for row, column, of_item, of_track in zip(
            item, track, _records(items.iloc[item]), _records(tracks.iloc[track]), strict=True
        ):
            numbers = {name: float(array[row, column]) for name, array in arrays.items()}
            rows.append(of_item | of_track | {"scorer": scorer, "status": "scored"} | numbers)
    return [SampledRow(row, (row["record"], row["alt"])) for row in rows]


def _open(path: pathlib.Path) -> Any:
    library()
    import h5py

    return h5py.File(path)


def _read(element: Any) -> Any:
    return library().io.read_elem(element)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows with None for what is missing."""
    rows = frame.astype(object).to_dict("records")
    return [{str(name): None if pd.isna(value) else value for name, value in row.items()} for row in rows]
