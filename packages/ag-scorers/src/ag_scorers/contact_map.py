"""Scores a variant by the contacts of the bin it lies in."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from ag_core.genome import Interval, Variant
from ag_core.interfaces import AbstractScorer, Items
from jaxtyping import Array, Float, Int

from ag_scorers.center_mask import check_modality


class ContactMapScorer(AbstractScorer):
    """Mean |ALT - REF| over the contacts of the variant's bin with all bins, its own included. One item.

    Indels are not aligned; only the variant's first base chooses the bin. Source: spec/scoring.md 2.3.
    """

    modality: str = eqx.field(static=True, default="contact_maps", converter=check_modality)
    requires: ClassVar[tuple[str, ...]] = ()
    signed: ClassVar[bool] = False
    name: ClassVar[str] = "ContactMapScorer()"

    def items(self, interval: Interval, variant: Variant, resolution: int, resources: Mapping[str, Any]) -> Items:
        """One item without coordinates; the mask is the variant's bin. Raises ValueError for one outside."""
        offset, bins = variant.start - interval.start, interval.width // resolution
        if variant.chromosome != interval.chromosome or not 0 <= offset < bins * resolution:
            raise ValueError(f"{self.name}: {variant} lies in none of the {bins} bins of {interval}; move the interval")
        return Items(np.asarray(offset // resolution, np.int32), {})

    def score(
        self,
        ref: Float[Array | np.ndarray, "row column track"],
        alt: Float[Array | np.ndarray, "row column track"],
        masks: Int[Array | np.ndarray, ""],
    ) -> Float[Array, "item track"]:
        """One row of scores; reads one column of the maps."""
        ref, alt = (jnp.take(jnp.asarray(values), masks, axis=1) for values in (ref, alt))
        return jnp.mean(jnp.abs(alt - ref), axis=0)[None]
