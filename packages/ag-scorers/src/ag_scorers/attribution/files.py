"""Attributions in files, chosen by suffix.

| output | holds |
| --- | --- |
| `.zarr` | everything, as the tree in memory |
| `.npz` | plain arrays (`examples`), for one target and regions of one length |
| `.parquet` | a row for each position, of all places and targets |
| `.bw`, `.bigwig`, `.bedgraph` | the contribution of each base, for one target and one allele |
"""

import itertools
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_data.cache import replacing

from ag_scorers.attribution.api import Plan, Target, find_leaves, prepare, run_plan
from ag_scorers.attribution.examples import gather_examples, write_examples

SUFFIXES = (".zarr", ".npz", ".parquet", ".bw", ".bigwig", ".bedgraph")
_GENOMIC = (".bw", ".bigwig", ".bedgraph")
Entry = tuple[str, int, int, float]


def check_outputs(outputs: Iterable[str | os.PathLike[str]], force: bool = False) -> list[pathlib.Path]:
    """The outputs as paths. Raises InputError for a bad suffix, one that is there, or one that cannot be written."""
    paths = [pathlib.Path(path) for path in outputs]
    if not paths:
        raise InputError("no output; give one with -o")
    if len({path.absolute() for path in paths}) < len(paths):
        raise InputError("an output is named twice; give each once")
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            raise InputError(f"{path}: cannot tell the format; use one of {', '.join(SUFFIXES)}")
        if path.exists():
            if not force:
                raise InputError(f"{path} exists; choose another name, or replace it with --force")
            if path.is_dir() != (path.suffix == ".zarr") or (path.is_dir() and not (path / "zarr.json").is_file()):
                raise InputError(f"{path} exists and is no such file: it will not be replaced; choose another name")
        parent = next(parent for parent in path.absolute().parents if parent.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise InputError(f"cannot write {path}: {parent} is not a folder that can be written to")
    return paths


def check_fits(plan: Plan, paths: Iterable[pathlib.Path]) -> None:
    """Raises InputError, before anything is computed, when an output cannot hold what was planned."""
    for path in paths:
        suffix = path.suffix.lower()
        if suffix in (*_GENOMIC, ".npz") and len(plan.targets) > 1:
            raise InputError(f"{path} holds one target, but there are {len(plan.targets)}; choose one, or write .zarr")
        if suffix == ".npz" and len({place.region.width for place in plan.places}) > 1:
            raise InputError(f"{path} needs regions of one length; make them equally long, or write .zarr or .parquet")
        if suffix in _GENOMIC:
            if any(place.variant is not None for place in plan.places):
                raise InputError(
                    f"{path} holds one value for each base, not REF and ALT; write .zarr, .npz or .parquet"
                )
            regions = sorted(place.region.as_unstranded() for place in plan.places)
            for left, right in itertools.pairwise(regions):
                if left.overlaps(right):
                    raise InputError(
                        f"{path} holds one value for each base, but {left.region} and {right.region} overlap; merge "
                        "them (bedtools merge) or write .zarr"
                    )


def write_attributions(
    output: Iterable[str | os.PathLike[str]], target: Target | list[Target], *, force: bool = False, **options: Any
) -> xr.DataTree:
    """As `attribute`, and writes the tree into files chosen by suffix; `force` replaces those that are there.

    Raises InputError as `attribute` does and for what a format cannot hold.
    """
    paths = check_outputs(output, force)
    plan = prepare(target, **options)
    check_fits(plan, paths)
    tree = run_plan(plan)
    for path in paths:
        write_tree(tree, path)
    return tree


def write_tree(tree: xr.DataTree, path: pathlib.Path) -> None:
    """Writes one file; it appears when it is complete."""
    suffix = path.suffix.lower()
    with replacing(path) as (scratch,):
        if suffix == ".zarr":
            tree.to_zarr(scratch, zarr_format=3, consolidated=False)
            if path.exists():
                path.rename(scratch.with_name("replaced"))  # goes away with the scratch folder
        elif suffix == ".npz":
            write_examples(scratch, gather_examples(tree), _plain(tree.attrs))
        elif suffix == ".parquet":
            to_table(tree).to_parquet(scratch, index=False)
        elif suffix == ".bedgraph":
            with scratch.open("w") as file:
                file.writelines(f"{name}\t{start}\t{end}\t{value:.6g}\n" for name, start, end, value in _entries(tree))
        else:
            from ag_data.export.bigwig import write_entries

            names = sorted({_interval(dataset).chromosome for _, dataset in find_leaves(tree)})
            lengths = {name: int(tree.attrs["chromosomes"][name]) for name in names}
            write_entries(scratch, lengths, _entries(tree))


def to_table(tree: xr.DataTree) -> pd.DataFrame:
    """A row for each position of each target and place.

    place, target, chromosome, position (0-based, -1 for bases that only ALT has), base ("N" where it is not known),
    contribution, hypothetical_A, _C, _G and _T.
    """
    parts = []
    for name, dataset in find_leaves(tree):
        whole = dataset if "target" in dataset.dims else dataset.expand_dims({"target": [dataset.attrs["target"]]})
        letters = np.array([*whole["base"].values.tolist(), "N"])
        sequence = dataset["sequence"].values
        base = letters[np.where(sequence.any(axis=1), sequence.argmax(axis=1), 4)]
        for target in whole["target"].values.tolist():
            one = whole.sel(target=target)
            hypothetical = one["hypothetical"].values
            columns = {"place": name, "target": target, "chromosome": _interval(dataset).chromosome}
            columns |= {"position": dataset["ref_position"].values, "base": base}
            columns |= {"contribution": one["contribution"].values.sum(axis=1)}
            columns |= {f"hypothetical_{letter}": hypothetical[:, row] for row, letter in enumerate("ACGT")}
            parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def _interval(dataset: xr.Dataset) -> Interval:
    return Interval.from_str(dataset.attrs["interval"])


def _plain(attrs: dict) -> dict[str, object]:
    return {str(key): value for key, value in attrs.items()}


def _entries(tree: xr.DataTree) -> Iterator[Entry]:
    """(chromosome, start, end, contribution) of each base on the chromosome, by place."""
    lengths = tree.attrs["chromosomes"]
    for _, dataset in sorted(find_leaves(tree), key=lambda leaf: _interval(leaf[1])):
        interval = _interval(dataset)
        for offset, value in enumerate(dataset["contribution"].values.sum(axis=1).tolist()):
            if 0 <= interval.start + offset < lengths[interval.chromosome]:
                yield interval.chromosome, interval.start + offset, interval.start + offset + 1, value
