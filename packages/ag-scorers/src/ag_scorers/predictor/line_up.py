"""`line_up`: predictions of two alleles side by side, row by row the same bases, so that `alt - ref` means something.

    interval, ref, alt = predict_variant(engine, variant)
    ref, alt = line_up(ref, alt)
    change = alt["rna_seq"]["prediction"] - ref["rna_seq"]["prediction"]

What is lined up says so: its attribute `frame` is "reference". Rows for which ALT has nothing (its deleted bases, and
what an insertion pushed out of the window) are filled.
"""

from typing import TypeVar, cast

import numpy as np
import pandas as pd
import xarray as xr
from ag_core.genome import Interval
from ag_data.personal import INSERTED, parse_variants, reference_positions
from jaxtyping import Float, Int

PLACES = "ref_position"
INSERTIONS = ("max", "drop")
_Tree = TypeVar("_Tree", xr.DataTree, xr.Dataset)


def line_up(ref: _Tree, alt: _Tree, *, inserted: str = "max", fill: float | int = np.nan) -> tuple[_Tree, _Tree]:
    """`ref` as it is, and `alt` on REF's rows; both are trees or datasets of `predict_variant` or `ag_scorers.predict`.

    - 1 bp: rows with equal `ref_position` belong together, also in slices of the two. An insertion's rows are dropped
      or, with `inserted="max"`, pooled with the row before them (spec/scoring.md 1.9).
    - bins (of arrays that are whole): REF's bin gets the bin of ALT that shares most bases with it, the first of
      equals; the two are up to half a bin apart, since ALT's bins begin elsewhere.
    - Contact maps, junctions and what is in REF's frame already stay as they are.
    - `fill`: for rows of REF that ALT lacks. With `fill=0` and "max", an indel inside the window comes out as
      `align_alternate` has it.

    Raises ValueError for another `inserted`, and for arrays that do not say where they are or have not all bins.
    """
    if inserted not in INSERTIONS:
        raise ValueError(f"inserted {inserted!r}: expected one of {', '.join(INSERTIONS)}")
    if isinstance(ref, xr.Dataset) and isinstance(alt, xr.Dataset):
        return ref, _line_up(ref, alt, inserted, fill)
    moved = {
        name.removeprefix("."): _line_up(ref[name].to_dataset(), node.to_dataset(), inserted, fill)
        for name, node in alt.subtree_with_keys
    }
    tree = xr.DataTree.from_dict({name or "/": dataset for name, dataset in moved.items()})
    return ref, cast(_Tree, tree)


def _line_up(ref: xr.Dataset, alt: xr.Dataset, inserted: str, fill: float | int) -> xr.Dataset:
    values = alt.get("prediction")
    if values is None or values.dims != ("position", "track"):
        return alt
    if PLACES in alt.coords and PLACES in ref.coords:
        places = alt[PLACES].values
        if np.array_equal(places, ref[PLACES].values):
            return alt
        rows, kept = places[places != INSERTED], np.flatnonzero(places != INSERTED)
        found = pd.Index(rows).get_indexer(ref[PLACES].values)
        source = np.where(found >= 0, kept[found], -1)
    elif alt.attrs.get("frame") == "reference":
        return alt
    else:
        places, source = None, _nearest_bins(ref, alt)
    moved = values.values[source]  # -1 takes some row, which is then overwritten
    moved[source < 0] = fill
    if places is not None and inserted == "max":
        _pool(moved, values.values, places, source)
    lined = alt.drop_dims("position").assign(prediction=(values.dims, moved))
    if PLACES in ref.coords:
        lined = lined.assign_coords({PLACES: ("position", ref[PLACES].values)})
    return lined.assign_attrs(frame="reference")


def _pool(
    moved: Float[np.ndarray, "row track"],
    values: Float[np.ndarray, "alt_row track"],
    places: Int[np.ndarray, " alt_row"],
    source: Int[np.ndarray, " row"],
) -> None:
    """Puts the largest of a row and the inserted ones after it in its place."""
    new = np.concatenate([[False], places == INSERTED, [False]])
    for first, end in np.flatnonzero(np.diff(new.astype(np.int8))).reshape(-1, 2):
        for row in np.flatnonzero(source == first - 1) if first else ():
            moved[row] = values[first - 1 : end].max(axis=0)


def _nearest_bins(ref: xr.Dataset, alt: xr.Dataset) -> Int[np.ndarray, " bin"]:
    """For each bin of REF the bin of ALT with which it shares most bases; -1 where all of them were deleted."""
    interval, size = Interval.from_str(alt.attrs["interval"]), int(alt.attrs["resolution"])
    if any(one.sizes["position"] * size != interval.width for one in (ref, alt)):
        raise ValueError(
            f"cannot line up {alt.sizes['position']} bins of {size} bp with {ref.sizes['position']} over {interval}: "
            "bins of two alleles begin at different bases; line up whole windows and take slices afterwards"
        )
    places = reference_positions(interval, parse_variants(str(alt.attrs.get("variant", ""))))
    known = places != INSERTED
    places += (places < 0).astype(int) - interval.start
    here = np.flatnonzero(known & (places < interval.width))
    pairs, bases = np.unique(np.stack([places[here] // size, here // size]), axis=1, return_counts=True)
    order = np.lexsort((-pairs[1], bases))  # the best last, and of equals the leftmost
    source = np.full(ref.sizes["position"], -1)
    source[pairs[0, order]] = pairs[1, order]
    return source
