"""Scores an interval by the predicted signal over the exons of its genes; no variant involved."""

import enum
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from ag_core.genome import Interval
from ag_core.interfaces import AbstractIntervalScorer, Items
from jaxtyping import Array, Bool, Float

from ag_scorers.align import masked_sum
from ag_scorers.center_mask import WIDTHS, check_modality
from ag_scorers.gene_mask import genes_of, pad_genes
from ag_scorers.parity import Parity, read_parity


class Summary(enum.StrEnum):
    """How the values over a gene's exons become one number."""

    MEAN = "mean"
    SUM = "sum"


class GeneMaskScorer(AbstractIntervalScorer):
    """Mean or sum over each gene's exons. One item for each gene with a transcription start in the target.

    - `width`: the target, in bp around the interval's centre; one of `center_mask.WIDTHS`, None for the whole interval.
    - `aggregation`: a `Summary` or its name.

    At coarser resolutions a bin counts as a whole if an exon touches it. A gene without exon bases is left out; with
    `parity="upstream"` its sum is 0 and its mean NaN, as in the reference. Tracks of both strands are scored. Source:
    spec/scoring.md 3.1.
    """

    modality: str = eqx.field(static=True)
    width: int | None = eqx.field(static=True)
    aggregation: Summary = eqx.field(static=True)
    parity: Parity = eqx.field(static=True)
    requires: ClassVar[tuple[str, ...]] = ("genes",)

    def __init__(
        self,
        modality: str,
        width: int | None = None,
        aggregation: Summary | str = Summary.MEAN,
        parity: Parity | str | bool = Parity.FIXED,
    ):
        if width not in WIDTHS:
            raise ValueError(f"width {width!r} bp; expected one of {WIDTHS}, None for the whole interval")
        if str(aggregation).lower() not in list(Summary):
            raise ValueError(f"aggregation {aggregation!r}; expected one of {', '.join(Summary)}")
        self.modality, self.width, self.parity = check_modality(modality), width, read_parity(parity)
        self.aggregation = Summary(str(aggregation).lower())

    @property
    def name(self) -> str:
        """The reference's text form."""
        return (
            f"GeneMaskScorer(requested_output={self.modality.upper()}, width={self.width}, "
            f"aggregation_type={self.aggregation.name})"
        )

    def items(self, interval: Interval, resolution: int, resources: Mapping[str, Any]) -> Items:
        """One item a gene; the mask is [bin, gene]. Raises ValueError on '-' and for a target beyond the interval."""
        if interval.negative_strand:
            raise ValueError(f"{self.name}: {interval} is on '-'; score the unstranded interval")
        if self.width is not None and self.width > interval.width:
            raise ValueError(f"{self.name}: width exceeds {interval} with {interval.width} bp; use a smaller one")
        target = interval if self.width is None else interval.resize(self.width)
        inside, table = genes_of(self.name, resources).exon_masks(target)
        whole = np.zeros((interval.width, inside.shape[1]), bool)
        whole[target.start - interval.start : target.end - interval.start] = inside
        mask = np.any(whole.reshape(interval.width // resolution, resolution, inside.shape[1]), axis=1, keepdims=True)
        mask = mask[:, 0]
        if self.parity is Parity.FIXED:
            kept = np.any(mask, axis=0)
            mask, table = mask[:, kept], {key: values[kept] for key, values in table.items()}
        return Items(pad_genes(self.name, mask, interval), table)

    def score(
        self,
        values: Float[Array | np.ndarray, "position track"],
        masks: Bool[Array | np.ndarray, "position gene"],
    ) -> Float[Array, "item track"]:
        """Scores of all genes, padding included."""
        total = masked_sum(masks, values)
        if self.aggregation is Summary.SUM:
            return total
        return total / jnp.sum(jnp.asarray(masks), axis=0, dtype=jnp.float32)[:, None]
