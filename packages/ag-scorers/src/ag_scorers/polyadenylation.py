"""Scores a variant by the use of each gene's polyadenylation sites (PAS), from RNA-seq coverage.

How strongly does the variant tip the balance between the sites before and after some point of the 3' end? Coverage
is read in 400 bp upstream of every site. After Borzoi's coverage ratio. Source: spec/scoring.md 2.8.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from ag_core.genome import Interval, Variant
from ag_core.interfaces import AbstractScorer, Items
from ag_core.layout import Layout
from jaxtyping import Array, Bool, Float, Int

from ag_scorers.align import Alignment, PlacedAlignment, aligned_rows, aligned_spans, alignment, place_alignment
from ag_scorers.center_mask import check_modality
from ag_scorers.gene_mask import check_base_pairs, genes_of
from ag_scorers.parity import Parity, read_parity

WINDOW = 400  # bp read upstream of a site
SHARE = 0.8  # of a gene's sites that must lie in the interval
GENES, SITES = 22, 136  # the reference's limits
GENE_BUCKETS = (1, 4, 16, 64, 256)
SITE_BUCKETS = (4, 16, 64, 256, 1024, 4096)


class SiteWindows(NamedTuple):
    """The window of each gene's sites in order (padded with invalid ones): first row, and which rows count."""

    start: Int[Array | np.ndarray, "gene site"]
    first: Int[Array | np.ndarray, "gene site"]  # rows from `start` that count: [first, last)
    last: Int[Array | np.ndarray, "gene site"]
    valid: Bool[Array | np.ndarray, "gene site"]
    alignment: Alignment | PlacedAlignment


class PolyadenylationScorer(AbstractScorer):
    """Largest log2 shift of the coverage ratio between a gene's proximal and distal sites. One item a gene.

    Genes that overlap the variant and of whose sites at least 80 %, and two, lie in the interval. Needs the resources
    "genes" and "polyadenylation" (`ag_data.PolyadenylationSites`). ALT is aligned to REF. Not blanked by strand.
    `parity="upstream"`: as the reference does, takes the sites in the table's order rather than by position
    (spec/scoring.md 1.12, item 4), on whatever chromosome, and refuses more than 22 genes or 136 sites.
    """

    modality: str = eqx.field(static=True, default="rna_seq", converter=check_modality)
    parity: Parity = eqx.field(static=True, default=Parity.FIXED, converter=read_parity)
    requires: ClassVar[tuple[str, ...]] = ("genes", "polyadenylation")
    signed: ClassVar[bool] = False
    name: ClassVar[str] = "PolyadenylationScorer()"

    def items(self, interval: Interval, variant: Variant, resolution: int, resources: Mapping[str, Any]) -> Items:
        """One item a gene, with `num_pas` and `min_pas_var_distance` (bp); the masks are `SiteWindows`.

        Raises ValueError unless `resolution` is 1, without a resource, and for too many genes or sites.
        """
        check_base_pairs(self.name, resolution)
        if "polyadenylation" not in resources:
            raise ValueError(f"{self.name}: needs the resource 'polyadenylation', a table of sites")
        genes = genes_of(self.name, resources).genes_at(variant)
        upstream = self.parity is Parity.UPSTREAM
        if upstream and len(genes["gene_id"]) > GENES:
            raise ValueError(f"{self.name}: {len(genes['gene_id'])} genes overlap {variant}; expected at most {GENES}")
        kept, sites = [], []
        for row, (gene_id, strand) in enumerate(zip(genes["gene_id"], genes["gene_strand"], strict=True)):
            chromosome = None if upstream else interval.chromosome
            starts = resources["polyadenylation"].sites_of(gene_id, strand, chromosome)
            right, left = starts >= interval.start, starts + 1 < interval.end
            found = starts[right & left]
            if len(found) >= 2 and right.mean() >= SHARE and left.mean() >= SHARE:
                kept.append(row)
                sites.append(found if upstream else np.sort(found))
        most = max(map(len, sites), default=0)
        if most > (SITES if upstream else SITE_BUCKETS[-1]):
            raise ValueError(f"{self.name}: a gene at {variant} has {most} sites; expected at most {SITES}")
        table: dict[str, np.ndarray] = {key: values[kept] for key, values in genes.items()}
        table["num_pas"] = np.array([len(found) for found in sites], np.int64)
        # The reference subtracts the 1-based position from 0-based starts.
        distances = [np.abs(found - variant.position).min() for found in sites]
        table["min_pas_var_distance"] = np.array(distances, np.int64)
        moves = alignment(interval, variant, interval.width)
        return Items(_windows(interval, sites, table["gene_strand"], moves), table, min(WINDOW, interval.width))

    def spans(self, items: Items) -> list[tuple[int, int]]:
        """The windows, and where they are in ALT."""
        starts = items.masks.start[items.masks.valid].tolist()
        return aligned_spans([(start, start + items.notes) for start in starts], items.masks.alignment)

    def restrict(self, masks: SiteWindows, layouts: Mapping[str, Layout]) -> SiteWindows:
        """The windows, where they lie now."""
        layout, start = layouts[self.modality], np.zeros_like(masks.start)
        start[masks.valid] = layout.places(masks.start[masks.valid])
        offsets = np.arange(min(WINDOW, layout.length))
        read = (offsets >= masks.first[..., None]) & (offsets < masks.last[..., None]) & masks.valid[..., None]
        wanted = np.zeros(layout.size, bool)
        wanted[(start[..., None] + offsets)[read]] = True
        return masks._replace(start=start, alignment=place_alignment(masks.alignment, layout, wanted))

    def score(
        self,
        ref: Float[Array | np.ndarray, "position track"],
        alt: Float[Array | np.ndarray, "position track"],
        masks: SiteWindows,
    ) -> Float[Array, "item track"]:
        """Scores of all genes, padding included; reads only the windows."""
        ref, alt = jnp.asarray(ref), jnp.asarray(alt)
        size = min(WINDOW, len(ref))

        def ratio(site: tuple[Array, ...]) -> Float[Array, " track"]:
            start, first, last = site
            offset = jnp.arange(size)
            inside = ((offset >= first) & (offset < last))[:, None]
            rows = jax.lax.dynamic_slice_in_dim(ref, start, size)
            moved = aligned_rows(alt, masks.alignment, start + offset)
            sums = [jnp.sum(jnp.where(inside, values, 0), axis=0) for values in (moved, rows)]
            return jnp.nan_to_num(sums[0] / sums[1], nan=0, posinf=0, neginf=0)

        flat = tuple(jnp.asarray(part).reshape(-1) for part in (masks.start, masks.first, masks.last))
        ratios = jax.lax.map(ratio, flat).reshape(*masks.start.shape, -1)
        return shift(jnp.where(jnp.asarray(masks.valid)[:, :, None], ratios, 0), jnp.asarray(masks.valid))


def shift(ratios: Float[Array, "gene site track"], valid: Bool[Array, "gene site"]) -> Float[Array, "gene track"]:
    """max over k of |log2 of mean ratio of the first k sites over that of the others|; 0 where undefined."""
    count = jnp.sum(valid, axis=1, dtype=jnp.float32)[:, None, None]
    before = jnp.cumsum(ratios, axis=1)[:, :-1]
    after = jnp.flip(jnp.cumsum(jnp.flip(ratios, 1), axis=1), 1)[:, 1:]
    k = jnp.arange(1, ratios.shape[1], dtype=jnp.float32)[None, :, None]
    score = jnp.abs(jnp.log2((count - k) / k * (before / after)))
    return jnp.max(jnp.where(jnp.isfinite(score) & (k < count), score, 0), axis=1)


def _windows(interval: Interval, sites: list[np.ndarray], strands: np.ndarray, moves: Alignment) -> SiteWindows:
    """The masks, in rows from the interval's genomic start.

    The reading window always has `WINDOW` rows; at an edge it moves inwards, and what sticks out does not count.
    """
    most = max(map(len, sites), default=0)
    shape = tuple(
        next(size for size in buckets if size >= count)
        for buckets, count in ((GENE_BUCKETS, len(sites)), (SITE_BUCKETS, most))
    )
    size = min(WINDOW, interval.width)
    low, high, valid = np.zeros(shape, np.int32), np.zeros(shape, np.int32), np.zeros(shape, bool)
    for gene, (found, strand) in enumerate(zip(sites, strands, strict=True)):
        place = found - interval.start - (0 if strand == "-" else WINDOW - 1)
        low[gene, : len(found)] = np.clip(place, 0, interval.width)
        high[gene, : len(found)] = np.clip(place + WINDOW, 0, interval.width)
        valid[gene, : len(found)] = True
    start = np.clip(low, 0, interval.width - size)
    return SiteWindows(start, low - start, high - start, valid, moves)
