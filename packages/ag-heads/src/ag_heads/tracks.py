"""The genome-track head: non-negative signal along the sequence, for seven modalities. Source: spec/model.md 3.3."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from ag_core.config import EmbeddingDims
from ag_core.interfaces import AbstractHead, Embeddings, Predictions
from ag_core.layers import Constant
from ag_core.schema import is_padding, strand_partners
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ag_heads.linear import MultiOrganismLinear
from ag_heads.losses import SEGMENT, track_loss
from ag_heads.scaling import scale_targets, unscale_predictions


def _means(tracks: xr.Dataset) -> np.ndarray:
    """`nonzero_mean` of each track; 1 without the column, NaN for padding (as the reference has it)."""
    if "nonzero_mean" not in tracks:
        return np.ones(tracks.sizes["track"], np.float32)
    means = tracks["nonzero_mean"].values.astype(np.float32)
    wrong = np.flatnonzero(~(means > 0) & ~is_padding(tracks))
    if len(wrong):
        raise ValueError(
            f"track {tracks['name'].values[wrong[0]]!r} has nonzero_mean {means[wrong[0]]}; expected a positive "
            "number, the mean over positions with signal (1 for a track without any)"
        )
    return means


class GenomeTracksHead(AbstractHead):
    """softplus(linear) times a learnt positive scale, at one or more resolutions.

    `tracks` has one table for each organism, all of equal length (padded). `squash` marks RNA-seq's 0.75 power;
    `shift_reverse` marks cut-site signals that belong to a base's left edge, so that reverse-complemented
    predictions move one position to the right (DNase).
    """

    linears: dict[int, MultiOrganismLinear]
    scales: dict[int, Float[Array, "organism track"]]
    means: Constant
    real: Constant
    partners: Constant
    modality: str = eqx.field(static=True)
    resolutions: tuple[int, ...] = eqx.field(static=True)
    squash: bool = eqx.field(static=True)
    shift_reverse: bool = eqx.field(static=True)
    requires: tuple[str, ...] = eqx.field(static=True)
    official: ClassVar = {
        "linears": "resolution_{i}/multi_organism_linear",
        "scales": "resolution_{i}/learnt_scale",
    }

    def __init__(
        self,
        tracks: Sequence[xr.Dataset],
        dims: EmbeddingDims,
        *,
        modality: str,
        resolutions: Sequence[int],
        squash: bool = False,
        shift_reverse: bool = False,
        key: PRNGKeyArray,
    ):
        sizes = {table.sizes["track"] for table in tracks}
        if len(sizes) != 1:
            raise ValueError(f"{modality}: organisms have {sorted(sizes)} tracks; pad the tables to equal length")
        organisms, count = len(tracks), sizes.pop()
        self.modality, self.resolutions = modality, tuple(resolutions)
        self.squash, self.shift_reverse, self.requires = squash, shift_reverse, ()
        channels = {1: dims.bp1, 128: dims.bp128}
        keys = jax.random.split(key, len(self.resolutions))
        self.linears = {
            r: MultiOrganismLinear(organisms, channels[r], count, key=k)
            for r, k in zip(self.resolutions, keys, strict=True)
        }
        self.scales = {r: jnp.ones((organisms, count)) for r in self.resolutions}
        self.means = Constant(jnp.asarray(np.stack([_means(table) for table in tracks])))
        self.real = Constant(jnp.asarray(np.stack([~is_padding(table) for table in tracks])))
        self.partners = Constant(jnp.asarray(np.stack([strand_partners(table) for table in tracks])))

    def __call__(
        self, embeddings: Embeddings, organism: Int[Array, ""], context: Mapping[str, Predictions]
    ) -> Predictions:
        """`scaled_predictions_{r}bp` (model space) and `predictions_{r}bp` (experimental units; NaN in padding)."""
        predictions = {}
        for r in self.resolutions:
            raw = self.linears[r](embeddings.at(r), organism)
            scaled = jax.nn.softplus(raw) * jax.nn.softplus(self.scales[r][organism].astype(jnp.float32))
            predictions[f"scaled_predictions_{r}bp"] = scaled
            predictions[f"predictions_{r}bp"] = unscale_predictions(
                scaled, self.means.value[organism], r, squash=self.squash
            )
        return predictions

    def loss(
        self, predictions: Predictions, targets: Mapping[str, Array], organism: Int[Array, ""]
    ) -> Float[Array, ""]:
        """Sum over resolutions; `targets["signal"]` is at the finest one, coarser ones are its sums.

        NaN positions, padding, and tracks not in `targets["measured"]` (optional) do not count.
        """
        finest, signal = min(self.resolutions), targets["signal"].astype(jnp.float32)
        tracks = self.real.value[organism]
        if "measured" in targets:
            tracks = tracks & targets["measured"]
        known = ~jnp.isnan(signal) & tracks
        signal = jnp.where(known, jnp.maximum(signal, 0), 0)
        # A padding mean is NaN, and NaN times a zero gradient is NaN: take 1 there.
        means = jnp.where(tracks, self.means.value[organism], 1.0)
        total = jnp.zeros(())
        for r in self.resolutions:
            shape = (-1, r // finest, signal.shape[-1])
            scaled = scale_targets(signal.reshape(shape).sum(axis=1), means, r, squash=self.squash)
            mask = known.reshape(shape).all(axis=1)
            total += track_loss(scaled, predictions[f"scaled_predictions_{r}bp"], mask, segment=SEGMENT // r)
        return total

    def reverse_complement(self, predictions: Predictions, organism: Int[Array, ""]) -> Predictions:
        """Positions reversed, strand partners swapped, and for cut sites one step to the right."""
        partners = self.partners.value[organism]

        def turn(x: Float[Array, "position track"]) -> Float[Array, "position track"]:
            x = x[::-1][:, partners]
            return jnp.roll(x, 1, axis=0).at[0].set(0) if self.shift_reverse else x

        return {name: turn(x) for name, x in predictions.items()}

    def output(self, predictions: Predictions) -> Float[Array, "position track"]:
        """Predictions in experimental units at the finest resolution."""
        return predictions[f"predictions_{min(self.resolutions)}bp"]
