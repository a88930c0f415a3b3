"""The genome-track head: non-negative signal along the sequence, for seven modalities. Source: spec/model.md 3.3."""

import functools
from collections.abc import Mapping, Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from ag_core.config import TOKEN, EmbeddingDims
from ag_core.interfaces import AbstractHead, Embeddings, Losses, Predictions
from ag_core.layers import Constant, widen
from ag_core.schema import is_padding
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ag_heads.linear import MultiOrganismLinear
from ag_heads.losses import POSITIONAL_WEIGHT, SEGMENT, gene_loss, track_loss
from ag_heads.scaling import SQUASH, scale_targets, unscale_predictions
from ag_heads.tables import partner_tracks, real_tracks, track_count

RESOLUTIONS = tuple(2**i for i in range(12))
STRAND_SIGN = {"+": 1, "-": -1, ".": 0}


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


def _read(embeddings: Embeddings, resolution: int) -> Float[Array, "bin channel"]:
    """The embedding at `resolution`: one that is there, or means of the next finer one's positions."""
    finer = 1 if resolution < TOKEN else TOKEN
    embedding = embeddings.at(finer)
    if resolution == finer:
        return embedding
    length, channels = embedding.shape
    bins = embedding.reshape(length * finer // resolution, resolution // finer, channels)
    return jnp.sum(bins, axis=1) / (resolution // finer)


class GenomeTracksHead(AbstractHead):
    """softplus(linear) times a learnt positive scale, at one or more resolutions.

    `tracks` has one table for each organism, all of equal length (padded). `squash` marks RNA-seq's 0.75 power;
    `shift_reverse` marks cut-site signals that belong to a base's left edge, so that reverse-complemented
    predictions move one position to the right (DNase). Resolutions are powers of two up to 2,048 bp: other than 1 and
    128 they read the mean of the finer embedding. What lies within `crop` bp of either end has no part in the loss.
    With a `target_resolution`, what was measured comes in such bins: finer predictions are summed up for the loss.
    """

    linears: dict[int, MultiOrganismLinear]
    scales: dict[int, Float[Array, "organism track"]]
    means: Constant
    real: Constant
    partners: Constant
    strands: Constant
    modality: str = eqx.field(static=True)
    resolutions: tuple[int, ...] = eqx.field(static=True)
    squash: bool = eqx.field(static=True)
    shift_reverse: bool = eqx.field(static=True)
    crop: int = eqx.field(static=True)
    target_resolution: int = eqx.field(static=True)
    segment: int = eqx.field(static=True)
    gene_loss_weight: float = eqx.field(static=True)
    cross_track_weight: float = eqx.field(static=True)
    requires: tuple[str, ...] = eqx.field(static=True)
    local: ClassVar[bool] = True
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
        crop: int = 0,
        target_resolution: int = 1,
        segment: int = SEGMENT,
        gene_loss_weight: float = 0.0,
        cross_track_weight: float = POSITIONAL_WEIGHT,
        key: PRNGKeyArray,
    ):
        organisms, count = len(tracks), track_count(modality, tracks)
        self.modality, self.resolutions = modality, tuple(resolutions)
        self.squash, self.shift_reverse, self.requires = squash, shift_reverse, ()
        self.segment, self.gene_loss_weight, self.cross_track_weight = segment, gene_loss_weight, cross_track_weight
        self.crop, self.target_resolution = crop, target_resolution
        bins = (*self.resolutions, target_resolution)
        if not self.resolutions or not set(bins) <= set(RESOLUTIONS) or crop < 0 or crop % max(bins):
            raise ValueError(
                f"{modality}: resolutions {list(self.resolutions)}, targets at {target_resolution} bp and a crop of "
                f"{crop} bp; expected powers of two up to {RESOLUTIONS[-1]}, and a whole number of bins"
            )
        channels = {r: dims.bp1 if r < TOKEN else dims.bp128 for r in self.resolutions}
        keys = jax.random.split(key, len(self.resolutions))
        self.linears = {
            r: MultiOrganismLinear(organisms, channels[r], count, key=k)
            for r, k in zip(self.resolutions, keys, strict=True)
        }
        self.scales = {r: jnp.ones((organisms, count)) for r in self.resolutions}
        self.means = Constant(jnp.asarray(np.stack([_means(table) for table in tracks])))
        self.real = real_tracks(tracks)
        signs = [[STRAND_SIGN[strand] for strand in table["strand"].values] for table in tracks]
        self.strands = Constant(jnp.asarray(np.array(signs, np.int8)))
        self.partners = partner_tracks(tracks)

    @property
    def reads(self) -> frozenset[int]:
        """The embeddings it reads."""
        return frozenset(1 if r < TOKEN else TOKEN for r in self.resolutions)

    def centre(self, averages: Float[np.ndarray, "organism track"]) -> "GenomeTracksHead":
        """As `ag_core.interfaces.Centred`; tracks without a known mean stay as they are."""
        means = np.asarray(self.means.value)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(averages > 0, averages / means, np.nan)
            scaled = np.power(share, SQUASH) if self.squash else share
            bias = np.log(np.expm1(np.maximum(scaled, 1e-6) / np.log1p(np.e)))
        head = self
        for r in self.resolutions:
            new = jnp.asarray(np.where(np.isfinite(bias), bias, np.asarray(self.linears[r].bias)), jnp.float32)
            head = eqx.tree_at(lambda h, r=r: h.linears[r].bias, head, new)
        return head

    def __call__(
        self, embeddings: Embeddings, organism: Int[Array, ""], context: Mapping[str, Predictions]
    ) -> Predictions:
        """`scaled_predictions_{r}bp` (model space) and `predictions_{r}bp` (experimental units; NaN in padding)."""
        predictions = {}
        for r in self.resolutions:
            raw = self.linears[r](_read(embeddings, r), organism)
            scaled = jax.nn.softplus(raw) * jax.nn.softplus(widen(self.scales[r][organism]))
            predictions[f"scaled_predictions_{r}bp"] = scaled
            predictions[f"predictions_{r}bp"] = unscale_predictions(
                scaled, self.means.value[organism], r, squash=self.squash
            )
        return predictions

    def loss(self, predictions: Predictions, targets: Mapping[str, Array], organism: Int[Array, " batch"]) -> Losses:
        """Sum over resolutions; `targets["signal"]` [batch, position, track] is at the finest of them (or at
        `target_resolution`, if that is coarser), and sums for coarser ones.

        NaN positions, padding, and tracks not in `targets["measured"]` (bool [batch, track], optional) do not count.
        With `gene_loss_weight` and `targets["genes"]` (bool [batch, position, strand, gene]: exons of genes on + and
        on -), a gene's mean signal and how tracks share it are compared too, at 1 bp.
        """
        finest, signal = max(min(self.resolutions), self.target_resolution), widen(targets["signal"])
        tracks = self.real.value[organism]
        if "measured" in targets:
            tracks = tracks & targets["measured"]
        known = ~jnp.isnan(signal) & tracks[:, None]
        if self.crop:
            place = jnp.arange(signal.shape[1]) * finest
            inside = (place >= self.crop) & (place < signal.shape[1] * finest - self.crop)
            known = known & inside[:, None]
        signal = jnp.where(known, jnp.maximum(signal, 0), 0)
        # A padding mean is NaN, and NaN times a zero gradient is NaN: take 1 there.
        means = jnp.where(tracks, self.means.value[organism], 1.0)
        batch, length, count = signal.shape
        losses: Losses = {"loss": jnp.zeros(())}
        for r in self.resolutions:
            size = max(r, finest)
            bins = (batch, length * finest // size, size // finest, count)
            scale = functools.partial(scale_targets, resolution=size, squash=self.squash)
            scaled = jax.vmap(scale)(signal.reshape(bins).sum(axis=2), means)
            predicted = predictions[f"scaled_predictions_{r}bp"]
            if r < finest:
                unscale = functools.partial(unscale_predictions, resolution=r, squash=self.squash)
                own = jax.vmap(unscale)(predicted, means)
                sums = own.reshape(batch, bins[1], size // r, count).sum(axis=2)
                predicted = jax.vmap(scale)(sums, means)
            mask = known.reshape(bins).all(axis=2)
            parts = track_loss(scaled, predicted, mask, segment=max(self.segment // size, 1))
            if r == 1 and self.gene_loss_weight and "genes" in targets:
                seen = tracks[:, None] & self._shows_strand(organism)
                total, positional = gene_loss(scaled, predicted, seen, targets["genes"])
                parts["loss"] += self.gene_loss_weight * (total + self.cross_track_weight * positional)
                parts |= {"gene_loss_total_count": total, "gene_loss_positional": positional}
            losses |= {f"{name}_{r}bp": part for name, part in parts.items()}
            losses["loss"] += parts["loss"]
        return losses

    def taught(self, predictions: Predictions) -> dict[str, Array]:
        """As `ag_core.interfaces.Teachable`: the teacher's output, summed up to what the loss compares."""
        signal = jnp.asarray(predictions["output"])
        size = max(self.target_resolution // min(self.resolutions), 1)
        batch, length, count = signal.shape
        return {"signal": signal.reshape(batch, length // size, size, count).sum(axis=2)}

    def _shows_strand(self, organism: Int[Array, " batch"]) -> Bool[Array, "batch strand track"]:
        strands = self.strands.value[organism]
        return jnp.stack([strands != -1, strands != 1], axis=1)

    def reverse_complement(self, predictions: Predictions, organism: Int[Array, ""], length: int) -> Predictions:
        """Positions reversed, strand partners swapped, and for cut sites one step to the right."""
        partners = self.partners.value[organism]

        def turn(x: Float[Array, "position track"]) -> Float[Array, "position track"]:
            x = x[::-1][:, partners]
            return jnp.roll(x, 1, axis=0).at[0].set(0) if self.shift_reverse else x

        return {name: turn(x) for name, x in predictions.items()}

    def output(self, predictions: Predictions) -> Float[Array, "position track"]:
        """Predictions in experimental units at the finest resolution."""
        return predictions[f"predictions_{min(self.resolutions)}bp"]
