"""Random changes to a sequence, as a student sees it when it learns from a teacher. Source: spec/model.md 7.

4 % of bases are replaced, and about one insertion, deletion or inversion of 1-20 bp is made in each Mb. Not known of
the published model, and chosen here: a replaced base becomes each of the three others with equal chance; bases are
replaced independently, so their number varies; inserted bases are drawn evenly; what an insertion pushes over the
window's end is lost, what a deletion pulls in comes from beyond it.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np
from ag_core.errors import InputError
from ag_core.sequence import UNKNOWN
from jaxtyping import UInt8

from ag_data.genome_store import reverse_complement_codes

# Bases beyond a window's end that deletions may pull in: fifty of the longest, where one a Mb is usual.
SPARE = 1024
KINDS = ("insertion", "deletion", "inversion")


@dataclasses.dataclass(frozen=True)
class Mutations:
    """How much is changed: `share` of bases replaced, `events` per Mb of up to `longest` bp.

    Raises InputError for values out of range.
    """

    share: float = 0.04
    events: float = 1.0
    longest: int = 20

    def __post_init__(self):
        if not (0 <= self.share <= 1 and self.events >= 0 and self.longest >= 1):
            raise InputError(f"{self}: expected a share from 0 to 1, events of at least 0, longest of at least 1")


@dataclasses.dataclass(frozen=True, eq=False)
class Event:
    """One of `KINDS` at `start`; `bases` are what an insertion brings."""

    start: int
    kind: str
    size: int
    bases: UInt8[np.ndarray, " base"]


def mutate(
    codes: UInt8[np.ndarray, " base"],
    generator: np.random.Generator,
    settings: Mutations | None = None,
    length: int | None = None,
) -> UInt8[np.ndarray, " position"]:
    """The first `length` bases (default: all) after random changes; N (code 4) stays N.

    `codes` may be longer: deletions pull in bases from beyond the window, and N where there are none left. All that
    is random comes from `generator`, in the same order whatever the bases are.
    """
    settings = Mutations() if settings is None else settings
    length = len(codes) if length is None else length
    codes = _replace(codes, generator, settings.share)
    return apply_events(codes, draw_events(length, generator, settings), length)


def draw_events(length: int, generator: np.random.Generator, settings: Mutations) -> list[Event]:
    """Structural changes of a window, by start."""
    events = []
    for _ in range(generator.poisson(settings.events * length / 1e6)):
        start, kind = int(generator.integers(length)), KINDS[int(generator.integers(len(KINDS)))]
        size = int(generator.integers(1, settings.longest, endpoint=True))
        # As many bases are drawn for any kind and size.
        bases = generator.integers(0, 4, settings.longest, np.uint8)[:size]
        events.append(Event(start, kind, size, bases))
    return sorted(events, key=lambda event: event.start)


def apply_events(
    codes: UInt8[np.ndarray, " base"], events: Iterable[Event], length: int
) -> UInt8[np.ndarray, " position"]:
    """The first `length` bases after `events`, which are sorted; one that starts in another comes after it."""
    pieces: list[np.ndarray] = []
    last = 0
    for event in events:
        start = max(event.start, last)
        pieces.append(codes[last:start])
        if event.kind == "insertion":
            pieces.append(event.bases)
            last = start
            continue
        last = start + event.size
        if event.kind == "inversion":
            pieces.append(reverse_complement_codes(codes[start:last]))
    changed = np.concatenate([*pieces, codes[last:]])[:length]
    return np.concatenate([changed, np.full(length - len(changed), UNKNOWN, np.uint8)])


def _replace(codes: np.ndarray, generator: np.random.Generator, share: float) -> np.ndarray:
    hit = generator.random(len(codes), np.float32) < share
    other = (codes + generator.integers(1, 4, len(codes), np.uint8)) % 4
    return np.where(hit & (codes < UNKNOWN), other, codes)
