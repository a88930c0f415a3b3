"""Records of TFRecord files, plain or compressed, without TensorFlow.

A record is its length (8 bytes, little-endian), a checksum of those, its bytes, and a checksum of them. Checksums are
CRC-32C, rotated and shifted. Every one of them is verified.
"""

import os
import pathlib
import struct
import zlib
from collections.abc import Callable, Iterator

import google_crc32c
from ag_core.errors import InputError

from ag_data.files import check_file

_PIECE = 1 << 20  # bytes read from the file at a time
_MASK = 0xA282EAD8


def read_records(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """The records of a file in order; GZIP and ZLIB compression are told by its first bytes.

    Raises InputError, with the number of the record, for a file that is missing, truncated, damaged or something else.
    """
    path = pathlib.Path(path)
    check_file(path, "TFRecord file")
    number, buffer, pieces = 1, bytearray(), _pieces(path)

    def more() -> bool:
        try:
            piece = next(pieces, b"")
        except (OSError, zlib.error) as error:
            raise InputError(f"TFRecord file {path}, record {number}: {error}; download or make it again") from error
        buffer.extend(piece)
        return bool(piece)

    def take(size: int) -> bytes:
        while len(buffer) < size:
            if not more():
                raise InputError(f"TFRecord file {path} is truncated at record {number}; download or make it again")
        taken = bytes(memoryview(buffer)[:size])
        del buffer[:size]
        return taken

    while buffer or more():
        head = take(12)
        length, check = struct.unpack("<QI", head)
        if masked_crc(head[:8]) != check:
            what = "is no TFRecord file" if number == 1 else f"is damaged at record {number}"
            raise InputError(f"{path} {what}: the checksum of a length is wrong; download or make it again")
        record = take(length)
        if masked_crc(record) != struct.unpack("<I", take(4))[0]:
            raise InputError(
                f"TFRecord file {path} is damaged: the checksum of record {number} is wrong; make it again"
            )
        yield record
        number += 1


def masked_crc(data: bytes) -> int:
    """The checksum of TFRecord files."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def _pieces(path: pathlib.Path) -> Iterator[bytes]:
    """The uncompressed bytes of a file."""
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(0)
        new = _decompressor(head)
        if new is None:
            while piece := file.read(_PIECE):
                yield piece
            return
        stream, ended = new(), False
        while piece := file.read(_PIECE):
            while piece:
                if ended:  # compressed streams may follow one another
                    stream, ended = new(), False
                plain = stream.decompress(piece, _PIECE)
                if plain:
                    yield plain
                ended = stream.eof
                piece = stream.unused_data if ended else stream.unconsumed_tail
        while not ended and (plain := stream.decompress(stream.unconsumed_tail, _PIECE)):
            yield plain
        if not (ended or stream.eof):
            raise OSError("the compressed data are cut off")


def _decompressor(head: bytes) -> Callable[[], "zlib._Decompress"] | None:
    """What undoes the compression of a file that starts with `head`; None for a plain one."""
    if len(head) == 12 and struct.unpack("<I", head[8:])[0] == masked_crc(head[:8]):
        return None
    if head.startswith(b"\x1f\x8b"):
        return lambda: zlib.decompressobj(16 + zlib.MAX_WBITS)
    if head[:1] == b"\x78" and int.from_bytes(head[:2], "big") % 31 == 0:
        return zlib.decompressobj
    return None
