"""bigWig: one file for each track, float32, in the forward frame.

Values of a coarser track go over each of its bins. Bins are cut at the region that was asked for and at the ends of
the chromosome, so nothing is written that the chromosome does not have. Neighbouring bins of equal value are one
entry; NaN is left out.
"""

import itertools
import json
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pybigtools
import xarray as xr
from ag_core.errors import InputError
from jaxtyping import Float, Int

from ag_data.cache import replacing
from ag_data.export.tree import (
    chromosomes_of,
    file_name,
    interval_of,
    on_the_genome,
    refuse_overlaps,
    track_labels,
    values_of,
)

SUFFIXES = (".bw", ".bigwig")
TABLE = "tracks.json"
_BYTES = 1 << 28  # values read at a time

Leaves = list[tuple[str, str, xr.Dataset]]
Entry = tuple[str, int, int, float]
Signal = Callable[[xr.Dataset], Float[np.ndarray, " position"]]


def check_bigwigs(tree: xr.DataTree, path: pathlib.Path) -> tuple[dict[tuple[str, str], Leaves], dict[str, Any]]:
    """What goes into which files; reads no values.

    Raises InputError for a single file with many tracks, regions that overlap, no track at all, another folder.
    """
    groups = group_leaves(tree, "bigWig")
    files = name_files({key: leaves[0][2] for key, leaves in groups.items()})
    if path.suffix.lower() not in SUFFIXES:
        check_folder(path)
    elif len(files) > 1:
        raise InputError(
            f"{path} can hold one track, but there are {len(files)}; give a folder (-o {path.with_suffix('')}) for "
            "one file each, or choose a track (--tracks)"
        )
    return groups, files


def write_bigwigs(tree: xr.DataTree, path: pathlib.Path) -> list[pathlib.Path]:
    """Writes the tracks of a tree (`ag_data.export.tree`) and returns the files; they appear when all are complete.

    - `path` ending in .bw or .bigwig: the one track there is.
    - any other: a folder with `[allele.]modality.track.bw`, and `tracks.json`, which says what each of them is. A
      folder with such a `tracks.json` is replaced.

    Raises InputError as `check_bigwigs` does.
    """
    groups, files = check_bigwigs(tree, path)
    lengths = chromosomes_of(tree)
    if path.suffix.lower() in SUFFIXES:
        with replacing(path) as (scratch,):
            for leaves in groups.values():
                _write_tracks(leaves, lengths, [scratch])
        return [path]
    with replacing(path) as (scratch,):
        scratch.mkdir()
        for key, leaves in groups.items():
            _write_tracks(leaves, lengths, [scratch / name for name, about in files.items() if about["group"] == key])
        table = {name: {k: v for k, v in about.items() if k != "group"} for name, about in files.items()}
        (scratch / TABLE).write_text(json.dumps(table, indent=1))
        if path.exists():
            path.rename(scratch.with_name("replaced"))  # goes away with the scratch folder
    return [path / name for name in files]


def check_folder(path: pathlib.Path) -> None:
    """Raises InputError unless a folder may be made at `path`, or is one that was made here."""
    if path.exists() and not (path / TABLE).is_file() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(
            f"{path} exists and was not made by this command: it will not be replaced; choose another name"
        )


def group_leaves(tree: xr.DataTree, what: str) -> dict[tuple[str, str], Leaves]:
    """What goes into the same files of a format: regions do, alleles do not. Raises InputError when regions overlap."""
    groups: dict[tuple[str, str], Leaves] = {}
    for leaf in on_the_genome(tree, ("position", "track"), what):
        groups.setdefault((leaf[2].attrs.get("allele", ""), leaf[0]), []).append(leaf)
    for leaves in groups.values():
        refuse_overlaps(leaves, "region", what)
    return groups


def name_files(tables: Mapping[tuple[str, str], xr.Dataset]) -> dict[str, dict[str, Any]]:
    """A file for each track of each (allele, modality) -> track table, with what is known of the track."""
    files: dict[str, dict[str, Any]] = {}
    for key, table in tables.items():
        for index, label in enumerate(track_labels(table)):
            stem = ".".join(filter(None, (*key, file_name(label))))
            name = f"{stem}.bw" if f"{stem}.bw" not in files else f"{stem}.{index}.bw"
            columns = {str(k): v.values[index] for k, v in table.variables.items() if v.dims == ("track",)}
            about = {k: v.item() if isinstance(v, np.generic) else v for k, v in columns.items()}
            files[name] = {"group": key, "allele": key[0], "modality": key[1], **about}
    return files


def _write_tracks(leaves: Leaves, lengths: Mapping[str, int], paths: list[pathlib.Path]) -> None:
    """A file for each track of these leaves; several tracks are read together, since they lie together."""
    datasets = [dataset for _, _, dataset in leaves]
    positions = sum(dataset.sizes["position"] for dataset in datasets)
    step = max(1, _BYTES // (4 * max(1, positions)))
    for first in range(0, len(paths), step):
        several = slice(first, first + step)
        if step > 1:
            read = [values_of(dataset)[:, several].values.astype(np.float32) for dataset in datasets]
            for track, path in enumerate(paths[several]):
                at = {id(dataset): values[:, track] for dataset, values in zip(datasets, read, strict=True)}
                _write_track(datasets, lengths, path, lambda dataset, at=at: at[id(dataset)])
        else:
            _write_track(datasets, lengths, paths[first], lambda d, t=first: values_of(d)[:, t].values.astype("f4"))


def _write_track(datasets: list[xr.Dataset], lengths: Mapping[str, int], path: pathlib.Path, signal: Signal) -> None:
    chromosomes = sorted({interval_of(dataset).chromosome for dataset in datasets})
    entries = itertools.chain.from_iterable(runs(dataset, lengths, signal(dataset)) for dataset in datasets)
    write_entries(path, {name: lengths[name] for name in chromosomes}, entries)


def write_entries(path: pathlib.Path, lengths: Mapping[str, int], entries: Iterable[Entry]) -> None:
    """A bigWig of entries that are sorted by chromosome and start.

    Raises what making an entry raises, and RuntimeError when there is none or not all have arrived in the file.
    """
    # pybigtools prints errors and goes on, so what went wrong, and whether all arrived, is found out here.
    problems: list[BaseException] = []
    covered = 0

    def watched() -> Iterator[Entry]:
        nonlocal covered
        try:
            for entry in entries:
                covered += entry[2] - entry[1]
                yield entry
        except BaseException as error:  # raised again below
            problems.append(error)

    stream = watched()
    start = next(stream, None)
    if start is not None:
        pybigtools.open(str(path), "w").write(dict(lengths), itertools.chain([start], stream))
    if problems:
        raise problems[0]
    if start is None:
        raise RuntimeError(f"{path.name}: the track has no value on {', '.join(lengths)}")
    with pybigtools.open(str(path)) as written:
        found = int(written.info()["summary"]["basesCovered"])
    if found != covered:
        raise RuntimeError(f"{path.name}: {found:,} of {covered:,} bases arrived in the bigWig")


def runs(dataset: xr.Dataset, lengths: Mapping[str, int], signal: Float[np.ndarray, " position"]) -> Iterator[Entry]:
    """(chromosome, start, end, value), 0-based half-open, of one track of one leaf."""
    interval, region = interval_of(dataset), interval_of(dataset, "region")
    low, high = max(region.start, 0), min(region.end, lengths[region.chromosome])
    edges = interval.start + dataset.attrs["resolution"] * np.arange(len(signal) + 1)
    columns = join_bins(np.clip(edges, low, max(low, high)), signal)
    for start, end, value in zip(*(column.tolist() for column in columns), strict=True):
        yield region.chromosome, start, end, value


def join_bins(
    edges: Int[np.ndarray, " edge"], values: Float[np.ndarray, " position"]
) -> tuple[Int[np.ndarray, " run"], Int[np.ndarray, " run"], Float[np.ndarray, " run"]]:
    """Starts, ends and values of runs of neighbouring bins of equal value; NaN and empty bins are left out."""
    inside = (edges[1:] > edges[:-1]) & np.isfinite(values)
    starts, ends, values = edges[:-1][inside], edges[1:][inside], values[inside]
    first = np.ones(len(values), bool)
    first[1:] = (values[1:] != values[:-1]) | (starts[1:] != ends[:-1])
    begins = np.flatnonzero(first)
    lasts = np.append(begins, len(values))[1:] - 1
    return starts[begins], ends[lasts], values[begins]
