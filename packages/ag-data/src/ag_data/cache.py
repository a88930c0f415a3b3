"""Where derived files go (indexes, converted annotations): one folder that can be deleted at any time."""

import contextlib
import hashlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

from ag_core.cache import cache_folder


def cache_path(source: str | os.PathLike[str], suffix: str) -> pathlib.Path:
    """The place for something derived from `source`; another one as soon as the file's size or time changes."""
    path = pathlib.Path(source).resolve()
    status = path.stat()
    key = f"{path}\0{status.st_size}\0{status.st_mtime_ns}"
    return cache_folder() / f"{path.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}{suffix}"


@contextlib.contextmanager
def replacing(*targets: pathlib.Path) -> Iterator[tuple[pathlib.Path, ...]]:
    """Temporary paths beside `targets` (all in one folder), renamed to them at the end if nothing went wrong.

    So a reader sees a whole file or none, and processes that write the same thing at once do no harm.
    """
    folder = targets[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".ag-", dir=folder, ignore_cleanup_errors=True) as scratch:
        paths = tuple(pathlib.Path(scratch) / target.name for target in targets)
        yield paths
        for path, target in zip(paths, targets, strict=True):
            os.replace(path, target)
