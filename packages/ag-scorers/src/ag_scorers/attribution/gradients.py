"""Values and gradients of targets, and input x gradient.

With a gradient g (averaged along a path, or just at the sequence) and a baseline x0, base b at a position would
contribute `g[b] - sum(x0 * g)` if it stood there: the hypothetical contribution. The contribution is that of the base
that does stand there, so over all positions contributions sum to what integrated gradients promise.
"""

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ag_scorers.attribution.forward import Forward

Values = Float[np.ndarray, "example target"]
Gradients = Float[np.ndarray, "example target position 4"]


@eqx.filter_jit
def _values_and_gradients(forward: Forward, dna: Float[Array | np.ndarray, "example position 4"]):
    def one(sequence):
        values, pull = jax.vjp(forward, sequence)
        # One forward pass for all targets; one backward pass for each, one after the other.
        units = jnp.eye(values.shape[0], dtype=values.dtype)
        return values, jax.lax.map(lambda unit: pull(unit)[0], units)

    return jax.vmap(one)(jnp.asarray(dna))


def values_and_gradients(
    forward: Forward, dna: Float[np.ndarray, "example position 4"], batch_size: int = 1
) -> Iterator[tuple[Values, Gradients]]:
    """For each batch of sequences: the targets' values and their gradients with respect to the bases."""
    for start in range(0, len(dna), batch_size):
        batch = dna[start : start + batch_size]
        missing = min(batch_size, len(dna)) - len(batch)  # all batches have one shape, so one program
        padded = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)]) if missing else batch
        values, gradients = _values_and_gradients(forward, padded)
        yield np.asarray(values)[: len(batch)], np.asarray(gradients)[: len(batch)]


def input_x_gradient(
    forward: Forward, dna: Float[np.ndarray, "position 4"]
) -> tuple[
    Float[np.ndarray, " target"], Float[np.ndarray, "target position 4"], Float[np.ndarray, "target position 4"]
]:
    """Values, contributions (base times gradient) and hypothetical contributions (gradient minus its mean)."""
    ((values, gradients),) = values_and_gradients(forward, dna[None])
    return values[0], dna * gradients[0] + 0.0, centre(gradients[0])  # 0.0: no -0.0


def centre(gradients: Float[np.ndarray, "*target position 4"]) -> Float[np.ndarray, "*target position 4"]:
    """Gradients minus their mean over the four bases."""
    return gradients - gradients.mean(axis=-1, keepdims=True)
