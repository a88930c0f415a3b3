"""How strongly a model ties an element to a gene: by input x gradient, or by taking the element away.

The procedure is reconstructed from spec/scoring.md 7.5; its constants are settings (`LinkScore`).
"""

import enum
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from ag_core.checkpoint import Checkpoint
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.layers import Constant
from ag_core.model import Model
from ag_core.schema import is_padding
from ag_core.sequence import UNKNOWN, encode, one_hot
from ag_data import Fasta
from ag_data.query import select_tracks
from jaxtyping import Array, Float, UInt8

from ag_eval.links.settings import LinkScore
from ag_eval.predict import check_modality, output_resolution


class LinkStatus(enum.StrEnum):
    """What became of a pair."""

    SCORED = "scored"
    OUT_OF_REACH = "out_of_reach"  # element and TSS do not fit into one window
    UNKNOWN_CONTIG = "unknown_contig"
    NO_SEQUENCE = "no_sequence"  # the FASTA does not hold the element, or the TSS
    UNKNOWN_GENE = "unknown_gene"  # not in the annotation
    NO_SIGNAL = "no_signal"  # no exon of the gene in the window, or no track of its strand
    NOT_FINITE = "not_finite"


class Pair(NamedTuple):
    """An element and a gene with its TSS (0-based); strand "." where it is not known."""

    element: Interval
    tss: int
    gene: str
    strand: str = "."


class Place(NamedTuple):
    """Where a pair is looked at: the window, the signal's share of each bin, and the weights of tracks."""

    window: Interval
    bins: Float[np.ndarray, " bin"]
    tracks: Float[np.ndarray, " track"]


class LinkScorer:
    """Scores pairs with one model and one way of scoring; `genes` is an `ag_data.Annotation` or None.

    Raises InputError when the model lacks the modality, no track fits, or exons are wanted without an annotation.
    """

    def __init__(self, checkpoint: Checkpoint, fasta: Fasta, score: LinkScore, genes: Any = None):
        check_modality(checkpoint, score.modality)
        self.model, self.width = _without_nan(checkpoint.model, score.modality), checkpoint.spec.window
        self.fasta, self.settings, self.genes = fasta, score, genes
        self.resolution = output_resolution(checkpoint, score.modality)
        tracks = checkpoint.spec.tracks(score.modality)
        self.chosen = select_tracks(tracks, score.tracks) & ~is_padding(tracks)
        self.strands = tracks["strand"].values.astype(str)
        if not self.chosen.any():
            raise InputError(
                f"no {score.modality} track of model {checkpoint.spec.name!r} matches {score.tracks!r}; "
                "give another query, or use another model"
            )
        if score.signal == "exons" and genes is None:
            raise InputError("the signal over exons needs an annotation; give --gtf, or use signal: tss")

    def place(self, pair: Pair) -> Place | LinkStatus:
        """The window with the middle between the outer ends of element and TSS in its own middle, or why not."""
        element, settings = pair.element, self.settings
        margin = settings.reach if settings.signal == "tss" else 0
        start, end = min(element.start, pair.tss - margin), max(element.end, pair.tss + 1 + margin)
        if end - start > self.width:
            return LinkStatus.OUT_OF_REACH
        if self.fasta.find_chromosome(element.chromosome) is None:
            return LinkStatus.UNKNOWN_CONTIG
        tss = Interval(element.chromosome, pair.tss, pair.tss + 1)
        if not (self.fasta.covers(element) and self.fasta.covers(tss)):
            return LinkStatus.NO_SEQUENCE
        window = Interval(element.chromosome, start, end).resize(self.width)
        strand, bases = pair.strand, np.zeros(self.width, np.float32)
        if self.genes is not None:
            try:
                exons = self.genes.exons_of(pair.gene.partition(".")[0])  # other versions are the same gene
            except InputError:
                if settings.signal == "exons":
                    return LinkStatus.UNKNOWN_GENE
            else:
                here = self._same_chromosome(exons["chromosome"], element.chromosome)
                if strand == "." and here.any():
                    strand = str(exons["strand"][here][0])
                if settings.signal == "exons":
                    for first, last in zip(exons["start"][here], exons["end"][here], strict=True):
                        bases[max(first - window.start, 0) : max(last - window.start, 0)] = 1
        if settings.signal == "tss":
            bases[pair.tss - margin - window.start : pair.tss + 1 + margin - window.start] = 1
        bins = bases.reshape(-1, self.resolution).mean(axis=1)
        tracks = self.chosen & ((self.strands == ".") | (strand == ".") | (self.strands == strand))
        if not (bins.any() and tracks.any()):
            return LinkStatus.NO_SIGNAL
        return Place(window, bins / bins.sum(), (tracks / tracks.sum()).astype(np.float32))

    def _same_chromosome(self, names: np.ndarray, chromosome: str) -> np.ndarray:
        wanted = self.fasta.find_chromosome(chromosome)
        return np.array([self.fasta.find_chromosome(str(name)) == wanted for name in names], bool)

    def score(self, pair: Pair) -> tuple[float, LinkStatus]:
        """A number, the higher the stronger the link; NaN with any status but `scored`."""
        place = self.place(pair)
        if isinstance(place, LinkStatus):
            return float("nan"), place
        value = self._gradient(pair, place) if self.settings.method == "gradient" else self._loss(pair, place)
        return (value, LinkStatus.SCORED) if np.isfinite(value) else (float("nan"), LinkStatus.NOT_FINITE)

    def _gradient(self, pair: Pair, place: Place) -> float:
        codes = encode(self.fasta.fetch(place.window))
        size = np.abs(np.asarray(_attribution(self.model, codes, *self._read(place)), np.float64))
        middle = (pair.element.start + pair.element.end - 1) / 2 - place.window.start
        near = np.exp(-0.5 * ((np.arange(len(size)) - middle) / self.settings.spread) ** 2)
        value = float((near * size).sum() / near.sum())
        if not self.settings.normalise:
            return value
        return value / float(size.mean()) if size.any() else float("nan")

    def _loss(self, pair: Pair, place: Place) -> float:
        before = _signal(self.model, encode(self.fasta.fetch(place.window)), *self._read(place))
        after = [float(_signal(self.model, codes, *self._read(place))) for codes in self._without(pair, place.window)]
        return float(before) - float(np.mean(after))

    def _without(self, pair: Pair, window: Interval) -> list[UInt8[np.ndarray, " position"]]:
        """The window's sequence without the element, once or several times."""
        element, settings = pair.element, self.settings
        if settings.method == "delete":
            # What lies on the gene's side stays in place; the far side moves up.
            left = (element.start + element.end) // 2 < pair.tss
            near, far = (element.end, window.end), (window.start, element.start)
            if not left:
                near, far = (window.start, element.start), (element.end, window.end)
            missing = element.width
            far = (far[0] - missing, far[1]) if left else (far[0], far[1] + missing)
            parts = (far, near) if left else (near, far)
            return [encode("".join(self.fasta.fetch(Interval(window.chromosome, *part)) for part in parts))]
        codes = encode(self.fasta.fetch(window))
        inside = slice(element.start - window.start, element.end - window.start)
        if settings.method == "mask":
            codes = codes.copy()
            codes[inside] = UNKNOWN
            return [codes]
        random, changed = np.random.default_rng(0), []
        for _ in range(settings.shuffles):
            copy = codes.copy()
            copy[inside] = random.permutation(copy[inside])
            changed.append(copy)
        return changed

    def _read(self, place: Place) -> tuple[str, np.ndarray, np.ndarray, np.float32]:
        return self.settings.modality, place.bins, place.tracks, np.float32(self.settings.pseudocount)


def _without_nan(model: Model, modality: str) -> Model:
    """Padding has NaN among a head's constants, which a weight of 0 would not take away."""

    def known(leaf: Any) -> Any:
        if not isinstance(leaf, Constant) or not jnp.issubdtype(leaf.value.dtype, jnp.inexact):
            return leaf
        return Constant(jnp.nan_to_num(leaf.value, nan=1.0))

    head = jax.tree.map(known, model.heads[modality], is_leaf=lambda leaf: isinstance(leaf, Constant))
    return eqx.tree_at(lambda whole: whole.heads[modality], model, head)


@eqx.filter_jit
def _signal(model: Model, codes, modality: str, bins, tracks, pseudocount) -> Float[Array, ""]:
    return _log_mean(one_hot(codes), model, modality, bins, tracks, pseudocount)


@eqx.filter_jit
def _attribution(model: Model, codes, modality: str, bins, tracks, pseudocount) -> Float[Array, " position"]:
    dna = one_hot(codes)
    gradient = jax.grad(_log_mean)(dna, model, modality, bins, tracks, pseudocount)
    return (gradient * dna).sum(axis=-1)


def _log_mean(
    dna: Float[Array, "position base"],
    model: Model,
    modality: str,
    bins: Float[Array | np.ndarray, " bin"],
    tracks: Float[Array | np.ndarray, " track"],
    pseudocount: Array | np.float32,
) -> Float[Array, ""]:
    """Natural logarithm of a weighted mean of the predictions over bins and tracks."""
    predictions = model(dna[None], jnp.zeros(1, jnp.int32), modalities=[modality])[modality]
    output = jax.vmap(model.heads[modality].output)(predictions)[0].astype(jnp.float32)
    return jnp.log(pseudocount + jnp.einsum("bt,b,t->", output, bins, tracks))
