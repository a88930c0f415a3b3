"""Symbolic alleles (<DEL>, <DUP>, <INV>, <INS>) as bases, where the record and the genome tell them.

Source: VCF 4.4, sections 1.4.5, 1.6.1 and 3: POS is the base before the event, which covers POS + 1 to END, and SVLEN
is its number of bases (negative for deletions up to VCF 4.3).
"""

import dataclasses
import re
from collections.abc import Callable, Mapping

from ag_core.genome import Interval, Variant
from ag_core.sequence import reverse_complement

# Alleles that stand for all that was not seen, in gVCFs and pileups.
ANY_OTHER = ("*", "NON_REF", "X")
ANY_OTHER_REASON = "stands for any allele that was not seen"
# INFO fields with the inserted bases, in the order in which they are looked for. In SEQ of a deletion some callers put
# what is lost.
_INSERTED = {"INS": ("SVINSSEQ", "INSSEQ", "SEQ"), "DEL": ("SVINSSEQ",)}
_NOT_BASES = re.compile("[^ACGTN]")


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """What a symbolic allele does behind its anchor, the base at POS.

    - `kind`: DEL, DUP (a copy right behind the original), INV or INS.
    - `length`: bases of the genome it takes in, from POS + 1 on; 0 for INS.
    - `inserted`: upper-case bases that come in: of INS, and of DEL where others take the place of those lost.
    - `imprecise`: the record says that the ends are not known to the base.
    """

    kind: str
    length: int
    inserted: str = ""
    imprecise: bool = False

    @property
    def longest(self) -> int:
        """Bases of the longer allele, anchor included."""
        return 1 + max(self.length, len(self.inserted))


def read_event(alternate: str, position: int, info: str, alt: int = 0, count: int = 1) -> Event | str:
    """The event of a symbolic allele, or the reason why its bases cannot be known.

    `info` is the INFO column; the allele is number `alt` (from 0) of `count`.
    """
    name = alternate.strip("<>").upper()
    if name in ANY_OTHER:
        return ANY_OTHER_REASON
    kind, _, subtype = name.partition(":")
    fields = {key: value for key, _, value in (field.partition("=") for field in info.split(";"))}
    if kind not in ("DEL", "DUP", "INV", "INS") or (kind == "INV" and subtype):
        return "does not say which bases it has"
    if kind == "DUP" and subtype not in ("", "TANDEM"):
        return "does not say where the copy is"
    try:
        if kind == "DUP" and _value(fields, "SVCLAIM", alt, count) == "D":
            return "SVCLAIM=D: more copies, but not where"
        inserted = _inserted(kind, fields, alt, count)
        length = 0 if kind == "INS" else _length(position, fields, alt, count, len(inserted))
    except ValueError as error:
        return str(error)
    return Event(kind, length, inserted, "IMPRECISE" in fields)


def realise(event: Event, chromosome: str, position: int, fetch: Callable[[Interval], str]) -> Variant:
    """The event as explicit alleles, anchored at `position` (1-based POS).

    `fetch(interval)` returns upper-case bases; letters other than ACGT become N.
    """
    bases = _NOT_BASES.sub("N", fetch(Interval(chromosome, position - 1, position + event.length)))
    anchor, segment = bases[0], bases[1:]
    reference, alternate = {
        "DEL": (bases, anchor + event.inserted),
        "DUP": (anchor, bases),
        "INV": (bases, anchor + reverse_complement(segment)),
        "INS": (anchor, anchor + event.inserted),
    }[event.kind]
    return Variant(chromosome, position, reference, alternate)


def _value(fields: Mapping[str, str], key: str, alt: int, count: int) -> str:
    """The value for one of `count` alleles; '' when there is none."""
    values = fields.get(key, "").split(",")
    if values in ([""], ["."]):
        return ""
    if len(values) != count:
        raise ValueError(f"{key} has another number of values than there are alleles")
    return "" if values[alt] == "." else values[alt]


def _number(text: str, key: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{key} is no whole number") from None


def _inserted(kind: str, fields: Mapping[str, str], alt: int, count: int) -> str:
    """Bases that come in. Raises ValueError when they are not, or not all, given."""
    keys = _INSERTED.get(kind, ())
    found = [key for key in keys if _value(fields, key, alt, count)]
    bases = _value(fields, found[0], alt, count).upper() if found else ""
    more = any(_value(fields, key, alt, count) not in ("", "0") for key in ("SVINSSEQ", "SVINSLEN", "LEFT_SVINSSEQ"))
    if not keys and more:
        raise ValueError("does not say where the inserted bases are")
    if not bases and (more or kind == "INS"):
        raise ValueError(f"does not say which bases are inserted (INFO {', '.join(keys)})")
    if _NOT_BASES.search(bases):
        raise ValueError(f"{found[0]} has letters other than ACGTN")
    length = _value(fields, "SVLEN", alt, count)
    if kind == "INS" and length and abs(_number(length, "SVLEN")) != len(bases):
        raise ValueError(f"SVLEN and {found[0]} disagree")
    return bases


def _length(position: int, fields: Mapping[str, str], alt: int, count: int, inserted: int) -> int:
    """Bases of the genome that the event takes in. Raises ValueError when that is not known."""
    size, last = _value(fields, "SVLEN", alt, count), fields.get("END", "").replace(".", "")
    by_end = _number(last, "END") - position if last else None
    length = abs(_number(size, "SVLEN")) if size else by_end
    if length is None:
        raise ValueError("has neither END nor SVLEN")
    # END is one for all alleles, hence that of the longest; some callers give as SVLEN the difference of lengths.
    if count == 1 and by_end not in (None, length):
        if _number(size, "SVLEN") != inserted - (by_end or 0):
            raise ValueError("END and SVLEN disagree")
        length = by_end or 0
    if length < 1:
        raise ValueError("END is not behind POS")
    return length
