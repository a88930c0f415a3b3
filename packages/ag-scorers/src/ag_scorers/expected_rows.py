"""What the rows of an output would be now: found by what a row is of, whatever format it is from."""

import json
import math
import re
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from ag_scorers.annotated_vcf import gather_sets
from ag_scorers.dataset import plain_name
from ag_scorers.results import Result, ScorerResult
from ag_scorers.row_selection import TrackFilter, find_sets
from ag_scorers.sampled_rows import Kind, SampledRow
from ag_scorers.tidy import OPTIONAL, Tidy

# Numbers of a row. What it is of, in a table or array, and in a VCF, where `scorer` is the short name.
NUMBERS = ("score", "quantile", "tail", "ref_value", "alt_value")
_OF_TRACK = ("scorer", "gene", "junction_start", "junction_end", "track", "track_strand")
_OF_SET = ("scorer", "gene", "track_set")
# Relative difference that the five digits of a VCF explain.
PRINTED = 5e-5


class ExpectedRows:
    """Rows of one run by what they are of.

    - `templates`: as for `Tidy`; `results`: by `SampledRow.place`.
    - `made_by`: of the output; it says what was chosen of the scores when it was written.

    Raises InputError when a set of tracks that was written is empty now.
    """

    def __init__(
        self,
        templates: list[ScorerResult],
        results: Mapping[Hashable, Result],
        kind: Kind,
        made_by: Mapping[str, str],
    ):
        self._results, self._kind = results, kind
        self._tidy = Tidy(templates, list(OPTIONAL))
        query, sets = made_by.get("keep_tracks"), json.loads(made_by.get("track_sets", "{}"))
        self._cut = TrackFilter(templates, query) if query and kind is Kind.ENTRY else None
        self._sets = find_sets(self._cut.templates if self._cut else templates, sets) if sets else None
        self._rows: dict[Hashable, dict[tuple[str, ...], dict[str, Any]]] = {}

    def find(self, row: SampledRow) -> Mapping[str, Any] | None:
        """The numbers of a row now, each one or an array of those that may stand for it (see `strongest`).

        None if there would be no such row; empty for a cell that no number applies to.
        """
        if row.place not in self._rows:
            made = self._entries if self._kind is Kind.ENTRY else self._table
            self._rows[row.place] = {self._key(one): one for one in made(self._results[row.place])}
        return self._rows[row.place].get(self._key(row.values), {} if self._kind is Kind.CELL else None)

    def _table(self, result: Result) -> Iterator[dict[str, Any]]:
        return iter(self._tidy.table([result]).to_pylist())

    def _entries(self, result: Result) -> Iterator[dict[str, Any]]:
        """What `annotate` writes; for an allele without entries a row without scorer."""
        bare = True
        for scores in (self._cut(result) if self._cut else result).scores:
            for gene, name, raw, quantiles in gather_sets(scores, self._sets):
                bare = False
                yield {"scorer": scores.key, "gene": gene, "track_set": name, "score": raw, "quantile": quantiles}
        if bare:
            yield {}

    def _key(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        names = _OF_SET if self._kind is Kind.ENTRY else _OF_TRACK
        others = json.loads(row["item"]) if row.get("item") else {}
        told = sorted(f"{plain_name(name)}={_text(value)}" for name, value in others.items() if _text(value))
        return (*(_text(row.get(name)) for name in names), *told)


def strongest(values: Any, found: float, relative: float, absolute: float) -> float:
    """The number farthest from zero; of those that are as far within the tolerance, the one nearest to `found`.

    A set may have a score of either sign at the same distance, so that the last digits decide which is written. NaN
    where there is no number.
    """
    numbers: Float[np.ndarray, " value"] = np.ravel(np.asarray(math.nan if values is None else values, float))
    numbers = numbers[~np.isnan(numbers)]
    if not numbers.size:
        return math.nan
    sizes = np.abs(numbers)
    near = numbers[np.isclose(sizes, sizes.max(), relative, absolute)]
    return float(near[np.argmin(np.abs(near - found))]) if math.isfinite(found) else float(numbers[sizes.argmax()])


def _text(value: Any) -> str:
    """In what formats agree: nothing is empty text, a whole number has no point, a TSV has no tabs."""
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return re.sub(r"[\t\r\n]", " ", str(value))
