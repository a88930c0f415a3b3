"""A linear layer with its own weights for each organism. Source: spec/model.md 3.2."""

import math
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from ag_core.layers import einsum_float32, truncated_normal, widen
from jaxtyping import Array, Float, Int, PRNGKeyArray


class MultiOrganismLinear(eqx.Module):
    """y = x @ weight[organism] + bias[organism], float32 whatever the type of the operands."""

    weight: Float[Array, "organism in track"]
    bias: Float[Array, "organism track"]
    official: ClassVar = {"weight": "w", "bias": "b"}

    def __init__(self, organisms: int, size_in: int, tracks: int, *, key: PRNGKeyArray):
        self.weight = truncated_normal(key, (organisms, size_in, tracks), 1 / math.sqrt(size_in))
        self.bias = jnp.zeros((organisms, tracks))

    def __call__(self, x: Float[Array, "*position in"], organism: Int[Array, ""]) -> Float[Array, "*position track"]:
        return einsum_float32("...d,dt->...t", x, self.weight[organism]) + widen(self.bias[organism])
