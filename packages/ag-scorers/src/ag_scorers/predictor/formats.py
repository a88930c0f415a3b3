"""Which file holds which kind of prediction, judged by its suffix.

| output | holds |
| --- | --- |
| `.zarr` | everything |
| `.bw`, `.bigwig` | one track |
| a name without suffix | a folder with a bigWig for each track |
| `.bedgraph`, `.bedgraph.gz` | one track, as text |
| `.bedgraphs` | a folder with a `.bedgraph.gz` for each track |
| `.bedpe`, `.bedpe.gz` | splice junctions and the counts of each track |
| `.bed12`, `.junctions.bed`, also with `.gz` | splice junctions as genome browsers draw them |
| `.cool`, `.mcool` | contact maps |
"""

import os
import pathlib
from collections.abc import Collection, Iterable, Mapping, Sequence

import xarray as xr
from ag_core.errors import InputError

from ag_scorers.predictor.runner import JUNCTIONS, MAPS, TRACKS

SUFFIXES = {
    ".zarr": (TRACKS, MAPS, JUNCTIONS),
    ".bw": (TRACKS,),
    ".bigwig": (TRACKS,),
    ".bedgraph": (TRACKS,),
    ".bedgraph.gz": (TRACKS,),
    ".bedgraphs": (TRACKS,),
    ".bedpe": (JUNCTIONS,),
    ".bedpe.gz": (JUNCTIONS,),
    ".bed12": (JUNCTIONS,),
    ".bed12.gz": (JUNCTIONS,),
    ".junctions.bed": (JUNCTIONS,),
    ".junctions.bed.gz": (JUNCTIONS,),
    ".cool": (MAPS,),
    ".mcool": (MAPS,),
    "": (TRACKS,),
}


def suffix_of(path: pathlib.Path) -> str:
    """One of `SUFFIXES`. Raises InputError for any other."""
    name = path.name.lower()
    for suffix in SUFFIXES:
        if suffix and name.endswith(suffix):
            return suffix
    if not path.suffix:
        return ""
    known = ", ".join(suffix for suffix in SUFFIXES if suffix)
    raise InputError(f"{path}: cannot tell the format; use one of {known}, or no suffix for a folder of bigWigs")


def check_outputs(outputs: Iterable[str | os.PathLike[str]], force: bool) -> list[pathlib.Path]:
    """The outputs as paths. Raises InputError for a bad suffix, one that is there, or one that cannot be written."""
    paths = [pathlib.Path(path) for path in outputs]
    if not paths:
        raise InputError("no output; give one with -o")
    if len({path.absolute() for path in paths}) < len(paths) or [suffix_of(path) for path in paths].count(".zarr") > 1:
        raise InputError("an output is named twice, or there are two .zarr; give each format once")
    for path in paths:
        suffix = suffix_of(path)
        if path.exists():
            if not force:
                raise InputError(f"{path} exists; choose another name, or replace it with --force")
            if suffix in ("", ".bedgraphs"):
                from ag_data.export.bigwig import check_folder

                check_folder(path)
            elif path.is_dir() != (suffix == ".zarr") or (path.is_dir() and not (path / "zarr.json").is_file()):
                raise InputError(f"{path} exists and is no such file: it will not be replaced; choose another name")
        parent = next(parent for parent in path.absolute().parents if parent.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise InputError(f"cannot write {path}: {parent} is not a folder that can be written to")
    return paths


def store_path(paths: Sequence[pathlib.Path]) -> pathlib.Path | None:
    """The .zarr among the outputs."""
    return next((path for path in paths if suffix_of(path) == ".zarr"), None)


def kinds_of(paths: Sequence[pathlib.Path], kinds: Mapping[str, str], named: bool) -> Collection[str]:
    """Kinds of prediction that the outputs hold; `kinds` are those of the chosen modalities.

    Raises InputError for an output that would be empty and, when modalities were `named`, for one that no output
    can hold.
    """
    for path in paths:
        holds = SUFFIXES[suffix_of(path)]
        if not set(holds) & set(kinds.values()):
            raise InputError(
                f"{path} holds {' and '.join(holds)}, but the chosen outputs are {', '.join(kinds)}; choose others "
                "(--outputs, --tracks), or a model that predicts them"
            )
    wanted = {kind for path in paths for kind in SUFFIXES[suffix_of(path)]}
    lost = [name for name, kind in kinds.items() if kind not in wanted]
    if named and lost:
        raise InputError(f"no output can hold {', '.join(lost)}; add -o NAME.zarr or leave them out of --outputs")
    return wanted


def export(tree: xr.DataTree, path: pathlib.Path, *, check: bool = False) -> list[str]:
    """Writes one file from a tree and returns what was written; with `check`, only raises what writing would raise.

    Libraries are loaded only when they are needed.
    """
    suffix = suffix_of(path)
    if suffix in (".bedpe", ".bedpe.gz"):
        from ag_data.export.junctions import check_bedpe, write_bedpe

        check_bedpe(tree, path)
        return [] if check else [str(write_bedpe(tree, path))]
    if suffix.removesuffix(".gz") in (".bed12", ".junctions.bed"):
        from ag_data.export.junction_bed import check_bed12, write_bed12

        check_bed12(tree, path)
        return [] if check else [str(write_bed12(tree, path))]
    if suffix.startswith(".bedgraph"):
        from ag_data.export.bedgraph import check_bedgraphs, write_bedgraphs

        check_bedgraphs(tree, path)
        return [] if check else [str(written) for written in write_bedgraphs(tree, path)]
    if suffix in (".cool", ".mcool"):
        from ag_data.export.contact_maps import check_cooler, write_cooler

        check_cooler(tree, path)
        return [] if check else write_cooler(tree, path)
    from ag_data.export.bigwig import check_bigwigs, write_bigwigs

    check_bigwigs(tree, path)
    return [] if check else [str(written) for written in write_bigwigs(tree, path)]
