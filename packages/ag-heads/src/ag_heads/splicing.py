"""Splice sites and their usage: what each base is to the spliceosome. Source: spec/model.md 3.5 and 3.7."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from ag_core.config import EmbeddingDims
from ag_core.interfaces import AbstractHead, Embeddings, Losses, Predictions
from ag_core.layers import Constant, widen
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ag_heads.linear import MultiOrganismLinear
from ag_heads.losses import EPSILON, binary_cross_entropy_from_logits, cross_entropy_from_logits
from ag_heads.tables import partner_tracks, real_tracks, track_count


def _turn(predictions: Predictions, partners: Int[Array, " track"]) -> Predictions:
    return {name: x[::-1][:, partners] for name, x in predictions.items()}


class SpliceSitesHead(AbstractHead):
    """Probability of each base to be a donor or acceptor on either strand, or neither (the padding track).

    A site is the exonic base next to the intron. In the loss a site weighs `site_weight` times what another base does
    (1 in the reference); what that adds to the odds is part of the loss, so that probabilities stay probabilities.
    """

    linear: MultiOrganismLinear
    real: Constant
    partners: Constant
    modality: str = eqx.field(static=True)
    resolutions: tuple[int, ...] = eqx.field(static=True)
    requires: tuple[str, ...] = eqx.field(static=True)
    site_weight: float = eqx.field(static=True)
    local: ClassVar[bool] = True
    official: ClassVar = {"linear": "multi_organism_linear"}

    def __init__(
        self,
        tracks: Sequence[xr.Dataset],
        dims: EmbeddingDims,
        *,
        modality: str = "splice_sites",
        site_weight: float | int = 1.0,  # YAML has whole numbers
        key: PRNGKeyArray,
    ):
        count = track_count(modality, tracks)
        if count != 5:
            raise ValueError(f"{modality}: expected 5 classes (donor and acceptor on + and -, neither), got {count}")
        self.modality, self.resolutions, self.requires = modality, (1,), ()
        self.site_weight = float(site_weight)
        self.linear = MultiOrganismLinear(len(tracks), dims.bp1, count, key=key)
        self.real = real_tracks(tracks)
        self.partners = partner_tracks(tracks)

    @property
    def official_name(self) -> str:
        """The head's name in the official parameter tree."""
        return f"{self.modality}_classification"

    def centre(self, averages: Float[np.ndarray, "organism track"]) -> "SpliceSitesHead":
        """As `ag_core.interfaces.Centred`: each class as likely as it is common."""
        common = np.where(averages[:, :-1] > 0, averages[:, :-1], np.nan)
        none = 1 - common.sum(axis=1, keepdims=True)
        bias = np.log(np.concatenate([common, none], axis=1))
        known = np.isfinite(bias).all(axis=1, keepdims=True)
        new = jnp.asarray(np.where(known, bias, np.asarray(self.linear.bias)), jnp.float32)
        return eqx.tree_at(lambda head: head.linear.bias, self, new)

    def __call__(
        self, embeddings: Embeddings, organism: Int[Array, ""], context: Mapping[str, Predictions]
    ) -> Predictions:
        """`logits` and `predictions` (softmax over the classes), [position, class]."""
        logits = self.linear(embeddings.at(1), organism)
        return {"logits": logits, "predictions": jax.nn.softmax(logits, axis=-1)}

    def loss(self, predictions: Predictions, targets: Mapping[str, Array], organism: Int[Array, " batch"]) -> Losses:
        """Cross entropy with `targets["classes"]` (bool or shares [batch, position, class]), where a base has one."""
        logits = predictions["logits"]
        labels, weights = targets["classes"].astype(logits.dtype), None
        # A teacher has probabilities also for an organism of whose sites nothing is known.
        known = jnp.any(self.real.value[organism], axis=-1)[:, None, None]
        mask = jnp.any(labels > 0, axis=-1, keepdims=True) & known
        if self.site_weight != 1:
            is_site = jnp.arange(labels.shape[-1]) < labels.shape[-1] - 1
            labels = labels * jnp.where(is_site, self.site_weight, 1.0)
            weights = jnp.sum(labels, axis=-1, keepdims=True)
            labels = labels / jnp.maximum(weights, EPSILON)
            logits = logits + math.log(self.site_weight) * is_site
        return {"loss": cross_entropy_from_logits(labels, logits, mask, weights)}

    def taught(self, predictions: Predictions) -> dict[str, Array]:
        """As `ag_core.interfaces.Teachable`: the teacher's probabilities."""
        return {"classes": jnp.asarray(predictions["output"])}

    def reverse_complement(self, predictions: Predictions, organism: Int[Array, ""], length: int) -> Predictions:
        """Positions reversed, strands swapped."""
        return _turn(predictions, self.partners.value[organism])

    def output(self, predictions: Predictions) -> Float[Array, "position track"]:
        """The probabilities."""
        return predictions["predictions"]


class SpliceSiteUsageHead(AbstractHead):
    """Fraction of a tissue's reads across each base, were it a site, that use it."""

    linear: MultiOrganismLinear
    real: Constant
    partners: Constant
    modality: str = eqx.field(static=True)
    resolutions: tuple[int, ...] = eqx.field(static=True)
    requires: tuple[str, ...] = eqx.field(static=True)
    local: ClassVar[bool] = True
    official: ClassVar = {"linear": "multi_organism_linear"}

    def __init__(
        self,
        tracks: Sequence[xr.Dataset],
        dims: EmbeddingDims,
        *,
        modality: str = "splice_site_usage",
        key: PRNGKeyArray,
    ):
        self.modality, self.resolutions, self.requires = modality, (1,), ()
        self.linear = MultiOrganismLinear(len(tracks), dims.bp1, track_count(modality, tracks), key=key)
        self.real = real_tracks(tracks)
        self.partners = partner_tracks(tracks)

    @property
    def official_name(self) -> str:
        """The head's name in the official parameter tree."""
        return "splice_sites_usage"

    def centre(self, averages: Float[np.ndarray, "organism track"]) -> "SpliceSiteUsageHead":
        """As `ag_core.interfaces.Centred`: the mean over sites that were measured."""
        share = np.clip(averages, 1e-3, 1 - 1e-3)
        bias = np.log(share / (1 - share))
        new = jnp.asarray(np.where(np.isfinite(bias), bias, np.asarray(self.linear.bias)), jnp.float32)
        return eqx.tree_at(lambda head: head.linear.bias, self, new)

    def __call__(
        self, embeddings: Embeddings, organism: Int[Array, ""], context: Mapping[str, Predictions]
    ) -> Predictions:
        """`logits` and `predictions` (sigmoid, rounded to float16 as in the reference), [position, track]."""
        logits = self.linear(embeddings.at(1), organism)
        return {"logits": logits, "predictions": jax.nn.sigmoid(logits).astype(jnp.float16)}

    def loss(self, predictions: Predictions, targets: Mapping[str, Array], organism: Int[Array, " batch"]) -> Losses:
        """Binary cross entropy with `targets["usage"]` [batch, position, track], where that is not NaN."""
        usage = widen(targets["usage"])
        mask = ~jnp.isnan(usage) & self.real.value[organism][:, None]
        return {"loss": binary_cross_entropy_from_logits(jnp.where(mask, usage, 0), predictions["logits"], mask)}

    def taught(self, predictions: Predictions) -> dict[str, Array]:
        """As `ag_core.interfaces.Teachable`: the teacher's fractions."""
        return {"usage": jnp.asarray(predictions["output"])}

    def reverse_complement(self, predictions: Predictions, organism: Int[Array, ""], length: int) -> Predictions:
        """Positions reversed, strand partners swapped."""
        return _turn(predictions, self.partners.value[organism])

    def output(self, predictions: Predictions) -> Float[Array, "position track"]:
        """The fractions."""
        return predictions["predictions"]
