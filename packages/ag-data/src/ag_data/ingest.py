"""From a manifest to a track store: block by block, so that memory does not grow with chromosomes, and resumable.

Tracks are added to a store that is there by writing their modality anew from the stored tracks and the new files.
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.interfaces import AbstractSource
from ag_core.schema import strand_partners

from ag_data.disk import explain_full_disk
from ag_data.genome_store import Genome, check_same_genome, open_genome
from ag_data.manifest import Manifest
from ag_data.modality_job import ModalityJob, Progress
from ag_data.parts import Part, check_same_form, chosen_chromosomes, form_of, join_tables, open_parts
from ag_data.store import TrackStore, open_store
from ag_data.store_writer import KEPT, StoreWriter, move_into_place


class StoredTracks(AbstractSource):
    """Tracks of a store as a source, for those that stay when others are added."""

    def __init__(self, store: TrackStore, modality: str, kept: list[int]):
        self._store, self._modality, self._kept = store, modality, kept
        self.layout, self.resolution = store.layout(modality), store.resolution(modality)
        self.offsets = store.attributes(modality).get("offsets")

    def tracks(self) -> xr.Dataset:
        """Their table, but for what the import adds."""
        table = self._store.tracks(self._modality).isel(track=self._kept)
        return table.assign_coords(track=np.arange(len(self._kept)))

    def chromosomes(self) -> dict[str, int | None]:
        """Those that were imported."""
        return {name: self._store.chromosomes[name] for name in self._store.attributes(self._modality)["contigs"]}

    def read(self, interval: Interval) -> Any:
        """As they were written."""
        grid = -interval.width % self.resolution
        interval = dataclasses.replace(interval, end=interval.end + grid)
        return self._store.read(self._modality, interval, self._kept)


@dataclasses.dataclass(frozen=True)
class Imported:
    """What an import has written: tracks of each modality, and those that were there already."""

    path: pathlib.Path
    added: Mapping[str, int]
    unchanged: int


def import_tracks(
    manifest: Manifest,
    path: pathlib.Path,
    *,
    replace: bool = False,
    threads: int = 2,
    progress: Progress | None = None,
) -> Imported:
    """Writes the tracks of a manifest to the store at `path`, or adds them to it.

    An interrupted import goes on where it stopped when it is called again. Tracks that are there already, from the
    same files, are left alone. Raises InputError for anything wrong with the manifest or a file, for a store of another
    genome or organism, for tracks of the same name from other files (unless `replace`), when another process
    writes there, and when the disk is full; the store is then as it was.
    """
    move_into_place(path)
    genome = open_genome(*manifest.genome_files)
    chromosomes = chosen_chromosomes(manifest, genome)
    store = open_store(path) if path.exists() else None
    contigs = {name: {"length": length, "digest": genome.digest(name)} for name, length in chromosomes.items()}
    if store is not None:
        contigs = _same_world(manifest, store, genome, contigs)
    parts = open_parts(manifest, chromosomes, genome.partial)
    new, unchanged = _new_parts(parts, store, replace)
    if store is not None:
        new = _with_stored(new, store, chromosomes)
    if not new:
        return Imported(path, {}, unchanged)
    for modality, own in new.items():
        _check_pairs(modality, own)
    work = {"manifest": manifest.model_dump(mode="json"), "contigs": contigs}
    digests = [list(part.table["source_digest"].values) for own in new.values() for part in own]
    fingerprint = hashlib.sha256(json.dumps([work, digests]).encode()).hexdigest()
    writer = StoreWriter(path, fingerprint)
    try:
        with explain_full_disk(f"{KEPT} in {writer.folder}"), ThreadPoolExecutor(threads) as pool:
            for modality, own in new.items():
                old = store.attributes(modality) if store and modality in store.modalities else {}
                settings = manifest.modalities.get(modality)
                ModalityJob(writer, modality, own, chromosomes, settings, old, pool, progress).run()
            modalities = [*(store.modalities if store else ()), *new]
            root = {"organism": manifest.organism, "build": manifest.build, "contigs": contigs}
            if store is not None:
                root = {"organism": store.organism, "build": store.build or manifest.build, "contigs": contigs}
            writer.commit({**root, "modalities": list(dict.fromkeys(modalities))})
    finally:
        writer.close()
    added = {modality: sum(_size(part) for part in own if not _is_stored(part)) for modality, own in new.items()}
    return Imported(path, added, unchanged)


def _size(part: Part) -> int:
    return part.table.sizes["track"]


def plan_import(manifest: Manifest) -> list[dict[str, Any]]:
    """What an import would read, one row for each track; opens every file. Raises InputError as `import_tracks`."""
    genome = open_genome(*manifest.genome_files)
    chromosomes = chosen_chromosomes(manifest, genome)
    rows = []
    for part in open_parts(manifest, chromosomes, genome.partial):
        layout, resolution, _ = form_of(part.source)
        for name, strand in zip(part.table["name"].values, part.table["strand"].values, strict=True):
            missing = sum(own is None for own in part.names.values())
            row = {"modality": part.modality, "name": name, "strand": strand, "layout": layout}
            row |= {"resolution": resolution, "chromosomes": len(chromosomes) - missing, "file": part.label}
            rows.append(row)
    return rows


def _is_stored(part: Part) -> bool:
    return isinstance(part.source, StoredTracks)


def _check_pairs(modality: str, parts: list[Part]) -> None:
    table = join_tables(part.table for part in parts)
    try:
        strand_partners(table)
    except ValueError as error:
        raise InputError(f"{modality}: {error}; give the files of both strands, or leave `strand` out") from error


def _same_world(
    manifest: Manifest, store: TrackStore, genome: Genome, contigs: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The store's contigs and the new ones. Raises InputError for another genome or organism."""
    if store.organism != manifest.organism:
        raise InputError(f"{store.path} is of {store.organism}, the manifest of {manifest.organism}; use another store")
    known = store.attrs["contigs"]
    shared = {name: entry for name, entry in known.items() if genome.find_chromosome(name)}
    check_same_genome(genome, shared, str(store.path))
    return {**known, **contigs}


def _new_parts(parts: list[Part], store: TrackStore | None, replace: bool) -> tuple[dict[str, list[Part]], int]:
    """Parts by modality without those that the store has from the same file, and the number of these tracks."""
    new: dict[str, list[Part]] = {}
    unchanged = 0
    for part in parts:
        known: dict[tuple[str, str], str] = {}
        if store is not None and part.modality in store.modalities:
            known = _digests(store.tracks(part.modality))
        own = _digests(part.table)
        if own.items() <= known.items():
            unchanged += len(own)
            continue
        clash = next((key for key in own if key in known), None)
        if clash and not replace:
            raise InputError(
                f"{part.modality} {clash[0]!r} ({clash[1]}) is in the store already, from another file than "
                f"{part.label}; give the new one another name, or replace the old one (--replace)"
            )
        new.setdefault(part.modality, []).append(part)
    return new, unchanged


def _digests(table: xr.Dataset) -> dict[tuple[str, str], str]:
    columns = (table[key].values.tolist() for key in ("name", "strand", "source_digest"))
    return {(name, strand): digest for name, strand, digest in zip(*columns, strict=True)}


def _with_stored(
    new: dict[str, list[Part]], store: TrackStore, chromosomes: Mapping[str, int]
) -> dict[str, list[Part]]:
    """Parts of each modality that changes, after what the store has of it and keeps."""
    whole = {}
    for modality, parts in new.items():
        whole[modality] = parts
        if modality not in store.modalities:
            continue
        if set(store.attributes(modality)["contigs"]) != set(chromosomes):
            raise InputError(
                f"{store.path} has {modality} on {', '.join(store.attributes(modality)['contigs'])}, the manifest asks "
                f"for {', '.join(chromosomes)}; the tracks of a modality share their chromosomes: list the same"
            )
        replaced = {key for part in parts for key in _digests(part.table)}
        kept = [row for row, key in enumerate(_digests(store.tracks(modality))) if key not in replaced]
        if kept:
            source = StoredTracks(store, modality, kept)
            names: dict[str, str | None] = {name: name for name in chromosomes}
            old = Part(modality, source, source.tracks(), names, "missing", f"{store.path}/{modality}")
            for part in parts:
                check_same_form(old.label, form_of(source), part)
            whole[modality] = [old, *parts]
    return whole
