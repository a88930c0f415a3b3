"""Random entries of the AG field of a VCF, read record by record. An allele without entries counts as one."""

import math
import pathlib
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ag_core.errors import InputError
from ag_data.vcf.text import open_lines

from ag_scorers.annotated_vcf import FACT
from ag_scorers.sampled_rows import SampledRow, reservoir

# Number of the record from 0, its columns, status of the allele, the allele, and what AG says of it.
_Found = tuple[int, Sequence[str], str, str, str]


def vcf_provenance(path: pathlib.Path) -> dict[str, str]:
    """What made it, from the lines `##AGmodel=...` of the header."""
    with open_lines(path) as (header, _):
        return {match[1]: match[2] for line in header if (match := FACT.match(line))}


def sample_vcf(path: pathlib.Path, count: int, seed: int) -> list[SampledRow]:
    """Of all entries. `scorer` is the short name, as it stands there. Raises InputError for what cannot be read."""
    with open_lines(path) as (_, records):
        return [_sampled(path, *found) for found in reservoir(_entries(path, records), count, seed)]


def _entries(path: pathlib.Path, records: Iterable[str]) -> Iterator[_Found]:
    for number, line in enumerate(records):
        columns = line.split("\t", 8)
        fields = (field.partition("=") for field in (columns[7] if len(columns) > 7 else "").split(";"))
        info = {name: value for name, _, value in fields if name}
        alleles, statuses = columns[4].split(",") if info else [], info.get("AG_STATUS", "").split(",")
        if not statuses[0] or len(alleles) != len(statuses):
            raise InputError(f"{_name(path, number, columns)} has no AG_STATUS for each ALT; score it again")
        if alleles == ["."]:  # nothing is said of it
            continue
        known = dict(zip(alleles, statuses, strict=True))
        bare = dict(known)
        for entry in info["AG"].split(",") if "AG" in info else ():
            allele = urllib.parse.unquote(entry.partition("|")[0])
            bare.pop(allele, None)
            # An allele that the record does not have gets numbers only if it was scored, as `bcftools norm` leaves it.
            yield number, columns, known.get(allele, "scored"), allele, entry
        for allele, status in bare.items():
            yield number, columns, status, allele, ""


def _sampled(
    path: pathlib.Path, number: int, columns: Sequence[str], status: str, allele: str, entry: str
) -> SampledRow:
    chromosome, position, _, reference = columns[:4]
    values: dict[str, Any] = {
        "variant": f"{chromosome}:{position}:{reference}>{allele}",
        "chromosome": chromosome,
        "position": int(position),
        "reference": reference,
        "alternate": allele,
        "status": status,
        "record": number,
        "scorer": None,
    }
    if entry:
        try:
            _, gene, scorer, track_set, raw, quantile = map(urllib.parse.unquote, entry.split("|"))
            numbers = {"score": float(raw), "quantile": math.nan if quantile == "." else float(quantile)}
        except ValueError as error:
            raise InputError(
                f"{_name(path, number, columns)} has the AG entry {entry!r}, which is not "
                "ALLELE|GENE|SCORER|TRACKSET|RAW|QUANTILE; score it again"
            ) from error
        values |= {"gene": None if gene == "." else gene, "scorer": scorer, "track_set": track_set, **numbers}
    return SampledRow(values, (number, allele))


def _name(path: pathlib.Path, number: int, columns: Sequence[str]) -> str:
    return f"{path}: record {number + 1} ({':'.join(columns[:2])})"
