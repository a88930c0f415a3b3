"""The device's part of scoring: predictions of both alleles, everywhere or only where scorers read, and their scores.

`score_everywhere` is the plain way, both alleles in full. `score_rows` gives the same numbers from what is known of
the reference (`ag_core.partial`) and the rows that are read (`reading`). What the reference itself says there is the
same for all alternatives of a window: `read_reference` computes it once.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from ag_core.attention import MAX_QUERIES
from ag_core.config import PAIR_BIN, TOKEN
from ag_core.decoding import tokens_read
from ag_core.interfaces import AbstractHead, AbstractScorer, Embeddings, Predictions
from ag_core.model import Model
from ag_core.partial import Change, Sequences, TokenEmbeddings, alternate, embed_bins, embed_tokens, joint
from ag_core.precision import cast
from jaxtyping import Array, Bool, Float, Int, PyTree, UInt8

from ag_scorers.align import align_alternate
from ag_scorers.alleles import JUNCTIONS, SITES, SiteMasks, choose_sites, predict_alleles
from ag_scorers.reading import Rows
from ag_scorers.stitch import StitchCodes

Selections = Mapping[str, Int[Array | np.ndarray, " _"]]


class Outcome(NamedTuple):
    """What comes back of one scorer: scores, both alleles' values if asked for, and whether all it read is finite."""

    scores: PyTree[Array]
    alleles: PyTree[Array] | None
    finite: Bool[Array, "*job"]


def read_and_score(
    heads: Mapping[str, AbstractHead],
    ref: Mapping[str, Predictions],
    alt: Mapping[str, Predictions],
    selections: Selections,
    scorer: AbstractScorer,
    masks: PyTree[Array],
    equal: Bool[Array, ""],
    both: bool,
) -> Outcome:
    """One variant, one scorer. `equal` alleles have equal predictions, however they were rounded."""
    before, after = scorer.read(heads, ref, selections), scorer.read(heads, alt, selections)
    after = jax.tree.map(lambda x, y: jnp.where(equal, x, y), before, after)
    values = [x for x in jax.tree.leaves((before, after)) if jnp.issubdtype(x.dtype, jnp.inexact)]
    finite = jnp.stack([jnp.isfinite(x).all() for x in values]).all() if values else jnp.asarray(True)
    alleles = scorer.alleles(before, after, masks) if both else None
    return Outcome(scorer.score(before, after, masks), alleles, finite)


def _score(
    model: Model,
    ref: Mapping[str, Predictions],
    alt: Mapping[str, Predictions],
    selections: Selections,
    scorers: Sequence[AbstractScorer],
    masks: Sequence[Any],
    equal: Bool[Array, " job"],
    both: bool,
    shared: bool = False,
) -> list[Outcome]:
    """All scorers on predictions [job, ...]; with `shared`, those of REF are of one job, for all."""

    def one(scorer: AbstractScorer, ref: Any, alt: Any, mask: Any, equal: Any) -> Outcome:
        return read_and_score(model.heads, ref, alt, selections, scorer, mask, equal, both)

    outcomes = []
    for scorer, mask in zip(scorers, masks, strict=True):
        before, after = ({name: found[name] for name in scorer.modalities} for found in (ref, alt))
        before = jax.tree.map(lambda x: x[0], before) if shared else before
        run = jax.vmap(one, in_axes=(None, None if shared else 0, 0, 0, 0))
        outcomes.append(run(scorer, before, after, mask, equal))
    return outcomes


@eqx.filter_jit
def score_everywhere(
    model: Model,
    codes: UInt8[Array | np.ndarray, "job 2 position"],
    organism: int,
    selections: Selections,
    scorers: Sequence[AbstractScorer],
    masks: Sequence[Any],
    sites: SiteMasks | None,
    stitch: StitchCodes | None,
    reverse: bool,
    both: bool,
) -> list[Outcome]:
    """Outcomes of all scorers, each with a leading axis of jobs, from full predictions of REF and ALT."""
    predictions = predict_alleles(model, codes, organism, list(selections), sites, stitch=stitch, reverse=reverse)
    ref, alt = (jax.tree.map(lambda x, n=allele: x[:, n], predictions) for allele in (0, 1))
    codes = jnp.asarray(codes)
    equal = (codes[:, 0] == codes[:, 1]).all(axis=-1)
    return _score(model, ref, alt, selections, scorers, masks, equal, both)


class Alternatives(NamedTuple):
    """ALT alleles: their codes, the base where each begins to differ, and whether it differs at all."""

    codes: UInt8[Array | np.ndarray, "job position"]
    first: Int[Array | np.ndarray, " job"]
    equal: Bool[Array | np.ndarray, " job"]


class Sites(NamedTuple):
    """Where splice sites are looked for: embeddings at 1 bp, and what the sites' head makes of them."""

    embeddings: Float[Array, "sequence position channel"]
    probabilities: Float[Array, "sequence position label"]


class ReferenceRows(NamedTuple):
    """What one reference says where scorers read."""

    predictions: dict[str, Predictions]
    sites: Sites | None


@eqx.filter_jit
def read_reference(
    model: Model,
    references: Sequences,
    organism: int,
    rows: Rows,
    selections: Selections,
    size: int,
    length: int,
    reverse: bool,
) -> ReferenceRows:
    """Predictions of the `rows`; `size` tokens to a piece, `length` bp of window."""
    view = _View(model, references, jax.tree.map(jnp.asarray, rows), size, organism, length, reverse)
    with_sites = rows.sites is not None
    found = view.predict([name for name in selections if name != JUNCTIONS or not with_sites])
    return ReferenceRows(found, view.look_for_sites() if with_sites else None)


@eqx.filter_jit
def score_rows(
    model: Model,
    references: Sequences,
    known: ReferenceRows | None,
    alternatives: Alternatives,
    organism: int,
    rows: Rows,
    selections: Selections,
    scorers: Sequence[AbstractScorer],
    masks: Sequence[Any],
    sites: SiteMasks | None,
    size: int,
    change: Change,
    reverse: bool,
    both: bool,
) -> list[Outcome]:
    """Outcomes of all scorers, each with a leading axis of jobs, from predictions of the `rows` only.

    There is one reference for all jobs, or one for each; `rows` has one set for each reference. `known`: what
    `read_reference` made of the one; without it, it is computed here.
    """
    jobs, count = len(alternatives.codes), len(references.tokens)
    which = jnp.zeros(jobs, jnp.int32) if count == 1 else jnp.arange(jobs)
    codes, first = jnp.asarray(alternatives.codes), jnp.asarray(alternatives.first)
    rows = jax.tree.map(jnp.asarray, rows)
    own = jax.tree.map(lambda x: x[which], rows)
    tokens = _tokens_of(own, size, codes.shape[1] // TOKEN)
    others = alternate(model.backbone, references, which, codes, first, change, organism, tokens)
    settings = size, organism, codes.shape[1], reverse
    joined = None if known is not None else joint(references, others)
    if joined is None:
        alt_view = _View(model, others, own, *settings)
        ref_view = _View(model, references, rows, *settings)
    else:  # one program for both alleles: half to compile
        both_rows = jax.tree.map(lambda x, y: jnp.concatenate([x, y]), rows, own)
        whole = _View(model, joined, both_rows, *settings)
        ref_view, alt_view = whole.part(0, count), whole.part(count, count + jobs)
    wanted = [name for name in selections if name != JUNCTIONS or sites is None]
    ref = ref_view.predict(wanted) if known is None else known.predictions
    alt = alt_view.predict(wanted)
    shared = count == 1
    if JUNCTIONS in selections and sites is not None:
        found = ref_view.look_for_sites() if known is None or known.sites is None else known.sites
        junctions = _junctions(alt_view, found, which, sites)
        # Sites are chosen for each job, so its junctions in REF are its own as well.
        if shared and jobs > 1:
            ref = jax.tree.map(lambda x: jnp.broadcast_to(x, (jobs, *x.shape[1:])), ref)
        shared = shared and jobs == 1
        ref, alt = ref | {JUNCTIONS: junctions[0]}, alt | {JUNCTIONS: junctions[1]}
    return _score(model, ref, alt, selections, scorers, masks, jnp.asarray(alternatives.equal), both, shared)


def _tokens_of(rows: Rows, size: int, total: int) -> Int[Array, "sequence token"] | None:
    """The tokens that are read of the tower's last block; None where they are many, or too many for one go."""
    tokens = [tokens_read(jnp.asarray(rows.starts), size, total)]
    tokens += [jnp.maximum(jnp.asarray(index), 0) for index in rows.coarse.values()]
    count = sum(each.shape[1] for each in tokens)
    return jnp.concatenate(tokens, axis=1) if count <= min(total // 2, MAX_QUERIES) else None


class _View:
    """Sequences seen through `Rows`: embeddings and predictions of what is wanted."""

    def __init__(
        self, model: Model, sequences: Sequences, rows: Rows, size: int, organism: int, length: int, reverse: bool
    ):
        self.model, self.sequences, self.rows, self.organism = model, sequences, rows, organism
        self.length, self.reverse = length, reverse
        self.organisms = jnp.full(len(sequences.tokens), organism, jnp.int32)
        self.size = size
        self._embedded: TokenEmbeddings | None = None
        self._predicted: dict[str, Predictions] = {}
        self._whole_view: tuple[_View, slice] | None = None

    def part(self, start: int, end: int) -> "_View":
        """Some of the sequences; what is computed of these is computed of all, once."""
        rows = jax.tree.map(lambda x: x[start:end], self.rows)
        sequences = self.sequences._replace(tokens=self.sequences.tokens[start:end])
        view = _View(self.model, sequences, rows, self.size, self.organism, self.length, self.reverse)
        view._whole_view = self, slice(start, end)
        return view

    @property
    def embedded(self) -> TokenEmbeddings:
        """The decoded tokens."""
        if self._embedded is None and self._whole_view is not None:
            view, mine = self._whole_view
            self._embedded = jax.tree.map(lambda x: x[mine], view.embedded)
        elif self._embedded is None:
            arguments = jnp.asarray(self.rows.starts), self.size, self.organism
            self._embedded = embed_tokens(self.model.backbone, self.sequences, *arguments)
        assert self._embedded is not None
        return self._embedded

    def predict(self, names: Sequence[str]) -> dict[str, Predictions]:
        """Predictions of modalities: their rows, or the whole of what has no rows."""
        return {name: self._predict(name) for name in names}

    def _predict(self, name: str) -> Predictions:
        if name not in self._predicted:
            if self._whole_view is not None:
                view, mine = self._whole_view
                self._predicted[name] = jax.tree.map(lambda x: x[mine], view._predict(name))
            else:
                self._predicted[name] = self._rows_of(name) if name in self._by_rows else self._whole(name)
        return self._predicted[name]

    @property
    def _by_rows(self) -> set[str]:
        return {*self.rows.fine, *self.rows.coarse}

    def _rows_of(self, name: str) -> Predictions:
        head = self.model.heads[name]
        if name in self.rows.coarse:
            index = self.rows.coarse[name]
            coarse = embed_bins(self.model.backbone, self.sequences, jnp.maximum(index, 0), self.organism)
            embeddings = Embeddings(None, coarse, None)
        else:
            index = self.rows.fine[name]
            fine, coarse = self._tokens_at(index)
            embeddings = Embeddings(fine, coarse, None)
        predictions = cast(jax.vmap(head)(embeddings, self.organisms, {}), self.model.precision)
        return self._turn_rows(head, predictions, index) if self.reverse else predictions

    def _tokens_at(self, index: Int[Array | np.ndarray, "sequence token"] | None) -> tuple[Array, Array]:
        """Embeddings at 1 bp [sequence, position, channel] and 128 bp of some of the decoded tokens."""
        fine, coarse = self.embedded
        assert fine is not None
        if index is not None:
            index = jnp.maximum(index, 0)
            fine = jnp.take_along_axis(fine, index[:, :, None, None], axis=1)
            coarse = jnp.take_along_axis(coarse, index[:, :, None], axis=1)
        return fine.reshape(len(fine), -1, fine.shape[-1]), coarse

    def look_for_sites(self) -> Sites:
        """Embeddings and probabilities of the rows in which sites are looked for."""
        bp1, bp128 = self._tokens_at(self.rows.sites)
        found = jax.vmap(self.model.heads[SITES])(Embeddings(bp1, bp128, None), self.organisms, {})
        return Sites(bp1, cast(found, self.model.precision)["predictions"])

    def _turn_rows(
        self, head: AbstractHead, predictions: Predictions, index: Int[Array | np.ndarray, "sequence token"] | None
    ) -> Predictions:
        """Forward rows from pairs of neighbouring tokens, of which the first is wanted."""
        count = len(self.organisms)
        pairs = self.embedded.bp128.shape[1] // 2 if index is None else index.shape[1] // 2
        there = jnp.ones((count, 2 * pairs), bool) if index is None else jnp.asarray(index) >= 0

        def turn(pair: Predictions, organism: Array) -> Predictions:
            turned = head.reverse_complement(pair, organism, 2 * TOKEN)
            return {name: x[len(x) // 2 :] for name, x in turned.items()}

        def split(x: Array) -> Array:
            x = x.reshape(count, 2 * pairs, -1, *x.shape[2:])
            x = jnp.where(there.reshape(*there.shape, *(1,) * (x.ndim - 2)), x, jnp.zeros((), x.dtype))
            return x.reshape(count * pairs, -1, *x.shape[3:])

        turned = jax.vmap(turn)(jax.tree.map(split, predictions), jnp.repeat(self.organisms, pairs))
        return jax.tree.map(lambda x: x.reshape(count, -1, *x.shape[2:]), turned)

    def _whole(self, name: str) -> Predictions:
        heads = self.model.heads
        resolutions = {resolution for each in self.model.order([name]) for resolution in heads[each].reads}
        fine = coarse = pair = None
        if resolutions & {1, TOKEN}:  # then all tokens were decoded
            fine, coarse = self._tokens_at(None)
        if PAIR_BIN in resolutions:
            pair = self.model.backbone.embedder_pair(self.sequences.pair, self.organisms)
        predictions = self.model.predict(Embeddings(fine, coarse, pair), self.organisms, modalities=[name])[name]
        if not self.reverse:
            return predictions
        turn = jax.vmap(lambda one, organism: heads[name].reverse_complement(one, organism, self.length))
        return turn(predictions, self.organisms)


def _junctions(view: _View, ref: Sites, which: Int[Array, " job"], sites: SiteMasks) -> tuple[Predictions, Predictions]:
    """Junctions of both alleles between the same sites, chosen among the rows that were decoded for that.

    `view` is that of ALT; `which` tells the reference of each job.
    """
    site_rows, model = view.rows.site_rows, view.model
    assert site_rows is not None
    head, organisms = model.heads[JUNCTIONS], view.organisms
    ref, alt = jax.tree.map(lambda x: x[which], ref), view.look_for_sites()
    places = choose_sites(head, ref.probabilities, alt.probabilities, sites)
    row = jax.vmap(lambda at, place: jnp.where(place >= 0, at[place], place))(jnp.asarray(site_rows), places)
    aligned = jax.vmap(align_alternate)(alt.embeddings, sites.alignment)
    given = {"splice_site_positions": row, "splice_site_rows": places}

    def join(embedding: Array) -> Predictions:
        joined = jax.vmap(lambda e, o, g: head(Embeddings(e, None, None), o, {JUNCTIONS: g}))
        found = cast(joined(embedding, organisms, given), model.precision)
        if not view.reverse:
            return found
        return jax.vmap(lambda one, o: head.reverse_complement(one, o, view.length))(found, organisms)

    return join(ref.embeddings), join(aligned)
