"""Reference sequence from an indexed FASTA file, plain or bgzip."""

import dataclasses
import difflib
import os
import pathlib
import re
from typing import cast

import pysam
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.sequence import reverse_complement
from Bio import bgzf

from ag_data.contigs import match_contig
from ag_data.fasta_index import REMEDY, index_files, open_indexed

_SPAN = re.compile(r"(.+):(\d+)-(\d+)")


@dataclasses.dataclass(frozen=True)
class _Piece:
    """A record and the part [start, end) of the chromosome it holds."""

    start: int
    end: int
    record: str


class Fasta:
    """Bases of a genome by interval (0-based half-open).

    A record named by a span, `chr20:44329613-44460684` (1-based, both ends included), is a piece of a chromosome:
    coordinates stay those of the chromosome, and what lies outside the known pieces reads as 'N'.

    An index beside the file is used; else one is made there or, if that folder is read-only, in the cache folder.
    Objects can be pickled and used after a fork. Raises InputError when the file or its index is not usable.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = pathlib.Path(path)
        self._reader, self._process = open_indexed(self.path), os.getpid()
        self._bulk: pysam.FastaFile | None = None
        pieces: dict[str, list[_Piece]] = {}
        partial = set()
        for record, entry in self._reader.index.items():
            chromosome, start = record, 0
            span = _SPAN.fullmatch(record)
            if span and int(span[3]) - int(span[2]) + 1 == entry.rlen:
                chromosome, start = span[1], int(span[2]) - 1
                partial.add(chromosome)
            pieces.setdefault(chromosome, []).append(_Piece(start, start + entry.rlen, record))
        self._pieces = {name: sorted(parts, key=lambda part: part.start) for name, parts in pieces.items()}
        # Length of each chromosome in bp; for one known in pieces, the end of the last piece.
        self.lengths = {name: max(part.end for part in parts) for name, parts in self._pieces.items()}
        # Chromosomes known only in pieces, whose true length nobody knows.
        self.partial = frozenset(partial)

    def __reduce__(self):
        return Fasta, (self.path,)

    def __repr__(self) -> str:
        return f"Fasta({str(self.path)!r}, {len(self.lengths)} chromosomes)"

    def find_chromosome(self, chromosome: str) -> str | None:
        """This file's spelling of a chromosome (chr1 or 1, chrM or MT); None when it has no such chromosome."""
        return match_contig(chromosome, self.lengths)

    def _chromosome(self, chromosome: str) -> str:
        if found := self.find_chromosome(chromosome):
            return found
        known = list(self.lengths)
        close = difflib.get_close_matches(chromosome, known, n=5) or known[:5]
        raise InputError(
            f"{self.path} has no chromosome {chromosome!r}; closest names: {', '.join(close)}; "
            "use a name from this file or a FASTA file of the right assembly"
        )

    def fetch(self, interval: Interval) -> str:
        """Upper-case bases, 'N' where nothing is known; for strand '-' the reverse complement.

        Raises InputError for an unknown chromosome and for an interval wholly off the chromosome.
        """
        chromosome = self._chromosome(interval.chromosome)
        length = self.lengths[chromosome]
        if interval.end < 0 or (interval.start >= length and chromosome not in self.partial):
            raise InputError(
                f"{interval} lies outside {chromosome}, which has {length} bp in {self.path}; "
                "check the position and the assembly"
            )
        parts, reached = [], interval.start
        for piece in self._pieces[chromosome]:
            start, end = max(piece.start, reached), min(piece.end, interval.end)
            if start < end:
                parts += ["N" * (start - reached), self._read(piece, start, end)]
                reached = end
        parts.append("N" * (interval.end - reached))
        bases = "".join(parts)
        return reverse_complement(bases) if interval.negative_strand else bases

    def covers(self, interval: Interval) -> bool:
        """Whether the file holds every base of `interval` (an N in the file counts as held)."""
        chromosome = self.find_chromosome(interval.chromosome)
        reached = interval.start
        for piece in self._pieces.get(chromosome or "", ()):
            if piece.start <= reached:
                reached = max(reached, piece.end)
        return chromosome is not None and interval.start >= 0 and interval.end <= reached

    def check_reference(self, variant: Variant) -> bool:
        """Whether the genome has the variant's reference bases.

        An N among the reference bases matches anything; an N in the genome matches nothing but N.
        Raises InputError as `fetch` does.
        """
        genome = self.fetch(variant.reference_interval) if variant.reference_bases else ""
        return all(base in ("N", known) for base, known in zip(variant.reference_bases, genome, strict=True))

    def pieces(self) -> dict[str, list[tuple[int, int, str]]]:
        """The parts [start, end) of each chromosome that the file holds, and their records, without overlaps."""
        whole: dict[str, list[tuple[int, int, str]]] = {}
        for name, parts in self._pieces.items():
            whole[name] = []
            for part in parts:
                if any(part.start < end for _, end, _ in whole[name]):
                    raise InputError(f"{self.path}: record {part.record!r} overlaps another; merge them into one")
                whole[name].append((part.start, part.end, part.record))
        return whole

    def read_record(self, record: str, start: int, end: int) -> str:
        """Upper-case bases [start, end) of a record; whole chromosomes read this way in seconds.

        Raises InputError when the file is damaged.
        """
        if self._bulk is None:
            # On bgzip files pysam is fifty times faster than pyfaidx.
            compressed = isinstance(self._reader.file, bgzf.BgzfReader)
            indexes = map(str, index_files(self.path, compressed))
            names = dict(zip(("filepath_index", "filepath_index_compressed"), indexes, strict=False))
            self._bulk = pysam.FastaFile(str(self.path), **names)
        try:
            bases = self._bulk.fetch(record, start, end).upper()
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path} is corrupt near {record} ({error}); make it again") from error
        if len(bases) != end - start:
            raise InputError(f"{self.path} and its index disagree at {record}; {REMEDY}")
        return bases

    def _read(self, piece: _Piece, start: int, end: int) -> str:
        if self._process != os.getpid():  # a forked child must not share the parent's file position
            self._reader, self._process = open_indexed(self.path), os.getpid()
        try:
            bases = cast(str, self._reader.fetch(piece.record, start - piece.start + 1, end - piece.start))
        except Exception as error:  # zlib, BGZF and decoding errors of any kind: the file is damaged
            raise InputError(f"{self.path} is corrupt near {piece.record} ({error}); make it again") from error
        if len(bases) != end - start:
            raise InputError(f"{self.path} and its index disagree at {piece.record}; {REMEDY}")
        return bases
