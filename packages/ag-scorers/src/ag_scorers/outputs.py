"""Files of scores, chosen by suffix. Every alternate allele of the input is in them, with its status.

- `.parquet`, `.tsv`, `.tsv.gz`: the rows of `ag_scorers.tidy`; `.parquet.d`: the same in a folder, by chromosome.
  Beside a TSV stands what made it, in `scores.tsv.json`, so that the table begins with its column names.
- `.vcf`, `.vcf.gz`: the records of the input, in its order and byte for byte, with AG and AG_STATUS added to INFO.
  `.vcf.gz` is bgzip, with an index (tabix, or CSI for long chromosomes) if the records are sorted.
- `.zarr`: the tree of `ag_scorers.dataset`; `.h5ad`: AnnData, one file for each scorer (`ag_scorers.anndata_scores`).

A file or folder appears when it is complete; after an exception nothing is left behind.
"""

import contextlib
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ag_core.errors import InputError
from ag_data.cache import replacing

from ag_scorers import anndata_scores, parquet_folder, zarr_scores
from ag_scorers.annotated_vcf import Put, annotate
from ag_scorers.parquet_folder import KEY, ROWS, count_rows, open_parquet
from ag_scorers.results import Result, ScorerResult
from ag_scorers.row_selection import RowSelection, TrackFilter, find_sets
from ag_scorers.tidy import Tidy, optional_columns
from ag_scorers.tsv import open_tsv

_TABLES = (".parquet", parquet_folder.SUFFIX, ".tsv", ".tsv.gz")
_VCF = (".vcf", ".vcf.gz")
_ARRAYS = (zarr_scores.SUFFIX, anndata_scores.SUFFIX)
SUFFIXES = (*_TABLES, *_VCF, *_ARRAYS)
# Suffixes of outputs that are folders.
FOLDERS = (parquet_folder.SUFFIX, zarr_scores.SUFFIX)


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
    columns: Iterable[str] | None = None,
    keep_tracks: str = "",
    top: int | None = None,
    track_sets: Mapping[str, str] | None = None,
) -> Iterator[Writer]:
    """A writer for `with`: `path` is there after the block, and untouched if the block raises anything.

    - `templates`: what each scorer of the run will report on, as for `ag_scorers.tidy.Tidy`.
    - `source`: the VCF or BCF file that was scored; a VCF takes header and records from it.
    - `provenance`: version, model, digest, command, ...; a VCF's header gets `##AGversion=` and so on, parquet has
      them as JSON in its metadata (key `agenome`), zarr in the root's attributes, AnnData in `uns`, TSV in a JSON
      file beside it. `keep_tracks`, `top` and `track_sets` are added to it.
    - `overwrite`: replaces INFO AG and AG_STATUS although the input defines them otherwise.
    - `columns`: which of `quantile`, `tail`, `ref`, `alt` the run has; by default what is not None in a template. A
      zarr store has whatever the results have.
    - `keep_tracks`: a query (`ag_data.query`); other tracks are not written.
    - `top`: rows of tables only for the so many strongest tracks of each allele, scorer and item (see
      `ag_scorers.row_selection`). A VCF has only the strongest anyway.
    - `track_sets`: queries by name. Tables get a row for the strongest track of each set, a VCF an entry for each set.

    Raises InputError for an unknown suffix, a folder, no `source` for a VCF, a `source` that has such INFO fields, a
    selection that leaves nothing or that the format cannot hold, and AnnData of several scorers in one file;
    ValueError if a VCF gets other alleles than `source` has.
    """
    path, provenance, templates = pathlib.Path(path), dict(provenance or {}), list(templates)
    _check_path(path)
    if path.name.endswith(_ARRAYS) and (top is not None or track_sets):
        raise InputError(
            f"cannot write {path}: an array has all items and tracks, so it cannot hold top rows or track sets; write "
            f"{', '.join(_TABLES)}, or choose tracks by a query"
        )
    cut = TrackFilter(templates, keep_tracks) if keep_tracks.strip() else None
    templates = cut.templates if cut else templates
    columns = optional_columns(templates, columns)
    provenance |= _describe({"keep_tracks": keep_tracks.strip(), "top": top, "track_sets": dict(track_sets or {})})
    if path.name.endswith(_TABLES):
        tidy = Tidy(templates, columns, RowSelection(templates, top, track_sets))
        write = parquet_folder.write_folder if path.name.endswith(FOLDERS) else _rows
        opened = write(path, tidy, provenance)
    elif path.name.endswith(_VCF):
        if source is None:
            raise InputError(f"cannot write {path}: there is no VCF to annotate; choose {', '.join(_TABLES)}")
        sets = find_sets(templates, track_sets) if track_sets else None
        opened = annotate(path, pathlib.Path(source), provenance, overwrite, sets)
    elif path.name.endswith(zarr_scores.SUFFIX):
        opened = zarr_scores.write_zarr(path, provenance)
    else:
        opened = anndata_scores.write_anndata(path, templates, columns, provenance)
    with opened as put:
        yield Writer(put if cut is None else lambda result: put(cut(result)))


def provenance_file(path: pathlib.Path) -> pathlib.Path:
    """The file beside a TSV that tells what made it: a table's first line should be its column names."""
    return path.with_name(f"{path.name}.json")


def _describe(selection: Mapping[str, Any]) -> dict[str, str]:
    """What was chosen of the scores, as text; without it nobody could say later what an output should have."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in selection.items() if value}


def _check_path(path: pathlib.Path) -> None:
    known = path.name.endswith(SUFFIXES)
    if known and (not path.is_dir() or path.name.endswith(FOLDERS)):
        return
    what = "is a folder" if path.is_dir() else "has no known suffix"
    raise InputError(f"cannot write {path}: it {what}; expected a name that ends in {', '.join(SUFFIXES)}")


@contextlib.contextmanager
def _rows(path: pathlib.Path, tidy: Tidy, provenance: Mapping[str, str]) -> Iterator[Put]:
    """Tidy rows, some `ROWS` at a time."""
    beside = () if path.suffix == ".parquet" else (provenance_file(path),)
    waiting: list[Result] = []
    count = 0

    with replacing(*beside, path) as (*told, scratch), _open_rows(scratch, tidy, provenance) as write:
        for file in told:
            file.write_text(json.dumps(dict(provenance), indent=1) + "\n")

        def put(result: Result) -> None:
            nonlocal count
            waiting.append(result)
            count += count_rows(result)
            if count >= ROWS:
                flush()

        def flush() -> None:
            nonlocal count
            if waiting:
                write(waiting)
            waiting.clear()
            count = 0

        yield put
        flush()


@contextlib.contextmanager
def _open_rows(
    path: pathlib.Path, tidy: Tidy, provenance: Mapping[str, str]
) -> Iterator[Callable[[Sequence[Result]], None]]:
    """Writes the rows of some results to parquet or text."""
    if path.suffix != ".parquet":
        with open_tsv(path, tidy) as write:
            yield write
        return
    with open_parquet(path, tidy.schema.with_metadata({KEY: json.dumps(provenance)})) as out:
        # Most tables are a little above ROWS.
        yield lambda results: out.write_table(tidy.table(results), row_group_size=2 * ROWS)
