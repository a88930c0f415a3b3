"""Contact maps: one linear layer on the pair embedding. Source: spec/model.md 3.4 and 6.1."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import xarray as xr
from ag_core.config import PAIR_BIN, EmbeddingDims
from ag_core.interfaces import AbstractHead, Embeddings, Losses, Predictions
from ag_core.layers import Constant, widen
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ag_heads.linear import MultiOrganismLinear
from ag_heads.losses import squared_error
from ag_heads.tables import real_tracks, track_count


class ContactMapsHead(AbstractHead):
    """Log ratio of observed to expected contact frequency for pairs of 2,048-bp bins; symmetric."""

    linear: MultiOrganismLinear
    real: Constant
    modality: str = eqx.field(static=True)
    resolutions: tuple[int, ...] = eqx.field(static=True)
    requires: tuple[str, ...] = eqx.field(static=True)
    official: ClassVar = {"linear": "multi_organism_linear"}

    def __init__(
        self,
        tracks: Sequence[xr.Dataset],
        dims: EmbeddingDims,
        *,
        modality: str = "contact_maps",
        key: PRNGKeyArray,
    ):
        self.modality, self.resolutions, self.requires = modality, (PAIR_BIN,), ()
        self.linear = MultiOrganismLinear(len(tracks), dims.pair, track_count(modality, tracks), key=key)
        self.real = real_tracks(tracks)

    def __call__(
        self, embeddings: Embeddings, organism: Int[Array, ""], context: Mapping[str, Predictions]
    ) -> Predictions:
        """`predictions` [row, column, track]."""
        if embeddings.pair is None:
            raise ValueError(f"{self.modality} reads the pair embedding, which was not computed")
        return {"predictions": self.linear(embeddings.pair, organism)}

    def loss(self, predictions: Predictions, targets: Mapping[str, Array], organism: Int[Array, " batch"]) -> Losses:
        """Mean squared error against `targets["contacts"]` [batch, row, column, track], where that is not NaN."""
        contacts = widen(targets["contacts"])
        mask = ~jnp.isnan(contacts) & self.real.value[organism][:, None, None]
        return {"loss": squared_error(jnp.where(mask, contacts, 0), predictions["predictions"], mask)}

    def taught(self, predictions: Predictions) -> dict[str, Array]:
        """As `ag_core.interfaces.Teachable`: the teacher's map."""
        return {"contacts": jnp.asarray(predictions["output"])}

    def reverse_complement(self, predictions: Predictions, organism: Int[Array, ""], length: int) -> Predictions:
        """Both axes reversed."""
        return {name: x[::-1, ::-1] for name, x in predictions.items()}

    def output(self, predictions: Predictions) -> Float[Array, "row column track"]:
        """The map."""
        return predictions["predictions"]
