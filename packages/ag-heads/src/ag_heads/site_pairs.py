"""Counts for all pairs of splice sites: the arithmetic of the junction head. Source: spec/model.md 3.6.

A site shows each tissue its embedding, scaled and shifted by learnt vectors and rotated by its position; the count of
a pair is the softplus of the product of what donor and acceptor show. Tissues are worked through a few at a time, so
that nothing larger than the result is ever kept.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

MAX_POSITION = 2**20
# Tissues worked on together: 16 floats are a cache line of the result.
TISSUES = 16
# Donors worked on together where padding is skipped.
DONORS = 64


def softplus(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """log(1 + exp(x)), to float32 precision also where it is small, without a logarithm, which is slow on CPUs.

    log(1 + e) = 2 artanh(z) with z = e / (2 + e) at most 1/3, whose series ends at z^13.
    """
    e = jnp.exp(-jnp.abs(x))
    z = e / (2 + e)
    series = jnp.full_like(x, 1 / 13)
    for n in range(11, 0, -2):
        series = series * (z * z) + 1 / n
    return jnp.maximum(x, 0) + 2 * z * series


def _angles(positions: Int[Array, "row site"], half: int, dtype: jnp.dtype) -> Float[Array, "row site half"]:
    # The rotary code of spec/model.md 1.12, with absolute positions in bp.
    wavelengths = np.arange(half) + np.geomspace(1, MAX_POSITION - half + 1, half)
    return positions[..., None].astype(dtype) * (1 / jnp.asarray(wavelengths, dtype))


def _partners(x: Float[Array, "*site channel"]) -> Float[Array, "*site channel"]:
    """Each channel's partner in rotation: the pairs (0, 1), (2, 3), ... swapped."""
    return x.reshape(*x.shape[:-1], -1, 2)[..., ::-1].reshape(x.shape)


def pair_mask(positions: Int[Array, "4 site"]) -> Bool[Array, "donor acceptor strand"]:
    """Which pairs are of two sites, not padding (-1)."""
    there = positions >= 0
    return jnp.moveaxis(there[0::2, :, None] & there[1::2, None, :], 0, -1)


def count_pairs(
    shown: Float[Array, "4 site channel"],
    values: Float[Array, "4 2 tissue channel"],
    positions: Int[Array, "4 site"],
    *,
    skip: bool = False,
) -> Float[Array, "donor acceptor track"]:
    """Counts of all pairs, + tissues first, then - tissues; 0 where a site is padding.

    Rows are donor +, acceptor +, donor -, acceptor -; `values` are scale and offset of each tissue. `skip` leaves out
    blocks of donors that are padding, by a loop of unknown length: not for gradients, nor under vmap.
    """
    sites, tissues = positions.shape[1], values.shape[2]
    angles = jnp.repeat(_angles(positions, shown.shape[-1] // 2, shown.dtype), 2, axis=-1)
    # x turned is x * cosine + partner * sine, where the even channels' sine is negative. Scale and shift come before,
    # so both factors are taken into the embeddings here, and a tissue has only products and sums left.
    cosine, sine = jnp.cos(angles), jnp.sin(angles) * jnp.where(jnp.arange(shown.shape[-1]) % 2, 1.0, -1.0)
    terms = (shown * cosine, cosine, _partners(shown) * sine, sine)
    values = jnp.concatenate([values, _partners(values)], axis=1)
    mask = pair_mask(positions)
    size = min(TISSUES, tissues)
    block = DONORS if skip and sites % DONORS == 0 else sites
    filled = jnp.max(jnp.sum(positions[0::2] >= 0, axis=1)) if skip else sites

    def show(role: slice, own: Array, first: Int[Array, ""] | int, count: int) -> Float[Array, "2 _ _ channel"]:
        """What `count` sites from `first` on show to the tissues of `own`."""
        parts = [jax.lax.dynamic_slice_in_dim(term[role], first, count, axis=1)[:, None] for term in terms]
        return sum(own[role, i][:, :, None] * part for i, part in enumerate(parts))  # pyright: ignore

    @jax.checkpoint
    def join(own: Array, first: Int[Array, ""] | int) -> Float[Array, "_ acceptor 2 _"]:
        donors, acceptors = show(slice(0, 4, 2), own, first, block), show(slice(1, 4, 2), own, 0, sites)
        logits = jnp.einsum("stdc,stac->stda", donors, acceptors)
        known = jax.lax.dynamic_slice_in_dim(mask, first, block)
        return jnp.where(known[..., None], softplus(jnp.transpose(logits, (2, 3, 0, 1))), 0.0)

    def fill(counts: Array, tissue: Int[Array, ""] | int, size: int) -> Array:
        own = jax.lax.dynamic_slice_in_dim(values, tissue, size, axis=2)

        def one_block(i: Int[Array, ""], counts: Array) -> Array:
            return jax.lax.dynamic_update_slice(counts, join(own, i * block), (i * block, 0, 0, tissue))

        return jax.lax.fori_loop(0, -(-filled // block), one_block, counts)

    counts = jnp.zeros((sites, sites, 2, tissues), shown.dtype)
    # The rest first: the loop's result can then be the result, without a copy.
    if rest := tissues % size:
        counts = fill(counts, tissues - rest, rest)
    counts = jax.lax.fori_loop(0, tissues // size, lambda i, x: fill(x, i * size, size), counts)
    return counts.reshape(sites, sites, 2 * tissues)
