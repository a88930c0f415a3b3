"""Sizes in a bigWig, looked over before pybigtools reads by them: one that is damaged would end the process.

Source: Kent et al. 2010, doi:10.1093/bioinformatics/btq351, supplementary tables 5-7 and 14-17.
"""

import struct
from typing import BinaryIO, Literal

import numpy as np

_TREE = 0x2468ACE0
_PLACE = [("place", "V16")]  # chromosomes and bases, which are no matter here
_LEAF, _NODE = [*_PLACE, ("offset", "u8"), ("size", "u8")], [*_PLACE, ("offset", "u8")]


def check_index(file: BinaryIO, size: int, order: Literal["<", ">"]) -> None:
    """Raises ValueError or struct.error for chromosomes and blocks of data that do not fit the file of `size` bytes.

    `order` is that of its bytes, "<" or ">". Reads all of the index, a few per cent of a file.
    """
    file.seek(0)
    head = file.read(64)
    place, _, tree = struct.unpack_from(f"{order}QQQ", head, 8)
    width, _, count = struct.unpack(f"{order}IIQ", _bytes(file, place + 8, 16))
    if count * (width + 8) > size:
        raise ValueError(f"it names {count:,} chromosomes")
    file.seek(64)
    trees = [tree]
    for _ in range(struct.unpack_from(f"{order}H", head, 6)[0]):
        trees.append(struct.unpack(f"{order}IIQQ", file.read(24))[3])
    for tree in trees:
        _check_tree(file, size, order, tree)


def _check_tree(file: BinaryIO, size: int, order: Literal["<", ">"], start: int) -> None:
    leaf, node = (np.dtype(fields).newbyteorder(order) for fields in (_LEAF, _NODE))
    pending, seen = [start + 48], set()
    if struct.unpack(f"{order}I", _bytes(file, start, 4))[0] != _TREE:
        raise ValueError("there is no index where it should be")
    while pending:
        at = pending.pop()
        if at in seen:
            raise ValueError("the index leads back into itself")
        seen.add(at)
        is_leaf, count = struct.unpack(f"{order}BxH", _bytes(file, at, 4))
        kind = leaf if is_leaf else node
        items = np.frombuffer(_bytes(file, at + 4, count * kind.itemsize), kind)
        if (items["offset"] > size).any():
            raise ValueError("the index names places behind the end of the file")
        if not is_leaf:
            pending += items["offset"].tolist()
        elif (items["size"] > size - items["offset"]).any():
            raise ValueError("the index names blocks that are longer than the file")


def _bytes(file: BinaryIO, at: int, count: int) -> bytes:
    if at >= 1 << 62:  # which no file has
        raise ValueError("the index is cut off")
    file.seek(at)
    found = file.read(count)
    if len(found) < count:
        raise ValueError("the index is cut off")
    return found
