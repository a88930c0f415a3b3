"""Targets as text.

    dnase[HepG2] @ chr20:44355000-44355500              mean of the tracks that fit the query, over the span
    log2(sum(dnase[HepG2] @ chr20:44355000-44355500), 1)
    rna_seq[liver] @ gene HNF4A                         ln(0.001 + mean over exons), mean of the tracks on its strand
    splice_junctions[liver] @ chr20:44406000-44407150:+ ln(1e-7 + count) of an intron
    cage[HepG2] @ region - 0.5 * cage[K562] @ region    `region`: whatever is attributed

Between brackets stands a query over tracks (`ag_data.query`); without it, all tracks are meant. Places are 1-based
with both ends included; an intron goes from its first to its last base. `sum`, `mean`, `max` and `logmean` say how
the positions of a reading become one number for each track, of which then the mean is taken; `log` and `log2` take
any expression, and what is added to it before (0.001).
"""

import dataclasses
import math
import re
from typing import NoReturn

from ag_core.errors import InputError
from ag_core.genome import Interval

from ag_scorers.attribution.expression import (
    Aggregation,
    Exons,
    Expression,
    Here,
    Junction,
    Location,
    Logarithm,
    Reading,
    Span,
    Sum,
)

_NUMBER = re.compile(r"\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?")
_NAME = re.compile(r"[A-Za-z][\w]*(?:-[A-Za-z]\w*)?")  # RNA-seq is how people write rna_seq
_QUERY = re.compile(r"""\[((?:"[^"]*"|'[^']*'|[^\]"'])*)\]""")
# Numbers of places have up to 24 signs: Python refuses to read thousands of digits.
_PLACE = re.compile(r"([^\s:()+@,]+):([\d,]{0,23}\d)-([\d,]{0,23}\d)(?::([-+.]))?(?![\w:])")
_GENE = re.compile(r"""gene\s+(?:"([^"]+)"|([\w.-]*\w))""", re.IGNORECASE)
_REGION = re.compile(r"region\b", re.IGNORECASE)
_EXPECTED = (
    "expected readings such as dnase[HepG2] @ chr1:1001-2000, rna_seq @ gene HNF4A or cage @ region, joined by + and -"
)
_LOGS = {"log": "e", "log2": "2"}


def parse_target(text: str) -> Expression:
    """Reads the text of a target (see the module). Raises InputError that points at the place."""
    try:
        return _Parser(text).whole()
    except RecursionError:
        raise InputError(f"the target is nested too deep: {text[:80]} ...; write it flatter") from None


class _Parser:
    """Recursive descent over a text."""

    def __init__(self, text: str):
        self.text, self.at = text, 0

    def whole(self) -> Expression:
        found = self.sum()
        if self.at < len(self.text):
            self.fail("what follows is too much")
        return found

    def fail(self, problem: str, at: int | None = None) -> NoReturn:
        at = self.at if at is None else at
        raise InputError(
            f"cannot read the target at position {at + 1}: {problem}\n  {self.text}\n  {' ' * at}^\n{_EXPECTED}"
        )

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
            self.skip()
        return found

    def skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def take(self, sign: str) -> bool:
        if not self.text.startswith(sign, self.at):
            return False
        self.at += len(sign)
        self.skip()
        return True

    def need(self, sign: str) -> None:
        if not self.take(sign):
            self.fail(f"{sign!r} is missing")

    def sum(self) -> Expression:
        self.skip()
        terms = [self.term(-1.0 if self.take("-") else 1.0)]
        while (sign := 1.0 if self.take("+") else -1.0 if self.take("-") else 0.0) != 0:
            terms.append(self.term(sign))
        return terms[0][1] if len(terms) == 1 and terms[0][0] == 1 else Sum(tuple(terms))

    def term(self, sign: float) -> tuple[float, Expression]:
        if (number := self.number()) is not None:
            self.need("*")
            sign *= number
        return sign, self.factor()

    def number(self) -> float | None:
        start, found = self.at, self.match(_NUMBER)
        if found is None:
            return None
        if not math.isfinite(float(found[0])):
            self.fail("the number is too large", start)
        return float(found[0])

    def factor(self) -> Expression:
        if self.take("("):
            found = self.sum()
            self.need(")")
            return found
        start, name = self.at, self.match(_NAME)
        if name is None:
            self.fail("a modality or a function is missing")
        word = name[0].lower().replace("-", "_")
        if not self.text.startswith("(", self.at):
            return self.reading(word)
        if word in _LOGS:
            self.need("(")
            inner, pseudocount = self.sum(), None
            if self.take(","):
                pseudocount = self.number()
                if pseudocount is None:
                    self.fail("a number is missing")
            self.need(")")
            made = Logarithm(inner, _LOGS[word])
            return made if pseudocount is None else dataclasses.replace(made, pseudocount=pseudocount)
        if word not in list(Aggregation):
            known = ", ".join([*Aggregation, *_LOGS])
            self.fail(f"{name[0]!r} is no function; known: {known}", start)
        self.need("(")
        inside, modality = self.at, self.match(_NAME)
        if modality is None or self.text.startswith("(", self.at):
            self.fail(f"{word} takes one reading", inside)
        found = dataclasses.replace(self.reading(modality[0].lower().replace("-", "_")), aggregation=Aggregation(word))
        self.need(")")
        return found

    def reading(self, modality: str) -> Reading:
        query = self.match(_QUERY)
        if query is None and self.text.startswith("[", self.at):
            self.fail("']' is missing")
        self.need("@")
        location = self.location()
        return Reading(modality, "" if query is None else query[1].strip(), location, location.default)

    def location(self) -> Location:
        start = self.at
        if gene := self.match(_GENE):
            return Exons(gene[1] or gene[2])
        if place := self.match(_PLACE):
            chromosome, first, last, strand = place.groups()
            start, end = int(first.replace(",", "")) - 1, int(last.replace(",", ""))
            if start < 0 or end <= start:
                self.fail(
                    f"{place[0].strip()} has no base: places are 1-based with both ends included, first <= last",
                    place.start(),
                )
            if strand in ("+", "-"):
                return Junction(Interval(chromosome, start, end, strand))
            return Span(Interval(chromosome, start, end))
        if self.match(_REGION):
            return Here()
        self.fail("no place, such as chr1:1001-2000, gene HNF4A or region", start)
