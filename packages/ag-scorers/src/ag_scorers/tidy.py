"""From results to tidy rows: one for each item and track, in arrow tables whose schema is known in advance.

Columns, in this order:

- of the allele: `variant` (as `str(call)`), `chromosome`, `position` (1-based), `reference`, `alternate` (all as the
  input has them), `status`, `detail`, `record`, `alt` (numbers in the input, from 0);
- of the item: `gene` (its id), `gene_name`, `gene_type`, `gene_strand`, `junction_start`, `junction_end` (0-based
  half-open), null where a scorer has no such thing; what else a third party's scorer tells of its items is one
  JSON object in `item`. The annotation's `gene_start`, `gene_end` and `chromosome` stay out;
- of the track: `scorer` (its full name), `output` (modality), `track`, `track_strand`, and every column of the
  track tables with text or truth values, as `track_...` if its name is taken. Numbers (`nonzero_mean`) stay out;
- `track_set`, where the rows are the strongest tracks of named sets;
- `score`, float32, and what else the run has: `quantile`, `tail`, `ref_value`, `alt_value`.

Empty text and NaN become null. Rows whose track is on the other strand than the gene are left out, unless the
scorer gives a number there all the same. An allele without any row (not scored, or no gene in the interval) gets
one with its status and nulls: so every allele of the input is in the output.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from ag_data.variants import Call
from jaxtyping import Bool, Float, Int, Shaped

from ag_scorers.results import Result, ScorerResult
from ag_scorers.row_selection import RowSelection

TEXT = pa.dictionary(pa.int32(), pa.string())
CALL_COLUMNS = {
    "variant": TEXT,
    "chromosome": TEXT,
    "position": pa.int64(),
    "reference": TEXT,
    "alternate": TEXT,
    "status": TEXT,
    "detail": TEXT,
    "record": pa.int32(),
    "alt": pa.int32(),
}
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
# What a run may have beside scores: the option's name, the attribute of `ScorerResult`, and the column. `alt` is taken
# by the number of the allele.
OPTIONAL = {"quantile": "quantiles", "tail": "tails", "ref": "ref", "alt": "alt"}
NAMES = {"quantile": "quantile", "tail": "tail", "ref": "ref_value", "alt": "alt_value"}
_TAKEN = {*CALL_COLUMNS, *ITEM_COLUMNS, *TRACK_COLUMNS, "track_set", "score", *NAMES.values()}
OF_ANNOTATION = {"gene_start", "gene_end", "chromosome"}
_BLANK = np.dtype(np.float32).type("nan")


def tidy_schema(templates: Iterable[ScorerResult]) -> pa.Schema:
    """The schema of the tables that `Tidy(templates)` makes."""
    return Tidy(templates).schema


def optional_columns(templates: Iterable[ScorerResult], columns: Iterable[str] | None = None) -> tuple[str, ...]:
    """Which of `OPTIONAL` a run has: `columns`, or else what is not None in any template. ValueError for others."""
    templates = list(templates)
    if columns is None:
        return tuple(
            name for name, source in OPTIONAL.items() if any(getattr(one, source) is not None for one in templates)
        )
    if unknown := set(columns := list(columns)) - set(OPTIONAL):
        raise ValueError(f"columns {sorted(unknown)} are unknown; expected some of {', '.join(OPTIONAL)}")
    return tuple(name for name in OPTIONAL if name in columns)


class Tidy:
    """Makes the tables of one run, all with the same `schema`.

    `templates` tell what each scorer of the run will report on, by key, scorer and tracks (their values and items
    do not matter); `columns` are the optional ones (see `optional_columns`), `selection` says which rows. Raises
    ValueError when a key occurs twice.
    """

    schema: pa.Schema

    def __init__(
        self,
        templates: Iterable[ScorerResult],
        columns: Iterable[str] | None = None,
        selection: RowSelection | None = None,
    ):
        templates = list(templates)
        keys = [template.key for template in templates]
        if len(set(keys)) != len(keys):
            raise ValueError(f"scorer keys {keys} are not unique; give each scorer of a run a key of its own")
        sizes = np.array([template.tracks.sizes["track"] for template in templates], int)
        self._first = dict(zip(keys, np.cumsum(sizes) - sizes, strict=True))
        self._sizes = dict(zip(keys, sizes, strict=True))
        self.tracks = _track_table(templates)
        self._selection = RowSelection(templates) if selection is None else selection
        self._optional = optional_columns(templates, columns)
        self.sets = pa.array(self._selection.sets, pa.string())
        self.numbers = ("score", *(NAMES[name] for name in self._optional))
        self.schema = pa.schema(
            [
                *(CALL_COLUMNS | ITEM_COLUMNS).items(),
                *self.tracks.schema,
                *([("track_set", TEXT)] if self._selection.sets else []),
                *((name, pa.float32()) for name in self.numbers),
            ]
        )

    def table(self, results: Iterable[Result]) -> pa.Table:
        """Rows of `results`, in the order allele, scorer, item, track (or set of tracks).

        Raises ValueError for a scorer that is no template, or values that do not fit their items and tracks.
        """
        rows = self.rows(list(results))
        if not len(rows.call):
            return self.schema.empty_table()
        tables = _take(rows.calls, rows.call), _take(rows.items, rows.item), _take(self.tracks, rows.track)
        columns = [column for table in tables for column in table.columns]
        if self._selection.sets:
            index = pa.array(rows.number.astype(np.int32), mask=rows.number < 0)
            columns.append(pa.DictionaryArray.from_arrays(index, self.sets))
        columns += [pa.array(array, pa.float32(), mask=np.isnan(array)) for array in rows.numbers]
        return pa.Table.from_arrays(columns, schema=self.schema)

    def rows(self, results: Sequence[Result]) -> "Rows":
        """What `table` is made of. Scores of one scorer are looked at together, for most results have few of them."""
        groups: dict[tuple[str, ...], _Group] = {}
        parts: list[list[tuple[_Group, int]]] = []  # of each result, its place in each group
        place = 0
        for result in results:
            mine = []
            for scores in result.scores:
                self._check(scores)
                group = groups.setdefault((scores.key, *scores.table), _Group())
                mine.append((group, len(group.scores)))
                group.scores.append(scores)
                group.places.append(place)
                place += 1
            parts.append(mine)
            place += not mine
        for group in groups.values():
            group.pick(self._selection, self._optional)
        items, calls, empty = ItemRows(), [], []
        for number, mine in enumerate(parts):
            calls += [number] * max(len(mine), 1)
            filled = [(group, part) for group, part in mine if group.filled[part]]
            for group, part in filled:
                group.first_item[part] = items.count
                items.extend(group.scores[part].table, len(group.scores[part].values))
            if not filled:
                empty.append(len(calls) - 1)
        columns = [group.columns(int(self._first[group.scores[0].key])) for group in groups.values()]
        none = [np.full(len(empty), -1)] * 3 + [np.full(len(empty), _BLANK)] * len(self.numbers)
        columns.append([np.array(empty, np.int64), *none])
        places, *joined = (np.concatenate(column) for column in zip(*columns, strict=True))
        order = np.argsort(places, kind="stable")
        item, track, number, *numbers = (column[order] for column in joined)
        call = np.array(calls, np.int64)[places[order]]
        return Rows(call_table([result.call for result in results]), items.table(), call, item, track, number, numbers)

    def _check(self, scores: ScorerResult) -> None:
        if scores.key not in self._first:
            raise ValueError(f"scorer {scores.key!r} is none of the run's {list(self._first)}; add it to the templates")
        tracks, lengths = self._sizes[scores.key], {name: len(column) for name, column in scores.table.items()}
        if scores.values.shape[1] != tracks or set(lengths.values()) - {len(scores.values)}:
            raise ValueError(
                f"scorer {scores.key!r} has values of shape {scores.values.shape}, but {tracks} tracks and item "
                f"columns of lengths {lengths or 1}; expected a row for each item and a column for each track"
            )


@dataclasses.dataclass(frozen=True)
class Rows:
    """Tables of alleles and items, and for each row its allele, item, track and set (-1: none) and its numbers."""

    calls: pa.Table
    items: pa.Table
    call: Int[np.ndarray, " row"]
    item: Int[np.ndarray, " row"]
    track: Int[np.ndarray, " row"]
    number: Int[np.ndarray, " row"]
    numbers: Sequence[Float[np.ndarray, " row"]]


class _Group:
    """Results of one scorer with items of the same columns, one after the other."""

    def __init__(self):
        self.scores: list[ScorerResult] = []
        self.places: list[int] = []  # among all results of all scorers

    def pick(self, selection: RowSelection, optional: Sequence[str]) -> None:
        """Chooses rows; `filled` tells which results have any."""
        sizes = [len(one.values) for one in self.scores]
        table = {}
        if "gene_strand" in self.scores[0].table:
            table = {"gene_strand": np.concatenate([np.asarray(one.table["gene_strand"]) for one in self.scores])}
        arrays = {name: _joined(self.scores, name) for name in ("values", *OPTIONAL.values())}
        whole = dataclasses.replace(self.scores[0], table=table, **arrays)
        self._item, self._track, self._number = selection.pick(whole, ~_not_applicable(whole))
        names = ["values", *(OPTIONAL[name] for name in optional)]
        self._numbers = [_numbers(arrays[name], self._item, self._track) for name in names]
        self._part = np.repeat(np.arange(len(sizes)), sizes)[self._item]
        self._begin = np.cumsum(sizes) - sizes
        self.filled = (np.bincount(self._part, minlength=len(sizes)) > 0).tolist()
        self.first_item = np.zeros(len(sizes), np.int64)  # in the table of items: to be filled in

    def columns(self, first_track: int) -> list[Shaped[np.ndarray, " row"]]:
        """Place, item, track and set of each row, and its numbers."""
        item = self._item + (self.first_item - self._begin)[self._part]
        return [np.array(self.places)[self._part], item, first_track + self._track, self._number, *self._numbers]


class ItemRows:
    """Gathers item tables of scorers into the columns `ITEM_COLUMNS`."""

    def __init__(self):
        self.count = 0
        self._columns: dict[str, list[Any]] = {name: [] for name in ITEM_COLUMNS}

    def extend(self, table: Mapping[str, np.ndarray], count: int) -> None:
        """Appends `count` items."""
        columns = {"gene" if name == "gene_id" else name: np.asarray(column).tolist() for name, column in table.items()}
        others = {name: column for name, column in columns.items() if name not in {*ITEM_COLUMNS, *OF_ANNOTATION}}
        if others:
            rows = zip(*others.values(), strict=True)
            columns["item"] = [json.dumps(dict(zip(others, row, strict=True)), default=str) for row in rows]
        for name, column in self._columns.items():
            column += columns.get(name, [None] * count)
        self.count += count

    def table(self) -> pa.Table:
        """The items so far."""
        return pa.table({name: _array(self._columns[name], type) for name, type in ITEM_COLUMNS.items()})


def call_table(calls: Sequence[Call]) -> pa.Table:
    """`CALL_COLUMNS` of calls."""
    columns = {
        "variant": [str(call) for call in calls],
        "chromosome": [call.chromosome for call in calls],
        "position": [call.position for call in calls],
        "reference": [call.reference for call in calls],
        "alternate": [call.alternate for call in calls],
        "status": [call.status.value for call in calls],
        "detail": [call.detail for call in calls],
        "record": [call.record for call in calls],
        "alt": [call.alt for call in calls],
    }
    return pa.table({name: _array(columns[name], type) for name, type in CALL_COLUMNS.items()})


def _not_applicable(scores: ScorerResult) -> Bool[np.ndarray, "item track"]:
    """NaN because the track is on the other strand than the gene."""
    missing = np.isnan(scores.values)
    if "gene_strand" not in scores.table:
        return np.zeros_like(missing)
    gene, track = np.asarray(scores.table["gene_strand"])[:, None], scores.tracks["strand"].values[None]
    return missing & (gene != track) & (track != ".")


def _joined(scores: Sequence[ScorerResult], name: str) -> Float[np.ndarray, "item track"] | None:
    """One array of all results; NaN where a result has none, None if no one has."""
    arrays = [getattr(one, name) for one in scores]
    if all(array is None for array in arrays):
        return None
    blank = [np.full(one.values.shape, _BLANK) if a is None else a for one, a in zip(scores, arrays, strict=True)]
    return np.concatenate(blank)


def _numbers(
    array: Float[np.ndarray, "item track"] | None, item: Int[np.ndarray, " row"], track: Int[np.ndarray, " row"]
) -> Float[np.ndarray, " row"]:
    """A scorer without such numbers has NaN there."""
    return np.full(len(item), _BLANK) if array is None else array[item, track].astype(np.float32, copy=False)


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
