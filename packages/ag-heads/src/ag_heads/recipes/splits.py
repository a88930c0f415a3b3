"""A stream's files opened, and its genome split into what is learnt from and what is held out."""

import dataclasses
from collections.abc import Sequence

import pandas as pd
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_data import TrackStore, open_genome, open_store
from ag_data.folds import Split, drop_overlaps, find_leaks, hold_out, read_folds, split_folds, split_labels
from ag_data.genome_store import Genome

from ag_heads.recipes import settings as own
from ag_heads.recipes.settings import Settings
from ag_heads.trained_on import Seen, write_regions


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """What a stream reads, opened, and its split."""

    settings: own.StreamSettings
    genome: Genome
    stores: tuple[TrackStore, ...]
    split: Split
    organism: int

    @property
    def trained_on(self) -> Seen | None:
        """What is learnt from, as in `ModelSpec`; None where neither settings nor stores name the assembly."""
        assembly = self.settings.assembly or next((store.build for store in self.stores if store.build), None)
        return {assembly: write_regions(self.split["train"])} if assembly else None


def open_source(settings: Settings, feed: own.Feed, stream: own.StreamSettings) -> Source:
    """Opens what a stream names. Raises InputError for files that do not fit, and where nothing is left to train on."""
    genome = open_genome(*settings.locate_all(stream.genome))
    stores = tuple(open_store(path) for path in settings.locate_all(stream.stores))
    organism = settings.model.organisms.index(stream.organism)
    for store in stores:
        if store.organism != stream.organism:
            raise InputError(f"{store.path} is of {store.organism}, the stream of {stream.organism}; correct one")
    length = feed.length or settings.model.window
    split = _split(settings, stream, genome, length, feed.augment.shift)
    if not len(split["train"]):
        raise InputError(f"{stream.genome}: nothing is left to train on; hold out less")
    return Source(stream, genome, stores, split, organism)


def _split(settings: Settings, stream: own.StreamSettings, genome: Genome, length: int, shift: int) -> Split:
    chosen = stream.split
    if chosen.hold_out is not None:
        split = hold_out(genome.lengths, **{key: places for key, places in chosen.hold_out.items()})
    elif chosen.labels is not None:
        split = split_labels(read_folds(settings.locate(chosen.labels)), margin=shift)
    else:
        assert chosen.folds is not None
        windows = read_folds(settings.locate(chosen.folds))
        split = split_folds(windows, chosen.version, length=length, margin=shift)
    if chosen.exclude:
        out = hold_out(genome.lengths, test=_there(chosen.exclude, genome))["test"]
        split = {name: drop_overlaps(table, out, length + shift) for name, table in split.items()}
    return split


def _there(places: Sequence[str], genome: Genome) -> list[str | Interval]:
    """What of these places the genome has: pieces of chromosomes may lack them, and draw nothing there either."""
    found: list[str | Interval] = []
    for place in places:
        if (name := genome.find_chromosome(place)) is not None:
            found.append(name)
        elif ":" in place:
            try:
                interval = Interval.from_region(place)
            except ValueError as error:
                raise InputError(f"exclude: {error}") from error
            name = genome.find_chromosome(interval.chromosome)
            end = min(interval.end, genome.lengths[name]) if name else 0
            if name and interval.start < end:
                found.append(Interval(name, interval.start, end))
    return found


def check_leaks(where: str, source: Source) -> None:
    """Raises InputError when a training window overlaps a held-out one."""
    held = pd.concat([source.split["valid"], source.split["test"]], ignore_index=True)
    leaks = find_leaks(source.split["train"], held)
    if len(leaks) and not (source.settings.split.version.upper() == "ALL_FOLDS" and source.settings.split.folds):
        first = leaks.iloc[0]
        raise InputError(
            f"{where}: the split leaks, {len(leaks):,} pairs of training and held-out windows overlap, such as "
            f"{first['Chromosome']}:{first['Start'] + 1:,}-{first['End']:,} with "
            f"{first['Chromosome']}:{first['Held_start'] + 1:,}-{first['Held_end']:,}; separate them"
        )
