"""A file of results, without loss: what a long run keeps of finished variants until the outputs are written.

An Arrow file (IPC, zstd), one row for each result in input order: the column `call` is the call as JSON; each scorer
has a column of its key with its number of items, the items' table as JSON, and the arrays of `ScorerResult` as bytes
(little-endian, first all first bytes, then all second ones, which compresses better). Equal results give equal bytes.
"""

import contextlib
import dataclasses
import json
import math
import pathlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from ag_core.array_file import sync
from ag_core.errors import InputError
from ag_core.genome import Variant
from ag_data.variants import Call, Status
from jaxtyping import Float

from ag_scorers.results import Result, ScorerResult

ARRAYS = ("values", "quantiles", "tails", "ref", "alt")
ROWS = 64  # results in one batch of rows, which is what a reader holds
_BYTES = pa.large_binary()
_SCORER = pa.struct([("items", pa.int32()), ("table", _BYTES), *((name, _BYTES) for name in ARRAYS)])
# What pyarrow, json and numpy raise for damaged files.
_DAMAGE = (ValueError, TypeError, LookupError, AttributeError, MemoryError, RecursionError, SystemError, OSError)
_FLOATS = {2: "<f2", 4: "<f4", 8: "<f8"}


def write_shard(path: pathlib.Path, results: Sequence[Result], templates: Iterable[ScorerResult]) -> None:
    """Writes results through to the disk; not in place: the caller renames the file.

    `templates` are those of the run (`Engine.templates`). Raises ValueError for a result that they don't describe, or
    items with columns that JSON cannot hold.
    """
    keys = {template.key: template.tracks.sizes["track"] for template in templates}
    schema = pa.schema([("call", _BYTES), *((key, _SCORER) for key in keys)])
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema, options=options) as writer:
        for start in range(0, len(results), ROWS):
            rows = [_row(result, keys) for result in results[start : start + ROWS]]
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema))
    sync(path)


def read_shard(path: pathlib.Path, templates: Iterable[ScorerResult]) -> Iterator[Result]:
    """The results of a file that `write_shard` made with the same templates, `ROWS` at a time in memory.

    Raises InputError when the file is damaged or was made with other scorers.
    """
    known = {template.key: template for template in templates}
    for batch in _batches(path, known):
        with _whole(path):
            rows = batch.to_pylist()
        for row in rows:
            with _whole(path):
                scores = (_scores(row[key], template) for key, template in known.items() if row[key] is not None)
                result = Result(_call(row["call"]), tuple(scores))
            yield result


def read_calls(path: pathlib.Path, templates: Iterable[ScorerResult]) -> list[Call]:
    """The calls alone, which is much quicker; every batch is unpacked all the same, so damage shows.

    Raises InputError as `read_shard`.
    """
    found: list[Call] = []
    for batch in _batches(path, [template.key for template in templates]):
        with _whole(path):
            found += map(_call, batch.column("call").to_pylist())
    return found


def _batches(path: pathlib.Path, keys: Collection[str]) -> Iterator[pa.RecordBatch]:
    with _whole(path), pa.OSFile(str(path), "rb") as file, pa.ipc.open_file(file) as reader:
        if reader.schema.names != ["call", *keys]:
            raise InputError(f"{path} holds {reader.schema.names}, expected call and {', '.join(keys)}")
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


@contextlib.contextmanager
def _whole(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (*_DAMAGE, pa.ArrowException) as error:
        raise InputError(f"{path} is damaged ({error}); remove it and run the same command again") from error


def _row(result: Result, tracks: Mapping[str, int]) -> dict[str, Any]:
    keys = [scores.key for scores in result.scores]
    if keys != [key for key in tracks if key in keys]:
        raise ValueError(f"{result.call} has scores of {keys}; expected those of {list(tracks)}, in this order")
    row: dict[str, Any] = {"call": _call_json(result.call)}
    for scores in result.scores:
        cells: dict[str, Any] = {"items": len(scores.values), "table": _table_json(scores)}
        for name in ARRAYS:
            array = getattr(scores, name)
            if array is None:
                continue
            if array.shape != (len(scores.values), tracks[scores.key]):
                raise ValueError(
                    f"{scores.key}: {name} of shape {array.shape}; expected one row for each of {len(scores.values)} "
                    f"items and one column for each of {tracks[scores.key]} tracks"
                )
            cells[name] = _pack(array)
        row[scores.key] = cells
    return row


def _scores(cells: Mapping[str, Any], template: ScorerResult) -> ScorerResult:
    shape = cells["items"], template.tracks.sizes["track"]
    arrays = {name: None if cells[name] is None else _unpack(cells[name], shape) for name in ARRAYS}
    table = {name: np.array(values, dtype) for name, (dtype, values) in json.loads(cells["table"]).items()}
    return dataclasses.replace(template, table=table, **arrays)


def _pack(array: Float[np.ndarray, "item track"]) -> bytes:
    dense = np.ascontiguousarray(array, _FLOATS[array.dtype.itemsize])
    return dense.reshape(-1).view(np.uint8).reshape(-1, dense.itemsize).T.tobytes()


def _unpack(data: bytes, shape: tuple[int, int]) -> Float[np.ndarray, "item track"]:
    count = math.prod(shape)
    size = len(data) // count if count else 4
    planes = np.frombuffer(data, np.uint8).reshape(size, count)
    # Native bytes, and memory of its own: what was read is let go.
    return np.ascontiguousarray(planes.T).reshape(-1).view(_FLOATS[size]).astype(f"f{size}").reshape(shape)


def _table_json(scores: ScorerResult) -> bytes:
    table = {name: np.asarray(column) for name, column in scores.table.items()}
    try:
        return json.dumps({name: (column.dtype.str, column.tolist()) for name, column in table.items()}).encode()
    except TypeError as error:
        raise ValueError(
            f"{scores.key}: the table of its items ({', '.join(table)}) cannot be kept ({error}); columns must be "
            "text, numbers or truth values"
        ) from error


def _call_json(call: Call) -> bytes:
    fields = {field.name: getattr(call, field.name) for field in dataclasses.fields(call)}
    return json.dumps(fields, default=_plain).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Variant):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise TypeError(f"a call with a {type(value).__name__} cannot be kept")


def _call(data: bytes) -> Call:
    fields = json.loads(data)
    variant = fields["variant"] and Variant(**fields["variant"])
    # JSON knows no tuples.
    lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    return Call(**{**fields, **lists, "variant": variant, "status": Status(fields["status"])})
