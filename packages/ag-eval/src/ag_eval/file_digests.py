"""SHA-256 of files and folders, so that a card says which data it is of."""

import hashlib
import os
import pathlib


def digest_of(path: str | os.PathLike[str]) -> str:
    """Of a file's bytes; of a folder's files (names and bytes) in the order of their names."""
    path = pathlib.Path(path)
    if path.is_dir():
        total = hashlib.sha256()
        for each in sorted(each for each in path.rglob("*") if each.is_file()):
            total.update(f"{each.relative_to(path).as_posix()}\0{digest_of(each)}\n".encode())
        return total.hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
