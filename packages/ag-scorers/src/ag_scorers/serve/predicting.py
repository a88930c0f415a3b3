"""Predictions on a device: requests of equal shape through one program, long ones piece by piece."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from ag_core.checkpoint import Checkpoint
from ag_core.interfaces import Predictions
from ag_core.model import Model
from ag_core.sequence import allele_sequences, encode
from ag_core.streaming import stream
from ag_data.fasta import Fasta
from jaxtyping import Array, Float, Int, UInt8

from ag_scorers.alleles import JUNCTIONS, SiteMasks, predict_alleles, site_masks
from ag_scorers.junctions import unstack
from ag_scorers.serve.requests import Prediction

# Longer inputs are predicted piece by piece, in a fraction of the memory.
WHOLE = 1 << 17
_SITES = "splice_site_positions"


@dataclasses.dataclass(frozen=True)
class Output:
    """What a model says of one modality: `values` [position (, position_2), track], or [junction, track].

    - `rows`: which of the modality's real tracks these are.
    - `junctions`: their `start`, `end` (0-based half-open, in the genome or the sequence) and `strand`.
    """

    modality: str
    values: Float[np.ndarray, "*place track"]
    rows: Int[np.ndarray, " track"]
    resolution: int
    junctions: Mapping[str, np.ndarray] | None = None


@eqx.filter_jit
def _predict(
    model: Model,
    codes: UInt8[Array | np.ndarray, "job allele position"],
    organism: int,
    names: tuple[str, ...],
    sites: SiteMasks | None,
    reverse: bool,
) -> dict[str, Predictions]:
    """Of each job and allele: the outputs, all slots, and the sites of junctions."""
    predictions = predict_alleles(model, codes, organism, names, sites, reverse=reverse)
    return {name: _output(model, name, predictions[name], 2) for name in names}


@eqx.filter_jit
def _read(model: Model, name: str, predictions: Predictions) -> Predictions:
    return _output(model, name, predictions, 0)


def _output(model: Model, name: str, predictions: Predictions, batched: int) -> Predictions:
    output = model.heads[name].output
    for _ in range(batched):
        output = jax.vmap(output)
    found = {"values": output(predictions)}
    return found | ({"sites": predictions[_SITES]} if name == JUNCTIONS else {})


@eqx.filter_jit
def _take(values: Float[Array, "*place slot"], slots: Int[np.ndarray, " track"]) -> Float[Array, "*place track"]:
    return values[..., slots]


class Predicting:
    """Predicts on one device. Not for several threads at once.

    `slots`: for each organism and modality, the slots of its real tracks; `curies`: their ontology terms, empty
    where there is none. Splice sites are filtered by no term (spec/scoring.md 4.3).
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        fasta: Fasta,
        resources: Mapping[str, Any],
        slots: Mapping[tuple[int, str], Int[np.ndarray, " track"]],
        curies: Mapping[tuple[int, str], Sequence[str]],
    ):
        self.model, self.fasta, self.resources = checkpoint.model, fasta, resources
        self.slots, self.curies = slots, curies

    def predict(self, requests: Sequence[Prediction]) -> list[list[dict[str, Output]]]:
        """Of each request, for each allele, the outputs by modality; requests must be equal in all but the place."""
        first = requests[0]
        rows = {name: chosen_rows(self.curies, first, name) for name in first.modalities}
        names = tuple(sorted(name for name, chosen in rows.items() if len(chosen)))
        codes = np.stack([self._codes(request) for request in requests])
        found: list[list[dict[str, Predictions]]] = []
        reverse = first.interval is not None and first.interval.negative_strand
        if names and first.width <= WHOLE:
            found = self._together(requests, codes, names, reverse)
        elif names:
            found = [
                self._by_pieces(request, one, names, reverse) for request, one in zip(requests, codes, strict=True)
            ]
        answers = []
        for number, request in enumerate(requests):
            alleles = [
                {
                    name: self._finish(request, name, rows[name], found[number][allele].get(name) if found else None)
                    for name in first.modalities
                }
                for allele in range(codes.shape[1])
            ]
            if len(alleles) == 2 and np.array_equal(*codes[number]):
                alleles[1] = alleles[0]  # equal alleles, however their rows of the batch were rounded
            answers.append(alleles)
        return answers

    def _codes(self, request: Prediction) -> UInt8[np.ndarray, "allele position"]:
        if request.sequence is not None:
            return encode(request.sequence)[None]
        assert request.interval is not None
        if request.variant is None:
            return encode(self.fasta.fetch(request.interval))[None]
        alleles = allele_sequences(request.interval, request.variant, self.fasta.fetch)
        return np.stack([encode(bases) for bases in alleles])

    def _sites(self, requests: Sequence[Prediction]) -> SiteMasks | None:
        """What chooses the sites of junctions, for both alleles together."""
        masks = [
            site_masks(request.interval, request.variant, self.resources, everywhere=True)
            for request in requests
            if request.interval is not None and request.variant is not None
        ]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *masks) if masks else None

    def _together(
        self, requests: Sequence[Prediction], codes: UInt8[np.ndarray, "job allele position"], names: tuple[str, ...],
        reverse: bool,
    ) -> list[list[dict[str, Predictions]]]:  # fmt: skip
        # Programs for 1, 2, 4, ... jobs: what is missing is filled up with the last one.
        jobs = len(requests)
        padded = 1 << (jobs - 1).bit_length()
        order = np.minimum(np.arange(padded), jobs - 1)
        sites = self._sites(requests) if JUNCTIONS in names else None
        sites = jax.tree.map(lambda x: x[order], sites)
        outputs = _predict(self.model, codes[order], requests[0].organism, names, sites, reverse)
        return [
            [jax.tree.map(lambda x, j=job, a=allele: x[j, a], outputs) for allele in range(codes.shape[1])]
            for job in range(jobs)
        ]

    def _by_pieces(
        self, request: Prediction, codes: UInt8[np.ndarray, "allele position"], names: tuple[str, ...], reverse: bool
    ) -> list[dict[str, Predictions]]:
        """As `_together`, one allele after the other; values of real tracks that are wanted are on the host."""
        between = JUNCTIONS in names and request.variant is not None
        streamed = [name for name in names if not (between and name == JUNCTIONS)]
        found: list[dict[str, Any]] = [{} for _ in codes]
        for allele, one in enumerate(codes):
            parts: dict[str, np.ndarray] = {}
            for piece in stream(self.model, one, request.organism, modalities=streamed, reverse=reverse):
                if piece.modality not in streamed:
                    continue
                output = _read(self.model, piece.modality, piece.predictions)
                if piece.modality == JUNCTIONS:
                    found[allele][JUNCTIONS] = output
                    continue
                values = self._chosen(request, piece.modality, output["values"])
                resolution = self.resolution(piece.modality)
                if len(values) * resolution == len(one):
                    parts[piece.modality] = values
                    continue
                whole = parts.setdefault(
                    piece.modality, np.empty((len(one) // resolution, *values.shape[1:]), values.dtype)
                )
                start = piece.start // resolution
                whole[start : start + len(values)] = values
                del piece, output, values
            found[allele] |= {name: {"chosen": values} for name, values in parts.items()}
        if between:
            sites = self._sites([request])
            outputs = _predict(self.model, codes[None], request.organism, (JUNCTIONS,), sites, reverse)
            for allele, known in enumerate(found):
                known[JUNCTIONS] = jax.tree.map(lambda x, a=allele: x[0, a], outputs[JUNCTIONS])
        return found

    def resolution(self, modality: str) -> int:
        """Bp per position."""
        return min(self.model.heads[modality].resolutions)

    def _chosen(
        self, request: Prediction, name: str, values: Float[Array, "*place slot"]
    ) -> Float[np.ndarray, "*place track"]:
        """The wanted tracks, on the host."""
        slots = self.slots[request.organism, name][chosen_rows(self.curies, request, name)]
        if next(iter(values.devices())).platform == "cpu":
            return np.ascontiguousarray(np.asarray(values)[..., slots])
        # Few programs for all numbers of tracks, and no more leaves the device than is wanted.
        padded = np.resize(slots, 1 << (len(slots) - 1).bit_length())
        return np.ascontiguousarray(np.asarray(_take(values, padded))[..., : len(slots)])

    def _finish(
        self, request: Prediction, name: str, rows: Int[np.ndarray, " track"], found: Predictions | None
    ) -> Output:
        resolution = self.resolution(name)
        if found is None:  # no track is wanted
            empty = np.zeros((request.width // resolution, 0), np.float32)
            none = {"start": np.zeros(0, np.int64), "end": np.zeros(0, np.int64), "strand": np.zeros(0, object)}
            return Output(
                name, empty[:0] if name == JUNCTIONS else empty, rows, resolution, none if name == JUNCTIONS else None
            )
        if name != JUNCTIONS:
            values = found["chosen"] if "chosen" in found else self._chosen(request, name, jnp.asarray(found["values"]))
            return Output(name, np.asarray(values), rows, resolution)
        counts = np.asarray(found["values"])
        slots = self.slots[request.organism, name][rows]
        counts = counts.reshape(*counts.shape[:2], 2, -1)[..., slots]
        offset = 0 if request.interval is None else request.interval.start
        values, columns = unstack(counts, np.asarray(found["sites"]), offset)
        return Output(name, np.ascontiguousarray(values), rows, resolution, columns)


def chosen_rows(
    curies: Mapping[tuple[int, str], Sequence[str]], request: Prediction, name: str
) -> Int[np.ndarray, " track"]:
    """Which of a modality's real tracks have one of the request's terms; all if it has none."""
    known = curies[request.organism, name]
    if not request.terms or name == "splice_sites":
        return np.arange(len(known))
    return np.array([row for row, curie in enumerate(known) if curie in request.terms], np.int64)
