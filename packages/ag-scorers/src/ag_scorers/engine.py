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
import xarray as xr
from ag_core.checkpoint import Checkpoint
from ag_core.config import check_length
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.interfaces import AbstractScorer, Items
from ag_core.model import Model, fold
from ag_core.schema import is_padding
from ag_core.sequence import allele_sequences, encode, one_hot
from ag_data.fasta import Fasta
from ag_data.query import select_tracks
from ag_data.variants import Call, Status
from jaxtyping import Array, Float, Int, UInt8

from ag_scorers.results import Result, ScorerResult

# Calls looked at together, so that variants of equal shapes share a batch.
CHUNK = 64


@dataclasses.dataclass(frozen=True)
class _Job:
    """A call made ready on the host."""

    number: int
    call: Call
    codes: UInt8[np.ndarray, "2 position"]
    items: tuple[Items, ...]

    @property
    def shape(self) -> tuple[Any, ...]:
        """Equal for jobs that one compiled program can serve."""
        return tuple(np.shape(leaf) for items in self.items for leaf in jax.tree.leaves(items.masks))


@eqx.filter_jit
def _score(
    model: Model,
    codes: UInt8[Array | np.ndarray, "job 2 position"],
    organism: int,
    selections: Mapping[str, Int[Array | np.ndarray, " _"]],
    scorers: Sequence[AbstractScorer],
    masks: Sequence[Any],
) -> list[Float[Array, "job _ _"]]:
    jobs, alleles, length = codes.shape
    sequences = one_hot(codes.reshape(jobs * alleles, length))
    organisms = jnp.full(jobs * alleles, organism, jnp.int32)
    predictions = model(sequences, organisms, modalities=list(selections))
    signals = {}
    for modality, chosen in selections.items():
        signal = jax.vmap(model.heads[modality].output)(predictions[modality])
        signals[modality] = signal[..., chosen].astype(jnp.float32).reshape(jobs, alleles, -1, len(chosen))
    return [
        jax.vmap(scorer.score)(signals[scorer.modality][:, 0], signals[scorer.modality][:, 1], mask)
        for scorer, mask in zip(scorers, masks, strict=True)
    ]


class Engine:
    """A model, a genome and a set of scorers, ready to score.

    - `scorers`: by the key their results carry.
    - `resources`: what scorers ask for by name ("genes": an `ag_data.Annotation`).
    - `window`: input length in bp (the model's own by default), a multiple of 2,048; the variant's first base is at
      index window/2 - 1 of it, and what lies off the chromosome reads as N.
    - `tracks`: query over track metadata (see `ag_data.query`); all real tracks by default.

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
    ):
        self.checkpoint, self.fasta = checkpoint, fasta
        self.resources = dict(resources or {})
        self.window = checkpoint.spec.window if window is None else window
        try:
            check_length(self.window)
        except ValueError as error:
            raise InputError(f"window: {error}") from error
        if batch_size < 1:
            raise InputError(f"batch size must be at least 1, got {batch_size}")
        self.batch_size = batch_size
        self.organism = checkpoint.spec.organism(organism)
        self.model = fold(checkpoint.model)
        self.tables: dict[str, xr.Dataset] = {}
        self._selections: dict[str, np.ndarray] = {}
        self._select(tracks)
        self.scorers = self._check(scorers)
        used = {scorer.modality for scorer in self.scorers.values()}
        self._selections = {name: chosen for name, chosen in self._selections.items() if name in used}
        self.tables = {name: table for name, table in self.tables.items() if name in used}

    def _select(self, query: str) -> None:
        for modality in self.checkpoint.spec.heads:
            table = self.checkpoint.spec.tracks(modality, self.organism)
            chosen = np.flatnonzero(select_tracks(table, query) & ~is_padding(table))
            if len(chosen):
                self._selections[modality] = chosen
                self.tables[modality] = table.isel(track=chosen)
        if not self._selections:
            raise InputError(f"no track of model {self.checkpoint.spec.name!r} matches {query!r}")

    def _check(self, scorers: Mapping[str, AbstractScorer]) -> dict[str, AbstractScorer]:
        heads = self.checkpoint.model.heads
        for key, scorer in scorers.items():
            if scorer.modality not in heads:
                raise InputError(
                    f"scorer {key} reads {scorer.modality}, which model {self.checkpoint.spec.name!r} does not "
                    f"predict; it has {', '.join(heads)}"
                )
            missing = [name for name in scorer.requires if name not in self.resources]
            if missing:
                raise InputError(f"scorer {key} needs {', '.join(missing)}; give an annotation (--gtf) or leave it out")
        kept = {key: scorer for key, scorer in scorers.items() if scorer.modality in self._selections}
        if not kept:
            raise InputError(
                f"nothing to score: the selected tracks are of {', '.join(self._selections)}, the scorers read "
                f"{', '.join(sorted({s.modality for s in scorers.values()})) or 'nothing'}"
            )
        # A setting that fits no variant is refused now, not once for each of them.
        chromosome, length = next(iter(self.fasta.lengths.items()))
        probe = Variant(chromosome, max(length // 2, 1), "A", "C")
        for key, scorer in kept.items():
            try:
                scorer.items(self.interval(probe), probe, self.resolution(scorer.modality), self.resources)
            except ValueError as error:
                raise InputError(f"scorer {key}: {error}") from error
        return kept

    def interval(self, variant: Variant) -> Interval:
        """The input window of a variant."""
        return Interval(variant.chromosome, variant.start, variant.start + 1).resize(self.window)

    def resolution(self, modality: str) -> int:
        """Bp per position of a modality's output."""
        return min(self.checkpoint.model.heads[modality].resolutions)

    def selection(self, modality: str) -> Int[np.ndarray, " track"]:
        """Slots of the head's output that were selected."""
        return self._selections[modality]

    def templates(self) -> list[ScorerResult]:
        """Results without rows: what each scorer of this run will report on."""
        return [
            ScorerResult(
                key,
                scorer,
                np.zeros((0, self.tables[scorer.modality].sizes["track"]), np.float32),
                {},
                self.tables[scorer.modality],
            )
            for key, scorer in self.scorers.items()
        ]

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
                    job = self._prepare(number, call, call.variant)
                    groups.setdefault(job.shape, []).append(job)
                except Exception as error:  # a scorer may be anybody's: the call fails, the run goes on
                    results[number] = _failed(call, error)
            for jobs in groups.values():
                for batch in _batched(jobs, self.batch_size):
                    results |= self._run_batch(list(batch))
            yield from (results[number] for number in range(len(chunk)))

    def _prepare(self, number: int, call: Call, variant: Variant) -> _Job:
        interval = self.interval(variant)
        ref, alt = allele_sequences(interval, variant, self.fasta.fetch)
        items = tuple(
            scorer.items(interval, variant, self.resolution(scorer.modality), self.resources)
            for scorer in self.scorers.values()
        )
        return _Job(number, call, np.stack([encode(ref), encode(alt)]), items)

    def _run_batch(self, jobs: list[_Job]) -> dict[int, Result]:
        try:
            scores = self._compute(jobs)
            return {job.number: self._finish(job, [s[i] for s in scores]) for i, job in enumerate(jobs)}
        except Exception as error:  # out of memory, say: one bad variant must not take the others along
            if len(jobs) == 1:
                return {jobs[0].number: _failed(jobs[0].call, error)}
            return {number: r for job in jobs for number, r in self._run_batch([job]).items()}

    def _compute(self, jobs: list[_Job]) -> list[np.ndarray]:
        # A short batch is filled up with its last job: one compiled program for all.
        padded = jobs + [jobs[-1]] * (self.batch_size - len(jobs))
        codes = np.stack([job.codes for job in padded])
        masks = [
            jax.tree.map(lambda *leaves: np.stack(leaves), *(job.items[i].masks for job in padded))
            for i in range(len(self.scorers))
        ]
        scores = _score(self.model, codes, self.organism, self._selections, tuple(self.scorers.values()), masks)
        return [np.asarray(score) for score in jax.block_until_ready(scores)]

    def _finish(self, job: _Job, scores: list[np.ndarray]) -> Result:
        finished = []
        for (key, scorer), items, values in zip(self.scorers.items(), job.items, scores, strict=True):
            tracks = self.tables[scorer.modality]
            kept = scorer.finish(values[: items.count], items, tracks)
            finished.append(ScorerResult(key, scorer, kept, items.table, tracks))
        return Result(job.call, tuple(finished))


def _failed(call: Call, error: Exception) -> Result:
    return Result(dataclasses.replace(call, status=Status.FAILED, detail=f"{type(error).__name__}: {error}"))


def _batched(values: Iterable[Any], size: int) -> Iterator[tuple[Any, ...]]:
    # itertools.batched is new in Python 3.12.
    iterator = iter(values)
    while batch := tuple(itertools.islice(iterator, size)):
        yield batch
