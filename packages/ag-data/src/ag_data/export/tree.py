"""Trees of predictions: `/rna_seq` holds `prediction(position, track)`, or, for many places, one child for each.

    one place            tree["rna_seq"]["prediction"]
    many places          tree["rna_seq/peak_1"]["prediction"]
    a variant            tree["rna_seq/REF"]["prediction"], tree["rna_seq/ALT"]["prediction"]

Every dataset has the columns of its track table along `track`, and these attributes (0-based half-open):

- `interval`: what its bins cover, `chr:start-end:strand`; bins that the region touches are whole, so this may reach
  a little further than `region`; for junctions it is the region;
- `region`: what was asked for; its strand is the one the model read, values are in the forward frame all the same;
- `resolution` in bp, `modality`, `place`, and `window`: what the model read;
- of a variant: `variant`, `allele` (REF or ALT), and `frame`: "alternate" where an indel shifts positions against
  those of the genome, otherwise "reference".

The root says what made them (`model_digest`, `organism`, ...) and has `chromosomes` (name -> length in bp) and the
order of `modalities` and `places`.
"""

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from jaxtyping import Shaped

VARIABLES = ("prediction", "count")


@dataclasses.dataclass(frozen=True)
class Block:
    """One array of the tree before it has values: `dims` end in `track`, `coords` go along the first dimension."""

    modality: str
    variable: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    attrs: Mapping[str, Any]
    coords: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


@runtime_checkable
class Target(Protocol):
    """Somewhere to put values, slice by slice; numpy and zarr arrays are such."""

    def __setitem__(self, key: Any, value: Any, /) -> None: ...


@runtime_checkable
class Writer(Protocol):
    """Takes the predictions of one place after another."""

    @property
    def done(self) -> frozenset[str]:
        """Places that need not be predicted again."""
        ...

    def create(self, place: str, block: Block) -> Target:
        """Room for one array; `place` is '' when there is only one."""
        ...

    def close_place(self, place: str) -> None:
        """Says that every value of a place has been written."""
        ...


class MemoryWriter:
    """Gathers predictions in memory; `tables` are the selected tracks of each modality, `attrs` go to the root.

    With `hollow`, the tree has all but values, and takes no memory.
    """

    def __init__(self, tables: Mapping[str, xr.Dataset], attrs: Mapping[str, Any], *, hollow: bool = False):
        self._hollow = hollow
        self.tables, self.attrs = tables, dict(attrs)
        self.done: frozenset[str] = frozenset()
        self._datasets: dict[str, xr.Dataset] = {}

    def create(self, place: str, block: Block) -> Shaped[np.ndarray, "..."]:
        """As `Writer.create`."""
        values = self._room(block)
        table = as_coordinates(self.tables[block.modality]).drop_vars(block.coords, errors="ignore")
        coords = {name: (block.dims[0], column) for name, column in block.coords.items()}
        dataset = table.assign({block.variable: (block.dims, values)}).assign_coords(coords)
        dataset.attrs = dict(block.attrs)
        self._datasets["/".join(filter(None, (block.modality, place)))] = dataset
        return values

    def _room(self, block: Block) -> Shaped[np.ndarray, "..."]:
        # A plan takes no memory: one NaN stands for all.
        return np.broadcast_to(np.float32(np.nan), block.shape) if self._hollow else np.full(block.shape, np.nan, "f4")

    def close_place(self, place: str) -> None:
        """As `Writer.close_place`."""

    def tree(self) -> xr.DataTree:
        """Everything so far."""
        return xr.DataTree.from_dict({"/": xr.Dataset(attrs=self.attrs), **self._datasets})


def as_coordinates(table: xr.Dataset) -> xr.Dataset:
    """A track table with its columns as coordinates."""
    return table.set_coords([str(name) for name in table.data_vars])


def leaves(tree: xr.DataTree) -> Iterator[tuple[str, str, xr.Dataset]]:
    """(modality, place, dataset) of every array; place is '' when there is only one. Values stay where they are."""
    for modality, node in tree.children.items():
        for place, holder in {"": node, **node.children}.items():
            if any(variable in holder.dataset.data_vars for variable in VARIABLES):
                yield str(modality), str(place), holder.to_dataset()


def values_of(dataset: xr.Dataset) -> xr.DataArray:
    """The one array of a leaf, read when it is indexed."""
    return dataset[next(variable for variable in VARIABLES if variable in dataset.data_vars)]


def interval_of(dataset: xr.Dataset, attribute: str = "interval") -> Interval:
    """What a leaf covers (or with "region", what was asked for)."""
    return Interval.from_str(dataset.attrs[attribute])


def track_labels(dataset: xr.Dataset) -> list[str]:
    """A unique name for each track, with its strand."""
    names = dataset["name"].values.astype(str)
    if dataset["strand"].dims != ("track",):  # each junction has its own
        return list(map(str, names))
    strands = dataset["strand"].values.astype(str)
    return [name if strand == "." else f"{name} ({strand})" for name, strand in zip(names, strands, strict=True)]


def file_name(label: str) -> str:
    """A label without the signs that shells and file systems dislike."""
    label = label.replace("(+)", "plus").replace("(-)", "minus")
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", label).strip("_")


def chromosomes_of(tree: xr.DataTree) -> dict[str, int]:
    """Length in bp of every chromosome that was predicted on."""
    return {str(name): int(length) for name, length in tree.attrs["chromosomes"].items()}


def on_the_genome(tree: xr.DataTree, dims: tuple[str, ...], what: str) -> list[tuple[str, str, xr.Dataset]]:
    """The leaves with these dimensions, sorted by chromosome and start.

    Raises InputError when there is none, and for an alternate allele whose positions are not those of the genome.
    """
    found = [leaf for leaf in leaves(tree) if values_of(leaf[2]).dims == dims]
    if not found:
        raise InputError(f"nothing to write as {what}: the predictions have {', '.join(tree.children) or 'nothing'}")
    for modality, place, dataset in found:
        if dataset.attrs.get("frame") == "alternate":
            fine = dataset.attrs["resolution"] == 1
            remedy = (
                "align it (--align reference)" if fine else "leave this modality out (--outputs): bins do not align"
            )
            raise InputError(
                f"{modality}/{place} cannot be written as {what}: an indel shifts the alternate allele's positions "
                f"against the genome's; {remedy}, or write .zarr"
            )
    return sorted(found, key=lambda leaf: (interval_of(leaf[2]).chromosome, interval_of(leaf[2]).start))


def refuse_overlaps(found: list[tuple[str, str, xr.Dataset]], attribute: str, what: str) -> None:
    """Raises InputError when two leaves, sorted by place, cover the same base."""
    for (_, left, a), (_, right, b) in itertools.pairwise(found):
        if interval_of(a, attribute).overlaps(interval_of(b, attribute)):
            raise InputError(
                f"regions {left!r} and {right!r} overlap, and {what} has one value for each place; merge them "
                "(bedtools merge) or write .zarr"
            )


def summary(tree: xr.DataTree) -> pd.DataFrame:
    """One row for each array: modality, place, shape, resolution in bp, bytes, region. Reads no values."""
    rows = []
    for modality, place, dataset in leaves(tree):
        array = values_of(dataset)
        region = dataset.attrs["region"]
        row = {"modality": modality, "place": place or "-"}
        row |= {"shape": " x ".join(f"{size:,} {dim}" for dim, size in array.sizes.items())}
        row |= {"resolution": dataset.attrs["resolution"], "bytes": array.nbytes, "region": region}
        rows.append(row)
    return pd.DataFrame(rows, columns=["modality", "place", "shape", "resolution", "bytes", "region"])
