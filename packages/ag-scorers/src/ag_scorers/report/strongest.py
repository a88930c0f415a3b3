"""Of a variant's many scores, those worth telling: the most unusual tracks of each scorer."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ag_scorers.results import ScorerResult


@dataclasses.dataclass(frozen=True)
class Effect:
    """One score: of which scorer, track and gene, how unusual (None without a calibration), and both alleles' levels.

    `quantile` is -1 to 1 for signed scorers, 0 to 1 for others; `tail` is -log10 of the odds among common variants.
    """

    key: str
    modality: str
    signed: bool
    track: str
    strand: str
    about: str
    gene: str
    score: float
    quantile: float | None
    tail: float | None
    ref: float | None
    alt: float | None

    @property
    def unusual(self) -> float:
        """To sort by."""
        return self.tail if self.tail is not None else abs(self.score)


def tells_change(result: ScorerResult) -> bool:
    """Whether a score is a change; the level of the stronger allele ("active" scorers) is none."""
    return "active" not in result.scorer.name.lower()


def strongest(scores: Iterable[ScorerResult], most: int = 4) -> dict[str, list[Effect]]:
    """For each scorer of changes its `most` most unusual effects, at most two of one gene and biosample, in order."""
    found = {}
    for result in filter(tells_change, scores):
        sizes = np.abs(result.values) if result.tails is None else result.tails
        flat = np.nan_to_num(np.where(np.isnan(result.values), -1, sizes), nan=-1).ravel()
        order = np.lexsort((-np.nan_to_num(np.abs(result.values)).ravel(), -flat))
        chosen: list[Effect] = []
        seen: dict[tuple[str, str], int] = {}
        for index in order:
            if flat[index] < 0 or len(chosen) == most:
                break
            effect = _effect(result, *divmod(int(index), result.values.shape[1]))
            key = effect.gene, effect.about
            seen[key] = seen.get(key, 0) + 1
            if seen[key] <= 2:
                chosen.append(effect)
        if chosen:
            found[result.key] = chosen
    return found


def most_unusual(effects: Mapping[str, Sequence[Effect]]) -> Effect | None:
    """The most unusual of all; of equals the one that stands first."""
    return max((own[0] for own in effects.values()), key=lambda effect: effect.unusual, default=None)


def count_beyond(scores: Iterable[ScorerResult], quantile: float = 0.99) -> tuple[int, int]:
    """How many scores of changes are more unusual than `quantile` of common variants', and how many there are."""
    beyond = total = 0
    for result in filter(tells_change, scores):
        if result.tails is not None:
            known = np.isfinite(result.tails)
            total += int(known.sum())
            beyond += int((result.tails[known] > -np.log10(1 - quantile)).sum())
    return beyond, total


def _effect(result: ScorerResult, item: int, track: int) -> Effect:
    tracks = result.tracks

    def column(name: str) -> str:
        value = tracks[name].values[track] if name in tracks else ""
        return "" if value is None or value != value else str(value)

    def number(array: np.ndarray | None) -> float | None:
        return None if array is None or np.isnan(array[item, track]) else float(array[item, track])

    parts = [column("transcription_factor"), column("histone_mark"), column("biosample_name")]
    gene = ""
    for name in ("gene_name", "gene_id"):
        if not gene and name in result.table:
            gene = str(result.table[name][item] or "")
    if "junction_start" in result.table:
        gene += f" {int(result.table['junction_start'][item]) + 1:,}-{int(result.table['junction_end'][item]):,}"
    return Effect(
        result.key,
        result.scorer.modality,
        result.scorer.signed,
        column("name"),
        column("strand"),
        " ".join(dict.fromkeys(part for part in parts if part)) or column("name"),
        gene,
        float(result.values[item, track]),
        number(result.quantiles),
        number(result.tails),
        number(result.ref),
        number(result.alt),
    )
