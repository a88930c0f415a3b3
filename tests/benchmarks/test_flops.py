"""The FLOP count that benchmarks divide by: the specification's table, and the program that really runs."""

import pathlib
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from ag_core.backbone import Backbone
from ag_core.config import PRESETS, BackboneConfig

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from parts.flops import counted_flops, trunk_flops

# spec/model.md 8.1, TFLOP at 1,048,576 bp, some stages of every kind
TABLE = {
    "stem conv w15": 0.097,
    "stem conv block w5": 6.185,
    "downres 0 @2bp": 7.817,
    "downres 5 @64bp": 0.741,
    "MHA projections": 0.652,
    "MHA logits+AV": 3.092,
    "MLP": 1.392,
    "attention bias": 0.005,
    "sequence-to-pair": 0.134,
    "row attention": 0.472,
    "pair MLP": 0.172,
    "upres 0 ->64bp": 0.657,
    "upres 6 ->1bp": 11.029,
    "embedder 128bp": 0.077,
    "embedder 1bp": 2.551,
}


def test_formula_gives_the_table():
    flops = trunk_flops(PRESETS["full"], 1_048_576)
    assert {name: round(flops[name] / 1e12, 3) for name in TABLE} == TABLE
    assert sum(flops.values()) / 1e12 == pytest.approx(26.559 + 5.919 + 30.054 + 2.629, abs=0.002)
    at_131 = sum(trunk_flops(PRESETS["full"], 131_072).values())
    assert at_131 / 1e12 == pytest.approx(3.320 + 0.319 + 3.757 + 0.329, abs=0.002)


@pytest.mark.parametrize("config", [PRESETS["tiny"], BackboneConfig(blocks=3)], ids=["tiny", "full width"])
def test_formula_counts_what_the_backbone_does(config):
    length = 6144
    backbone = eqx.filter_eval_shape(lambda: Backbone(config, key=jax.random.key(0)))
    dna, organism = jax.ShapeDtypeStruct((1, length, 4), jnp.float32), jax.ShapeDtypeStruct((1,), jnp.int32)
    arrays, static = eqx.partition(backbone, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))

    def run(arrays, dna, organism):
        return eqx.combine(arrays, static)(dna, organism)

    counted = counted_flops(run, arrays, dna, organism)
    assert counted == pytest.approx(sum(trunk_flops(config, length).values()), rel=1e-12)


def test_products_in_loops_count_once_for_each_turn():
    def turns(x, y):
        return jax.lax.map(lambda row: row @ y, x)

    assert counted_flops(turns, jnp.ones((5, 3, 7)), jnp.ones((7, 2))) == 2 * 5 * 3 * 7 * 2
    with pytest.raises(ValueError, match="unknown length"):
        counted_flops(lambda x: jax.lax.while_loop(lambda y: y.sum() < 9, lambda y: y @ y, x), jnp.ones((2, 2)))
