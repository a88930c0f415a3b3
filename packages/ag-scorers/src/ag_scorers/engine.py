"""Drives a model over variants: sequences of both alleles in, one `Result` for each allele out, in input order.

Host work (sequences, masks) and device work (one forward pass for REF and ALT, then every scorer on the
predictions while they are still there) are separate; only scores travel back.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from ag_core.checkpoint import Checkpoint
from ag_core.config import PAIR_BIN, TOKEN, check_length
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.interfaces import AbstractScorer, Embeddings, Items
from ag_core.model import Model, fold
from ag_core.sequence import allele_sequences, encode
from ag_data.fasta import Fasta
from ag_data.variants import Call, Status
from jaxtyping import Array, Int, PyTree, UInt8

from ag_scorers.alleles import JUNCTIONS, SiteMasks, predict_alleles, site_masks
from ag_scorers.results import Result, ScorerResult
from ag_scorers.selection import choose_tracks

# Calls looked at together, so that variants of equal shapes share a batch.
CHUNK = 64
# How a user gives a resource that a scorer needs.
OPTIONS = {"genes": "an annotation (--gtf)", "polyadenylation": "a table of polyadenylation sites (--polya)"}


@dataclasses.dataclass(frozen=True)
class _Job:
    """A call made ready on the host."""

    number: int
    call: Call
    codes: UInt8[np.ndarray, "2 position"]
    items: tuple[Items, ...]
    sites: SiteMasks | None
    reverse: bool

    @property
    def shape(self) -> tuple[Any, ...]:
        """Equal for jobs that one compiled program can serve."""
        return self.reverse, *(np.shape(leaf) for items in self.items for leaf in jax.tree.leaves(items.masks))


def _read_and_score(
    model: Model,
    predictions: PyTree[Array],
    selections: Mapping[str, Int[Array | np.ndarray, " _"]],
    scorer: AbstractScorer,
    masks: PyTree[Array],
) -> PyTree[Array]:
    """One job: predictions [allele, ...] of the scorer's modalities to what it sends back."""
    ref, alt = (
        scorer.read(model.heads, jax.tree.map(lambda x, n=allele: x[n], predictions), selections) for allele in (0, 1)
    )
    return scorer.score(ref, alt, masks)


@eqx.filter_jit
def _score(
    model: Model,
    codes: UInt8[Array | np.ndarray, "job 2 position"],
    organism: int,
    selections: Mapping[str, Int[Array | np.ndarray, " _"]],
    scorers: Sequence[AbstractScorer],
    masks: Sequence[Any],
    sites: SiteMasks | None,
    reverse: bool,
) -> list[PyTree[Array]]:
    predictions = predict_alleles(model, codes, organism, list(selections), sites, reverse=reverse)
    return [
        jax.vmap(lambda found, mask, scorer=scorer: _read_and_score(model, found, selections, scorer, mask))(
            {modality: predictions[modality] for modality in scorer.modalities}, mask
        )
        for scorer, mask in zip(scorers, masks, strict=True)
    ]


class Engine:
    """A model, a genome and a set of scorers, ready to score.

    - `scorers`: by the key their results carry.
    - `resources`: what scorers ask for by name ("genes": an `ag_data.Annotation`).
    - `window`: input length in bp (the model's own by default), a multiple of 2,048; the variant's first base is at
      index window/2 - 1 of it, and what lies off the chromosome reads as N.
    - `tracks`: query over track metadata (see `ag_data.query`); all real tracks by default.
    - `parity`: on intervals of the '-' strand, does as the reference does (spec/scoring.md 1.12, items 1 and 2). Other
      defects have their own switch in the scorer that has them.

    Raises InputError when these don't go together.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        fasta: Fasta,
        scorers: Mapping[str, AbstractScorer],
        *,
        resources: Mapping[str, Any] | None = None,
        organism: str | None = None,
        window: int | None = None,
        tracks: str = "",
        batch_size: int = 2,
        parity: bool = False,
    ):
        # Only the folded weights are kept: those of the published model are 1.8 GB before and more after.
        self.checkpoint = checkpoint = dataclasses.replace(checkpoint, model=fold(checkpoint.model))
        self.model, self.fasta = checkpoint.model, fasta
        self.resources = dict(resources or {})
        self.window = checkpoint.spec.window if window is None else window
        try:
            check_length(self.window)
        except ValueError as error:
            raise InputError(f"window: {error}") from error
        if batch_size < 1:
            raise InputError(f"batch size must be at least 1, got {batch_size}")
        self.batch_size, self.parity = batch_size, parity
        self.organism = checkpoint.spec.organism(organism)
        self._selections, self.tables = choose_tracks(checkpoint.spec, self.organism, tracks)
        self.scorers = self._check(scorers)
        used = {modality for scorer in self.scorers.values() for modality in scorer.modalities}
        self._selections = {name: chosen for name, chosen in self._selections.items() if name in used}
        self.tables = {name: table for name, table in self.tables.items() if name in used}
        self._tracks = {key: scorer.tracks(self.tables) for key, scorer in self.scorers.items()}

    def _check(self, scorers: Mapping[str, AbstractScorer]) -> dict[str, AbstractScorer]:
        heads = self.checkpoint.model.heads
        for key, scorer in scorers.items():
            absent = [modality for modality in scorer.modalities if modality not in heads]
            if absent:
                raise InputError(
                    f"scorer {key} reads {', '.join(absent)}, which model {self.checkpoint.spec.name!r} does not "
                    f"predict; it has {', '.join(heads)}"
                )
            missing = [OPTIONS.get(name, name) for name in scorer.requires if name not in self.resources]
            if missing:
                raise InputError(f"scorer {key} needs {', '.join(missing)}; give it or leave the scorer out")
        kept = {key: scorer for key, scorer in scorers.items() if set(scorer.modalities) <= set(self._selections)}
        if not kept:
            wanted = sorted({modality for scorer in scorers.values() for modality in scorer.modalities})
            raise InputError(
                f"nothing to score: the selected tracks are of {', '.join(self._selections)}, the scorers read "
                f"{', '.join(wanted) or 'nothing'}"
            )
        # A setting that fits no variant is refused now, not once for each of them.
        chromosome, length = next(iter(self.fasta.lengths.items()))
        probe = Variant(chromosome, max(length // 2, 1), "A", "C")
        shapes = self._shapes(kept)
        for key, scorer in kept.items():
            try:
                items = scorer.items(self.interval(probe), probe, self._resolution_of(scorer), self.resources)
                read = {modality: shapes[modality] for modality in scorer.modalities}
                eqx.filter_eval_shape(_read_and_score, self.model, read, self._selections, scorer, items.masks)
            except ValueError as error:
                raise InputError(f"scorer {key}: {error}") from error
            except TypeError as error:  # an array of other dimensions than the scorer can read
                reason = str(error).strip().partition("\n")[0]
                raise InputError(f"scorer {key} cannot read {', '.join(scorer.modalities)}: {reason}") from error
        return kept

    def _shapes(self, scorers: Mapping[str, AbstractScorer]) -> PyTree[jax.ShapeDtypeStruct]:
        """Shapes of the predictions for two alleles, without computing any."""
        names = {modality for scorer in scorers.values() for modality in scorer.modalities}

        def predict(model: Model) -> PyTree[Array]:
            dims, bins = model.backbone.config.dims, self.window // PAIR_BIN
            shapes = (self.window, dims.bp1), (self.window // TOKEN, dims.bp128), (bins, bins, dims.pair)
            embeddings = Embeddings(*(jnp.zeros((2, *shape), model.precision.value) for shape in shapes))
            return model.predict(embeddings, jnp.zeros(2, jnp.int32), modalities=sorted(names))

        return eqx.filter_eval_shape(predict, self.model)

    def interval(self, variant: Variant) -> Interval:
        """The input window of a variant."""
        return Interval(variant.chromosome, variant.start, variant.start + 1).resize(self.window)

    def resolution(self, modality: str) -> int:
        """Bp per position of a modality's output."""
        return min(self.checkpoint.model.heads[modality].resolutions)

    def _resolution_of(self, scorer: AbstractScorer) -> int:
        return self.resolution(scorer.modalities[0])

    def selection(self, modality: str) -> Int[np.ndarray, " track"]:
        """Slots of the head's output that were selected."""
        return self._selections[modality]

    def templates(self) -> list[ScorerResult]:
        """Results without rows: what each scorer of this run will report on."""
        return [
            ScorerResult(key, scorer, np.zeros((0, tracks.sizes["track"]), np.float32), {}, tracks)
            for (key, scorer), tracks in zip(self.scorers.items(), self._tracks.values(), strict=True)
        ]

    def score(self, variant: Variant, interval: Interval | None = None) -> tuple[ScorerResult, ...]:
        """Scores of one variant over an interval (by default `interval(variant)`), in the order of the scorers.

        On '-' the model sees the reverse complement; predictions are turned back to the forward strand before they
        are scored. The chromosome must be spelt as in the FASTA. Raises ValueError when a scorer refuses the variant.
        """
        call = Call(
            0,
            0,
            variant.chromosome,
            variant.position,
            variant.reference_bases,
            variant.alternate_bases,
            variant=variant,
        )
        job = self._prepare(0, call, variant, self.interval(variant) if interval is None else interval)
        return self._finish(job, self._compute([job]), 0)

    def run(self, calls: Iterable[Call]) -> Iterator[Result]:
        """One result for each call, in order. A call that fails gets status `failed`; the others go on."""
        for chunk in _batched(calls, CHUNK):
            results: dict[int, Result] = {}
            groups: dict[tuple[Any, ...], list[_Job]] = {}
            for number, call in enumerate(chunk):
                if call.status is not Status.SCORED or call.variant is None:
                    results[number] = Result(call)
                    continue
                try:
                    job = self._prepare(number, call, call.variant, self.interval(call.variant))
                    groups.setdefault(job.shape, []).append(job)
                except Exception as error:  # a scorer may be anybody's: the call fails, the run goes on
                    results[number] = _failed(call, error)
            for jobs in groups.values():
                for batch in _batched(jobs, self.batch_size):
                    results |= self._run_batch(list(batch))
            yield from (results[number] for number in range(len(chunk)))

    def _prepare(self, number: int, call: Call, variant: Variant, interval: Interval) -> _Job:
        ref, alt = allele_sequences(interval, variant, self.fasta.fetch)
        # Predictions come back in the forward frame; the reference aligns indels as if they did not.
        shown = interval if self.parity else Interval(interval.chromosome, interval.start, interval.end)
        items = tuple(
            scorer.items(shown, variant, self._resolution_of(scorer), self.resources)
            for scorer in self.scorers.values()
        )
        sites = None
        if JUNCTIONS in self.tables:
            sites = site_masks(interval, variant, self.resources, everywhere=False, parity=self.parity)
        return _Job(number, call, np.stack([encode(ref), encode(alt)]), items, sites, interval.negative_strand)

    def _run_batch(self, jobs: list[_Job]) -> dict[int, Result]:
        try:
            scores = self._compute(jobs)
            return {job.number: Result(job.call, self._finish(job, scores, i)) for i, job in enumerate(jobs)}
        except Exception as error:  # out of memory, say: one bad variant must not take the others along
            if len(jobs) == 1:
                return {jobs[0].number: _failed(jobs[0].call, error)}
            return {number: r for job in jobs for number, r in self._run_batch([job]).items()}

    def _compute(self, jobs: list[_Job]) -> list[PyTree[np.ndarray]]:
        # A short batch is filled up with its last job: one compiled program for all.
        padded = jobs + [jobs[-1]] * (self.batch_size - len(jobs))
        codes = np.stack([job.codes for job in padded])
        masks, sites = (
            jax.tree.map(lambda *leaves: np.stack(leaves), *parts)
            for parts in ([[items.masks for items in job.items] for job in padded], [job.sites for job in padded])
        )
        scorers = tuple(self.scorers.values())
        scores = _score(self.model, codes, self.organism, self._selections, scorers, masks, sites, padded[0].reverse)
        return jax.tree.map(np.asarray, jax.block_until_ready(scores))

    def _finish(self, job: _Job, scores: list[PyTree[np.ndarray]], index: int) -> tuple[ScorerResult, ...]:
        finished = []
        for (key, scorer), items, values in zip(self.scorers.items(), job.items, scores, strict=True):
            mine = jax.tree.map(lambda x: x[index], values)
            finished.append(ScorerResult(key, scorer, *scorer.rows(mine, items, self.tables), self._tracks[key]))
        return tuple(finished)


def _failed(call: Call, error: Exception) -> Result:
    return Result(dataclasses.replace(call, status=Status.FAILED, detail=f"{type(error).__name__}: {error}"))


def _batched(values: Iterable[Any], size: int) -> Iterator[tuple[Any, ...]]:
    # itertools.batched is new in Python 3.12.
    iterator = iter(values)
    while batch := tuple(itertools.islice(iterator, size)):
        yield batch
