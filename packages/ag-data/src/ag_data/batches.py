"""What a batch is made of, and how one row of it is read.

    {"codes": uint8 [batch, position], "organism": int32 [batch], "targets": {modality: {name: [batch, ...]}}}

Codes become one-hot on the device (`ag_core.sequence.one_hot`); targets are what the loss of a modality's head asks
for (`ag_data.layouts`). Rows are written where they belong, by any thread, and nothing is copied afterwards.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.sequence import UNKNOWN

from ag_data.layouts import find_layout
from ag_data.layouts.layout import AbstractLayout
from ag_data.layouts.slots import Part, check_tables, find_partners, merge_tables, pad_tables, place_tracks
from ag_data.mutate import SPARE, Mutations, mutate
from ag_data.splice_sites import CLASSES
from ag_data.store import TrackStore
from ag_data.streams import KEYS, Stream, Wanted, check_organisms, check_stream, describe_stream, digest

Batch = dict[str, Any]
# Bytes; what XLA wants on CPUs.
ALIGNMENT = 64


class Batches:
    """Allocates batches of windows of `length` bp and fills their rows. Threads may share it.

    `tracks` has the tables of each modality, one for each organism: a model's heads are made with these. Raises
    InputError when streams, stores and wishes do not fit together.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        length: int,
        modalities: Iterable[str] | Mapping[str, Wanted] | None = None,
    ):
        self.streams, self.length = tuple(streams), length
        if not self.streams or length < 1:
            raise InputError(f"{len(self.streams)} streams of windows of {length} bp: expected at least one of each")
        for stream in self.streams:
            check_stream(stream)
        check_organisms(self.streams)
        if modalities is None:
            modalities = [name for stream in self.streams for store in stream.all_stores for name in store.modalities]
        wanted = modalities if isinstance(modalities, Mapping) else {name: Wanted() for name in modalities}
        self.tracks: dict[str, tuple[xr.Dataset, ...]] = {}
        # For each modality, how each stream's rows are read, and rows that hold nothing.
        self._layouts: dict[str, list[AbstractLayout]] = {}
        self._nothing: dict[str, AbstractLayout] = {}
        for name, wish in wanted.items():
            self._plan(name, wish)

    def _plan(self, modality: str, wish: Wanted) -> None:
        stores = [store for stream in self.streams for store in stream.all_stores if modality in store.modalities]
        if not stores:
            known = sorted(
                {name for stream in self.streams for store in stream.all_stores for name in store.modalities}
            )
            raise InputError(f"no store has {modality!r}; they have {', '.join(known) or 'nothing'}")
        layouts = {store.layout(modality) for store in stores}
        if len(layouts) > 1:
            raise InputError(f"{modality}: stores have the layouts {', '.join(sorted(layouts))}; import them alike")
        layout = layouts.pop()
        if wish.sites is not None and layout != "junctions":
            raise InputError(f"{modality}: `sites` is for junctions, this has the layout {layout!r}")
        resolution = wish.resolution or max(store.resolution(modality) for store in stores)
        self.tracks[modality] = tables = self._tables(modality, layout, wish)
        make = find_layout(layout)
        readers = []
        for stream in self.streams:
            table = tables[stream.organism]
            parts = [self._part(store, modality, layout, table) for store in stream.all_stores]
            parts = [part for part in parts if part is not None]
            _check_twice(modality, parts, table)
            options = _options(layout, wish)
            if layout == "junctions":
                options["annotated"] = stream.sites
            readers.append(make(modality, table, parts, resolution, **options))
            readers[-1].shapes(self.length)
        self._layouts[modality] = readers
        self._nothing[modality] = make(modality, tables[0], (), resolution, **_options(layout, wish))

    def _tables(self, modality: str, layout: str, wish: Wanted) -> tuple[xr.Dataset, ...]:
        count = max(stream.organism for stream in self.streams) + 1
        if wish.tracks is not None:
            tables = check_tables(modality, wish.tracks)
            if len(tables) < count:
                raise InputError(f"{modality}: {len(tables)} tables of tracks for {count} organisms; give one for each")
            return tables
        found: dict[int, list[xr.Dataset]] = {}
        for stream in self.streams:
            own = [store.tracks(modality) for store in stream.all_stores if modality in store.modalities]
            found.setdefault(stream.organism, []).extend(own)
        merged = {organism: merge_tables(own) for organism, own in found.items() if own}
        size = CLASSES if layout == "classes" else 0
        return pad_tables(merged, count, size)

    def _part(self, store: TrackStore, modality: str, layout: str, table: xr.Dataset) -> Part | None:
        if layout == "classes" and modality in store.modalities:  # classes go by their order, not by name
            columns = np.arange(store.tracks(modality).sizes["track"])
            return Part(store, modality, columns, columns, None)
        return place_tracks(store, modality, table)

    def check_strands(self) -> None:
        """Raises InputError when tracks have no partners on the other strand, so that windows cannot be reversed."""
        for modality, readers in self._layouts.items():
            if readers[0].settings()["layout"] in ("signal", "usage"):
                for table in self.tracks[modality]:
                    find_partners(modality, table)

    def allocate(self, rows: int) -> Batch:
        """Arrays for `rows` rows, not yet filled."""
        targets: dict[str, dict[str, np.ndarray]] = {}
        for modality, readers in self._layouts.items():
            shapes = [reader.shapes(self.length) for reader in readers]
            targets[modality] = {
                name: _aligned((rows, *shape), np.result_type(*(other[name][1] for other in shapes)))
                for name, (shape, _) in shapes[0].items()
            }
        codes = _aligned((rows, self.length), np.dtype(np.uint8))
        return {"codes": codes, "organism": np.empty(rows, np.int32), "targets": targets}

    def fill(
        self,
        batch: Batch,
        row: int,
        stream: int,
        interval: Interval,
        mutations: Mutations | None = None,
        generator: np.random.Generator | None = None,
    ) -> None:
        """Reads one row: an interval of a stream, '-' as its reverse complement. Raises what reading raises.

        `mutations` change the sequence, and nothing else, by `generator`.
        """
        own = self.streams[stream]
        with _naming(f"the genome {own.genome.source}"):
            if mutations is None or generator is None:
                batch["codes"][row] = own.genome.codes(interval)
            else:
                codes = own.genome.codes(interval.pad(0, SPARE))
                batch["codes"][row] = mutate(codes, generator, mutations, self.length)
        batch["organism"][row] = own.organism
        for modality, readers in self._layouts.items():
            target = {name: array[row] for name, array in batch["targets"][modality].items()}
            with _naming(f"{modality} of {', '.join(str(store.path) for store in own.all_stores)}"):
                readers[stream].fill(interval, target, own.blacklist)

    def empty(self, batch: Batch, row: int) -> None:
        """A row with nothing in it: unknown bases, nothing measured."""
        batch["codes"][row], batch["organism"][row] = UNKNOWN, 0
        for modality, reader in self._nothing.items():
            target = {name: array[row] for name, array in batch["targets"][modality].items()}
            reader.fill(Interval("", 0, self.length), target)

    def settings(self) -> dict[str, Any]:
        """What decides about the content of batches, for telling whether two loaders deliver the same."""
        modalities = {
            name: {
                **{f"stream {number}": reader.settings() for number, reader in enumerate(readers)},
                "tracks": digest([table[key].values.tolist() for table in self.tracks[name] for key in KEYS]),
            }
            for name, readers in self._layouts.items()
        }
        streams = [describe_stream(stream, self._layouts) for stream in self.streams]
        return {"length": self.length, "modalities": modalities, "streams": streams}


@contextlib.contextmanager
def _naming(what: str) -> Iterator[None]:
    """Lets errors say what was being read."""
    try:
        yield
    except Exception as error:
        kind = InputError if isinstance(error, InputError) else RuntimeError
        raise kind(f"{what}: {error if kind is InputError else repr(error)}") from error


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An empty array that a CPU device takes over as it is, where another would be copied."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def _options(layout: str, wish: Wanted) -> dict[str, Any]:
    return {"sites": wish.sites} if layout == "junctions" and wish.sites is not None else {}


def _check_twice(modality: str, parts: Sequence[Part], table: xr.Dataset) -> None:
    places: dict[int, Part] = {}
    for part in parts:
        for slot in part.slots.tolist():
            if slot in places and part.store.layout(modality) != "classes":
                raise InputError(
                    f"{modality} {table['name'].values[slot]!r} is both in {places[slot].store.path} and in "
                    f"{part.store.path}; leave one of them out"
                )
            places[slot] = part
