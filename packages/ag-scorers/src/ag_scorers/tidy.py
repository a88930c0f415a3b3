"""From results to tidy rows: one for each item and track, in arrow tables whose schema is known in advance.

Columns, in this order:

- of the allele: `variant` (as `str(call)`), `status`, `detail`, `record`, `alt` (numbers in the input, from 0);
- of the item: `gene` (its id), `gene_name`, `gene_type`, `gene_strand`, `junction_start`, `junction_end` (0-based
  half-open), null where a scorer has no such thing; what else a third party's scorer tells of its items is one
  JSON object in `item`. The annotation's `gene_start`, `gene_end` and `chromosome` stay out;
- of the track: `scorer` (its full name), `output` (modality), `track`, `track_strand`, and every column of the
  track tables with text or truth values, as `track_...` if its name is taken. Numbers (`nonzero_mean`) stay out;
- `score`, float32.

Empty text and NaN become null. Rows whose track is on the other strand than the gene are left out, unless the
scorer gives a number there all the same. An allele without any row (not scored, or no gene in the interval) gets
one with its status and nulls: so every allele of the input is in the output.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from ag_data.variants import Call
from jaxtyping import Bool, Int

from ag_scorers.results import Result, ScorerResult

TEXT = pa.dictionary(pa.int32(), pa.string())
CALL_COLUMNS = {"variant": TEXT, "status": TEXT, "detail": TEXT, "record": pa.int32(), "alt": pa.int32()}
ITEM_COLUMNS = {
    "gene": TEXT,
    "gene_name": TEXT,
    "gene_type": TEXT,
    "gene_strand": TEXT,
    "junction_start": pa.int64(),
    "junction_end": pa.int64(),
    "item": TEXT,
}
TRACK_COLUMNS = {"scorer": TEXT, "output": TEXT, "track": TEXT, "track_strand": TEXT}
_TAKEN = {*CALL_COLUMNS, *ITEM_COLUMNS, *TRACK_COLUMNS, "score"}
_OF_ANNOTATION = {"gene_start", "gene_end", "chromosome"}


def tidy_schema(templates: Iterable[ScorerResult]) -> pa.Schema:
    """The schema of the tables that `Tidy(templates)` makes."""
    return Tidy(templates).schema


class Tidy:
    """Makes the tables of one run, all with the same `schema`.

    `templates` tell what each scorer of the run will report on, by key, scorer and tracks (their values and items
    do not matter). Raises ValueError when a key occurs twice.
    """

    schema: pa.Schema

    def __init__(self, templates: Iterable[ScorerResult]):
        templates = list(templates)
        keys = [template.key for template in templates]
        if len(set(keys)) != len(keys):
            raise ValueError(f"scorer keys {keys} are not unique; give each scorer of a run a key of its own")
        sizes = np.array([template.tracks.sizes["track"] for template in templates], int)
        self._first = dict(zip(keys, np.cumsum(sizes) - sizes, strict=True))
        self._sizes = dict(zip(keys, sizes, strict=True))
        self._tracks = _track_table(templates)
        fields = [*(CALL_COLUMNS | ITEM_COLUMNS).items(), *self._tracks.schema, ("score", pa.float32())]
        self.schema = pa.schema(fields)

    def table(self, results: Iterable[Result]) -> pa.Table:
        """Rows of `results`, in the order allele, scorer, item, track.

        Raises ValueError for a scorer that is no template, or values that do not fit their items and tracks.
        """
        results = list(results)
        items: dict[str, list[Any]] = {name: [] for name in ITEM_COLUMNS}
        parts: list[tuple[Any, ...]] = []  # number of the call, the item, the track (-1: none), score
        for call, result in enumerate(results):
            before = len(parts)
            for scores in result.scores:
                self._check(scores)
                item, track = np.nonzero(~_not_applicable(scores))
                if len(item):
                    calls, first = np.full(len(item), call), self._first[scores.key]
                    parts.append((calls, item + len(items["gene"]), track + first, scores.values[item, track]))
                    _extend(items, scores.table, len(scores.values))
            if len(parts) == before:
                parts.append(([call], [-1], [-1], [np.nan]))
        if not parts:
            return self.schema.empty_table()
        call, item, track, score = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        tables = (
            _take(_call_table([result.call for result in results]), call),
            _take(pa.table({name: _array(items[name], type) for name, type in ITEM_COLUMNS.items()}), item),
            _take(self._tracks, track),
        )
        columns = [column for table in tables for column in table.columns]
        return pa.Table.from_arrays(
            [*columns, pa.array(score.astype(np.float32), mask=np.isnan(score))], schema=self.schema
        )

    def _check(self, scores: ScorerResult) -> None:
        if scores.key not in self._first:
            raise ValueError(f"scorer {scores.key!r} is none of the run's {list(self._first)}; add it to the templates")
        tracks, lengths = self._sizes[scores.key], {name: len(column) for name, column in scores.table.items()}
        if scores.values.shape[1] != tracks or set(lengths.values()) - {len(scores.values)}:
            raise ValueError(
                f"scorer {scores.key!r} has values of shape {scores.values.shape}, but {tracks} tracks and item "
                f"columns of lengths {lengths or 1}; expected a row for each item and a column for each track"
            )


def _not_applicable(scores: ScorerResult) -> Bool[np.ndarray, "item track"]:
    """NaN because the track is on the other strand than the gene."""
    missing = np.isnan(scores.values)
    if "gene_strand" not in scores.table:
        return np.zeros_like(missing)
    gene, track = np.asarray(scores.table["gene_strand"])[:, None], scores.tracks["strand"].values[None]
    return missing & (gene != track) & (track != ".")


def _call_table(calls: Sequence[Call]) -> pa.Table:
    columns = {
        "variant": [str(call) for call in calls],
        "status": [call.status.value for call in calls],
        "detail": [call.detail for call in calls],
        "record": [call.record for call in calls],
        "alt": [call.alt for call in calls],
    }
    return pa.table({name: _array(columns[name], type) for name, type in CALL_COLUMNS.items()})


def _extend(items: dict[str, list[Any]], table: Mapping[str, np.ndarray], count: int) -> None:
    """Appends `count` items to the columns of `ITEM_COLUMNS`."""
    columns = {"gene" if name == "gene_id" else name: np.asarray(column).tolist() for name, column in table.items()}
    others = {name: column for name, column in columns.items() if name not in {*ITEM_COLUMNS, *_OF_ANNOTATION}}
    if others:
        rows = zip(*others.values(), strict=True)
        columns["item"] = [json.dumps(dict(zip(others, row, strict=True)), default=str) for row in rows]
    for name, column in items.items():
        column += columns.get(name, [None] * count)


def _track_table(templates: Sequence[ScorerResult]) -> pa.Table:
    """All tracks of all scorers, one after the other."""
    types, sources = dict(TRACK_COLUMNS), {"track": "name", "track_strand": "strand"}
    for template in templates:
        for source, variable in template.tracks.data_vars.items():
            type = _type(variable.values) if variable.dims == ("track",) else None
            if type is not None and source not in ("name", "strand"):
                name = f"track_{source}" if source in _TAKEN else str(source)
                # Text where one modality has text and another truth values.
                types[name], sources[name] = (type if types.get(name, type) == type else TEXT), str(source)
    columns: dict[str, list[Any]] = {name: [] for name in types}
    for template in templates:
        scorer, tracks = template.scorer, template.tracks
        size = tracks.sizes["track"]
        columns["scorer"] += [scorer.name] * size
        columns["output"] += [scorer.modality] * size
        for name, source in sources.items():
            columns[name] += tracks[source].values.tolist() if source in tracks.data_vars else [None] * size
    return pa.table({name: _array(columns[name], type) for name, type in types.items()})


def _type(values: np.ndarray) -> pa.DataType | None:
    """Truth value or text; None for what has no place in the rows."""
    present = values[~pd.isna(values)].tolist()
    if present and all(isinstance(value, bool | np.bool_) for value in present):
        return pa.bool_()
    return TEXT if any(isinstance(value, str) for value in present) else None


def _array(values: Sequence[Any], type: pa.DataType) -> pa.Array:
    missing = pd.isna(np.fromiter(values, object, len(values))) | np.array([value == "" for value in values], bool)
    if type != TEXT:
        return pa.array(values, type, mask=missing)
    return pa.array([str(value) for value in values], pa.string(), mask=missing).dictionary_encode()


def _take(table: pa.Table, index: Int[np.ndarray, " row"]) -> pa.Table:
    return table.take(pa.array(index, mask=index < 0))
