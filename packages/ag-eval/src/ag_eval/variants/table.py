"""A table of variants with labels or effects as an evaluation describes it: read, checked, held against the genome."""

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np
import pandas as pd
from ag_core.errors import InputError
from ag_core.genome import Variant
from ag_data import Call, Fasta, Status, check_calls

from ag_eval.table_files import open_table
from ag_eval.variants.settings import Manifest


@dataclasses.dataclass(frozen=True)
class VariantTable:
    """Rows with columns named by what they mean, `target` as numbers (labels 0 and 1), and a call for each.

    `turned` counts those whose alleles were the other way round.
    """

    rows: pd.DataFrame
    calls: list[Call]
    turned: int


def read_table(path: str | os.PathLike[str], manifest: Manifest) -> pd.DataFrame:
    """Its columns by what they mean. Raises InputError that names file, column or row and what to do."""
    path = pathlib.Path(path)
    table: Any = open_table(path, manifest)
    named = {**manifest.columns, **{f"peer {name}": column for name, column in manifest.peers.items()}}
    if missing := [name for name in named.values() if name not in table]:
        raise InputError(
            f"{path} has no column {', '.join(missing)}; it has {', '.join(map(str, table.columns[:12]))}. Expected is "
            f"{manifest.source}"
        )
    table = table.loc[:, list(named.values())].set_axis(list(named), axis=1)
    if "used" in table:
        # Text as it is written, so that "False" does not count as true.
        table = table.loc[table["used"].astype(str).str.lower().isin(["true", "1", "1.0"])]
    table = table.reset_index(drop=True)
    # Else a missing allele would be read as the bases N, A and N.
    missing = table[["chromosome", "position", "reference", "alternate"]].isna().any(axis=1)
    if missing.any():
        raise InputError(
            f"{path}: {int(missing.sum())} rows lack chromosome, position or an allele, first row "
            f"{int(missing.idxmax()) + 1} of those used; complete them or leave them out"
        )
    table["target"] = _targets(table["target"], manifest, path)
    keys = [role for role in ("chromosome", "position", "reference", "alternate", "gene", "tissue") if role in table]
    twice = table.duplicated([*keys, *(["pair"] if "pair" in table else [])])
    if twice.any():
        row = table.loc[twice].iloc[0]
        raise InputError(
            f"{path}: {int(twice.sum())} rows occur more than once, such as {row['chromosome']}:{row['position']}:"
            f"{row['reference']}>{row['alternate']}; leave one of each"
        )
    return table


def _targets(column: Any, manifest: Manifest, path: pathlib.Path) -> Any:
    if manifest.labels is None:
        numbers: Any = pd.to_numeric(column, errors="coerce")
        if (wrong := numbers.isna() & column.notna()).any():
            raise InputError(f"{path}: the effect {column[wrong].iloc[0]!r} is no number; correct or leave out the row")
        return numbers
    known = dict.fromkeys(manifest.labels.positive, 1.0) | dict.fromkeys(manifest.labels.negative, 0.0)
    numbers = column.map(known)
    if (wrong := numbers.isna()).any():
        raise InputError(
            f"{path}: {int(wrong.sum())} labels such as {column[wrong].iloc[0]} are neither positive "
            f"({manifest.labels.positive}) nor negative ({manifest.labels.negative})"
        )
    return numbers


def check_table(rows: pd.DataFrame, manifest: Manifest, fasta: Fasta, most_mismatches: float = 0.05) -> VariantTable:
    """Compares alleles with the genome; rows that do not fit keep their status and are not scored.

    Raises InputError when more than `most_mismatches` have another REF than the genome: then it is another assembly.
    """
    rows = rows.copy()
    calls = list(check_calls((_call(number, row) for number, row in enumerate(rows.itertuples())), fasta))
    turned = 0
    if manifest.alleles == "either order":
        wrong_way = [call.record for call in calls if call.status is Status.REF_MISMATCH]
        turning = zip(wrong_way, rows.loc[wrong_way].itertuples(), strict=True)
        others = (_call(number, row, turn=True) for number, row in turning)
        for call in check_calls(others, fasta):
            if call.status is Status.SCORED:
                calls[call.record], turned = call, turned + 1
                if manifest.labels is None:
                    rows.loc[call.record, "target"] *= -1
    wrong = sum(call.status is Status.REF_MISMATCH for call in calls)
    if wrong > most_mismatches * len(rows):
        example = next(call for call in calls if call.status is Status.REF_MISMATCH)
        raise InputError(
            f"{wrong:,} of {len(rows):,} reference alleles are not those of {fasta.path}, such as {example}; the table "
            f"is {manifest.assembly}: give that genome, or a table of yours"
        )
    if not any(call.status is Status.SCORED for call in calls):
        found = ", ".join(sorted({call.status.value for call in calls})) or "no row"
        raise InputError(f"no row of the table can be scored on {fasta.path} ({found}); give the genome of the table")
    return VariantTable(rows, calls, turned)


def _call(number: int, row: Any, *, turn: bool = False) -> Call:
    chromosome, position = str(row.chromosome), int(row.position)
    # Some tables write "-" for no base.
    alleles = [str(allele).upper().replace("-", "") for allele in (row.reference, row.alternate)]
    reference, alternate = alleles[::-1] if turn else alleles
    try:
        variant = Variant(chromosome, position, reference, alternate)
        status, detail = Status.SCORED, ""
    except ValueError as error:
        variant, status, detail = None, Status.INVALID_ALLELE, str(error)
    return Call(number, 0, chromosome, position, reference, alternate, "", status, variant, detail)


def positions_of(calls: list[Call]) -> np.ndarray:
    """A number for each place, so that alleles of one place are drawn together."""
    return np.unique([f"{call.chromosome}:{call.position}" for call in calls], return_inverse=True)[1]
