"""What a plugin implements. Classes here are abstract; implementations are final (nothing else is subclassed).

Words for array axes, used in every annotation and as xarray dimension names:
position, position_2, offset, track, item, junction, gene, example, case.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Int, PyTree

from ag_core.genome import Interval, Variant
from ag_core.layout import Layout

Predictions = dict[str, Array]
Losses = dict[str, Float[Array, ""]]


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

    All methods are pure. All but `loss` see one example, and the caller vmaps; the loss sees the batch, because its
    means run over whatever was measured in it. Constructor convention (`Registry.create`):
    `Head(tracks, dims, *, key, **options)` with `tracks` one `ag_core.schema` track table for each organism
    and `dims` the `ag_core.config.EmbeddingDims`.
    """

    modality: eqx.AbstractVar[str]
    # Output resolutions in bp.
    resolutions: eqx.AbstractVar[tuple[int, ...]]
    # Modalities whose predictions this head reads from `context` (junctions need splice sites).
    requires: eqx.AbstractVar[tuple[str, ...]]
    # Whether each output position depends on that position's embedding alone, so that a long sequence can be
    # predicted piece by piece.
    local: ClassVar[bool] = False
    # Weight of this head's loss in the sum over heads.
    loss_weight: ClassVar[float] = 1.0

    @property
    def reads(self) -> frozenset[int]:
        """The embeddings it reads: at 1 and 128 bp, of pairs (2048); by default those of its resolutions."""
        return frozenset(self.resolutions)

    @property
    def official_name(self) -> str:
        """The head's name in the official parameter tree."""
        return self.modality

    @abc.abstractmethod
    def __call__(
        self, embeddings: Embeddings, organism: Int[Array, ""], context: Mapping[str, Predictions]
    ) -> Predictions:
        """Named predictions: `predictions_{r}bp` in experimental units, `scaled_predictions_{r}bp` in model space.

        `context` holds the predictions of `requires` and, under the head's own modality, what the caller fixes
        (`conditions`).
        """

    @abc.abstractmethod
    def loss(
        self,
        predictions: Predictions,
        targets: Mapping[str, Array],
        organism: Int[Array, " batch"],
    ) -> Losses:
        """`loss` (to be descended) and what else is worth logging, of a batch; targets are in experimental units."""

    def conditions(self, targets: Mapping[str, Array]) -> Predictions:
        """What of a batch's targets the head is told before it predicts (junctions: between which sites)."""
        return {}

    @abc.abstractmethod
    def reverse_complement(self, predictions: Predictions, organism: Int[Array, ""], length: int) -> Predictions:
        """Maps predictions for the reverse complement of a sequence of `length` bp to the forward frame."""

    @abc.abstractmethod
    def output(self, predictions: Predictions) -> Float[Array, "*position track"]:
        """The array users see, at the finest resolution, padding tracks included."""


@runtime_checkable
class Centred(Protocol):
    """A head that can start at what is measured on average; from zero, rare signal takes long to get used to."""

    def centre(self, averages: Float[np.ndarray, "organism track"]) -> "AbstractHead":
        """The untrained head with biases such that it predicts each track's mean over all bases (NaN: unknown)."""
        ...


@runtime_checkable
class Teachable(Protocol):
    """A head that can learn from another model's predictions (batched)."""

    def taught(self, predictions: Predictions) -> dict[str, Array]:
        """Targets for `loss` from a teacher's predictions; `output` is among them, in experimental units."""
        ...


@runtime_checkable
class Reducer(Protocol):
    """A head that is not local but can read a long sequence piece by piece, left to right.

    `finish(absorb(... absorb(begin(), piece), ...))` equals the head's `__call__` on the whole.
    """

    def begin(self, channels: int, dtype: Any) -> PyTree[Array]:
        """The state before the first piece; `channels` and `dtype` are those of the 1-bp embedding."""
        ...

    def absorb(
        self, state: PyTree[Array], embeddings: Embeddings, start: Int[Array, ""], context: Mapping[str, Predictions]
    ) -> PyTree[Array]:
        """The state after a piece that starts at base `start` of the sequence; `context` covers the same piece."""
        ...

    def finish(self, state: PyTree[Array], organism: Int[Array, ""]) -> Predictions:
        """The predictions for everything absorbed."""
        ...


class Items(NamedTuple):
    """What a scorer will score for one variant.

    - `masks`: pytree of numpy arrays of fixed shape (so that `score` compiles once), sent to the device.
    - `table`: one row for each item, with the item's coordinates (`gene_id`, `gene_name`, `gene_strand`, ...);
      the device may score more (padded) items than the table has rows; the surplus is dropped.
    - `notes`: whatever else `rows` needs; stays on the host.
    """

    masks: PyTree[np.ndarray]
    table: Mapping[str, np.ndarray]
    notes: Any = None

    @property
    def count(self) -> int:
        """Number of items."""
        return min((len(column) for column in self.table.values()), default=1)


class AbstractScorer(eqx.Module):
    """Compares the predictions of two alleles. All fields of an implementation are static settings.

    Most scorers implement `items`, `score` and perhaps `finish`. One that reads something else than tracks along the
    sequence overrides `read`; one that knows its items only after the prediction overrides `rows`.
    """

    modality: eqx.AbstractVar[str]
    signed: eqx.AbstractVar[bool]
    name: eqx.AbstractVar[str]
    # Names of resources (keys of the mapping given to `items`) it cannot work without, such as "genes".
    requires: eqx.AbstractVar[tuple[str, ...]]

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities whose predictions `read` needs."""
        return (self.modality,)

    @abc.abstractmethod
    def items(self, interval: Interval, variant: Variant, resolution: int, resources: Mapping[str, Any]) -> Items:
        """On the host: masks and item coordinates. `interval` is unstranded, `resolution` is in bp."""

    def read(
        self,
        heads: Mapping[str, AbstractHead],
        predictions: Mapping[str, Predictions],
        tracks: Mapping[str, Int[Array | np.ndarray, " _"]],
    ) -> PyTree[Array]:
        """On the device: what `score` gets of one allele, from the predictions of `modalities` (one example).

        `tracks` are the wanted slots of each modality. By default the head's `output`, as float32.
        """
        output = heads[self.modality].output(predictions[self.modality])
        return output[..., tracks[self.modality]].astype(jnp.float32)

    @abc.abstractmethod
    def score(self, ref: PyTree[Array], alt: PyTree[Array], masks: PyTree[Array]) -> PyTree[Array]:
        """On the device, jitted: one score for each item and track, [item, track] (or whatever `rows` wants)."""

    def spans(self, items: Items) -> Sequence[tuple[int, int]] | None:
        """On the host: rows [start, end) of the interval that `score` reads, of either allele; None for all of them.

        A scorer that declares spans also implements `restrict`; the model is then run no further than it must be.
        What is no track along the sequence (contact maps, junctions) is there as a whole in any case.
        """
        return None

    def restrict(self, masks: PyTree[np.ndarray], layouts: Mapping[str, Layout]) -> PyTree[np.ndarray]:
        """On the host: the masks for predictions of which only some rows are there, by modality."""
        raise NotImplementedError(f"{self.name} declares spans, so it must implement restrict(masks, layouts)")

    def alleles(self, ref: PyTree[Array], alt: PyTree[Array], masks: PyTree[Array]) -> PyTree[Array] | None:
        """On the device, jitted: (REF, ALT), each [item, track]: what `score` compares; None if there is no such pair.

        Padded as scores are, and finished by `finish` as these.
        """
        return None

    def finish(
        self, scores: Float[np.ndarray, "item track"], items: Items, tracks: xr.Dataset
    ) -> Float[np.ndarray, "item track"]:
        """On the host, after padding is dropped: blanks what does not apply (such as tracks of the other strand)."""
        return scores

    def rows(
        self, scores: PyTree[np.ndarray], items: Items, tables: Mapping[str, xr.Dataset]
    ) -> tuple[Float[np.ndarray, "item track"], Mapping[str, np.ndarray]]:
        """On the host: final scores, and the item table that goes with them; `tables` are the wanted tracks."""
        return self.finish(scores[: items.count], items, tables[self.modality]), items.table

    def tracks(self, tables: Mapping[str, xr.Dataset]) -> xr.Dataset:
        """Table of the tracks that are scored: the wanted ones of `modality`."""
        return tables[self.modality]


class AbstractIntervalScorer(eqx.Module):
    """Sums up the predictions for one interval, without a variant. All fields are static settings."""

    signed: ClassVar[bool] = False
    modality: eqx.AbstractVar[str]
    name: eqx.AbstractVar[str]
    requires: eqx.AbstractVar[tuple[str, ...]]

    @abc.abstractmethod
    def items(self, interval: Interval, resolution: int, resources: Mapping[str, Any]) -> Items:
        """On the host: masks and item coordinates. `resolution` is in bp."""

    @abc.abstractmethod
    def score(
        self, values: Float[Array | np.ndarray, "position track"], masks: PyTree[Array]
    ) -> Float[Array, "item track"]:
        """On the device, jitted: one score for each item (padded ones too) and track."""


class AbstractSource(abc.ABC):
    """A file of measurements that becomes tracks in a store.

    Constructor convention (`Registry.create`): `Source(path, **options)`. It opens and checks the file, and raises
    `ag_core.errors.InputError` naming file, record and remedy when the file is not what it should be. `read` may be
    called for any stretch of a chromosome, in order, and holds no more in memory than that stretch needs.

    `layout` says what `read` returns; names of dimensions are those of the store:

    - "signal": float32 [position, track], one row for each bin of `resolution` bp, the sum over its bases; NaN where
      nothing was measured.
    - "usage": as "signal", fractions in [0, 1].
    - "classes": bool [position, track].
    - "contacts": float32 [position, offset, track]: bin i with bin i + offset; NaN where nothing was measured. Such a
      source has the attribute `offsets`, the width of the band.
    - "junctions": a Dataset with `count` [junction, track] and the coordinates `start`, `end` (the intron, 0-based
      half-open) and `strand` along `junction`: the introns whose start lies in the interval, sorted.
    """

    layout: str
    resolution: int

    @abc.abstractmethod
    def tracks(self) -> xr.Dataset:
        """Track table (`ag_core.schema`) as far as the file tells; users override and add columns."""

    @abc.abstractmethod
    def chromosomes(self) -> Mapping[str, int | None]:
        """The file's own names of chromosomes; length in bp where the file says it, else None."""

    @abc.abstractmethod
    def read(self, interval: Interval) -> Any:
        """Values over `interval`, unstranded, 0-based half-open, within the chromosome, a name of `chromosomes()`.

        Its start is a multiple of `resolution`; its end is one or the chromosome's end (the last bin is shorter).
        """

    def windows(self, chromosome: str) -> Sequence[tuple[int, int]] | None:
        """Stretches [start, end) outside of which nothing was measured, where that is known and worth skipping."""
        return None

    def facts(self) -> Mapping[str, Any]:
        """What the file tells about how it was made (reads used and left out, scale, ...), kept with the tracks."""
        return {}


class AbstractBenchmark(abc.ABC):
    """Measures a model against held-out facts. `needs` names the entries of `data` it cannot run without."""

    needs: tuple[str, ...]
    higher_is_better: bool
    citation: str
    licence: str

    @abc.abstractmethod
    def run(self, model: Any, data: Mapping[str, Any]) -> xr.Dataset:
        """Results: `value, low, high (case)` with coordinates benchmark, metric, group, model on `case`."""


class AbstractPeer(abc.ABC):
    """Somebody else's predictor of variant effects, or a baseline, to stand beside a model in benchmarks.

    `needs` names the entries of `data` it cannot run without; `signed` says whether the sign of a score means a
    direction.
    """

    needs: tuple[str, ...]
    signed: bool
    citation: str
    licence: str

    @abc.abstractmethod
    def score(self, variants: Sequence[Variant], data: Mapping[str, Any]) -> Float[np.ndarray, " variant"]:
        """One number for each, larger for more effect; NaN where it says nothing. Raises InputError for unfit data."""
