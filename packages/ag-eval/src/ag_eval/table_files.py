"""Tables that evaluations read: parquet, feather or text, held against the digest that their manifest names."""

import pathlib
import zlib
from typing import Any

import pandas as pd
from ag_core.errors import InputError

from ag_eval.declarations import TableManifest
from ag_eval.file_digests import digest_of

READERS = {".parquet": pd.read_parquet, ".feather": pd.read_feather}
SEPARATORS = {".tsv": "\t", ".txt": "\t", ".csv": ","}


def open_table(path: pathlib.Path, manifest: TableManifest) -> Any:
    """All columns as they are called in the file. Raises InputError that says how to get the table."""
    suffix = next((each for each in reversed(path.suffixes) if each not in (".gz", ".bgz", ".zip")), "")
    if suffix not in READERS and suffix not in SEPARATORS:
        raise InputError(f"{path}: expected {', '.join([*READERS, *SEPARATORS])}, the last ones also with .gz")
    if manifest.digest is not None and path.is_file() and (found := digest_of(path)) != manifest.digest:
        raise InputError(f"{path} has the digest {found[:12]}, expected {manifest.digest[:12]}: {manifest.obtain}")
    try:
        return READERS[suffix](path) if suffix in READERS else pd.read_csv(path, sep=SEPARATORS[suffix])
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({error}). How to get it: {manifest.obtain}") from error
