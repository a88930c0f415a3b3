"""A scorer: the largest change of a track near the variant."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from ag_core.interfaces import AbstractScorer, Items


class MaxAbsDiffScorer(AbstractScorer):
    """max |ALT - REF| over the bins within 128 bp of the variant's first base; indels are not aligned."""

    modality: str = eqx.field(static=True)
    signed: ClassVar[bool] = False
    requires: ClassVar[tuple[str, ...]] = ()

    @property
    def name(self):
        return f"MaxAbsDiffScorer(modality={self.modality})"

    def items(self, interval, variant, resolution, resources):
        near = variant.start - interval.start + np.arange(-128, 129, min(resolution, 128))
        rows = np.clip(near // resolution, 0, interval.width // resolution - 1)  # a row read twice does no harm
        return Items(rows.astype(np.int32), {})

    def score(self, ref, alt, masks):
        return jnp.max(jnp.abs(alt[masks] - ref[masks]), axis=0)[None]
