"""Where examples come from: genomes, what was measured on them, and the windows that are drawn."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
import xarray as xr
from ag_core.errors import InputError

from ag_data.blacklist import Blacklist
from ag_data.contigs import match_contig
from ag_data.genome_store import Genome, check_same_genome
from ag_data.sampling import AbstractSampler
from ag_data.splice_sites import SpliceSites
from ag_data.store import TrackStore

# Columns that tell tracks apart.
KEYS = ("name", "strand")


@dataclasses.dataclass(frozen=True, eq=False)
class Stream:
    """Where examples come from: a genome, what was measured on it (one store or several), and the windows drawn.

    `organism` is the model's number for it. `blacklist` names places that count as not measured, `sites` annotated
    splice sites that junction targets have room for; `name` is for messages.
    """

    genome: Genome
    stores: TrackStore | Sequence[TrackStore]
    sampler: AbstractSampler
    organism: int = 0
    blacklist: Blacklist | None = None
    sites: SpliceSites | None = None
    name: str = ""

    @property
    def all_stores(self) -> tuple[TrackStore, ...]:
        """The stores as a tuple."""
        return (self.stores,) if isinstance(self.stores, TrackStore) else tuple(self.stores)


@dataclasses.dataclass(frozen=True, eq=False)
class Wanted:
    """How a modality is wanted: `tracks` are the model's tables, one for each organism (default: what stores have,
    padded to equal length), `resolution` is that of its finest target in bp (default: the stores'), `sites` is how
    many splice sites a row of junction targets holds.
    """

    tracks: Sequence[xr.Dataset] | None = None
    resolution: int | None = None
    sites: int | None = None


def describe_stream(stream: Stream, modalities: Iterable[str]) -> dict[str, Any]:
    """What of a stream decides about its examples, as JSON; of the stores only `modalities` count."""
    modalities = tuple(modalities)
    return {
        "organism": stream.organism,
        "genome": digest([stream.genome.digest(name) for name in stream.sampler.chromosomes()]),
        "stores": [_store_digest(store, modalities) for store in stream.all_stores],
        "sampler": stream.sampler.fingerprint(),
        "blacklist": stream.blacklist and stream.blacklist.regions.fingerprint(),
        "sites": None if stream.sites is None else _table_digest(stream.sites.table),
    }


def digest(content: Any) -> str:
    """SHA-256 of plain data."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def check_stream(stream: Stream) -> None:
    """Raises InputError when a stream's stores are of another genome, or have nothing where its windows are."""
    for store in stream.all_stores:
        check_same_genome(stream.genome, store.attrs["contigs"], str(store.path))
    for name in stream.sampler.chromosomes():
        if stream.genome.find_chromosome(name) is None:
            raise InputError(f"windows are drawn on {name}, which {stream.genome.source} does not have; use its genome")
        measured = any(match_contig(name, store.chromosomes) for store in stream.all_stores)
        if stream.all_stores and not measured:
            paths = ", ".join(str(store.path) for store in stream.all_stores)
            raise InputError(
                f"windows are drawn on {name}, where {paths} has nothing; draw them elsewhere, or import it"
            )


def check_organisms(streams: Sequence[Stream]) -> None:
    """Raises InputError when stores of different organisms have the same number."""
    names: dict[int, set[str]] = {}
    for stream in streams:
        if stream.organism < 0:
            raise InputError(f"organism {stream.organism}: expected the model's number for it, 0 or more")
        names.setdefault(stream.organism, set()).update(store.organism for store in stream.all_stores)
    for number, found in names.items():
        if len(found) > 1:
            raise InputError(
                f"organism {number} has stores of {' and of '.join(sorted(found))}; give each its own number"
            )


def _store_digest(store: TrackStore, modalities: tuple[str, ...]) -> str:
    known = []
    for modality in modalities:
        if modality in store.modalities:
            table, about = store.tracks(modality), store.attributes(modality)
            columns = [table[key].values.tolist() for key in (*KEYS, "source_digest") if key in table]
            totals = store.statistics(modality)["total"].values.tolist()
            known.append([modality, {key: about[key] for key in sorted(about) if key != "facts"}, columns, totals])
    return digest(known)


def _table_digest(table: pd.DataFrame) -> str:
    return digest([table[column].tolist() for column in table])
