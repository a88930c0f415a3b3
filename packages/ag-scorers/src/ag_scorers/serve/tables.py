"""Answers of the HTTP front: plain data for JSON, tables for Arrow."""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import xarray as xr

from ag_scorers.results import ScorerResult
from ag_scorers.serve.predicting import Output
from ag_scorers.serve.requests import Prediction

ARROW = "application/vnd.apache.arrow.stream"
_ITEMS = ("gene_id", "gene_name", "gene_type", "gene_strand", "junction_start", "junction_end")
_TRACKS = ("name", "strand", "assay", "biosample_name", "biosample_type", "ontology_curie", "gtex_tissue",
           "histone_mark", "transcription_factor")  # fmt: skip


def describe_tracks(tracks: xr.Dataset) -> list[dict[str, Any]]:
    """Rows of a track table as plain data; what is not known is left out."""
    columns = {str(name): tracks[name].values.tolist() for name in tracks.data_vars}
    return [
        {
            name: values[row]
            for name, values in columns.items()
            if values[row] not in ("", None) and not _nan(values[row])
        }
        for row in range(tracks.sizes["track"])
    ]


def describe_outputs(
    request: Prediction, alleles: Sequence[Mapping[str, Output]], tables: Mapping[tuple[int, str], xr.Dataset]
) -> list[dict[str, Any]]:
    """All outputs of all alleles; each with its array as `values` (a numpy array)."""
    names = ("REF", "ALT") if len(alleles) == 2 else ("",)
    found = []
    for name, allele in zip(names, alleles, strict=True):
        for modality, output in allele.items():
            table = tables.get((request.organism, modality))
            one: dict[str, Any] = {"allele": name} if name else {}
            one |= {"output": modality, "resolution": output.resolution, "shape": list(output.values.shape)}
            if (place := request.interval) is not None:
                one["interval"] = {"chromosome": place.name or place.chromosome, "start": place.start, "end": place.end}
                one["interval"]["strand"] = place.strand
            one["tracks"] = [] if table is None else describe_tracks(table.isel(track=output.rows))
            one["values"] = output.values
            if output.junctions is not None:
                one["junctions"] = {key: column.tolist() for key, column in output.junctions.items()}
            found.append(one)
    return found


def to_json(outputs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with lists for arrays; NaN and infinity, which JSON lacks, become null."""
    return [{**one, "values": _plain(one["values"])} for one in outputs]


def to_arrow(outputs: Iterable[dict[str, Any]]) -> bytes:
    """IPC streams one after the other, one for each output; what is no array is in the schema's metadata, as JSON.

    `values` has a list for each position (or junction): all that belongs to it, in order of `shape`.
    """
    sink = io.BytesIO()
    for one in outputs:
        values = np.ascontiguousarray(one["values"], np.float32)
        width = int(np.prod(values.shape[1:]))
        rows = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), width) if width else None
        if rows is None or len(rows) != len(values):
            rows = pa.array([[]] * len(values), pa.list_(pa.float32()))
        columns = {"values": rows, **one.get("junctions", {})}
        about = {key: json.dumps(value) for key, value in one.items() if key not in ("values", "junctions")}
        table = pa.table(columns).replace_schema_metadata(about)
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=1 << 16)
    return sink.getvalue()


def score_table(place: str, results: Iterable[tuple[str, Sequence[ScorerResult]]]) -> pa.Table:
    """Rows in the order of places (variants, or an interval: the column `place`), scorers, items, tracks."""
    tables = [_scores(place, name, scores) for name, found in results for scores in found]
    return (
        pa.concat_tables(tables, promote_options="default") if tables else pa.table({place: pa.array([], pa.string())})
    )


def _scores(place: str, name: str, scores: ScorerResult) -> pa.Table:
    items, tracks = scores.values.shape
    size = items * tracks
    columns: dict[str, pa.Array] = {place: pa.array([name] * size, pa.string())}
    columns["scorer"] = pa.array([scores.key] * size, pa.string())
    columns["output"] = pa.array([scores.scorer.modality] * size, pa.string())
    for key in _ITEMS:
        if key in scores.table:
            type_ = pa.int64() if key.startswith("junction") else pa.string()
            values = [None if value != value else value for value in np.asarray(scores.table[key]).tolist()]
            columns[key] = pa.array(values, type_).take(pa.array(np.repeat(np.arange(items), tracks)))
    for key in _TRACKS:
        if key in scores.tracks:
            values = [
                None if _nan(value) or value == "" else str(value) for value in scores.tracks[key].values.tolist()
            ]
            columns[f"track_{key}"] = pa.array(values, pa.string()).take(pa.array(np.tile(np.arange(tracks), items)))
    for key, array in (("score", scores.values), ("quantile", scores.quantiles)):
        flat = np.full(size, np.nan, np.float32) if array is None else array.astype(np.float32).ravel()
        columns[key] = pa.array(flat, pa.float32(), mask=~np.isfinite(flat))
    return pa.table(columns)


def table_bytes(table: pa.Table) -> bytes:
    """A table as one IPC stream."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1 << 16)
    return sink.getvalue()


def _plain(values: np.ndarray) -> Any:
    values = values.astype(np.float32)
    if np.isfinite(values).all():
        return values.tolist()
    plain = values.astype(object)
    plain[~np.isfinite(values)] = None
    return plain.tolist()


def _nan(value: Any) -> bool:
    return isinstance(value, float) and value != value
