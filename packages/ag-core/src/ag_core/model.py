"""A backbone with its heads: from DNA to named predictions."""

from collections.abc import Iterable
from typing import ClassVar

import equinox as eqx
import jax
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, PyTree

from ag_core.backbone import Backbone
from ag_core.interfaces import AbstractHead, Predictions
from ag_core.layers import Conv, StandardizedConv
from ag_core.mesh import DATA, SEQ, pin
from ag_core.precision import Precision, cast


class Model(eqx.Module):
    """The whole network. Heads are keyed by modality; the core never names one."""

    backbone: Backbone
    heads: dict[str, AbstractHead]
    official: ClassVar = {"backbone": "", "heads": "head"}

    @property
    def precision(self) -> Precision:
        """Type of the parameters, and so of the computation."""
        return Precision(str(self.backbone.encoder.stem.conv.weight.dtype))

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

    def __call__(
        self,
        dna: Float[Array, "batch position base"],
        organism: Int[Array, " batch"],
        *,
        modalities: Iterable[str] | None = None,
        mesh: Mesh | None = None,
    ) -> dict[str, Predictions]:
        """Predictions of the wanted modalities (all by default) for a batch of one-hot sequences."""
        order = self.order(modalities)
        resolutions = {resolution for name in order for resolution in self.heads[name].resolutions}
        embeddings = self.backbone(dna.astype(self.precision.value), organism, resolutions=resolutions, mesh=mesh)
        predictions: dict[str, Predictions] = {}
        for name in order:
            head = self.heads[name]
            context = {needed: predictions[needed] for needed in head.requires}
            predictions[name] = jax.vmap(head)(embeddings, organism, context)
        return pin(cast(predictions, self.precision), mesh, DATA, SEQ)


def fold(model: PyTree) -> PyTree:
    """Replaces weight-standardised convolutions by plain ones: for inference, when weights no longer change."""

    def convert(node):
        return Conv(node.kernel(), node.bias) if isinstance(node, StandardizedConv) else node

    return jax.tree.map(convert, model, is_leaf=lambda node: isinstance(node, StandardizedConv))


def training_mode(model: PyTree, training: bool = True) -> PyTree:
    """Switches every layer that behaves differently in training (batch norms) on or off."""
    return eqx.nn.inference_mode(model, not training)
