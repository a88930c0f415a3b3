"""A modality: the fraction of methylated CpG in bins of 128 bp, between 0 and 1."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from ag_core.interfaces import AbstractHead
from ag_core.layers import Linear


class MethylationHead(AbstractHead):
    """sigmoid(linear(embedding)), with weights of their own for each organism (the leading axis)."""

    linear: Linear
    modality: ClassVar[str] = "methylation"
    resolutions: ClassVar[tuple[int, ...]] = (128,)
    requires: ClassVar[tuple[str, ...]] = ()

    def __init__(self, tracks, dims, *, key):
        keys, count = jax.random.split(key, len(tracks)), tracks[0].sizes["track"]
        self.linear = eqx.filter_vmap(lambda k: Linear(dims.bp128, count, key=k))(keys)

    def __call__(self, embeddings, organism, context):
        logits = jax.tree.map(lambda x: x[organism], self.linear)(embeddings.at(128)).astype(jnp.float32)
        return {"scaled_predictions_128bp": logits, "predictions_128bp": jax.nn.sigmoid(logits)}

    def loss(self, predictions, targets, organism):
        logits, target = predictions["scaled_predictions_128bp"], targets["signal"]
        measured = ~jnp.isnan(target)  # bins without CpG, padding tracks
        cross_entropy = jax.nn.softplus(logits) - jnp.where(measured, target, 0) * logits
        return {"loss": jnp.sum(cross_entropy, where=measured) / jnp.maximum(jnp.sum(measured), 1)}

    def reverse_complement(self, predictions, organism, length):
        return {name: x[::-1] for name, x in predictions.items()}  # both strands of a CpG count as one

    def output(self, predictions):
        return predictions["predictions_128bp"]
