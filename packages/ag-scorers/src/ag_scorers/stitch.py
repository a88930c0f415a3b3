"""Activation stitching of indels: both sides of an indel are seen as the other allele shows them.

Alleles share the left end of the window, so right of an indel the longer allele lies otherwise against the model's
bins of 128 and 2,048 bp than the shorter one, and differs from it for that reason alone. So the longer allele (REF of
a deletion, ALT of an insertion) is read twice: over the window, and over one of equal length that begins as many bases
later as it is longer, in which the right flank lies as in the shorter allele. Embeddings are taken from the first
reading up to the indel and from the second one after it, put where they belong in the longer allele's own
coordinates. Heads then read these. Source: spec/scoring.md 1.9, "activation stitching".

With [start, end) the bases that only the longer allele has, counted from the window's genomic start:

- 1 bp: rows from `end` on come from the second reading, end - start rows further left;
- bins of r = 128 or 2,048 bp: bins from last = (end-1)//r on, last - start//r bins further left; a pair of bins needs
  both of them there.

On '-' the model reads the window backwards. Genomic left and right stay what they are: rows and bins are counted from
the other end, and everything else is the same.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ag_core.config import PAIR_BIN, TOKEN
from ag_core.genome import Interval, Variant
from ag_core.interfaces import Embeddings
from ag_core.model import Model
from ag_core.sequence import allele_sequences, encode, one_hot, reverse_complement
from jaxtyping import Array, Bool, Float, Int, UInt8


class StitchCodes(NamedTuple):
    """The second reading of a variant's longer allele, and where it is sewn in; shapes do not depend on the variant.

    - `codes`: base codes of the longer allele over the later window, in the order in which the model sees them.
    - `allele`: which one that is: 0 for REF, 1 for ALT.
    - `start`, `end`: the bases that only this allele has, counted from the window's genomic start; equal where the
      alleles are of one length, and then nothing is stitched.
    - `reverse`: whether the model sees the reverse complement.
    """

    codes: UInt8[Array | np.ndarray, "*job position"]
    allele: Int[Array | np.ndarray, "*job"]
    start: Int[Array | np.ndarray, "*job"]
    end: Int[Array | np.ndarray, "*job"]
    reverse: Bool[Array | np.ndarray, "*job"]


def stitch_codes(interval: Interval, variant: Variant, fetch: Callable[[Interval], str]) -> StitchCodes:
    """On the host: what `stitched_embeddings` needs of a variant besides the sequences of `allele_sequences`.

    `interval` (0-based half-open) and `fetch` are as for these. Of a variant across a window edge only the part that
    is applied there counts.
    """
    forward = interval.as_unstranded()
    change, start = _inside(forward, variant)
    size = abs(change)
    if change <= 0:
        bases = allele_sequences(forward.shift(size), variant, fetch)[0]
    else:
        longer = Interval(forward.chromosome, forward.start, forward.end + size)
        bases = allele_sequences(longer, variant, fetch)[1][size:]
    bases = reverse_complement(bases) if interval.negative_strand else bases
    allele, first, last = (np.asarray(number, np.int32) for number in (change > 0, start, start + size))
    return StitchCodes(encode(bases), allele, first, last, np.asarray(interval.negative_strand))


def stitched_embeddings(
    model: Model,
    codes: UInt8[Array | np.ndarray, "*job 2 position"],
    stitch: StitchCodes,
    organism: int,
    modalities: Iterable[str] | None = None,
) -> Embeddings:
    """On the device: embeddings of REF and ALT, [*job, 2, ...], those of the longer allele stitched.

    `codes` are the base codes of both alleles over the window, as the model sees them; three sequences are read for
    each job. Each allele stays in its own coordinates, so at 1 bp ALT is to be aligned as ever.
    """
    *jobs, _, length = codes.shape
    readings = jnp.concatenate([jnp.asarray(codes), jnp.asarray(stitch.codes)[..., None, :]], axis=-2)
    readings = readings.reshape(-1, length)
    organisms = jnp.full(len(readings), organism, jnp.int32)
    embeddings = model.embed(one_hot(readings), organisms, modalities=modalities)
    flat = jax.tree.map(lambda x: jnp.asarray(x).reshape(-1, *x.shape[len(jobs) :]), stitch)

    def join(values: Array | None, resolution: int) -> Array | None:
        if values is None:
            return None
        both = jax.vmap(lambda three, one: _stitch(three, one, resolution))(
            values.reshape(-1, 3, *values.shape[1:]), flat
        )
        return both.reshape(*jobs, *both.shape[1:])

    return Embeddings(join(embeddings.bp1, 1), join(embeddings.bp128, TOKEN), join(embeddings.pair, PAIR_BIN))


def _inside(interval: Interval, variant: Variant) -> tuple[int, int]:
    """Length change of what `allele_sequences` applies of a variant, and where surplus bases of either allele begin."""
    if variant.chromosome != interval.chromosome:
        return 0, 0
    _, part = variant.split(interval.start)
    part = part and part.split(interval.end + max(0, -variant.size_change))[0]
    if part is None:
        return 0, 0
    shared = min(len(part.reference_bases), len(part.alternate_bases))
    return part.size_change, part.start - interval.start + shared


def _stitch(values: Float[Array, "3 *rows channel"], stitch: StitchCodes, resolution: int) -> Array:
    """REF, ALT and the second reading of one job to REF and ALT, one of them stitched; rows are 1 or 2 axes."""
    both, second = values[:2], values[2]
    size, axes = second.shape[0], second.ndim - 1
    if resolution == 1:
        cut, shift = stitch.end, stitch.end - stitch.start
    else:
        cut = (stitch.end - 1) // resolution
        shift = cut - stitch.start // resolution

    def turn(row: Int[Array, "*any"]) -> Int[Array, "*any"]:
        return jnp.where(stitch.reverse, size - 1 - row, row)

    row = turn(jnp.arange(size))  # counted from the genomic start
    after = (row >= cut) & (stitch.end > stitch.start)
    source = turn(row - shift)
    used = after[:, None] if axes == 1 else (after[:, None] & after)[..., None]
    for axis in range(axes):
        second = jnp.take(second, source, axis=axis, mode="clip")
    return both.at[stitch.allele].set(jnp.where(used, second, both[stitch.allele]))
