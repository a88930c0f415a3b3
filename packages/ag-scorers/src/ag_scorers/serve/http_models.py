"""Bodies of HTTP requests, with bounds that OpenAPI shows, and how they become what is asked of the backend.

Numbers are 0-based half-open, but for a variant's `position`, which is 1-based as in VCF.
"""

import functools
from typing import Annotated, Literal

from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.plugins import PluginNotFoundError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ag_scorers.recommended import RECOMMENDED, RECOMMENDED_INTERVAL, create_scorer, parse_scorer
from ag_scorers.scoring import NOT_TRACKS
from ag_scorers.serve.backend import Backend
from ag_scorers.serve.errors import too_long
from ag_scorers.serve.requests import ORGANISMS, Checks, IntervalScores, Prediction, VariantScores

# Kinds of scorers that may be named with options; code of third parties is not the network's affair.
KINDS = (
    "center_mask", "gene_mask_lfc", "gene_mask_active", "gene_mask_splicing", "splice_junction", "polyadenylation",
    "contact_map",
)  # fmt: skip


def _number(value: object) -> object:
    """JSON's numbers, 1e5 among them, but neither texts nor true and false, which would be taken for one."""
    if isinstance(value, str | bool):
        raise ValueError("expected a whole number")
    return value


Number = Annotated[int, Field(ge=-(1 << 40), le=1 << 40), BeforeValidator(_number)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
ScorerText = Annotated[
    str, Field(min_length=1, max_length=200, examples=["DNASE", "center_mask:modality=cage,width=2001"])
]
TAXA = {names[0]: taxon for taxon, names in ORGANISMS.items()}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class IntervalBody(_Body):
    """A place of the genome, 0-based half-open; a multiple of 2,048 bp where a model reads it."""

    chromosome: Name
    start: Number
    end: Number
    strand: Literal["+", "-", "."] = "."


class VariantBody(_Body):
    """A change; `position` is 1-based, of the first reference base."""

    chromosome: Name
    position: Annotated[int, Field(ge=1, le=1 << 40), BeforeValidator(_number)]
    reference: Annotated[str, Field(max_length=1 << 20)]
    alternate: Annotated[str, Field(max_length=1 << 20)]


class _Question(_Body):
    organism: Literal["human", "mouse"] | None = None
    version: Annotated[str, Field(max_length=200)] = ""


class PredictBody(_Question):
    """One of: a sequence, an interval, an interval and a variant."""

    outputs: Annotated[list[Name], Field(min_length=1, max_length=64)]
    ontology_terms: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=1000)] = []
    sequence: Annotated[str, Field(max_length=1 << 21)] | None = None
    interval: IntervalBody | None = None
    variant: VariantBody | None = None


class _Scoring(_Question):
    scorers: Annotated[list[ScorerText], Field(max_length=64)] = []
    merge_strands: Annotated[bool, Field(strict=True)] = False


class VariantsBody(_Scoring):
    """Variants over one interval, or each in the middle of a window of the model's length."""

    variants: Annotated[list[VariantBody], Field(min_length=1, max_length=4096)]
    interval: IntervalBody | None = None


class IsmBody(_Scoring):
    """All SNVs of a span inside an interval, perhaps with ALT of a variant in the genome."""

    interval: IntervalBody
    span: IntervalBody
    background: VariantBody | None = None


class IntervalScoresBody(_Scoring):
    """An interval by interval scorers; these are recommended ones, by key."""

    interval: IntervalBody


def to_prediction(backend: Backend, body: PredictBody) -> tuple[Prediction, list[str]]:
    """Checked. Raises InputError and ServiceError, as all of these."""
    checks, organism = _begin(backend, body)
    names = [name.strip().lower().replace("-", "_") for name in body.outputs]
    modalities, notes = checks.modalities(names)
    terms = checks.terms(body.ontology_terms)
    if (body.sequence is None) == (body.interval is None) or (body.variant and not body.interval):
        raise InputError("give either a sequence, or an interval, or an interval and a variant")
    sequence = None if body.sequence is None else checks.sequence(body.sequence)
    interval = None if body.interval is None else _interval(checks, body.interval, organism)
    variant = None if body.variant is None or interval is None else _variant(checks, body.variant, interval)
    return Prediction(organism, modalities, terms, sequence, interval, variant), notes


def to_variant_scores(backend: Backend, body: VariantsBody) -> list[VariantScores]:
    """Checked; neighbours with the same interval are one request."""
    checks, organism = _begin(backend, body)
    most = backend.settings.max_variants
    if len(body.variants) > most:
        raise too_long(f"{len(body.variants)} variants; at most {most} are allowed in one request")
    scorers = _scorers(backend, body, organism)
    whole = None if body.interval is None else _interval(checks, body.interval, organism)
    found: list[VariantScores] = []
    for one in body.variants:
        interval = whole
        if interval is None:
            start = one.position - 1
            middle = Interval(one.chromosome, start, start + 1).resize(backend.checkpoint.spec.window)
            interval = checks.interval(middle.chromosome, middle.start, middle.end, ".", organism)
        variant = _variant(checks, one, interval)
        if found and found[-1].interval == interval:
            found[-1] = VariantScores(organism, interval, (*found[-1].variants, variant), scorers, body.merge_strands)
        else:
            found.append(VariantScores(organism, interval, (variant,), scorers, body.merge_strands))
    return found


def to_ism(backend: Backend, body: IsmBody) -> tuple[VariantScores, Interval]:
    """Checked; still without variants (`Backend.mutate`)."""
    checks, organism = _begin(backend, body)
    interval, span = _interval(checks, body.interval, organism), body.span
    place = checks.ism(span.chromosome, span.start, span.end, span.strand, interval, organism)
    background = None if body.background is None else _variant(checks, body.background, interval)
    scorers = _scorers(backend, body, organism)
    return VariantScores(organism, interval, (), scorers, body.merge_strands, background), place


def to_interval_scores(backend: Backend, body: IntervalScoresBody) -> IntervalScores:
    """Checked."""
    checks, organism = _begin(backend, body)
    interval = _interval(checks, body.interval, organism)
    for text in body.scorers:
        if text.upper() not in RECOMMENDED_INTERVAL:
            raise InputError(f"interval scorer {text!r} is unknown; expected one of {', '.join(RECOMMENDED_INTERVAL)}")
    makers = [functools.partial(create_scorer, *RECOMMENDED_INTERVAL[text.upper()]) for text in body.scorers]
    scorers = checks.scorers(makers, organism, of_intervals=True)
    return IntervalScores(organism, interval, scorers, body.merge_strands)


def _begin(backend: Backend, body: _Question) -> tuple[Checks, int]:
    backend.checks.version(body.version)
    return backend.checks, backend.checks.organism(TAXA.get(body.organism or "", 0))


def _interval(checks: Checks, body: IntervalBody, organism: int) -> Interval:
    return checks.interval(body.chromosome, body.start, body.end, body.strand, organism)


def _variant(checks: Checks, body: VariantBody, interval: Interval) -> Variant:
    return checks.variant(body.chromosome, body.position, body.reference, body.alternate, interval)


def _scorers(backend: Backend, body: _Scoring, organism: int) -> tuple:
    tracks = [name for name in backend.checkpoint.spec.heads if name not in NOT_TRACKS]
    made = []
    for text in body.scorers:
        kind = text.partition(":")[0].strip()
        if kind not in KINDS and text.strip().upper() not in RECOMMENDED:
            known = ", ".join([*RECOMMENDED, *KINDS])
            raise InputError(f"scorer {text!r} is unknown; expected one of {known}")
        try:
            made += parse_scorer(text, tracks)
        except PluginNotFoundError as error:
            raise InputError(str(error)) from error
    return backend.checks.scorers([functools.partial(_same, scorer) for scorer in made], organism)


def _same(scorer: object) -> object:
    return scorer
