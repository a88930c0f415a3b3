"""Opens a FASTA file through its index: finds one that fits, or makes it where that is allowed."""

import bisect
import contextlib
import os
import pathlib
import warnings
from collections.abc import Sequence
from typing import cast

import pyfaidx
from ag_core.errors import InputError
from Bio import bgzf

from ag_data.cache import cache_path, replacing
from ag_data.files import Compression, check_file

REMEDY = "delete the index so that it is made again, or run `samtools faidx`"
_LONGEST_HEADER = 4096


def open_indexed(path: pathlib.Path) -> pyfaidx.Faidx:
    """A reader whose `fetch(record, first, last)` returns upper-case text, 1-based with both ends included.

    Uses `path`.fai (and .gzi); else an index in the cache folder; else makes one beside the file or, if that
    folder is read-only, in the cache folder. Raises InputError for a file or an index that is not usable.
    """
    compression = check_file(path, "FASTA file")
    if compression is Compression.GZIP:
        raise InputError(
            f"FASTA file {path} is compressed with gzip, which allows no random access; "
            "recompress it: gunzip it, then bgzip it"
        )
    compressed = compression is Compression.BGZF
    if compressed != (path.suffix.lower() in (".gz", ".bgz")):
        raise InputError(
            f"FASTA file {path} has compression {compression!s}, which its name belies; "
            "rename it: bgzip files end in .gz, others do not"
        )
    beside, cached = _places(path, compressed)
    for indexes in (beside, cached):
        if all(index.exists() for index in indexes):
            return _checked(path, indexes)
    # A lone .fai beside the file is left as it is: pyfaidx makes both, and what others wrote is not overwritten.
    for indexes in (beside, cached) if _writable(path.parent) and not beside[0].exists() else (cached,):
        with contextlib.suppress(OSError), replacing(*indexes) as scratch:
            return _read(path, scratch)
    raise InputError(
        f"no index of {path} can be written, neither beside it nor in {cached[0].parent}; "
        "set AG_CACHE_DIR to a folder you can write to"
    )


def index_files(path: pathlib.Path, compressed: bool) -> list[pathlib.Path]:
    """The index that `open_indexed` has found or made: .fai, and .gzi of a compressed file."""
    beside, cached = _places(path, compressed)
    return beside if all(index.exists() for index in beside) else cached


def _places(path: pathlib.Path, compressed: bool) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    suffixes = (".fai", ".gzi") if compressed else (".fai",)
    return [path.with_name(path.name + suffix) for suffix in suffixes], [
        cache_path(path, suffix) for suffix in suffixes
    ]


def _writable(folder: pathlib.Path) -> bool:
    """Whether the folder wants to be written to: a folder marked read-only is left alone, even by root."""
    return bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK)


def _read(path: pathlib.Path, indexes: Sequence[pathlib.Path]) -> pyfaidx.Faidx:
    """Opens with these index files and makes those that do not exist."""
    try:
        with warnings.catch_warnings():  # about an index older than the file; `_checked` looks closer
            warnings.simplefilter("ignore", RuntimeWarning)
            reader = pyfaidx.Faidx(
                str(path),
                indexname=str(indexes[0]),
                gzi_indexname=str(indexes[-1]),
                as_raw=True,
                sequence_always_upper=True,
                rebuild=False,
            )
    except OSError:
        raise
    except Exception as error:  # pyfaidx, zlib, BGZF and decoding errors
        raise InputError(
            f"FASTA file {path} cannot be indexed ({error}); expected whole records that start with '>' and have "
            "lines of equal length, so make it again"
        ) from error
    if not any(entry.rlen for entry in reader.index.values()):
        reader.file.close()
        raise InputError(f"FASTA file {path} holds no sequence; make it again")
    return reader


def _checked(path: pathlib.Path, indexes: Sequence[pathlib.Path]) -> pyfaidx.Faidx:
    """Opens with existing index files and makes sure that they belong to the file."""
    try:
        reader = _read(path, indexes)
    except (InputError, OSError) as error:
        raise InputError(f"the index {indexes[0]} is not usable ({error}); {REMEDY}") from error
    # Copies do not keep times, so an older index is not wrong as such; but then every record is looked at.
    older = any(index.stat().st_mtime_ns < path.stat().st_mtime_ns for index in indexes)
    records = list(reader.index)
    for record in records if older else dict.fromkeys((records[0], records[-1])):
        if not _fits(reader, record):
            reader.file.close()
            age = "older than it and " if older else ""
            raise InputError(f"the index {indexes[0]} of {path} is stale: {age}wrong at {record!r}; {REMEDY}")
    return reader


def _fits(reader: pyfaidx.Faidx, record: str) -> bool:
    """Whether the record's header is just before the place in the index, and its end where the index says."""
    entry = reader.index[record]
    start = max(0, entry.offset - _LONGEST_HEADER)
    before = _bytes(reader, start, entry.offset - start)
    header = before.removesuffix(b"\n").rpartition(b"\n")[2].split()
    if not before.endswith(b"\n") or header[:1] != [b">" + record.encode()]:
        return False
    if not entry.rlen:
        return True
    if entry.lenc < 1:
        return False
    lines, column = divmod(entry.rlen - 1, entry.lenc)
    last, *after = _bytes(reader, entry.offset + lines * entry.lenb + column, 8).splitlines() or [b""]
    rest = b"".join(after)
    return len(last) == 1 and last.isalpha() and (not rest or rest.startswith(b">"))


def _bytes(reader: pyfaidx.Faidx, start: int, size: int) -> bytes:
    """Up to `size` bytes of the uncompressed file from `start`; none where it cannot be read."""
    try:
        if isinstance(reader.file, bgzf.BgzfReader):
            blocks = [block.ustart for block in reader.gzi_index]
            block = reader.gzi_index[bisect.bisect_right(blocks, start) - 1]
            reader.file.seek(bgzf.make_virtual_offset(block.cstart, start - block.ustart))
        else:
            reader.file.seek(start)
        return cast(bytes, reader.file.read(size))
    except Exception:  # zlib, BGZF errors: whatever the index points to is not there
        return b""
