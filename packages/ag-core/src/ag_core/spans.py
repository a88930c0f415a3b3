"""Which slices of a sequence the convolutions must see so that a part of it comes out exact.

The encoder's output at a base depends on 513 bp to each side, the decoder's on at most 762 (spec/model.md 1.17), here
rounded up to whole 128-bp tokens. A slice that touches a true end of the sequence starts (stops) exactly there, so
that its zero padding is the true one; elsewhere the halo is thrown away.
"""

from typing import NamedTuple

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
