"""One number for all that a variant does to splicing: site, usage and junction scores added up."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from ag_core.genome import Interval, Variant
from ag_core.interfaces import AbstractHead, AbstractScorer, Items, Predictions
from ag_core.layout import Layout
from ag_core.schema import track_table
from jaxtyping import Array, Float, Int, PyTree

from ag_scorers.junctions import SpliceJunctionScorer
from ag_scorers.splicing import GeneMaskSplicingScorer

# Scorer and its weight.
PARTS: tuple[tuple[AbstractScorer, float], ...] = (
    (GeneMaskSplicingScorer("splice_sites"), 1.0),
    (GeneMaskSplicingScorer("splice_site_usage"), 1.0),
    (SpliceJunctionScorer(), 0.2),
)


class CompositeSplicingScorer(AbstractScorer):
    """max SPLICE_SITES + max SPLICE_SITE_USAGE + max SPLICE_JUNCTIONS / 5, over genes and (wanted) tracks. One item.

    From 0 to about 6; above 1 is large. A part without genes or junctions counts 0. Source: spec/scoring.md 2.12.
    """

    modality: ClassVar[str] = "splicing"
    requires: ClassVar[tuple[str, ...]] = ("genes",)
    signed: ClassVar[bool] = False
    name: ClassVar[str] = "CompositeSplicingScorer()"

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those of the three parts."""
        return tuple(scorer.modality for scorer, _ in PARTS)

    def items(self, interval: Interval, variant: Variant, resolution: int, resources: Mapping[str, Any]) -> Items:
        """One item without coordinates; the masks are those of the parts, whose items are the notes."""
        parts = tuple(scorer.items(interval, variant, 1, resources) for scorer, _ in PARTS)
        return Items(tuple(part.masks for part in parts), {}, parts)

    def spans(self, items: Items) -> list[tuple[int, int]]:
        """Those of the parts; junctions read no tracks."""
        declared = (scorer.spans(part) for (scorer, _), part in zip(PARTS, items.notes, strict=True))
        return [span for spans in declared for span in spans or ()]

    def restrict(self, masks: tuple[PyTree[np.ndarray], ...], layouts: Mapping[str, Layout]) -> tuple[Any, ...]:
        """Those of the parts."""
        return tuple(scorer.restrict(part, layouts) for (scorer, _), part in zip(PARTS, masks, strict=True))

    def read(
        self,
        heads: Mapping[str, AbstractHead],
        predictions: Mapping[str, Predictions],
        tracks: Mapping[str, Int[Array | np.ndarray, " _"]],
    ) -> tuple[PyTree[Array], ...]:
        """What each part reads."""
        return tuple(scorer.read(heads, predictions, tracks) for scorer, _ in PARTS)

    def score(self, ref: PyTree[Array], alt: PyTree[Array], masks: PyTree[Array]) -> tuple[PyTree[Array], ...]:
        """Scores of each part."""
        return tuple(part.score(*given) for (part, _), *given in zip(PARTS, ref, alt, masks, strict=True))

    def rows(
        self, scores: PyTree[np.ndarray], items: Items, tables: Mapping[str, xr.Dataset]
    ) -> tuple[Float[np.ndarray, "item track"], Mapping[str, np.ndarray]]:
        """The weighted sum of the largest scores."""
        total = 0.0
        for (scorer, weight), values, part in zip(PARTS, scores, items.notes, strict=True):
            found = scorer.rows(values, part, tables)[0]
            total += weight * float(np.max(found, initial=0, where=~np.isnan(found)))
        return np.full((1, 1), total, np.float32), {}

    def tracks(self, tables: Mapping[str, xr.Dataset]) -> xr.Dataset:
        """A single one, called "splicing"."""
        return track_table({"name": ["splicing"], "strand": ["."]}).assign_attrs(modality=self.modality)
