"""What every reader checks before it opens a file: is it there, is it whole, how is it compressed."""

import enum
import os
import pathlib

from ag_core.errors import InputError

# The empty block that ends every complete BGZF file (SAM specification, section 4.1.2).
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


class Compression(enum.StrEnum):
    """How a file is compressed, judged by its first bytes and not by its name."""

    NONE = "none"
    GZIP = "gzip"
    BGZF = "bgzf"


def check_file(path: str | os.PathLike[str], what: str) -> Compression:
    """Tells how `path` is compressed. `what` names it in messages ("FASTA file").

    Raises InputError when it is missing, no file, not readable, empty, or a BGZF file without its end.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(f"{what} {path} does not exist; check the path")
    if not path.is_file():
        raise InputError(f"{what} {path} is not a file; give the path of the file itself")
    try:
        with path.open("rb") as file:
            head = file.read(16)
            file.seek(max(0, path.stat().st_size - len(_BGZF_END)))
            tail = file.read()
    except OSError as error:
        raise InputError(f"{what} {path} cannot be read ({error.strerror}); check its permissions") from error
    if not head:
        raise InputError(f"{what} {path} is empty; a download or a conversion may have failed, make it again")
    if not head.startswith(b"\x1f\x8b"):
        return Compression.NONE
    if not (head[3:4] == b"\x04" and head[12:14] == b"BC"):
        return Compression.GZIP
    if tail != _BGZF_END:
        raise InputError(
            f"{what} {path} is truncated: the block that ends a bgzip file is missing; download or make it again"
        )
    return Compression.BGZF
