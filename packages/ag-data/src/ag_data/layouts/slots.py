"""Where a store's tracks go in a model's table of tracks, found by name and strand.

Organisms of a model have tables of equal length, filled up with padding; a batch has a slot for each row.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.schema import PADDING, check_tracks, strand_partners, track_table
from jaxtyping import Int

from ag_data.parts import join_tables
from ag_data.store import TrackStore


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """Tracks of one store that a model wants: `columns` of the store's table go to `slots` of the model's."""

    store: TrackStore
    modality: str
    columns: Int[np.ndarray, " track"]
    slots: Int[np.ndarray, " track"]

    # What `TrackStore.read` is asked for: None where that is all of the store's tracks, in its order.
    wanted: Int[np.ndarray, " track"] | None


def place_tracks(store: TrackStore, modality: str, table: xr.Dataset) -> Part | None:
    """The store's tracks that are in a model's table, by (name, strand); None when it has not got the modality.

    Tracks that the table does not name are not read. Raises InputError when it names none of them.
    """
    if modality not in store.modalities:
        return None
    own, keys = track_keys(store.tracks(modality)), track_keys(table)
    places = {key: slot for slot, key in enumerate(keys) if not _is_padding(key)}
    pairs = [(column, places[key]) for column, key in enumerate(own) if key in places]
    if not pairs:
        raise InputError(
            f"{store.path}: none of its {modality} tracks ({_some(own)}) is in the model's table ({_some(places)}); "
            "names and strands must be the same"
        )
    columns, slots = (np.array(numbers) for numbers in zip(*pairs, strict=True))
    return Part(store, modality, columns, slots, None if np.array_equal(columns, np.arange(len(own))) else columns)


def merge_tables(tables: Iterable[xr.Dataset]) -> xr.Dataset:
    """All tracks of several tables, each (name, strand) once and in the order of first appearance."""
    known: set[tuple[str, str]] = set()
    parts = []
    for table in tables:
        rows = [row for row, key in enumerate(track_keys(table)) if key not in known and not _is_padding(key)]
        known.update(track_keys(table))
        parts.append(table.isel(track=rows))
    return join_tables(parts)


def pad_tables(tables: Mapping[int, xr.Dataset], organisms: int, size: int = 0) -> tuple[xr.Dataset, ...]:
    """One table for each organism, all of equal length (at least `size`); one without any has padding alone."""
    length = max(size, *(table.sizes["track"] for table in tables.values()))
    padded = []
    for organism in range(organisms):
        own = [tables[organism]] if organism in tables else []
        missing = length - sum(table.sizes["track"] for table in own)
        filler = track_table({"name": [PADDING] * missing, "strand": ["."] * missing})
        padded.append(join_tables([*own, filler]) if missing else own[0])
    return tuple(padded)


def check_tables(modality: str, tables: Sequence[xr.Dataset]) -> tuple[xr.Dataset, ...]:
    """A model's tables, one for each organism. Raises InputError when they differ in length, or are no tables."""
    try:
        for table in tables:
            check_tracks(table)
    except ValueError as error:
        raise InputError(f"{modality}: {error}") from error
    sizes = {table.sizes["track"] for table in tables}
    if len(sizes) != 1:
        raise InputError(f"{modality}: organisms have {sorted(sizes)} tracks; pad the tables to equal length")
    return tuple(tables)


def find_partners(modality: str, table: xr.Dataset) -> Int[np.ndarray, " track"]:
    """Each slot's partner on the other strand, as heads have it: the k-th '+' and the k-th '-'.

    Raises InputError when strands do not pair up, or when names show that the order pairs up the wrong ones.
    """
    try:
        partners = strand_partners(table)
    except ValueError as error:
        raise InputError(f"{modality}: {error}; add the missing strand, or read windows forwards only") from error
    names, strands = table["name"].values.tolist(), table["strand"].values
    plus = [names[slot] for slot in np.flatnonzero(strands == "+")]
    minus = [names[slot] for slot in np.flatnonzero(strands == "-")]
    if plus != minus and sorted(plus) == sorted(minus):
        wrong = next(pair for pair in zip(plus, minus, strict=True) if pair[0] != pair[1])
        raise InputError(
            f"{modality}: the k-th '+' and the k-th '-' track are one experiment, but {wrong[0]!r} is paired with "
            f"{wrong[1]!r}; list both strands in the same order"
        )
    return partners


def track_keys(table: xr.Dataset) -> list[tuple[str, str]]:
    """Name and strand of each slot: what makes a track the same track elsewhere."""
    return list(zip(table["name"].values.tolist(), table["strand"].values.tolist(), strict=True))


def _is_padding(key: tuple[str, str]) -> bool:
    return key[0].lower() == PADDING


def _some(keys: Iterable[tuple[str, str]]) -> str:
    shown = [f"{name} ({strand})" for name, strand in keys]
    return ", ".join(shown[:3]) + (", ..." if len(shown) > 3 else "") or "none"
