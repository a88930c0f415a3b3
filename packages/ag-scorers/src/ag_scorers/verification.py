"""Scores rows of an output again, and says why any of them differ: `agenome score verify`.

An output tells what made it (`ag_scorers.digests`). A row that comes out otherwise has one of these causes: other
weights, another reference base, another annotation, other scorer settings, other numerics, a number that is not finite,
or, when all of these are the same, a value that was changed after it was written.
"""

import collections
import dataclasses
import json
import math
import os
import pathlib
import tempfile
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from ag_core.errors import InputError
from ag_data.fasta import Fasta
from ag_data.variants import Call, Status, read_variants

from ag_scorers.calibration import calibrate_result, load_calibration
from ag_scorers.campaign import score_calls
from ag_scorers.digests import provenance
from ag_scorers.engine import Engine
from ag_scorers.expected_rows import NUMBERS, PRINTED, ExpectedRows, strongest
from ag_scorers.results import Result
from ag_scorers.sampled_rows import Kind, Sample, SampledRow
from ag_scorers.scored_files import sample_rows
from ag_scorers.scoring import Survey, asked_for, open_engine
from ag_scorers.shards import compare_plans

# What of the provenance each cause is about, in the order in which they are blamed.
FACTS = {
    "weights": ("model_digest",),
    "reference": ("reference",),
    "annotation": ("gtf", "splice_sites", "polya"),
    "scorer settings": ("scorers", "tracks", "organism", "window", "window_grid", "indel", "repair", "parity"),
    "numerics": ("numerics", "precision", "version"),
}
FILES = ("gtf", "splice_sites", "polya")
# Relative and absolute difference that other neighbours in a batch explain; and another device or library.
SAME, OTHER, LOW = (2e-4, 2e-5), (1e-2, 1e-3), (5e-2, 5e-2)


@dataclasses.dataclass(frozen=True)
class Difference:
    """A row that came out otherwise; `found` is what the file has, `expected` what it is now."""

    row: Mapping[str, Any]
    what: str
    found: Any
    expected: Any
    cause: str


@dataclasses.dataclass(frozen=True)
class Verification:
    """Rows scored again, rows passed over (their alleles are not spelt out), and what differs.

    `changes`: by cause, in words, what is not as it was when the file was made, whether or not a row shows it.
    """

    rows: int
    skipped: int
    differences: list[Difference]
    changes: dict[str, list[str]]

    @property
    def causes(self) -> collections.Counter[str]:
        """How many rows differ for which cause."""
        return collections.Counter(difference.cause for difference in self.differences)


def verify(
    path: str | os.PathLike[str],
    count: int,
    *,
    fasta: str | os.PathLike[str],
    model: str | os.PathLike[str] | None = None,
    seed: int = 0,
    **files: str | os.PathLike[str] | None,
) -> Verification:
    """Scores `count` random rows of an output again, of any format that `agenome score` writes.

    - `fasta`, and `gtf`, `splice_sites`, `polya` among `files`: what the output was made with, or now should be.
    - `model`: by default the one that the output names.

    Raises InputError when the output does not tell what made it, or a file that it was made with is not given.
    """
    sample = sample_rows(pathlib.Path(path), count, seed)
    made_by = sample.made_by
    if missing := [name for name in FILES if name in made_by and not files.get(name)]:
        names = ", ".join(f"--{name.replace('_', '-')} ({json.loads(made_by[name])['name']})" for name in missing)
        raise InputError(f"{path} was made with files that are needed again: {names}")
    genome = Fasta(fasta)
    given: dict[str, Any] = {name: files.get(name) for name in FILES}
    options = _options(made_by) | given
    engine = open_engine(genome, model=model or made_by["model"], **options)
    rows = [row for row in sample.rows if not row.alternate.startswith("<")]
    repair = made_by.get("repair") == "true"
    results, chromosomes = _score(engine, genome, rows, repair, made_by.get("calibration"), model or made_by["model"])
    now = provenance(engine, chromosomes, asked_for(**options) | ({"repair": True} if repair else {}))
    changes = _changes(made_by, now)
    skipped = len(sample.rows) - len(rows)
    sample = dataclasses.replace(sample, rows=rows)
    return Verification(len(rows), skipped, list(_compare(sample, results, engine, changes)), changes)


def _options(made_by: Mapping[str, str]) -> dict[str, Any]:
    """Options of `open_engine` as they were."""
    options: dict[str, Any] = {name: made_by[name] for name in ("organism", "precision", "tracks") if name in made_by}
    options |= {"window": int(made_by["window"]), "scorers": json.loads(made_by["requested"])}
    parse = {"batch_size": int, "window_grid": int, "indel": str, "parity": str}
    parse |= {"alleles": json.loads, "partial": json.loads}
    return options | {name: read(made_by[name]) for name, read in parse.items() if name in made_by}


def _score(
    engine: Engine, genome: Fasta, rows: Sequence[SampledRow], repair: bool, calibration: str | None, model: Any
) -> tuple[dict[Hashable, Result], set[str]]:
    """Results by the allele's place in the output, and the chromosomes that they are on.

    With quantiles if the model's own calibration is the one (its digest) that was used.
    """
    alleles = {row.place: row for row in rows}
    with tempfile.TemporaryDirectory(prefix="agenome-verify-") as folder:
        vcf = pathlib.Path(folder, "rows.vcf")
        vcf.write_text(_vcf(alleles.values()))
        survey = Survey(vcf, genome, engine.window // 2, max_mismatch=1.0, repair=repair) if alleles else None
        calls: list[Call] = list(survey.check(read_variants(vcf))) if survey else []
    results = score_calls(engine.run, calls)
    if calibration and (table := load_calibration("auto", engine, model=model)).digest == calibration:
        results = [calibrate_result(result, table) for result in results]
    return dict(zip(alleles, results, strict=True)), survey.chromosomes if survey else set()


def _vcf(rows: Iterable[SampledRow]) -> str:
    rows = list(rows)
    header = [f"##contig=<ID={name}>" for name in dict.fromkeys(row.chromosome for row in rows)]
    lines = [f"{row.chromosome}\t{row.position}\t.\t{row.reference}\t{row.alternate}\t.\t.\t." for row in rows]
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    return "\n".join(["##fileformat=VCFv4.3", *header, columns, *lines]) + "\n"


def _changes(made_by: Mapping[str, str], now: Mapping[str, str]) -> dict[str, list[str]]:
    """By cause, what is not as it was."""
    changes = {}
    for cause, names in FACTS.items():
        before, after = ({name: _parsed(facts[name]) for name in names if name in facts} for facts in (made_by, now))
        if "reference" in names:  # of the rows' chromosomes alone
            before["reference"] = {name: before["reference"].get(name) for name in after["reference"]}
        for name in FILES:  # a file may have another name
            for facts in (before, after):
                if name in facts:
                    facts[name] = {"sha256": facts[name]["sha256"]}
        if words := compare_plans(before, after):
            changes[cause] = words
    return changes


def _parsed(text: str) -> Any:
    return json.loads(text) if text.startswith(("{", "[")) else text


def _compare(
    sample: Sample, results: Mapping[Hashable, Result], engine: Engine, changes: Mapping[str, list[str]]
) -> Iterator[Difference]:
    again = ExpectedRows(engine.templates(), results, sample.kind, sample.made_by)
    low = engine.checkpoint.model.precision == "bfloat16"
    relative, absolute = LOW if low else OTHER if "numerics" in changes else SAME
    blamed = next((cause for cause in FACTS if cause in changes and cause != "numerics"), "")
    relative += PRINTED if sample.kind is Kind.ENTRY else 0
    for row in sample.rows:
        result = results[row.place]
        if result.call.status.value != row.status:
            cause = "reference base" if result.call.status in _PLACE else blamed or "status"
            yield Difference(row.values, "status", row.status, result.call.status.value, cause)
            continue
        if "scorer" not in row.values:  # it tells the status alone
            continue
        now = again.find(row)
        if now is None:
            yield Difference(row.values, "row", "there", "not there", blamed or "values")
            continue
        for name in NUMBERS:
            if name not in row.values:
                continue
            found = math.nan if row.values[name] is None else row.values[name]
            expected = strongest(now.get(name), found, relative, absolute)
            if name != "score" and math.isnan(expected):  # the calibration or option is not at hand
                continue
            if np.isclose(found, expected, relative, absolute, equal_nan=True):
                continue
            cause = blamed
            if not cause and math.isfinite(expected) and not math.isfinite(found):
                cause = "non-finite"
            if not cause and "numerics" in changes and np.isclose(found, expected, *LOW):
                cause = "numerics"
            yield Difference(row.values, name, found, expected, cause or "values")
            break


# Statuses that mean that the genome is not what it was.
_PLACE = (Status.REF_MISMATCH, Status.OUTSIDE, Status.UNKNOWN_CONTIG)
