"""Mutagenesis of a span, on REF or on an ALT background, with any scorers: one window, one REF, many small changes.

import ag_scorers
tree = ag_scorers.mutagenise("chr20:44355801-44355900", fasta="ref.fa", scorers=["DNASE"])
tree["DNASE"]["contribution"]                # (position, track)

On a background the genome has ALT of that variant in it, and annotations have moved along; so scorers find their genes
where they are, and mutations lie where they would without it (fixing spec/scoring.md 1.12, item 3). Places are told in
REF coordinates.
"""

import dataclasses
import functools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_data.altered import AlteredGenome, Place
from ag_data.fasta import Fasta
from ag_data.variants import Call

from ag_scorers.campaign import score_calls
from ag_scorers.digests import provenance
from ag_scorers.engine import Engine
from ag_scorers.mutagenesis.effects import to_effects
from ag_scorers.mutagenesis.mutations import Kind, Mutation, deletions, shuffles, substitutions
from ag_scorers.results import Result
from ag_scorers.scoring import asked_for, open_engine


@dataclasses.dataclass(frozen=True)
class Changes:
    """What is done to the span: `size` bp of a deletion or a shuffle every `step` bp, shuffled `repeats` times."""

    kind: Kind | str = Kind.SUBSTITUTION
    size: int = 1
    step: int = 1
    repeats: int = 10
    seed: int = 0

    def __post_init__(self):
        if self.kind not in list(Kind):
            raise InputError(f"mutations by {self.kind!r}: expected one of {', '.join(Kind)}")
        if min(self.size, self.step, self.repeats) < 1:
            raise InputError(f"size {self.size}, step {self.step}, repeats {self.repeats}: expected 1 or more of each")
        if self.kind == Kind.SHUFFLE and self.size < 2:
            raise InputError("a stretch of 1 bp has no other order: give a size of 2 bp or more to shuffle")

    def of(self, span: Interval, sequence: str, before: str) -> list[Mutation]:
        """All of them over a span with that sequence; `before` is the base left of it."""
        if self.kind == Kind.SUBSTITUTION:
            return list(substitutions(span, sequence, skip_n=True))
        if self.kind == Kind.DELETION:
            return list(deletions(span, sequence, self.size, before, self.step))
        return list(shuffles(span, sequence, self.size, self.repeats, self.step, self.seed))


class Mutagenesis:
    """All that is to be scored, ready to run; `span` is in REF coordinates (0-based half-open, forward).

    Raises InputError for a span that is not inside the window, on its own chromosome's bases or cut by the background,
    and for one in which there is nothing to change.
    """

    def __init__(self, engine: Engine, span: Interval, changes: Changes, background: AlteredGenome | None = None):
        self.engine, self.background, self.changes = engine, background, changes
        self.span = dataclasses.replace(span, strand=".")
        if background is not None:
            small = background.small
            if small.chromosome != span.chromosome:
                raise InputError(
                    f"the background {background.variant} is on another chromosome than {span.region}; leave it out"
                )
            if (small.start < span.start < small.end) or (small.start < span.end < small.end):
                raise InputError(
                    f"{span.region} ends inside the background variant {background.variant}; take in all of it, or none"
                )
        self.own = self.span if background is None else background.over(self.span)
        if not self.own.width:
            raise InputError(f"of {span.region} nothing is left on the background; take a larger span")
        middle = self.own.start + self.own.width // 2
        self.window = Interval(self.own.chromosome, middle, middle + 1).resize(engine.window)
        if background is not None and not self.window.start <= background.small.start <= self.window.end:
            raise InputError(
                f"the background {background.variant} is not inside the window {self.window.region} around the span, "
                "so it would have no effect; take a larger window (--window)"
            )
        if not self.window.contains(self.own):
            raise InputError(
                f"{span.region} has {span.width:,} bp, the window {engine.window:,}; take a shorter span, or a larger "
                "window (--window)"
            )
        self.sequence = engine.fasta.fetch(self.own)
        before = engine.fasta.fetch(Interval(self.own.chromosome, self.own.start - 1, self.own.start))
        self.mutations = changes.of(self.own, self.sequence, before)
        if not self.mutations:
            raise InputError(
                f"nothing to change in {span.region}, which reads {self.sequence[:20]}; check the FASTA and the place"
            )

    @functools.cached_property
    def places(self) -> list[Place]:
        """Where each base of the span is in REF."""
        positions = range(self.own.start, self.own.end)
        return [Place(p, 0) if self.background is None else self.background.place(p) for p in positions]

    def calls(self) -> Iterator[Call]:
        """Mutations as calls: `record` and `alt` are row and column; position and bases are told in REF coordinates."""
        for mutation in self.mutations:
            variant = mutation.variant
            place, detail = variant.position, ""
            if self.background is not None:
                found = self.background.place(variant.start)
                place, detail = found.position + 1, f"inserted base {found.inserted}" if found.inserted else ""
            bases = variant.reference_bases, variant.alternate_bases
            yield Call(mutation.row, mutation.column, variant.chromosome, place, *bases, variant=variant, detail=detail)

    def run(self, calls: Iterable[Call]) -> Iterator[Result]:
        """Results of calls, in the same order."""
        return self.engine.run(calls, self.window)

    def effects(self, results: Iterable[Result], attrs: Mapping[str, Any]) -> xr.DataTree:
        """Results of all calls as arrays by place (`to_effects`)."""
        kind = Kind(self.changes.kind)
        about = {**attrs, "kind": str(kind), "span": self.span.region, "window": self.window.region}
        return to_effects(results, self.mutations, kind, self.sequence, self.places, about)


def prepare(
    region: str | Interval,
    *,
    fasta: str | os.PathLike[str],
    background: str | Variant | None = None,
    changes: Changes | None = None,
    partial: bool | None = True,
    **options: Any,
) -> tuple[Mutagenesis, dict[str, str]]:
    """Loads and checks everything; the second value is its provenance. `options` are those of `open_engine`.

    `region` is text as people write it (1-based, both ends included) or an Interval; `background` a variant whose ALT
    is in the genome. Raises InputError.
    """
    genome = Fasta(fasta)
    span = _read_span(region, genome)
    altered = None
    if background is not None:
        altered = AlteredGenome(genome, _read_variant(background))
    engine = open_engine(cast(Fasta, altered) if altered else genome, partial=partial, **options)
    if altered is not None:
        engine.resources = {name: resource.altered(altered) for name, resource in engine.resources.items()}
    changes = changes or Changes()
    work = Mutagenesis(engine, span, changes, altered)
    asked: dict[str, Any] = asked_for(**options)
    asked |= {"changes": {key: str(value) for key, value in dataclasses.asdict(changes).items()}}
    asked |= {"background": str(altered.variant)} if altered else {}
    return work, provenance(engine, [span.chromosome], asked)


def mutagenise(region: str | Interval, **options: Any) -> xr.DataTree:
    """Effects of all mutations of a region in memory, a child for each scorer; `options` are those of `prepare`.

    See `to_effects` for what is in it. For what takes long use `agenome ism`, which can be interrupted.
    """
    work, made_by = prepare(region, **options)
    return work.effects(_score(work), made_by)


def _score(work: Mutagenesis) -> Sequence[Result]:
    return score_calls(work.run, list(work.calls()))


def _read_span(region: str | Interval, genome: Fasta) -> Interval:
    if isinstance(region, str):
        try:
            region = Interval.from_region(region)
        except ValueError as error:
            raise InputError(f"region: {error}") from error
    if not region.width:
        raise InputError(f"{region.region} has no bases; give a span of 1 bp or more")
    name = genome.find_chromosome(region.chromosome) or region.chromosome
    span = dataclasses.replace(region, chromosome=name, strand=".")
    genome.fetch(span)  # says what is wrong with the chromosome or the place
    return span


def _read_variant(text: str | Variant) -> Variant:
    if isinstance(text, Variant):
        return text
    try:
        return Variant.from_str(text, None)
    except ValueError as error:
        raise InputError(f"background: {error}") from error
