"""BAM and CRAM: coverage, ends of reads, or cut sites, counted at each base and summed over bins.

Strand of a read's molecule: with stranded="forward" a single read or a first mate is on the strand it aligns to, and a
second mate on the other; "reverse" (dUTP libraries; PRO-seq, whose reads are the reverse complement of the RNA and
whose 5' ends mark where the polymerase stood) is the opposite.

Not done: mates that overlap each cover what they share (give extend="pairs" for one fragment for each pair), and the
unpaired G at the start of CAGE reads counts as aligned.
"""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.interfaces import AbstractSource
from ag_core.schema import track_table
from jaxtyping import Bool, Float

from ag_data.sources.bins import Pile, check_choice, check_resolution
from ag_data.sources.ends import check_shift, cut_site, extend_reads, five_prime, three_prime
from ag_data.sources.reads import LONGEST_PAIR, PAIRED, Filters, ReadFile, Reads
from ag_data.sources.scales import check_count_scale, count_factor, remember
from ag_data.sources.values import track_name

COUNTS = ("coverage", "five_prime", "three_prime", "cut_sites")


class BamSource(AbstractSource):
    """A BAM or CRAM file, sorted by coordinate and indexed. CRAM needs no reference.

    - `count`: "coverage" (aligned bases, neither introns nor deletions), "five_prime", "three_prime" (as far as
      aligned) or "cut_sites" (5' ends moved by `tn5_shift`; which base that is says `ag_data.sources.ends`).
    - `stranded`: False, "forward" or "reverse"; the latter two make tracks for '+' and '-'.
    - `tn5_shift`: bp for reads on '+' and on '-'; (4, -4) puts both cuts of one insertion on one base, DNase wants
      (0, 0), or (0, 1) for left edges.
    - `min_mapq`, `skip_flags` (default: unmapped, secondary, supplementary, failed quality, duplicate),
      `proper_pairs_only`, `mates` ("both", "first", "second"): which reads count.
    - `extend`: for coverage, the length in bp to which reads are extended from their 5' end, or "pairs": each proper
      pair of at most 2,000 bp counts once, from end to end.
    - `scale`: "none", "cpm" or "rpm" (per million reads that count, in the whole file), or a factor.

    Raises InputError for a file that is truncated, not sorted or without an index, and for unknown options.
    """

    layout = "signal"

    def __init__(
        self,
        path: str | os.PathLike[str],
        resolution: int = 1,
        count: str = "coverage",
        stranded: bool | str = False,
        tn5_shift: Sequence[int] = (4, -5),
        min_mapq: int = 0,
        skip_flags: int = Filters.skip_flags,
        proper_pairs_only: bool = False,
        mates: str = "both",
        extend: int | str | None = None,
        scale: float | str = "none",
    ):
        self.resolution = check_resolution(resolution)
        self._count, self._shift = check_choice("count", count, COUNTS), check_shift(tn5_shift)
        if stranded is not False and stranded not in ("forward", "reverse"):
            raise InputError(f"stranded is {stranded!r}; expected false, forward or reverse")
        whole = type(extend) is int and extend > 0
        if extend is not None and (count != "coverage" or not (whole or extend == "pairs")):
            raise InputError(f"extend is {extend!r}; expected, with count=coverage, a length in bp or pairs")
        self._stranded, self._extend = stranded, extend
        self._scale = check_count_scale(scale)
        check_choice("mates", mates, ("both", "first", "second"))
        if extend == "pairs" and mates != "both":
            raise InputError("extend=pairs counts pairs, so `mates` cannot choose one of them; leave it out")
        self._filters = Filters(skip_flags, min_mapq, proper_pairs_only, mates, extend == "pairs")
        self._file = ReadFile(pathlib.Path(path))
        self._counted: dict[str, Any] | None = None
        self._factor: float | None = None

    def tracks(self) -> xr.Dataset:
        strands = ["+", "-"] if self._stranded else ["."]
        return track_table({"name": [track_name(self._file.path)] * len(strands), "strand": strands})

    def chromosomes(self) -> Mapping[str, int | None]:
        return self._file.chromosomes

    def read(self, interval: Interval) -> Float[np.ndarray, "position track"]:
        """Counts. Reads that begin outside the interval count where they reach into it."""
        pile = Pile(interval.start, interval.end, 2 if self._stranded else 1)
        reach = max(map(abs, self._shift)) if self._count == "cut_sites" else 0
        if self._extend is not None:
            reach = LONGEST_PAIR if isinstance(self._extend, str) else self._extend
        blocks = self._count == "coverage" and self._extend is None
        start, end = interval.start - reach, interval.end + reach
        for reads in self._file.fetch(interval.chromosome, start, end, self._filters, blocks=blocks):
            self._add(pile, reads)
        return pile.bins(self.resolution, self.factor())

    def factor(self) -> float:
        """What counts are multiplied by."""
        if self._factor is None:
            label = str(self._file.path)
            self._factor = count_factor(self._scale, lambda: self._survey()["reads_counted"], label)
        return self._factor

    def facts(self) -> Mapping[str, Any]:
        """Reads counted and left out (one pass over the file, which is remembered), fragment length, settings."""
        shift = {"tn5_shift": list(self._shift)} if self._count == "cut_sites" else {}
        settings = {"count": self._count, "stranded": self._stranded, "extend": self._extend, **shift}
        return {**self._survey(), **settings, "scale": self._scale, "factor": self.factor()}

    def _add(self, pile: Pile, reads: Reads) -> None:
        # Row 0 is '+' or both, row 1 is '-'.
        on_minus = reads.minus ^ reads.second ^ (self._stranded == "reverse") if self._stranded else None
        for track, chosen in enumerate([slice(None)] if on_minus is None else [~on_minus, on_minus]):
            start, end, minus = reads.start[chosen], reads.end[chosen], reads.minus[chosen]
            if self._count == "five_prime":
                pile.add_points(track, five_prime(start, end, minus))
            elif self._count == "three_prime":
                pile.add_points(track, three_prime(start, end, minus))
            elif self._count == "cut_sites":
                pile.add_points(track, cut_site(start, end, minus, self._shift))
            elif isinstance(self._extend, int):
                pile.add_spans(track, *extend_reads(start, end, minus, self._extend))
            else:
                pile.add_spans(track, *_spans(reads, on_minus, track))

    def _survey(self) -> dict[str, Any]:
        if self._counted is None:
            rows = np.array(remember(self._file.path, ".reads.json", self._file.count), np.int64).reshape(-1, 5)
            flag, mapq, kind, number, length = rows.T
            kept = np.ones(len(rows), bool)
            left: dict[str, int] = {}
            # A read is left out for the first reason there is.
            template = np.array([0, 1, LONGEST_PAIR + 1])[kind]
            for reason, wrong in self._filters.reasons(flag, mapq, template).items():
                if number[kept & wrong].any():
                    left[reason] = int(number[kept & wrong].sum())
                kept &= ~wrong
            pairs = (flag & PAIRED != 0) & kept
            whole = (kind == 1) & pairs
            self._counted = {
                "reads": int(number.sum()),
                "reads_counted": int(number[kept].sum()),
                "left_out": left,
                "paired": int(number[pairs].sum()),
                "mean_fragment_length": float(length[whole].sum() / number[whole].sum()) if whole.any() else None,
            }
        return self._counted


def _spans(reads: Reads, on_minus: Bool[np.ndarray, " read"] | None, track: int) -> tuple[np.ndarray, np.ndarray]:
    """Aligned blocks of the reads of a track."""
    whole = np.ones(len(reads.start), bool)
    whole[reads.gapped[:, 0]] = False
    blocks = reads.gapped
    if on_minus is not None:
        whole &= on_minus == bool(track)
        blocks = blocks[on_minus[blocks[:, 0]] == bool(track)]
    return np.append(reads.start[whole], blocks[:, 1]), np.append(reads.end[whole], blocks[:, 2])
