"""Which slices of a sequence the convolutions must see so that a part of it comes out exact.

The encoder's output at a base depends on 513 bp to each side, the decoder's on at most 762 (spec/model.md 1.17), here
rounded up to whole 128-bp tokens. A slice that touches a true end of the sequence starts (stops) exactly there, so
that its zero padding is the true one; elsewhere the halo is thrown away.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from ag_core.config import TOKEN

ENCODER_HALO = 5 * TOKEN
DECODER_HALO = 6 * TOKEN


class Span(NamedTuple):
    """A slice [start, start + length) of the sequence, of which [keep, keep + kept) is exact (0-based bp)."""

    start: int
    length: int
    keep: int
    kept: int

    @property
    def offset(self) -> int:
        """Where what is kept begins inside the slice."""
        return self.keep - self.start


def cover(length: int, piece: int, halo: int) -> list[Span]:
    """Spans whose kept parts are the consecutive pieces of a sequence of `length` bp.

    All but the last (shorter) piece have slices of one length, those at the ends being shifted inwards, so that one
    compiled program serves them. Raises ValueError unless all numbers are whole tokens of 128 bp.
    """
    if any(n % TOKEN or n < 0 for n in (length, piece, halo)) or piece == 0:
        raise ValueError(f"length, piece and halo must be multiples of {TOKEN} bp, got {length}, {piece}, {halo}")
    spans = []
    for keep in range(0, length, piece):
        kept = min(piece, length - keep)
        size = min(kept + 2 * halo, length)
        spans.append(Span(min(max(keep - halo, 0), length - size), size, keep, kept))
    return spans


# What follows is for many short stretches: halos level by level, since most of the work is at the finest level, where
# a few bp are enough.

LEVELS = 7  # 1, 2, 4, ..., 64 bp
STEM_HALO = 7 + 2  # convolutions of 15 and 5
BLOCK_HALO = 2 + 2  # two convolutions of 5, in bins of their level


def changed_widths(edit: int) -> tuple[int, ...]:
    """Bins at 1, 2, 4, ..., 64 bp, and tokens, that an edit of `edit` bp can change, wherever it falls."""
    widths = [edit + 2 * STEM_HALO]
    for _ in range(LEVELS - 1):
        widths.append(widths[-1] // 2 + 1 + 2 * BLOCK_HALO)
    return (*widths, widths[-1] // 2 + 1)


class Slice(NamedTuple):
    """A part of the sequence in bp: `halo` more than what is wanted on each side, bins of `resolution` bp."""

    resolution: int
    halo: int


def decoder_slices() -> tuple[Slice, ...]:
    """What each of the decoder's seven blocks must read so that the 1-bp output of whole tokens is exact, in order.

    A block that doubles the resolution to r reads two bins of 2r to each side, then two of r.
    """
    slices, halo = [], 0
    for level in range(LEVELS):
        fine, coarse = 2**level, 2 ** (level + 1)
        halo = -(-(halo + 2 * fine) // coarse) * coarse + 2 * coarse
        slices.append(Slice(coarse, halo))
    return tuple(reversed(slices))


def bucket(count: int, buckets: Sequence[int]) -> int:
    """The smallest of `buckets` (ascending) that holds `count`; beyond the last, its next double."""
    size = next((size for size in buckets if size >= count), buckets[-1])
    while size < count:
        size *= 2
    return size


class Pieces(NamedTuple):
    """Equal stretches of tokens to decode: `starts` (in tokens; the last may be repeated) of `size` tokens each."""

    starts: Int[np.ndarray, " piece"]
    size: int

    @property
    def tokens(self) -> Int[np.ndarray, " token"]:
        """The token at each place of what is decoded; some may occur twice."""
        return (self.starts[:, None] + np.arange(self.size)).ravel()


# Pieces come in few sizes (tokens) and numbers, so that jit compiles few programs.
PIECE_SIZES = (2, 3, 5, 8, 18, 64, 256, 1024)
PIECE_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
# A piece's halos cost about as much as so many tokens.
HALO_COST = 2


def place_pieces(tokens: Sequence[int] | Int[np.ndarray, " token"], size: int, total: int) -> list[int]:
    """Starts of the fewest pieces of `size` tokens that cover the wanted tokens (ascending) of `total`."""
    starts, reach = [], -1
    for token in tokens:
        if token > reach:
            starts.append(min(int(token), total - size))
            reach = starts[-1] + size - 1
    return starts or [0]


def choose_pieces(tokens: Sequence[int] | Int[np.ndarray, " token"], total: int) -> tuple[int, int]:
    """Size and number of the pieces that cover the wanted tokens (ascending) of `total` at the least cost.

    With nearly all tokens wanted it is one piece: everything.
    """
    best, cost = (total, 1), total
    for size in (size for size in PIECE_SIZES if size < total):
        count = bucket(len(place_pieces(tokens, size, total)), PIECE_COUNTS)
        if count * (size + HALO_COST) < cost:
            best, cost = (size, count), count * (size + HALO_COST)
    return best
