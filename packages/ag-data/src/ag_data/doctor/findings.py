"""What the doctor finds, and the report of an examination."""

import dataclasses
import os
import textwrap
from collections.abc import Mapping, Sequence

import pandas as pd

from ag_data.place_table import write_places

ERROR, WARNING = "error", "warning"
SEVERITIES = (ERROR, WARNING)
COLUMNS = ("severity", "check", "subject", "evidence", "remedy")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong (error) or may be (warning): what was looked at, the numbers, and what to do."""

    check: str
    severity: str
    subject: str
    evidence: str
    remedy: str


@dataclasses.dataclass(frozen=True)
class Report:
    """What an examination of `subject` found, errors first.

    `examined` counts the tracks or files that each check looked at; `notes` say which checks could not be done.
    """

    subject: str
    findings: tuple[Finding, ...]
    examined: Mapping[str, int]
    notes: tuple[str, ...] = ()

    @property
    def worst(self) -> str | None:
        """ "error", "warning", or None when nothing was found."""
        return next((severity for severity in SEVERITIES if any(f.severity == severity for f in self.findings)), None)

    def table(self) -> pd.DataFrame:
        """One row for each finding: severity, check, subject, evidence, remedy."""
        return pd.DataFrame([dataclasses.asdict(finding) for finding in self.findings], columns=list(COLUMNS))

    def __str__(self) -> str:
        lines = []
        for finding in self.findings:
            lines.append(f"{finding.severity.upper()} {finding.check}: {finding.subject}")
            for text in (finding.evidence, f"-> {finding.remedy}"):
                lines += textwrap.wrap(text, 116, initial_indent="    ", subsequent_indent="    ")
        lines += [f"not checked: {note}" for note in self.notes]
        counts = [sum(f.severity == severity for f in self.findings) for severity in SEVERITIES]
        total = " and ".join(f"{n} {s}{'' if n == 1 else 's'}" for n, s in zip(counts, SEVERITIES, strict=True))
        return "\n".join([*lines, f"{self.subject}: {total} from {sum(self.examined.values())} looks"])


def make_report(
    subject: str, findings: Sequence[Finding], examined: Mapping[str, int], notes: Sequence[str] = ()
) -> Report:
    """A report with findings sorted: errors first, otherwise in the order of the checks; each note once."""
    order = sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
    return Report(subject, tuple(dict.fromkeys(order)), dict(examined), tuple(dict.fromkeys(notes)))


def write_report(report: Report, path: str | os.PathLike[str]) -> None:
    """Writes the table of findings as parquet, feather, CSV or TSV. Raises InputError for another suffix."""
    write_places(report.table(), path)
