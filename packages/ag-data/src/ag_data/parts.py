"""The entries of a manifest, opened: a source, its tracks, and what it calls each chromosome of the genome."""

import dataclasses
import difflib
import hashlib
import inspect
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.interfaces import AbstractSource
from ag_core.plugins import registry
from ag_core.schema import track_table

from ag_data.assays import assay
from ag_data.contigs import main_contigs, match_contig
from ag_data.genome_store import Genome
from ag_data.manifest import Manifest, Path, Track, source_name


@dataclasses.dataclass(frozen=True)
class Part:
    """Some tracks of a modality, all from one file."""

    modality: str
    source: AbstractSource
    # Columns of its tracks.
    table: xr.Dataset
    # The genome's name of a chromosome -> the file's; None where the file does not have it.
    names: Mapping[str, str | None]
    # What such a chromosome means: "missing" or "zero".
    absent: str
    # For messages.
    label: str

    def read(self, interval: Interval) -> Any:
        """Values over an interval of the genome, as `AbstractSource.read`; None where the file lacks the chromosome."""
        name = self.names[interval.chromosome]
        if name is None:
            return None
        values = self.source.read(dataclasses.replace(interval, chromosome=name))
        if self.source.layout == "junctions":
            return values
        shape = (-(-interval.width // self.source.resolution), self.table.sizes["track"])
        if (values.shape[0], values.shape[-1]) != shape:
            raise TypeError(f"{type(self.source).__name__}.read gave {values.shape} for {interval}, expected {shape}")
        return values

    def windows(self, chromosome: str) -> Sequence[tuple[int, int]] | None:
        """Stretches outside of which this part holds nothing but "not measured"; None when it may do so anywhere."""
        name = self.names[chromosome]
        if name is None:
            return () if self.absent == "missing" and self.source.layout != "classes" else None
        return self.source.windows(name)


def chosen_chromosomes(manifest: Manifest, genome: Genome) -> dict[str, int]:
    """The chromosomes of a manifest, by the genome's names, and their lengths. Raises InputError for unknown ones."""
    wanted = manifest.chromosomes or main_contigs(genome.lengths)
    found = {name: genome.find_chromosome(name) for name in wanted}
    lost = [name for name, match in found.items() if match is None]
    if lost or not found:
        known = ", ".join(list(genome.lengths)[:5])
        raise InputError(
            f"chromosomes {', '.join(lost) or '(none)'}: {genome.source} has {known}, ...; correct the list"
        )
    names = [match for match in found.values() if match]
    if odd := [name for name in names if "/" in name or name in (".", "..")]:  # groups of a store are folders
        raise InputError(f"chromosome {odd[0]!r}: a name with / cannot be kept in a store; rename it in the genome")
    return {name: genome.lengths[name] for name in names}


def open_parts(manifest: Manifest, chromosomes: Mapping[str, int], partial: Iterable[str] = ()) -> list[Part]:
    """Opens every file of a manifest. Raises InputError for what is wrong with any, naming the file and the remedy.

    Lengths of chromosomes in `partial` are not compared.
    """
    parts = [
        _open(manifest, track, path, strand, chromosomes, frozenset(partial))
        for track in manifest.tracks
        for strand, path in files_of(track)
    ]
    for modality in dict.fromkeys(part.modality for part in parts):
        own = [part for part in parts if part.modality == modality]
        for part in own[1:]:
            check_same_form(own[0].label, form_of(own[0].source), part)
    return parts


def form_of(source: AbstractSource) -> tuple[Any, ...]:
    """What the tracks of a modality must share."""
    return (source.layout, source.resolution, getattr(source, "offsets", None))


def check_same_form(label: str, form: tuple[Any, ...], part: Part) -> None:
    """Raises InputError when a part cannot lie beside another of the same modality."""
    if form != form_of(part.source):
        forms = (form, form_of(part.source))
        words = [
            f"layout {layout} at {r} bp{f', {offsets} offsets' if offsets else ''}" for layout, r, offsets in forms
        ]
        raise InputError(
            f"{part.modality}: {label} has {words[0]}, but {part.label} has {words[1]}; "
            "the tracks of a modality share these, so set `resolution` or give one of them another modality"
        )


def digest_files(paths: Iterable[pathlib.Path]) -> str:
    """SHA-256 of files, or of all files in folders."""
    total = hashlib.sha256()
    for path in paths:
        path = pathlib.Path(str(path).partition("::")[0])
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                with file.open("rb") as opened:
                    total.update(hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()


def files_of(track: Track) -> list[tuple[str | None, Path]]:
    """(strand, path) of an entry: one, or both of a stranded pair."""
    if not isinstance(track.path, dict):
        return [(track.strand, track.path)]
    return list(track.path.items())


def _open(
    manifest: Manifest,
    track: Track,
    path: Path,
    strand: str | None,
    chromosomes: Mapping[str, int],
    partial: frozenset[str],
) -> Part:
    name = source_name(track.model_copy(update={"path": path}))
    paths = [manifest.locate(one) for one in ([path] if isinstance(path, str) else path)]
    label = ", ".join(map(str, paths))
    for one in paths:
        # A cooler within a file is told after "::".
        if not pathlib.Path(str(one).partition("::")[0]).exists():
            raise InputError(f"{one} ({track.modality}) does not exist; paths are relative to the manifest")
    options = options_of(manifest, track, name)
    try:
        source = registry().create("sources", name, paths[0] if isinstance(path, str) else paths, **options)
    except (TypeError, ValueError) as error:
        raise error if isinstance(error, InputError) else InputError(f"{label} ({name}): {error}") from error
    given = source.chromosomes()
    names = {chromosome: match_contig(chromosome, dict(given)) for chromosome in chromosomes}
    absent = track.absent or manifest.absent
    _check_chromosomes(label, given, names, absent)
    if track.lengths == "check":
        known = {name: length for name, length in chromosomes.items() if name not in partial}
        _check_lengths(label, given, names, known)
    return Part(track.modality, source, table_of(track, strand, source, label, paths), names, absent, label)


def options_of(manifest: Manifest, track: Track, name: str) -> dict[str, Any]:
    """Constructor options; files among them are located, the modality's resolution is the default."""
    target = registry().load("sources", name)
    known = {key: value for key, value in list(inspect.signature(target).parameters.items())[1:]}
    for key in track.options:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise InputError(f"source {name!r} has no option {key!r}: {hint}it has {', '.join(known) or 'none'}")
    options = dict(track.options)
    for key, value in options.items():
        if isinstance(value, str):
            options[key] = manifest.locate_option(value)
        elif isinstance(value, list):
            options[key] = [manifest.locate_option(each) if isinstance(each, str) else each for each in value]
    # Of other layouts, an option of that name says which of a file's own resolutions is read.
    if "resolution" in known and getattr(target, "layout", "") == "signal":
        options.setdefault("resolution", track.resolution or assay(track.modality).resolution)
        if "tn5_shift" in known and assay(track.modality).tn5_shift:
            options.setdefault("tn5_shift", assay(track.modality).tn5_shift)
    elif track.resolution is not None:
        raise InputError(f"source {name!r} has a resolution of its own; leave `resolution` out")
    return options


def _check_chromosomes(
    label: str, given: Mapping[str, int | None], names: Mapping[str, str | None], absent: str
) -> None:
    lost = [chromosome for chromosome, own in names.items() if own is None]
    some = ", ".join(list(given)[:5]) or "none"
    if len(lost) == len(names):
        raise InputError(f"{label} has none of the chromosomes {', '.join(lost[:5])}; its own are {some}: wrong names?")
    if lost and absent == "error":
        raise InputError(
            f"{label} lacks {', '.join(lost[:5])}{' and others' if len(lost) > 5 else ''} (it has {some}); list the "
            "`chromosomes` you want, or say what it means: `absent: zero` or `absent: missing`"
        )


def _check_lengths(
    label: str, given: Mapping[str, int | None], names: Mapping[str, str | None], chromosomes: Mapping[str, int]
) -> None:
    for chromosome, length in chromosomes.items():
        own = names[chromosome]
        found = given[own] if own else None
        if found and found != length:
            raise InputError(
                f"{label} is of another assembly: its {own} has {found:,} bp, that of the genome {length:,} bp; lift "
                "it over, give the genome it belongs to, or say `lengths: ignore` if it is known to fit"
            )


def table_of(
    track: Track, strand: str | None, source: AbstractSource, label: str, paths: list[pathlib.Path]
) -> xr.Dataset:
    """The source's table with the manifest's columns over it."""
    table = source.tracks()
    columns: dict[str, Any] = {str(name): list(table[name].values) for name in table.data_vars}
    size, strands = table.sizes["track"], columns["strand"]
    if track.name is not None:
        if len(set(zip([track.name] * size, strands, strict=True))) < size:
            raise InputError(f"{label} holds {size} tracks, so one `name` is not enough; leave it out")
        columns["name"] = [track.name] * size
    if strand is not None and strands != [strand] * size:
        if size > 1 or strands != ["."]:
            raise InputError(f"{label} has strands {', '.join(strands)} of its own; leave `strand` out")
        columns["strand"] = [strand]
    for key, value in track.columns.items():
        columns[key] = [value] * size
    columns["source"] = [", ".join(path.name for path in paths)] * size
    columns["source_digest"] = [digest_files(paths)] * size
    return track_table(columns)


def join_tables(tables: Iterable[xr.Dataset]) -> xr.Dataset:
    """One table of all tracks; a column that some lack is filled: text with '', numbers with NaN, flags with False."""
    tables = list(tables)
    keys = dict.fromkeys(str(key) for table in tables for key in table.data_vars)
    columns = {key: [value for table in tables for value in _filled(table, key, tables)] for key in keys}
    return track_table(columns)


def _filled(table: xr.Dataset, key: str, tables: list[xr.Dataset]) -> list[Any]:
    if key in table:
        return list(table[key].values)
    kind = next(other[key].dtype.kind for other in tables if key in other)
    filler = {"f": np.nan, "i": np.nan, "b": False}.get(kind, "")
    return [filler] * table.sizes["track"]
