"""Names of the official parameter tree, and loading arrays by them. Source: spec/model.md section 4.

Each class says beside its fields what they are called there (`official`); haiku numbers repeated modules, which
`{_i}` (nothing, _1, _2, ...) and `{i}` (0, 1, 2, ...) spell out.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ag_core.backbone import Tower

MOMENT = "var_ema"


def _join(prefix: str, name: str) -> str:
    return "/".join(part for part in (prefix, name) if part)


def _numbered(name: str, index: Any) -> str:
    return name.format(i=index, _i=f"_{index}" if index else "")


def _tower(tower: Tower, prefix: str) -> Iterator[tuple[Any, str]]:
    # The official tree groups by kind of block, ours by layer.
    for i, block in enumerate(tower.blocks):
        if block.pair_update is not None:
            yield block.pair_update, _join(prefix, _numbered("pair_update_block{_i}", i // 2))
        yield block.bias, _join(prefix, _numbered("attention_bias_block{_i}", i))
        yield block.attention, _join(prefix, _numbered("mha_block{_i}", i))
        yield block.mlp, _join(prefix, _numbered("mlp_block{_i}", i))


def _children(node: Any, prefix: str) -> Iterator[tuple[Any, str]]:
    if isinstance(node, Tower):
        yield from _tower(node, prefix)
        return
    for field, name in getattr(node, "official", {}).items():
        child = getattr(node, field)
        if isinstance(name, Mapping):
            name = name[type(child)]
        if isinstance(child, list):
            for i, element in enumerate(child):
                yield element, _join(prefix, _numbered(name, i))
        elif isinstance(child, dict):
            for key, element in child.items():
                yield element, _join(prefix, _dict_name(name, key, element))
        else:
            yield child, _join(prefix, name)


def _dict_name(name: str, key: Any, element: Any) -> str:
    if "{" in name:
        return _numbered(name, key)
    return _join(name, getattr(element, "official_name", str(key)))


def official_leaves(module: PyTree, prefix: str = "") -> list[tuple[Any, str]]:
    """(array, official path) for every named array of `module`."""
    leaves = []
    for child, path in _children(module, prefix):
        if eqx.is_array(child) or isinstance(child, jax.ShapeDtypeStruct):
            leaves.append((child, path))
        elif child is not None:
            leaves += official_leaves(child, path)
    return leaves


def official_shape(path: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of an array in the official tree, from its path there and its shape here (spec/model.md 4.2).

    The official arrays have leading axes of length 1 where ours have none, and embeddings are tables of two axes.
    """
    parents, _, leaf = path.rpartition("/")
    module = parents.rpartition("/")[2]
    if leaf == "embeddings":
        return (shape[0], math.prod(shape[1:]))
    if module.startswith("rms_batch_norm"):
        return (1,) * (3 if "attention_bias_block" in parents else 2) + shape
    if leaf in ("q_r_bias", "k_r_bias") or (module == "standardized_conv1_d" and leaf == "scale"):
        return (1, 1, *shape)
    return shape


def load_official(module: PyTree, arrays: Mapping[str, np.ndarray], prefix: str = "") -> PyTree:
    """`module` (or its outline) with its arrays replaced by those of the official tree, one after the other.

    Raises KeyError for a missing array and ValueError for a wrong shape (axes of length 1 apart), naming the path.
    """
    found = official_leaves(module, prefix)
    by_identity = {id(leaf): path for leaf, path in found}

    def replace(leaf):
        path = by_identity.get(id(leaf))
        if path is None:
            return leaf
        if path not in arrays:
            raise KeyError(f"the official tree has no array {path!r}")
        array = np.asarray(arrays[path])
        expected = official_shape(path, leaf.shape)
        if _squeezed(array.shape) != _squeezed(expected):
            raise ValueError(f"{path}: official shape {array.shape}, expected {expected}")
        return jnp.asarray(array.reshape(leaf.shape), leaf.dtype)

    return jax.tree.map(replace, module)


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)
