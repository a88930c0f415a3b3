"""bedGraph: tracks as text, plain or bgzip with a tabix index.

A line is chromosome, start, end (0-based half-open) and value, in the forward frame. Bins, regions and missing values
are treated as in `ag_data.export.bigwig`. Values are the shortest text that gives the same float32 back.
"""

import json
import pathlib
from typing import Any

import numpy as np
import pysam
import xarray as xr
from ag_core.errors import InputError

from ag_data.cache import replacing
from ag_data.export.bigwig import TABLE, Leaves, check_folder, group_leaves, name_files, runs
from ag_data.export.tree import chromosomes_of, values_of

SUFFIXES = (".bedgraph", ".bedgraph.gz")
FOLDER = ".bedgraphs"


def check_bedgraphs(tree: xr.DataTree, path: pathlib.Path) -> tuple[dict[tuple[str, str], Leaves], dict[str, Any]]:
    """What goes into which files; reads no values.

    Raises InputError for a single file with many tracks, regions that overlap, no track at all, another folder.
    """
    groups = group_leaves(tree, "bedGraph")
    files = name_files({key: leaves[0][2] for key, leaves in groups.items()})
    if path.name.lower().endswith(FOLDER):
        check_folder(path)
    elif len(files) > 1:
        stem = path.name[: path.name.lower().rindex(".bedgraph")]
        raise InputError(
            f"{path} can hold one track, but there are {len(files)}; give a folder (-o {path.with_name(stem)}{FOLDER}) "
            "for one file each, or choose a track (--tracks)"
        )
    return groups, files


def write_bedgraphs(tree: xr.DataTree, path: pathlib.Path) -> list[pathlib.Path]:
    """Writes the tracks of a tree (`ag_data.export.tree`) and returns the files; they appear when all are complete.

    - `path` ending in .bedgraph or .bedgraph.gz: the one track there is.
    - ending in .bedgraphs: a folder with `[allele.]modality.track.bedgraph.gz`, their indexes, and `tracks.json`,
      which says what each of them is. A folder with such a `tracks.json` is replaced.

    Raises InputError as `check_bedgraphs` does.
    """
    groups, files = check_bedgraphs(tree, path)
    lengths = chromosomes_of(tree)
    if not path.name.lower().endswith(FOLDER):
        packed = path.name.lower().endswith(".gz")
        with replacing(path, *([path.with_name(f"{path.name}.tbi")] if packed else [])) as scratch:
            for leaves in groups.values():
                _write_track(leaves, lengths, 0, scratch[0])
        return [path]
    table = {}
    with replacing(path) as (scratch,):
        scratch.mkdir()
        for key, leaves in groups.items():
            own = {name: about for name, about in files.items() if about["group"] == key}
            for track, (name, about) in enumerate(own.items()):
                file = f"{name.removesuffix('.bw')}.bedgraph.gz"
                _write_track(leaves, lengths, track, scratch / file)
                table[file] = {column: value for column, value in about.items() if column != "group"}
        (scratch / TABLE).write_text(json.dumps(table, indent=1))
        if path.exists():
            path.rename(scratch.with_name("replaced"))  # goes away with the scratch folder
    return [path / file for file in table]


def _write_track(leaves: Leaves, lengths: dict[str, int], track: int, path: pathlib.Path) -> None:
    packed = path.name.lower().endswith(".gz")
    plain = path.with_name(f"{path.name}.plain") if packed else path
    with plain.open("w") as file:
        for _, _, dataset in leaves:
            signal = values_of(dataset)[:, track].values.astype(np.float32)
            file.writelines(
                f"{chromosome}\t{start}\t{end}\t{np.float32(value)!s}\n"
                for chromosome, start, end, value in runs(dataset, lengths, signal)
            )
    if packed:
        pysam.tabix_compress(str(plain), str(path), force=True)
        pysam.tabix_index(str(path), seq_col=0, start_col=1, end_col=2, zerobased=True, force=True)
        plain.unlink()
