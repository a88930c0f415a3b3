"""A genome as base codes in one memory-mapped file: any window in a fraction of a millisecond, made once from FASTA.

A folder with `codes.u8` (one byte for each base: A, C, G, T = 0..3, anything else 4) and `genome.json` (where each
piece of each chromosome lies, its digest, and the file it came from). Codes become one-hot on the device
(`ag_core.sequence.one_hot`).
"""

import base64
import hashlib
import json
import operator
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO, Protocol

import numpy as np
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.sequence import UNKNOWN, encode
from jaxtyping import UInt8

from ag_data.cache import cache_path, replacing
from ag_data.contigs import match_contig
from ag_data.fasta import Fasta
from ag_data.files import check_file
from ag_data.two_bit import TwoBit

FORMAT = 1
INDEX, CODES = "genome.json", "codes.u8"
_BLOCK = 1 << 22  # bases read at a time

Progress = Callable[[str, int], None]


def reverse_complement_codes(codes: UInt8[np.ndarray, " position"]) -> UInt8[np.ndarray, " position"]:
    """Codes of the other strand, in its own direction."""
    return np.minimum(codes[::-1] ^ 3, UNKNOWN)


class Genome:
    """Codes of a genome by interval (0-based half-open). Threads may share it, and it can be pickled.

    Raises InputError when the folder is no genome, or one of a newer version.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = pathlib.Path(folder)
        index = _read_index(self.folder)
        chromosomes = index["chromosomes"]
        # Where the FASTA was, and what it is called in messages.
        self.source = str(index["source"])
        # Length of each chromosome in bp; for one known in pieces, the end of the last piece.
        self.lengths: dict[str, int] = {name: entry["length"] for name, entry in chromosomes.items()}
        # Chromosomes known only in pieces.
        self.partial = frozenset(name for name, entry in chromosomes.items() if entry["partial"])
        self._digests = {name: entry["digest"] for name, entry in chromosomes.items()}
        self._pieces = {name: entry["pieces"] for name, entry in chromosomes.items()}
        size = sum(end - start for pieces in self._pieces.values() for start, end, _ in pieces)
        path = self.folder / CODES
        if not path.is_file() or path.stat().st_size != size:
            raise InputError(f"{path} is missing or not {size:,} bytes long; delete {self.folder} and make it again")
        self._codes = np.memmap(path, np.uint8, "r")

    def __reduce__(self):
        return Genome, (self.folder,)

    def __repr__(self) -> str:
        return f"Genome({self.source!r}, {len(self.lengths)} chromosomes)"

    def find_chromosome(self, chromosome: str) -> str | None:
        """This genome's spelling of a chromosome (chr1 or 1, chrM or MT); None when it has none such."""
        return match_contig(chromosome, self.lengths)

    def digest(self, chromosome: str) -> str:
        """GA4GH refget digest (`SQ.`) of the upper-case sequence; of one known in pieces, a digest of these (`PC.`)."""
        return self._digests[self._known(chromosome)]

    def codes(self, interval: Interval) -> UInt8[np.ndarray, " position"]:
        """Codes over `interval`; 4 (N) beyond the chromosome's ends and between pieces. '-': the reverse complement.

        Raises InputError for an unknown chromosome.
        """
        pieces = self._pieces[self._known(interval.chromosome)]
        if len(pieces) == 1 and pieces[0][0] <= interval.start and interval.end <= pieces[0][1]:
            first = pieces[0][2] + interval.start - pieces[0][0]
            codes = np.array(self._codes[first : first + interval.width])
        else:
            codes = np.full(interval.width, UNKNOWN, np.uint8)
            for start, end, offset in pieces:
                low, high = max(start, interval.start), min(end, interval.end)
                if low < high:
                    piece = self._codes[offset + low - start : offset + high - start]
                    codes[low - interval.start : high - interval.start] = piece
        return reverse_complement_codes(codes) if interval.negative_strand else codes

    def _known(self, chromosome: str) -> str:
        if found := self.find_chromosome(chromosome):
            return found
        known = ", ".join(list(self.lengths)[:5])
        raise InputError(f"{self.source} has no chromosome {chromosome!r} (it has {known}, ...); check the assembly")


class Reader(Protocol):
    """What `write_genome` reads: `ag_data.fasta.Fasta`, `ag_data.two_bit.TwoBit`."""

    path: pathlib.Path
    lengths: dict[str, int]
    partial: frozenset[str]

    def pieces(self) -> dict[str, list[tuple[int, int, str]]]:
        """The parts [start, end) of each chromosome, and their records."""
        ...

    def read_record(self, record: str, start: int, end: int) -> str:
        """Upper-case bases [start, end) of a record."""
        ...


def open_genome(*paths: str | os.PathLike[str], progress: Progress | None = None) -> Genome:
    """The genome in a folder made by `write_genome`, or of FASTA or .2bit files, whose codes the cache folder keeps.

    Several files make one genome, each with chromosomes of its own. `progress(chromosome, bases)` is called while
    files are read. Raises InputError when there is no such file, or it is damaged.
    """
    first = pathlib.Path(paths[0])
    if len(paths) == 1 and first.is_dir():
        return Genome(first)
    readers = [open_reader(pathlib.Path(path)) for path in paths]
    others = "".join(str(cache_path(reader.path, "")) for reader in readers[1:])
    suffix = f"-{hashlib.sha256(others.encode()).hexdigest()[:16]}.genome" if others else ".genome"
    folder = cache_path(first, suffix)
    if not folder.exists():
        write_genome(readers, folder, progress)
    return Genome(folder)


def open_reader(path: pathlib.Path) -> Reader:
    """A FASTA or .2bit file. Raises InputError when it is missing or damaged."""
    if path.suffix.lower() == ".2bit":
        check_file(path, "genome")
        return TwoBit(path)
    return Fasta(path)


def write_genome(readers: Sequence[Reader], folder: pathlib.Path, progress: Progress | None = None) -> None:
    """Writes the codes of genome files; the folder appears when it is whole.

    Raises InputError when the folder is there, a file is damaged, or two have the same chromosome.
    """
    if folder.exists():
        raise InputError(f"{folder} exists already; delete it, or choose another name")
    with replacing(folder) as (scratch,):
        scratch.mkdir()
        chromosomes: dict[str, Any] = {}
        with (scratch / CODES).open("wb") as file:
            for reader in readers:
                for name, pieces in reader.pieces().items():
                    if name in chromosomes:
                        raise InputError(f"{reader.path} has {name}, and so has another file; give it once")
                    chromosomes[name] = _write_chromosome(reader, name, pieces, file, progress)
        index = {"format": FORMAT, "source": ", ".join(str(reader.path) for reader in readers)}
        (scratch / INDEX).write_text(json.dumps({**index, "chromosomes": chromosomes}))


def _write_chromosome(
    reader: Reader, name: str, pieces: list[tuple[int, int, str]], file: BinaryIO, progress: Progress | None
) -> dict[str, Any]:
    partial = name in reader.partial
    digest, placed = hashlib.sha512(), []
    for start, end, record in pieces:
        placed.append((start, end, file.tell()))
        if partial:
            digest.update(f"{start}-{end}:".encode())
        for first in range(0, end - start, _BLOCK):
            last = min(first + _BLOCK, end - start)
            bases = reader.read_record(record, first, last)
            digest.update(bases.encode())
            file.write(encode(bases).tobytes())
            if progress:
                progress(name, last - first)
    code = base64.urlsafe_b64encode(digest.digest()[:24]).decode()
    about = {"length": reader.lengths[name], "partial": partial, "digest": f"{'PC' if partial else 'SQ'}.{code}"}
    return {**about, "pieces": placed}


def check_same_genome(genome: Genome, contigs: Mapping[str, Mapping[str, Any]], what: str) -> None:
    """Raises InputError when a store's contigs (name -> length, digest) are not those of `genome`."""
    for name, entry in contigs.items():
        found = genome.find_chromosome(name)
        if found is None:
            raise InputError(f"{what} has {name}, which {genome.source} lacks; use the genome it was made with")
        if genome.digest(found) != entry["digest"]:
            raise InputError(
                f"{what} was made on another genome: its {name} has {entry['length']:,} bp and digest "
                f"{entry['digest']}, that of {genome.source} {genome.lengths[found]:,} bp and {genome.digest(found)}; "
                "use the genome it was made with, or import again"
            )


def _read_index(folder: pathlib.Path) -> dict[str, Any]:
    try:
        index = json.loads((folder / INDEX).read_text())
        version = operator.index(index["format"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{folder} holds no genome ({error}); expected a FASTA file or a folder with {INDEX}"
        ) from error
    if version > FORMAT:
        raise InputError(f"{folder} has format {version}, this ag-data reads up to {FORMAT}: upgrade ag-data")
    try:
        _check_index(index)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / INDEX} is damaged ({error!r}); delete {folder} and make it again") from error
    return index


def _check_index(index: Mapping[str, Any]) -> None:
    """Raises ValueError, KeyError, TypeError or AttributeError for what `_write_chromosome` would not write."""
    str(index["source"])
    at = 0
    for name, entry in index["chromosomes"].items():
        length = operator.index(entry["length"])
        for start, end, offset in entry["pieces"]:
            if type(start) is not int or type(end) is not int or offset != at or not 0 <= start <= end <= length:
                raise ValueError(f"{name} has no piece [{start}, {end}) at byte {offset}")
            at += end - start
        if not isinstance(entry["digest"], str) or not isinstance(entry["partial"], bool):
            raise ValueError(f"{name} has no digest")
