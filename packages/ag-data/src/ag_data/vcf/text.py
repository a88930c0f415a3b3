"""A VCF as text, line by line: what htslib would drop, add or round stays as it is."""

import contextlib
import gzip
import itertools
import os
import pathlib
from collections.abc import Iterator

import pysam

from ag_data.files import Compression, check_file


@contextlib.contextmanager
def open_lines(path: str | os.PathLike[str]) -> Iterator[tuple[list[str], Iterator[str]]]:
    """The header's lines and the records' lines, without line ends; BCF as text.

    Raises InputError when the file is missing, empty or truncated; what the lines say is not looked at.
    """
    path = pathlib.Path(path)
    opener = open if check_file(path, "VCF file") is Compression.NONE else gzip.open
    with opener(path, "rb") as file:
        is_bcf = file.read(3) == b"BCF"
    with contextlib.ExitStack() as stack:
        if is_bcf:
            bcf = stack.enter_context(pysam.VariantFile(os.fspath(path)))
            yield str(bcf.header).splitlines(), (str(record).rstrip("\n") for record in bcf)
            return
        opened = opener(path, "rt", encoding="utf-8", errors="surrogateescape", newline="\n")
        lines = (line.rstrip("\r\n") for line in stack.enter_context(opened))
        header = []
        for line in lines:
            if not line.startswith("#"):
                lines = itertools.chain([line], lines)
                break
            header.append(line)
        yield header, lines
