"""Tracks of a store as bigWigs, which give the same tracks when they are imported again.

Zeros are left out where every base of a track was measured: import with `gaps: zero`, the default. Of a track with
unmeasured bases, these are left out and zeros are written: import with `gaps: missing`. A chromosome without any entry
has a zero for its first bin, so that the file knows it.

A folder has `tracks.json`, which says of each file what it is, and `manifest.yaml` for those of layout "signal":

    agenome tracks import FOLDER/manifest.yaml --genome REFERENCE -o again.zarr

Blocks of the store are read once for as many tracks as have room in a spool on the disk, since all tracks lie together.
"""

import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import yaml
from ag_core.errors import InputError
from jaxtyping import Float

from ag_data.cache import replacing
from ag_data.export.bigwig import SUFFIXES, TABLE, check_folder, name_files, write_entries
from ag_data.export.run_spool import RUN, RunSpool
from ag_data.export.store_tracks import Chosen

MANIFEST = "manifest.yaml"
_SPOOL, _FILES = 1 << 33, 256  # bytes and files at a time
# Columns that a manifest's entry has as keys of another meaning, or that an import makes.
_RESERVED = (
    "track",
    "name",
    "strand",
    "source",
    "source_digest",
    "path",
    "modality",
    "resolution",
    "absent",
    "options",
)


def write_store_bigwigs(chosen: list[Chosen], path: pathlib.Path) -> list[pathlib.Path]:
    """Writes one file, or a folder of them, and returns the files.

    Raises InputError for a single file with many tracks, another folder, and a track that was measured nowhere.
    """
    files = name_files({("", one.modality): one.table for one in chosen})
    for about in files.values():
        del about["group"], about["allele"]
    for one in chosen:
        _check_measured(one)
    if path.suffix.lower() in SUFFIXES:
        if len(files) > 1:
            raise InputError(
                f"{path} can hold one track, but there are {len(files)}; give a folder (-o {path.with_suffix('')}) "
                "for one file each, or choose a track (--modality, --tracks)"
            )
        with replacing(path) as (scratch,):
            _write_modality(chosen[0], [scratch], _gaps(chosen[0]))
        return [path]
    check_folder(path)
    with replacing(path) as (scratch,):
        scratch.mkdir()
        for one in chosen:
            own = [name for name, about in files.items() if about["modality"] == one.modality]
            gaps, about = _gaps(one), one.store.attributes(one.modality)
            for name, gap in zip(own, gaps, strict=True):
                files[name] |= {"resolution": about["resolution"], "unit": about["unit"], "gaps": gap}
            _write_modality(one, [scratch / name for name in own], gaps)
        (scratch / TABLE).write_text(json.dumps(files, indent=1))
        manifest = _manifest(chosen, files)
        if manifest["tracks"]:
            (scratch / MANIFEST).write_text(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True))
        if path.exists():
            path.rename(scratch.with_name("replaced"))  # goes away with the scratch folder
    return [path / name for name in files] + ([path / MANIFEST] if manifest["tracks"] else [])


def _bins(one: Chosen, chromosome: str) -> int:
    return -(-one.store.chromosomes[chromosome] // one.store.resolution(one.modality))


def _check_measured(one: Chosen) -> None:
    missing = one.store.statistics(one.modality)["missing"].sel(contig=one.chromosomes).sum("contig").values
    bins = sum(_bins(one, name) for name in one.chromosomes)
    for row in one.rows[missing[one.rows] >= bins]:
        name = one.store.tracks(one.modality)["name"].values[row]
        raise InputError(
            f"{one.modality} {name!r} was not measured anywhere on {', '.join(one.chromosomes)}, and bigWig cannot say "
            "so; leave it out (--tracks)"
        )


def _gaps(one: Chosen) -> list[str]:
    """What a base without entry means, for each track."""
    missing = one.store.statistics(one.modality)["missing"].sel(contig=one.chromosomes).sum("contig").values
    return ["missing" if missing[row] else "zero" for row in one.rows]


def _write_modality(one: Chosen, paths: list[pathlib.Path], gaps: list[str]) -> None:
    """A file for each track, as many at a time as the spool has room for."""
    first = 0
    while first < len(paths):
        last, room = first, float(_SPOOL)
        while last < len(paths) and last - first < _FILES and (last == first or room > 0):
            room -= _most_runs(one, int(one.rows[last])) * RUN.itemsize
            last += 1
        _write_several(one, slice(first, last), paths[first:last], gaps[first:last])
        first = last


def _most_runs(one: Chosen, row: int) -> float:
    counted = one.store.statistics(one.modality).sel(contig=one.chromosomes)
    special = sum(float(counted[key].values[:, row].sum()) for key in ("nonzero", "missing"))
    return min(2 * special + len(one.chromosomes), sum(_bins(one, name) for name in one.chromosomes))


def _write_several(one: Chosen, tracks: slice, paths: list[pathlib.Path], gaps: list[str]) -> None:
    chromosomes = sorted(one.chromosomes)
    lengths = {name: one.store.chromosomes[name] for name in chromosomes}
    spools = [
        RunSpool(path.with_name(f"{path.name}.runs"), gap == "zero") for path, gap in zip(paths, gaps, strict=True)
    ]
    try:
        for number, name in enumerate(chromosomes):
            for first, block in one.blocks(name, one.rows[tracks]):
                edges, values = _per_base(one, name, first, block)
                for track, spool in enumerate(spools):
                    spool.add(number, edges, values[:, track])
            for spool in spools:
                spool.close_chromosome(number, min(one.store.resolution(one.modality), lengths[name]))
        for path, spool in zip(paths, spools, strict=True):
            spool.close()
            write_entries(path, lengths, spool.entries(chromosomes))
    finally:
        for spool in spools:
            spool.discard()


def _per_base(
    one: Chosen, chromosome: str, first: int, block: Float[np.ndarray, "position track"]
) -> tuple[np.ndarray, Float[np.ndarray, "position track"]]:
    """Edges of bins, and the value of each base in them: bins of signal are sums, and the last may be shorter."""
    resolution = one.store.resolution(one.modality)
    edges = resolution * np.arange(first, first + len(block) + 1)
    edges = np.minimum(edges, one.store.chromosomes[chromosome])
    if resolution > 1 and one.store.layout(one.modality) == "signal":
        block = (block / np.diff(edges)[:, None]).astype(np.float32)
    return edges, block


def _manifest(chosen: list[Chosen], files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What imports the files again, but for the genome: the reader has it, we do not know where."""
    store = chosen[0].store
    signals = [one for one in chosen if store.layout(one.modality) == "signal"]
    names = dict.fromkeys(name for one in signals for name in one.chromosomes)
    settings = {one.modality: store.attributes(one.modality) for one in signals}
    kept = {one.modality for one in signals}
    return {
        "organism": store.organism,
        "build": store.build,
        "chromosomes": list(names),
        "absent": "missing",
        "modalities": {
            name: {key: about[key] for key in ("dtype", "unit", "left_edge")} for name, about in settings.items()
        },
        "tracks": [
            {
                "path": name,
                "modality": about["modality"],
                "name": str(about["name"]),
                "strand": str(about["strand"]),
                "resolution": about["resolution"],
                "options": {"gaps": about["gaps"]},
                **{key: value for key, value in about.items() if _is_column(key, value)},
            }
            for name, about in files.items()
            if about["modality"] in kept
        ],
    }


def _is_column(key: str, value: Any) -> bool:
    """Whether an entry's column is worth a key; an import fills in what is empty."""
    if key in (*_RESERVED, "gaps", "unit") or not isinstance(value, str | int | float | bool):
        return False
    return value != "" and not (isinstance(value, float) and math.isnan(value))
