"""Fragments, BEDPE and tagAlign: cut sites, 5' ends or coverage, counted at each base and summed over bins.

Three kinds of lines, all 0-based half-open:

- "fragments": chromosome, start, end and perhaps more (10x: barcode, read pairs). One line is one fragment.
- "reads": chromosome, start, end, name, score, strand (tagAlign, BED6). One line is one read.
- "pairs": the six columns of two places and perhaps more (BEDPE). One line is one fragment, from end to end; pairs on
  two chromosomes are left out.
"""

import collections
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.interfaces import AbstractSource
from ag_core.schema import track_table
from jaxtyping import Float

from ag_data.sources.bins import Pile, check_choice, check_resolution
from ag_data.sources.ends import check_shift, cut_site, extend_reads, five_prime
from ag_data.sources.fragment_survey import drop_duplicates, survey_fragments
from ag_data.sources.scales import check_count_scale, count_factor, remember
from ag_data.sources.spool import Columns, open_places
from ag_data.sources.text import PLACE, Column, Records, Table
from ag_data.sources.values import track_name

_ENOUGH = 50  # lines, to judge by their lengths
KINDS = ("fragments", "reads", "pairs")
_MATE = {"chromosome_2": Column(3, "text"), "start_2": Column(4, "int"), "end_2": Column(5, "int")}


class FragmentsSource(AbstractSource):
    """A file of fragments or reads: text, gzip, bzip2, or bgzip with tabix (else it is spooled to temporary files).

    - `count`: "cut_sites" (both ends of a fragment, the 5' end of a read), "coverage" or "five_prime" (by strand).
    - `shifted`: whether the coordinates were moved for Tn5 already, so that `tn5_shift` does not apply; by default
      True for fragments (10x does it) and False for reads and pairs. A fragment that was moved counts at base `start`
      and base `end - 1`; for others see `ag_data.sources.ends`. `facts` has what the coordinates themselves tell.
    - `stranded`: tracks for '+' and '-', by the column of strands (BEDPE: that of the first mate).
    - `extend`: for coverage of reads, the length in bp to which they are extended from their 5' end.
    - `scale`: "none", "cpm" or "rpm" (per million lines that count), or a factor.
    - `kind`: of lines; by default what the columns look like.
    - `duplicates`: "keep", or "drop" all but one line of the same place and strand, whatever their barcodes.

    Raises InputError naming the line that is wrong, and for columns that `count` needs and the file lacks.
    """

    layout = "signal"

    def __init__(
        self,
        path: str | os.PathLike[str],
        resolution: int = 1,
        count: str = "cut_sites",
        shifted: bool | None = None,
        tn5_shift: Sequence[int] = (4, -5),
        stranded: bool = False,
        extend: int | None = None,
        scale: float | str = "none",
        kind: str | None = None,
        duplicates: str = "keep",
    ):
        self.resolution = check_resolution(resolution)
        self._count = check_choice("count", count, ("cut_sites", "coverage", "five_prime"))
        self._table = Table(pathlib.Path(path), "file of fragments")
        self._kind = guess_kind(self._table) if kind is None else check_choice("kind", kind, KINDS)
        self._shifted = self._kind == "fragments" if shifted is None else bool(shifted)
        self._shift = (0, 0) if self._shifted else check_shift(tn5_shift)
        if extend is not None and (type(extend) is not int or extend < 1 or count != "coverage"):
            raise InputError(f"extend is {extend!r}; expected, with count=coverage, a length in bp")
        if extend is not None and self._kind != "reads":
            raise InputError(f"{self._table.label} holds {self._kind}, which have both their ends; leave `extend` out")
        self._stranded, self._extend = bool(stranded), extend
        self._scale = check_count_scale(scale)
        self._drop = check_choice("duplicates", duplicates, ("keep", "drop")) == "drop"
        single = self._kind == "reads" and (count == "cut_sites" or extend is not None)
        strand = 8 if self._kind == "pairs" else 5
        self._directed = self._stranded or count == "five_prime" or single
        if self._directed and self._table.width <= strand:
            raise InputError(
                f"{self._table.label} has {self._table.width} columns and so no strands; count cut_sites or coverage "
                "of fragments, without `stranded`"
            )
        guessed = kind is None and self._kind == "reads"
        columns = {"strand": Column(strand, "text")} if self._directed or guessed else {}
        columns |= _MATE if self._kind == "pairs" else {}
        self._left_out, self._strands = 0, set[str]()
        # Pairs that are left out are counted on the way, so the whole file is read.
        indexed = self._kind != "pairs"
        self._places = open_places(self._table, columns, self._convert, {"minus": "?"}, indexed)
        if guessed and len(self._strands) == 1:
            raise _ambiguous(self._table, f"all are on {self._strands.pop()!r}")
        self._counted: dict[str, Any] | None = None
        self._factor: float | None = None

    def tracks(self) -> xr.Dataset:
        strands = ["+", "-"] if self._stranded else ["."]
        return track_table({"name": [track_name(self._table.path)] * len(strands), "strand": strands})

    def chromosomes(self) -> Mapping[str, int | None]:
        return dict.fromkeys(self._places.chromosomes())

    def read(self, interval: Interval) -> Float[np.ndarray, "position track"]:
        """Counts. What begins outside the interval counts where it reaches into it."""
        pile = Pile(interval.start, interval.end, 2 if self._stranded else 1)
        reach = max(self._extend or 0, *map(abs, self._shift))
        rows = self._places.overlapping(interval.chromosome, interval.start - reach, interval.end + reach)
        if self._drop:
            rows = drop_duplicates(rows)
        for track in range(2 if self._stranded else 1):
            chosen = rows["minus"] == bool(track) if self._stranded else slice(None)
            self._add(pile, track, {name: values[chosen] for name, values in rows.items()})
        return pile.bins(self.resolution, self.factor())

    def factor(self) -> float:
        """What counts are multiplied by."""
        if self._factor is None:
            self._factor = count_factor(self._scale, lambda: self._survey()["counted"], self._table.label)
        return self._factor

    def facts(self) -> Mapping[str, Any]:
        """Lines counted, their lengths, where ends meet starts (`survey_fragments`), and settings."""
        return {
            **self._survey(),
            "count": self._count,
            "kind": self._kind,
            "shifted": self._shifted,
            "tn5_shift": list(self._shift),
            "extend": self._extend,
            "duplicates": "drop" if self._drop else "keep",
            "scale": self._scale,
            "factor": self.factor(),
            "pairs_left_out": self._left_out,
        }

    def _add(self, pile: Pile, track: int, rows: Columns) -> None:
        start, end, minus = rows["start"], rows["end"], rows["minus"]
        if self._count == "five_prime":
            pile.add_points(track, five_prime(start, end, minus))
        elif self._count == "cut_sites" and self._kind == "reads":
            pile.add_points(track, cut_site(start, end, minus, self._shift))
        elif self._count == "cut_sites":
            for side in (False, True):
                pile.add_points(track, cut_site(start, end, np.full(len(start), side), self._shift))
        elif self._extend is not None:
            pile.add_spans(track, *extend_reads(start, end, minus, self._extend))
        else:
            pile.add_spans(track, start, end)

    def _survey(self) -> dict[str, Any]:
        if self._counted is None:
            pieces = (self._places.pieces(name) for name in self._places.chromosomes())
            single = self._kind == "reads"
            suffix = f".{self._kind}{'.directed' if self._directed else ''}{'.unique' if self._drop else ''}.json"
            self._counted = dict(
                remember(
                    self._table.path,
                    suffix,
                    lambda: survey_fragments(pieces, self._drop, ends=not single or self._directed, single=single),
                )
            )
        return self._counted

    def _convert(self, records: Records) -> tuple[pd.Categorical, Columns]:
        if self._kind == "pairs":
            records = self._join_pairs(records)
        self._table.check_places(records)
        minus = np.zeros(len(records.lines), bool)
        if "strand" in records.names:
            strand = np.asarray(records.names["strand"].astype(str))
            self._strands.update(map(str, records.names["strand"].categories))
        if self._directed:
            wrong = np.flatnonzero((strand != "+") & (strand != "-"))
            if len(wrong):
                self._table.refuse(records, wrong[0], f"strand is {strand[wrong[0]]!r}; expected '+' or '-'")
            minus = np.asarray(strand == "-")
        columns: Columns = {"start": records.columns["start"], "end": records.columns["end"], "minus": minus}
        return records.names["chromosome"], columns

    def _join_pairs(self, records: Records) -> Records:
        """Pairs on one chromosome, from end to end."""
        mates = [np.asarray(records.names[name].astype(str)) for name in ("chromosome", "chromosome_2")]
        same = mates[0] == mates[1]
        same &= mates[0] != "."
        self._left_out += int((~same).sum())
        own = {name: values[same] for name, values in records.columns.items()}
        start, end = np.minimum(own["start"], own["start_2"]), np.maximum(own["end"], own["end_2"])
        # A mate of no length or before the chromosome must not hide in the fragment.
        for left, right in (("start", "end"), ("start_2", "end_2")):
            start = np.where((own[left] < 0) | (own[right] <= own[left]), -1, start)
        names = {name: values[same] for name, values in records.names.items()}
        return Records({"start": start, "end": end}, names, records.lines[same])


def guess_kind(table: Table) -> str:
    """What the lines of a file are, by the first thousand. Raises InputError where that is not clear."""
    head = [table.fields(line) for line in table.head]
    width = min(map(len, head))
    if width < len(PLACE):
        raise InputError(f"{table.label} has {width} columns; expected chromosome, start and end at least")
    if width < 6:
        return "fragments"
    if all(row[4].lstrip("-").isdigit() and row[5].lstrip("-").isdigit() for row in head):
        return "pairs"
    if not all(row[5] in ("+", "-") for row in head):
        return "fragments"
    # Most reads of a run have one length, also after some were trimmed; fragments have all lengths.
    lengths = collections.Counter(int(row[2]) - int(row[1]) for row in head if row[1].isdigit() and row[2].isdigit())
    if len(head) >= _ENOUGH and max(lengths.values(), default=0) < len(head) / 5:
        raise _ambiguous(table, "their lengths all differ")
    return "reads"


def _ambiguous(table: Table, reason: str) -> InputError:
    return InputError(
        f"{table.label}: lines look like reads with a strand, but {reason}, as in files of fragments; say what they "
        "are: kind=fragments or kind=reads"
    )
