"""Splice sites and their usage: what each base is to the spliceosome. Source: spec/model.md 3.5 and 3.7."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import xarray as xr
from ag_core.config import EmbeddingDims
from ag_core.interfaces import AbstractHead, Embeddings, Losses, Predictions
from ag_core.layers import Constant
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ag_heads.linear import MultiOrganismLinear
from ag_heads.losses import binary_cross_entropy_from_logits, cross_entropy_from_logits
from ag_heads.tables import partner_tracks, real_tracks, track_count


def _turn(predictions: Predictions, partners: Int[Array, " track"]) -> Predictions:
    return {name: x[::-1][:, partners] for name, x in predictions.items()}


class SpliceSitesHead(AbstractHead):
    """Probability of each base to be a donor or acceptor on either strand, or neither (the padding track).

    A site is the exonic base next to the intron.
    """

    linear: MultiOrganismLinear
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
        modality: str = "splice_sites",
        key: PRNGKeyArray,
    ):
        count = track_count(modality, tracks)
        if count != 5:
            raise ValueError(f"{modality}: expected 5 classes (donor and acceptor on + and -, neither), got {count}")
        self.modality, self.resolutions, self.requires = modality, (1,), ()
        self.linear = MultiOrganismLinear(len(tracks), dims.bp1, count, key=key)
        self.partners = partner_tracks(tracks)

    @property
    def official_name(self) -> str:
        """The head's name in the official parameter tree."""
        return f"{self.modality}_classification"

    def __call__(
        self, embeddings: Embeddings, organism: Int[Array, ""], context: Mapping[str, Predictions]
    ) -> Predictions:
        """`logits` and `predictions` (softmax over the classes), [position, class]."""
        logits = self.linear(embeddings.at(1), organism)
        return {"logits": logits, "predictions": jax.nn.softmax(logits, axis=-1)}

    def loss(self, predictions: Predictions, targets: Mapping[str, Array], organism: Int[Array, " batch"]) -> Losses:
        """Cross entropy with `targets["classes"]` (bool [batch, position, class]), where a base has a class."""
        classes = targets["classes"]
        mask = jnp.any(classes, axis=-1, keepdims=True)
        return {"loss": cross_entropy_from_logits(classes.astype(jnp.float32), predictions["logits"], mask)}

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

    def __call__(
        self, embeddings: Embeddings, organism: Int[Array, ""], context: Mapping[str, Predictions]
    ) -> Predictions:
        """`logits` and `predictions` (sigmoid, rounded to float16 as in the reference), [position, track]."""
        logits = self.linear(embeddings.at(1), organism)
        return {"logits": logits, "predictions": jax.nn.sigmoid(logits).astype(jnp.float16)}

    def loss(self, predictions: Predictions, targets: Mapping[str, Array], organism: Int[Array, " batch"]) -> Losses:
        """Binary cross entropy with `targets["usage"]` [batch, position, track], where that is not NaN."""
        usage = targets["usage"].astype(jnp.float32)
        mask = ~jnp.isnan(usage) & self.real.value[organism][:, None]
        return {"loss": binary_cross_entropy_from_logits(jnp.where(mask, usage, 0), predictions["logits"], mask)}

    def reverse_complement(self, predictions: Predictions, organism: Int[Array, ""], length: int) -> Predictions:
        """Positions reversed, strand partners swapped."""
        return _turn(predictions, self.partners.value[organism])

    def output(self, predictions: Predictions) -> Float[Array, "position track"]:
        """The fractions."""
        return predictions["predictions"]
