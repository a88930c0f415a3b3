"""From settings to batches: stores and genomes opened, splits made and checked for leaks, loaders that take turns."""

import functools
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.plugins import registry
from ag_data import Augment, Loader, Mutations, Stream
from ag_data.annotation import read_gtf
from ag_data.batches import Batch, Batches
from ag_data.blacklist import read_blacklist
from ag_data.draws import Turns
from ag_data.layouts.slots import merge_tables, pad_tables, track_keys
from ag_data.loader import local_rows, split_batch
from ag_data.regions import read_peaks
from ag_data.sampling import AbstractSampler, Anywhere, ByGene, ByPeak, Mix, Tiled, Uniform
from ag_data.splice_sites import CLASSES, read_splice_sites
from ag_data.store_info import count_bins
from ag_data.streams import Wanted

from ag_heads.recipes import settings as own
from ag_heads.recipes.settings import Settings
from ag_heads.recipes.splits import Source, check_leaks, open_source

Tables = dict[str, tuple[xr.Dataset, ...]]


class Data:
    """Everything a run reads: tables of tracks for the heads, loaders for training and for validation.

    `known` are the tables of the teachers that a student learns from; by default they are those of the stores.
    `seen_before`: what the teachers were trained on. Raises InputError for files that are missing or do not fit, tracks
    that no store has, and splits that leak.
    """

    def __init__(
        self,
        settings: Settings,
        known: Mapping[str, tuple[xr.Dataset, ...]] | None = None,
        seen_before: Sequence[Mapping[str, tuple[str, ...]] | None] = (),
    ):
        self.settings, self._known, self.seen_before = settings, known, seen_before
        self.sources = {
            name: {stream: open_source(settings, feed, each) for stream, each in feed.streams.items()}
            for name, feed in settings.data.items()
        }
        for name, sources in self.sources.items():
            for stream, source in sources.items():
                check_leaks(f"data.{name}.streams.{stream}", source)
        self.modalities = {name: self._modalities(name) for name in settings.data}
        self.tables: Tables = {modality: self._tables(modality) for modality in settings.model.heads}
        self._held: dict[str, tuple[Batches, list[tuple[int, Interval]]] | None] = {}

    def loader(self, name: str, *, mesh: Any = None, state: Mapping[str, Any] | None = None) -> Loader:
        """Training batches of a feed."""
        feed, run = self.settings.data[name], self.settings.run
        number = list(self.settings.data).index(name)
        distil = self.settings.distil
        mutations = None if distil is None or distil.mutations is None else Mutations(**distil.mutations.model_dump())
        augment = Augment(shift=feed.augment.shift, reverse=feed.augment.reverse, mutations=mutations)
        length = feed.length or self.settings.model.window
        sources = self.sources[name].items()
        streams = [self._stream(source, self._sampler(source, feed, length), key) for key, source in sources]
        return Loader(
            streams,
            batch=feed.batch,
            length=length,
            modalities=self._wanted(name) if distil is None else (),
            augment=augment,
            seed=self.settings.seed * 1000 + number,
            weights=[each.share for each in feed.streams.values()],
            threads=run.threads,
            device=mesh is None,
            mesh=mesh,
            state=state,
        )

    def validation(self, name: str, *, mesh: Any = None) -> Iterator[Batch]:
        """Validation batches of a feed, the same each time: windows end to end, spread evenly, not augmented."""
        if name not in self._held:
            self._held[name] = self._plan_validation(name)
        held, feed = self._held[name], self.settings.data[name]
        if held is None:
            return
        batches, drawn = held
        rows = list(range(feed.batch)) if mesh is None else local_rows(mesh, feed.batch)
        for begin in range(0, len(drawn), feed.batch):
            batch = batches.allocate(len(rows))
            for place, row in enumerate(rows):
                if begin + row < len(drawn):
                    batches.fill(batch, place, *drawn[begin + row])
                else:
                    batches.empty(batch, place)
            yield batch if mesh is None else split_batch(batch, mesh, feed.batch)

    def _plan_validation(self, name: str) -> tuple[Batches, list[tuple[int, Interval]]] | None:
        """Streams, and the windows of each (by its number); None where nothing is held out."""
        feed, wanted = self.settings.data[name], self._wanted(name)
        length = feed.length or self.settings.model.window
        drawn: list[tuple[int, Interval]] = []
        streams = []
        for number, (key, source) in enumerate(self.sources[name].items()):
            sampler = _held_out(source, length, feed) if source.stores and len(source.split["valid"]) else None
            streams.append(self._stream(source, sampler or self._sampler(source, feed, length), key))
            if sampler is not None and sampler.size is not None:
                drawn += [(number, sampler.draw(0, index)) for index in range(sampler.size)]
        # All streams in one, so that one program serves all.
        return (Batches(streams, length, wanted), drawn) if drawn and wanted else None

    def averages(self, modality: str) -> np.ndarray:
        """[organism, slot] means over all measured bases (per base for signal; NaN where unknown)."""
        tables = self.tables[modality]
        found = np.full((len(tables), tables[0].sizes["track"]), np.nan)
        for source in self._all_sources():
            for store in source.stores:
                if modality not in store.modalities:
                    continue
                own_table, stats = store.tracks(modality), store.statistics(modality)
                width = store.resolution(modality) if store.layout(modality) == "signal" else 1
                # A chromosome may be measured in part.
                measured = (count_bins(store, modality) - stats["missing"].values.sum(axis=0)) * width
                with np.errstate(invalid="ignore", divide="ignore"):
                    mean = stats["total"].values.sum(axis=0) / np.where(measured > 0, measured, np.nan)
                table = tables[source.organism]
                if store.layout(modality) == "classes":
                    found[source.organism, : len(mean)] = mean
                    continue
                places = {key: slot for slot, key in enumerate(track_keys(table))}
                for column, key in enumerate(track_keys(own_table)):
                    if key in places:
                        found[source.organism, places[key]] = mean[column]
        return found

    def _stream(self, source: Source, sampler: AbstractSampler, name: str) -> Stream:
        chosen = source.settings
        blacklist = None if chosen.blacklist is None else read_blacklist(self.settings.locate(chosen.blacklist))
        sites = None if chosen.sites is None else read_splice_sites(self.settings.locate(chosen.sites))
        return Stream(source.genome, source.stores, sampler, source.organism, blacklist, sites, name)

    def _sampler(self, source: Source, feed: own.Feed, length: int) -> AbstractSampler:
        train, genome, margin = source.split["train"], source.genome, feed.augment.shift
        if source.settings.split.folds is not None:
            return Uniform(train, length=length, genome=genome)
        parts: list[tuple[AbstractSampler, float]] = []
        for windows in source.settings.windows:
            jitter = length // 2 if windows.jitter is None else windows.jitter
            common: dict[str, Any] = {"genome": genome, "max_unknown": windows.max_unknown, "margin": margin}
            if windows.draw == "anywhere":
                parts.append((Anywhere(train, length, **common), windows.share))
                continue
            paths = self.settings.locate_all(windows.file or [])
            for path in paths:
                share = windows.share / len(paths)
                made: AbstractSampler
                if windows.draw == "genes":
                    made = ByGene(_annotation(path), length, at=windows.at, jitter=jitter, within=train, **common)
                else:
                    made = ByPeak(read_peaks(path), length, jitter=jitter, within=train, **common)
                parts.append((made, share))
        return parts[0][0] if len(parts) == 1 else Mix(parts)

    def _all_sources(self) -> Iterator[Source]:
        for sources in self.sources.values():
            yield from sources.values()

    def _modalities(self, name: str) -> list[str]:
        feed = self.settings.data[name]
        if self._known is not None:
            return [modality for modality in feed.modalities or self.settings.model.heads if modality in self._known]
        there = {modality for s in self.sources[name].values() for store in s.stores for modality in store.modalities}
        if feed.modalities is not None:
            if missing := [modality for modality in feed.modalities if modality not in there]:
                known = ", ".join(sorted(there))
                raise InputError(f"data.{name}: no store has {', '.join(missing)}; they have {known}")
            return feed.modalities
        return [modality for modality in self.settings.model.heads if modality in there]

    def _tables(self, modality: str) -> tuple[xr.Dataset, ...]:
        if self._known is not None:
            if modality not in self._known:
                raise InputError(f"model.heads.{modality}: the teachers do not predict it; leave the head out")
            return self._known[modality]
        found: dict[int, list[xr.Dataset]] = {}
        layouts = set()
        for source in self._all_sources():
            for store in source.stores:
                if modality in store.modalities:
                    table = store.tracks(modality)
                    found.setdefault(source.organism, []).append(table)
                    layouts.add(store.layout(modality))
        if not found:
            raise InputError(f"model.heads.{modality}: no store has it; leave the head out, or import such tracks")
        merged = {organism: merge_tables(tables) for organism, tables in found.items()}
        size = CLASSES if layouts == {"classes"} else 0
        return pad_tables(merged, len(self.settings.model.organisms), size)

    def _wanted(self, name: str) -> dict[str, Wanted]:
        heads = self.settings.model.heads
        return {
            modality: Wanted(
                tracks=self.tables[modality],
                resolution=target_resolution(heads[modality], modality),
                sites=heads[modality].sites,
            )
            for modality in self.modalities[name]
            if any(modality in store.modalities for each in self.sources[name].values() for store in each.stores)
        }


class TakeTurns:
    """Training batches of all feeds, each with the feed's name, in exact shares; goes on from `state()`."""

    def __init__(self, data: Data, *, mesh: Any = None, state: Mapping[str, Any] | None = None):
        feeds = data.settings.data
        self._turns = Turns([feed.share for feed in feeds.values()])
        self._names, self._seed = list(feeds), data.settings.seed
        self._step = 0 if state is None else int(state["step"])
        states = {} if state is None else state["feeds"]
        self._loaders = {name: data.loader(name, mesh=mesh, state=states.get(name)) for name in feeds}

    def __enter__(self) -> "TakeTurns":
        return self

    def __exit__(self, *_: object) -> None:
        for loader in self._loaders.values():
            loader.close()

    def next(self) -> tuple[str, Batch]:
        """The next batch and the feed it comes from."""
        number, _ = self._turns.at(self._seed, self._step)
        batch = next(self._loaders[self._names[number]])
        self._step += 1
        return self._names[number], batch

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"step": self._step, "feeds": {name: loader.state() for name, loader in self._loaders.items()}}


def target_resolution(head: own.HeadSettings, modality: str) -> int | None:
    """In which bins (bp) a head's target comes: what its options say, or those of its plugin; None for the store's."""
    options = {**registry().get("heads", head.plugin or modality).options, **head.options}
    finest = min(options["resolutions"]) if "resolutions" in options else None
    return max(finest, options.get("target_resolution", 0)) if finest is not None else None


@functools.lru_cache(maxsize=4)
def _annotation(path: pathlib.Path) -> Any:
    return read_gtf(path)


def _held_out(source: Source, length: int, feed: own.Feed) -> AbstractSampler | None:
    valid = source.split["valid"]
    if source.settings.split.folds is not None:
        return Uniform(valid, length=length, genome=source.genome)
    try:
        tiled = Tiled(valid, length, genome=source.genome)
    except InputError:
        return None  # shorter than a window
    most = max(source.settings.valid // feed.batch, 1) * feed.batch
    if tiled.size is not None and tiled.size > most:
        rows = np.linspace(0, tiled.size - 1, most).round().astype(int)
        return Uniform(tiled.windows.iloc[rows], length=None)
    return tiled
