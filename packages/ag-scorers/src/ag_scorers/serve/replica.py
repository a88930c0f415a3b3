"""A model on one device: does the work of the queue, one batch after the other."""

import collections
import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, cast

import equinox as eqx
import jax
import numpy as np
import xarray as xr
from ag_core.checkpoint import Checkpoint
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.interfaces import AbstractIntervalScorer, AbstractScorer
from ag_core.schema import track_table
from ag_data.altered import AlteredGenome
from ag_data.fasta import Fasta

from ag_scorers.calibration import Calibration, load_calibration
from ag_scorers.center_mask import CenterMaskScorer
from ag_scorers.contact_map import ContactMapScorer
from ag_scorers.engine import Engine
from ag_scorers.interval_scoring import score_interval
from ag_scorers.results import ScorerResult
from ag_scorers.serve.merging import merge_strands
from ag_scorers.serve.predicting import Predicting
from ag_scorers.serve.requests import IntervalScores, Prediction, VariantScores

Scores = tuple[ScorerResult, ...]
# Bp of the windows of all engines that are kept: each may hold what it knows of REF over one window.
KEPT = 1 << 20
# After so many kinds of requests, compiled programs are dropped: clients choose what is compiled.
PROGRAMS = 256


@dataclasses.dataclass(frozen=True)
class Kit:
    """What a replica is made of besides its device; `calibration` and `model` are those of `load_calibration`."""

    checkpoint: Checkpoint
    fasta: Fasta
    resources: Mapping[str, Any]
    tables: Mapping[tuple[int, str], xr.Dataset]
    slots: Mapping[tuple[int, str], np.ndarray]
    curies: Mapping[tuple[int, str], Sequence[str]]
    calibration: str = "auto"
    model: str | None = None


class Replica:
    """Answers batches of requests of one key (`key_of`) on a device of jax; call it from one thread."""

    def __init__(self, kit: Kit, device: Any):
        self.device = device
        arrays, rest = eqx.partition(kit.checkpoint.model, eqx.is_array)
        model = eqx.combine(jax.device_put(arrays, device), rest)
        self.kit = dataclasses.replace(
            kit,
            checkpoint=dataclasses.replace(kit.checkpoint, model=model),
            fasta=Fasta(kit.fasta.path),  # a reader has one position in its file
        )
        self._predicting = Predicting(self.kit.checkpoint, self.kit.fasta, kit.resources, kit.slots, kit.curies)
        self._engines: collections.OrderedDict[Hashable, tuple[Engine, Calibration]] = collections.OrderedDict()
        self._seen: set[Hashable] = set()

    def __call__(self, key: Hashable, requests: Sequence[Any]) -> Sequence[Any]:
        """A result or an exception for each request: outputs of each allele, scores of each variant, or scores."""
        if key not in self._seen and len(self._seen) >= PROGRAMS:
            self._seen.clear()
            self._engines.clear()
            jax.clear_caches()
        self._seen.add(key)
        with jax.default_device(self.device):
            answers = self._answer(requests)
            if len(requests) > 1 and any(isinstance(answer, Exception) for answer in answers):
                answers = [self._answer([request])[0] for request in requests]  # one must not fail for the other
        return answers

    def _answer(self, requests: Sequence[Any]) -> Sequence[Any]:
        try:
            if isinstance(requests[0], Prediction):
                return self._predicting.predict(requests)
            if isinstance(requests[0], VariantScores):
                return self._score(requests)
            return [self._score_interval(request) for request in requests]
        except InputError as error:
            return [self._clean(error)] * len(requests)
        except Exception as error:
            return [error] * len(requests)

    def _clean(self, error: InputError) -> InputError:
        """Without the folders of this machine."""
        return InputError(str(error).replace(str(self.kit.fasta.path), self.kit.fasta.path.name))

    def lacks(self, scorer: AbstractScorer | AbstractIntervalScorer, organism: int) -> str:
        """Why a scorer has nothing to say here; empty when it has."""
        return missing(self.kit, scorer, organism)

    def _score(self, requests: Sequence[VariantScores]) -> list[list[Scores]]:
        first = requests[0]
        runnable = [scorer for scorer in first.scorers if not self.lacks(scorer, first.organism)]
        found: list[list[Scores]] = [[()] * len(request.variants) for request in requests]
        if runnable:
            engine, calibration = self._engine(first, runnable)
            for places, interval in _groups(requests, engine):
                variants = [requests[job].variants[number] for job, number in places]
                try:
                    scored = engine.score_many(variants, interval)
                except InputError:
                    raise
                except ValueError as error:  # a scorer refuses the variant
                    raise InputError(str(error)) from error
                for (job, number), scores in zip(places, scored, strict=True):
                    found[job][number] = _with_quantiles(scores, calibration)
        return [
            [self._complete(request, request.scorers, scores, request.merge) for scores in mine]
            for request, mine in zip(requests, found, strict=True)
        ]

    def _engine(self, request: VariantScores, scorers: Sequence[AbstractScorer]) -> tuple[Engine, Calibration]:
        width = request.interval.width
        names = tuple(scorer.name for scorer in scorers)
        key = request.organism, width, names, request.background
        if key in self._engines:
            self._engines.move_to_end(key)
            return self._engines[key]
        kit, fasta, resources = self.kit, self.kit.fasta, self.kit.resources
        if request.background is not None:
            altered = AlteredGenome(fasta, request.background)
            fasta = cast(Fasta, altered)
            resources = {name: resource.altered(altered) for name, resource in resources.items()}
        while self._engines and sum(one.window for one, _ in self._engines.values()) + width > KEPT:
            self._engines.popitem(last=False)
        organism = kit.checkpoint.spec.organisms[request.organism]
        engine = Engine(
            kit.checkpoint,
            fasta,
            dict(zip(names, scorers, strict=True)),
            resources=resources,
            organism=organism,
            window=width,
        )
        self._engines[key] = engine, self._calibration(engine)
        return self._engines[key]

    def _calibration(self, engine: Engine) -> Calibration:
        try:
            return load_calibration(self.kit.calibration, engine, model=self.kit.model)
        except InputError:  # a table that knows none of these scorers: they have no quantiles
            return Calibration({})

    def _score_interval(self, request: IntervalScores) -> Scores:
        kit = self.kit
        runnable = {one.name: one for one in request.scorers if not self.lacks(one, request.organism)}
        found: Scores = ()
        if runnable:
            organism = kit.checkpoint.spec.organisms[request.organism]
            found = score_interval(
                kit.checkpoint, kit.fasta, request.interval, runnable, resources=kit.resources, organism=organism
            )
        return self._complete(request, request.scorers, found, request.merge)

    def _complete(
        self,
        request: VariantScores | IntervalScores,
        scorers: Sequence[AbstractScorer | AbstractIntervalScorer],
        found: Scores,
        merge: bool,
    ) -> Scores:
        """One result for each scorer that was asked for, in that order."""
        by_name = {scores.key: scores for scores in found}
        complete = [by_name.get(one.name) or self._nothing(one, request.organism) for one in scorers]
        return tuple(merge_strands(scores) if merge else scores for scores in complete)

    def _nothing(self, scorer: AbstractScorer | AbstractIntervalScorer, organism: int) -> ScorerResult:
        """No rows, or as the reference does where a modality has no tracks: one row of none."""
        tracks = self.kit.tables.get((organism, scorer.modality))
        if tracks is None:
            tracks = track_table({"name": [], "strand": []})
        of_place = isinstance(scorer, CenterMaskScorer | ContactMapScorer)
        genes = {} if of_place else {"gene_id": np.zeros(0, object), "gene_strand": np.zeros(0, object)}
        return ScorerResult(
            scorer.name, scorer, np.zeros((int(of_place), tracks.sizes["track"]), np.float32), genes, tracks
        )


def missing(kit: Kit, scorer: AbstractScorer | AbstractIntervalScorer, organism: int) -> str:
    """Why a scorer has nothing to say: no such tracks, or no such file on the server; empty when it has."""
    absent = [name for name in getattr(scorer, "modalities", (scorer.modality,)) if (organism, name) not in kit.tables]
    if absent:
        return f"the model has no tracks of {', '.join(absent)}"
    lacking = [name for name in scorer.requires if name not in kit.resources]
    return f"the server has no {', '.join(lacking)}" if lacking else ""


def key_of(request: Any) -> Hashable:
    """Equal for requests that can be computed together."""
    if isinstance(request, Prediction):
        strand = "" if request.interval is None else request.interval.strand == "-"
        shape = request.width, request.sequence is None, request.variant is None, strand
        return "predict", request.organism, tuple(sorted(request.modalities)), request.terms, shape
    names = tuple(scorer.name for scorer in request.scorers)
    if isinstance(request, VariantScores):
        strand = request.interval.strand == "-"
        return "score", request.organism, names, request.interval.width, strand, request.background, request.merge
    return "score interval", request.organism, names, request.interval.width, request.interval.strand == "-"


def _groups(requests: Sequence[VariantScores], engine: Engine) -> list[tuple[list[tuple[int, int]], Interval | None]]:
    """Places (request, variant) that go through the engine in one call, and their interval; None: each its own."""
    groups: dict[Interval | None, list[tuple[int, int]]] = {}
    for job, request in enumerate(requests):
        for number, variant in enumerate(request.variants):
            own = engine.interval(variant) == request.interval
            groups.setdefault(None if own else request.interval, []).append((job, number))
    return [(places, interval) for interval, places in groups.items()]


def _with_quantiles(scores: Scores, calibration: Calibration) -> Scores:
    lookups = calibration.lookups
    return tuple(
        dataclasses.replace(one, quantiles=lookups[one.key](one.values)[0]) if one.key in lookups else one
        for one in scores
    )


def restore(variant: Variant, altered: AlteredGenome | None) -> Variant | None:
    """A variant of an altered genome in REF coordinates; None for a base that REF lacks."""
    if altered is None:
        return variant
    place = altered.place(variant.start)
    return None if place.inserted else dataclasses.replace(variant, position=place.position + 1)
