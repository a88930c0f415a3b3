"""AnnData of scores, one for each scorer (spec/scoring.md 2.10): rows are variants x items, columns are tracks.

- `X`: scores, float32, NaN where one does not apply; `layers`: `quantiles`, `tails`, `ref`, `alt`, as far as the run
  has them.
- `obs`: `variant`, `chromosome`, `position` (1-based), `reference`, `alternate`, `record`, `alt`, and of the item
  `gene_id`, `gene_name`, `gene_type`, `strand`, `junction_Start`, `junction_End` (0-based half-open) or `item`, as
  far as the scorer has such things. `var`: the track table. Both are indexed by row numbers as text.
- `uns`: `variant_scorer` (full name), `modality`, `signed`, `provenance`, and `calls`: every allele of the input with
  its status, for an allele that was not scored has no row.

In a file, `X` and `layers` are written as results come; `obs` and `calls` stay in memory until the end, some 100 bytes
for each row and allele.
"""

import contextlib
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from ag_core.errors import InputError
from ag_data.cache import replacing
from ag_data.variants import Call
from ag_data.zarr_layout import chunk_and_shard

from ag_scorers.annotated_vcf import Put
from ag_scorers.dataset import check_tracks, fill, settle
from ag_scorers.results import Result, ScorerResult
from ag_scorers.tidy import CALL_COLUMNS, OPTIONAL, ItemRows, call_table

if TYPE_CHECKING:
    import anndata
    import h5py

SUFFIX = ".h5ad"
INSTALL = 'pip install "ag-scorers[anndata]"'
_SCORER = "{scorer}"  # in a file's name
_OBS = [name for name in CALL_COLUMNS if name not in ("status", "detail")]
# What the reference calls them.
OFFICIAL = {
    "gene": "gene_id",
    "gene_strand": "strand",
    "junction_start": "junction_Start",
    "junction_end": "junction_End",
}
_ROWS = 1 << 16  # gathered before they become a table


def to_anndata(results: Iterable[Result], provenance: Mapping[str, str] | None = None) -> "dict[str, anndata.AnnData]":
    """Results of one run in memory, by key of the scorer; layers are what any result of a scorer has.

    Raises InputError when anndata is not installed, ValueError when a scorer's tracks are not the same in all results.
    """
    AnnData = library().AnnData
    calls: list[Call] = []
    rows: dict[str, _Rows] = {}
    parts: dict[str, list[ScorerResult]] = {}
    for result in results:
        calls.append(result.call)
        for scores in result.scores:
            rows.setdefault(scores.key, _Rows()).put(result.call, scores)
            parts.setdefault(scores.key, []).append(scores)
            check_tracks(parts[scores.key][0], scores)
    made = {}
    for key, part in parts.items():
        layers = {
            source: np.concatenate([fill(getattr(one, source), one) for one in part])
            for source in OPTIONAL.values()
            if any(getattr(one, source) is not None for one in part)
        }
        made[key] = AnnData(
            np.concatenate([fill(one.values, one) for one in part]),
            rows[key].frame(),
            _var(part[0]),
            _uns(part[0], provenance or {}, calls),
            layers=layers,
        )
    return made


def name_files(path: pathlib.Path, templates: Sequence[ScorerResult]) -> dict[str, pathlib.Path]:
    """A file for each scorer: `{scorer}` in the name stands for its key. InputError if they would be the same."""
    if len(templates) != 1 and _SCORER not in path.name:
        remedy = path.name.removesuffix(SUFFIX) + f".{_SCORER}{SUFFIX}"
        raise InputError(
            f"cannot write {path}: an AnnData file holds one scorer, and the run has {len(templates)} "
            f"({', '.join(one.key for one in templates)}); write {path.with_name(remedy)}, a file for each, or choose "
            "one with --scorer"
        )
    names = {one.key: path.name.replace(_SCORER, re.sub(r"[^\w.+=-]+", "_", one.key)) for one in templates}
    if len(set(names.values())) < len(names):
        raise InputError(
            f"cannot write {path}: scorers {', '.join(names)} would share a file; choose one with --scorer"
        )
    return {key: path.with_name(name) for key, name in names.items()}


@contextlib.contextmanager
def write_anndata(
    path: pathlib.Path, templates: Sequence[ScorerResult], columns: Sequence[str], provenance: Mapping[str, str]
) -> Iterator[Put]:
    """Files as in `name_files`; `columns` as in `ag_scorers.tidy.optional_columns`."""
    library()
    import h5py

    files = name_files(path, templates)
    with replacing(*files.values()) as scratch, contextlib.ExitStack() as stack:
        outputs = {
            template.key: _File(stack.enter_context(h5py.File(place, "w")), template, columns)
            for template, place in zip(templates, scratch, strict=True)
        }
        calls: list[Call] = []

        def put(result: Result) -> None:
            calls.append(result.call)
            for scores in result.scores:
                outputs[scores.key].put(result.call, scores)

        yield put
        for output in outputs.values():
            output.finish(calls, provenance)


class _Rows:
    """`obs`, as it grows."""

    def __init__(self):
        self._calls: list[tuple[Call, int]] = []
        self._items = ItemRows()
        self._tables: list[pa.Table] = []

    def put(self, call: Call, scores: ScorerResult) -> None:
        self._calls.append((call, len(scores.values)))
        self._items.extend(scores.table, len(scores.values))
        if self._items.count >= _ROWS:
            self._settle()

    def frame(self) -> pd.DataFrame:
        """All rows; columns that are empty throughout are left out."""
        self._settle()
        frame = _frame(pa.concat_tables(self._tables)).rename(columns=OFFICIAL)
        empty = frame.columns[frame.isna().all().to_numpy()]
        return frame.drop(columns=[name for name in empty if name not in _OBS])

    def _settle(self) -> None:
        calls, counts = [call for call, _ in self._calls], [count for _, count in self._calls]
        index = pa.array(np.repeat(np.arange(len(calls)), counts))
        table, items = call_table(calls).select(_OBS).take(index), self._items.table()
        for name in items.column_names:
            table = table.append_column(name, items[name])
        self._tables.append(table)
        self._calls.clear()
        self._items = ItemRows()


class _File:
    """One `.h5ad`, of which `X` and `layers` are written row by row, all else at the end."""

    def __init__(self, file: "h5py.File", template: ScorerResult, columns: Sequence[str]):
        self._file, self._template = file, template
        write = library().io.write_elem
        for name in ("layers", "obsm", "varm", "obsp", "varp"):
            write(file, name, {})
        # As anndata's own writer marks them: "on-disk format" in its documentation.
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        self._arrays = {"values": "X"} | {OPTIONAL[name]: f"layers/{OPTIONAL[name]}" for name in columns}
        tracks = template.tracks.sizes["track"]
        (chunk, *_), _ = chunk_and_shard((1 << 62, tracks), 4)
        self._chunk, self._shape, self._written = chunk, (chunk, max(1, tracks)), 0
        self._waiting: list[ScorerResult] = []
        self._count = 0  # of rows that wait
        self._rows = _Rows()

    def put(self, call: Call, scores: ScorerResult) -> None:
        check_tracks(self._template, scores)
        self._rows.put(call, scores)
        self._waiting.append(scores)
        self._count += len(scores.values)
        if self._count >= self._chunk:
            self._flush()

    def finish(self, calls: Sequence[Call], provenance: Mapping[str, str]) -> None:
        if "X" not in self._file:
            self._shape = (max(1, min(self._chunk, self._count)), self._shape[1])
        self._flush()
        write = library().io.write_elem
        write(self._file, "obs", self._rows.frame())
        write(self._file, "var", _var(self._template))
        write(self._file, "uns", _uns(self._template, provenance, calls))

    def _flush(self) -> None:
        for source, name in self._arrays.items():
            dataset = self._dataset(name)
            dataset.resize(self._written + self._count, axis=0)
            parts = [fill(getattr(scores, source), scores) for scores in self._waiting]
            if parts:
                dataset[self._written :] = np.concatenate(parts)
        self._written += self._count
        self._waiting.clear()
        self._count = 0

    def _dataset(self, name: str) -> "h5py.Dataset":
        if name in self._file:
            return self._file[name]  # pyright: ignore[reportReturnType]
        tracks = self._template.tracks.sizes["track"]
        dataset = self._file.create_dataset(
            name,
            shape=(0, tracks),
            maxshape=(None, tracks),
            chunks=self._shape,
            dtype=np.float32,
            compression="gzip",
            compression_opts=1,
            shuffle=True,
        )
        dataset.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        return dataset


def library() -> Any:
    """anndata. Raises InputError when it is not installed."""
    try:
        import anndata
    except ImportError as error:
        raise InputError(f"{SUFFIX} files need anndata: {INSTALL}") from error
    return anndata


def _var(scores: ScorerResult) -> pd.DataFrame:
    columns = {str(name): settle(column.values) for name, column in scores.tracks.data_vars.items()}
    size = scores.tracks.sizes["track"]
    return pd.DataFrame({name: _text(column) for name, column in columns.items()}, index=_index(size))


def _uns(scores: ScorerResult, provenance: Mapping[str, str], calls: Sequence[Call]) -> dict[str, Any]:
    scorer = scores.scorer
    return {
        "variant_scorer": scorer.name,
        "modality": scorer.modality,
        "signed": bool(scorer.signed),
        "provenance": dict(provenance),
        "calls": _frame(call_table(calls)),
    }


def _frame(table: pa.Table) -> pd.DataFrame:
    """Text as categories."""
    frame = table.unify_dictionaries().to_pandas()
    frame.index = _index(len(frame))
    for name, column in frame.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            frame[name] = column.cat.rename_categories(pd.Index(column.cat.categories.tolist(), dtype=object))
    return frame


def _text(column: np.ndarray) -> Any:
    """Text as categories, like anndata does when it writes a file."""
    if column.dtype != object:
        return column
    codes, values = pd.factorize(column)
    return pd.Categorical.from_codes(codes, pd.Index(values, dtype=object))


def _index(size: int) -> pd.Index:
    return pd.Index([str(number) for number in range(size)], dtype=object)
