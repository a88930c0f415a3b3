"""Targets bound to a model and a window: from predictions to one number, differentiable and on the device.

A target is called with `outputs`: for each modality the head's output for one sequence, in the forward frame of REF
and in experimental units, padding tracks included: [position, track]; of splice junctions the wanted ones only,
[junction, tissue]. Any function of such outputs is a target as well (`PythonTarget`).
"""

import abc
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from ag_core.layers import widen
from jaxtyping import Array, Float, Int

from ag_scorers.attribution.expression import Aggregation, Expression, Logarithm, Reading, Sum
from ag_scorers.attribution.reading import Scene, select_reading

Outputs = Mapping[str, Float[Array, "position track"]]
_LN2 = float(np.log(2))


class AbstractTarget(eqx.Module):
    """One number from the predictions for one sequence."""

    modalities: eqx.AbstractVar[tuple[str, ...]]

    @abc.abstractmethod
    def __call__(self, outputs: Outputs) -> Float[Array, ""]:
        """See the module."""


class ReadingTarget(AbstractTarget):
    """Rows of a modality, weighted, made one number for each track, and the mean of the tracks.

    `rows` is 1 where a row is read, 0 elsewhere; of junctions exactly one row is.
    """

    modality: str = eqx.field(static=True)
    aggregation: Aggregation = eqx.field(static=True)
    rows: Float[Array | np.ndarray, " position"]
    tracks: Int[Array | np.ndarray, " chosen"]
    pseudocount: Float[Array | np.ndarray, ""]

    @property
    def modalities(self) -> tuple[str, ...]:
        """The one it reads."""
        return (self.modality,)

    def __call__(self, outputs: Outputs) -> Float[Array, ""]:
        """See `AbstractTarget`."""
        values = widen(outputs[self.modality][:, jnp.asarray(self.tracks)])
        rows = jnp.asarray(self.rows).astype(values.dtype)
        if self.aggregation is Aggregation.MAX:
            return jnp.mean(jnp.max(jnp.where(rows[:, None] > 0, values, -jnp.inf), axis=0))
        found = jnp.einsum("p,pt->t", rows, values, precision="highest")
        if self.aggregation is not Aggregation.SUM:
            found = found / jnp.sum(rows)
        if self.aggregation is Aggregation.LOGMEAN:
            found = jnp.log(found + self.pseudocount)
        return jnp.mean(found)


class LogarithmTarget(AbstractTarget):
    """The logarithm of pseudocount + another target."""

    inner: AbstractTarget
    pseudocount: Float[Array | np.ndarray, ""]
    binary: bool = eqx.field(static=True)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those of the inner target."""
        return self.inner.modalities

    def __call__(self, outputs: Outputs) -> Float[Array, ""]:
        """See `AbstractTarget`."""
        found = jnp.log(self.inner(outputs) + self.pseudocount)
        return found / _LN2 if self.binary else found


class SumTarget(AbstractTarget):
    """A sum of targets, each times its factor."""

    terms: tuple[AbstractTarget, ...]
    factors: Float[Array | np.ndarray, " term"]

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those of the terms, each once."""
        return tuple(dict.fromkeys(name for term in self.terms for name in term.modalities))

    def __call__(self, outputs: Outputs) -> Float[Array, ""]:
        """See `AbstractTarget`."""
        return sum(
            (factor * term(outputs) for factor, term in zip(self.factors, self.terms, strict=True)), jnp.zeros(())
        )


class PythonTarget(AbstractTarget):
    """Any function of `outputs` that jax can differentiate; `modalities` are those it reads.

    PythonTarget(lambda outputs: outputs["dnase"][8000:8200, 3].sum(), ("dnase",))
    """

    function: Callable[[Outputs], Any] = eqx.field(static=True)
    modalities: tuple[str, ...] = eqx.field(static=True, converter=tuple)
    name: str = eqx.field(static=True, default="")

    def __call__(self, outputs: Outputs) -> Float[Array, ""]:
        """See `AbstractTarget`. Raises ValueError unless the function returns one number."""
        found = jnp.asarray(self.function(outputs))
        if found.shape:
            raise ValueError(f"target {self}: returned shape {found.shape}; expected one number, so sum or average it")
        return widen(found)

    def __str__(self) -> str:
        return self.name or getattr(self.function, "__name__", "function")


# An abstract variable is no field, which pyright does not know.
# pyright: reportCallIssue=false


def bind(target: Expression | PythonTarget, scene: Scene) -> AbstractTarget:
    """The target for a model and a window. Raises InputError when they do not go together (see `select_reading`)."""
    if isinstance(target, PythonTarget):
        for modality in target.modalities:
            scene.check_modality(modality)
        return target
    if isinstance(target, Reading):
        rows, tracks = select_reading(target, scene)
        pseudocount = np.float32(target.pseudocount)
        return ReadingTarget(target.modality, target.aggregation, rows, tracks, pseudocount)
    if isinstance(target, Logarithm):
        return LogarithmTarget(bind(target.inner, scene), np.float32(target.pseudocount), target.base == "2")
    assert isinstance(target, Sum)
    factors, terms = zip(*target.terms, strict=True)
    return SumTarget(tuple(bind(term, scene) for term in terms), np.asarray(factors, np.float32))
