"""Genomes in UCSC's .2bit format, for `ag_data.genome_store`."""

import os
import pathlib
import weakref

from ag_core.errors import InputError
from Bio import SeqIO


class TwoBit:
    """Bases of a .2bit file by record. Raises InputError when it is missing or damaged."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = pathlib.Path(path)
        file = self.path.open("rb")
        weakref.finalize(self, file.close)  # records read from it when they are asked
        try:
            self._records = {str(record.id): record for record in SeqIO.parse(file, "twobit")}
            # Length of each chromosome in bp.
            self.lengths = {name: len(record) for name, record in self._records.items()}
        except (OSError, ValueError, AssertionError) as error:
            raise InputError(f"genome {path} cannot be read as .2bit ({error}); download or make it again") from error
        # As in `ag_data.fasta.Fasta`: none here.
        self.partial: frozenset[str] = frozenset()

    def pieces(self) -> dict[str, list[tuple[int, int, str]]]:
        """As `ag_data.fasta.Fasta.pieces`: each chromosome is one."""
        return {name: [(0, length, name)] for name, length in self.lengths.items()}

    def read_record(self, record: str, start: int, end: int) -> str:
        """Upper-case bases [start, end) of a record."""
        return str(self._records[record].seq[start:end]).upper()
