"""What the VCF doctor says: problems, what they mean for scoring, and remedies."""

import collections
import dataclasses
import pathlib
import textwrap
from collections.abc import Mapping
from typing import Any

from ag_data.variants import Status

REPAIR = "`agenome vcf repair`, or `agenome score --repair`"


@dataclasses.dataclass(frozen=True)
class Problem:
    """One kind of fault.

    - `count`: alleles (of a file's header or order: records) that have it; `examples`: the first few, with their lines.
    - `outcome`: what scoring makes of them; `repaired`: the same after a repair, '' where that changes nothing.
    - `remedy`: '' where nothing needs to be done.
    """

    name: str
    count: int
    examples: tuple[str, ...]
    outcome: str
    repaired: str = ""
    remedy: str = ""


@dataclasses.dataclass(frozen=True)
class VcfReport:
    """What was found in a file; every allele is counted once in `statuses` and once in `repaired`."""

    path: pathlib.Path
    records: int
    alleles: int
    statuses: Mapping[str, int]
    repaired: Mapping[str, int]
    problems: tuple[Problem, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**dataclasses.asdict(self), "path": str(self.path)}

    def __str__(self) -> str:
        lines = []
        for problem in self.problems:
            lines.append(f"{problem.name}: {problem.count:,}")
            scoring = f"in scoring: {problem.outcome}"
            scoring += f"; repaired: {problem.repaired}" if problem.repaired else ""
            remedy = f"-> {problem.remedy}" if problem.remedy else ""
            for text in (*problem.examples, scoring, remedy):
                lines += textwrap.wrap(text, 116, initial_indent="    ", subsequent_indent="    ")
        lines.append(f"{self.path}: {self.records:,} records, {self.alleles:,} alleles")
        lines += [
            f"    {counts}" for counts in (f"now:      {_text(self.statuses)}", f"repaired: {_text(self.repaired)}")
        ]
        return "\n".join(lines)


def _text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{status} {count:,}" for status, count in counts.items()) or "nothing"


class Tally:
    """Counts problems by name and keeps the first few examples of each."""

    _EXAMPLES = 3

    def __init__(self):
        self._counts: collections.Counter[str] = collections.Counter()
        self._first: dict[str, Problem] = {}
        self._outcomes: dict[str, dict[tuple[str, str], None]] = collections.defaultdict(dict)

    def add(
        self, name: str, example: str, outcome: str = Status.SCORED.value, repaired: str = "", remedy: str = ""
    ) -> None:
        """Another allele with the problem `name`."""
        self._counts[name] += 1
        self._outcomes[name][outcome, repaired if repaired != outcome else ""] = None
        known = self._first.get(name) or Problem(name, 0, (), outcome, repaired, remedy)
        if len(known.examples) < self._EXAMPLES:
            known = dataclasses.replace(known, examples=(*known.examples, example))
        self._first[name] = known

    def problems(self) -> tuple[Problem, ...]:
        """All of them: those that keep alleles from being scored first, then the most frequent."""
        found = []
        for name, problem in self._first.items():
            outcomes, repaired = (
                ", ".join(dict.fromkeys(text for text in texts if text))
                for texts in zip(*self._outcomes[name], strict=True)
            )
            found.append(dataclasses.replace(problem, count=self._counts[name], outcome=outcomes, repaired=repaired))
        return tuple(sorted(found, key=lambda one: (one.outcome == Status.SCORED.value, -one.count)))
