"""Reads splice junctions of one sample: SJ.out.tab of STAR, or BED12 as regtools and TopHat write it.

STAR's lines have the first and last base of the intron (1-based), a strand as 0 (unknown), 1 (+) or 2 (-), motif,
annotated or not, uniquely and multi-mapped reads, and the longest overhang. Lines of BED12 have two blocks, the parts
of reads on either side of the intron, and the number of reads as score.
"""

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from ag_core.errors import InputError

from ag_data.files import Compression, check_file

_STAR_STRANDS = {"0": ".", "1": "+", "2": "-"}
_BED_STRANDS = {"+": "+", "-": "-", ".": ".", "?": "."}


class _Junction(NamedTuple):
    chromosome: str
    start: int
    end: int
    strand: str
    reads: float
    multi: float
    overhang: int


def read_junctions(path: str | os.PathLike[str]) -> tuple[pd.DataFrame, str]:
    """The junctions of a file, and its kind, "STAR" or "BED12".

    Columns: chromosome, start, end (the intron, 0-based half-open), strand ('.' where unknown), reads (uniquely
    mapped), multi (mapped to several places; 0 in BED12) and overhang (bp on the shorter side). Lines of the same
    intron are added up. Raises InputError, with the line, for anything else.
    """
    rows, kind = [], ""
    for number, line in _lines(path):
        fields = line.split("\t")
        if not kind:
            kind = {9: "STAR", 12: "BED12"}.get(len(fields), "")
        try:
            rows.append(_PARSERS[kind](fields))
        except (ValueError, KeyError, IndexError) as error:
            shape = "9 columns of STAR's SJ.out.tab or 12 of BED12 with two blocks (regtools junctions extract)"
            raise InputError(
                f"junctions {path}, line {number}: {error or 'unknown kind'}; expected {shape}, got {line[:80]!r}"
            ) from error
    if not rows:
        raise InputError(f"junctions {path} has no lines; make it again")
    table = pd.DataFrame(rows, columns=list(_Junction._fields))
    place = ["chromosome", "start", "end", "strand"]
    table = table.groupby(place, sort=False, as_index=False).agg({"reads": "sum", "multi": "sum", "overhang": "max"})
    return table.sort_values(place, kind="stable", ignore_index=True), kind


def _star(fields: list[str]) -> _Junction:
    name, first, last, strand, _, _, unique, multi, overhang = fields
    return _checked(name, int(first) - 1, int(last), _STAR_STRANDS[strand], float(unique), float(multi), int(overhang))


def _bed(fields: list[str]) -> _Junction:
    name, start, end, _, score, strand, *_, count, sizes, starts = fields
    left, right = (int(size) for size in sizes.rstrip(",").split(","))
    if int(count) != 2 or [int(each) for each in starts.rstrip(",").split(",")] != [0, int(end) - int(start) - right]:
        raise ValueError("the blocks do not lie at the ends")
    intron = int(start) + left, int(end) - right
    return _checked(name, *intron, _BED_STRANDS[strand], float(score), 0.0, min(left, right))


def _checked(name: str, start: int, end: int, strand: str, reads: float, multi: float, overhang: int) -> _Junction:
    if not 0 <= start < end < 1 << 62:
        raise ValueError(f"the intron [{start}, {end}) is empty or before the chromosome")
    if not (0 <= reads < np.inf and 0 <= multi < np.inf):
        raise ValueError("the number of reads is negative or no number")
    return _Junction(name, start, end, strand, reads, multi, overhang)


_PARSERS: dict[str, Callable[[list[str]], _Junction]] = {"STAR": _star, "BED12": _bed}


def _lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """Numbered lines without comments, track lines and empty ones."""
    opener = open if check_file(path, "junctions") is Compression.NONE else gzip.open
    number = 0
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if (text := line.rstrip("\r\n")) and not text.startswith(("#", "track", "browser")):
                    yield number, text
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"junctions {path} cannot be read after line {number} ({error}); make it again") from error
