"""Laws that every source keeps: its tables, and that it reads the same whichever way it is asked."""

import concurrent.futures
import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.interfaces import AbstractSource
from ag_core.plugins import registry
from ag_core.schema import check_tracks

from ag_scorers.kit.verdicts import Broken, Law, NotApplicable, Verdict, judge, require, require_close

# Dimensions of what `read` gives, by layout; the width of contacts is the source's `offsets`.
LAYOUTS = {"signal": 2, "usage": 2, "classes": 2, "contacts": 3, "junctions": 0}
REGION = 65_536  # bp that are read where the length of a chromosome is not known
PIECES = 7


@dataclasses.dataclass(frozen=True)
class SourceSubject:
    """A source, how to open it again, and where it is read."""

    name: str
    path: pathlib.Path
    options: Mapping[str, Any]
    source: AbstractSource
    region: Interval

    def open(self, path: pathlib.Path | None = None) -> AbstractSource:
        """The source anew, or that of another file."""
        return registry().create("sources", self.name, path or self.path, **self.options)

    def rows(self, interval: Interval) -> int:
        """Bins of an interval."""
        return -(-interval.width // self.source.resolution)

    def pieces(self) -> list[Interval]:
        """The region in pieces of whole bins."""
        size = max(self.rows(self.region) // PIECES, 1) * self.source.resolution
        starts = range(self.region.start, self.region.end, size)
        return [Interval(self.region.chromosome, at, min(at + size, self.region.end)) for at in starts]


def make_source_subject(
    name: str,
    path: str | os.PathLike[str],
    options: Mapping[str, Any] | None = None,
    region: Interval | None = None,
) -> SourceSubject:
    """Opens a file; the region is its first chromosome's beginning by default. Raises what the source raises."""
    source = registry().create("sources", name, pathlib.Path(path), **(options or {}))
    if region is None:
        chromosomes = source.chromosomes()
        if not chromosomes:
            raise InputError(f"{path}: {name} finds no chromosome in it; give a file with a few records")
        chromosome, length = next(iter(chromosomes.items()))
        size = max(REGION // source.resolution, 1) * source.resolution
        region = Interval(chromosome, 0, size if length is None else min(size, length))
    return SourceSubject(name, pathlib.Path(path), dict(options or {}), source, region)


def tables_are_valid(subject: SourceSubject) -> str:
    """`tracks()` is a track table, `chromosomes()` maps names to lengths, layout and resolution are known ones."""
    source = subject.source
    require(source.layout in LAYOUTS, f"layout {source.layout!r}, expected one of {', '.join(LAYOUTS)}")
    require(isinstance(source.resolution, int) and source.resolution > 0, f"resolution {source.resolution!r} bp")
    tracks = check_tracks(source.tracks())
    require(tracks.sizes["track"] > 0, "no track")
    for name, length in source.chromosomes().items():
        known = length is None or (isinstance(length, int | np.integer) and length > 0)
        require(isinstance(name, str) and known, f"chromosome {name!r} of length {length!r}")
    require(isinstance(source.facts(), Mapping), "facts() is no mapping")
    return f"{tracks.sizes['track']} tracks, {len(source.chromosomes())} chromosomes, {source.layout}"


def reads_what_it_says(subject: SourceSubject) -> str:
    """`read` gives the rows of the interval and the columns of the tracks, in the type of the layout."""
    source, values = subject.source, subject.source.read(subject.region)
    tracks, rows = source.tracks().sizes["track"], subject.rows(subject.region)
    if source.layout == "junctions":
        return _check_junctions(subject, values, tracks)
    require(isinstance(values, np.ndarray), f"read gives a {type(values).__name__}, expected a numpy array")
    width = (rows, getattr(source, "offsets", 0), tracks) if source.layout == "contacts" else (rows, tracks)
    require(values.shape == width, f"{subject.region}: shape {values.shape}, expected {width}")
    wanted = "bool" if source.layout == "classes" else "float32"
    require(values.dtype == wanted, f"values are {values.dtype}, expected {wanted}")
    if source.layout != "classes":
        require(not np.isinf(values).any(), "infinite values; NaN is for what was not measured")
    if source.layout == "usage":
        known = values[~np.isnan(values)]
        require(bool(((known >= 0) & (known <= 1)).all()), "usage outside of 0 to 1")
    missing = float(np.isnan(values).mean()) if values.dtype.kind == "f" else 0.0
    require(missing < 1, f"{subject.region}: nothing was measured; give a file (or a region) with values")
    return f"{list(values.shape)}, {missing:.0%} not measured"


def _check_junctions(subject: SourceSubject, values: Any, tracks: int) -> str:
    require(isinstance(values, xr.Dataset), f"read gives a {type(values).__name__}, expected a Dataset")
    for name in ("start", "end", "strand"):
        require(name in values.coords, f"the junctions lack the coordinate {name!r}")
    counts = values["count"]
    require(counts.dims == ("junction", "track") and counts.shape[1] == tracks, f"count is {dict(counts.sizes)}")
    start, end, region = values["start"].values, values["end"].values, subject.region
    require(bool((start < end).all()), "an intron ends before it starts")
    require(bool(((start >= region.start) & (start < region.end)).all()), "an intron starts outside of the interval")
    require(bool((np.diff(start) >= 0).all()), "introns are not sorted by start")
    return f"{len(start)} junctions"


def pieces_are_the_whole(subject: SourceSubject) -> str:
    """Read piece by piece, in whatever order, it gives what it gives at once."""
    whole = _plain(subject.source.read(subject.region))
    pieces = subject.pieces()
    for name, order in (("left to right", pieces), ("right to left", pieces[::-1])):
        found = {piece: _plain(subject.source.read(piece)) for piece in order}
        joined = np.concatenate([found[piece] for piece in pieces])
        require_close(joined, whole, f"{len(pieces)} pieces, {name}", rtol=1e-5, atol=1e-6)
    return f"{len(pieces)} pieces"


def _plain(values: Any) -> np.ndarray:
    """Numbers to compare, rows first."""
    if isinstance(values, xr.Dataset):
        place = np.stack([values["start"].values, values["end"].values], axis=1)
        return np.concatenate([place, values["count"].values], axis=1).astype(np.float64)
    return np.asarray(values, np.float64)


def opens_again(subject: SourceSubject) -> str | None:
    """Opened a second time it reads the same, and so do two threads at once."""
    whole, again = _plain(subject.source.read(subject.region)), subject.open()
    require_close(_plain(again.read(subject.region)), whole, "opened again", rtol=0, atol=0)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for values in pool.map(lambda _: _plain(again.read(subject.region)), range(4)):
            require_close(values, whole, "in two threads", rtol=0, atol=0)


def refuses_what_it_cannot_read(subject: SourceSubject) -> str | None:
    """A file that is not there, or is something else, raises InputError that names it."""
    with tempfile.TemporaryDirectory() as folder:
        absent, wrong = (pathlib.Path(folder) / f"{name}{subject.path.suffix}" for name in ("absent", "wrong"))
        wrong.write_bytes(b"\x00\x01no such format\xff\n" * 9)
        for path in (absent, wrong):
            try:
                subject.open(path)
            except InputError as error:
                require(path.name in str(error), f"the message does not name the file: {error}")
            except Exception as error:
                raise Broken(f"{path.stem} file: {type(error).__name__}, expected InputError") from error
            else:
                raise Broken(f"{path.stem} file: opened without a word, expected InputError")


def keeps_to_its_windows(subject: SourceSubject) -> str | None:
    """Outside of `windows` nothing was measured."""
    windows = subject.source.windows(subject.region.chromosome)
    if windows is None:
        raise NotApplicable("it has none")
    values = subject.source.read(subject.region)
    if subject.source.layout not in ("signal", "usage"):
        raise NotApplicable(f"layout {subject.source.layout}")
    inside = np.zeros(len(values), bool)
    for start, end in windows:
        first, last = (place - subject.region.start for place in (start, end))
        inside[max(first, 0) // subject.source.resolution : max(-(-last // subject.source.resolution), 0)] = True
    outside = values[~inside]
    require(bool((np.isnan(outside) | (outside == 0)).all()), "values outside of its windows")


LAWS: tuple[Law[SourceSubject], ...] = (
    tables_are_valid,
    reads_what_it_says,
    pieces_are_the_whole,
    opens_again,
    refuses_what_it_cannot_read,
    keeps_to_its_windows,
)


def check_source(
    name: str,
    path: str | os.PathLike[str],
    options: Mapping[str, Any] | None = None,
    region: Interval | None = None,
) -> list[Verdict]:
    """The verdicts of all laws on a source, by its registry name, with an example file.

    `region`: where it is read, from a multiple of its resolution; by default the first chromosome's beginning.
    """
    return judge(LAWS, make_source_subject(name, path, options, region))
