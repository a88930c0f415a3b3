"""Which tracks of a tree of predictions are shown: those that fit a query, as a smaller tree; for a variant with the
difference of its alleles."""

from collections.abc import Iterable, Iterator

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_data.export.tree import leaves, values_of
from ag_data.query import select_in
from jaxtyping import Int

from ag_scorers.predictor.line_up import line_up

DIFFERENCE = "ALT-REF"
TRACKS, JUNCTIONS = ("position", "track"), ("junction", "track")


def fit_query(
    tables: dict[str, xr.Dataset], outputs: Iterable[str], query: str
) -> dict[str, Int[np.ndarray, " track"]]:
    """Rows of each modality's track table that fit, without modalities that have none.

    `outputs` names modalities, none means all. Raises InputError for an unknown one, a wrong query, and when nothing
    fits.
    """
    wanted = [name.strip().lower().replace("-", "_") for name in outputs] or list(tables)
    if unknown := [name for name in wanted if name not in tables]:
        raise InputError(
            f"no tracks of {', '.join(unknown)} to show; the predictions have {', '.join(tables) or 'none'} (contact "
            "maps cannot be shown)"
        )
    return select_in({name: tables[name] for name in wanted}, query)


def choose(tree: xr.DataTree, outputs: Iterable[str], query: str) -> xr.DataTree:
    """The tracks and junctions that fit. Raises InputError as `fit_query` does."""
    found = [leaf for leaf in leaves(tree) if values_of(leaf[2]).dims in (TRACKS, JUNCTIONS)]
    tables = {modality: _table(dataset) for modality, _, dataset in found}
    rows = fit_query(tables, outputs, query)
    chosen = {_name(modality, place): d.isel(track=rows[modality]) for modality, place, d in found if modality in rows}
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=tree.attrs), **chosen})


def with_differences(tree: xr.DataTree) -> xr.DataTree:
    """ALT on REF's rows, and their difference as a further place, for tracks of a variant. Others stay as they are."""
    datasets = {}
    for modality, place, dataset in leaves(tree):
        allele = dataset.attrs.get("allele")
        if allele == "ALT" and values_of(dataset).dims == TRACKS:
            ref = tree[f"{modality}/REF"].to_dataset()
            _, dataset = line_up(ref, dataset)
            change = dataset.assign(prediction=(TRACKS, dataset["prediction"].values - ref["prediction"].values))
            datasets[f"{modality}/{DIFFERENCE}"] = change.assign_attrs(allele=DIFFERENCE, place=DIFFERENCE)
        datasets[_name(modality, place)] = dataset
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=tree.attrs), **datasets})


def of_dims(tree: xr.DataTree, dims: tuple[str, ...]) -> Iterator[tuple[str, str, xr.Dataset]]:
    """The leaves with these dimensions."""
    return (leaf for leaf in leaves(tree) if values_of(leaf[2]).dims == dims)


def _name(modality: str, place: str) -> str:
    return "/".join(filter(None, (modality, place)))


def _table(dataset: xr.Dataset) -> xr.Dataset:
    columns = {str(name): values.variable for name, values in dataset.coords.items() if values.dims == ("track",)}
    return xr.Dataset({name: column for name, column in columns.items() if name != "track"})
