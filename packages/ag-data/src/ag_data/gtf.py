"""Reads gene annotations from GTF, parquet or feather into one table with the columns the suite needs."""

import contextlib
import gzip
import io
import os
import pathlib
import re
import traceback
import warnings
import zlib
from typing import cast

import pandas as pd
from ag_core.errors import InputError

from ag_data.cache import cache_path, replacing
from ag_data.files import Compression, check_file

FEATURES = ("gene", "transcript", "exon")
# Columns that must be there, and those that may be absent or go by another name.
REQUIRED = ("Chromosome", "Start", "End", "Strand", "Feature", "gene_id")
OPTIONAL = {
    "gene_name": (),
    "gene_type": ("gene_biotype",),
    "transcript_id": (),
    "transcript_type": ("transcript_biotype",),
}
_ATTRIBUTE = re.compile(r'(?:^|;)\s*gene_id\s+"?[^";]+')


def read_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Gene, transcript and exon rows in file order; Start is 0-based, absent text is ''.

    A GTF is parsed once and then kept as parquet in the cache folder. Raises InputError, with the line where it is
    known, for a file that is missing, truncated, no GTF, or without gene_id or exons.
    """
    path = pathlib.Path(path)
    compression = check_file(path, "annotation")
    if path.suffix.lower() in (".parquet", ".feather"):
        read = pd.read_parquet if path.suffix.lower() == ".parquet" else pd.read_feather
        try:
            table = read(path)
        except (OSError, ValueError) as error:  # pyarrow's errors are of these kinds
            raise InputError(f"annotation {path} cannot be read ({error}); make it again") from error
        return clean_table(table, path)
    cached = cache_path(path, ".v1.parquet")
    with contextlib.suppress(OSError, ValueError):
        return pd.read_parquet(cached)
    table = clean_table(_parse(path, compression), path)
    with contextlib.suppress(OSError), replacing(cached) as (scratch,):  # a read-only cache only costs time
        table.to_parquet(scratch, index=False)
    return table


def clean_table(table: pd.DataFrame, source: object = "the table") -> pd.DataFrame:
    """Keeps the rows and columns that matter, in order, with plain types; InputError when something is missing."""
    missing = [column for column in REQUIRED if column not in table]
    if missing:
        raise InputError(
            f"annotation {source} has no {', '.join(missing)}; expected the columns {', '.join(REQUIRED)}, "
            "so use a GTF file as GENCODE or Ensembl publish it"
        )
    table = table.loc[table["Feature"].isin(FEATURES)]
    columns = {}
    for column in ("Chromosome", "Strand", "Feature", "gene_id", *OPTIONAL):
        found = next((name for name in (column, *OPTIONAL.get(column, ())) if name in table), None)
        columns[column] = table[found].astype(object).where(table[found].notna(), "") if found else ""
    try:
        columns["Start"], columns["End"] = table["Start"].astype("int64"), table["End"].astype("int64")
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"annotation {source}: starts and ends must be whole numbers ({error}); mend it") from error
    table = pd.DataFrame(columns, index=table.index).loc[:, [*REQUIRED, *OPTIONAL]]
    for column in table.columns.drop(["Start", "End"]):
        table[column] = table[column].astype(str).astype("category")
    problems = {
        "no exon rows": not (table["Feature"] == "exon").to_numpy().any(),
        "rows without gene_id": (table["gene_id"] == "").any(),
        "rows that end before they start": (table["End"] < table["Start"]).any(),
        "strands other than + and -": (~table["Strand"].isin(["+", "-", "."])).any(),
    }
    for problem, found in problems.items():
        if found:
            raise InputError(f"annotation {source} has {problem}; use a GTF file as GENCODE or Ensembl publish it")
    return table.reset_index(drop=True)


def _parse(path: pathlib.Path, compression: Compression) -> pd.DataFrame:
    import pyranges  # takes two seconds, and only the first reading of a file needs it

    error: Exception | None = None
    # pyranges prints the lines it cannot parse, leaves files open and warns about pandas 4.
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            table = cast(pd.DataFrame, pyranges.read_gtf(os.fspath(path), as_df=True))
        except Exception as failure:  # pyranges and pandas have many ways to refuse a file
            traceback.clear_frames(failure.__traceback__)  # closes those files, here where nobody is told
            error = failure
    if isinstance(error, EOFError | zlib.error | gzip.BadGzipFile):
        raise InputError(f"annotation {path} is truncated or corrupt ({error}); make it again") from error
    if error is None and "gene_id" in table:
        named = table.loc[table["Feature"].isin(FEATURES), "gene_id"].notna()
        if named.to_numpy().all():
            return table
    problem = _first_problem(path, compression) or f"it cannot be parsed ({error})"
    raise InputError(
        f"annotation {path} is not a usable GTF: {problem}; expected 9 columns separated by tabs, the last with "
        'attributes such as gene_id "ENSG00000101076.18";'
    ) from error


def _first_problem(path: pathlib.Path, compression: Compression) -> str:
    """Says what is wrong with the first bad line; '' when every line looks right."""
    opener = open if compression is Compression.NONE else gzip.open
    number = 0
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.startswith("#") or not (text := line.rstrip("\r\n")):
                    continue
                columns = text.split("\t")
                if len(columns) != 9:
                    return f"line {number} has {len(columns)} columns"
                if not (columns[3].isdigit() and columns[4].isdigit()):
                    return f"line {number} has the positions {columns[3]!r} and {columns[4]!r}"
                if re.match(r"\s*\w+=", columns[8]):
                    return f"line {number} has GFF3 attributes (key=value), so convert it, with `gffread -T` for one"
                if columns[2] in FEATURES and not _ATTRIBUTE.search(columns[8]):
                    return f"line {number} has no gene_id"
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as failure:
        return f"it cannot be read after line {number} ({failure})"
    return "" if number else "it has no lines"
