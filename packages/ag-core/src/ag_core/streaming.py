"""Predictions of a long sequence piece by piece: equal to the whole model's, in a fraction of the memory.

The encoder and the decoder run on slices with a halo (`spans`), the tower once on all tokens; each local head then
runs on one piece of the embeddings, and its result is handed out before the next is made. What must stay is the
encoder's features (7.4 GB for 1 Mb of the full model in float32) and the weights.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree, UInt8

from ag_core.backbone import Backbone
from ag_core.config import TOKEN, check_length
from ag_core.features import PIECE, encode
from ag_core.interfaces import AbstractHead, Embeddings, Predictions, Reducer
from ag_core.model import Model
from ag_core.precision import cast
from ag_core.spans import DECODER_HALO, Span, cover


class Piece(NamedTuple):
    """Predictions of one modality over a part of the sequence, without a batch axis.

    `start` is the first base of that part, 0-based, in the forward frame (0 for what is not local).
    """

    modality: str
    start: int
    predictions: Predictions


@eqx.filter_jit
def _tower(backbone: Backbone, trunk: Float[Array, "token channel"], organism: Int[Array, ""]):
    x, organisms = trunk[None], organism[None]
    if backbone.organism is not None:
        x = backbone.organism.add(x, organisms)
    x, pair = backbone.tower(x)
    bp128 = backbone.embedder_128(x, None, organisms)
    return x[0], bp128[0], backbone.embedder_pair(pair, organisms)[0]


@eqx.filter_jit
def _decode(
    backbone: Backbone,
    tokens: Float[Array, "token channel"],
    skips: list[Float[Array, "1 _ _"]],
    bp128: Float[Array, "token channel_128"],
    organism: Int[Array, ""],
    start: Int[Array, ""],
    offset: Int[Array, ""],
    length: int,
    kept: int,
) -> tuple[Float[Array, "position channel_1"], Float[Array, "bin channel_128"]]:
    """Embeddings at 1 and 128 bp of the `kept` bp that begin `offset` bp inside the slice [start, start + length)."""

    def part(x: Array, first: Array, size: int, bin_size: int) -> Array:
        return jax.lax.dynamic_slice_in_dim(x, first // bin_size, size // bin_size)

    fine = [part(skip[0], start, length, 2**level)[None] for level, skip in enumerate(skips)]
    decoded = backbone.decoder(part(tokens, start, length, TOKEN)[None], fine)[0]
    coarse = part(bp128, start + offset, kept, TOKEN)
    decoded = part(decoded, offset, kept, 1)
    return backbone.embedder_1(decoded[None], coarse[None], organism[None])[0], coarse


@eqx.filter_jit
def _predict(
    head: AbstractHead, embeddings: Embeddings, organism: Int[Array, ""], context: Mapping[str, Predictions], dtype: str
) -> Predictions:
    return cast(head(embeddings, organism, context), dtype)


@eqx.filter_jit
def _turn(head: AbstractHead, predictions: Predictions, organism: Int[Array, ""], length: int) -> Predictions:
    return head.reverse_complement(predictions, organism, length)


@eqx.filter_jit
def _turn_piece(
    head: AbstractHead, predictions: Predictions, next_token: Predictions, organism: Int[Array, ""], kept: int
) -> Predictions:
    # A head may shift by a base (cut sites): it sees one token more, which is then dropped.
    joined = jax.tree.map(lambda x, y: jnp.concatenate([x, y]), predictions, next_token)
    turned = head.reverse_complement(joined, organism, kept + TOKEN)
    return {name: x[len(x) - len(predictions[name]) :] for name, x in turned.items()}


@eqx.filter_jit
def _absorb(
    head: Reducer,
    state: PyTree[Array],
    embeddings: Embeddings,
    start: Int[Array, ""],
    context: Mapping[str, Predictions],
) -> PyTree[Array]:
    return head.absorb(state, embeddings, start, context)


@eqx.filter_jit
def _finish(head: Reducer, state: PyTree[Array], organism: Int[Array, ""], dtype: str) -> Predictions:
    return cast(head.finish(state, organism), dtype)


class _Reader:
    """Runs the heads over embeddings as they come, and joins what must be joined."""

    def __init__(self, model: Model, organism: Int[Array, ""], names: list[str], length: int, reverse: bool):
        self.model, self.organism, self.length, self.reverse = model, organism, length, reverse
        self.names, self.dtype = names, str(model.precision)
        heads = {name: model.heads[name] for name in names}
        self.local: list[str] = []
        for name in names:  # each stands after what it requires
            if heads[name].local and 1 in heads[name].reads and set(heads[name].requires) <= set(self.local):
                self.local.append(name)
        self.reduced: dict[str, Reducer] = {}
        for name in names:
            head = heads[name]
            if not head.local and isinstance(head, Reducer) and set(head.requires) <= set(self.local):
                self.reduced[name] = head
        self.whole = [name for name in names if name not in (*self.local, *self.reduced)]
        self.needed = {needed for name in names for needed in heads[name].requires}
        # What heads that are neither local nor reducers read, kept until the end.
        self.joined = {n for name in self.whole for n in heads[name].requires if n in self.local}
        self.keep_fine = any(1 in heads[name].reads for name in self.whole)
        self.pieces: dict[str, list[Predictions]] = {name: [] for name in self.joined}
        self.fine: list[Array] = []
        self.states: dict[str, PyTree[Array]] = {}
        self.tokens: dict[str, Predictions] = {}

    @property
    def reads_fine(self) -> bool:
        """Whether any head reads the 1-bp embedding."""
        return bool(self.local or self.reduced or self.keep_fine)

    def _context(self, name: str, known: Mapping[str, Predictions]) -> dict[str, Predictions]:
        return {needed: known[needed] for needed in self.model.heads[name].requires}

    def piece(self, embeddings: Embeddings, span: Span) -> Iterator[Piece]:
        """The local heads on one piece, in the forward frame."""
        known: dict[str, Predictions] = {}
        for name in self.local:
            head = self.model.heads[name]
            predictions = _predict(head, embeddings, self.organism, self._context(name, known), self.dtype)
            if name in self.needed:
                known[name] = predictions
            if name in self.joined:
                self.pieces[name].append(predictions)
            yield self._forward(name, predictions, span)
        for name, head in self.reduced.items():
            assert embeddings.bp1 is not None
            if name not in self.states:
                self.states[name] = head.begin(embeddings.bp1.shape[-1], embeddings.bp1.dtype)
            start = jnp.asarray(span.keep, jnp.int32)
            self.states[name] = _absorb(head, self.states[name], embeddings, start, self._context(name, known))
        if self.keep_fine:
            assert embeddings.bp1 is not None
            self.fine.append(embeddings.bp1)

    def _forward(self, name: str, predictions: Predictions, span: Span) -> Piece:
        if not self.reverse:
            return Piece(name, span.keep, predictions)
        head, after = self.model.heads[name], self.tokens.get(name)
        self.tokens[name] = {key: x[: max(TOKEN * len(x) // span.kept, 1)] for key, x in predictions.items()}
        start = self.length - span.keep - span.kept
        if after is None:
            return Piece(name, start, _turn(head, predictions, self.organism, span.kept))
        return Piece(name, start, _turn_piece(head, predictions, after, self.organism, span.kept))

    def finish(self, bp128: Array, pair: Array) -> Iterator[Piece]:
        """The heads that need all of the sequence."""
        order = reversed if self.reverse else iter
        known = {
            name: jax.tree.map(lambda *xs: jnp.concatenate(xs), *order(pieces)) for name, pieces in self.pieces.items()
        }
        fine = jnp.concatenate(list(order(self.fine))) if self.fine else None
        embeddings = Embeddings(fine, bp128, pair)
        for name in self.names:
            head = self.model.heads[name]
            if name in self.reduced:
                predictions = _finish(self.reduced[name], self.states.pop(name), self.organism, self.dtype)
            elif name in self.whole:
                predictions = _predict(head, embeddings, self.organism, self._context(name, known), self.dtype)
                known[name] = predictions
            else:
                continue
            if self.reverse:
                predictions = _turn(head, predictions, self.organism, self.length)
            yield Piece(name, 0, predictions)


def stream(
    model: Model,
    codes: UInt8[np.ndarray, " position"],
    organism: int,
    *,
    modalities: Iterable[str] | None = None,
    piece: int = PIECE,
    reverse: bool = False,
) -> Iterator[Piece]:
    """Predictions of the wanted modalities (all by default, with what they require) for one sequence of base codes.

    Local heads at 1 bp come in pieces of `piece` bp, ascending; then the others, whole. With `reverse`, `codes` are
    the reverse complement of the place, and predictions come back in the forward frame. Raises ValueError for a
    length that is no multiple of 2,048 or a `piece` that is no multiple of 128, and LookupError for a modality
    without a head.
    """
    length = len(codes)
    check_length(length)
    reader = _Reader(model, jnp.asarray(organism, jnp.int32), model.order(modalities), length, reverse)
    backbone, dtype = model.backbone, str(model.precision)
    features = encode(backbone, jnp.asarray(codes)[None], dtype, piece=piece, skips=reader.reads_fine)
    tokens, bp128, pair = _tower(backbone, features.trunk[0], reader.organism)
    if reader.reads_fine:
        spans = cover(length, piece, DECODER_HALO)
        for span in reversed(spans) if reverse else spans:
            place = (jnp.asarray(span.start), jnp.asarray(span.offset))
            fine, coarse = _decode(
                backbone, tokens, features.skips, bp128, reader.organism, *place, span.length, span.kept
            )
            yield from reader.piece(Embeddings(fine, coarse, None), span)
            del fine, coarse
    del features, tokens
    yield from reader.finish(bp128, pair)
