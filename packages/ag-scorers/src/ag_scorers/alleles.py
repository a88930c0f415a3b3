"""Predictions for both alleles of variants in one pass, with splice junctions between the same sites in both.

Junctions of two alleles can be compared only between equal sites. They are chosen from what both alleles and the
annotation say, inside the genes that the variant touches; then the junction head runs on the embeddings of both, those
of ALT aligned to REF. Source: spec/scoring.md 1.7, 1.10.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ag_core.genome import Interval, Variant
from ag_core.interfaces import AbstractHead, Embeddings, Predictions
from ag_core.layout import Layout
from ag_core.model import Model
from ag_core.sequence import one_hot
from jaxtyping import Array, Bool, Float, Int, UInt8

from ag_scorers.align import (
    Alignment,
    PlacedAlignment,
    align_alternate,
    aligned_spans,
    alignment,
    place_alignment,
    runs,
)
from ag_scorers.stitch import StitchCodes, stitched_embeddings

JUNCTIONS, SITES = "splice_junctions", "splice_sites"


class SiteMasks(NamedTuple):
    """What chooses splice sites besides the predictions, in the order in which the model sees the bases.

    - `genes`: bases of genes that overlap the variant.
    - `annotated`: known sites (donor+, acceptor+, donor-, acceptor- as the model sees them) within those.
    - `alignment`: how ALT moves into the frame of REF.

    `restricted` is the same where only some rows are there.
    """

    genes: Bool[Array | np.ndarray, "*job position"]
    annotated: Bool[Array | np.ndarray, "*job position 4"]
    alignment: Alignment | PlacedAlignment

    def restricted(self, layout: Layout) -> "SiteMasks":
        """On the host: the masks for predictions that have the rows of `layout` (as the model sees them) only."""
        assert isinstance(self.alignment, Alignment)
        genes = layout.take(self.genes, False)
        return SiteMasks(genes, layout.take(self.annotated, False), place_alignment(self.alignment, layout, genes))

    def spans(self) -> list[tuple[int, int]]:
        """Rows, as the model sees them, in which sites are looked for, and where those are in ALT."""
        assert isinstance(self.alignment, Alignment)
        length = len(self.genes)
        if not self.alignment.reverse:
            return aligned_spans(runs(np.asarray(self.genes)), self.alignment)
        spans = aligned_spans(runs(np.asarray(self.genes)[::-1]), self.alignment)
        return [(length - end, length - start) for start, end in spans]


def site_masks(
    interval: Interval, variant: Variant, resources: Mapping[str, Any], *, everywhere: bool, parity: bool = False
) -> SiteMasks:
    """On the host: `SiteMasks` of a variant, from the resources "genes" and "splice_sites" where they are given.

    - `everywhere`: where no gene overlaps the variant, sites are looked for in the whole interval (as the reference
      predicts) or nowhere (as it scores).
    - `parity`: on '-' the gene mask stays in forward order, as in the reference (spec/scoring.md 1.12, item 1).
    """
    genes = np.full(interval.width, everywhere)
    if "genes" in resources:
        bodies, table = resources["genes"].body_masks(interval, variant)
        if len(table["gene_id"]):
            genes = bodies.any(axis=1)
    if interval.negative_strand and not parity:
        genes = genes[::-1].copy()
    annotated = np.zeros((interval.width, 4), bool)
    if "splice_sites" in resources:
        annotated = resources["splice_sites"].mask(interval)[:, :4]
    moves = alignment(interval, variant, interval.width, parity=parity)
    return SiteMasks(genes, annotated & genes[:, None], moves)


def predict_alleles(
    model: Model,
    codes: UInt8[Array | np.ndarray, "job allele position"],
    organism: int,
    modalities: Collection[str],
    sites: SiteMasks | None = None,
    *,
    stitch: StitchCodes | None = None,
    reverse: bool = False,
) -> dict[str, Predictions]:
    """On the device: predictions of the modalities (and those they require), each [job, allele, ...].

    `codes` are base codes of the window, REF and ALT, reverse-complemented if `reverse`; then predictions are turned
    back to the forward strand. ALT stays in its own coordinates, but for junctions. With `sites`, these are chosen for
    both alleles together, otherwise by each allele for itself. With `stitch`, both sides of an indel are read in
    register with the other allele.
    """
    jobs, alleles, length = codes.shape
    organisms = jnp.full(jobs * alleles, organism, jnp.int32)
    wanted = model.order(modalities)
    if stitch is None:
        embeddings = model.embed(one_hot(codes.reshape(jobs * alleles, length)), organisms, modalities=wanted)
    else:
        stitched = stitched_embeddings(model, codes, stitch, organism, wanted)
        embeddings = jax.tree.map(lambda x: x.reshape(jobs * alleles, *x.shape[2:]), stitched)
    if sites is None or JUNCTIONS not in wanted:
        predictions = model.predict(embeddings, organisms, modalities=wanted)
    else:
        predictions = model.predict(embeddings, organisms, modalities=[name for name in wanted if name != JUNCTIONS])
        probabilities = predictions[SITES]["predictions"]
        chosen = choose_sites(model.heads[JUNCTIONS], probabilities[0::2], probabilities[1::2], sites)
        given = {JUNCTIONS: {"splice_site_positions": jnp.repeat(chosen, alleles, axis=0)}}
        joined = Embeddings(_align_second(embeddings.at(1), sites.alignment), None, None)
        predictions |= {JUNCTIONS: model.predict(joined, organisms, modalities=[JUNCTIONS], given=given)[JUNCTIONS]}
    if reverse:
        for name, found in predictions.items():
            head = model.heads[name]
            turn = jax.vmap(lambda one, o, head=head: head.reverse_complement(one, o, length))
            predictions[name] = turn(found, organisms)
    return jax.tree.map(lambda x: x.reshape(jobs, alleles, *x.shape[1:]), predictions)


def _align_second(
    values: Float[Array, "both position channel"], moves: Alignment | PlacedAlignment
) -> Float[Array, "both position channel"]:
    """`values` of REF, ALT, REF, ALT, ...: those of ALT in the frame of REF."""
    ref, alt = values[0::2], jax.vmap(align_alternate)(values[1::2], moves)
    return jnp.stack([ref, alt], axis=1).reshape(values.shape)


def choose_sites(
    head: AbstractHead,
    ref: Float[Array, "job position label"],
    alt: Float[Array, "job position label"],
    sites: SiteMasks,
) -> Int[Array, "job 4 site"]:
    """The rows of each job's sites, from the probabilities of both alleles.

    Probabilities keep their type: under bfloat16 the rounded ones are compared.
    """
    aligned = jax.vmap(align_alternate)(alt[..., :4], sites.alignment)
    strongest = jnp.maximum(ref[..., :4], aligned) * jnp.asarray(sites.genes)[..., None].astype(aligned.dtype)
    strongest = jnp.maximum(strongest, jnp.asarray(sites.annotated).astype(aligned.dtype))
    select: Any = getattr(head, "select")  # noqa: B009 (of this head alone, not of the interface)
    return jax.vmap(select)(strongest)
