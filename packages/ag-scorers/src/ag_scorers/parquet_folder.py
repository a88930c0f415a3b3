"""A folder of parquet files, cut by chromosome: `chromosome=chr1/part-00000.parquet`, as hive names them.

The folder's suffix is `.parquet.d`. Readers take `chromosome` from the names of the folders (percent-encoded where a
name of a contig needs it), so it is not in the files. Each file has the provenance in its metadata. Nothing else is
there, since not every reader skips what is no parquet; a run without alleles leaves one part without rows.

Input in any order: a few files are open at a time; a chromosome that comes back after its file was closed gets
another part. Rows of a chromosome keep the order of the input.
"""

import collections
import contextlib
import json
import pathlib
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ag_scorers.annotated_vcf import Put
from ag_scorers.folder_outputs import replacing_folder
from ag_scorers.results import Result
from ag_scorers.tidy import TEXT, Tidy

SUFFIX = ".parquet.d"
PARTITION = "chromosome"
KEY = "agenome"  # of the provenance, as JSON, in a parquet file's metadata
# Stands for no chromosome, as hive has it.
_NOTHING = "__HIVE_DEFAULT_PARTITION__"
ROWS = 1 << 18  # of one chromosome, gathered before they are written
MOST_ROWS = 8 * ROWS  # of all chromosomes, held in memory
OPEN_FILES = 8
_FILTERED = {"variant", "chromosome", "status", "gene", "gene_name", "scorer", "output"}


def open_parquet(path: pathlib.Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer of tidy rows: zstd, text as dictionaries, statistics of what people filter by (others cost time)."""
    repetitive = [field.name for field in schema if field.type != pa.float32()]
    options: dict[str, Any] = {
        "use_dictionary": repetitive,
        "write_statistics": [field.name for field in schema if field.type != TEXT or field.name in _FILTERED],
    }
    return pq.ParquetWriter(path, schema, compression="zstd", **options)


def count_rows(result: Result) -> int:
    """About how many rows a result has: at most one for each score."""
    return sum(scores.values.size for scores in result.scores) or 1


@contextlib.contextmanager
def write_folder(path: pathlib.Path, tidy: Tidy, provenance: Mapping[str, str]) -> Iterator[Put]:
    """Tidy rows by chromosome."""
    with (
        replacing_folder(path, _is_ours) as folder,
        contextlib.closing(_Parts(folder, tidy, provenance)) as parts,
    ):
        yield parts.put
        parts.finish()


def _is_ours(path: pathlib.Path) -> bool:
    """Whether all files are parts, and the first of them one of ours."""
    files = [file for file in path.rglob("*") if not file.is_dir()]
    if not all(file.match(f"{PARTITION}=*/part-*.parquet") for file in files):
        return False
    try:
        return KEY.encode() in (pq.read_schema(files[0]).metadata or {})
    except (OSError, pa.ArrowInvalid, IndexError):
        return False


class _Parts:
    """The files of one folder; results wait, by chromosome, until there are enough of them."""

    def __init__(self, folder: pathlib.Path, tidy: Tidy, provenance: Mapping[str, str]):
        self._folder, self._tidy = folder, tidy
        schema = tidy.schema.with_metadata({KEY: json.dumps(dict(provenance))})
        self._schema = schema.remove(schema.get_field_index(PARTITION))
        self._waiting: dict[str, list[Result]] = collections.defaultdict(list)
        self._counts: collections.Counter[str] = collections.Counter()
        self._writers: dict[str, pq.ParquetWriter] = {}  # the one used last is at the end
        self._parts: collections.Counter[str] = collections.Counter()

    def put(self, result: Result) -> None:
        chromosome = result.call.chromosome
        self._waiting[chromosome].append(result)
        self._counts[chromosome] += count_rows(result)
        if self._counts[chromosome] >= ROWS:
            self._flush(chromosome)
        elif self._counts.total() >= MOST_ROWS:
            self._flush(self._counts.most_common(1)[0][0])

    def finish(self) -> None:
        for chromosome in list(self._waiting):
            self._flush(chromosome)
        if not self._parts:
            self._open(_NOTHING).close()
        self.close()

    def close(self) -> None:
        """Leaves no file open, whatever happened."""
        while self._writers:
            self._writers.popitem()[1].close()

    def _flush(self, chromosome: str) -> None:
        table = self._tidy.table(self._waiting.pop(chromosome)).drop_columns(PARTITION)
        del self._counts[chromosome]
        writer = self._writers.pop(chromosome, None) or self._open(chromosome)
        self._writers[chromosome] = writer
        writer.write_table(table.replace_schema_metadata(self._schema.metadata), row_group_size=2 * ROWS)

    def _open(self, chromosome: str) -> pq.ParquetWriter:
        if len(self._writers) >= OPEN_FILES:
            oldest = next(iter(self._writers))
            self._writers.pop(oldest).close()
        folder = self._folder / f"{PARTITION}={urllib.parse.quote(chromosome, safe='')}"
        folder.mkdir(exist_ok=True)
        path = folder / f"part-{self._parts[chromosome]:05}.parquet"
        self._parts[chromosome] += 1
        return open_parquet(path, self._schema)
