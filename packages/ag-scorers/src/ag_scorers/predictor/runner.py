"""Runs a model over places and hands their predictions, piece by piece, to a writer."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from ag_core.checkpoint import Checkpoint
from ag_core.config import PAIR_BIN, TOKEN
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.interfaces import Embeddings, Predictions
from ag_core.model import Model, fold
from ag_core.schema import is_padding
from ag_core.sequence import encode, reverse_complement
from ag_core.streaming import stream
from ag_data.export.tree import Block, Target, Writer
from ag_data.personal import reference_positions
from ag_data.query import select_tracks
from jaxtyping import Array, Float, Int, UInt8

from ag_scorers.align import alignment
from ag_scorers.alleles import SiteMasks, predict_alleles, site_masks
from ag_scorers.junctions import unstack
from ag_scorers.predictor.line_up import PLACES
from ag_scorers.predictor.places import Place
from ag_scorers.predictor.shifted import ShiftedRows

TRACKS, MAPS, JUNCTIONS = "tracks", "maps", "junctions"
_DIMS = {TRACKS: ("position", "track"), MAPS: ("position", "position_2", "track"), JUNCTIONS: ("junction", "track")}
_PROBE = 2 * PAIR_BIN

Advance = Callable[[float], None]


class Predictor:
    """A model with the modalities and tracks that were chosen.

    - `outputs`: modalities, all by default; `tracks`: a query over their track tables (`ag_data.query`).
    - `align`: ALT of an indel goes back into the frame of REF (1-bp tracks; spec/scoring.md 1.9).
    - `min_count`: junctions below it in every chosen track are left out.
    - `resources`: "genes" and "splice_sites", which restrict and add splice sites around a variant.

    Raises InputError for modalities that the model lacks and a query that fits nothing.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        outputs: Iterable[str] = (),
        tracks: str = "",
        organism: str | None = None,
        align: bool = False,
        min_count: float = 0.0,
        resources: Mapping[str, Any] | None = None,
    ):
        self.checkpoint, self.model = checkpoint, fold(checkpoint.model)
        self.organism = checkpoint.spec.organism(organism)
        self.align, self.min_count, self.resources = align, min_count, dict(resources or {})
        wanted = list(dict.fromkeys(outputs)) or list(self.model.heads)
        if missing := [name for name in wanted if name not in self.model.heads]:
            raise InputError(
                f"model {checkpoint.spec.name!r} does not predict {', '.join(missing)}; it predicts "
                f"{', '.join(self.model.heads)}"
            )
        self.tables: dict[str, xr.Dataset] = {}
        self._chosen: dict[str, np.ndarray] = {}
        for name in wanted:
            table = checkpoint.spec.tracks(name, self.organism)
            chosen = np.flatnonzero(select_tracks(table, tracks) & ~is_padding(table))
            if len(chosen):
                self._chosen[name], self.tables[name] = chosen, table.isel(track=chosen)
        if not self.tables:
            asked = f"no track of {', '.join(wanted)} matches {tracks!r}" if tracks else "there are no tracks"
            raise InputError(
                f"{asked} for {checkpoint.spec.organisms[self.organism]} in model {checkpoint.spec.name!r}"
            )
        self.kinds = self._kinds()
        self._pair: tuple[Variant, dict[str, Predictions]] | None = None

    def keep(self, kinds: Iterable[str]) -> None:
        """Drops the modalities of other kinds (`TRACKS`, `MAPS`, `JUNCTIONS`)."""
        self.tables = {name: table for name, table in self.tables.items() if self.kinds[name] in kinds}

    def resolution(self, modality: str) -> int:
        """Bp per position."""
        return min(self.model.heads[modality].resolutions)

    def blocks(self, place: Place) -> list[Block]:
        """The arrays of a place; of junctions, whose number nobody knows yet, with 0 of them."""
        return [self._block(name, place) for name in self.tables]

    def run(self, places: Iterable[Place], writer: Writer, advance: Advance = lambda width: None) -> None:
        """Predicts the places that the writer does not have; `advance` is told of every bp that is done."""
        for place in places:
            if place.name in writer.done:
                advance(place.window.width)
                continue
            self._predict(place, writer, advance)
            writer.close_place(place.name)

    def _kinds(self) -> dict[str, str]:
        """What each modality's predictions are, from their shapes; nothing is computed, and no backbone traced."""
        sizes = self.checkpoint.spec.backbone.dims

        def outputs() -> dict[str, tuple[Predictions, Any]]:
            shapes = ((_PROBE, sizes.bp1), (_PROBE // TOKEN, sizes.bp128), (_PROBE // PAIR_BIN,) * 2 + (sizes.pair,))
            embeddings = Embeddings(*(jnp.zeros((1, *shape), self.model.precision.value) for shape in shapes))
            found = self.model.predict(embeddings, jnp.zeros(1, jnp.int32), modalities=list(self.tables))
            return {name: (found[name], jax.vmap(self.model.heads[name].output)(found[name])) for name in self.tables}

        kinds = {}
        for name, (predictions, output) in jax.eval_shape(outputs).items():
            kinds[name] = JUNCTIONS if "splice_site_positions" in predictions else MAPS if output.ndim == 4 else TRACKS
        return kinds

    def _bins(self, modality: str, place: Place) -> tuple[int, int]:
        """First and last (not included) bin of the window that the region touches."""
        resolution = self.resolution(modality)
        first = (place.region.start - place.window.start) // resolution
        return first, math.ceil((place.region.end - place.window.start) / resolution)

    def _block(self, modality: str, place: Place, columns: Mapping[str, np.ndarray] | None = None) -> Block:
        kind, tracks = self.kinds[modality], self.tables[modality].sizes["track"]
        region, resolution = place.region, self.resolution(modality)
        interval, shape, variable = region.as_unstranded(), (0, tracks), "count"
        if kind != JUNCTIONS:
            first, last = self._bins(modality, place)
            start = place.window.start + first * resolution
            interval = Interval(region.chromosome, start, start + (last - first) * resolution)
            shape, variable = (last - first,) * (2 if kind == MAPS else 1) + (tracks,), "prediction"
        elif columns is not None:
            shape = (len(columns["start"]), tracks)
        attrs = {"interval": str(interval), "region": str(region), "window": str(place.window)}
        attrs |= {"resolution": resolution, "modality": modality, "place": place.name}
        if place.variant is not None:
            attrs |= {"variant": str(place.variant), "allele": place.allele}
            moved = place.allele == "ALT" and place.variant.is_indel and kind != JUNCTIONS
            aligned = self.align and kind == TRACKS and resolution == 1
            attrs["frame"] = "alternate" if moved and not aligned else "reference"
            if kind == TRACKS and resolution == 1:
                variants = [place.variant] if attrs["frame"] == "alternate" else []
                columns = {PLACES: reference_positions(interval, variants)}
        return Block(modality, variable, _DIMS[kind], shape, attrs, columns or {})

    def _predict(self, place: Place, writer: Writer, advance: Advance) -> None:
        reverse, bases = place.region.negative_strand, place.bases()
        codes = encode(reverse_complement(bases) if reverse else bases)
        targets: dict[str, Target] = {}
        streamed = list(self.tables)
        if place.variant is not None:
            streamed = [name for name in streamed if self.kinds[name] != JUNCTIONS]
        for name in streamed:
            if self.kinds[name] != JUNCTIONS:
                targets[name] = self._target(name, place, writer)
        if streamed:
            for piece in stream(self.model, codes, self.organism, modalities=streamed, reverse=reverse):
                covered = place.window.width
                if piece.modality in targets:
                    bins = self._put(targets[piece.modality], piece.modality, place, piece.start, piece.predictions)
                    covered = bins * self.resolution(piece.modality)
                elif piece.modality in streamed:
                    self._put_junctions(piece.modality, place, piece.predictions, writer)
                else:
                    continue
                advance(covered / len(self.tables))
                del piece  # before the next is made
        for name in self.tables.keys() - set(streamed):
            self._put_junctions(name, place, self._between_same_sites(name, place), writer)
            advance(place.window.width / len(self.tables))

    def _target(self, modality: str, place: Place, writer: Writer) -> Target:
        target = writer.create(place.name, self._block(modality, place))
        if self.align and place.allele == "ALT" and place.variant is not None and self.resolution(modality) == 1:
            moves = alignment(place.window, place.variant, place.window.width)
            return ShiftedRows(target, moves, place.window.width)
        return target

    def _put(self, target: Target, modality: str, place: Place, start: int, predictions: Predictions) -> int:
        """Writes what the region needs of a piece that begins at base `start`, and returns the piece's bins."""
        output = self.model.heads[modality].output(predictions)
        values = np.asarray(_take(output, self._chosen[modality]))
        first, last = self._bins(modality, place)
        start //= self.resolution(modality)
        if self.kinds[modality] == MAPS:
            target[0 : last - first] = values[first:last, first:last]
            return len(values)
        low, high = max(start, first), min(start + len(values), last)
        if low < high:
            target[low - first : high - first] = values[low - start : high - start]
        return len(values)

    def _put_junctions(self, modality: str, place: Place, predictions: Predictions, writer: Writer) -> None:
        counts = self.model.heads[modality].output(predictions)
        donors, acceptors, both = counts.shape
        counts = np.asarray(_take(counts.reshape(donors, acceptors, 2, both // 2), self._chosen[modality]))
        positions = np.asarray(predictions["splice_site_positions"])
        values, columns = unstack(counts, positions, place.window.start)
        plus, start, end = columns["strand"] == "+", columns["start"], columns["end"]
        columns["donor"], columns["acceptor"] = np.where(plus, start - 1, end), np.where(plus, end, start - 1)
        kept = (start < place.region.end) & (end > place.region.start)
        if self.min_count > 0:
            kept &= values.max(axis=1, initial=0) >= self.min_count
        columns = {key: column[kept] for key, column in columns.items()}
        target = writer.create(place.name, self._block(modality, place, columns))
        target[0 : int(kept.sum())] = values[kept]

    def _between_same_sites(self, modality: str, place: Place) -> Predictions:
        """Junctions of one allele, between sites that were chosen for both alleles together (spec/scoring.md 1.10)."""
        assert place.variant is not None
        if self._pair is None or self._pair[0] != place.variant:
            codes = np.stack([encode(bases) for bases in place.alleles()])
            masks = site_masks(place.window, place.variant, self.resources, everywhere=True)
            masks = jax.tree.map(lambda x: np.asarray(x)[None], masks)
            self._pair = (place.variant, _predict_alleles(self.model, codes[None], self.organism, (modality,), masks))
        allele = ("REF", "ALT").index(place.allele)
        return jax.tree.map(lambda x: x[0, allele], self._pair[1][modality])


@jax.jit
def _take(values: Float[Array, "*position track"], chosen: Int[Array, " _"]) -> Float[Array, "*position _"]:
    # Only the tracks that were asked for leave the device.
    return values[..., chosen].astype(jnp.float32)


@eqx.filter_jit
def _predict_alleles(
    model: Model,
    codes: UInt8[np.ndarray | Array, "1 2 position"],
    organism: int,
    names: tuple[str, ...],
    masks: SiteMasks,
) -> dict[str, Predictions]:
    return predict_alleles(model, codes, organism, names, masks)
