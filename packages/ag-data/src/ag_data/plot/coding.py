"""The translated parts of transcripts, for pictures: rows of feature CDS in a GTF file."""

import collections
import gzip
import os
import re

import numpy as np
from ag_core.errors import InputError
from ag_core.genome import Interval

from ag_data.contigs import match_contig
from ag_data.plot.transcripts import Coding

_TRANSCRIPT = re.compile(r'transcript_id "?([^";]+)')


def read_coding(path: str | os.PathLike[str], interval: Interval | None = None) -> Coding:
    """Translated parts (0-based half-open, as in the file without the stop codon) by transcript id.

    `interval`: only what overlaps it. Raises InputError for a file without rows of feature CDS.
    """
    found: dict[str, list[tuple[int, int]]] = collections.defaultdict(list)
    opener = gzip.open if os.fspath(path).endswith((".gz", ".bgz")) else open
    some = False
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            columns = line.rstrip("\n").split("\t")
            if len(columns) < 9 or columns[2] != "CDS" or not (match := _TRANSCRIPT.search(columns[8])):
                continue
            some, start, end = True, int(columns[3]) - 1, int(columns[4])
            if interval is not None:
                near = start < interval.end and end > interval.start
                if not near or match_contig(interval.chromosome, [columns[0]]) is None:
                    continue
            found[match[1]].append((start, end))
    if not some:
        raise InputError(f"annotation {path} has no rows of feature CDS; leave `coding` out, or use a full GTF file")
    return {transcript: np.array(sorted(parts), np.int64) for transcript, parts in found.items()}
