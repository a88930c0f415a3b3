"""Small tables of places on the genome, as parquet, feather, CSV or TSV: read with checks, written whole or not."""

import csv
import gzip
import os
import pathlib
from collections.abc import Iterable

import numpy as np
import pandas as pd
from ag_core.errors import InputError

from ag_data.cache import replacing
from ag_data.files import check_file

_TEXT = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
SUFFIXES = (".parquet", ".feather", *_TEXT, *(f"{suffix}.gz" for suffix in _TEXT))


def read_places(path: str | os.PathLike[str], what: str, needed: Iterable[str]) -> pd.DataFrame:
    """The table in a file, with the columns `needed` checked.

    `Start`, `End` and `Position` become int64 and must not be missing or negative, `Strand` and `pas_strand` must be
    '+' or '-'. Rows are in file order. `what` names the file in messages. Raises InputError for anything else.
    """
    path = pathlib.Path(path)
    check_file(path, what)
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    try:
        if plain.suffix in _TEXT:
            check_header(path, what, _TEXT[plain.suffix])
            table = pd.read_csv(path, sep=_TEXT[plain.suffix])
        elif path.suffix in (".parquet", ".feather"):
            table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_feather(path)
        else:
            raise InputError(
                f"{what} {path}: cannot tell the format; expected a name that ends in {', '.join(SUFFIXES)}"
            )
    except InputError:
        raise
    except (OSError, ValueError, EOFError) as error:  # pyarrow's and pandas' errors are of these kinds
        raise InputError(f"{what} {path} cannot be read ({error}); make it again") from error
    return check_places(table, needed, f"{what} {path}")


def check_header(path: pathlib.Path, what: str, separator: str) -> None:
    """Refuses a table whose first row has many more columns than its header: pandas takes the first of them together
    for an index, which can take it for ever. One more is R's way to write row names.
    """
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", errors="replace", newline="") as file:
        try:
            rows = (row for row in csv.reader(file, delimiter=separator) if "".join(row).strip())
            header, first = (len(next(rows, ())) for _ in range(2))
        except csv.Error as error:
            raise InputError(f"{what} {path} cannot be read ({error}); make it again") from error
    if first > header + 1:
        raise InputError(f"{what} {path} has {header} columns in its header and {first} in its first row; mend it")


def check_places(table: pd.DataFrame, needed: Iterable[str], source: str) -> pd.DataFrame:
    """A copy with plain types, checked as in `read_places`; `source` names it in messages."""
    needed = list(needed)
    missing = [column for column in needed if column not in table]
    if missing:
        raise InputError(
            f"{source} has no column {', '.join(missing)}; expected {', '.join(needed)}, it has "
            f"{', '.join(map(str, table.columns))}"
        )
    table = table.reset_index(drop=True)
    for column in {"Start", "End", "Position"} & set(needed):
        numbers = np.asarray(pd.to_numeric(table[column], errors="coerce"), np.float64)
        wrong = np.flatnonzero(~((numbers >= 0) & (numbers < 1 << 53)) | (numbers != np.floor(numbers)))
        if len(wrong):
            raise InputError(
                f"{source}: row {wrong[0] + 1} has {column} {table[column].iloc[wrong[0]]!r}; expected a whole number "
                "of at least 0 (coordinates are 0-based)"
            )
        table[column] = numbers.astype("int64")
    for column in {"Strand", "pas_strand"} & set(needed):
        wrong = np.flatnonzero(~table[column].astype(str).isin(["+", "-"]).to_numpy())
        if len(wrong):
            raise InputError(
                f"{source}: row {wrong[0] + 1} has {column} {table[column].iloc[wrong[0]]!r}; expected '+' or '-'"
            )
    return table


def write_places(table: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Writes a table in the format of the suffix; the file appears when it is complete."""
    path = pathlib.Path(path)
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    if not path.name.endswith(SUFFIXES) or path.is_dir():
        raise InputError(f"cannot write {path}; expected a file name that ends in {', '.join(SUFFIXES)}")
    try:
        with replacing(path) as (scratch,):
            if plain.suffix in _TEXT:
                table.to_csv(scratch, sep=_TEXT[plain.suffix], index=False)
            elif path.suffix == ".parquet":
                table.to_parquet(scratch, index=False)
            else:
                table.to_feather(scratch)
            with scratch.open("rb") as file:
                os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}); choose another place with -o") from error
