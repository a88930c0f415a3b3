"""Losses on batches. Source: spec/model.md 3.7.

Every mean runs over all unmasked elements of the batch, so that an example with few measured tracks weighs little.
"""

import jax
import jax.numpy as jnp
from ag_core.interfaces import Losses
from ag_core.layers import widen
from jaxtyping import Array, Bool, Float

from ag_heads.scaling import soft_clip

SEGMENT = 131_072
POSITIONAL_WEIGHT = 5.0
# Of the Poisson terms of the junction loss, beside its ratios.
COUNT_WEIGHT = 0.2
EPSILON = 1e-7


def masked_mean(x: Float[Array, "*shape"], mask: Bool[Array, "*other"]) -> Float[Array, ""]:
    """Mean over unmasked elements; 0 when there are none."""
    mask = jnp.broadcast_to(mask, x.shape)
    x = widen(x)
    return jnp.sum(jnp.where(mask, x, 0.0)) / jnp.maximum(jnp.sum(mask, dtype=x.dtype), 1.0)


def poisson(targets: Float[Array, "*shape"], predictions: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Poisson negative log-likelihood, shifted so that its minimum is 0."""
    counts = jnp.abs(targets)
    lowest = counts - counts * jnp.log(counts + EPSILON)
    return predictions - counts * jnp.log(predictions + EPSILON) - lowest


def track_loss(
    targets: Float[Array, "batch position track"],
    predictions: Float[Array, "batch position track"],
    mask: Bool[Array, "batch #position track"],
    *,
    segment: int,
    positional_weight: float = POSITIONAL_WEIGHT,
) -> Losses:
    """Poisson loss on the sum of each segment of `segment` positions, and the loss of how it is distributed.

    Both arrays are in model space; what is masked (False) counts neither way. A sequence shorter than a segment is
    one segment. Raises ValueError when a longer one is not a whole number of segments.
    """
    batch, length, tracks = predictions.shape
    segment = min(segment, length)
    if length % segment:
        raise ValueError(f"{length:,} positions are no whole number of segments of {segment:,}; choose a multiple")
    shape = (batch, -1, segment, tracks)
    m = jnp.broadcast_to(mask, predictions.shape).reshape(shape)
    p = jnp.where(m, widen(predictions).reshape(shape), 0)
    t = jnp.where(m, jnp.maximum(targets, 0).astype(p.dtype).reshape(shape), 0)
    total = jnp.sum(p, axis=2)
    count = masked_mean(poisson(jnp.sum(t, axis=2), total), jnp.any(m, axis=2)) / segment
    share = p / (total[:, :, None] + EPSILON)
    positional = masked_mean(-t * jnp.log(share + EPSILON), m)
    return {
        "loss": count + positional_weight * positional,
        "loss_total": count,
        "loss_positional": positional,
        "max_sum_preds": jnp.max(total),
        "max_preds": jnp.max(p),
        "max_targets": jnp.max(t),
    }


def gene_loss(
    targets: Float[Array, "batch position track"],
    predictions: Float[Array, "batch position track"],
    tracks: Bool[Array, "batch strand track"],
    genes: Bool[Array, "batch position strand gene"],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Of a gene's mean signal: the Poisson loss of its sum over tracks, and the loss of how tracks share it.

    `genes` marks the exons of genes on + and on - ; `tracks` the unmasked tracks that can show a gene of each strand.
    """
    predictions = widen(predictions)
    lengths = jnp.sum(genes, axis=1, dtype=predictions.dtype)

    def by_gene(x: Array) -> Float[Array, "batch strand gene track"]:
        sums = jnp.einsum("bpsg,bpt->bsgt", genes.astype(predictions.dtype), x.astype(predictions.dtype))
        return sums / jnp.maximum(lengths, 1.0)[..., None]

    active = (lengths > 0)[..., None] & tracks[:, :, None, :]
    y = jnp.where(active, by_gene(jnp.maximum(targets, 0)), 0)
    p = jnp.where(active, by_gene(predictions), 0)
    total = jnp.sum(p, axis=-1)
    count = masked_mean(poisson(jnp.sum(y, axis=-1), total), jnp.any(active, axis=-1))
    count = count / jnp.maximum(jnp.max(jnp.sum(active, axis=-1)), 1)
    share = p / (total[..., None] + EPSILON)
    return count, masked_mean(-y * jnp.log(share + EPSILON), active)


def cross_entropy_from_logits(
    labels: Float[Array, "*batch label"],
    logits: Float[Array, "*batch label"],
    mask: Bool[Array, "*batch 1"],
    weights: Float[Array, "*batch 1"] | None = None,
) -> Float[Array, ""]:
    """Cross entropy with softly smoothed one-hot `labels`, over unmasked positions, each times its weight."""
    soft = (1 - EPSILON) * labels + EPSILON / labels.shape[-1]
    entropy = -jnp.sum(soft * jax.nn.log_softmax(widen(logits), axis=-1), axis=-1, keepdims=True)
    return masked_mean(entropy if weights is None else weights * entropy, mask)


def binary_cross_entropy_from_logits(
    targets: Float[Array, "*shape"], logits: Float[Array, "*shape"], mask: Bool[Array, "*other"]
) -> Float[Array, ""]:
    """Cross entropy of fractions in [0, 1]."""
    y, x = jnp.clip(targets, EPSILON, 1 - EPSILON), widen(logits)
    return masked_mean(jnp.maximum(x, 0) - x * y + jnp.log1p(jnp.exp(-jnp.abs(x))), mask)


def squared_error(
    targets: Float[Array, "*shape"], predictions: Float[Array, "*shape"], mask: Bool[Array, "*other"]
) -> Float[Array, ""]:
    """Mean squared error."""
    return masked_mean(jnp.square(widen(predictions) - targets), mask)


def ratio_loss(
    targets: Float[Array, "*batch donor acceptor track"],
    predictions: Float[Array, "*batch donor acceptor track"],
    mask: Bool[Array, "*batch donor acceptor track"],
    axis: int,
) -> Float[Array, ""]:
    """Cross entropy of how counts are shared along `axis` (-3: among donors, -2: among acceptors)."""

    def share(x: Array) -> Array:
        x = jnp.where(mask, x + EPSILON, 0)
        return x / jnp.maximum(jnp.sum(x, axis=axis, keepdims=True), EPSILON)

    # The logarithm is taken where it counts only: at a masked 0 its gradient would be infinite.
    q = jnp.where(mask, share(predictions), 1.0)
    entropy = -jnp.sum(share(targets) * jnp.log(q), axis=axis)
    return masked_mean(entropy, jnp.any(mask, axis=axis))


def junction_loss(
    targets: Float[Array, "*batch donor acceptor track"],
    predictions: Float[Array, "*batch donor acceptor track"],
    mask: Bool[Array, "*batch donor acceptor track"],
) -> Float[Array, ""]:
    """Ratios among donors and among acceptors, and (weakly) the counts of each donor and of each acceptor."""
    predictions = widen(jnp.where(mask, predictions, 0))
    targets = jnp.where(mask, targets, 0).astype(predictions.dtype)
    loss = jnp.zeros(())
    for axis in (-3, -2):
        loss += ratio_loss(targets, predictions, mask, axis)
        counts = poisson(soft_clip(jnp.sum(targets, axis=axis)), jnp.sum(predictions, axis=axis))
        loss += COUNT_WEIGHT * masked_mean(counts, jnp.any(mask, axis=axis))
    return loss
