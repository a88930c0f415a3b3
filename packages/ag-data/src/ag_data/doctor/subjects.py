"""Opens what is to be examined: the files of a manifest, as far as they can be read, or a store."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.interfaces import AbstractSource
from ag_core.plugins import registry

from ag_data.assays import assay
from ag_data.contigs import match_contig
from ag_data.doctor.file_checks import check_ends, check_lengths, check_names, check_summary
from ag_data.doctor.findings import ERROR, Finding
from ag_data.doctor.signals import Signals, Tracks
from ag_data.genome_store import Genome
from ag_data.manifest import Manifest, Path, Track, source_name
from ag_data.parts import Part, files_of, form_of, join_tables, options_of, table_of
from ag_data.sources.bigwig import BigWigSource
from ag_data.store import TrackStore

# What keeps a file from being looked at further.
UNUSABLE = ("assembly", "chromosome names")
# Cut sites are moved by fewer bases.
_MOVED = 10
# Bases of a chromosome looked at to tell how many are known.
_PROBES = 2000


@dataclasses.dataclass(frozen=True)
class File:
    """An entry of a manifest, opened; `fine` opens it once more with bins of one base, where it has wider ones."""

    part: Part
    fine: Callable[[], AbstractSource] | None


def open_files(
    manifest: Manifest, chromosomes: Mapping[str, int], genome: Genome
) -> tuple[list[File], list[Finding], int]:
    """The files of a manifest that fit the genome, what is wrong with the others, and how many there are."""
    files, findings, number = [], [], 0
    for track in manifest.tracks:
        for strand, path in files_of(track):
            number += 1
            try:
                file = _open_file(manifest, track, path, strand, chromosomes)
                own = _check_file(file.part, track, chromosomes, genome)
            except InputError as error:
                remedy = "mend the file or the entry as the message says; nothing else was checked of it"
                label = path if isinstance(path, str) else ", ".join(path)
                findings.append(Finding("unreadable file", ERROR, label, str(error), remedy))
                continue
            findings += own
            if not any(finding.check in UNUSABLE for finding in own if finding.severity == ERROR):
                files.append(file)
    return files, findings, number


def _open_file(
    manifest: Manifest, track: Track, path: Path, strand: str | None, chromosomes: Mapping[str, int]
) -> File:
    """As the import opens it, but whatever its chromosomes are."""
    name = source_name(track.model_copy(update={"path": path}))
    paths = [manifest.locate(one) for one in ([path] if isinstance(path, str) else path)]
    label = ", ".join(map(str, paths))
    for one in paths:
        if not one.exists():
            raise InputError(f"{one} ({track.modality}) does not exist; paths are relative to the manifest")
    options = options_of(manifest, track, name)
    create = functools.partial(registry().create, "sources", name, paths[0] if isinstance(path, str) else paths)
    try:
        source = create(**options)
    except (TypeError, ValueError) as error:
        raise error if isinstance(error, InputError) else InputError(f"{label} ({name}): {error}") from error
    names = {chromosome: match_contig(chromosome, dict(source.chromosomes())) for chromosome in chromosomes}
    table = table_of(track, strand, source, label, paths)
    part = Part(track.modality, source, table, names, track.absent or manifest.absent, label)
    binned = source.layout == "signal" and source.resolution > 1 and "resolution" in options
    fine = functools.cache(functools.partial(create, **{**options, "resolution": 1})) if binned else None
    return File(part, fine)


def _check_file(part: Part, track: Track, chromosomes: Mapping[str, int], genome: Genome) -> list[Finding]:
    given = part.source.chromosomes()
    whole = {name: length for name, length in chromosomes.items() if name not in genome.partial}
    found = [
        check_names(part.label, given, chromosomes, part.absent),
        check_lengths(part.label, given, whole, genome.lengths) if track.lengths == "check" else None,
        check_ends(part.label, part.source, whole, _slack(track)),
        # Other sources count their records first.
        check_summary(part.label, part.source.facts()) if isinstance(part.source, BigWigSource) else None,
    ]
    return [finding for finding in found if finding is not None]


def _slack(track: Track) -> int:
    """How far behind the end of a chromosome a source may put what lies just before it: by moving and extending it."""
    options = [track.options.get(key) for key in ("extend", "summit_window")]
    return _MOVED + sum(option for option in options if isinstance(option, int))


def signals_of_files(
    files: Iterable[File], manifest: Manifest, chromosomes: Mapping[str, int], known: Mapping[str, int]
) -> tuple[list[Signals], list[Finding]]:
    """The tracks of each modality; a modality whose files differ in form comes in several pieces, with a finding."""
    groups: dict[tuple[Any, ...], list[File]] = {}
    for file in files:
        groups.setdefault((file.part.modality, *form_of(file.part.source)), []).append(file)
    findings, signals = [], []
    for (modality, layout, resolution, *_), own in groups.items():
        settings = manifest.modalities.get(modality)
        table = join_tables(file.part.table for file in own)
        numbers = [number for number, file in enumerate(own) for _ in range(file.part.table.sizes["track"])]
        signals.append(
            Signals(
                modality,
                layout,
                resolution,
                (settings and settings.dtype) or assay(modality, resolution).dtype,
                table,
                _labels(table, [own[number].part.label for number in numbers]),
                chromosomes,
                functools.partial(_read_files, own, numbers, False),
                numbers,
                functools.partial(_read_files, own, numbers, True) if all(file.fine for file in own) else None,
                known,
            )
        )
    for modality in dict.fromkeys(key[0] for key in groups):
        forms = [key[1:] for key in groups if key[0] == modality]
        if len(forms) > 1:
            shown = "; ".join(f"{layout} at {resolution} bp" for layout, resolution, *_ in forms)
            remedy = "the tracks of a modality share their form: set `resolution`, or give some another modality"
            findings.append(Finding("mixed forms", ERROR, modality, f"its files have {shown}", remedy))
    return signals, findings


def _read_files(files: Sequence[File], numbers: Sequence[int], fine: bool, interval: Interval, tracks: Tracks) -> Any:
    """Values of tracks that are all in one file; `numbers` say in which."""
    file = files[numbers[tracks[0]]]
    part, columns = file.part, np.asarray(tracks) - numbers.index(numbers[tracks[0]])
    name = part.names[interval.chromosome]
    source = file.fine() if fine and file.fine else part.source
    if source.layout == "junctions":
        values = part.read(interval)
        return None if values is None else values.isel(track=columns)
    if name is None:
        bins, offsets = -(-interval.width // source.resolution), getattr(source, "offsets", None)
        shape = (bins, *([offsets] if offsets else []), len(columns))
        return np.full(shape, 0 if part.absent == "zero" or source.layout == "classes" else np.nan, np.float32)
    return np.asarray(source.read(dataclasses.replace(interval, chromosome=name)))[..., columns]


def signals_of_store(store: TrackStore, known: Mapping[str, int]) -> list[Signals]:
    """The tracks of each modality of a store."""
    signals = []
    for modality in store.modalities:
        about, table = store.attributes(modality), store.tracks(modality)
        chromosomes = {name: store.chromosomes[name] for name in about["contigs"]}
        signals.append(
            Signals(
                modality,
                about["layout"],
                about["resolution"],
                about["dtype"],
                table,
                _labels(table, [modality] * table.sizes["track"]),
                chromosomes,
                functools.partial(_read_store, store, modality),
                [0] * table.sizes["track"],
                None,
                known,
                store.statistics(modality),
            )
        )
    return signals


def _read_store(store: TrackStore, modality: str, interval: Interval, tracks: Tracks) -> Any:
    grid = -interval.width % store.resolution(modality)
    return store.read(modality, dataclasses.replace(interval, end=interval.end + grid), tracks)


def known_bases(genome: Genome, chromosomes: Mapping[str, int]) -> dict[str, int]:
    """About how many bases of each chromosome are not N."""
    counts = {}
    for name, length in chromosomes.items():
        match = match_contig(name, genome.lengths)
        if match is None:
            continue
        at = np.unique(np.linspace(0, length - 1, min(_PROBES, length)).astype(int))
        known = [genome.codes(Interval(match, int(position), int(position) + 1))[0] < 4 for position in at]
        counts[name] = int(length * np.mean(known))
    return counts


def _labels(table: xr.Dataset, places: Sequence[str]) -> list[str]:
    names, strands = (table[key].values.astype(str) for key in ("name", "strand"))
    suffixes = ["" if strand == "." else f", {strand}" for strand in strands]
    return [f"{place} ({name}{suffix})" for place, name, suffix in zip(places, names, suffixes, strict=True)]
