"""Scores a variant by how it changes splicing between pairs of sites: one item for each junction that changes most.

Which junctions there are is known only after the prediction. The device finds, for every gene and tissue, the junction
that changes most, and sends back only those rows; the host makes the table of them.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from ag_core.genome import Interval, Variant
from ag_core.interfaces import AbstractHead, AbstractScorer, Items, Predictions
from ag_core.layout import Layout
from jaxtyping import Array, Bool, Float, Int

from ag_scorers.center_mask import check_modality
from ag_scorers.gene_mask import BUCKETS, genes_of
from ag_scorers.parity import Parity, read_parity

SLOTS = 256  # sites of each class that are looked at
PSEUDOCOUNT = 1e-7
GENE_TYPE = "protein_coding"
# Rows of the site positions: donor and acceptor of each strand.
CLASSES = {"+": (0, 1), "-": (2, 3)}


class Junctions(NamedTuple):
    """Counts between sites on '+' and '-', and the sites (rows donor+, acceptor+, donor-, acceptor-)."""

    counts: Float[Array | np.ndarray, "donor acceptor strand track"]
    positions: Int[Array | np.ndarray, "4 site"]


class Genes(NamedTuple):
    """Genes in which junctions are looked for, in rows of the interval (padded with genes that hold nothing)."""

    start: Int[Array | np.ndarray, " gene"]
    end: Int[Array | np.ndarray, " gene"]
    negative: Bool[Array | np.ndarray, " gene"]
    first: Int[Array | np.ndarray, ""]  # row of the chromosome's second base: junctions start there or later


class Changes(NamedTuple):
    """For each gene and track the junction that changes most, as rows of all tracks."""

    scores: Float[Array | np.ndarray, "gene winner track"]  # float16 as the scores themselves are
    index: Int[Array | np.ndarray, "gene winner"]
    start: Int[Array | np.ndarray, "gene winner"]  # rows of the interval
    end: Int[Array | np.ndarray, "gene winner"]
    earliest: Int[Array | np.ndarray, " gene"]  # index of the gene's first junction; -1 without one
    overlapped: Bool[Array | np.ndarray, " gene"]  # whether some junction of its strand reaches into the gene


def pairs(
    positions: Int[Array | np.ndarray, "4 site"], strand: str, first: Int[Array | np.ndarray, ""]
) -> tuple[Int[Array, "donor acceptor"], Int[Array, "donor acceptor"], Bool[Array, "donor acceptor"]]:
    """Start, end and validity of all junctions of a strand, in rows of the interval (spec/scoring.md 1.11)."""
    donor, acceptor = (jnp.asarray(positions)[row] for row in CLASSES[strand])
    shape = (len(donor), len(acceptor))
    donor, acceptor = jnp.broadcast_to(donor[:, None], shape), jnp.broadcast_to(acceptor[None], shape)
    left, right = (acceptor, donor) if strand == "-" else (donor, acceptor)
    start, end = left + 1, right
    return start, end, (donor >= 0) & (acceptor >= 0) & (start < end) & (start >= first)


class SpliceJunctionScorer(AbstractScorer):
    """|ln(ALT + 1e-7) - ln(REF + 1e-7)| of junctions inside protein-coding genes that overlap the variant.

    Items are, for each gene, the junctions that change most in some tissue, with `junction_start` and `junction_end`
    (the intron, 0-based half-open); each has the scores of all tissues. A gene without a junction has no item. Scores
    are rounded to float16, as in the reference. Where junctions reach into genes but none lies inside one, there is no
    item; with `parity="upstream"` that is a ValueError, as in the reference (spec/scoring.md 1.12, item 5). Source:
    spec/scoring.md 2.7.
    """

    modality: str = eqx.field(static=True, default="splice_junctions", converter=check_modality)
    parity: Parity = eqx.field(static=True, default=Parity.FIXED, converter=read_parity)
    requires: ClassVar[tuple[str, ...]] = ("genes",)
    signed: ClassVar[bool] = False
    name: ClassVar[str] = "SpliceJunctionScorer()"

    def items(self, interval: Interval, variant: Variant, resolution: int, resources: Mapping[str, Any]) -> Items:
        """The genes; `rows` makes the items. Raises ValueError for more than 256 genes."""
        table = genes_of(self.name, resources).genes_at(variant, GENE_TYPE)
        if variant.chromosome != interval.chromosome:  # a variant outside: its genes have no junction here
            table = {key: values[:0] for key, values in table.items()}
        count = len(table["gene_id"])
        size = next((size for size in BUCKETS if size >= count), None)
        if size is None:
            raise ValueError(f"{self.name}: {count} genes overlap {variant}; expected at most {BUCKETS[-1]}")
        start, end, negative = np.zeros(size, np.int32), np.zeros(size, np.int32), np.zeros(size, bool)
        start[:count], end[:count] = table["gene_start"] - interval.start, table["gene_end"] - interval.start
        negative[:count] = table["gene_strand"] == "-"
        masks = Genes(start, end, negative, np.asarray(1 - interval.start, np.int32))
        return Items(masks, table, interval.start)

    def spans(self, items: Items) -> list[tuple[int, int]]:
        """None: junctions are no tracks along the sequence."""
        return []

    def restrict(self, masks: Genes, layouts: Mapping[str, Layout]) -> Genes:
        """The same: genes are given by where they lie in the interval, as junctions are."""
        return masks

    def read(
        self,
        heads: Mapping[str, AbstractHead],
        predictions: Mapping[str, Predictions],
        tracks: Mapping[str, Int[Array | np.ndarray, " _"]],
    ) -> Junctions:
        """Counts of the wanted tissues on both strands, and the sites they lie between."""
        found = predictions[self.modality]
        counts = found["predictions"].astype(jnp.float32)
        counts = counts.reshape(*counts.shape[:2], 2, -1)[..., tracks[self.modality]]
        return Junctions(counts, found["splice_site_positions"])

    def score(self, ref: Junctions, alt: Junctions, masks: Genes) -> Changes:
        """The junctions that change most, of all genes, padding included."""
        positions = jnp.asarray(ref.positions)[:, :SLOTS]
        ref_counts, alt_counts = (jnp.asarray(one.counts)[:SLOTS, :SLOTS] for one in (ref, alt))
        delta = jnp.log(alt_counts + PSEUDOCOUNT) - jnp.log(ref_counts + PSEUDOCOUNT)
        change = jnp.abs(delta.astype(jnp.float16))
        change = jnp.moveaxis(change, 2, 0).reshape(2, -1, change.shape[-1])  # strand, junction, track
        parts = zip(*(pairs(positions, strand, masks.first) for strand in CLASSES), strict=True)
        starts, ends, valid = (jnp.stack([part.reshape(-1) for part in of_strand]) for of_strand in parts)

        def find(gene: tuple[Array, Array, Array]) -> Changes:
            low, high, negative = gene
            strand = negative.astype(jnp.int32)
            start, end = starts[strand], ends[strand]
            inside = valid[strand] & (start > low) & (end < high)
            overlapping = valid[strand] & (start < high) & (end > low)
            scores = change[strand]
            index = jnp.argmax(jnp.where(inside[:, None], scores, -1), axis=0)
            earliest = jnp.where(inside.any(), jnp.argmax(inside), -1)
            return Changes(scores[index], index, start[index], end[index], earliest, overlapping.any())

        genes = tuple(jnp.asarray(part) for part in (masks.start, masks.end, masks.negative))
        return jax.lax.map(find, genes)

    def rows(
        self, scores: Changes, items: Items, tables: Mapping[str, xr.Dataset]
    ) -> tuple[Float[np.ndarray, "item track"], Mapping[str, np.ndarray]]:
        """Rows in the reference's order: genes by their first junction, '+' first; junctions by tissue, once each."""
        genes, offset = items.table, items.notes
        found = np.flatnonzero(scores.earliest[: items.count] >= 0)
        if self.parity is Parity.UPSTREAM and not len(found) and scores.overlapped[: items.count].any():
            raise ValueError(
                f"{self.name}: junctions overlap genes, but none lies inside one: the reference refuses that; score "
                f"with parity {Parity.FIXED}"
            )
        order = sorted(
            found,
            key=lambda gene: (
                genes["gene_strand"][gene] == "-",
                scores.earliest[gene],
                genes["gene_start"][gene],
                -genes["gene_end"][gene],
            ),
        )
        # Position of each junction's first tissue, in the order of tissues.
        winners = [np.sort(np.unique(scores.index[gene], return_index=True)[1]) for gene in order]
        gene = np.repeat(np.array(order, np.int64), [len(rows) for rows in winners])
        winner = np.concatenate([*winners, np.zeros(0, np.int64)]).astype(np.int64)
        table = {key: values[gene] for key, values in genes.items()}
        table["junction_start"] = scores.start[gene, winner].astype(np.int64) + offset
        table["junction_end"] = scores.end[gene, winner].astype(np.int64) + offset
        return np.asarray(scores.scores)[gene, winner].astype(np.float32), table


def unstack(
    counts: Float[np.ndarray, "donor acceptor strand track"], positions: Int[np.ndarray, "4 site"], offset: int = 0
) -> tuple[Float[np.ndarray, "junction track"], dict[str, np.ndarray]]:
    """On the host: counts of the junctions that exist, with `start`, `end` (0-based half-open introns) and `strand`.

    '+' before '-', and within a strand by donor, then acceptor. `offset` is the interval's start. Source:
    spec/scoring.md 1.11.
    """
    values, columns = [], {"start": [], "end": [], "strand": []}
    for number, strand in enumerate(CLASSES):
        start, end, valid = (np.asarray(part) for part in pairs(positions, strand, np.asarray(1 - offset)))
        values.append(counts[:, :, number][valid])
        for key, column in (("start", start[valid] + offset), ("end", end[valid] + offset)):
            columns[key].append(column.astype(np.int64))
        columns["strand"].append(np.full(int(valid.sum()), strand, object))
    return np.concatenate(values), {key: np.concatenate(parts) for key, parts in columns.items()}
