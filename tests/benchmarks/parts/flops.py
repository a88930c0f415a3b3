"""Floating-point operations of the trunk by formula, and of any function by walking its program.

Counted as in spec/model.md section 8: 2 x multiply-adds of convolutions and matrix products, nothing else.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
from ag_core.config import PAIR_BIN, TOKEN, BackboneConfig

# Of the published sizes, trunk and embedders without heads: spec/model.md 8.3.
SPEC_TERAFLOP = {1_048_576: 65.2, 131_072: 7.7}


def trunk_flops(config: BackboneConfig, length: int) -> dict[str, float]:
    """FLOP of each stage of the trunk for one sequence of `length` bp; names as in the table of section 8."""
    c, levels, trunk = config, config.level_channels, config.trunk
    tokens, bins = length // TOKEN, length // PAIR_BIN
    updates = (c.blocks + 1) // 2
    flops = {
        "stem conv w15": length * 15 * 4 * c.stem,
        "stem conv block w5": length * 5 * c.stem**2,
    }
    for i in range(6):
        width_in, width_out = levels[i], levels[i + 1]
        flops[f"downres {i} @{2 ** (i + 1)}bp"] = (length >> (i + 1)) * 5 * (width_in + width_out) * width_out
    values = c.heads * c.value_size
    flops["MHA projections"] = c.blocks * tokens * trunk * (c.heads * c.key_size + c.key_size + c.value_size + values)
    flops["MHA logits+AV"] = c.blocks * tokens**2 * c.heads * (c.key_size + c.value_size)
    flops["MLP"] = c.blocks * tokens * trunk * 4 * trunk
    flops["attention bias"] = c.blocks * bins**2 * c.pair_size * c.heads
    hidden = c.pair_heads * c.pair_head_size
    flops["sequence-to-pair"] = updates * (
        2 * bins * trunk * hidden  # query, key
        + 2 * bins * 2 * c.position_features * hidden  # code of 2 x bins offsets
        + (1 + 2 + 2) * bins**2 * hidden  # content; from query and from key, at 2 x bins offsets
        + bins**2 * c.pair_heads * c.pair_size
        + 2 * bins * trunk * c.pair_size  # row, column
    )
    flops["row attention"] = updates * (3 * bins**2 * c.pair_size**2 + 2 * bins**3 * c.pair_size)
    flops["pair MLP"] = updates * 4 * bins**2 * c.pair_size**2
    sizes = (trunk, *reversed(levels))
    for i in range(7):
        width_in, width_out, fine = sizes[i], sizes[i + 1], length >> (6 - i)
        flops[f"upres {i} ->{2 ** (6 - i)}bp"] = (
            fine // 2 * 5 * width_in * width_out + fine * width_out**2 + fine * 5 * width_out**2
        )
    flops["embedder 128bp"] = tokens * trunk * 2 * trunk
    flops["embedder 1bp"] = length * c.stem * 2 * c.stem + tokens * 2 * trunk * 2 * c.stem
    return {name: 2.0 * multiply_adds for name, multiply_adds in flops.items()}


def _dot(equation: Any) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    return 2.0 * math.prod(equation.outvars[0].aval.shape) * math.prod(left[axis] for axis in contracted)


def _convolution(equation: Any) -> float:
    kernel, numbers = equation.invars[1].aval.shape, equation.params["dimension_numbers"]
    outputs = kernel[numbers.rhs_spec[0]]
    return 2.0 * math.prod(equation.outvars[0].aval.shape) * math.prod(kernel) / outputs


def _programs(params: Mapping[str, Any]) -> list[Any]:
    found = []
    for value in params.values():
        for item in value if isinstance(value, list | tuple) else (value,):
            item = getattr(item, "jaxpr", item)
            if hasattr(item, "eqns"):
                found.append(item)
    return found


def _walk(program: Any) -> float:
    total = 0.0
    for equation in program.eqns:
        kind, inner = equation.primitive.name, _programs(equation.params)
        if kind == "dot_general":
            total += _dot(equation)
        elif kind == "conv_general_dilated":
            total += _convolution(equation)
        elif kind == "while" and any(_walk(part) for part in inner):
            raise ValueError("cannot count matrix products in a loop of unknown length")
        elif kind == "cond":  # one branch runs
            total += max(map(_walk, inner))
        else:
            total += equation.params.get("length", 1) * sum(map(_walk, inner))
    return total


def counted_flops(function: Callable, *arguments: Any) -> float:
    """FLOP of `function`'s program, from shapes alone. Raises ValueError for a product inside an open-ended loop."""
    return _walk(jax.make_jaxpr(function)(*arguments).jaxpr)
