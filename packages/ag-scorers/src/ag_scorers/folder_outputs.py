"""Outputs that are folders: there when complete, and replaced only where an earlier run made them."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator

from ag_core.errors import InputError


@contextlib.contextmanager
def replacing_folder(path: pathlib.Path, is_ours: Callable[[pathlib.Path], bool]) -> Iterator[pathlib.Path]:
    """A new folder beside `path`, moved there at the end if nothing went wrong.

    Raises InputError when there is something at `path` that is neither an empty folder nor `is_ours`.
    """
    if path.exists() and not _is_empty(path) and not is_ours(path):
        raise InputError(
            f"cannot write {path}: it is there already and was not made by `agenome score`; choose another name, or "
            "remove it first"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".ag-", dir=path.parent, ignore_cleanup_errors=True) as scratch:
        new, old = pathlib.Path(scratch, "new"), pathlib.Path(scratch, "old")
        new.mkdir()
        yield new
        # A folder that is not empty cannot be replaced in one step.
        if path.exists():
            os.rename(path, old)
        try:
            os.rename(new, path)
        except OSError:
            if old.exists():
                os.rename(old, path)
            raise


def _is_empty(path: pathlib.Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
