"""Small trainable additions to a frozen network: LoRA, Locon, IA3 and Houlsby adapters.

LoRA (Hu et al. 2021) adds a product of two thin matrices to a linear layer, Locon the same to a convolution's kernel,
IA3 (Liu et al. 2022) scales what a layer puts out; all three start as the layer they are put on, and `merge` turns
them back into plain layers. Houlsby adapters (2019) run what a block adds through a bottleneck; they stay.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from ag_core.attention import MLP, MultiQueryAttention
from ag_core.checkpoint import array_name
from ag_core.layers import Conv, Linear, StandardizedConv, convolve, truncated_normal
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

KINDS = ("lora", "locon", "ia3", "houlsby")
# Where each kind goes, by name as in a checkpoint, unless one says otherwise.
PLACES = {
    "lora": r"backbone\.tower\.blocks\.\d+\.attention\.(query|key|value|output)",
    "locon": r"backbone\.(encoder|decoder)\..*\.conv",
    "ia3": r"backbone\.tower\.blocks\.\d+\.(attention\.(key|value)|mlp\.expand)",
    "houlsby": r"backbone\.tower\.blocks\.\d+\.(attention|mlp)",
}


class LoRALinear(eqx.Module):
    """y = x (W + scale A B) + b; B starts at zero."""

    base: Linear
    down: Float[Array, "in rank"]
    up: Float[Array, "rank out"]
    scale: float = eqx.field(static=True)
    added: ClassVar = ("down", "up")

    def __init__(self, base: Linear, rank: int, *, scale: float = 1.0, key: PRNGKeyArray):
        size_in, size_out = base.weight.shape
        self.base, self.scale = base, scale
        self.down = truncated_normal(key, (size_in, rank), 1 / math.sqrt(size_in))
        self.up = jnp.zeros((rank, size_out))

    def __call__(self, x: Float[Array, "*batch in"]) -> Float[Array, "*batch out"]:
        return self.base(x) + self.scale * ((x @ self.down) @ self.up)

    def merged(self) -> Linear:
        """The plain layer."""
        return eqx.tree_at(lambda layer: layer.weight, self.base, self.base.weight + self.scale * self.down @ self.up)


class LoconConv(eqx.Module):
    """A convolution whose kernel is changed by the product of a kernel to `rank` channels and a mixing of these.

    The change of a standardised kernel is centred, so that the sum is one that a standardised layer can have.
    """

    base: StandardizedConv | Conv
    down: Float[Array, "width in rank"]
    up: Float[Array, "rank out"]
    scale: float = eqx.field(static=True)
    added: ClassVar = ("down", "up")

    def __init__(self, base: StandardizedConv | Conv, rank: int, *, scale: float = 1.0, key: PRNGKeyArray):
        width, size_in, size_out = base.weight.shape
        self.base, self.scale = base, scale
        self.down = truncated_normal(key, (width, size_in, rank), 1 / math.sqrt(width * size_in))
        self.up = jnp.zeros((rank, size_out))

    def kernel(self) -> Float[Array, "width in out"]:
        """The kernel as it is used."""
        change = self.scale * self.down @ self.up
        if isinstance(self.base, StandardizedConv):
            return self.base.kernel() + change - jnp.mean(change, axis=(0, 1))
        return self.base.weight + change

    def __call__(self, x: Float[Array, "batch position in"]) -> Float[Array, "batch position out"]:
        return convolve(x, self.kernel()) + self.base.bias

    def merged(self) -> StandardizedConv | Conv:
        """The plain layer."""
        kernel = self.kernel()
        if not isinstance(self.base, StandardizedConv):
            return Conv(kernel, self.base.bias)
        # A centred kernel is what standardising makes of it, if the scale is its norm.
        norm = jnp.sqrt(jnp.sum(jnp.square(kernel), axis=(0, 1)))
        return eqx.tree_at(lambda layer: (layer.weight, layer.scale), self.base, (kernel, norm))


class IA3Linear(eqx.Module):
    """What a layer puts out, each channel times a learnt factor that starts at 1."""

    base: Linear
    factor: Float[Array, " out"]
    added: ClassVar = ("factor",)

    def __init__(self, base: Linear):
        self.base, self.factor = base, jnp.ones(base.weight.shape[1])

    def __call__(self, x: Float[Array, "*batch in"]) -> Float[Array, "*batch out"]:
        return self.base(x) * self.factor

    def merged(self) -> Linear:
        """The plain layer."""
        layer = eqx.tree_at(lambda own: own.weight, self.base, self.base.weight * self.factor)
        return layer if layer.bias is None else eqx.tree_at(lambda own: own.bias, layer, layer.bias * self.factor)


class HoulsbyBlock(eqx.Module):
    """What a block adds to the tower, plus a bottleneck's view of it, which starts at zero. Cannot be merged."""

    base: MultiQueryAttention | MLP
    down: Float[Array, "channel rank"]
    up: Float[Array, "rank channel"]
    added: ClassVar = ("down", "up")

    def __init__(self, base: MultiQueryAttention | MLP, rank: int, *, key: PRNGKeyArray):
        layer = base.output if isinstance(base, MultiQueryAttention) else base.contract
        channels = layer.weight.shape[1]
        self.base = base
        self.down = truncated_normal(key, (channels, rank), 1 / math.sqrt(channels))
        self.up = jnp.zeros((rank, channels))

    def __call__(self, *args: Any, **kwargs: Any) -> Float[Array, "batch position channel"]:
        y = self.base(*args, **kwargs)
        return y + jax.nn.relu(y @ self.down) @ self.up


ADAPTERS = (LoRALinear, LoconConv, IA3Linear, HoulsbyBlock)
_BASES = {"lora": Linear, "locon": (StandardizedConv, Conv), "ia3": Linear, "houlsby": (MultiQueryAttention, MLP)}


def _is_adapter(node: Any) -> bool:
    return isinstance(node, ADAPTERS)


def adapt(
    model: PyTree, kind: str, *, rank: int = 8, scale: float = 1.0, places: str | None = None, key: PRNGKeyArray
) -> PyTree:
    """`model` with adapters of a `kind` on the layers whose name (as in a checkpoint) matches `places`.

    The function of the model stays what it was. Raises ValueError for an unknown kind, a rank below 1, and when no
    layer of the right type has such a name.
    """
    if kind not in KINDS or rank < 1:
        raise ValueError(f"adapter {kind!r} of rank {rank}: expected one of {', '.join(KINDS)}, a rank of at least 1")
    pattern, count = re.compile(places or PLACES[kind]), 0

    def is_base(node: Any) -> bool:
        return isinstance(node, _BASES[kind])

    def put_on(path: Any, node: Any) -> Any:
        nonlocal count
        name = array_name(path)
        if not is_base(node) or not pattern.fullmatch(name):
            return node
        count += 1
        own = jax.random.fold_in(key, count)
        if kind == "lora":
            return LoRALinear(node, rank, scale=scale, key=own)
        if kind == "locon":
            return LoconConv(node, rank, scale=scale, key=own)
        return IA3Linear(node) if kind == "ia3" else HoulsbyBlock(node, rank, key=own)

    adapted = jax.tree_util.tree_map_with_path(put_on, model, is_leaf=is_base)
    if not count:
        raise ValueError(f"adapter {kind!r}: no layer of the right type is called {pattern.pattern!r}")
    return adapted


def added(model: PyTree) -> PyTree[bool]:
    """Marks the arrays that adapters have added: what is trained while the network is frozen."""

    def mark(node: Any) -> Any:
        empty = jax.tree.map(lambda _: False, node)
        if not _is_adapter(node):
            return empty
        return eqx.tree_at(_parts(type(node).added), empty, replace=[True] * len(type(node).added))

    return jax.tree.map(mark, model, is_leaf=_is_adapter)


def merge(model: PyTree) -> PyTree:
    """Adapters turned back into plain layers, with the same outputs; those that cannot be stay."""

    def plain(node: Any) -> Any:
        return node.merged() if _is_adapter(node) and hasattr(node, "merged") else node

    return jax.tree.map(plain, model, is_leaf=_is_adapter)


def _parts(names: Sequence[str]) -> Callable[[Any], list[Any]]:
    return lambda node: [getattr(node, name) for name in names]
