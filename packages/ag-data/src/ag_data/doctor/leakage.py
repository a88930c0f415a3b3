"""Do held-out regions stay unseen? Not if training windows reach into them, or if the same sequence is elsewhere."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from ag_core.genome import Interval
from jaxtyping import UInt8, UInt64

from ag_data.contigs import match_contig
from ag_data.doctor.findings import ERROR, WARNING, Finding
from ag_data.folds import find_leaks
from ag_data.genome_store import Genome
from ag_data.regions import Regions

TRAIN = "train"
# Stretches of 32 bases, of which one in 64 (chosen by its own letters, so that copies choose alike) is compared.
_WORD, _ONE_IN = 32, 64
# Share of a held-out window's stretches found in training regions: repeats make for a tenth, a duplication for most.
_COPIED = 0.5
# Fewer tell nothing.
_FEWEST = 10
_BLOCK = 1 << 22


def check_overlaps(windows: pd.DataFrame, subject: str) -> list[Finding]:
    """Windows (Chromosome, Start, End, Label) of one label that share bases with those of another."""
    labels = sorted(map(str, set(windows["Label"])), key=lambda label: (label != TRAIN, label))
    found = []
    for number, one in enumerate(labels):
        for other in labels[number + 1 :]:
            a, b = (windows.loc[windows["Label"] == label] for label in (one, other))
            leaks = find_leaks(a, b)
            if not len(leaks):
                continue
            first = leaks.iloc[0]
            touched = len(leaks[["Chromosome", "Held_start", "Held_end"]].drop_duplicates())
            evidence = (
                f"{touched:,} of {len(b):,} {other!r} windows share bases with {one!r} windows (the first: "
                f"{first['Chromosome']}:{first['Held_start']}-{first['Held_end']}, {first['Bases']:,} bp)"
            )
            remedy = (
                "drop the training windows that overlap, with a margin for random shifts (ag_data.folds.split_labels, "
                "drop_overlaps)"
            )
            found.append(Finding("leakage", ERROR, subject, evidence, remedy))
    return found


def check_copies(windows: pd.DataFrame, genome: Genome, subject: str) -> list[Finding]:
    """Held-out windows whose sequence occurs in training windows, on either strand: duplicated regions."""
    train, held = (windows.loc[(windows["Label"] == TRAIN) == is_train] for is_train in (True, False))
    words = [np.unique(_words_of(genome, [window])) for window in _intervals(held, genome)]
    known = np.unique(np.concatenate(words)) if words else np.zeros(0, np.uint64)
    if not len(known) or not len(train):
        return []
    seen = np.zeros(len(known), bool)
    for block in _blocks(Regions(train.assign(Start=train["Start"].clip(lower=0))).table(), genome):
        own = _words_of(genome, [block])
        at = np.minimum(np.searchsorted(known, own), len(known) - 1)
        seen[at[known[at] == own]] = True
    shares = [float(seen[np.searchsorted(known, own)].mean()) if len(own) >= _FEWEST else 0.0 for own in words]
    copied = [row for row, share in enumerate(shares) if share >= _COPIED]
    if not copied:
        return []
    worst = max(copied, key=lambda row: shares[row])
    window = held.iloc[worst]
    evidence = (
        f"{len(copied):,} of {len(held):,} held-out windows have most of their sequence in training windows too; "
        f"{window['Chromosome']}:{window['Start']}-{window['End']} has {shares[worst]:.0%} of it"
    )
    remedy = "duplicated regions: hold out both copies, or leave these windows out of the evaluation"
    return [Finding("leakage", WARNING, subject, evidence, remedy)]


def _intervals(windows: pd.DataFrame, genome: Genome) -> list[Interval]:
    rows = windows[["Chromosome", "Start", "End"]].itertuples(index=False)
    names = [(match_contig(str(name), genome.lengths), int(start), int(end)) for name, start, end in rows]
    return [Interval(name or "", start, end if name else start) for name, start, end in names]


def _blocks(regions: pd.DataFrame, genome: Genome) -> Iterable[Interval]:
    for region in _intervals(regions, genome):
        for start in range(region.start, region.end, _BLOCK):
            yield Interval(region.chromosome, start, min(start + _BLOCK + _WORD - 1, region.end))


def _words_of(genome: Genome, intervals: Iterable[Interval]) -> UInt64[np.ndarray, " _"]:
    found = [choose_words(genome.codes(interval)) for interval in intervals if interval.width]
    return np.concatenate(found) if found else np.zeros(0, np.uint64)


def choose_words(codes: UInt8[np.ndarray, " position"]) -> UInt64[np.ndarray, " _"]:
    """Some stretches of 32 bases as numbers, the same for both strands; copies of a sequence choose the same."""
    if len(codes) < _WORD:
        return np.zeros(0, np.uint64)
    forward = codes.astype(np.uint64) & np.uint64(3)
    backward = forward ^ np.uint64(3)
    size = 1
    while size < _WORD:  # two neighbouring stretches make one of twice the length
        bits = np.uint64(2 * size)
        forward = (forward[:-size] << bits) | forward[size:]
        backward = (backward[size:] << bits) | backward[:-size]
        size *= 2
    words = np.minimum(forward, backward)
    mixed = (words ^ (words >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
    chosen = (mixed >> np.uint64(40)) % np.uint64(_ONE_IN) == 0
    unknown = np.cumsum(np.r_[0, codes > 3])
    return words[chosen & (unknown[_WORD:] == unknown[:-_WORD])]
