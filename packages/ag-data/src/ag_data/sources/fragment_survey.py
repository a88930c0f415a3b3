"""What fragments tell about themselves: how many, how long, and whether they were moved for Tn5."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Int

from ag_data.sources.spool import Columns

LONGEST = 2000  # longer ones are counted in the last place of the histogram
LAGS = range(-10, 21)
_LOOKED_AT = 1 << 20  # records from which the lag is told


def survey_fragments(
    chromosomes: Iterable[Iterable[Columns]], unique: bool, *, ends: bool, single: bool
) -> dict[str, Any]:
    """Counts over pieces of records sorted by start. `single`: records are reads, whose one end counts.

    - records, counted (fewer when `unique`); with `ends` also `end_meets_start`.
    - length: mean, and quantiles in bp (2,000 stands for that and more).
    - end_meets_start: the commonest distance in bp (within -10 to 20) from a start to an end that lies nearby, and
      how much commoner it is than the median distance. Tn5 copies 9 bases, so raw coordinates give 9; moved by
      (+4, -5) they give 0, by (+4, -4) 1. None when nothing lies so near.
    """
    records = counted = looked_at = 0
    total = 0.0
    lengths, lags = np.zeros(LONGEST + 1, np.int64), np.zeros(len(LAGS), np.int64)
    for pieces in chromosomes:
        for rows in by_start(pieces):
            records += len(rows["start"])
            rows = drop_duplicates(rows) if unique else rows
            counted += len(rows["start"])
            length = rows["end"] - rows["start"]
            total += float(length.sum())
            lengths += np.bincount(np.minimum(length, LONGEST), minlength=LONGEST + 1)
            if ends and looked_at < _LOOKED_AT:
                looked_at += len(length)
                minus = rows["minus"] if single else np.ones(len(length), bool)
                plus = ~minus if single else minus
                lags += count_lags(rows["start"][plus], rows["end"][minus])
    below = np.cumsum(lengths) / max(counted, 1)
    quantiles = {f"q{share:g}": int(np.searchsorted(below, share / 100)) for share in (5, 25, 50, 75, 95)}
    found = {"records": records, "counted": counted, "length": {"mean": total / max(counted, 1), **quantiles}}
    if not ends:
        return found
    usual = float(np.median(lags))
    peak = {"distance": LAGS[int(lags.argmax())], "pairs": int(lags.max()), "times_median": lags.max() / max(usual, 1)}
    return {**found, "end_meets_start": {**peak, "times_median": float(peak["times_median"])} if lags.any() else None}


def count_lags(starts: Int[np.ndarray, " start"], ends: Int[np.ndarray, " end"]) -> Int[np.ndarray, " lag"]:
    """How many pairs of a place that is a start and one that is an end lie at each of `LAGS`, end minus start.

    A place counts once, however many records have it, so that a few deep places do not decide.
    """
    starts, ends = np.unique(starts), np.unique(ends)
    first = np.searchsorted(starts, ends - LAGS[-1])
    last = np.searchsorted(starts, ends - LAGS[0], side="right")
    number = last - first
    within = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    lag = np.repeat(ends, number) - starts[np.repeat(first, number) + within]
    return np.bincount(lag - LAGS[0], minlength=len(LAGS))


def drop_duplicates(rows: Columns) -> Columns:
    """One of all records with the same start, end and strand; sorted by start."""
    keys = np.stack([rows["start"], rows["end"], rows["minus"].astype(np.int64)], axis=1)
    _, first = np.unique(keys, axis=0, return_index=True)
    return {name: values[first] for name, values in rows.items()}


def by_start(pieces: Iterable[Columns]) -> Iterator[Columns]:
    """The same records, cut so that those of one start stay together."""
    held: Columns | None = None
    for piece in pieces:
        rows = piece if held is None else {name: np.append(held[name], piece[name]) for name in piece}
        last = rows["start"] == rows["start"][-1]
        held = {name: values[last] for name, values in rows.items()}
        if not last.all():
            yield {name: values[~last] for name, values in rows.items()}
    if held is not None:
        yield held
