"""Drives a model over variants: sequences of both alleles in, one `Result` for each allele out, in input order.

Host work (sequences, masks, what must be computed) and device work (predictions, and every scorer on them while they
are still there) are separate; only scores travel back. Each variant is computed as far as its scorers read (`reading`,
`evaluation.score_rows`), and variants of one window share what is known of REF.
"""

import dataclasses
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
from ag_core.interfaces import AbstractScorer, Embeddings
from ag_core.model import Model, fold
from ag_core.partial import Sequences, reference
from ag_data.fasta import Fasta
from ag_data.variants import Call, Status
from jaxtyping import Array, Int, PyTree

from ag_scorers.ahead import ahead
from ag_scorers.batches import Batch, batched, make_batches
from ag_scorers.evaluation import (
    Alternatives,
    Outcome,
    ReferenceRows,
    read_and_score,
    read_reference,
    score_everywhere,
    score_rows,
)
from ag_scorers.jobs import Indel, Job, JobMaker
from ag_scorers.parity import Parity, read_parity
from ag_scorers.reading import Rows
from ag_scorers.results import Result, ScorerResult
from ag_scorers.selection import choose_tracks
from ag_scorers.shapes import Shapes, price_of_program

# Windows up to so many bp are computed in full, unless asked otherwise.
SMALL = 16_384
# Bases of windows looked at together, so that calls of one window, and of equal shapes, are computed together.
CHUNK_BASES = 1 << 23
# In longer windows the device takes so long, and so much memory, that one batch waits for the other.
MOST_AHEAD = 1 << 17
# Up to so large a part of a window, what REF says is kept for the next ALT.
MOST_KEPT = 0.5
# How a user gives a resource that a scorer needs.
OPTIONS = {"genes": "an annotation (--gtf)", "polyadenylation": "a table of polyadenylation sites (--polya)"}


class Engine:
    """A model, a genome and a set of scorers, ready to score.

    - `scorers`: by the key their results carry.
    - `resources`: what scorers ask for by name ("genes": an `ag_data.Annotation`).
    - `window`: input length in bp (the model's own by default), a multiple of 2,048; the variant's first base is at
      index window/2 - 1 of it, and what lies off the chromosome reads as N.
    - `tracks`: query over track metadata (see `ag_data.query`); all real tracks by default.
    - `window_grid`: bp; windows begin at a multiple of it, so that neighbouring variants share one. The variant is then
      up to half a grid step off the middle.
    - `partial`: computes only what scorers read, or else both alleles in full. By default it does so in windows above
      `SMALL` and on a grid: in small ones the compilation of its programs takes longer than it saves.
    - `indel`: how ALT is compared with REF behind an indel (`Indel`).
    - `alleles`: also returns what each scorer makes of either allele, where it has such values.
    - `parity`: "upstream" does as the reference does on intervals of the '-' strand (spec/scoring.md 1.12, items 1 and
      2), always in full. Scorers have a setting of their own for theirs; `open_engine` sets both.

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
        window_grid: int | None = None,
        partial: bool | None = None,
        indel: Indel | str = Indel.ALIGN,
        alleles: bool = False,
        parity: Parity | str | bool = Parity.FIXED,
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
        if window_grid is not None and (window_grid < TOKEN or window_grid % TOKEN):
            raise InputError(
                f"window grid must be a positive multiple of {TOKEN} bp, got {window_grid}; try {PAIR_BIN}"
            )
        if indel not in list(Indel):
            raise InputError(f"indel strategy {indel!r}: expected one of {', '.join(Indel)}")
        self.batch_size, self.parity, self.alleles = batch_size, read_parity(parity), alleles
        self.partial = (self.window > SMALL or window_grid is not None) if partial is None else partial
        self.window_grid, self.indel = window_grid, Indel(indel)
        self.organism = checkpoint.spec.organism(organism)
        self._selections, self.tables = choose_tracks(checkpoint.spec, self.organism, tracks)
        self.scorers = self._check(scorers)
        used = {modality for scorer in self.scorers.values() for modality in scorer.modalities}
        self._selections = {name: chosen for name, chosen in self._selections.items() if name in used}
        self.tables = {name: table for name, table in self.tables.items() if name in used}
        self._tracks = {key: scorer.tracks(self.tables) for key, scorer in self.scorers.items()}
        self._jobs = JobMaker(self)
        self._known: tuple[bytes, Sequences] | None = None
        self._known_rows: tuple[tuple[Any, ...], ReferenceRows] | None = None

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
                items = scorer.items(self.interval(probe), probe, self.resolution_of(scorer), self.resources)
                read = {modality: shapes[modality] for modality in scorer.modalities}
                eqx.filter_eval_shape(
                    read_and_score,
                    *(self.model.heads, read, read, self._selections, scorer, items.masks, np.asarray(False), True),
                )
            except ValueError as error:
                raise InputError(f"scorer {key}: {error}") from error
            except TypeError as error:  # an array of other dimensions than the scorer can read
                reason = str(error).strip().partition("\n")[0]
                raise InputError(f"scorer {key} cannot read {', '.join(scorer.modalities)}: {reason}") from error
        return kept

    def _shapes(self, scorers: Mapping[str, AbstractScorer]) -> PyTree[jax.ShapeDtypeStruct]:
        """Shapes of the predictions for one allele, without computing any."""
        names = {modality for scorer in scorers.values() for modality in scorer.modalities}

        def predict(model: Model) -> PyTree[Array]:
            dims, bins = model.backbone.config.dims, self.window // PAIR_BIN
            shapes = (self.window, dims.bp1), (self.window // TOKEN, dims.bp128), (bins, bins, dims.pair)
            embeddings = Embeddings(*(jnp.zeros((1, *shape), model.precision.value) for shape in shapes))
            predictions = model.predict(embeddings, jnp.zeros(1, jnp.int32), modalities=sorted(names))
            return jax.tree.map(lambda x: x[0], predictions)

        return eqx.filter_eval_shape(predict, self.model)

    @property
    def looks_at(self) -> int:
        """Calls that are looked at together."""
        return min(max(CHUNK_BASES // self.window, 8), 256)

    def interval(self, variant: Variant) -> Interval:
        """The input window of a variant."""
        window = Interval(variant.chromosome, variant.start, variant.start + 1).resize(self.window)
        if self.window_grid is None:
            return window
        start = (window.start + self.window_grid // 2) // self.window_grid * self.window_grid
        return Interval(variant.chromosome, start, start + self.window)

    def resolution(self, modality: str) -> int:
        """Bp per position of a modality's output."""
        return min(self.checkpoint.model.heads[modality].resolutions)

    def resolution_of(self, scorer: AbstractScorer) -> int:
        """Bp per row of the masks that a scorer makes."""
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
        return self.score_many([variant], interval)[0]

    def score_many(
        self, variants: Iterable[Variant], interval: Interval | None = None
    ) -> list[tuple[ScorerResult, ...]]:
        """As `score`, of several variants, which share what is known of REF where they share an interval.

        Raises NotFiniteError as well, when the model predicts NaN or infinity.
        """
        jobs = []
        for number, variant in enumerate(variants):
            bases = variant.reference_bases, variant.alternate_bases
            call = Call(number, 0, variant.chromosome, variant.position, *bases, variant=variant)
            jobs.append(self._jobs.make(number, call, self.interval(variant) if interval is None else interval))
        scores: dict[int, tuple[ScorerResult, ...]] = {}
        for batch in make_batches(jobs, self.batch_size):
            found = self._end(batch, self._begin(batch))
            scores |= {job.number: mine for job, mine in zip(batch.jobs, found, strict=True)}
        return [scores[number] for number in range(len(jobs))]

    def run(self, calls: Iterable[Call], interval: Interval | None = None) -> Iterator[Result]:
        """One result for each call, in order, over `interval` or each variant's own window.

        A call that fails gets status `failed`; the others go on.
        Some are looked at together: those near each other should come one after another. What is computed, to the
        last bit, depends on the calls of this run alone. The next calls are got ready in another thread, where
        `calls` is read and scorers make their items.
        """
        tokens = self.window // TOKEN
        shapes = Shapes(tokens, price_of_program(self.model, tokens))
        chunks = batched(calls, self.looks_at)
        for results, jobs in ahead(self._ready(chunk, interval) for chunk in chunks):
            for finished in self._run_batches(make_batches(jobs, self.batch_size, shapes)):
                results |= finished
            yield from (results[number] for number in range(len(results)))

    def _ready(self, chunk: Sequence[Call], interval: Interval | None) -> tuple[dict[int, Result], list[Job]]:
        """What is to be computed for some calls, and the results of those for which nothing is."""
        results: dict[int, Result] = {}
        jobs: list[Job] = []
        for number, call in enumerate(chunk):
            if call.status is not Status.SCORED or call.variant is None:
                results[number] = Result(call)
                continue
            try:
                jobs.append(self._jobs.make(number, call, interval or self.interval(call.variant)))
            except Exception as error:  # a scorer may be anybody's: the call fails, the run goes on
                results[number] = _failed(call, f"{type(error).__name__}: {error}")
        return results, jobs

    def _run_batches(self, batches: Iterable[Batch]) -> Iterator[dict[int, Result]]:
        """Results of each batch; the device computes the next one while those of the last are put together."""
        begun: tuple[Batch, list[Outcome] | Exception] | None = None
        for batch in batches:
            if begun is not None and self.window > MOST_AHEAD:
                yield self._end_batch(*begun)
                begun = None
            now = batch, self._begin_batch(batch)
            if begun is not None:
                yield self._end_batch(*begun)
            begun = now
        if begun is not None:
            yield self._end_batch(*begun)

    def _begin_batch(self, batch: Batch) -> list[Outcome] | Exception:
        try:
            return self._begin(batch)
        except Exception as error:  # told when the batch ends
            return error

    def _end_batch(self, batch: Batch, begun: list[Outcome] | Exception) -> dict[int, Result]:
        try:
            if isinstance(begun, Exception):
                raise begun
            scores = self._end(batch, begun)
            return {job.number: Result(job.call, mine) for job, mine in zip(batch.jobs, scores, strict=True)}
        except Exception as error:  # out of memory, say: one bad variant must not take the others along
            if len(batch.jobs) == 1:
                (job,) = batch.jobs
                if isinstance(error, NotFiniteError) and batch.readings is not None:  # once more, the plain way
                    once_more = Batch((dataclasses.replace(job, wants=None),), None)
                    return self._end_batch(once_more, self._begin_batch(once_more))
                return {job.number: _failed(job.call, f"{type(error).__name__}: {error}")}
            singles = (one for job in batch.jobs for one in make_batches([job], 1))
            results = (self._end_batch(one, self._begin_batch(one)) for one in singles)
            return {number: result for found in results for number, result in found.items()}

    def _begin(self, batch: Batch) -> list[Outcome]:
        """Sends a batch to the device, which may still be at work on it when this returns."""
        scorers = tuple(self.scorers.values())
        masks, sites = batch.masks(self.scorers)
        given = self._selections, scorers, masks, sites
        if batch.readings is None:
            codes = np.stack([job.codes for job in batch.filled])
            reverse = batch.jobs[0].reverse
            stitch = batch.stitch()
            return score_everywhere(self.model, codes, self.organism, *given, stitch, reverse, self.alleles)
        alternatives = Alternatives(
            np.stack([job.codes[1] for job in batch.filled]),
            np.array([job.first for job in batch.filled], np.int32),
            np.array([np.array_equal(*job.codes) for job in batch.filled]),
        )
        references, rows, size = self._references(batch), batch.rows(), batch.readings[0].shape.size
        reverse = batch.jobs[0].reverse
        return score_rows(
            self.model,
            references,
            self._reference_rows(references, rows, size, reverse) if batch.shared else None,
            alternatives,
            self.organism,
            rows,
            *given,
            size,
            batch.jobs[0].change,
            reverse,
            self.alleles,
        )

    def _end(self, batch: Batch, outcomes: list[Outcome]) -> list[tuple[ScorerResult, ...]]:
        """Results of each job, once the device is done. Raises NotFiniteError when a model predicts NaN or infinity."""
        outcomes = jax.tree.map(np.asarray, jax.block_until_ready(outcomes))
        return [self._finish(job, outcomes, i) for i, job in enumerate(batch.jobs)]

    def _references(self, batch: Batch) -> Sequences:
        """REF of one window for all jobs, remembered for the next batch, or of each job's own window."""
        codes = np.stack([job.codes[0] for job in batch.references])
        key = codes.tobytes()
        if self._known is None or self._known[0] != key:
            self._known = self._known_rows = None  # their memory first
            dtype = str(self.model.precision)
            self._known = key, reference(self.model.backbone, jnp.asarray(codes), self.organism, dtype)
        return self._known[1]

    def _reference_rows(self, references: Sequences, rows: Rows, size: int, reverse: bool) -> ReferenceRows | None:
        """What the one REF says where scorers read, kept for the next batch; None where it is too much to keep."""
        tokens = references.tokens.shape[1]  # of the interval: not always as long as the engine's window
        if size * rows.starts.size > tokens * MOST_KEPT:
            return None
        leaves, structure = jax.tree.flatten(rows)
        key = structure, size, reverse, *(leaf.tobytes() for leaf in leaves)
        if self._known_rows is None or self._known_rows[0] != key:
            given = self.organism, rows, self._selections, size, tokens * TOKEN, reverse
            self._known_rows = key, read_reference(self.model, references, *given)
        return self._known_rows[1]

    def _finish(self, job: Job, outcomes: list[Outcome], index: int) -> tuple[ScorerResult, ...]:
        finished = []
        for (key, scorer), items, outcome in zip(self.scorers.items(), job.items, outcomes, strict=True):
            mine: Outcome = jax.tree.map(lambda x: x[index], outcome)
            if not mine.finite:
                raise NotFiniteError(f"the model predicts NaN or infinity where {key} reads")
            values, table = type(scorer).rows(scorer, mine.scores, items, self.tables)  # as in jobs
            extra = {}
            if mine.alleles is not None:
                tracks = self.tables[scorer.modality]
                for name, value in zip(("ref", "alt"), mine.alleles, strict=True):
                    extra[name] = scorer.finish(value[: items.count], items, tracks)
            finished.append(ScorerResult(key, scorer, values, table, self._tracks[key], **extra))
        return tuple(finished)


class NotFiniteError(ArithmeticError):
    """A model's predictions are not finite."""


def _failed(call: Call, detail: str) -> Result:
    return Result(dataclasses.replace(call, status=Status.FAILED, detail=detail))
