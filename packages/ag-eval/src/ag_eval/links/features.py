"""All that is said of a table's pairs: a model's scores, baselines, and the table's own features."""

import collections
import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from ag_core.checkpoint import Checkpoint
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_data import Fasta
from ag_data.annotation import read_gtf
from rich.console import Console
from rich.progress import track as show_progress

from ag_eval.links.attribution import LinkScorer, LinkStatus, Pair
from ag_eval.links.settings import Links
from ag_eval.links.table import baselines, read_links


@dataclasses.dataclass(frozen=True)
class LinkFeatures:
    """By row: the model's `scores` (NaN out of reach), `baselines`, and `features`, the table's beside the scores.

    A row is `in_reach` when every score was made. `statuses` counts them, of all scores.
    """

    rows: Any
    scores: Mapping[str, np.ndarray]
    baselines: Mapping[str, np.ndarray]
    features: Any
    in_reach: np.ndarray
    statuses: Mapping[str, int]


def link_features(model: Checkpoint, own: Links, data: Mapping[str, Any]) -> LinkFeatures:
    """Data: `table`, `fasta`; `gtf` for exons and strands. Raises InputError for data that do not fit."""
    rows, fasta = read_links(data["table"], own.data), Fasta(data["fasta"])
    genes = None if data.get("gtf") is None else read_gtf(data["gtf"])
    pairs = [_pair(row) for row in rows.itertuples()]
    scores, counted, in_reach = {}, collections.Counter(), np.ones(len(rows), bool)
    for name, score in own.scores.items():
        scorer = LinkScorer(model, fasta, score, genes)
        bar = show_progress(pairs, f"{own.name}, {name}", console=Console(stderr=True), transient=True)
        found = [scorer.score(pair) for pair in bar]
        scores[name] = np.array([value for value, _ in found], np.float64)
        in_reach &= ~np.isnan(scores[name])
        prefix = f"{name}: " if len(own.scores) > 1 else ""
        counted.update(f"{prefix}{status.value}" for _, status in found)
        _check_contigs([status for _, status in found], fasta.path)
    features = _table_features(rows)
    for name, values in scores.items():
        features[f"model {name}"] = values
    return LinkFeatures(rows, scores, baselines(rows), features, in_reach, counted)


def _pair(row: Any) -> Pair:
    strand = str(getattr(row, "strand", "."))
    element = Interval(str(row.chromosome), int(row.start), int(row.end))
    return Pair(element, int(row.tss), str(row.gene), strand if strand in ("+", "-") else ".")


def _check_contigs(statuses: list[LinkStatus], path: str | os.PathLike[str]) -> None:
    # What is out of reach is not looked up.
    seen = {status for status in statuses if status is not LinkStatus.OUT_OF_REACH}
    if seen and LinkStatus.SCORED not in seen and seen <= {LinkStatus.UNKNOWN_CONTIG, LinkStatus.NO_SEQUENCE}:
        found = ", ".join(sorted(seen))
        raise InputError(f"no pair within the model's reach lies on {path} ({found}); give the genome of the table")


def _table_features(rows: Any) -> pd.DataFrame:
    """The table's own, as numbers; those that are never negative as ln(1 + x), since they span decades."""
    features = {}
    for name in (str(name) for name in rows if str(name).startswith("feature ")):
        column: Any = rows[name]
        numbers: Any = pd.to_numeric(column, errors="coerce")
        if (wrong := numbers.isna() & column.notna()).any():
            raise InputError(f"{name} {column[wrong].iloc[0]!r} is no number; leave the column out of data.features")
        values = numbers.to_numpy(np.float64)
        features[f"table {name.removeprefix('feature ')}"] = np.log1p(values) if not (values < 0).any() else values
    return pd.DataFrame(features, index=rows.index, dtype=np.float64)
