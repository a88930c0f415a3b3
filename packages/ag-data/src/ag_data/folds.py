"""Which parts of a genome a model learns from, and which it never sees: published folds, blocks, and leaks.

A split is a dict with the tables "train", "valid" and "test" (`ag_data.regions`): windows for published folds, regions
to draw windows from for one's own splits. Source: spec/model.md 6.4.
"""

import hashlib
import os
from collections.abc import Collection, Iterable, Mapping

import numpy as np
import pandas as pd
from ag_core.errors import InputError
from ag_core.genome import Interval

from ag_data.contigs import match_contig
from ag_data.regions import Regions, canonical, read_regions, regions_table, resize_windows

SETS = ("train", "valid", "test")
FOLDS = tuple(f"fold{number}" for number in range(8))
# Labels of the valid and the test windows of each version; the other folds are for training.
VERSIONS = {
    "FOLD_0": ("fold0", "fold1"),
    "FOLD_1": ("fold3", "fold4"),
    "FOLD_2": ("fold2", "fold5"),
    "FOLD_3": ("fold6", "fold7"),
    "ALL_FOLDS": ("fold0", "fold1"),
}
# Furthest that a window is moved at random in training, in bp (spec/model.md 7).
SHIFT = 1024
LEAK_COLUMNS = ("Chromosome", "Start", "End", "Held_start", "Held_end", "Bases")

Split = dict[str, pd.DataFrame]


def read_folds(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Labelled windows: Borzoi's `sequences_*.bed.gz` (fold0..fold7), or any BED file with a label in column 4.

    Raises InputError for a file that is none, and for one without labels.
    """
    windows = read_regions(path, "list of windows")
    bare = np.flatnonzero((windows["Label"] == "").to_numpy())
    if len(bare):
        row = windows.iloc[bare[0]]
        raise InputError(
            f"list of windows {path}: {row['Chromosome']}:{row['Start']}-{row['End']} has no label; expected column 4 "
            "to say which fold or split it belongs to"
        )
    return windows


def split_folds(
    windows: pd.DataFrame,
    version: str,
    *,
    length: int | None = None,
    margin: int = SHIFT,
    drop: str | None = "train",
) -> Split:
    """The windows of a fold version (FOLD_0 ... FOLD_3, ALL_FOLDS) of a model.

    As `split_labels`. ALL_FOLDS trains on everything: its valid and test windows are not held out. Raises InputError
    for an unknown version, and for labels other than fold0 ... fold7.
    """
    if version.upper() not in VERSIONS:
        raise InputError(f"fold version {version!r}: expected one of {', '.join(VERSIONS)}")
    strange = sorted(set(windows["Label"]) - set(FOLDS))
    if strange:
        raise InputError(
            f"windows are labelled {', '.join(map(str, strange[:5]))}; expected {FOLDS[0]} ... {FOLDS[-1]}"
        )
    valid, test = VERSIONS[version.upper()]
    if version.upper() == "ALL_FOLDS":
        train, drop = FOLDS, None
    else:
        train = tuple(fold for fold in FOLDS if fold not in (valid, test))
    return split_labels(windows, train=train, valid=(valid,), test=(test,), length=length, margin=margin, drop=drop)


def split_labels(
    windows: pd.DataFrame,
    *,
    train: Collection[str] = ("train",),
    valid: Collection[str] = ("valid",),
    test: Collection[str] = ("test",),
    length: int | None = None,
    margin: int = SHIFT,
    drop: str | None = "train",
) -> Split:
    """Windows by their labels, resized around their centres to `length` bp, and without leaks.

    A model's window is wider than the published one, so it may reach into another fold. `drop` says which windows go
    where a training window (with `margin` bp more at both ends, for random shifts) overlaps a held-out one: "train",
    "held_out" (as reported of the published model, spec/model.md 6.4), or None to leave them all in.
    """
    if drop not in ("train", "held_out", None):
        raise InputError(f"drop={drop!r}: expected 'train', 'held_out' or None")
    split = {}
    for name, labels in zip(SETS, (train, valid, test), strict=True):
        part = windows.loc[windows["Label"].isin(list(labels))].reset_index(drop=True)
        split[name] = part if length is None else resize_windows(part, length)
    if drop == "train":
        split["train"] = drop_overlaps(split["train"], pd.concat([split["valid"], split["test"]]), margin)
    elif drop == "held_out":
        shifted = split["train"].assign(Start=split["train"]["Start"] - margin, End=split["train"]["End"] + margin)
        split |= {name: drop_overlaps(split[name], shifted) for name in ("valid", "test")}
    return split


def split_blocks(
    lengths: Mapping[str, int], *, block: int = 5_000_000, shares: Mapping[str, float] | None = None, seed: int = 0
) -> Split:
    """Chromosomes (name -> length in bp) cut into blocks, each given to a set at random by its place and the seed.

    `shares` of the sets are 0.8, 0.1 and 0.1 unless given. A block keeps its set whatever other chromosomes there are.
    """
    shares = dict(zip(SETS, (0.8, 0.1, 0.1), strict=True)) if shares is None else dict(shares)
    if set(shares) - set(SETS) or min(shares.values(), default=0) < 0 or sum(shares.values()) <= 0 or block < 1:
        raise InputError(f"shares {shares} of blocks of {block} bp: expected positive numbers for {', '.join(SETS)}")
    names = [name for name in SETS if name in shares]
    bounds = np.cumsum([shares[name] for name in names]) / sum(shares.values())
    rows: dict[str, list[tuple[str, int, int, str]]] = {name: [] for name in SETS}
    for chromosome, length in lengths.items():
        for start in range(0, length, block):
            digest = hashlib.sha256(f"{seed} {canonical(chromosome)} {start // block}".encode()).digest()
            draw = int.from_bytes(digest[:8], "big") / 2**64
            name = names[min(int(np.searchsorted(bounds, draw, "right")), len(names) - 1)]
            rows[name].append((chromosome, start, min(start + block, length), name))
    return {name: _joined(rows[name], name) for name in SETS}


def hold_out(
    lengths: Mapping[str, int], test: Iterable[str | Interval] = (), valid: Iterable[str | Interval] = ()
) -> Split:
    """Chromosomes (name -> length in bp) without what is held out for test and validation.

    A place is a chromosome, a region as people write it ("chr20:40,000,001-46,000,000", 1-based), or an Interval.
    Raises InputError for a place that is not there, and when test and validation overlap.
    """
    held = {"valid": _places(lengths, valid), "test": _places(lengths, test)}
    if len(held["valid"]) and len(held["test"]) and Regions(held["test"]).overlap(held["valid"]).any():
        raise InputError("the places held out for validation and for test overlap; hold out different ones")
    both = pd.concat([held["valid"], held["test"]], ignore_index=True)
    train = Regions(both).rest(lengths) if len(both) else _places(lengths, lengths)
    return {"train": train.assign(Label="train"), **{name: held[name].assign(Label=name) for name in held}}


def drop_overlaps(windows: pd.DataFrame, others: pd.DataFrame, margin: int = 0) -> pd.DataFrame:
    """`windows` without those that, with `margin` bp more at both ends, share a base with one of `others`."""
    if not len(others) or not len(windows):
        return windows.reset_index(drop=True)
    return windows.loc[~_covered(windows, others, margin)].reset_index(drop=True)


def find_leaks(train: pd.DataFrame, held_out: pd.DataFrame, margin: int = 0) -> pd.DataFrame:
    """Every pair of a training window (`margin` bp longer at both ends) and a held-out one that share bases.

    Columns: Chromosome, Start and End of the training window, Held_start and Held_end of the other, Bases shared.
    Empty where the split is clean.
    """
    rows = []
    train_keys, held_keys = ([canonical(str(name)) for name in table["Chromosome"]] for table in (train, held_out))
    for key in dict.fromkeys(train_keys):
        own = train.loc[np.array([each == key for each in train_keys], bool)]
        other = held_out.loc[np.array([each == key for each in held_keys], bool)].sort_values("Start", kind="stable")
        starts, ends = other["Start"].to_numpy(), other["End"].to_numpy()
        widest = int((ends - starts).max(initial=0))
        for name, start, end in zip(own["Chromosome"], own["Start"], own["End"], strict=True):
            low, high = start - margin, end + margin
            near = slice(*np.searchsorted(starts, (low - widest, high)))
            for held_start, held_end in zip(starts[near], ends[near], strict=True):
                if held_end > low:
                    bases = min(high, held_end) - max(low, held_start)
                    rows.append((name, start, end, held_start, held_end, bases))
    table = pd.DataFrame(rows, columns=list(LEAK_COLUMNS))
    return table.astype({"Chromosome": object, **dict.fromkeys(LEAK_COLUMNS[1:], "int64")})


def _covered(windows: pd.DataFrame, others: pd.DataFrame, margin: int) -> np.ndarray:
    # Windows made longer may start before their chromosome; regions may not.
    return Regions(others.assign(Start=others["Start"].clip(lower=0))).overlap(windows, margin)


def _joined(rows: list[tuple[str, int, int, str]], label: str) -> pd.DataFrame:
    """Neighbouring blocks as one region."""
    return Regions(regions_table(rows)).table().assign(Label=label) if rows else regions_table(())


def _places(lengths: Mapping[str, int], places: Iterable[str | Interval]) -> pd.DataFrame:
    rows = []
    for place in places:
        if isinstance(place, str) and (name := match_contig(place, dict(lengths))):
            rows.append((name, 0, lengths[name], ""))
            continue
        interval = place
        if isinstance(place, str):
            try:
                interval = Interval.from_region(place)
            except ValueError as error:
                raise InputError(f"{error}, or a chromosome: {', '.join(list(lengths)[:5])}, ...") from error
        assert isinstance(interval, Interval)
        name = match_contig(interval.chromosome, dict(lengths))
        if name is None or not 0 <= interval.start < interval.end <= lengths[name]:
            size = f"{name} has {lengths[name]:,} bp" if name else f"there are {', '.join(list(lengths)[:5])}, ..."
            raise InputError(f"{place} is no place on the genome: {size}; correct it")
        rows.append((name, interval.start, interval.end, ""))
    return regions_table(rows)
