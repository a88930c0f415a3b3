"""Files of scores, chosen by suffix. Every alternate allele of the input is in them, with its status.

- `.parquet`, `.tsv`, `.tsv.gz`: the rows of `ag_scorers.tidy`.
- `.vcf`, `.vcf.gz`: the records of the input, in its order and byte for byte, with AG and AG_STATUS added to INFO.
  `.vcf.gz` is bgzip, with an index (tabix, or CSI for long chromosomes) if the records are sorted.

A file appears when it is complete; after an exception nothing is left behind.
"""

import contextlib
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ag_core.errors import InputError
from ag_data.cache import replacing

from ag_scorers.annotated_vcf import Put, annotate, open_output
from ag_scorers.results import Result, ScorerResult
from ag_scorers.tidy import TEXT, Tidy

SUFFIXES = (".parquet", ".tsv", ".tsv.gz", ".vcf", ".vcf.gz")
ROWS = 1 << 18  # rows gathered before they are written


class Writer:
    """What `open_writer` hands out."""

    def __init__(self, put: Put):
        self._put = put
        self._last = (-1, -1)

    def write(self, result: Result) -> None:
        """Adds the next allele. Raises ValueError unless it comes after the last by (record, alt)."""
        place = (result.call.record, result.call.alt)
        if place <= self._last:
            raise ValueError(f"result (record, alt) {place} after {self._last}; write each once and in input order")
        self._last = place
        self._put(result)


@contextlib.contextmanager
def open_writer(
    path: str | os.PathLike[str],
    templates: Iterable[ScorerResult],
    source: str | os.PathLike[str] | None = None,
    *,
    provenance: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Iterator[Writer]:
    """A writer for `with`: `path` is there after the block, and untouched if the block raises anything.

    - `templates`: what each scorer of the run will report on, as for `ag_scorers.tidy.Tidy`.
    - `source`: the VCF or BCF file that was scored; a VCF takes header and records from it.
    - `provenance`: version, model, digest, command, ...; a VCF's header gets `##AGversion=` and so on, parquet has
      them as JSON in its metadata (key `agenome`), TSV has no place for them.
    - `overwrite`: replaces INFO AG and AG_STATUS although the input defines them otherwise.

    Raises InputError for an unknown suffix, a folder, no `source` for a VCF, and a `source` that has such INFO
    fields; ValueError if a VCF gets other alleles than `source` has.
    """
    path, provenance = pathlib.Path(path), dict(provenance or {})
    if path.is_dir() or not path.name.endswith(SUFFIXES):
        what = "is a folder" if path.is_dir() else "has no known suffix"
        raise InputError(f"cannot write {path}: it {what}; expected a file name that ends in {', '.join(SUFFIXES)}")
    if not path.name.endswith((".vcf", ".vcf.gz")):
        opened = _rows(path, Tidy(templates), provenance)
    elif source is not None:
        opened = annotate(path, pathlib.Path(source), provenance, overwrite)
    else:
        raise InputError(f"cannot write {path}: there is no VCF to annotate; choose {', '.join(SUFFIXES[:3])}")
    with opened as put:
        yield Writer(put)


@contextlib.contextmanager
def _rows(path: pathlib.Path, tidy: Tidy, provenance: Mapping[str, str]) -> Iterator[Put]:
    """Tidy rows, some `ROWS` at a time."""
    schema = tidy.schema.with_metadata({"agenome": json.dumps(provenance)})
    open_table = _parquet if path.suffix == ".parquet" else _tsv
    waiting: list[Result] = []
    count = 0

    with replacing(path) as (scratch,), open_table(scratch, schema) as write:

        def put(result: Result) -> None:
            nonlocal count
            waiting.append(result)
            count += sum(scores.values.size for scores in result.scores) or 1
            if count >= ROWS:
                flush()

        def flush() -> None:
            nonlocal count
            if waiting:
                write(tidy.table(waiting))
            waiting.clear()
            count = 0

        yield put
        flush()


@contextlib.contextmanager
def _parquet(path: pathlib.Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    repetitive = [field.name for field in schema if field.name != "score"]
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=repetitive) as out:  # pyright: ignore[reportArgumentType]
        yield lambda table: out.write_table(table, row_group_size=2 * ROWS)  # most tables are a little above ROWS


@contextlib.contextmanager
def _tsv(path: pathlib.Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """Null is empty; a tab or line break inside a field becomes a space, quotes are plain characters."""

    def text(column: pa.Array) -> pa.Array:
        if column.type == TEXT:  # each text once, not in each row
            plain = pc.replace_substring_regex(column.dictionary, r"[\t\r\n]", " ")  # pyright: ignore[reportAttributeAccessIssue]
            column = pa.DictionaryArray.from_arrays(column.indices, plain)
        return column.cast(pa.string())

    def write(table: pa.Table) -> None:
        for batch in table.to_batches(max_chunksize=ROWS):
            columns = map(text, batch.columns)
            rows = pc.binary_join_element_wise(*columns, "\t", null_handling="replace", null_replacement="")  # pyright: ignore[reportAttributeAccessIssue]
            out.write("".join(f"{row}\n" for row in rows.to_pylist()).encode())

    with open_output(path) as out:
        out.write(("\t".join(schema.names) + "\n").encode())
        yield write
