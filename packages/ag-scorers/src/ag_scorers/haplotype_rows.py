"""Tidy rows of haplotypes, and their file: one row for each item and track, as `ag_scorers.tidy` has them for alleles.

Columns, in this order:

- of the haplotype: `chromosome`, `block` (counts from 0), `haplotype` (from 1), `phase_set`, `start`, `end` (0-based
  half-open, of the replacement), `alleles` (how many), `variants` (those, long ones shortened), `left_out` (alleles in
  between that it may have, but that have rows of their own), `status`, `detail`;
- of item and track: as in `ag_scorers.tidy`;
- `joint`, `alone`, `remainder` (`ag_scorers.haplotypes.HaplotypeScore`), float32.

A block that was not scored, or an allele that is in no block, has one row with its status and nulls. So every copy of
an alternate allele that the sample carries is counted once by `alleles`.
"""

import contextlib
import json
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ag_core.errors import InputError
from ag_data.cache import replacing
from ag_data.phased import Refused
from ag_data.variants import Call

from ag_scorers.haplotypes import BlockResult
from ag_scorers.results import Result, ScorerResult
from ag_scorers.tidy import CALL_COLUMNS, TEXT, Tidy

COLUMNS = {
    "chromosome": TEXT,
    "block": pa.int32(),
    "haplotype": pa.int32(),
    "phase_set": TEXT,
    "start": pa.int64(),
    "end": pa.int64(),
    "alleles": pa.int32(),
    "variants": TEXT,
    "left_out": pa.int32(),
    "status": TEXT,
    "detail": TEXT,
}
_NUMBERS = {"score": "joint", "ref_value": "alone", "alt_value": "remainder"}
_ROWS = 1 << 18  # rows gathered before they are written


class HaplotypeRows:
    """Makes the tables of one run, all with the same `schema`; `templates` are those of the engine."""

    schema: pa.Schema

    def __init__(self, templates: Iterable[ScorerResult]):
        # The two further numbers take the places that tidy rows have for the values of REF and ALT.
        self._tidy = Tidy(templates, columns=("ref", "alt"))
        kept = [field for field in self._tidy.schema if field.name not in CALL_COLUMNS]
        fields = [pa.field(_NUMBERS.get(field.name, field.name), field.type) for field in kept]
        self._kept = [field.name for field in kept]
        self.schema = pa.schema([*COLUMNS.items(), *fields])

    def table(self, result: BlockResult | Refused) -> pa.Table:
        """The rows of a block, or of an allele that is in none."""
        about = _about(result)
        call = Call(0, 0, about["chromosome"], 1, "", "")
        table = self._tidy.table([Result(call, _scores(result))])
        columns = [_repeat(about[name], type, len(table)) for name, type in COLUMNS.items()]
        return pa.Table.from_arrays([*columns, *(table[name] for name in self._kept)], schema=self.schema)


@contextlib.contextmanager
def open_rows(
    path: pathlib.Path, rows: HaplotypeRows, provenance: Mapping[str, Any]
) -> Iterator[Callable[[BlockResult | Refused], None]]:
    """A parquet file that is there, whole, after the block of `with`, and untouched if that raises anything."""
    if path.suffix != ".parquet" or path.is_dir():
        raise InputError(f"cannot write {path}: expected a file name that ends in .parquet")
    schema = rows.schema.with_metadata({"agenome": json.dumps(dict(provenance), default=str)})
    with replacing(path) as (scratch,), pq.ParquetWriter(scratch, schema, compression="zstd") as out:
        waiting: list[pa.Table] = []

        def flush() -> None:
            if waiting:
                out.write_table(pa.concat_tables(waiting).replace_schema_metadata(schema.metadata))
            waiting.clear()

        def put(result: BlockResult | Refused) -> None:
            waiting.append(rows.table(result))
            if sum(map(len, waiting)) >= _ROWS:
                flush()

        yield put
        flush()


def _about(result: BlockResult | Refused) -> dict[str, Any]:
    if isinstance(result, Refused):
        calls, block, haplotype, phase_set, left_out = (result.call,), None, result.haplotype or None, "", None
    else:
        block, haplotype, phase_set = result.block.number, result.block.haplotype, result.block.phase_set
        calls, left_out = result.block.calls, result.block.left_out
    variants = [call.variant for call in calls if call.variant is not None]
    chromosome = variants[0].chromosome if variants else calls[0].chromosome
    shown = [str(call) if call.variant is None else call.variant.as_truncated_str() for call in calls]
    return {
        "chromosome": chromosome,
        "block": block,
        "haplotype": haplotype,
        "phase_set": phase_set or None,
        "start": min((variant.start for variant in variants), default=None),
        "end": max((variant.end for variant in variants), default=None),
        "alleles": len(calls),
        "variants": " ".join(shown),
        "left_out": left_out,
        "status": result.status.value,
        "detail": result.detail or None,
    }


def _scores(result: BlockResult | Refused) -> tuple[ScorerResult, ...]:
    if isinstance(result, Refused) or result.scores is None:
        return ()
    return tuple(
        ScorerResult(one.key, one.scorer, one.joint, one.table, one.tracks, ref=one.alone, alt=one.remainder)
        for one in result.scores.scores
    )


def _repeat(value: Any, type: pa.DataType, count: int) -> pa.Array:
    if type != TEXT:
        return pa.array([value] * count, type)
    index = pa.array(np.zeros(count, np.int32), mask=np.full(count, value is None))
    return pa.DictionaryArray.from_arrays(index, pa.array([value or ""], pa.string()))
