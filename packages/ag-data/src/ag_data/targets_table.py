"""Borzoi's table of targets (`targets.txt`): what the columns of a training set are, and manifests from it.

Tab-separated: a number (the column of the target), identifier (with + or - at the end for strands), file, clip,
clip_soft, scale, sum_stat, strand_pair (the number of the target on the other strand, or its own), description such as
`CAGE:liver` or `CHIP:H3K27ac:liver`.
"""

import csv
import dataclasses
import math
import os
import pathlib
import re
from typing import Any

from ag_core.errors import InputError

from ag_data.files import check_file

_NEEDED = ("identifier", "sum_stat", "description")
_STATISTICS = ("sum", "sum_sqrt", "sum_exp75", "mean", "avg", "mean_sqrt", "avg_sqrt", "median", "max", "peak")
_MODALITIES = {
    "CAGE": "cage",
    "DNASE": "dnase",
    "ATAC": "atac",
    "RNA": "rna_seq",
    "RNA3": "rna_seq",
    "PROCAP": "procap",
}
# H3K4me3, H2AFZ, H2A.Z, H4K20me1, H3, H3ac
_HISTONE = re.compile(r"H(1|2A|2B|3|4)(\W|F|K|R|S|T|ac|ub|$)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Target:
    """A row of the table; `clip` and `clip_soft` are infinite where there is none."""

    column: int
    identifier: str
    strand: str
    file: str
    clip: float
    clip_soft: float
    scale: float
    sum_stat: str
    partner: int
    description: str

    @property
    def name(self) -> str:
        """The identifier without the strand."""
        return self.identifier if self.strand == "." else self.identifier[:-1]

    @property
    def assay(self) -> str:
        """What stands before the colon of the description; '' without a colon."""
        return self.description.partition(":")[0] if ":" in self.description else ""

    @property
    def biosample_name(self) -> str:
        """The rest of the description."""
        return self.description.partition(":")[2] if ":" in self.description else self.description


def read_targets(path: str | os.PathLike[str]) -> list[Target]:
    """The targets on '+', then their partners on '-' in the same order, then the others.

    Raises InputError, with the target, for other tables and strands that do not pair up.
    """
    check_file(path, "table of targets")
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t")
        names = list(reader.fieldnames or ())
        rows = list(reader)
    if missing := [column for column in _NEEDED if column not in names[1:]]:
        raise InputError(
            f"table of targets {path} has no column {', '.join(missing)}; expected a number, identifier, file, clip, "
            "clip_soft, scale, sum_stat, strand_pair and description, separated by tabs"
        )
    targets: dict[int, Target] = {}
    for line, row in enumerate(rows, 2):
        try:
            target = _target(row, names[0])
        except (ValueError, TypeError) as error:
            raise InputError(f"table of targets {path}, line {line}: {error}; correct the table") from error
        if target.column in targets:
            raise InputError(f"table of targets {path}, line {line}: the number {target.column} occurs twice")
        targets[target.column] = target
    if not targets:
        raise InputError(f"table of targets {path} has no rows; make it again")
    targets = {column: _with_strand(path, target, targets) for column, target in targets.items()}
    keys = [(target.name, target.strand) for target in targets.values()]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise InputError(f"table of targets {path}: {twice[0]!r} on strand {twice[1]!r} occurs twice; rename one")
    plus = [target for target in targets.values() if target.strand == "+"]
    alone = [target for target in targets.values() if target.strand == "."]
    return [*plus, *(targets[target.partner] for target in plus), *alone]


def manifest_entries(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The tracks of a manifest for the bigWig files in the column `file` (relative to the table).

    Values are taken as the files have them; clip, clip_soft, scale and sum_stat stay as columns. Raises InputError for
    files of other kinds and for assays that have no modality here.
    """
    entries = []
    for target in read_targets(path):
        file = pathlib.Path(target.file)
        if file.suffix.lower() not in (".bw", ".bigwig"):
            raise InputError(
                f"table of targets {path}: the file of {target.identifier} is {target.file!r}, no bigWig; convert it "
                "(.w5 is HDF5 with one array of values for each chromosome) and put the bigWig's path there"
            )
        entry: dict[str, Any] = {"path": str((pathlib.Path(path).parent / file).absolute()), "source": "bigwig"}
        entry |= {"name": target.name, "strand": target.strand, **_assay(path, target)}
        entry |= {"description": target.description, "sum_stat": target.sum_stat}
        numbers = {"clip": target.clip, "clip_soft": target.clip_soft, "scale": target.scale}
        entries.append(entry | {key: value for key, value in numbers.items() if math.isfinite(value)})
    return entries


def _target(row: dict[str, Any], first: str) -> Target:
    """A row, whose strand is not known yet. Raises ValueError."""

    def number(column: str, usual: float) -> float:
        text = (row.get(column) or "").strip()
        value = float(text) if text and text.lower() not in ("nan", "none") else usual
        if not value > 0:
            raise ValueError(f"{column} is {text!r}, expected a number above 0")
        return value

    column = int(row[first])
    if column < 0 or not row["identifier"] or row["sum_stat"] not in _STATISTICS:
        raise ValueError(
            f"number {column}, identifier {row['identifier']!r}, sum_stat {row['sum_stat']!r}; expected a number of at "
            f"least 0, a name, and one of {', '.join(_STATISTICS)}"
        )
    return Target(
        column=column,
        identifier=row["identifier"],
        strand=".",
        file=row.get("file") or "",
        clip=number("clip", math.inf),
        clip_soft=number("clip_soft", math.inf),
        scale=number("scale", 1.0),
        sum_stat=row["sum_stat"],
        partner=int(row.get("strand_pair") or column),
        description=row["description"] or "",
    )


def _with_strand(path: str | os.PathLike[str], target: Target, targets: dict[int, Target]) -> Target:
    """The target with the strand its identifier ends in, if it has a partner."""
    if target.partner == target.column:
        return target
    other = targets.get(target.partner)
    if other is None or other.partner != target.column or {target.identifier[-1], other.identifier[-1]} != {"+", "-"}:
        raise InputError(
            f"table of targets {path}: {target.identifier} ({target.column}) names {target.partner} "
            f"({other.identifier if other else 'not there'}) as its partner; expected one that names it back, and "
            "identifiers that end in + and -"
        )
    return dataclasses.replace(target, strand=target.identifier[-1])


def _assay(path: str | os.PathLike[str], target: Target) -> dict[str, str]:
    """Modality, assay, biosample, and what a ChIP was against."""
    found = {"assay": target.assay, "biosample_name": target.biosample_name}
    if target.assay.upper() == "CHIP":
        factor, _, biosample = target.biosample_name.partition(":")
        histone = bool(_HISTONE.match(factor))
        found |= {"modality": "chip_histone" if histone else "chip_tf", "biosample_name": biosample}
        return found | {"histone_mark" if histone else "transcription_factor": factor}
    if target.assay.upper() not in _MODALITIES:
        raise InputError(
            f"table of targets {path}: {target.identifier} is described as {target.description!r}; expected a text "
            f"that starts with one of {', '.join(_MODALITIES)} or CHIP, and a colon"
        )
    return found | {"modality": _MODALITIES[target.assay.upper()]}
