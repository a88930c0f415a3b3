"""What scoring hands on: one `Result` for each alternate allele, in input order."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import xarray as xr
from ag_core.interfaces import AbstractIntervalScorer, AbstractScorer
from ag_data.variants import Call
from jaxtyping import Float


@dataclasses.dataclass(frozen=True)
class ScorerResult:
    """One scorer's numbers for one allele.

    - `key`: short name, unique within a run ("CHIP_TF", or the scorer's own `name`).
    - `values`: NaN where a score does not apply (a track on the other strand than the gene).
    - `table`: coordinates of the items (`gene_id`, `gene_name`, `gene_strand`, ...), empty for the single item of
      a scorer without genes; columns are as long as `values` has rows.
    - `tracks`: table of the selected tracks (no padding), with attrs `modality`.
    - `quantiles`, `tails`: where the score lies among those of common variants, and how far out; None without a
      calibration. As `values`, NaN where there is no score.
    - `ref`, `alt`: what the scorer makes of each allele by itself; None unless asked for, or if it has no such thing.
    """

    key: str
    scorer: AbstractScorer | AbstractIntervalScorer
    values: Float[np.ndarray, "item track"]
    table: Mapping[str, np.ndarray]
    tracks: xr.Dataset
    quantiles: Float[np.ndarray, "item track"] | None = None
    tails: Float[np.ndarray, "item track"] | None = None
    ref: Float[np.ndarray, "item track"] | None = None
    alt: Float[np.ndarray, "item track"] | None = None


@dataclasses.dataclass(frozen=True)
class Result:
    """An allele with its final status; `scores` is empty unless that is `scored`."""

    call: Call
    scores: tuple[ScorerResult, ...] = ()
