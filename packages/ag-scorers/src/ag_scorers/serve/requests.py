"""What can be asked, once it has been checked: the same for gRPC and HTTP.

Coordinates are 0-based half-open. Chromosomes are spelt as in the genome; the field `name` of an interval or variant
keeps how they were spelt in the request, so that answers can repeat it.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from ag_core.config import PAIR_BIN
from ag_core.errors import InputError
from ag_core.genome import STRANDS, Interval, Variant
from ag_core.interfaces import AbstractIntervalScorer, AbstractScorer
from ag_core.model_spec import ModelSpec
from ag_data.fasta import Fasta

from ag_scorers.recommended import RECOMMENDED_INTERVAL, create_scorer, recommended
from ag_scorers.serve.errors import ServiceError, too_long
from ag_scorers.serve.settings import Settings

# Taxon -> names that a model may have for it.
ORGANISMS = {9606: ("human", "homo_sapiens", "hg38"), 10090: ("mouse", "mus_musculus", "mm10")}
BASES = frozenset("ACGTN")
_SHOWN = 40  # letters of what was sent that an answer repeats


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Tracks of a sequence, an interval, or both alleles of a variant over an interval.

    `modalities`: those of the model that were asked for; `terms`: ontology CURIEs, none for all tracks.
    """

    organism: int
    modalities: tuple[str, ...]
    terms: frozenset[str]
    sequence: str | None = None
    interval: Interval | None = None
    variant: Variant | None = None

    @property
    def width(self) -> int:
        """Bp of the input."""
        return len(self.sequence) if self.sequence is not None else self.interval.width if self.interval else 0

    @property
    def bases(self) -> int:
        """Bp that the model reads."""
        return self.width * (1 if self.variant is None else 2)


@dataclasses.dataclass(frozen=True)
class VariantScores:
    """Scores of variants over one interval, by each scorer in this order; on a background where that is given."""

    organism: int
    interval: Interval
    variants: tuple[Variant, ...]
    scorers: tuple[AbstractScorer, ...]
    merge: bool = False
    background: Variant | None = None

    @property
    def bases(self) -> int:
        """Bp that the model reads when nothing is shared."""
        return 2 * self.interval.width * len(self.variants)


@dataclasses.dataclass(frozen=True)
class IntervalScores:
    """Scores of an interval, by each scorer in this order."""

    organism: int
    interval: Interval
    scorers: tuple[AbstractIntervalScorer, ...]
    merge: bool = False

    @property
    def bases(self) -> int:
        """Bp that the model reads."""
        return self.interval.width


class Checks:
    """Checks what is asked against the model, the genome and the server's bounds; no file is read.

    All methods raise InputError or ServiceError in words for whoever asked.
    """

    def __init__(self, spec: ModelSpec, fasta: Fasta, genome_of: int, settings: Settings, version: str = ""):
        self.spec, self.settings, self.genome_of = spec, settings, genome_of
        self.lengths, self._spelling = fasta.lengths, fasta.find_chromosome
        self._versions = {"", spec.name, version}
        self.organisms = {taxon: self._number(names) for taxon, names in ORGANISMS.items()}

    def _number(self, names: Collection[str]) -> int | None:
        return next((i for i, name in enumerate(self.spec.organisms) if name.lower() in names), None)

    def organism(self, taxon: int) -> int:
        """The model's number of an organism; 0 stands for that of the genome."""
        if taxon == 0:
            return self.genome_of
        if taxon not in ORGANISMS:
            raise InputError(f"organism {taxon} is unknown; expected {', '.join(map(str, ORGANISMS))}")
        number = self.organisms[taxon]
        if number is None:
            raise ServiceError(
                "NOT_FOUND", f"the model does not know {ORGANISMS[taxon][0]}; it knows {', '.join(self.spec.organisms)}"
            )
        return number

    def version(self, name: str) -> None:
        """Refuses a model that is not served here."""
        if name not in self._versions:
            known = ", ".join(sorted(self._versions - {""}))
            raise ServiceError(
                "NOT_FOUND", f"model version {_short(name)} is not served here; leave it out, or: {known}"
            )

    def modalities(self, names: Iterable[str]) -> tuple[tuple[str, ...], list[str]]:
        """Those of `names` (lower case) that the model predicts, each once, and notes on the others."""
        wanted = list(dict.fromkeys(names))
        if not wanted:
            raise InputError(f"no output is requested; the model predicts {', '.join(self.spec.heads)}")
        found = tuple(name for name in wanted if name in self.spec.heads)
        missing = [name for name in wanted if name not in self.spec.heads]
        if missing and (self.settings.strict or not found):
            raise ServiceError(
                "NOT_FOUND", f"the model does not predict {', '.join(missing)}; it has {', '.join(self.spec.heads)}"
            )
        return found, [f"{name}: the model does not predict it" for name in missing]

    def terms(self, curies: Sequence[str]) -> frozenset[str]:
        """Ontology terms such as UBERON:0001114."""
        if len(curies) > self.settings.max_terms:
            raise too_long(f"{len(curies):,} ontology terms; at most {self.settings.max_terms:,} are allowed")
        for curie in curies:
            prefix, colon, number = curie.partition(":")
            if not (prefix.isalpha() and colon and number.isdecimal() and number.isascii() and len(curie) < _SHOWN):
                raise InputError(f"ontology term {_short(curie)}: expected one such as UBERON:0001114")
        return frozenset(curies)

    def width(self, width: int, what: str) -> None:
        """Refuses lengths that the model cannot read."""
        if width > self.settings.max_window:
            raise too_long(f"{what} has {width:,} bp; at most {self.settings.max_window:,} are allowed")
        if width <= 0 or width % PAIR_BIN:
            raise InputError(f"{what} has {width:,} bp; expected a positive multiple of {PAIR_BIN:,}")

    def sequence(self, bases: str) -> str:
        """A sequence that the model can read."""
        self.width(len(bases), "the sequence")
        self._bases(bases, "the sequence")
        return bases

    def interval(self, chromosome: str, start: int, end: int, strand: str, organism: int) -> Interval:
        """An interval of the genome that the model can read; it may hang off the chromosome's ends."""
        interval = self.place(chromosome, start, end, strand, organism)
        self.width(interval.width, "the interval")
        return interval

    def place(self, chromosome: str, start: int, end: int, strand: str, organism: int) -> Interval:
        """Any interval that touches the chromosome."""
        self._genome(organism)
        name = self._chromosome(chromosome)
        if end <= start:
            raise InputError(f"interval {start}-{end}: expected start < end (0-based half-open)")
        if end <= 0 or start >= self.lengths[name]:
            raise InputError(f"interval {start}-{end} lies outside {name}, which has {self.lengths[name]:,} bp")
        if strand not in STRANDS:
            raise InputError(f"strand {_short(strand)}: expected one of {' '.join(STRANDS)}")
        return Interval(name, start, end, strand, name=chromosome)

    def variant(self, chromosome: str, position: int, reference: str, alternate: str, interval: Interval) -> Variant:
        """A variant that touches the interval; `position` is 1-based."""
        for allele, what in ((reference, "reference"), (alternate, "alternate")):
            if len(allele) > self.settings.max_allele:
                raise too_long(f"{what} bases: {len(allele):,}; at most {self.settings.max_allele:,} are allowed")
            self._bases(allele, f"the {what} allele")
        name = self._chromosome(chromosome)
        if not 1 <= position <= self.lengths[name] + 1:
            raise InputError(f"position {position} is not on {name}, which has {self.lengths[name]:,} bp (1-based)")
        found = Variant(name, position, reference, alternate, name=chromosome)
        if name != interval.chromosome or not interval.start <= found.start < interval.end:
            shown = found.as_truncated_str(_SHOWN)
            raise InputError(f"variant {shown} does not begin inside the interval {interval}, so nothing would change")
        return found

    def ism(self, chromosome: str, start: int, end: int, strand: str, interval: Interval, organism: int) -> Interval:
        """The span that is mutated, forward and inside the interval."""
        span = self.place(chromosome, start, end, strand, organism)
        if span.width > self.settings.max_ism:
            raise too_long(f"mutagenesis of {span.width:,} bp; at most {self.settings.max_ism:,} in one request")
        if span.negative_strand or not interval.contains(span):
            raise InputError(f"the span {span} must be forward and inside the interval {interval}")
        if span.start < 0 or span.end > self.lengths[span.chromosome]:
            raise InputError(f"the span {span} hangs off {span.chromosome}; mutate bases that are there")
        return span

    def scorers(self, makers: Sequence[Callable[[], Any]], organism: int, *, of_intervals: bool = False) -> tuple:
        """Scorers, each made by a function that raises ValueError for bad settings; the recommended ones if none."""
        if len(makers) > self.settings.max_scorers:
            raise too_long(f"{len(makers)} scorers; at most {self.settings.max_scorers} are allowed in one request")
        made = []
        for maker in makers:
            try:
                made.append(maker())
            except ValueError as error:
                raise InputError(f"scorer: {error}") from error
        if not made and of_intervals:
            made = [create_scorer(name, options) for name, options in RECOMMENDED_INTERVAL.values()]
        elif not made:
            made = list(recommended(self.spec.heads, self.spec.organisms[organism]).values())
        names = [scorer.name for scorer in made]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"scorer {twice} is requested twice; ask for it once")
        return tuple(made)

    def _genome(self, organism: int) -> None:
        if organism != self.genome_of:
            here, asked = (self.spec.organisms[number] for number in (self.genome_of, organism))
            raise ServiceError("NOT_FOUND", f"this server has the genome of {here}, not of {asked}; send sequences")

    def _chromosome(self, chromosome: str) -> str:
        if (name := self._spelling(chromosome)) is None:
            raise InputError(f"the genome has no chromosome {_short(chromosome)}")
        return name

    def _bases(self, text: str, what: str) -> None:
        if wrong := set(text) - BASES:
            raise InputError(f"{what} contains {_short(''.join(sorted(wrong)))}; expected only upper-case ACGTN")


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
