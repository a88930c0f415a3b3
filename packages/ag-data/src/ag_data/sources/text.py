"""Tables of places as text (BED and its relatives): read in large blocks, and every error names its line.

Plain, gzip, bgzip or bzip2. Lines that start with '#', `track` or `browser` and empty lines are passed over. Fields
are separated by tabs or, where the first line has none, by blanks.
"""

import bz2
import functools
import gzip
import itertools
import pathlib
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Literal, NamedTuple, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from ag_core.errors import InputError
from jaxtyping import Int
from pyarrow import csv

from ag_data.files import Compression, check_file

_SIZE = 1 << 24  # bytes read at a time
_SKIPPED = re.compile(rb"#|(?:track|browser)(?:\s|$)|\s*$")
_MARKS = (b"#", b"track", b"browser", b"\n", b"\r", b" ", b"\t")
_WHOLE = re.compile(rb"\s*-?\d+\s*\Z")
_LARGEST = 2**32 - 1

Kind = Literal["int", "float", "text"]
_TYPES = {"int": pa.int64(), "float": pa.float64(), "text": pa.string()}


class Column(NamedTuple):
    """Where a column is (from 0) and what it holds; text is read as `pandas.Categorical`."""

    index: int
    kind: Kind


PLACE = {"chromosome": Column(0, "text"), "start": Column(1, "int"), "end": Column(2, "int")}


class Records(NamedTuple):
    """Some records of a file, in file order, and the number of each one's line, from 1."""

    columns: Mapping[str, np.ndarray]
    names: Mapping[str, pd.Categorical]
    lines: Int[np.ndarray, " record"]


class Table:
    """A text file with one record a line; `what` names it in messages ("bedGraph file").

    Raises InputError for a file that is missing, empty, damaged, or without a single record.
    """

    def __init__(self, path: pathlib.Path, what: str):
        self.path, self.label = path, f"{what} {path}"
        self.compression = check_file(path, what)
        text = next(self._blocks(), (b"", 1))[0]
        start = text[: 1 << 20].splitlines()
        # The first records as fields, and the last comment before them, which may hold names of columns.
        self.head = [line for line in start if not _SKIPPED.match(line)][:1000]
        if not self.head:
            raise InputError(f"{self.label} has no records at its start, only comments; make it again")
        self.blanks = b"\t" not in self.head[0]
        before = itertools.takewhile(lambda line: line != self.head[0], start)
        self.comment = next((line for line in reversed(list(before)) if line.startswith(b"#")), b"")
        self.width = len(self.fields(self.head[0]))

    def fields(self, line: bytes) -> list[str]:
        """The fields of a line."""
        parts = line.split() if self.blanks else line.rstrip(b"\r\n").split(b"\t")
        return [part.decode("utf-8", "replace") for part in parts]

    def read(self, columns: Mapping[str, Column], header: int = 0) -> Iterator[Records]:
        """All records but the first `header` ones, in pieces. Raises InputError naming the first wrong line."""
        for text, first in self._blocks():
            text, lines = _data_lines(text, first)
            if header and len(lines):
                text, lines, header = text.split(b"\n", 1)[1], lines[1:], header - 1
            if len(lines):
                yield self.parse(text, columns, lines)

    def parse(
        self, text: bytes, columns: Mapping[str, Column], lines: Int[np.ndarray, " record"] | None = None
    ) -> Records:
        """Records from lines of text; without `lines` they are taken from somewhere in the file."""
        if b"\r" in text and re.search(rb"\r(?!\n)", text):  # which would count as an end of line
            raise InputError(f"{self.label} has a carriage return within a line; convert it: tr '\\r' '\\n'")
        if self.blanks:
            text = re.sub(rb"(?m)^[ \t]+|[ \t]+\r?$", b"", text)
            text = re.sub(rb"[ \t]+", b"\t", text)
        for name, (index, _) in columns.items():
            if index >= self.width:
                raise InputError(f"{self.label} has {self.width} columns; expected {name} in column {index + 1}")
        names = [str(number) for number in range(self.width)]
        wanted = {str(column.index): _TYPES[column.kind] for column in columns.values()}
        try:
            table = csv.read_csv(
                pa.BufferReader(text),
                csv.ReadOptions(use_threads=False, column_names=names, block_size=len(text) + 1),
                csv.ParseOptions(delimiter="\t", quote_char=False, double_quote=False, ignore_empty_lines=False),
                csv.ConvertOptions(column_types=wanted, include_columns=list(wanted), null_values=[]),
            )
        except pa.ArrowInvalid as error:
            self._explain(text, columns, lines, error)
        arrays = {name: table.column(str(column.index)) for name, column in columns.items()}
        texts = {name: array for name, array in arrays.items() if columns[name].kind == "text"}
        return Records(
            {name: array.to_numpy() for name, array in arrays.items() if name not in texts},
            {name: array.dictionary_encode().combine_chunks().to_pandas().array for name, array in texts.items()},
            np.zeros(table.num_rows, np.int64) if lines is None else lines,
        )

    def check_places(self, records: Records) -> None:
        """Raises InputError unless 0 <= start < end."""
        start, end = records.columns["start"], records.columns["end"]
        wrong = np.flatnonzero((start < 0) | (end <= start) | (end > _LARGEST))
        if len(wrong):
            row = wrong[0]
            self.refuse(
                records,
                row,
                f"start {start[row]} and end {end[row]}; expected 0 <= start < end (0-based, end not included)",
            )

    def check_finite(self, records: Records, name: str) -> None:
        """Raises InputError unless a column holds numbers only."""
        wrong = np.flatnonzero(~np.isfinite(records.columns[name]))
        if len(wrong):
            value = records.columns[name][wrong[0]]
            self.refuse(records, wrong[0], f"{name} {value}; expected a number, leave out what was not measured")

    def refuse(self, records: Records, row: int, reason: str) -> None:
        """Raises InputError that names the line of a record."""
        line = records.lines[row]
        raise InputError(f"{self.label}, {f'line {line}' if line else 'a record'}: {reason}")

    def _blocks(self) -> Iterator[tuple[bytes, int]]:
        """Whole lines, and the number of the first of them. Raises InputError for a damaged file."""
        rest, first = b"", 1
        try:
            with _open(self.path, self.compression) as file:
                for block in iter(functools.partial(file.read, _SIZE), b""):
                    cut = block.rfind(b"\n") + 1
                    if not cut:
                        rest += block
                        if len(rest) > 4 * _SIZE:
                            raise InputError(f"{self.label} is not text: no line ends for {len(rest):,} bytes")
                        continue
                    text, rest = rest + block[:cut], block[cut:]
                    yield text, first
                    first += text.count(b"\n")
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(
                f"{self.label} is damaged or truncated after line {first - 1} ({error}); download or make it again"
            ) from error
        if rest:
            yield rest + b"\n", first

    def _explain(
        self,
        text: bytes,
        columns: Mapping[str, Column],
        lines: Int[np.ndarray, " record"] | None,
        error: pa.ArrowInvalid,
    ) -> None:
        """Raises InputError for the first line that is wrong."""
        for row, line in enumerate(text.removesuffix(b"\n").split(b"\n")):
            fields = line.split(b"\t")
            where = f"{self.label}, {'a record' if lines is None else f'line {lines[row]}'}"
            if len(fields) != self.width:
                raise InputError(
                    f"{where} has {len(fields)} columns, the first record has {self.width}; "
                    "all records need the same columns"
                ) from error
            for name, (index, kind) in columns.items():
                if not _fits(fields[index], kind):
                    expected = {"int": "a whole number", "float": "a number", "text": "text in UTF-8"}[kind]
                    raise InputError(f"{where}: {name} is {fields[index]!r}; expected {expected}") from error
        raise InputError(f"{self.label} cannot be read ({error}); make it again") from error


def _open(path: pathlib.Path, compression: Compression) -> BinaryIO:
    if compression is not Compression.NONE:
        return cast(BinaryIO, gzip.open(path, "rb"))
    with path.open("rb") as file:
        packed = file.read(3) == b"BZh"
    return cast(BinaryIO, bz2.open(path, "rb")) if packed else path.open("rb")


def _data_lines(text: bytes, first: int) -> tuple[bytes, Int[np.ndarray, " record"]]:
    """Text without comments and empty lines, and the numbers of the lines that stay."""
    if not text.startswith(_MARKS) and not any(b"\n" + mark in text for mark in _MARKS):
        return text, np.arange(first, first + text.count(b"\n"))
    kept = [(n, line) for n, line in enumerate(text.split(b"\n")[:-1], first) if not _SKIPPED.match(line)]
    return b"".join(line + b"\n" for _, line in kept), np.array([n for n, _ in kept], np.int64)


def _fits(field: bytes, kind: Kind) -> bool:
    try:
        if kind == "text":
            field.decode()
        elif kind == "float":
            float(field)
        else:
            return bool(_WHOLE.match(field)) and abs(int(field)) < 2**63
    except ValueError:
        return False
    return True
