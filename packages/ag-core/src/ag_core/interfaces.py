"""What a plugin implements. Classes here are abstract; implementations are final (nothing else is subclassed).

Words for array axes, used in every annotation and as xarray dimension names:
position, position_2, offset, track, item, junction, gene, example, case.
"""

import abc
from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Int, PyTree

from ag_core.genome import Interval, Variant

Predictions = dict[str, Array]


class Embeddings(eqx.Module):
    """What the backbone makes (batched) and a head reads (one example); None at a resolution nobody asked for."""

    bp1: Float[Array, "*batch position channel"] | None
    bp128: Float[Array, "*batch bin channel_128"] | None
    pair: Float[Array, "*batch row column channel_pair"] | None

    def at(self, resolution: int) -> Array:
        """The sequence embedding with `resolution` (1 or 128) base pairs per position."""
        embedding = {1: self.bp1, 128: self.bp128}[resolution]
        if embedding is None:
            raise ValueError(f"embeddings at {resolution} bp were not computed; ask the backbone for them")
        return embedding


class AbstractHead(eqx.Module):
    """A modality: from embeddings to predictions, and from predictions and targets to a loss.

    All methods are pure and see one example; the caller vmaps. Constructor convention (`Registry.create`):
    `Head(tracks, dims, *, key, **options)` with `tracks` one `ag_core.schema` track table for each organism
    and `dims` the `ag_core.config.EmbeddingDims`.
    """

    modality: eqx.AbstractVar[str]
    # Output resolutions in bp; 1, 128 and 2048 tell the backbone which embeddings the head reads.
    resolutions: eqx.AbstractVar[tuple[int, ...]]
    # Modalities whose predictions this head reads from `context` (junctions need splice sites).
    requires: eqx.AbstractVar[tuple[str, ...]]

    @abc.abstractmethod
    def __call__(
        self, embeddings: Embeddings, organism: Int[Array, ""], context: Mapping[str, Predictions]
    ) -> Predictions:
        """Named predictions: `predictions_{r}bp` in experimental units, `scaled_predictions_{r}bp` in model space."""

    @abc.abstractmethod
    def loss(
        self, predictions: Predictions, targets: Mapping[str, Array], organism: Int[Array, ""]
    ) -> Float[Array, ""]:
        """Training loss for one example; targets are in experimental units, NaN where nothing was measured."""

    @abc.abstractmethod
    def reverse_complement(self, predictions: Predictions, organism: Int[Array, ""]) -> Predictions:
        """Maps predictions for the reverse-complemented sequence to the forward frame."""

    @abc.abstractmethod
    def output(self, predictions: Predictions) -> Float[Array, "position track"]:
        """The array users see, at the finest resolution, padding tracks included."""


class Items(NamedTuple):
    """What a scorer will score for one variant.

    - `masks`: pytree of numpy arrays of fixed shape (so that `score` compiles once), sent to the device.
    - `table`: one row for each item, with the item's coordinates (`gene_id`, `gene_name`, `gene_strand`, ...);
      the device may score more (padded) items than the table has rows; the surplus is dropped.
    """

    masks: PyTree[np.ndarray]
    table: Mapping[str, np.ndarray]

    @property
    def count(self) -> int:
        """Number of items."""
        return min((len(column) for column in self.table.values()), default=1)


class AbstractScorer(eqx.Module):
    """Compares the predictions of two alleles. All fields of an implementation are static settings."""

    modality: eqx.AbstractVar[str]
    signed: eqx.AbstractVar[bool]
    name: eqx.AbstractVar[str]
    # Names of resources (keys of the mapping given to `items`) it cannot work without, such as "genes".
    requires: eqx.AbstractVar[tuple[str, ...]]

    @abc.abstractmethod
    def items(self, interval: Interval, variant: Variant, resolution: int, resources: Mapping[str, Any]) -> Items:
        """On the host: masks and item coordinates. `interval` is unstranded, `resolution` is in bp."""

    @abc.abstractmethod
    def score(
        self,
        ref: Float[Array, "position track"],
        alt: Float[Array, "position track"],
        masks: PyTree[Array],
    ) -> Float[Array, "item track"]:
        """On the device, jitted: one score for each item and track."""

    def finish(
        self, scores: Float[np.ndarray, "item track"], items: Items, tracks: xr.Dataset
    ) -> Float[np.ndarray, "item track"]:
        """On the host, after padding is dropped: blanks what does not apply (such as tracks of the other strand)."""
        return scores


class AbstractSource(abc.ABC):
    """A file with measured tracks of one modality."""

    modality: str
    resolution: int

    @abc.abstractmethod
    def tracks(self) -> xr.Dataset:
        """Track table: coordinates on `track`, as in `ag_core.schema`."""

    @abc.abstractmethod
    def read(self, interval: Interval) -> Float[np.ndarray, "position track"]:
        """Signal over `interval` (0-based half-open) at `resolution`."""


class AbstractBenchmark(abc.ABC):
    """Measures a model against held-out facts. `needs` names the entries of `data` it cannot run without."""

    needs: tuple[str, ...]
    higher_is_better: bool
    citation: str
    licence: str

    @abc.abstractmethod
    def run(self, model: Any, data: Mapping[str, Any]) -> xr.Dataset:
        """Results: `value, low, high (case)` with coordinates benchmark, metric, group, model on `case`."""
