"""Scores of haplotypes: several alleles at once, each of them alone, and what the two do not have in common.

All is scored on one interval and with one replacement, from the first allele's start to the last one's end: with all
alleles in it, or with one of them and REF's bases around it. So masks and items are the same each time, and scores can
be added. For signed scorers the alleles are put together by adding their scores, for unsigned ones by taking the
largest; the remainder is the joint score less that. A scorer sees one change where the replacement is (a centre mask
lies around its first base; indels inside it are aligned as one).
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.interfaces import AbstractIntervalScorer, AbstractScorer
from ag_data.personal import merge
from ag_data.phased import Block, Phase
from ag_data.variants import Status
from jaxtyping import Float

from ag_scorers.engine import Engine
from ag_scorers.results import ScorerResult


@dataclasses.dataclass(frozen=True)
class HaplotypeScore:
    """One scorer's numbers for a haplotype; `key`, `scorer`, `table` and `tracks` are those of a `ScorerResult`.

    - `joint`: of all alleles at once; its items are those of `table`.
    - `each`: of each allele by itself, in the order of the haplotype's variants; NaN for an item of `table` that it
      does not have (junctions are chosen anew each time).
    """

    key: str
    scorer: AbstractScorer | AbstractIntervalScorer
    joint: Float[np.ndarray, "item track"]
    each: Float[np.ndarray, "allele item track"]
    table: Mapping[str, np.ndarray]
    tracks: xr.Dataset

    @property
    def alone(self) -> Float[np.ndarray, "item track"]:
        """The alleles put together as if they had nothing to do with each other: their sum, or the largest."""
        return self.each.sum(axis=0) if self.scorer.signed else self.each.max(axis=0)

    @property
    def remainder(self) -> Float[np.ndarray, "item track"]:
        """What the alleles do together beyond what they do alone."""
        return self.joint - self.alone


@dataclasses.dataclass(frozen=True)
class HaplotypeScores:
    """A haplotype over `interval`: its `variants` in order, the one `replacement` that makes it, and its scores."""

    interval: Interval
    variants: tuple[Variant, ...]
    replacement: Variant
    scores: tuple[HaplotypeScore, ...]


@dataclasses.dataclass(frozen=True)
class BlockResult:
    """A block with its final status; `scores` only if that is `scored`."""

    block: Block
    status: Status | Phase
    detail: str = ""
    scores: HaplotypeScores | None = None


def score_haplotype(engine: Engine, variants: Iterable[Variant], interval: Interval | None = None) -> HaplotypeScores:
    """Scores of alleles that sit on one copy of a chromosome, jointly and each alone on the same interval.

    `interval` is by default the engine's window around the middle of the replacement (for one allele that of
    `Engine.interval`). Chromosomes must be spelt as in the engine's FASTA; REF bases are not compared with it. Raises
    InputError for alleles that overlap, lie on several chromosomes or do not fit the interval, and for none at all.
    """
    ordered = tuple(sorted(variants, key=lambda variant: (variant.start, variant.end)))
    replacement = merge(ordered, engine.fasta.fetch)
    span = replacement.start, replacement.end
    if interval is None:
        middle = (span[0] + max(span[0], span[1] - 1)) // 2
        whole = Interval(replacement.chromosome, middle, middle + 1).resize(engine.window)
        interval = whole if len(ordered) > 1 else engine.interval(replacement)
    longest = max(len(replacement.reference_bases), len(replacement.alternate_bases))
    reach = Interval(replacement.chromosome, span[0], span[0] + longest)
    if not interval.contains(reach):
        raise InputError(
            f"the haplotype reaches over {reach.region}, beyond the interval {interval.region} that is to be scored; "
            "leave the outer variants out, or take a larger window"
        )
    joint = engine.score(replacement, interval)
    singles = [joint]
    if len(ordered) > 1:
        singles = [engine.score(merge([one], engine.fasta.fetch, span), interval) for one in ordered]
    scores = tuple(
        HaplotypeScore(
            result.key,
            result.scorer,
            result.values,
            np.stack([_matched(result, single[number]) for single in singles]),
            result.table,
            result.tracks,
        )
        for number, result in enumerate(joint)
    )
    return HaplotypeScores(interval, ordered, replacement, scores)


def score_blocks(engine: Engine, blocks: Iterable[Block]) -> Iterator[BlockResult]:
    """One result for each block, in order. A block that fails gets status `failed`; the others go on.

    Haplotypes of equal alleles (all homozygous) are scored once.
    """
    known: tuple[tuple[Variant, ...], HaplotypeScores] | None = None
    for block in blocks:
        if block.status is not Phase.PHASED:
            yield BlockResult(block, block.status, block.detail)
            continue
        variants = tuple(call.variant for call in block.calls if call.variant is not None)
        try:
            if known is None or known[0] != variants:
                known = variants, score_haplotype(engine, variants)
            yield BlockResult(block, Status.SCORED, scores=known[1])
        except Exception as error:  # a scorer may be anybody's: the block fails, the run goes on
            yield BlockResult(block, Status.FAILED, f"{type(error).__name__}: {error}")


def _matched(joint: ScorerResult, single: ScorerResult) -> Float[np.ndarray, "item track"]:
    """An allele's values for the items of the joint result, by the rows of their tables; NaN where it has no such."""
    if not joint.table:
        return single.values
    rows = {key: number for number, key in enumerate(_rows(single.table))}
    values = np.full_like(joint.values, np.nan)
    for item, key in enumerate(_rows(joint.table)):
        if key in rows:
            values[item] = single.values[rows[key]]
    return values


def _rows(table: Mapping[str, np.ndarray]) -> Sequence[tuple[object, ...]]:
    return list(zip(*(np.asarray(table[name]).tolist() for name in sorted(table)), strict=True))
