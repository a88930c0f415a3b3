"""Random rows of tables: parquet, folders of parquet, and TSV with its provenance in a file beside it."""

import gzip
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset
from ag_core.errors import InputError

from ag_scorers.outputs import provenance_file
from ag_scorers.parquet_folder import KEY, PARTITION
from ag_scorers.sampled_rows import SampledRow, choose_rows, reservoir
from ag_scorers.tidy import CALL_COLUMNS, ITEM_COLUMNS, NAMES, TRACK_COLUMNS

_WHOLE = {name for name, type in (CALL_COLUMNS | ITEM_COLUMNS).items() if pa.types.is_integer(type)}
_NUMBERS = {"score", *NAMES.values()}


def parquet_provenance(path: pathlib.Path) -> dict[str, str]:
    """What made a `.parquet` file or `.parquet.d` folder; empty if it does not tell."""
    return json.loads((_open(path).schema.metadata or {}).get(KEY.encode(), b"{}"))


def sample_parquet(path: pathlib.Path, count: int, seed: int) -> list[SampledRow]:
    """Of all rows."""
    data = _open(path)
    chosen = choose_rows(data.count_rows(), count, seed)
    return [_sampled(row) for row in data.take(pa.array(chosen)).to_pylist()]


def tsv_provenance(path: pathlib.Path) -> dict[str, str]:
    """What made a TSV, as the file beside it tells. Raises InputError when that is not there."""
    beside = provenance_file(path)
    if not beside.exists():
        raise InputError(f"{path} does not tell what made it: {beside.name} is not beside it; move both together")
    return json.loads(beside.read_text())


def sample_tsv(path: pathlib.Path, count: int, seed: int) -> list[SampledRow]:
    """Of all lines, read one after the other. Raises InputError for lines that do not fit the first."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="\n") as lines:
        names = next(lines, "").rstrip("\n").split("\t")
        if absent := [name for name in (*CALL_COLUMNS, *TRACK_COLUMNS, "score") if name not in names]:
            raise InputError(f"{path} has no columns {', '.join(absent)}; verify it as `agenome score` wrote it")
        kept = reservoir(enumerate(lines, 2), count, seed)
    return [_sampled(_parse(path, number, line, names)) for number, line in kept]


def _open(path: pathlib.Path) -> Any:
    schema = pa.schema([(PARTITION, pa.string())])
    hive = pyarrow.dataset.partitioning(schema, flavor="hive") if path.is_dir() else None
    return pyarrow.dataset.dataset(path, format="parquet", partitioning=hive)


def _parse(path: pathlib.Path, number: int, line: str, names: Sequence[str]) -> dict[str, Any]:
    fields = line.rstrip("\n").split("\t")
    try:
        return {name: _value(name, text) for name, text in zip(names, fields, strict=True)}
    except ValueError as error:
        raise InputError(
            f"{path}, line {number} is not as `agenome score` writes it ({error}); make it again"
        ) from error


def _value(name: str, text: str) -> Any:
    if not text:
        return None
    return int(text) if name in _WHOLE else float(text) if name in _NUMBERS else text


def _sampled(row: dict[str, Any]) -> SampledRow:
    return SampledRow(row, (row["record"], row["alt"]))
