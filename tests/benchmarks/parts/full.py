"""The published architecture with all eleven heads and random weights, made in seconds."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
from ag_core.checkpoint import array_names, outline
from ag_core.config import BackboneConfig
from ag_core.layers import Constant
from ag_core.model import Model, fold
from ag_core.model_spec import ModelSpec
from ag_heads.official import official_spec
from jaxtyping import Float, PyTree, UInt8

# For quick checks that the code runs: same depth and heads, an eighth of the width. Its figures mean nothing.
REDUCED = BackboneConfig(
    stem=96,
    step=16,
    heads=8,
    key_size=16,
    value_size=24,
    pair_heads=4,
    pair_head_size=16,
    pair_size=16,
    position_features=32,
)
REDUCED_JUNCTIONS = {"sites": 64, "hidden": 96}
ONES = ("scale", "scales", "second_moment")
ZEROS = ("bias", "offset")
# Weak splice-site logits, as activations of random weights grow: every class is likely enough for all of its sites.
WEAK = 2e-4


def full_spec(reduced: bool = False, heads: bool = True) -> ModelSpec:
    """The published model's description; `reduced` keeps its depth and tracks on a small backbone."""
    spec = official_spec(name="benchmark", licence="CC0-1.0")
    if reduced:
        junctions = dataclasses.replace(spec.heads["splice_junctions"], options=REDUCED_JUNCTIONS)
        spec = dataclasses.replace(spec, backbone=REDUCED, heads={**spec.heads, "splice_junctions": junctions})
    return spec if heads else dataclasses.replace(spec, heads={})


def fill(shapes: PyTree, dtype: str = "float32", seed: int = 0) -> PyTree:
    """An outline with weights of the usual size (1/sqrt(fan-in)), made array by array without compiling anything."""
    random = np.random.default_rng(seed)

    def values(names: list[str], shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
        if set(names) & set(ONES):
            return np.ones(shape, np.float32)
        if names[-1] in ZEROS or not shape:
            return np.full(shape, 0.0 if shape else 0.1, np.float32)
        size = (WEAK if "splice_sites" in names else 1.0) / math.sqrt(shape[-2] if shape[1:] else 1)
        return random.standard_normal(shape, np.float32) * np.float32(size)

    def draw(path, leaf):
        if not isinstance(leaf, jax.ShapeDtypeStruct):
            return leaf
        names = [str(getattr(key, "name", getattr(key, "key", ""))) for key in path]
        # Wait for each: else copies of many arrays pile up.
        return jax.block_until_ready(jnp.asarray(values(names, leaf.shape).astype(jnp.dtype(dtype))))

    return jax.tree_util.tree_map_with_path(draw, shapes, is_leaf=lambda leaf: isinstance(leaf, Constant))


def full_model(reduced: bool = False, heads: bool = True, dtype: str = "float32") -> Model:
    """The model (without heads, the trunk alone) ready for inference: filled, then folded."""
    return fold(fill(outline(full_spec(reduced, heads)), dtype))


def parameters(spec: ModelSpec) -> int:
    """How many trained numbers the model has: running moments are not among them."""
    arrays = array_names(outline(spec))
    return sum(leaf.size for name, leaf in arrays.items() if not name.endswith("second_moment"))


def codes(length: int, seed: int = 1) -> UInt8[np.ndarray, " position"]:
    """Random bases."""
    return np.random.default_rng(seed).integers(0, 4, length).astype(np.uint8)
