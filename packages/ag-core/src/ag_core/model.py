"""A backbone with its heads: from DNA to named predictions."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from ag_core.backbone import Backbone
from ag_core.interfaces import AbstractHead, Embeddings, Predictions
from ag_core.layers import Conv, StandardizedConv
from ag_core.mesh import DATA, SEQ, pin
from ag_core.precision import Precision, cast
from ag_core.winograd import WIDTH, WinogradConv


class Model(eqx.Module):
    """The whole network. Heads are keyed by modality; the core never names one."""

    backbone: Backbone
    heads: dict[str, AbstractHead]
    official: ClassVar = {"backbone": "", "heads": "head"}

    @property
    def dtype(self) -> jnp.dtype:
        """Type of the parameters, and so of the computation."""
        return self.backbone.embedder_128.norm.scale.dtype

    @property
    def precision(self) -> Precision:
        """`dtype` as a policy. Raises ValueError for one that is none (float64)."""
        return Precision(str(self.dtype))

    def order(self, modalities: Iterable[str] | None = None) -> list[str]:
        """The wanted modalities (all by default) with what they require, each after what it reads.

        Raises LookupError for a modality without a head.
        """
        order: list[str] = []

        def visit(modality: str) -> None:
            if modality not in self.heads:
                raise LookupError(f"the model has no head {modality!r}; it has {', '.join(sorted(self.heads))}")
            for needed in self.heads[modality].requires:
                visit(needed)
            if modality not in order:
                order.append(modality)

        for modality in self.heads if modalities is None else modalities:
            visit(modality)
        return order

    def embed(
        self,
        dna: Float[Array, "batch position base"],
        organism: Int[Array, " batch"],
        *,
        modalities: Iterable[str] | None = None,
        mesh: Mesh | None = None,
        remat: bool = False,
        key: PRNGKeyArray | None = None,
    ) -> Embeddings:
        """What the heads of the wanted modalities (all by default) read; `remat` and `key` as in `Backbone`."""
        resolutions = {resolution for name in self.order(modalities) for resolution in self.heads[name].reads}
        return self.backbone(dna.astype(self.dtype), organism, resolutions=resolutions, mesh=mesh, remat=remat, key=key)

    def predict(
        self,
        embeddings: Embeddings,
        organism: Int[Array, " batch"],
        *,
        modalities: Iterable[str] | None = None,
        given: Mapping[str, Predictions] | None = None,
    ) -> dict[str, Predictions]:
        """Predictions of the wanted modalities (all by default) and of those they require, from embeddings.

        `given[modality]` (batched) is told to that modality's head as its own context.
        """
        predictions: dict[str, Predictions] = {}
        given = given or {}
        for name in self.order(modalities):
            head = self.heads[name]
            context = {needed: predictions[needed] for needed in head.requires}
            if name in given:
                context[name] = given[name]
            predictions[name] = jax.vmap(head)(embeddings, organism, context)
        return cast(predictions, str(self.dtype))

    def __call__(
        self,
        dna: Float[Array, "batch position base"],
        organism: Int[Array, " batch"],
        *,
        modalities: Iterable[str] | None = None,
        given: Mapping[str, Predictions] | None = None,
        mesh: Mesh | None = None,
        key: PRNGKeyArray | None = None,
    ) -> dict[str, Predictions]:
        """Predictions of the wanted modalities (all by default) for a batch of one-hot sequences."""
        modalities = None if modalities is None else tuple(modalities)
        embeddings = self.embed(dna, organism, modalities=modalities, mesh=mesh, key=key)
        return _pin_predictions(self.predict(embeddings, organism, modalities=modalities, given=given), mesh)


def _pin_predictions(predictions: PyTree[Array], mesh: Mesh | None) -> PyTree[Array]:
    # Not every output has a second axis that divides: junctions count sites.
    def place(x):
        return pin(x, mesh, DATA, SEQ if mesh and x.shape[1] % mesh.shape[SEQ] == 0 else None)

    return jax.tree.map(place, predictions)


@eqx.filter_jit  # one small program for each shape
def _fold_one(node: StandardizedConv, fast: bool) -> Conv | WinogradConv:
    kernel = node.kernel()
    if fast and kernel.shape[0] == WIDTH and kernel.dtype == jnp.float32:
        return WinogradConv.from_kernel(kernel, node.bias)
    return Conv(kernel, node.bias)


def fold(model: PyTree, *, fast: bool | None = None) -> PyTree:
    """Replaces weight-standardised convolutions by plain ones: for inference, when weights no longer change.

    With `fast` (by default: in float32 on a CPU) they become `WinogradConv`s, which take less time (`hatch run bench
    trunk`) and differ by rounding; with several devices they are left alone, as a sequence may be spread over these.
    """
    if fast is None:
        fast = jax.default_backend() == "cpu" and jax.device_count() == 1

    def convert(node):
        return _fold_one(node, bool(fast)) if isinstance(node, StandardizedConv) else node

    return jax.tree.map(convert, model, is_leaf=lambda node: isinstance(node, StandardizedConv))


def training_mode(model: PyTree, training: bool = True, dropout: float = 0.0) -> PyTree:
    """Switches every layer that behaves differently in training (batch norms, dropout) on or off.

    `dropout` is the share of the tower's updates that is dropped; with it the model's calls need a `key`.
    """

    def is_dropout(node):
        return isinstance(node, eqx.nn.Dropout)

    def set_rate(node):
        return eqx.nn.Dropout(dropout, inference=node.inference) if is_dropout(node) else node

    return eqx.nn.inference_mode(jax.tree.map(set_rate, model, is_leaf=is_dropout), not training)
