"""What must be computed of a window so that scorers find the rows that they read. On the host.

Rows become whole 128-bp tokens; those of all modalities together are what the decoder makes (`Pieces`), and each
modality's head then sees its own. On '-' a row needs its neighbour too, because cut-site signals move by a base when
they are turned.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ag_core.config import TOKEN
from ag_core.layout import NOWHERE, Layout, merge
from ag_core.spans import HALO_COST, Pieces, bucket, choose_pieces, place_pieces
from jaxtyping import Array, Int

# Rows [start, end) at a modality's resolution; None for all.
Spans = Sequence[tuple[int, int]] | None
# Tokens of a modality are padded to one of these.
_BUCKETS = (5, 8, 12, 18, 27, 40, 64, 96, 144, 216, 324, 512)
# With so large a share of the tokens wanted, all are taken: nothing has to be gathered.
_NEARLY_ALL = 0.75


class Rows(NamedTuple):
    """Where things are, for the device; None in place of an array that would only count 0, 1, 2, ...

    - `starts`: of the pieces to decode, in tokens as the model sees them.
    - `fine`: for each modality at 1 bp its places among the decoded tokens, `coarse`: for each at 128 bp its tokens;
      on '-' two for each (itself and what the model sees next to it, -1 beyond the end).
    - `sites`: the places in which splice sites are looked for, `site_rows`: the row at each of their bases.
    """

    starts: Int[Array | np.ndarray, "*sequence piece"]
    fine: Mapping[str, Int[Array | np.ndarray, "*sequence token"] | None]
    coarse: Mapping[str, Int[Array | np.ndarray, "*sequence token"]]
    sites: Int[Array | np.ndarray, "*sequence token"] | None
    site_rows: Int[Array | np.ndarray, "*sequence position"] | None


class Shape(NamedTuple):
    """What a compiled program is for: number and size (in tokens) of pieces, and how many tokens of each kind."""

    count: int
    size: int
    tokens: tuple[tuple[str, int], ...]
    sites: int | None

    @property
    def cost(self) -> float:
        """About how many tokens' worth of decoding."""
        return self.count * (self.size + HALO_COST) + 0.1 * sum(number for _, number in self.tokens)


@dataclasses.dataclass(frozen=True)
class Need:
    """The tokens that must be decoded and read, and the smallest `shape` for them."""

    total: int
    resolutions: Mapping[str, int]
    chosen: Mapping[str, "_Tokens"]
    sites: "_Tokens | None"
    union: Int[np.ndarray, " token"]
    reverse: bool
    shape: Shape

    def fits(self, shape: Shape) -> bool:
        """Whether a program of that shape will do."""
        mine, sites = self.shape, self.shape.sites
        if (sites is None) != (shape.sites is None) or len(mine.tokens) != len(shape.tokens):
            return False
        if sites is not None and shape.sites is not None and sites > shape.sites:
            return False
        if any(name != other or one > two for (name, one), (other, two) in zip(mine.tokens, shape.tokens, strict=True)):
            return False
        if shape.size >= self.total:
            return shape.size == self.total
        return len(place_pieces(self.union, shape.size, self.total)) <= shape.count

    def reading(self, shape: Shape) -> "Reading":
        """What to compute, in a shape that fits."""
        whole = shape.size == self.total
        starts = [0] if whole else place_pieces(self.union, shape.size, self.total)
        pieces = Pieces(np.array(starts + [starts[-1]] * (shape.count - len(starts))), shape.size)
        place = np.full(self.total + 1, NOWHERE)  # the last for -1
        decoded = pieces.tokens
        place[decoded[::-1]] = np.arange(len(decoded))[::-1]
        numbers = dict(shape.tokens)
        chosen = {name: one.enlarged(numbers[name], self.total) for name, one in self.chosen.items()}
        padded = {name: one.padded(numbers[name]) for name, one in chosen.items()}
        seen = {name: _as_seen(tokens, self.total) if self.reverse else tokens for name, tokens in padded.items()}

        def among(tokens: np.ndarray) -> np.ndarray | None:
            return None if whole and np.array_equal(tokens, decoded) else place[tokens].astype(np.int32)

        fine = {name: among(tokens) for name, tokens in seen.items() if self.resolutions[name] == 1}
        coarse = {name: tokens.astype(np.int32) for name, tokens in seen.items() if self.resolutions[name] == TOKEN}
        sites = site_rows = None
        if self.sites is not None:
            assert shape.sites is not None
            where = self.sites.enlarged(shape.sites, self.total)
            sites = place[where.padded(shape.sites)].astype(np.int32)
            site_rows = where.rows(1, shape.sites).astype(np.int32)
        layouts = {}
        for name, one in chosen.items():
            resolution = self.resolutions[name]
            layouts[name] = Layout(self.total * TOKEN // resolution, one.rows(resolution, numbers[name]))
        return Reading(Rows(pieces.starts.astype(np.int32), fine, coarse, sites, site_rows), shape, layouts)


@dataclasses.dataclass(frozen=True)
class Reading:
    """What to compute (`rows`), and where each modality's forward rows then are."""

    rows: Rows
    shape: Shape
    layouts: Mapping[str, Layout]


def find_need(
    length: int,
    wants: Mapping[str, Spans],
    resolutions: Mapping[str, int],
    *,
    sites: Spans = (),
    with_sites: bool = False,
    everything: bool = False,
    reverse: bool = False,
) -> Need:
    """What is needed of a window of `length` bp.

    - `wants`: rows of each modality in forward order; `resolutions`: 1 or 128 bp.
    - `sites`: rows, as the model sees them, in which splice sites are looked for, if `with_sites`.
    - `everything`: decode all of the window whatever is wanted.
    """
    total = length // TOKEN
    chosen = {name: _choose(spans, resolutions[name], total) for name, spans in wants.items()}
    where = _choose(sites, 1, total) if with_sites else None
    fine = [one.tokens for name, one in chosen.items() if resolutions[name] == 1]
    if reverse:
        fine = [seen[seen >= 0] for seen in (_as_seen(tokens, total) for tokens in fine)]
    union = np.unique(np.concatenate([np.zeros(0, int), *fine, *([where.tokens] if where else [])]))
    size, count = (total, 1) if everything else choose_pieces(union, total)
    numbers = tuple((name, one.bucket) for name, one in chosen.items())
    shape = Shape(count, size, numbers, where.bucket if where else None)
    return Need(total, resolutions, chosen, where, union, reverse, shape)


def union_of(many: Iterable[Mapping[str, Spans]]) -> dict[str, Spans]:
    """Spans that cover all of those."""
    union: dict[str, Spans] = {}
    for wants in many:
        for name, spans in wants.items():
            before = union.get(name, ())
            union[name] = None if spans is None or before is None else [*before, *spans]
    return union


class _Tokens(NamedTuple):
    """Wanted tokens, ascending; `bucket` is the number that they are padded to at least."""

    tokens: Int[np.ndarray, " token"]
    bucket: int

    def enlarged(self, number: int, total: int) -> "_Tokens":
        """All tokens, where there is room for all: then nothing has to be gathered."""
        return _Tokens(np.arange(total), total) if number == total else self

    def padded(self, number: int) -> Int[np.ndarray, " token"]:
        """So many tokens: the last one repeated."""
        filler = self.tokens[-1] if len(self.tokens) else 0
        return np.concatenate([self.tokens, np.full(number - len(self.tokens), filler)])

    def rows(self, resolution: int, number: int) -> Int[np.ndarray, " row"]:
        """The row at each place of so many tokens, `NOWHERE` in padding."""
        bins = TOKEN // resolution
        rows = (self.padded(number)[:, None] * bins + np.arange(bins)).ravel()
        rows[len(self.tokens) * bins :] = NOWHERE
        return rows


def _choose(spans: Spans, resolution: int, total: int) -> _Tokens:
    """The tokens of rows; all tokens if they are nearly all."""
    bins = TOKEN // resolution
    if spans is not None:
        merged = merge([(start // bins, -(-end // bins)) for start, end in spans], total)
        tokens = np.concatenate([np.zeros(0, int), *(np.arange(*span) for span in merged)])
        size = bucket(len(tokens), _BUCKETS)
        if size < _NEARLY_ALL * total:
            return _Tokens(tokens, size)
    return _Tokens(np.arange(total), total)


def _as_seen(tokens: Int[np.ndarray, " token"], total: int) -> Int[np.ndarray, " pair"]:
    """For each token as the other strand shows it, and its neighbour there, which is before it here; -1 beyond."""
    seen = total - 1 - tokens
    return np.stack([seen, np.where(tokens > 0, seen + 1, NOWHERE)], axis=1).ravel()
