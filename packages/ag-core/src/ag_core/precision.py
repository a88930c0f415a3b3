"""Precision policies. Source: spec/model.md section 2.

Under `bfloat16` every parameter, running moment and floating input is rounded before use and every floating output
after; named islands (attention logits, softmax, head arithmetic) stay float32 inside the layers.
"""

import enum

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ag_core.layers import Constant


class Precision(enum.StrEnum):
    """Type of the computation."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


def cast(tree: PyTree, precision: Precision | str) -> PyTree:
    """Casts all floating arrays of `tree` but those held by a `Constant`; to float64 in tests (jax_enable_x64)."""
    dtype = jnp.dtype(str(precision))

    def convert(leaf):
        return leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf

    return jax.tree.map(convert, tree, is_leaf=lambda leaf: isinstance(leaf, Constant))
