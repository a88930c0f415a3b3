"""Scores a variant by what happens to each gene: means over its exons, as log fold change or larger allele.

Genes are those with a transcription start in the interval (`resources["genes"].exon_masks`); the variant plays no
part in choosing them. ALT is aligned to REF, so an indel does not shift exons against their masks.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr
from ag_core.genome import Interval, Variant
from ag_core.interfaces import AbstractScorer, Items
from ag_core.layout import Layout
from jaxtyping import Array, Bool, Float

from ag_scorers.align import (
    Alignment,
    PlacedAlignment,
    align_alternate,
    aligned_spans,
    aligned_sum,
    alignment,
    masked_sum,
    place_alignment,
    runs,
)
from ag_scorers.center_mask import check_modality
from ag_scorers.parity import Parity, read_parity

# Genes are padded up to one of these, so that jit compiles at most so many programs.
BUCKETS = (1, 4, 16, 64, 256)
PSEUDOCOUNT = 0.001


class GeneMasks(NamedTuple):
    """Rows of each gene's exons (padded with empty genes to one of `BUCKETS`), and how to align ALT."""

    exons: Bool[Array | np.ndarray, "position gene"]
    alignment: Alignment | PlacedAlignment


def genes_of(name: str, resources: Mapping[str, Any]) -> Any:
    """The annotation among the resources; ValueError without one."""
    if "genes" not in resources:
        raise ValueError(f"{name}: needs the resource 'genes', an annotation, but got {sorted(resources) or 'none'}")
    return resources["genes"]


def check_base_pairs(name: str, resolution: int) -> None:
    """ValueError for resolutions other than 1."""
    if resolution != 1:
        raise ValueError(f"{name}: predictions are at {resolution} bp, but exons need 1 bp; use center_mask")


def pad_genes(
    name: str, mask: Bool[np.ndarray, "position gene"], interval: Interval
) -> Bool[np.ndarray, "position bucket"]:
    """A mask with empty genes added up to the next of `BUCKETS`; ValueError for more genes than the largest."""
    count = mask.shape[1]
    bucket = next((size for size in BUCKETS if size >= count), None)
    if bucket is None:
        raise ValueError(
            f"{name}: {count} genes start in {interval}; expected at most {BUCKETS[-1]}, use a shorter interval"
        )
    # Gene by gene in memory, as annotations lay them out: at 1 Mb this is many times faster than row by row.
    padded = np.zeros((bucket, mask.shape[0]), bool).T
    padded[:, :count] = mask
    return padded


def gene_items(
    name: str, interval: Interval, variant: Variant, resolution: int, resources: Mapping[str, Any], parity: Parity
) -> Items:
    """Masks and table of the genes of an interval; unless `parity` is upstream, of those with exon bases in it.

    ValueError for resolutions other than 1 and too many genes.
    """
    check_base_pairs(name, resolution)
    exons, table = genes_of(name, resources).exon_masks(interval)
    if parity is Parity.FIXED:
        kept = np.any(exons, axis=0)
        exons, table = exons[:, kept], {key: values[kept] for key, values in table.items()}
    padded = pad_genes(name, exons, interval)
    return Items(GeneMasks(padded, alignment(interval, variant, len(padded))), table)


def exon_means(
    ref: Float[Array | np.ndarray, "position track"],
    alt: Float[Array | np.ndarray, "position track"],
    masks: GeneMasks,
) -> tuple[Float[Array, "gene track"], Float[Array, "gene track"]]:
    """Means over each gene's exons, of REF and of ALT in REF's frame; NaN for a gene without any (padding)."""
    count = jnp.sum(masks.exons, axis=0, dtype=jnp.float32)[:, None]
    if isinstance(masks.alignment, PlacedAlignment):  # few rows
        aligned = align_alternate(alt, masks.alignment)
        return masked_sum(masks.exons, ref) / count, masked_sum(masks.exons, aligned) / count
    return masked_sum(masks.exons, ref) / count, aligned_sum(masks.exons, alt, masks.alignment) / count


def restrict_exons(masks: GeneMasks, layout: Layout) -> GeneMasks:
    """Masks for predictions of which only some rows are there."""
    exons = layout.take(masks.exons, False)
    return GeneMasks(exons, place_alignment(masks.alignment, layout, exons.any(axis=1)))


def blank_other_strand(
    scores: Float[np.ndarray, "item track"], items: Items, tracks: xr.Dataset
) -> Float[np.ndarray, "item track"]:
    """NaN where a stranded track is not on the gene's strand."""
    gene, track = np.asarray(items.table["gene_strand"])[:, None], tracks["strand"].values[None]
    return np.where((gene != track) & (track != "."), np.float32(np.nan), scores)


class GeneMaskLFCScorer(AbstractScorer):
    """Log fold change of each gene: ln(0.001 + mean ALT) - ln(0.001 + mean REF) over its exons. One item a gene.

    Natural logarithm: divide by ln 2 to compare with log2 fold changes. A gene whose exons have no base in the
    interval is left out; with `parity="upstream"` it scores NaN, as in the reference (spec/scoring.md 1.12, item 10).
    Tracks on the strand opposite to the gene score NaN. `modality` needs 1 bp resolution.
    """

    modality: str = eqx.field(static=True, converter=check_modality)
    parity: Parity = eqx.field(static=True, default=Parity.FIXED, converter=read_parity)
    requires: ClassVar[tuple[str, ...]] = ("genes",)
    signed: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """The reference's text form, which calibration tables use as their key."""
        return f"GeneMaskLFCScorer(requested_output={self.modality.upper()})"

    def items(self, interval: Interval, variant: Variant, resolution: int, resources: Mapping[str, Any]) -> Items:
        """One item a gene; the masks are `GeneMasks`. Raises ValueError unless `resolution` is 1."""
        return gene_items(self.name, interval, variant, resolution, resources, self.parity)

    def spans(self, items: Items) -> list[tuple[int, int]]:
        """The exons, and where they are in ALT."""
        return aligned_spans(runs(items.masks.exons.any(axis=1)), items.masks.alignment)

    def restrict(self, masks: GeneMasks, layouts: Mapping[str, Layout]) -> GeneMasks:
        """The exons, where they lie now."""
        return restrict_exons(masks, layouts[self.modality])

    def alleles(
        self,
        ref: Float[Array | np.ndarray, "position track"],
        alt: Float[Array | np.ndarray, "position track"],
        masks: GeneMasks,
    ) -> tuple[Float[Array, "item track"], Float[Array, "item track"]]:
        """Means over exons."""
        return exon_means(ref, alt, masks)

    def score(
        self,
        ref: Float[Array | np.ndarray, "position track"],
        alt: Float[Array | np.ndarray, "position track"],
        masks: GeneMasks,
    ) -> Float[Array, "item track"]:
        """Scores of all genes, padding included, on tracks of both strands."""
        mean_ref, mean_alt = exon_means(ref, alt, masks)
        return jnp.log(mean_alt + PSEUDOCOUNT) - jnp.log(mean_ref + PSEUDOCOUNT)

    def finish(
        self, scores: Float[np.ndarray, "item track"], items: Items, tracks: xr.Dataset
    ) -> Float[np.ndarray, "item track"]:
        """NaN where a stranded track is not on the gene's strand."""
        return blank_other_strand(scores, items, tracks)


class GeneMaskActiveScorer(AbstractScorer):
    """Activity of each gene: the larger of the two alleles' means over its exons. One item a gene.

    Genes without exon bases, tracks of the other strand, `parity` and resolution as for `GeneMaskLFCScorer`.
    """

    modality: str = eqx.field(static=True, converter=check_modality)
    parity: Parity = eqx.field(static=True, default=Parity.FIXED, converter=read_parity)
    requires: ClassVar[tuple[str, ...]] = ("genes",)
    signed: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The reference's text form, which calibration tables use as their key."""
        return f"GeneMaskActiveScorer(requested_output={self.modality.upper()})"

    def items(self, interval: Interval, variant: Variant, resolution: int, resources: Mapping[str, Any]) -> Items:
        """One item a gene; the masks are `GeneMasks`. Raises ValueError unless `resolution` is 1."""
        return gene_items(self.name, interval, variant, resolution, resources, self.parity)

    def spans(self, items: Items) -> list[tuple[int, int]]:
        """The exons, and where they are in ALT."""
        return aligned_spans(runs(items.masks.exons.any(axis=1)), items.masks.alignment)

    def restrict(self, masks: GeneMasks, layouts: Mapping[str, Layout]) -> GeneMasks:
        """The exons, where they lie now."""
        return restrict_exons(masks, layouts[self.modality])

    def alleles(
        self,
        ref: Float[Array | np.ndarray, "position track"],
        alt: Float[Array | np.ndarray, "position track"],
        masks: GeneMasks,
    ) -> tuple[Float[Array, "item track"], Float[Array, "item track"]]:
        """Means over exons."""
        return exon_means(ref, alt, masks)

    def score(
        self,
        ref: Float[Array | np.ndarray, "position track"],
        alt: Float[Array | np.ndarray, "position track"],
        masks: GeneMasks,
    ) -> Float[Array, "item track"]:
        """Scores of all genes, padding included, on tracks of both strands."""
        return jnp.maximum(*exon_means(ref, alt, masks))

    def finish(
        self, scores: Float[np.ndarray, "item track"], items: Items, tracks: xr.Dataset
    ) -> Float[np.ndarray, "item track"]:
        """NaN where a stranded track is not on the gene's strand."""
        return blank_other_strand(scores, items, tracks)
