"""Batches for training, read ahead by threads: batch i is a function of the seed and of i alone.

    with Loader([Stream(genome, store, sampler)], batch=8, length=131_072, augment=Augment()) as loader:
        for batch in loader: ...

Threads change when a batch is read, never what is in it, so that a run that was interrupted goes on bit for bit from
`state()`, also with other threads. Several processes with a mesh read only their own rows.
"""

import collections
import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval

from ag_data.augment import Augment
from ag_data.batches import Batch, Batches
from ag_data.draws import Purpose, Turns, generator, part_seed
from ag_data.streams import Stream, Wanted

if TYPE_CHECKING:
    from jax.sharding import Mesh

STATE_VERSION = 1


class Loader:
    """An iterator over batches (`ag_data.batches`), endless unless `epochs` are given.

    - `streams` take turns by their `weights` (default: equal), in exact shares of every 1,000 examples.
    - `modalities`: names, or a mapping to `Wanted`; default: all that the stores have.
    - `augment`: random shifts and strands; None reads every window as it was drawn.
    - `epochs` (of one stream): every window that often; rows that are left over at the end are empty.
    - `threads` read rows, `prefetch` batches are kept ready or under way.
    - `device` puts batches on the default device ahead of time; with a `mesh` (`ag_core.mesh`) their rows are split
      over its axis `data`, and each process reads those of its own devices.
    - `state`: goes on from there (`state()` of a loader with the same settings).

    Close it, or use it in a `with` statement. Raises InputError for settings that do not fit together; errors while
    reading come up at the iteration, and name what was read and where.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        *,
        batch: int,
        length: int,
        modalities: Iterable[str] | Mapping[str, Wanted] | None = None,
        augment: Augment | None = None,
        seed: int = 0,
        weights: Sequence[float] | None = None,
        epochs: int | None = None,
        threads: int = 4,
        prefetch: int = 2,
        device: bool = False,
        mesh: "Mesh | None" = None,
        state: Mapping[str, Any] | None = None,
    ):
        if min(batch, threads, prefetch) < 1 or seed < 0:
            raise InputError(
                f"batch={batch}, threads={threads}, prefetch={prefetch}, seed={seed}: expected at least 1 of each of "
                "the first three, and a seed of at least 0"
            )
        self._batches = Batches(streams, length, modalities)
        self._size, self._length, self._seed, self._augment = batch, length, seed, augment
        if augment is not None and augment.mutations is not None and self._batches.tracks:
            raise InputError(
                "mutations change the sequence, and measured targets are not of that; for distillation ask for no "
                "modalities (`modalities=()`) and let the teacher make the targets"
            )
        if augment is not None and augment.reverse > 0:
            self._batches.check_strands()
        self._turns = Turns([1.0] * len(streams) if weights is None else weights)
        if len(self._turns.quotas) != len(streams):
            raise InputError(f"{len(self._turns.quotas)} weights for {len(streams)} streams; give one for each")
        self._examples = self._count(epochs)
        self._device, self._mesh = device, mesh
        self._rows = list(range(batch)) if mesh is None else local_rows(mesh, batch)
        self._prefetch = prefetch
        self._settings = self._describe(epochs)
        self._next = 0
        self._queue: collections.deque[Future[Batch]] = collections.deque()
        if state is not None:
            self.restore(state)
        self._readers: ThreadPoolExecutor | None = ThreadPoolExecutor(threads, "ag-loader")
        self._finisher = ThreadPoolExecutor(1, "ag-loader-finish")

    @property
    def tracks(self) -> dict[str, tuple[xr.Dataset, ...]]:
        """The track tables of each modality, one for each organism: what the model's heads are made with."""
        return self._batches.tracks

    def __enter__(self) -> "Loader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __len__(self) -> int:
        """Batches in all. Raises TypeError for a loader without end."""
        if self._examples is None:
            raise TypeError("this loader has no end; give `epochs` if it should have one")
        return -(-self._examples // self._size)

    def __next__(self) -> Batch:
        if self._readers is None:
            raise RuntimeError("the loader is closed")
        self._read_ahead(self._readers)
        if not self._queue:
            raise StopIteration
        try:
            batch = self._queue[0].result()
        except Exception:
            self._drop()
            raise
        self._queue.popleft()
        self._next += 1
        self._read_ahead(self._readers)
        return batch

    def windows(self, index: int) -> list[Interval | None]:
        """What the rows of batch `index` cover, '-' where reversed; None for rows left over at the end."""
        drawn = (self._draw(index * self._size + row) for row in range(self._size))
        return [None if one is None else one[1] for one in drawn]

    def state(self) -> dict[str, Any]:
        """Where the iteration stands, for a checkpoint (JSON): the next batch, and the settings it depends on."""
        return {"version": STATE_VERSION, "next": self._next, "settings": self._settings}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from `state`. Raises InputError, saying what differs, for one of other settings."""
        if state.get("version") != STATE_VERSION or not isinstance(state.get("next"), int):
            raise InputError(
                f"no state of a loader of this version: {str(dict(state))[:80]}; expected `Loader.state()`"
            )
        own, other = _flatten(self._settings), _flatten(state.get("settings"))
        keys = [key for key in {**other, **own} if own.get(key) != other.get(key)]
        if keys:
            shown = [f"{key} was {_short(other.get(key))}, now {_short(own.get(key))}" for key in keys]
            raise InputError(
                f"the state is of another loader: {'; '.join(shown[:5])}; make the settings the same, or start anew "
                "without a state"
            )
        self._drop()
        self._next = state["next"]

    def close(self) -> None:
        """Stops reading; waits until no thread is at work."""
        readers, self._readers = self._readers, None
        if readers is not None:
            self._drop()
            readers.shutdown(wait=True, cancel_futures=True)
            self._finisher.shutdown(wait=True, cancel_futures=True)

    def _count(self, epochs: int | None) -> int | None:
        if epochs is None:
            return None
        size = self._batches.streams[0].sampler.size
        if len(self._batches.streams) > 1 or size is None or epochs < 1:
            raise InputError("epochs: expected at least 1, of a single stream whose sampler has a size")
        return size * epochs

    def _describe(self, epochs: int | None) -> dict[str, Any]:
        augment = None if self._augment is None else dataclasses.asdict(self._augment)
        own = {"batch": self._size, "seed": self._seed, "epochs": epochs, "augment": augment}
        return json.loads(json.dumps({**own, "shares": self._turns.quotas, **self._batches.settings()}))

    def _draw(self, example: int) -> tuple[int, Interval] | None:
        """The stream and the window of an example; None after the last."""
        if self._examples is not None and example >= self._examples:
            return None
        number, turn = self._turns.at(self._seed, example)
        drawn = self._batches.streams[number].sampler.draw(part_seed(self._seed, number), turn)
        window = drawn.as_unstranded().resize(self._length)
        return number, window if self._augment is None else self._augment.vary(window, self._seed, example)

    def _read_ahead(self, readers: ThreadPoolExecutor) -> None:
        while len(self._queue) < self._prefetch:
            index = self._next + len(self._queue)
            if self._examples is not None and index * self._size >= self._examples:
                return
            batch = self._batches.allocate(len(self._rows))
            rows = [readers.submit(self._read, batch, place, index, row) for place, row in enumerate(self._rows)]
            self._queue.append(self._finisher.submit(self._finish, batch, rows))

    def _read(self, batch: Batch, place: int, index: int, row: int) -> None:
        """Fills one row of a batch: `place` in this process, `row` of the whole batch."""
        example, where = index * self._size + row, f"batch {index}, row {row}"
        try:
            drawn = self._draw(example)
            if drawn is None:
                self._batches.empty(batch, place)
                return
            number, interval = drawn
            stream = self._batches.streams[number]
            where += f", {interval} of stream {stream.name or number}"
            mutations = None if self._augment is None else self._augment.mutations
            draws = None if mutations is None else generator(self._seed, Purpose.MUTATE, example)
            self._batches.fill(batch, place, number, interval, mutations, draws)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        except Exception as error:
            raise RuntimeError(f"{where}: {error}") from error

    def _finish(self, batch: Batch, rows: list[Future[None]]) -> Batch:
        """Waits for all rows, and puts the batch where it is wanted."""
        for row in rows:
            row.result()
        if self._mesh is not None:
            return split_batch(batch, self._mesh, self._size)
        if self._device:
            import jax

            return jax.device_put(batch)
        return batch

    def _drop(self) -> None:
        for future in self._queue:
            future.cancel()
        self._queue.clear()


def local_rows(mesh: "Mesh", batch: int) -> list[int]:
    """The rows of a batch that this process' devices hold. Raises InputError when rows do not divide."""
    from ag_core.mesh import DATA
    from jax.sharding import NamedSharding, PartitionSpec

    if batch % mesh.shape[DATA]:
        raise InputError(
            f"a batch of {batch} cannot be split over {mesh.shape[DATA]} devices of the mesh's axis {DATA!r}; choose "
            "a multiple"
        )
    places = NamedSharding(mesh, PartitionSpec(DATA)).addressable_devices_indices_map((batch,))
    return sorted({row for place in places.values() if place for row in range(batch)[place[0]]})


def split_batch(local: Batch, mesh: "Mesh", batch: int) -> Batch:
    """The global batch from this process' rows: examples split over the mesh's axis `data`, positions over `seq`.

    Bins along the sequence that the devices do not divide are on all of a row's devices.
    """
    import jax
    from ag_core.mesh import DATA, SEQ
    from jax.sharding import NamedSharding, PartitionSpec

    rows, length, parts = local_rows(mesh, batch), local["codes"].shape[1], mesh.shape[SEQ]

    def place(array: Any) -> Any:
        bins = array.shape[1] if array.ndim > 1 else 0
        along = bins and length % bins == 0 and bins % parts == 0
        sharding = NamedSharding(mesh, PartitionSpec(DATA, SEQ) if along else PartitionSpec(DATA))

        def part(index: Any) -> Any:
            first, end, _ = index[0].indices(batch)
            begin = rows.index(first)
            return array[(slice(begin, begin + end - first), *index[1:])]

        return jax.make_array_from_callback((batch, *array.shape[1:]), sharding, part)

    return jax.tree.map(place, local)


def _flatten(settings: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(settings, dict | list) and settings:
        items = settings.items() if isinstance(settings, dict) else enumerate(settings)
        return {key: x for name, part in items for key, x in _flatten(part, f"{prefix}{name}.").items()}
    return {prefix.rstrip("."): settings}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 24 else f"{text[:12]}..."
