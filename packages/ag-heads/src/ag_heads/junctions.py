"""Splice junctions: how many reads join each donor to each acceptor in each tissue. Source: spec/model.md 3.6, 6.1.

The sites come first (4 rows of up to `sites` positions), so that only their embeddings go through the linear layer.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import xarray as xr
from ag_core.config import EmbeddingDims
from ag_core.interfaces import AbstractHead, Embeddings, Losses, Predictions
from ag_core.layers import truncated_normal, widen
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ag_heads.linear import MultiOrganismLinear
from ag_heads.losses import junction_loss
from ag_heads.site_pairs import count_pairs, pair_mask
from ag_heads.sites import CLASSES, arrange, select_sites, strongest
from ag_heads.tables import track_count

EMBEDDING_STD = 0.1


class SiteCode(eqx.Module):
    """How one role (say, donor on +) shows itself to each tissue: a scale and an offset for every channel."""

    values: Float[Array, "organism part tissue channel"]
    official: ClassVar = {"values": "embeddings"}

    def __init__(self, organisms: int, tissues: int, channels: int, *, key: PRNGKeyArray):
        self.values = truncated_normal(key, (organisms, 2, tissues, channels), EMBEDDING_STD)


class Candidates(NamedTuple):
    """The strongest sites so far, while a long sequence goes by: value, position and 1-bp embedding of each."""

    values: Float[Array, "row site"]
    positions: Int[Array, "row site"]
    embeddings: Float[Array, "row site channel"]


class SpliceJunctionsHead(AbstractHead):
    """Counts for all donor x acceptor pairs of the selected sites, + tissues first, then - tissues.

    `sites` and `threshold` select from the splice-site probabilities; `hidden` is the width of a site's code.
    """

    linear: MultiOrganismLinear
    donor_plus: SiteCode
    acceptor_plus: SiteCode
    donor_minus: SiteCode
    acceptor_minus: SiteCode
    modality: str = eqx.field(static=True)
    resolutions: tuple[int, ...] = eqx.field(static=True)
    requires: tuple[str, ...] = eqx.field(static=True)
    sites: int = eqx.field(static=True)
    threshold: float = eqx.field(static=True)
    loss_weight: ClassVar[float] = 0.2
    official: ClassVar = {
        "linear": "multi_organism_linear",
        "donor_plus": "pos_donor_logits",
        "acceptor_plus": "pos_acceptor_logits",
        "donor_minus": "neg_donor_logits",
        "acceptor_minus": "neg_acceptor_logits",
    }

    def __init__(
        self,
        tracks: Sequence[xr.Dataset],
        dims: EmbeddingDims,
        *,
        modality: str = "splice_junctions",
        site_modality: str = "splice_sites",
        sites: int = 512,
        threshold: float = 0.1,
        hidden: int = 768,
        key: PRNGKeyArray,
    ):
        if sites < 1 or hidden < 2 or hidden % 2:
            raise ValueError(f"{modality}: needs sites >= 1 and an even hidden >= 2, got {sites} and {hidden}")
        tissues, keys = track_count(modality, tracks), jax.random.split(key, 5)
        self.modality, self.resolutions, self.requires = modality, (1,), (site_modality,)
        self.sites, self.threshold = sites, threshold
        self.linear = MultiOrganismLinear(len(tracks), dims.bp1, hidden, key=keys[0])
        code = functools.partial(SiteCode, len(tracks), tissues, hidden)
        self.donor_plus, self.acceptor_plus = code(key=keys[1]), code(key=keys[2])
        self.donor_minus, self.acceptor_minus = code(key=keys[3]), code(key=keys[4])

    @property
    def official_name(self) -> str:
        """The head's name in the official parameter tree."""
        return "splice_sites_junction"

    def __call__(
        self, embeddings: Embeddings, organism: Int[Array, ""], context: Mapping[str, Predictions]
    ) -> Predictions:
        """`predictions` [donor, acceptor, 2 x tissue], `splice_junction_mask` of the same shape, and the sites.

        `splice_site_positions` [4, site]: donor +, acceptor +, donor -, acceptor -; -1 is no site. They are selected
        from the splice-site probabilities, unless the caller gives them as this head's own context; with
        `splice_site_rows` as well, where `embeddings` hold some rows only: the row of each site in these.
        """
        own = context.get(self.modality, {})
        positions = own.get("splice_site_positions")
        if positions is None:
            positions = self.select(context[self.requires[0]]["predictions"])
        return self._join(embeddings.at(1)[own.get("splice_site_rows", positions)], positions, organism)

    def select(self, probabilities: Float[Array, "position label"]) -> Int[Array, "4 site"]:
        """The sites that this head joins, given each base's probability (or other value) of being one."""
        return select_sites(probabilities, self.sites, self.threshold)

    def _join(
        self,
        rows: Float[Array, "4 site channel"],
        positions: Int[Array, "4 site"],
        organism: Int[Array, ""],
        *,
        skip: bool = False,
    ) -> Predictions:
        codes = (self.donor_plus, self.acceptor_plus, self.donor_minus, self.acceptor_minus)
        values = widen(jnp.stack([code.values[organism] for code in codes]))
        counts = count_pairs(self.linear(rows, organism), values, positions, skip=skip)
        donors, acceptors, tracks = counts.shape
        mask = jnp.broadcast_to(pair_mask(positions)[..., None], (donors, acceptors, 2, tracks // 2))
        return {
            "predictions": counts,
            "splice_site_positions": positions,
            "splice_junction_mask": mask.reshape(counts.shape),
        }

    def begin(self, channels: int, dtype: jnp.dtype) -> Candidates:
        """No candidate yet."""
        return Candidates(
            jnp.full((CLASSES, self.sites), -1.0),
            jnp.full((CLASSES, self.sites), -1, jnp.int32),
            jnp.zeros((CLASSES, self.sites, channels), dtype),
        )

    def absorb(
        self, state: Candidates, embeddings: Embeddings, start: Int[Array, ""], context: Mapping[str, Predictions]
    ) -> Candidates:
        """The strongest sites of those so far and of one more piece."""
        probabilities = context[self.requires[0]]["predictions"][:, :CLASSES].T.astype(jnp.float32)
        values, index = strongest(probabilities, self.sites)
        rows = embeddings.at(1)[index]
        values = jnp.concatenate([state.values, values], axis=1)
        positions = jnp.concatenate([state.positions, (index + start).astype(jnp.int32)], axis=1)
        rows = jnp.concatenate([state.embeddings, rows], axis=1)
        # In order of position, so that of equal values the lowest stays, whichever piece came first.
        order = jnp.argsort(positions, axis=1)
        best, chosen = strongest(jnp.take_along_axis(values, order, axis=1), self.sites)
        chosen = jnp.take_along_axis(order, chosen, axis=1)
        return Candidates(
            best,
            jnp.take_along_axis(positions, chosen, axis=1),
            jnp.take_along_axis(rows, chosen[..., None], axis=1),
        )

    def finish(self, state: Candidates, organism: Int[Array, ""]) -> Predictions:
        """As `__call__`, from what was absorbed."""
        positions, order = arrange(state.values, state.positions, self.sites, self.threshold)
        rows = jnp.take_along_axis(state.embeddings, order[..., None], axis=1)
        return self._join(rows, positions, organism, skip=True)

    def conditions(self, targets: Mapping[str, Array]) -> Predictions:
        """The sites that the counts are about: training predicts at these, not at what the network believes."""
        return {"splice_site_positions": targets["splice_site_positions"]}

    def loss(self, predictions: Predictions, targets: Mapping[str, Array], organism: Int[Array, " batch"]) -> Losses:
        """Ratios and counts against `targets["counts"]` [batch, donor, acceptor, 2 x tissue], where not NaN."""
        counts = widen(targets["counts"])
        mask = predictions["splice_junction_mask"] & ~jnp.isnan(counts)
        return {"loss": junction_loss(counts, predictions["predictions"], mask)}

    def taught(self, predictions: Predictions) -> dict[str, Array]:
        """As `ag_core.interfaces.Teachable`: the teacher's counts at the sites that it found."""
        return {"counts": predictions["output"], "splice_site_positions": predictions["splice_site_positions"]}

    def reverse_complement(self, predictions: Predictions, organism: Int[Array, ""], length: int) -> Predictions:
        """Strands swapped and positions mirrored; these come out descending, each with its own counts."""
        positions = predictions["splice_site_positions"]
        turned = {
            "splice_site_positions": jnp.where(positions >= 0, length - 1 - positions, positions)[
                jnp.array([2, 3, 0, 1])
            ]
        }
        for name in ("predictions", "splice_junction_mask"):
            if name in predictions:
                x = predictions[name]
                turned[name] = jnp.roll(x, x.shape[-1] // 2, axis=-1)
        return turned

    def output(self, predictions: Predictions) -> Float[Array, "donor acceptor track"]:
        """The counts."""
        return predictions["predictions"]
