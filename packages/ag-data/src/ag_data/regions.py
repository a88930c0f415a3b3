"""Regions of a genome: BED files, windows of one length, and how much of one set lies in another.

Tables have the columns Chromosome, Start, End (0-based half-open) and Label. Names of chromosomes are compared as
everywhere here: chr1 and 1 are the same.
"""

import gzip
import hashlib
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd
from ag_core.errors import InputError
from ag_core.genome import Interval, chromosome_aliases
from jaxtyping import Bool, Int

from ag_data.files import Compression, check_file
from ag_data.genome_store import Genome
from ag_data.place_table import check_places

COLUMNS = ("Chromosome", "Start", "End", "Label")
_HEADERS = ("#", "track", "browser")
_LARGEST = 1 << 62  # no position, and still a number that arrays hold


def read_regions(path: str | os.PathLike[str], what: str = "BED file") -> pd.DataFrame:
    """The regions of a BED file, plain or compressed by gzip or bgzip, in file order; Label is column 4 ('' if none).

    Raises InputError, with the line, for anything else.
    """
    rows = [(name, start, end, rest[0] if rest else "") for name, start, end, rest in _records(path, what)]
    return regions_table(rows)


def read_peaks(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Peaks of a narrowPeak or BED file: as `read_regions`, with Summit, the offset of the summit from Start in bp.

    Where the file has none (column 10 is not there, or -1), it is the middle.
    """
    records = list(_records(path, "file of peaks"))
    table = regions_table((name, start, end, rest[0] if rest else "") for name, start, end, rest in records)
    summits = []
    for name, start, end, rest in records:
        given = rest[6] if len(rest) == 7 else "-1"
        summit = int(given) if given.isdecimal() and len(given) < 19 else -1
        if summit >= end - start or (summit < 0 and given != "-1"):
            raise InputError(
                f"file of peaks {path}: the peak {name}:{start}-{end} has the summit {given!r}; expected a number "
                "below its length, or -1"
            )
        summits.append((end - start) // 2 if summit < 0 else summit)
    return table.assign(Summit=np.array(summits, np.int64))


def _records(path: str | os.PathLike[str], what: str) -> Iterator[tuple[str, int, int, list[str]]]:
    """Chromosome, start, end and further columns of each line."""
    path = pathlib.Path(path)
    plain, found = check_file(path, what) is Compression.NONE, False
    try:
        with path.open("rb") if plain else gzip.open(path) as file:
            for number, line in enumerate(file, 1):
                text = line.decode().strip()
                if not text or text.startswith(_HEADERS):
                    continue
                fields = text.split("\t") if "\t" in text else text.split()
                try:
                    start, end = int(fields[1]), int(fields[2])
                except (IndexError, ValueError):
                    start, end = -1, -1
                if not 0 <= start < end < _LARGEST:
                    raise InputError(
                        f"{what} {path}, line {number}: {text[:80]!r} is no region; expected chromosome, start, end "
                        "(0-based half-open, start < end) and perhaps a label"
                    )
                found = True
                yield fields[0], start, end, fields[3:]
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{what} {path} cannot be read ({error}); make it again") from error
    if not found:
        raise InputError(f"{what} {path} has no regions")


def regions_table(rows: Iterable[tuple[str, int, int, str]]) -> pd.DataFrame:
    """A table of regions from (chromosome, start, end, label)."""
    table = pd.DataFrame(list(rows), columns=list(COLUMNS))
    return table.astype({"Chromosome": object, "Start": "int64", "End": "int64", "Label": object})


def check_regions(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """A copy with plain types; `source` names it in messages. Raises InputError for what is no table of regions."""
    table = check_places(table, COLUMNS[:3], source)
    wrong = np.flatnonzero((table["End"] <= table["Start"]).to_numpy())
    if len(wrong):
        row = table.iloc[wrong[0]]
        raise InputError(f"{source}: row {wrong[0] + 1} ends at {row['End']}, not after its start {row['Start']}")
    label = table.get("Label", "")
    return table.assign(Chromosome=table["Chromosome"].astype(str).astype(object), Label=label)


def resize_windows(windows: pd.DataFrame, length: int) -> pd.DataFrame:
    """Every window `length` bp wide around its centre, as `Interval.resize` does it for unstranded intervals."""
    if length < 1:
        raise InputError(f"windows of {length} bp: expected a positive length")
    width = (windows["End"] - windows["Start"]).to_numpy()
    center = (windows["Start"] + windows["End"]).to_numpy() // 2 + width % 2
    start = center - (length + 1) // 2
    return windows.assign(Start=start, End=start + length)


def tile(regions: pd.DataFrame, length: int, step: int | None = None) -> pd.DataFrame:
    """Windows of `length` bp, `step` apart (default: end to end), that lie wholly inside `regions`, in order.

    What is left at the end of a region is not covered.
    """
    step = length if step is None else step
    if length < 1 or step < 1:
        raise InputError(f"tiles of {length} bp, {step} apart: both must be positive")
    rows = [
        (str(chromosome), low, low + length, str(label))
        for chromosome, start, end, label in regions[list(COLUMNS)].itertuples(index=False)
        for low in range(start, end - length + 1, step)
    ]
    return regions_table(rows)


def drop_unknown(windows: pd.DataFrame, genome: Genome, most: float) -> pd.DataFrame:
    """The windows of which at most the share `most` of bases is N (or lies beyond the chromosome)."""
    places = zip(windows["Chromosome"], windows["Start"], windows["End"], strict=True)
    kept = [unknown_share(genome, Interval(str(name), int(start), int(end))) <= most for name, start, end in places]
    return windows.loc[np.array(kept, bool)].reset_index(drop=True)


def unknown_share(genome: Genome, interval: Interval) -> float:
    """Share of bases of an interval that are N or lie beyond the chromosome."""
    return float((genome.codes(interval) > 3).mean())


def canonical(chromosome: str) -> str:
    """One spelling for all that mean the same chromosome."""
    return min((chromosome, *chromosome_aliases(chromosome)))


class Regions:
    """The set of bases in a table of regions. `source` names it in messages. Threads may share it."""

    def __init__(self, table: pd.DataFrame, source: str = "the table of regions"):
        table = check_regions(table, source)
        self._parts: dict[str, tuple[Int[np.ndarray, " part"], Int[np.ndarray, " part"]]] = {}
        self._names: dict[str, str] = {}
        for name, rows in table.groupby("Chromosome", sort=False, observed=True):
            key = canonical(str(name))
            starts, ends = rows["Start"].to_numpy(), rows["End"].to_numpy()
            if key in self._parts:
                starts, ends = (np.concatenate(pair) for pair in zip(self._parts[key], (starts, ends), strict=True))
            self._names.setdefault(key, str(name))
            self._parts[key] = _merge(starts, ends)

    def __repr__(self) -> str:
        return f"Regions({self.size:,} bp on {len(self._parts)} chromosomes)"

    @property
    def size(self) -> int:
        """Number of bases."""
        return int(sum((ends - starts).sum() for starts, ends in self._parts.values()))

    def fingerprint(self) -> str:
        """Changes when the set does."""
        total = hashlib.sha256()
        for key, (starts, ends) in sorted(self._parts.items()):
            total.update(f"{key} {starts.tolist()} {ends.tolist()}".encode())
        return total.hexdigest()

    def table(self) -> pd.DataFrame:
        """The regions merged: disjoint, not touching, sorted on each chromosome."""
        rows = [
            (self._names[key], int(start), int(end), "")
            for key, (starts, ends) in self._parts.items()
            for start, end in zip(starts, ends, strict=True)
        ]
        return regions_table(rows)

    def count(self, windows: pd.DataFrame) -> Int[np.ndarray, " window"]:
        """How many bases of each window are in the set."""
        counts = np.zeros(len(windows), np.int64)
        for key, rows in _by_chromosome(windows).items():
            if key in self._parts:
                low, high = (windows[column].to_numpy()[rows] for column in ("Start", "End"))
                counts[rows] = self._below(key, high) - self._below(key, low)
        return counts

    def contain(self, windows: pd.DataFrame, margin: int = 0) -> Bool[np.ndarray, " window"]:
        """Which windows lie in the set with all their bases, and `margin` more at both ends."""
        inside = np.zeros(len(windows), bool)
        for key, rows in _by_chromosome(windows).items():
            if key in self._parts:
                starts, ends = self._parts[key]
                low = windows["Start"].to_numpy()[rows] - margin
                part = np.searchsorted(starts, low, "right") - 1
                inside[rows] = (part >= 0) & (ends[part] >= windows["End"].to_numpy()[rows] + margin)
        return inside

    def overlap(self, windows: pd.DataFrame, margin: int = 0) -> Bool[np.ndarray, " window"]:
        """Which windows, `margin` longer at both ends, share a base with the set."""
        return self.count(windows.assign(Start=windows["Start"] - margin, End=windows["End"] + margin)) > 0

    def mask(self, interval: Interval) -> Bool[np.ndarray, " position"]:
        """Which bases of an interval are in the set, from its start to its end whatever its strand."""
        mask = np.zeros(interval.width, bool)
        starts, ends = self._parts.get(canonical(interval.chromosome), (np.zeros(0, int), np.zeros(0, int)))
        first, last = np.searchsorted(ends, interval.start, "right"), np.searchsorted(starts, interval.end)
        for start, end in zip(starts[first:last], ends[first:last], strict=True):
            mask[max(start - interval.start, 0) : end - interval.start] = True
        return mask

    def rest(self, lengths: Mapping[str, int]) -> pd.DataFrame:
        """What of the chromosomes (name -> length in bp) is not in the set."""
        rows = []
        for name, length in lengths.items():
            starts, ends = self._parts.get(canonical(name), (np.zeros(0, int), np.zeros(0, int)))
            for low, high in zip(np.r_[0, ends], np.r_[starts, length], strict=True):
                if low < min(high, length):
                    rows.append((name, int(low), int(min(high, length)), ""))
        return regions_table(rows)

    def _below(self, key: str, positions: Int[np.ndarray, " _"]) -> Int[np.ndarray, " _"]:
        """How many bases of the set come before each position."""
        starts, ends = self._parts[key]
        sums = np.r_[0, np.cumsum(ends - starts)]
        part = np.searchsorted(starts, positions)
        return sums[part] - np.where(part > 0, np.maximum(ends[part - 1] - positions, 0), 0)


def _by_chromosome(windows: pd.DataFrame) -> dict[str, Int[np.ndarray, " row"]]:
    keys = np.array([canonical(str(name)) for name in windows["Chromosome"]], object)
    return {str(key): np.flatnonzero(keys == key) for key in pd.unique(keys)}


def _merge(
    starts: Int[np.ndarray, " part"], ends: Int[np.ndarray, " part"]
) -> tuple[Int[np.ndarray, " part"], Int[np.ndarray, " part"]]:
    """The same bases in disjoint parts that do not touch, sorted."""
    order = np.argsort(starts, kind="stable")
    starts, reached = starts[order], np.maximum.accumulate(ends[order])
    first = np.r_[True, starts[1:] > reached[:-1]]
    return starts[first], reached[np.r_[first[1:], True]]
