"""Genomes in UCSC's .2bit format, for `ag_data.genome_store`."""

import os
import pathlib
import struct
import weakref
from typing import BinaryIO

from ag_core.errors import InputError
from Bio import SeqIO

# What Biopython raises for damaged files.
_ERRORS = (OSError, ValueError, AssertionError, RuntimeError, LookupError, MemoryError, struct.error)


class TwoBit:
    """Bases of a .2bit file by record. Raises InputError when it is missing or damaged."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = pathlib.Path(path)
        file = self.path.open("rb")
        weakref.finalize(self, file.close)  # records read from it when they are asked
        try:
            _check_sizes(file.read(16), file, self.path.stat().st_size)
            file.seek(0)
            self._records = {str(record.id): record for record in SeqIO.parse(file, "twobit")}
            # Length of each chromosome in bp.
            self.lengths = {name: len(record) for name, record in self._records.items()}
        except _ERRORS as error:
            raise InputError(f"genome {path} cannot be read as .2bit ({error}); download or make it again") from error
        # As in `ag_data.fasta.Fasta`: none here.
        self.partial: frozenset[str] = frozenset()

    def pieces(self) -> dict[str, list[tuple[int, int, str]]]:
        """As `ag_data.fasta.Fasta.pieces`: each chromosome is one."""
        return {name: [(0, length, name)] for name, length in self.lengths.items()}

    def read_record(self, record: str, start: int, end: int) -> str:
        """Upper-case bases [start, end) of a record."""
        try:
            return str(self._records[record].seq[start:end]).upper()
        except _ERRORS as error:
            raise InputError(f"genome {self.path}, {record}: {error}; download or make it again") from error


def _check_sizes(head: bytes, file: BinaryIO, size: int) -> None:
    """Raises ValueError for counts that the file is too short for: memory would be taken for all of them.

    Source: https://genome.ucsc.edu/FAQ/FAQformat.html#format7
    """
    order = "<" if head[:4] == b"\x43\x27\x41\x1a" else ">"
    records = struct.unpack(f"{order}I", head[8:12])[0]
    if records * 6 > size:
        raise ValueError(f"it names {records:,} records")
    places = []
    for _ in range(records):
        file.seek(file.read(1)[0], os.SEEK_CUR)
        places += struct.unpack(f"{order}I", file.read(4))
    for place in places:
        file.seek(place)
        bases, unknown = struct.unpack(f"{order}II", file.read(8))
        file.seek(8 * unknown, os.SEEK_CUR)
        masked = struct.unpack(f"{order}I", file.read(4))[0]
        if bases > 4 * size or 8 * unknown > size or 8 * masked > size:
            raise ValueError(f"a record has {bases:,} bases, {unknown:,} unknown and {masked:,} masked stretches")
