"""DNA as text, as codes and one-hot, and the sequences of the two alleles of a variant."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, UInt8

from ag_core.genome import Interval, Variant

# The order of channels is A, C, G, T; every other letter, N included, is UNKNOWN and becomes a row of zeros.
UNKNOWN = 4
_COMPLEMENT = str.maketrans("ACGTRYKMBVDHacgtrykmbvdh", "TGCAYRMKVBHDtgcayrmkvbhd")
_CODES = np.full(256, UNKNOWN, np.uint8)
for _code, _letters in enumerate(("Aa", "Cc", "Gg", "Tt")):
    _CODES[[ord(letter) for letter in _letters]] = _code


def reverse_complement(text: str) -> str:
    """The other strand, read in its own direction; keeps the case, and letters such as N that have no partner."""
    return text.translate(_COMPLEMENT)[::-1]


def encode(text: str) -> UInt8[np.ndarray, " position"]:
    """Codes of bases in either case: A, C, G, T = 0..3, anything else = 4."""
    return _CODES[np.frombuffer(text.encode("ascii", "replace"), np.uint8)]


def one_hot(codes: Integer[Array | np.ndarray, "*batch position"]) -> Float[Array, "*batch position 4"]:
    """float32 rows with a single 1 in the order A, C, G, T; zeros for unknown bases."""
    return jax.nn.one_hot(jnp.asarray(codes), 4, dtype=jnp.float32)


def allele_sequences(interval: Interval, variant: Variant, fetch: Callable[[Interval], str]) -> tuple[str, str]:
    """The sequences of the reference and the alternate allele over `interval`, each `interval.width` long.

    `fetch(interval)` returns the upper-case bases of an unstranded interval, 'N' beyond the chromosome's ends. The
    reference bases of the variant overwrite the genome. Alleles are aligned at the window's left end in genome
    coordinates: an insertion pushes the right flank out, a deletion pulls further bases in. For strand '-' both
    are reverse-complemented at the end. Of a variant across a window edge only the part inside applies.
    """
    missing = max(0, -variant.size_change)
    window = Interval(interval.chromosome, interval.start, interval.end + missing)
    genome = fetch(window)
    if len(genome) != window.width:
        raise ValueError(
            f"fetch returned {len(genome)} bases for {window}; expected {window.width}, with 'N' beyond the "
            "chromosome's ends"
        )
    alleles = (_replace(genome, window, variant, allele) for allele in ("reference_bases", "alternate_bases"))
    ref, alt = (bases[: interval.width] for bases in alleles)
    return (reverse_complement(ref), reverse_complement(alt)) if interval.negative_strand else (ref, alt)


def _replace(genome: str, window: Interval, variant: Variant, allele: str) -> str:
    """`genome` over `window` with one allele in place of the reference bases, as far as they lie inside."""
    inserted = not variant.reference_bases and variant.alternate_overlaps(window)
    if not (variant.reference_overlaps(window) or inserted):
        return genome
    _, part = variant.split(window.start)
    part = part and part.split(window.end)[0]
    if part is None:  # an insertion point outside the window
        return genome
    start, end = part.start - window.start, part.end - window.start
    return genome[:start] + getattr(part, allele) + genome[end:]
