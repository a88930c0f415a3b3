"""Requests from messages of the wire. Source: spec/scoring.md 5.2."""

from collections.abc import Callable
from typing import Any

from ag_core.errors import InputError
from ag_core.genome import Interval, Variant

from ag_scorers.recommended import create_scorer
from ag_scorers.serve.protocol import MESSAGES, POOL
from ag_scorers.serve.requests import Checks, IntervalScores, Prediction, VariantScores

PACKAGE = "google.gdm.gdmscience.alphagenome.v1main"
NO_TRACKS = ("contact_maps", "splice_junctions")


def names_of(enum: str) -> dict[int, str]:
    """Number -> name in lower case without the enum's prefix, the unspecified one left out."""
    values = POOL.FindEnumTypeByName(f"{PACKAGE}.{enum}").values
    prefix = values[0].name.removesuffix("UNSPECIFIED")
    return {value.number: value.name.removeprefix(prefix).lower() for value in values if value.number}


OUTPUTS, ONTOLOGIES = names_of("OutputType"), names_of("OntologyType")
AGGREGATIONS, SUMMARIES = names_of("AggregationType"), names_of("IntervalAggregationType")
STRANDS = {0: ".", 1: "+", 2: "-", 3: "."}


def read_prediction(checks: Checks, message: Any) -> tuple[Prediction, list[str]]:
    """A request for predictions of any of the three kinds, and notes for the answer."""
    checks.version(message.model_version)
    organism = checks.organism(message.organism)
    modalities, notes = checks.modalities(_output(number) for number in message.requested_outputs)
    terms = checks.terms([_curie(term) for term in message.ontology_terms[: checks.settings.max_terms + 1]])
    sequence = interval = variant = None
    if isinstance(message, MESSAGES.PredictSequenceRequest):
        sequence = checks.sequence(message.sequence)
    else:
        interval = _interval(checks, message.interval, organism)
    if isinstance(message, MESSAGES.PredictVariantRequest):
        assert interval is not None
        variant = _variant(checks, message.variant, interval)
    return Prediction(organism, modalities, terms, sequence, interval, variant), notes


def read_variant_scores(checks: Checks, message: Any) -> VariantScores:
    """A request for scores of one variant."""
    checks.version(message.model_version)
    organism = checks.organism(message.organism)
    interval = _interval(checks, message.interval, organism)
    variant = _variant(checks, message.variant, interval)
    scorers = checks.scorers([_maker(one) for one in message.variant_scorers], organism)
    return VariantScores(organism, interval, (variant,), scorers, message.merge_stranded_gene_tracks)


def read_ism(checks: Checks, message: Any) -> tuple[VariantScores, Interval]:
    """A request for mutagenesis, still without its variants, and the span that is mutated (in REF coordinates)."""
    checks.version(message.model_version)
    organism = checks.organism(message.organism)
    interval = _interval(checks, message.interval, organism)
    ism = message.ism_interval
    place = ism.chromosome, ism.start, ism.end, _strand(ism.strand)
    span = checks.ism(*place, interval, organism)
    background = _variant(checks, message.interval_variant, interval) if message.HasField("interval_variant") else None
    scorers = checks.scorers([_maker(one) for one in message.variant_scorers], organism)
    return VariantScores(organism, interval, (), scorers, message.merge_stranded_gene_tracks, background), span


def read_interval_scores(checks: Checks, message: Any) -> IntervalScores:
    """A request for scores of an interval."""
    checks.version(message.model_version)
    organism = checks.organism(message.organism)
    interval = _interval(checks, message.interval, organism)
    makers = [_interval_maker(one) for one in message.interval_scorers]
    scorers = checks.scorers(makers, organism, of_intervals=True)
    return IntervalScores(organism, interval, scorers, message.merge_stranded_gene_tracks)


def _interval(checks: Checks, message: Any, organism: int) -> Interval:
    return checks.interval(message.chromosome, message.start, message.end, _strand(message.strand), organism)


def _variant(checks: Checks, message: Any, interval: Interval) -> Variant:
    alleles = message.reference_bases, message.alternate_bases
    return checks.variant(message.chromosome, message.position, *alleles, interval)


def _strand(number: int) -> str:
    if number not in STRANDS:
        raise InputError(f"strand {number} is unknown; expected one of {', '.join(map(str, STRANDS))}")
    return STRANDS[number]


def _output(number: int) -> str:
    if number not in OUTPUTS:
        raise InputError(f"output {number} is unknown; expected one of {', '.join(map(str, OUTPUTS))}")
    return OUTPUTS[number]


def _curie(term: Any) -> str:
    if term.ontology_type not in ONTOLOGIES or not 0 <= term.id < 10**12:
        raise InputError(f"ontology term of type {term.ontology_type} with number {term.id} is unknown")
    return f"{ONTOLOGIES[term.ontology_type].upper()}:{term.id:07d}"


def _maker(message: Any) -> Callable[[], Any]:
    """Makes the scorer that a `VariantScorer` describes."""

    def make() -> Any:
        kind = message.WhichOneof("scorer")
        if kind is None:
            raise ValueError("a variant scorer of no known kind; a newer client than this server?")
        one = getattr(message, kind)
        if kind == "center_mask":
            aggregation = AGGREGATIONS.get(one.aggregation_type, str(one.aggregation_type))
            options = {"modality": _tracks(one), "width": _width(one), "aggregation": aggregation}
            return create_scorer("center_mask", options)
        if kind == "gene_mask_splicing":
            return create_scorer("gene_mask_splicing", {"modality": _tracks(one), "width": _width(one)})
        if kind in ("gene_mask", "gene_mask_active"):
            plugin = "gene_mask_lfc" if kind == "gene_mask" else kind
            return create_scorer(plugin, {"modality": _tracks(one)})
        plugin, modality = {
            "pa_qtl": ("polyadenylation", "rna_seq"),
            "splice_junction": ("splice_junction", "splice_junctions"),
            "contact_map": ("contact_map", "contact_maps"),
        }[kind]
        return create_scorer(plugin, {"modality": modality})

    return make


def _interval_maker(message: Any) -> Callable[[], Any]:
    def make() -> Any:
        if message.WhichOneof("scorer") is None:
            raise ValueError("an interval scorer of no known kind; a newer client than this server?")
        one = message.gene_mask
        summary = SUMMARIES.get(one.aggregation_type, str(one.aggregation_type))
        options = {"modality": _tracks(one), "width": _width(one), "aggregation": summary}
        return create_scorer("interval_gene_mask", options)

    return make


def _width(message: Any) -> int | None:
    return message.width if message.HasField("width") else None


def _tracks(message: Any) -> str:
    name = _output(message.requested_output)
    if name in NO_TRACKS:
        raise ValueError(f"output {name} has no tracks along the sequence; use the scorer that is made for it")
    return name
