"""The least that a predictor must beat: how many G and C a variant adds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ag_core.genome import Variant
from ag_core.interfaces import AbstractPeer
from jaxtyping import Float


class GcChange(AbstractPeer):
    """G and C of the alternate allele less those of the reference."""

    needs = ()
    signed = True
    citation = licence = ""

    def score(self, variants: Sequence[Variant], data: Mapping[str, Any]) -> Float[np.ndarray, " variant"]:
        """Never NaN."""
        return np.array([_gc(each.alternate_bases) - _gc(each.reference_bases) for each in variants], np.float64)


def _gc(bases: str) -> int:
    return bases.count("G") + bases.count("C")
