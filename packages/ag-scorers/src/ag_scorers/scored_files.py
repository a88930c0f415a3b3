"""Reads back what `agenome score` wrote: who made it, and random rows."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
from ag_core.errors import InputError

SUFFIXES = (".parquet", ".parquet.d")


@dataclasses.dataclass(frozen=True)
class SampledRow:
    """A row of an output; `values` are its columns (`ag_scorers.tidy`), `place` its (record, alt)."""

    values: Mapping[str, Any]

    @property
    def place(self) -> tuple[int, int]:
        """Number of the record in the input, and of the allele in the record."""
        return self.values["record"], self.values["alt"]

    @property
    def chromosome(self) -> str:
        """CHROM of the input."""
        return self.values["chromosome"]

    @property
    def position(self) -> int:
        """POS of the input."""
        return self.values["position"]

    @property
    def reference(self) -> str:
        """REF of the input."""
        return self.values["reference"] or "."

    @property
    def alternate(self) -> str:
        """ALT of the input."""
        return self.values["alternate"] or "."

    @property
    def status(self) -> str:
        """What became of the allele."""
        return self.values["status"]


def sample_rows(path: pathlib.Path, count: int, seed: int) -> tuple[dict[str, str], list[SampledRow]]:
    """What made an output, and `count` random rows of it in their order (all of them if there are no more).

    Raises InputError for a file of another kind, or one that does not tell what made it.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path")
    if not path.name.endswith(SUFFIXES):
        raise InputError(f"{path}: only {' and '.join(SUFFIXES)} tell row by row what was scored; verify one of these")
    try:
        data = pyarrow.dataset.dataset(path, format="parquet", partitioning=_hive(path))
        made_by = json.loads((data.schema.metadata or {}).get(b"agenome", b"{}"))
        if not {"model_digest", "requested", "reference"} <= set(made_by):
            raise InputError(f"{path} does not tell what made it: it was not written by `agenome score`")
        chosen = np.random.default_rng(seed).permutation(data.count_rows())[:count]
        rows = data.take(pa.array(np.sort(chosen))).to_pylist()
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path} cannot be read ({error}); make it again") from error
    return made_by, [SampledRow(row) for row in rows]


def _hive(path: pathlib.Path) -> Any:
    schema = pa.schema([("chromosome", pa.string())])
    return pyarrow.dataset.partitioning(schema, flavor="hive") if path.is_dir() else None
