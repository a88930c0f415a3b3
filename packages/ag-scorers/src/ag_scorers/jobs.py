"""A call made ready on the host: both sequences, the scorers' items, and what must be computed for them."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from ag_core.config import TOKEN
from ag_core.genome import Interval
from ag_core.interfaces import AbstractHead, Items
from ag_core.partial import Change, find_change
from ag_core.sequence import allele_sequences, encode
from ag_data.variants import Call
from jaxtyping import UInt8

from ag_scorers.align import unaligned
from ag_scorers.alleles import JUNCTIONS, SiteMasks, site_masks
from ag_scorers.parity import Parity
from ag_scorers.reading import Spans, union_of
from ag_scorers.stitch import StitchCodes, stitch_codes

if TYPE_CHECKING:
    from ag_scorers.engine import Engine


class Indel(enum.StrEnum):
    """How ALT is compared with REF behind an insertion or deletion (spec/scoring.md 1.9)."""

    ALIGN = "align"  # predictions of ALT are moved into the frame of REF
    STITCH = "stitch"  # and those of the longer allele come from two windows, so that both sides keep their bins
    NONE = "none"  # row by row, as they come


@dataclasses.dataclass(frozen=True)
class Job:
    """A call made ready.

    - `codes`: base codes of REF and ALT, as the model sees them.
    - `stitch`: the second reading of an indel's longer allele, if it is to be stitched.
    - `wants`: rows that scorers read, by modality; None to compute everything, both alleles in full.
    - `change`, `first`: how and from where ALT differs (`ag_core.partial.find_change`).
    - `everything`: some scorer reads a modality that has no rows of its own.
    """

    number: int
    call: Call
    interval: Interval
    codes: UInt8[np.ndarray, "2 position"]
    items: tuple[Items, ...]
    sites: SiteMasks | None
    reverse: bool
    stitch: StitchCodes | None
    wants: Mapping[str, Spans] | None
    resolutions: Mapping[str, int]
    change: Change
    first: int
    everything: bool

    @property
    def masks_shape(self) -> tuple[Any, ...]:
        """Equal for jobs whose masks can be stacked, before anything is restricted."""
        return tuple(np.shape(leaf) for items in self.items for leaf in jax.tree.leaves(items.masks))


def has_rows(head: AbstractHead) -> bool:
    """Whether a head's predictions are rows along the sequence that can be computed one by one."""
    return head.local and not head.requires and set(head.resolutions) <= {1, TOKEN}


class JobMaker:
    """Makes the jobs of an engine."""

    def __init__(self, engine: "Engine"):
        self.engine = engine
        heads = engine.model.heads
        used = {modality for scorer in engine.scorers.values() for modality in scorer.modalities}
        self._rows = {name: engine.resolution(name) for name in used if has_rows(heads[name])}
        self._junctions = JUNCTIONS in used
        rest = used - set(self._rows) - {JUNCTIONS}
        order = engine.model.order(rest)
        # Contact maps come from the pair state alone.
        self._everything = any({1, TOKEN} & heads[name].reads for name in order)

    def make(self, number: int, call: Call, interval: Interval) -> Job:
        """The job of a call with a variant. Raises what scorers raise."""
        engine, variant = self.engine, call.variant
        assert variant is not None
        ref, alt = allele_sequences(interval, variant, engine.fasta.fetch)
        codes = np.stack([encode(ref), encode(alt)])
        upstream = engine.parity is Parity.UPSTREAM
        # Predictions come back in the forward frame; the reference aligns indels as if they did not.
        shown = interval if upstream else Interval(interval.chromosome, interval.start, interval.end)
        # Methods are taken from classes: equinox makes a module of each bound one, which takes longer than they do.
        items = tuple(
            type(scorer).items(scorer, shown, variant, engine.resolution_of(scorer), engine.resources)
            for scorer in engine.scorers.values()
        )
        sites = None
        if self._junctions:
            sites = site_masks(interval, variant, engine.resources, everywhere=False, parity=upstream)
        if engine.indel is Indel.NONE:
            items = tuple(each._replace(masks=unaligned(each.masks)) for each in items)
            sites = unaligned(sites)
        stitch = wants = None
        if engine.indel is Indel.STITCH and variant.size_change:
            stitch = stitch_codes(interval, variant, engine.fasta.fetch)
        elif engine.partial and not (upstream and interval.negative_strand):
            wants = self._wants(items)
        change, first = find_change(*codes)
        return Job(
            number,
            call,
            interval,
            codes,
            items,
            sites,
            interval.negative_strand,
            stitch,
            wants,
            self._rows,
            change,
            first,
            self._everything,
        )

    def _wants(self, items: tuple[Items, ...]) -> dict[str, Spans]:
        engine = self.engine
        wants = union_of(
            {name: spans for name in scorer.modalities if name in self._rows}
            for scorer, each in zip(engine.scorers.values(), items, strict=True)
            for spans in [type(scorer).spans(scorer, each)]
        )
        return wants
