"""Borzoi's training sets as a source, un-squashed, and as a genome."""

import json
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pysam
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.interfaces import AbstractSource
from ag_core.schema import track_table
from jaxtyping import Float, UInt8

from ag_data.cache import replacing
from ag_data.sources.borzoi_files import Path, place_shards, read_windows
from ag_data.sources.windows import Align, RowSpool, Windows
from ag_data.targets_table import Target, read_targets

_BASES = np.frombuffer(b"ACGTN", np.uint8)
_UNKNOWN = 4
_LINE = 60


class _Row(NamedTuple):
    """The sequence of a window: its span, its number among those that are kept, and its name in messages."""

    chromosome: str
    start: int
    end: int
    number: int
    label: str


class BorzoiSource(AbstractSource):
    """Targets of windows (`ag_data.sources.borzoi_files`), as sums over bins in the units of the experiments.

    - `path`: shards, their folder, or an .npz of all windows of a split.
    - `bed`, `targets`: the tables of windows and of targets; by default `sequences.bed` and `targets.txt` beside
      the files or one folder up.
    - `split`, `first_row`, `shard_size`: which rows of `bed` the files hold; see `place_shards`.
    - `select`: regular expression for descriptions of targets, such as "^CAGE:"; by default all.
    - `pool_width`: bp in a bin; by default that of `statistics.json` beside `bed`, else 32.
    - `transform`: "new", or "old" for sets made as in the Borzoi paper; see `unsquash`.
    - `align`: windows do not lie on the grid of bins; see `ag_data.sources.windows.Windows`.

    Values above the clip of a target were cut off when the set was made: they are lower bounds (`facts` counts them).
    Bins outside the windows are NaN. The chosen targets lie in a temporary file as long as the object lives.
    """

    layout = "signal"

    def __init__(
        self,
        path: Path | list[Path],
        *,
        bed: Path | None = None,
        targets: Path | None = None,
        split: str | None = None,
        first_row: int | None = None,
        shard_size: int | None = None,
        select: str | None = None,
        pool_width: int | None = None,
        transform: Literal["new", "old"] = "new",
        align: Align = "share",
    ):
        paths = [pathlib.Path(each) for each in ([path] if isinstance(path, str | os.PathLike) else path)]
        bed = pathlib.Path(bed) if bed else _beside(paths[0], "sequences.bed", "bed")
        table = read_targets(targets if targets else _beside(paths[0], "targets.txt", "targets"))
        self._targets = table if select is None else _select(table, select)
        _check_transform(self._targets, transform)
        self.resolution = _pool_width(bed, pool_width)
        shards = place_shards(paths, bed, split, first_row, shard_size)
        width = shards[0].spans[0].end - shards[0].spans[0].start
        if width % self.resolution:
            raise InputError(
                f"windows of {bed} are {width:,} bp long, no multiple of {self.resolution}; set `pool_width`"
            )
        bins = self.resolution
        self._windows = Windows(
            len(self._targets),
            np.dtype("<f2"),
            bins,
            align,
            lambda values: unsquash(values, self._targets, bins, transform),
        )
        self._names: dict[str, None] = {}
        columns = np.array([target.column for target in self._targets])
        # Old sets were scaled after they were clipped.
        clip = np.array([target.clip * (target.scale if transform == "old" else 1) for target in self._targets])
        count = clipped = 0
        for window in read_windows(shards, width // bins):
            there = window.target.shape[1]
            if there <= max(target.column for target in table):
                raise InputError(
                    f"{window.label} has {there} targets, but the table numbers them up to "
                    f"{max(target.column for target in table)}; give the table that was made with it"
                )
            chosen = window.target[:, columns]
            clipped += int((chosen >= clip).sum())
            self._windows.add(window.span.chromosome, window.span.start, chosen)
            self._names[window.span.chromosome] = None
            count += 1
        self._facts = {"windows": count, "transform": transform, "align": align}
        self._facts |= {"clipped_bins": clipped, "rounding": "float16, rounded when the set was made"}

    def tracks(self) -> xr.Dataset:
        columns = ("name", "strand", "assay", "biosample_name", "description")
        return track_table({column: [getattr(target, column) for target in self._targets] for column in columns})

    def chromosomes(self) -> Mapping[str, int | None]:
        return dict(self._names)

    def windows(self, chromosome: str) -> Sequence[tuple[int, int]]:
        """Where the set has windows."""
        return self._windows.spans(chromosome)

    def facts(self) -> Mapping[str, Any]:
        """Windows, how values were un-squashed, and bins at the clip."""
        return self._facts

    def read(self, interval: Interval) -> Float[np.ndarray, "position track"]:
        """Sums over bins; where windows overlap, the first counts."""
        values = np.full((-(-interval.width // self.resolution), len(self._targets)), np.nan, np.float32)
        for first, piece in self._windows.read(interval):
            part = values[first : first + len(piece)]
            part[:] = np.where(np.isnan(part), piece, part)
        return values


def unsquash(
    values: Float[np.ndarray, "*position track"],
    targets: Sequence[Target],
    width: int,
    transform: Literal["new", "old"] = "new",
) -> Float[np.ndarray, "*position track"]:
    """Sums over `width` bp from squashed values of `targets`.

    New sets: the signal times `scale` is pooled (`sum_stat`), then y = sqrt(1 + x) - 1 (or (1 + x)^0.75 - 1), and above
    `clip_soft` c, y = c - 1 + sqrt(x - c + 1). Old sets: pooled, x^0.75, above c: c + sqrt(x - c), and scaled last.
    The inverse is exact but for what `clip` cut off. Means are turned into sums.
    """
    soft, scale = (np.array([getattr(target, name) for target in targets]) for name in ("clip_soft", "scale"))
    squashed = np.array([target.sum_stat.endswith(("_sqrt", "_exp75")) for target in targets])
    power = np.array([2.0 if target.sum_stat.endswith("_sqrt") else 4 / 3 for target in targets])
    spread = np.array([width if target.sum_stat.startswith(("mean", "avg")) else 1 for target in targets])
    values = values.astype(np.float64)
    if transform == "old":
        values = values / scale
        values = np.where(values > soft, np.maximum(values - soft, 0) ** 2 + soft, values)
        values = np.where(squashed, np.maximum(values, 0) ** (4 / 3), values)
    else:
        with np.errstate(invalid="ignore"):  # inf - inf, where there is no soft clip
            values = np.where(values > soft, (values - soft + 1) ** 2 + soft - 1, values)
        values = np.where(squashed, np.maximum(1 + values, 0) ** power - 1, values) / scale
    return (values * spread).astype(np.float32)


def write_windows_fasta(
    paths: Iterable[Path],
    bed: Path,
    output: Path,
    *,
    split: str | None = None,
    first_row: int | None = None,
    shard_size: int | None = None,
    pool_width: int | None = None,
) -> int:
    """Writes the DNA of windows as FASTA, bgzip if the name ends in .gz, and returns the number of records.

    Windows that overlap or touch become one record, named by its span (`chr1:101-200`, 1-based with both ends), which
    `ag_data.Fasta` takes for a piece of the chromosome. What lies before the chromosome is left out. Options as for
    `BorzoiSource`. Raises InputError where overlapping windows disagree.
    """
    shards, output = place_shards(paths, bed, split, first_row, shard_size), pathlib.Path(output)
    width = shards[0].spans[0].end - shards[0].spans[0].start
    spool: RowSpool | None = None
    rows: list[_Row] = []
    for window in read_windows(shards, width // _pool_width(pathlib.Path(bed), pool_width)):
        size = len(window.sequence)
        spool = spool or RowSpool(size, np.dtype(np.uint8))
        extra, odd = divmod(size - width, 2)
        if extra < 0 or odd:
            raise InputError(f"{window.label}: {size:,} bases do not surround {width:,} bp of targets evenly")
        start = window.span.start - extra
        rows.append(
            _Row(window.span.chromosome, start, start + size, spool.append(window.sequence[None]), window.label)
        )
    if spool is None:
        raise InputError(f"{', '.join(map(str, paths))}: no windows; nothing to write")
    rows.sort()
    count = 0
    with replacing(output) as (scratch,):
        plain = scratch.with_name("plain.fa")
        with plain.open("wb") as file:
            for chromosome, start, bases in _merge(rows, spool):
                file.write(f">{chromosome}:{start + 1}-{start + len(bases)}\n".encode())
                text = _BASES[bases].tobytes()
                file.write(b"".join(text[at : at + _LINE] + b"\n" for at in range(0, len(text), _LINE)))
                count += 1
        if output.suffix == ".gz":
            pysam.tabix_compress(str(plain), str(scratch), force=True)
        else:
            plain.replace(scratch)
    return count


def _merge(rows: list[_Row], spool: RowSpool) -> Iterator[tuple[str, int, UInt8[np.ndarray, " base"]]]:
    """Sorted windows as pieces of chromosomes: name, start, codes."""
    groups: list[list[_Row]] = []
    reached = 0
    for row in rows:
        if not groups or row.chromosome != groups[-1][0].chromosome or row.start > reached:
            groups.append([])
            reached = 0
        groups[-1].append(row)
        reached = max(reached, row.end)
    for group in groups:
        start = max(group[0].start, 0)
        piece = np.full(max(row.end for row in group) - start, _UNKNOWN, np.uint8)
        for row in group:
            new = spool.rows(row.number, row.number + 1)[0][max(-row.start, 0) :]
            old = piece[max(row.start, 0) - start : row.end - start]
            if ((old != new) & (old != _UNKNOWN) & (new != _UNKNOWN)).any():
                raise InputError(
                    f"{row.label} has other bases than a window that overlaps it at {row.chromosome}:{row.start:,}; "
                    "are these the right rows of the table?"
                )
            old[:] = np.minimum(old, new)
        yield group[0].chromosome, start, piece


def _beside(path: pathlib.Path, name: str, option: str) -> pathlib.Path:
    folder = path if path.is_dir() else path.parent
    for place in (folder, folder.parent):
        if (place / name).is_file():
            return place / name
    raise InputError(f"there is no {name} beside {path}; set `{option}`")


def _pool_width(bed: pathlib.Path, given: int | None) -> int:
    statistics = bed.with_name("statistics.json")
    if given is not None or not statistics.is_file():
        return given or 32
    try:
        return int(json.loads(statistics.read_text())["pool_width"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{statistics} does not tell pool_width ({error}); set `pool_width`") from error


def _select(targets: list[Target], pattern: str) -> list[Target]:
    try:
        chosen = [target for target in targets if re.search(pattern, target.description)]
    except re.error as error:
        raise InputError(f"select {pattern!r} is no regular expression ({error})") from error
    if not chosen:
        assays = ", ".join(dict.fromkeys(target.assay for target in targets))
        raise InputError(f"no target has a description like {pattern!r}; their assays are {assays}")
    if lone := next((each for each in chosen if {t.column for t in chosen}.isdisjoint({each.partner})), None):
        raise InputError(f"select {pattern!r} takes {lone.identifier} without its partner; describe both strands alike")
    return chosen


def _check_transform(targets: list[Target], transform: str) -> None:
    if transform not in ("new", "old"):
        raise InputError(f"transform {transform!r}: expected new or old")
    for target in targets:
        if target.sum_stat in ("median", "max", "peak"):
            raise InputError(
                f"target {target.identifier}: {target.sum_stat} cannot be turned into sums; leave it out with `select`"
            )
