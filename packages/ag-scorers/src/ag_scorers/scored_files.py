"""Reads back what `agenome score` wrote: who made it, and random rows. One small reader for each format."""

import pathlib
import zlib
from collections.abc import Callable

from ag_core.errors import InputError

from ag_scorers import anndata_scores, parquet_folder, sampled_arrays, sampled_tables, sampled_vcf, zarr_scores
from ag_scorers.sampled_rows import Kind, Sample, SampledRow

_Told = Callable[[pathlib.Path], dict[str, str]]
_Rows = Callable[[pathlib.Path, int, int], list[SampledRow]]
_PARQUET = (Kind.TABLE, sampled_tables.parquet_provenance, sampled_tables.sample_parquet)
_TSV = (Kind.TABLE, sampled_tables.tsv_provenance, sampled_tables.sample_tsv)
_VCF = (Kind.ENTRY, sampled_vcf.vcf_provenance, sampled_vcf.sample_vcf)
READERS: dict[str, tuple[Kind, _Told, _Rows]] = {
    ".parquet": _PARQUET,
    parquet_folder.SUFFIX: _PARQUET,
    ".tsv": _TSV,
    ".tsv.gz": _TSV,
    ".vcf": _VCF,
    ".vcf.gz": _VCF,
    zarr_scores.SUFFIX: (Kind.CELL, sampled_arrays.zarr_provenance, sampled_arrays.sample_zarr),
    anndata_scores.SUFFIX: (Kind.CELL, sampled_arrays.anndata_provenance, sampled_arrays.sample_anndata),
}


# What the formats' libraries raise.
_DAMAGE = (OSError, EOFError, zlib.error, LookupError, ValueError, TypeError, NotImplementedError, RecursionError)
_DAMAGE += (MemoryError,)


def sample_rows(path: pathlib.Path, count: int, seed: int) -> Sample:
    """What made an output, and `count` random rows of it in their order (all of them if there are no more).

    Raises InputError for a file of another kind, one that does not tell what made it, or one that cannot be read.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path")
    suffix = next((suffix for suffix in READERS if path.name.endswith(suffix)), None)
    if suffix is None:
        raise InputError(f"{path} has no known suffix; expected a name that ends in {', '.join(READERS)}")
    kind, told, rows = READERS[suffix]
    try:
        made_by = told(path)
        if not {"model_digest", "requested", "reference"} <= set(made_by):
            raise InputError(f"{path} does not tell what made it: it was not written by `agenome score`")
        return Sample(made_by, kind, rows(path, count, seed))
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(f"{path} cannot be read ({error}); make it again") from error
