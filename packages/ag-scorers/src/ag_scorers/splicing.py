"""Scores a variant by the largest change of a splicing track within each gene that the variant lies in."""

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
    alignment,
    place_alignment,
    runs,
)
from ag_scorers.center_mask import check_modality
from ag_scorers.gene_mask import blank_other_strand, check_base_pairs, genes_of, pad_genes
from ag_scorers.parity import Parity, read_parity

WIDTHS = (None, 101, 1001, 10001)


class BodyMasks(NamedTuple):
    """Rows of each gene's body (padded with empty genes), and how to align ALT."""

    bodies: Bool[Array | np.ndarray, "position gene"]
    alignment: Alignment | PlacedAlignment


class GeneMaskSplicingScorer(AbstractScorer):
    """Largest |ALT - REF| over the body of each gene that overlaps the variant, ALT aligned to REF. One item a gene.

    - `modality`: at 1 bp resolution; meant for splice_sites and splice_site_usage.
    - `width`: bp around the variant's first base, one of `WIDTHS`; None takes the whole body.
    - `parity`: "upstream" accepts `width` and ignores it, as the reference does (spec/scoring.md 1.12, item 7).

    Tracks on the strand opposite to the gene score NaN. Source: spec/scoring.md 2.6.
    """

    modality: str = eqx.field(static=True)
    width: int | None = eqx.field(static=True)
    parity: Parity = eqx.field(static=True)
    requires: ClassVar[tuple[str, ...]] = ("genes",)
    signed: ClassVar[bool] = False

    def __init__(self, modality: str, width: int | None = None, parity: Parity | str | bool = Parity.FIXED):
        if width not in WIDTHS:
            raise ValueError(f"width {width!r} bp; expected one of {WIDTHS}, None for the whole gene")
        self.modality, self.width, self.parity = check_modality(modality), width, read_parity(parity)

    @property
    def name(self) -> str:
        """The reference's text form, which calibration tables use as their key."""
        return f"GeneMaskSplicingScorer(requested_output={self.modality.upper()}, width={self.width})"

    def items(self, interval: Interval, variant: Variant, resolution: int, resources: Mapping[str, Any]) -> Items:
        """One item a gene; the masks are `BodyMasks`. Raises ValueError unless `resolution` is 1."""
        check_base_pairs(self.name, resolution)
        bodies, table = genes_of(self.name, resources).body_masks(interval, variant)
        if self.width is not None and self.parity is Parity.FIXED:
            center = variant.start - interval.start
            bodies[: max(center - self.width // 2, 0)] = False
            bodies[max(center + self.width // 2 + 1, 0) :] = False
        padded = pad_genes(self.name, bodies, interval)
        return Items(BodyMasks(padded, alignment(interval, variant, len(padded))), table)

    def spans(self, items: Items) -> list[tuple[int, int]]:
        """The bodies, and where they are in ALT."""
        return aligned_spans(runs(items.masks.bodies.any(axis=1)), items.masks.alignment)

    def restrict(self, masks: BodyMasks, layouts: Mapping[str, Layout]) -> BodyMasks:
        """The bodies, where they lie now."""
        bodies = layouts[self.modality].take(masks.bodies, False)
        return BodyMasks(bodies, place_alignment(masks.alignment, layouts[self.modality], bodies.any(axis=1)))

    def score(
        self,
        ref: Float[Array | np.ndarray, "position track"],
        alt: Float[Array | np.ndarray, "position track"],
        masks: BodyMasks,
    ) -> Float[Array, "item track"]:
        """Scores of all genes, padding included, on tracks of both strands; 0 for a gene without rows."""
        change = jnp.abs(align_alternate(alt, masks.alignment) - jnp.asarray(ref))
        return jnp.max(jnp.where(jnp.asarray(masks.bodies).T[:, :, None], change[None], 0), axis=1)

    def finish(
        self, scores: Float[np.ndarray, "item track"], items: Items, tracks: xr.Dataset
    ) -> Float[np.ndarray, "item track"]:
        """NaN where a stranded track is not on the gene's strand."""
        return blank_other_strand(scores, items, tracks)
