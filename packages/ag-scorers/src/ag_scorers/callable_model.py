"""Scorers on the predictions of any callable, and our model as a callable for other tools.

    model = CallableModel(function, tables, resolutions={"cage": 1}, window=2048)
    engine = CallableEngine(model, Fasta("ref.fa"), {"near": CenterMaskScorer("cage")})
    engine.score(variant)

`function` takes one-hot DNA, float32 [batch, position, 4] in the order A, C, G, T (zeros for N), and returns for each
modality [batch, position, track], or [batch, row, column, track] for contact maps: numpy, jax, or whatever exports
DLPack (torch). Both alleles are predicted in full.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.interfaces import AbstractHead, AbstractScorer, Embeddings, Losses, Predictions
from ag_core.schema import check_tracks, is_padding, strand_partners
from ag_core.sequence import allele_sequences, encode
from ag_data.fasta import Fasta
from ag_data.variants import Call, Status
from jaxtyping import Array, Float, Int, UInt8

from ag_scorers.evaluation import Outcome, read_and_score
from ag_scorers.results import Result, ScorerResult

Function = Callable[[Any], Mapping[str, Any]]
OUTPUT = "predictions"
BASES = np.concatenate([np.eye(4, dtype=np.float32), np.zeros((1, 4), np.float32)])


class GivenHead(AbstractHead):
    """What scorers ask of a head whose predictions come from elsewhere; it neither predicts nor learns."""

    modality: str = eqx.field(static=True)
    resolutions: tuple[int, ...] = eqx.field(static=True)
    partners: tuple[int, ...] = eqx.field(static=True)
    requires: tuple[str, ...] = eqx.field(static=True)

    def __call__(
        self, embeddings: Embeddings, organism: Int[Array, ""], context: Mapping[str, Predictions]
    ) -> Predictions:
        """Raises TypeError: there are no embeddings."""
        raise TypeError(f"{self.modality}: predictions are given by a function, not made from embeddings")

    def loss(self, predictions: Predictions, targets: Mapping[str, Array], organism: Int[Array, " batch"]) -> Losses:
        """Raises TypeError: there is nothing to train."""
        raise TypeError(f"{self.modality}: predictions are given by a function, which is not trained here")

    def reverse_complement(self, predictions: Predictions, organism: Int[Array, ""], length: int) -> Predictions:
        """All axes but the last reversed, strand partners swapped."""
        partners = np.array(self.partners)
        return {name: jnp.flip(x, tuple(range(x.ndim - 1)))[..., partners] for name, x in predictions.items()}

    def output(self, predictions: Predictions) -> Float[Array, "*position track"]:
        """What the function returned."""
        return predictions[OUTPUT]


def to_array(values: Any) -> Array | np.ndarray:
    """numpy and jax arrays as they are, others through DLPack without a copy, or else through numpy."""
    if isinstance(values, np.ndarray | jax.Array):
        return values
    if hasattr(values, "__dlpack__"):
        values = values.detach() if hasattr(values, "detach") else values  # torch exports none that wants gradients
        return jnp.from_dlpack(values)
    return np.asarray(values)


class CallableModel:
    """A function with what scorers must know about its predictions.

    - `tracks`: a track table for each modality (`ag_core.track_table`); rows called "padding" are not scored.
    - `resolutions`: bp per position, for each modality.
    - `window`: bp of its input, a multiple of all resolutions.
    - `convert`: turns the one-hot array (numpy) into what the function takes, such as `torch.from_dlpack`.

    Raises InputError when these do not go together.
    """

    def __init__(
        self,
        function: Function,
        tracks: Mapping[str, xr.Dataset],
        *,
        resolutions: Mapping[str, int],
        window: int,
        name: str = "callable",
        convert: Callable[[np.ndarray], Any] | None = None,
    ):
        if not tracks or set(tracks) != set(resolutions):
            raise InputError(
                f"{name}: track tables of {', '.join(tracks) or 'nothing'}, resolutions of "
                f"{', '.join(resolutions) or 'nothing'}; expected the same modalities in both, one at least"
            )
        for modality, resolution in resolutions.items():
            if resolution < 1 or window < resolution or window % resolution:
                raise InputError(f"{name}: window of {window} bp is no multiple of {modality}'s {resolution} bp")
        self.function, self.convert, self.window, self.name = function, convert, window, name
        self.slots, self.tables, self.heads = {}, {}, {}
        self.sizes = {modality: table.sizes["track"] for modality, table in tracks.items()}
        for modality, table in tracks.items():
            try:
                check_tracks(table)
                partners = strand_partners(table)
            except ValueError as error:
                raise InputError(f"{name}: tracks of {modality}: {error}") from error
            self.slots[modality] = np.flatnonzero(~is_padding(table))
            self.tables[modality] = table.isel(track=self.slots[modality]).assign_attrs(modality=modality)
            resolution = int(resolutions[modality])
            self.heads[modality] = GivenHead(
                modality=modality, resolutions=(resolution,), partners=tuple(partners.tolist()), requires=()
            )

    def predict(self, codes: UInt8[np.ndarray, "batch position"]) -> dict[str, Predictions]:
        """Predictions of base codes. Raises ValueError when the function returns something else than it should."""
        dna = BASES[np.minimum(codes, 4)]
        found = self.function(dna if self.convert is None else self.convert(dna))
        predictions = {}
        for modality, head in self.heads.items():
            if modality not in found:
                raise ValueError(f"{self.name} returned {', '.join(found)}, but no {modality}")
            values = to_array(found[modality])
            length, size = codes.shape[1] // head.resolutions[0], self.sizes[modality]
            shapes = [(len(codes), *(length,) * axes, size) for axes in (1, 2)]
            if values.shape not in shapes:
                raise ValueError(
                    f"{self.name} returned {modality} of shape {tuple(values.shape)}; expected {shapes[0]} (batch, "
                    f"position, track), or {shapes[1]} for a map"
                )
            predictions[modality] = {OUTPUT: values}
        return predictions


@eqx.filter_jit
def _score(
    heads: Mapping[str, AbstractHead],
    ref: Mapping[str, Predictions],
    alt: Mapping[str, Predictions],
    slots: Mapping[str, Int[Array | np.ndarray, " _"]],
    scorers: Sequence[AbstractScorer],
    masks: Sequence[Any],
    equal: bool,
    reverse: bool,
) -> list[Outcome]:
    if reverse:
        ref, alt = (
            {name: heads[name].reverse_complement(x, jnp.array(0), 0) for name, x in side.items()}
            for side in (ref, alt)
        )
    return [
        read_and_score(heads, ref, alt, slots, scorer, mask, jnp.asarray(equal), False)
        for scorer, mask in zip(scorers, masks, strict=True)
    ]


class CallableEngine:
    """Scores variants with a `CallableModel`, as `ag_scorers.Engine` does with a model of this suite.

    `resources`: what scorers ask for by name ("genes": an `ag_data.Annotation`). Raises InputError when a scorer reads
    a modality that the model does not predict, or needs a resource that is not given.
    """

    def __init__(
        self,
        model: CallableModel,
        fasta: Fasta,
        scorers: Mapping[str, AbstractScorer],
        *,
        resources: Mapping[str, Any] | None = None,
    ):
        self.model, self.fasta, self.scorers = model, fasta, dict(scorers)
        self.resources = dict(resources or {})
        for key, scorer in self.scorers.items():
            if absent := [name for name in scorer.modalities if name not in model.heads]:
                known = ", ".join(model.heads)
                raise InputError(f"scorer {key} reads {', '.join(absent)}, but {model.name} predicts {known}")
            if missing := [name for name in scorer.requires if name not in self.resources]:
                raise InputError(f"scorer {key} needs {', '.join(missing)}; give it in resources, or leave it out")

    def interval(self, variant: Variant) -> Interval:
        """The input window of a variant."""
        return Interval(variant.chromosome, variant.start, variant.start + 1).resize(self.model.window)

    def score(self, variant: Variant, interval: Interval | None = None) -> tuple[ScorerResult, ...]:
        """Scores of one variant over an interval (by default `interval(variant)`), in the order of the scorers.

        On '-' the function sees the reverse complement; predictions are turned back before they are scored. Raises
        ValueError when a scorer refuses the variant, or predictions are not finite or of another shape.
        """
        interval = self.interval(variant) if interval is None else interval
        codes = np.stack([encode(bases) for bases in allele_sequences(interval, variant, self.fasta.fetch)])
        model, shown = self.model, interval.as_unstranded()
        items = [
            scorer.items(shown, variant, model.heads[scorer.modalities[0]].resolutions[0], self.resources)
            for scorer in self.scorers.values()
        ]
        predictions = model.predict(codes)
        ref, alt = (jax.tree.map(lambda x, n=allele: x[n], predictions) for allele in (0, 1))
        equal, masks = bool((codes[0] == codes[1]).all()), [one.masks for one in items]
        scorers = tuple(self.scorers.values())
        outcomes = _score(model.heads, ref, alt, model.slots, scorers, masks, equal, interval.negative_strand)
        results = []
        for (key, scorer), one, outcome in zip(self.scorers.items(), items, outcomes, strict=True):
            if not bool(outcome.finite):
                raise ValueError(f"{model.name} predicts NaN or infinity where {key} reads")
            values, table = scorer.rows(jax.tree.map(np.asarray, outcome.scores), one, model.tables)
            results.append(ScorerResult(key, scorer, values, table, scorer.tracks(model.tables)))
        return tuple(results)

    def run(self, calls: Iterable[Call]) -> Iterator[Result]:
        """One result for each call, in order; a call that fails gets status `failed`, the others go on."""
        for call in calls:
            if call.status is not Status.SCORED or call.variant is None:
                yield Result(call)
                continue
            try:
                yield Result(call, self.score(call.variant))
            except Exception as error:  # the function may be anybody's
                detail = f"{type(error).__name__}: {error}"
                yield Result(dataclasses.replace(call, status=Status.FAILED, detail=detail))
