"""Arrays of .npz files, with one refusal for whatever is wrong with them. Python objects are never unpickled."""

import pathlib
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection

import numpy as np
from ag_core.errors import InputError
from jaxtyping import Shaped

# What numpy and the zip module raise for damaged files, and for kinds of zip files that they do not read.
_ERRORS = (OSError, ValueError, EOFError, LookupError, TypeError, SyntaxError, tokenize.TokenError, MemoryError)
_ERRORS += (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError)


def read_npz(
    path: pathlib.Path, what: str, remedy: str = "make it again", only: Collection[str] = ()
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Arrays of a file by name, all of them or `only` some; raises InputError for anything else, and without these.

    `what` names the file in messages.
    """
    if path.is_file() and not zipfile.is_zipfile(path):  # numpy would try to unpickle it
        raise InputError(f"{what} {path} cannot be read as .npz (it is no zip file); {remedy}")
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            found = {name: file[name] for name in only or file.files}
            if bare := [name for name, array in found.items() if not isinstance(array, np.ndarray)]:
                raise ValueError(f"{bare[0]} is no array")
            return found
    except (*_ERRORS, AttributeError) as error:
        raise InputError(f"{what} {path} cannot be read as .npz ({type(error).__name__}: {error}); {remedy}") from error
