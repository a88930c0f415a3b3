"""Features of variants from a model's scores: one column for each scorer, or for each track, and way to sum up."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from ag_scorers.results import Result, ScorerResult

from ag_eval.variants.evaluation import combine
from ag_eval.variants.settings import Evaluation

Over = Literal["mean", "mean_abs", "max_abs", "sum_of_max_abs"]
By = Literal["scorer", "track"]


def variant_features(
    results: Sequence[Result], own: Evaluation, genes: Iterable[str | None], *, by: By, over: Sequence[Over]
) -> pd.DataFrame:
    """A row for each result; columns such as "CHIP_TF max_abs", or "CHIP_TF K562 CTCF . mean" for each track.

    Scores of genes are those that `own.genes` says. NaN where a variant was not scored, or a score does not apply.
    """
    ways = {way: own.model_copy(update={"over": way}) for way in over}
    rows = []
    for result, gene in zip(results, genes, strict=True):
        row = {}
        for score in result.scores:
            for name, part in _parts(score, by):
                alone = Result(result.call, (part,))
                row |= {f"{name} {way}": combine(alone, copy, gene) for way, copy in ways.items()}
        rows.append(row)
    return pd.DataFrame(rows, index=range(len(rows)), dtype=np.float64)


def _parts(score: ScorerResult, by: By) -> Iterator[tuple[str, ScorerResult]]:
    if by == "scorer":
        yield score.key, score
        return
    seen: Counter[str] = Counter()
    table = score.tracks
    for column, (name, strand) in enumerate(zip(table["name"].values, table["strand"].values, strict=True)):
        text = f"{score.key} {name} {strand}"
        seen[text] += 1
        # Names of tracks need not be unique.
        yield (
            text if seen[text] == 1 else f"{text} {seen[text]}",
            dataclasses.replace(score, values=score.values[:, [column]]),
        )


def choose_features(features: pd.DataFrame, beginnings: Sequence[str]) -> pd.DataFrame:
    """The columns whose name begins with one of these words."""
    kept = [name for name in features if any(f"{name} ".startswith(f"{word} ") for word in beginnings)]
    return features.loc[:, kept]
