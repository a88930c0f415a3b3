"""What kind of effect a variant has: local regulation, expression only, or both (multimodal); splicing besides.

Each kind is an axis: the most unusual score that a variant has there, as -log10 of the odds of such a score among
common variants (`tail`). What counts as an effect is what 1 % of common variants exceed on that axis: of a scored
background, or, without one, by Bonferroni's rule over the axis' tracks, which is stricter. Source: spec/scoring.md
2.11, paper Fig. 6f.
"""

import enum
from collections.abc import Mapping

import numpy as np
import pandas as pd
from ag_core.errors import InputError

AXES: Mapping[str, tuple[str, ...]] = {
    "local": ("ATAC", "DNASE", "CHIP_TF", "CHIP_HISTONE"),
    "expression": ("RNA_SEQ", "CAGE", "PROCAP"),
    "splicing": ("SPLICE_SITES", "SPLICE_SITE_USAGE", "SPLICE_JUNCTIONS"),
}
COMMON = 0.01  # share of common variants that exceed a threshold
_FEWEST = 100


class Mechanism(enum.StrEnum):
    """Classes of variants by the axes on which they exceed common ones."""

    NONE = "none"
    LOCAL = "local regulation"
    EXPRESSION = "expression only"
    MULTIMODAL = "multimodal"
    SPLICING = "splicing only"


def mechanisms(scores: pd.DataFrame, background: pd.DataFrame | None = None) -> pd.DataFrame:
    """Variants in order, with the height of each axis (1 is the threshold), which are exceeded, and `mechanism`.

    `scores` and `background` are tables of `agenome score` with the column `tail`. Raises InputError for a table
    without it, and for a background of fewer than 100 variants or without an axis that the scores have.
    """
    heights = _heights(scores, "the scores")
    limits = _bonferroni(scores) if background is None else _limits(_heights(background, "the background"), heights)
    for axis in heights:
        heights[axis] = heights[axis] / limits[axis]
    over = heights >= 1
    local, expressed, spliced = (over[axis].to_numpy() if axis in over else np.zeros(len(over), bool) for axis in AXES)
    kind = np.select(
        [local & expressed, local, expressed, spliced],
        [Mechanism.MULTIMODAL.value, Mechanism.LOCAL.value, Mechanism.EXPRESSION.value, Mechanism.SPLICING.value],
        Mechanism.NONE.value,
    )
    return heights.assign(splices=spliced, mechanism=kind).reset_index()


def _axis_of(scores: pd.DataFrame) -> pd.Series:
    outputs = {output: axis for axis, outputs in AXES.items() for output in outputs}
    return scores["output"].astype(str).str.upper().map(outputs)


def _heights(scores: pd.DataFrame, what: str) -> pd.DataFrame:
    """The largest tail of each variant on each axis; a variant without a score on an axis has 0 there."""
    if missing := {"variant", "output", "tail"} - set(scores.columns):
        raise InputError(f"{what} lack {', '.join(sorted(missing))}; make them with `agenome score` and a calibration")
    axis = _axis_of(scores)
    table = pd.DataFrame({"variant": scores["variant"].astype(str), "axis": axis, "tail": scores["tail"]})
    heights = table[axis.notna()].pivot_table("tail", "variant", "axis", aggfunc="max", observed=True)
    heights = heights.reindex(table["variant"].unique()).fillna(0.0)
    heights.columns.name = None
    return heights.reindex(columns=[name for name in AXES if name in heights])


def _limits(background: pd.DataFrame, heights: pd.DataFrame) -> dict[str, float]:
    if len(background) < _FEWEST:
        raise InputError(f"{len(background)} variants in the background; expected {_FEWEST} or more common ones")
    if missing := [axis for axis in heights if axis not in background]:
        raise InputError(f"the background has no scores of {', '.join(missing)}; score it with the same scorers")
    return {axis: max(float(np.quantile(background[axis], 1 - COMMON)), 1e-6) for axis in heights}


def _bonferroni(scores: pd.DataFrame) -> dict[str, float]:
    """Thresholds for the largest of so many scores as a variant has on an axis, as if they were independent."""
    axis = _axis_of(scores)
    counts = scores.assign(axis=axis)[axis.notna()].groupby(["axis", "variant"], observed=True).size()
    return {str(name): float(-np.log10(COMMON / part.max())) for name, part in counts.groupby(level="axis")}
