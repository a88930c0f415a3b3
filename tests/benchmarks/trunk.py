"""How much of this machine's matrix-product rate the trunk reaches, stage by stage: float32, CPU, through XLA.

The yardstick is the best rate of plain products of the trunk's own shapes. A ratio above 1 is possible: a faster
algorithm than the one whose operations are counted.
"""

import argparse
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from ag_core.backbone import Backbone
from ag_core.config import PRESETS
from ag_core.layers import max_pool
from ag_core.sequence import one_hot
from parts.flops import SPEC_TERAFLOP, trunk_flops
from parts.full import REDUCED, codes, full_model
from parts.measure import GB, bench, busy, machine, resident, say, seconds

GOAL = 0.95
# rows, contracted, columns: 1-bp features, tower MLP, 128-bp embedder, a square one
SHAPES = ((16_384, 768, 768), (2048, 1536, 3072), (8192, 1536, 1536), (4096, 4096, 4096))
TOWER = ("MHA projections", "MHA logits+AV", "MLP", "attention bias", "sequence-to-pair", "row attention", "pair MLP")


def product_rate(repeats: int) -> float:
    """Best FLOP/s of XLA's float32 matrix product; numpy's is printed beside it."""
    best, random = 0.0, np.random.default_rng(0)
    for rows, inner, columns in SHAPES:
        x = random.standard_normal((rows, inner), np.float32)
        y = random.standard_normal((inner, columns), np.float32)
        on_device = jnp.asarray(x), jnp.asarray(y)
        product = jax.jit(jnp.matmul).lower(*on_device).compile()
        flops = 2.0 * rows * inner * columns

        def through_xla(product=product, arguments=on_device):
            product(*arguments).block_until_ready()

        rates = {
            "XLA": flops / min(seconds(through_xla, repeats)),
            "numpy": flops / min(seconds(lambda x=x, y=y: x @ y, repeats)),
        }
        best = max(best, rates["XLA"])
        shown = ", ".join(f"{name} {rate / 1e9:7.1f} GFLOP/s" for name, rate in rates.items())
        say(f"  [{rows}, {inner}] x [{inner}, {columns}]: {shown}")
    return best


@eqx.filter_jit
def _stem(part, codes):
    return part(one_hot(codes)[None])


@eqx.filter_jit
def _down(part, x):
    return part(max_pool(x))


@eqx.filter_jit
def _tower(backbone, x, organism):
    x = max_pool(x)
    return backbone.tower(x if backbone.organism is None else backbone.organism.add(x, organism))


@eqx.filter_jit
def _call(part, *arguments):
    return part(*arguments)


@eqx.filter_jit
def _whole(backbone, codes, organism):
    return backbone(one_hot(codes)[None], organism)


class Stages:
    """Runs stages one after another and keeps a table of their times."""

    def __init__(self, flops: dict[str, float], repeats: int):
        self.flops, self.repeats, self.spent, self.counted = flops, repeats, 0.0, set()

    def run(self, name: str, counted: tuple[str, ...], function: Callable, *arguments: Any) -> Any:
        program = function.lower(*arguments).compile()
        result = jax.block_until_ready(program(*arguments))
        best = min(seconds(lambda: jax.block_until_ready(program(*arguments)), self.repeats))
        flops = sum(self.flops[part] for part in counted)
        self.counted |= set(counted)
        self.spent += best
        say(f"  {name:20} {best:8.3f} s {flops / 1e9:10.1f} GFLOP {flops / best / 1e9:8.1f} GFLOP/s")
        return result


def by_stage(backbone: Backbone, length: int, flops: dict[str, float], repeats: int) -> None:
    """Prints time and rate of every stage of the trunk."""
    stages, organism = Stages(flops, repeats), jnp.array([0])
    encoder, decoder = backbone.encoder, backbone.decoder
    first = ("stem conv w15", "stem conv block w5")
    skips = [stages.run("stem @1bp", first, _stem, encoder.stem, jnp.asarray(codes(length)))]
    for i, block in enumerate(encoder.blocks):
        name = f"downres {i} @{2 ** (i + 1)}bp"
        skips.append(stages.run(name, (name,), _down, block, skips[-1]))
    x, pair = stages.run("tower @128bp", TOWER, _tower, backbone, skips[-1], organism)
    bp128 = stages.run("embedder 128bp", ("embedder 128bp",), _call, backbone.embedder_128, x, None, organism)
    for i, block in enumerate(decoder.blocks):
        name = f"upres {i} ->{2 ** (6 - i)}bp"
        x = stages.run(name, (name,), _call, block, x, skips.pop())
    stages.run("embedder 1bp", ("embedder 1bp",), _call, backbone.embedder_1, x, bp128, organism)
    stages.run("embedder pair", (), _call, backbone.embedder_pair, pair, organism)
    assert stages.counted == set(flops), set(flops) - stages.counted
    say(f"  {'sum of stages':20} {stages.spent:8.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="reduced sizes at 16,384 bp")
    parser.add_argument("--length", type=int, help="bp (default 131,072; quick 16,384)")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    warning, config = busy(), REDUCED if arguments.quick else PRESETS["full"]
    length, repeats = arguments.length or (16_384 if arguments.quick else 131_072), arguments.repeats
    say(machine("jax", "jaxlib", "numpy", "ag-core"))
    for known, teraflop in SPEC_TERAFLOP.items():
        total = sum(trunk_flops(PRESETS["full"], known).values()) / 1e12
        say(f"counted for {known:,} bp: {total:.2f} TFLOP (specification: {teraflop})")
        assert abs(total - teraflop) < 0.05

    say("float32 matrix products:")
    rate = product_rate(repeats + 2)
    flops = trunk_flops(config, length)
    backbone = full_model(arguments.quick, heads=False).backbone
    size, total = " (REDUCED sizes)" if arguments.quick else "", sum(flops.values())
    say(f"trunk at {length:,} bp{size}, {total / 1e12:.3f} TFLOP:")
    by_stage(backbone, length, flops, repeats)
    inputs = backbone, jnp.asarray(codes(length)), jnp.array([0])
    program = _whole.lower(*inputs).compile()
    jax.block_until_ready(program(*inputs))
    best = min(seconds(lambda: jax.block_until_ready(program(*inputs)), repeats))
    achieved = total / best
    say(f"  {'whole trunk':20} {best:8.3f} s {'':16} {achieved / 1e9:8.1f} GFLOP/s; peak {resident() / GB:.2f} GB")
    say(f"best matrix product {rate / 1e9:.1f} GFLOP/s")
    if warning:
        say(warning)
    name = "_reduced" if arguments.quick else ""
    bench(f"trunk_share_of_matmul_rate_{length}{name}", achieved / rate, GOAL)


if __name__ == "__main__":
    main()
