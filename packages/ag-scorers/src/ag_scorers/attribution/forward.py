"""From a one-hot sequence to the values of targets, as one function that can be differentiated.

On '-' the model reads the reverse complement and predictions are turned back; over both strands the mean is taken.
Of an ALT allele with an indel, predictions are moved into the frame of REF first (spec/scoring.md 1.9), as they are
for scores; splice junctions are looked for between the same sites in both.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from ag_core.genome import Interval, Variant
from ag_core.interfaces import Embeddings, Predictions
from ag_core.layers import Constant
from ag_core.model import Model
from jaxtyping import Array, Float, Int

from ag_scorers.alleles import JUNCTIONS
from ag_scorers.attribution.moves import Moves, make_moves, move
from ag_scorers.attribution.target import AbstractTarget, Outputs, ReadingTarget
from ag_scorers.junctions import CLASSES

# Strands that the model reads.
FORWARD, REVERSE, BOTH = ("+",), ("-",), ("+", "-")
# Above so many bp, what lies between the blocks of the network is computed again rather than kept.
LONGEST_KEPT = 1 << 16


class Forward(eqx.Module):
    """Values of targets for a sequence in the forward frame.

    - `sites`: rows of the junctions' donors and acceptors on + and -, -1 for none.
    - `moves`: how ALT moves into the frame of REF; None where nothing moves.
    """

    model: Model
    targets: tuple[AbstractTarget, ...]
    organism: Int[Array | np.ndarray, ""]
    sites: Int[Array | np.ndarray, "4 junction"]
    moves: Moves | None
    strands: tuple[str, ...] = eqx.field(static=True)

    @property
    def modalities(self) -> list[str]:
        """What the targets read, and what that requires."""
        return self.model.order(dict.fromkeys(name for target in self.targets for name in target.modalities))

    def __call__(self, dna: Float[Array | np.ndarray, "position base"]) -> Float[Array, " target"]:
        """The mean over strands of every target's value."""
        dna = jnp.asarray(dna)
        found = [self._read(dna, strand == "-") for strand in self.strands]
        return jnp.mean(jnp.stack(found), axis=0)

    def _read(self, dna: Float[Array, "position base"], reverse: bool) -> Float[Array, " target"]:
        length = dna.shape[0]
        # Bases are in the order A, C, G, T: turned around they are their complements.
        seen = dna[::-1, ::-1] if reverse else dna
        organism = jnp.asarray(self.organism, jnp.int32)[None]
        names = self.modalities
        embeddings = self.model.embed(seen[None], organism, modalities=names, remat=length > LONGEST_KEPT)
        tracks = [name for name in names if name != JUNCTIONS]
        predictions = self.model.predict(embeddings, organism, modalities=tracks) if tracks else {}
        if JUNCTIONS in names:
            predictions[JUNCTIONS] = self._join(embeddings, organism, reverse)
        outputs: dict[str, Any] = {}
        for name, batch in predictions.items():
            head, one = self.model.heads[name], jax.tree.map(lambda x: x[0], batch)
            if reverse:
                one = head.reverse_complement(one, organism[0], length)
            output = head.output(one)
            if name == JUNCTIONS:
                outputs[name] = self._wanted(output)
            elif self.moves is not None and output.ndim == 2 and output.shape[0] == length:
                outputs[name] = move(output, self.moves)
            else:
                outputs[name] = output
        return self._values(outputs)

    def _values(self, outputs: Outputs) -> Float[Array, " target"]:
        return jnp.stack([target(outputs) for target in self.targets])

    def _join(self, embeddings: Embeddings, organism: Int[Array, " 1"], reverse: bool) -> Predictions:
        sites, rows = jnp.asarray(self.sites), embeddings.at(1)
        length = rows.shape[1]
        if reverse:
            sites = jnp.where(sites >= 0, length - 1 - sites, sites)[jnp.array([2, 3, 0, 1])]
        if self.moves is not None:
            rows = move(rows[0], self.moves, reverse=reverse)[None]
        given = {JUNCTIONS: {"splice_site_positions": sites[None]}}
        joined = Embeddings(rows, None, None)
        return self.model.predict(joined, organism, modalities=[JUNCTIONS], given=given)[JUNCTIONS]

    def _wanted(self, counts: Float[Array, "donor acceptor track"]) -> Float[Array, "junction tissue"]:
        """The counts of each junction between its own donor and acceptor, on its own strand."""
        row = jnp.arange(counts.shape[0])
        strand = (jnp.asarray(self.sites)[0] < 0).astype(jnp.int32)
        return counts.reshape(*counts.shape[:2], 2, -1)[row, row, strand]


def make_forward(
    model: Model,
    targets: Sequence[AbstractTarget],
    *,
    window: Interval,
    organism: int = 0,
    junctions: Sequence[Interval] = (),
    variant: Variant | None = None,
    strands: tuple[str, ...] = FORWARD,
) -> Forward:
    """A `Forward` over an unstranded window (0-based). With `variant`, sequences are those of its ALT allele.

    `junctions` are the introns of the scene that targets were bound in.
    """
    forward = window.as_unstranded()
    moves = make_moves(forward, variant) if variant is not None and variant.is_indel else None
    sites = np.full((4, len(junctions)), -1, np.int32)
    for number, intron in enumerate(junctions):
        ends = intron.start - 1 - window.start, intron.end - window.start
        for row, place in zip(CLASSES[intron.strand], ends if intron.strand == "+" else ends[::-1], strict=True):
            sites[row, number] = place

    def pad(node: Any) -> Any:
        if not (isinstance(node, ReadingTarget) and node.modality == JUNCTIONS):
            return node
        return eqx.tree_at(lambda n: n.rows, node, np.pad(node.rows, (0, len(junctions) - len(node.rows))))

    padded = jax.tree.map(pad, tuple(targets), is_leaf=lambda node: isinstance(node, ReadingTarget))
    return Forward(without_nan(model), padded, np.asarray(organism, np.int32), sites, moves, strands)


def without_nan(model: Model) -> Model:
    """Padding tracks have NaN among a head's constants, which a gradient of 0 would not take away."""

    def known(leaf: Any) -> Any:
        if not isinstance(leaf, Constant) or not jnp.issubdtype(leaf.value.dtype, jnp.inexact):
            return leaf
        return Constant(jnp.nan_to_num(leaf.value, nan=1.0))

    return eqx.tree_at(
        lambda whole: whole.heads,
        model,
        jax.tree.map(known, model.heads, is_leaf=lambda leaf: isinstance(leaf, Constant)),
    )
