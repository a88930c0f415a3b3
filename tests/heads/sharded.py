"""What the tests of sharded training share: batches of all kinds of targets, programs, what they communicate."""

import collections
import math
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from ag_core import training
from ag_core.config import PAIR_BIN, TOKEN
from ag_core.mesh import DATA, SEQ, put
from ag_core.model import training_mode
from ag_core.precision import cast
from ag_core.sequence import one_hot

SITES = 12


def make_targets(length: int, batch: int, seed: int = 0) -> dict:
    """Targets of all eleven heads, as an experiment leaves them: sparse, with gaps and padding."""
    random = np.random.default_rng(seed)

    def signal(bins, tracks):
        values = random.gamma(0.5, 2.0, (batch, bins, tracks)) * (random.random((batch, bins, tracks)) < 0.2)
        values[:, :, -1] = np.nan
        return {"signal": values.astype(np.float32)}

    bins = length // 2048
    contacts = random.normal(size=(batch, bins, bins, 3)).astype(np.float32)
    contacts[0, 0, 0] = np.nan
    classes = np.eye(5, dtype=bool)[random.choice(5, (batch, length), p=[0.01] * 4 + [0.96])]
    positions = np.stack([np.sort(random.choice(length, (4, SITES), replace=False), axis=1) for _ in range(batch)])
    positions[:, :, 8:] = -1
    targets = {name: signal(length, 3) for name in ("atac", "dnase")}
    targets |= {name: signal(length, 5) for name in ("procap", "cage", "rna_seq")}
    targets |= {name: signal(length // 128, 3) for name in ("chip_tf", "chip_histone")}
    return targets | {
        "contact_maps": {"contacts": contacts},
        "splice_sites": {"classes": classes},
        "splice_site_usage": {"usage": random.random((batch, length, 5)).astype(np.float32)},
        "splice_junctions": {
            "counts": random.poisson(3, (batch, SITES, SITES, 6)).astype(np.float32),
            "splice_site_positions": positions.astype(np.int32),
        },
    }


def make_batch(length: int, batch: int, seed: int = 0) -> dict:
    """Codes, organisms and targets."""
    random = np.random.default_rng(seed)
    return {
        "codes": random.integers(0, 5, (batch, length), np.uint8),
        "organism": np.arange(batch, dtype=np.int32) % 2,
        "targets": make_targets(length, batch, seed),
    }


def place(batch: dict, mesh) -> dict:
    """Rows over `data`; along the sequence over `seq` what divides."""

    def one(array):
        along = array.ndim > 1 and array.shape[1] % (2 * mesh.shape[SEQ]) == 0
        return put(array, mesh, DATA, SEQ) if along else put(array, mesh, DATA)

    return jax.tree.map(one, batch)


def gradient_program(mesh, dtype: str = "float32", **options):
    """(model, batch) to the loss, its parts and the gradients, in training mode."""

    def value_of(variables, rest, batch):
        model = eqx.combine(variables, rest)
        dna = one_hot(batch["codes"])
        return training.model_loss(model, dna, batch["organism"], batch["targets"], mesh=mesh, **options)

    @eqx.filter_jit
    def run(model, batch):
        model = cast(training_mode(model), dtype)
        variables, rest = eqx.partition(model, training.trainable(model))
        return jax.value_and_grad(value_of, has_aux=True)(variables, rest, batch)

    return run


def apart(one, other) -> float:
    """The largest difference of two trees of arrays, each relative to the largest value of its array."""
    worst = 0.0
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        worst = max(worst, float(np.max(np.abs(x - y)) / max(np.max(np.abs(x)), 1e-30)))
    return worst


_COLLECTIVE = re.compile(
    r"= (?P<type>\(.*?\)|\S+) (?P<kind>all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)"
    r"(?:-start)?\(.*?(?:replica_groups=(?P<groups>\S+?)[,}]|source_target_pairs)"
)
_ARRAY = re.compile(r"(?P<dtype>[a-z]+\d*)\[(?P<shape>[\d,]*)\]")
_BYTES = {"f64": 8, "f32": 4, "bf16": 2, "f16": 2, "s64": 8, "s32": 4, "u32": 4, "u8": 1, "s8": 1, "pred": 1}


def collectives(hlo: str) -> list[tuple[str, int, str]]:
    """(kind, bytes, shapes) of every collective in a compiled program."""
    found = []
    for line in hlo.splitlines():
        if match := _COLLECTIVE.search(line):
            arrays = [
                (each["dtype"], [int(size) for size in each["shape"].split(",") if size])
                for each in _ARRAY.finditer(match["type"])
            ]
            size = sum(_BYTES[dtype] * math.prod(shape) for dtype, shape in arrays)
            found.append((match["kind"], size, match["type"]))
    return found


def least_bytes(model, length: int) -> dict[str, int]:
    """What each device must receive for a loss and its gradients in float32, one example, the sequence split.

    Edges of what is convolved and of its gradient, keys and values of all other tokens and pair bins and the sum of
    their gradients, and every gradient (and batch moment) once.
    """
    config, floats = model.backbone.config, collections.Counter()
    for path, leaf in jax.tree_util.tree_leaves_with_path(eqx.filter(model, eqx.is_inexact_array)):
        floats["gradients"] += leaf.size
        if getattr(path[-1], "name", "") == "weight" and leaf.ndim == 3 and leaf.shape[0] > 1:
            # Nobody wants the gradient of DNA.
            floats["edges"] += (leaf.shape[0] - 1) * (leaf.shape[1] + (leaf.shape[2] if leaf.shape[1] != 4 else 0))
    tokens, bins = length // TOKEN, length // PAIR_BIN
    floats["keys and values"] = 2 * config.blocks * tokens * (config.key_size + config.value_size)
    updates = (config.blocks + 1) // 2
    floats["pair bins"] = 2 * updates * bins * (config.pair_heads * config.pair_head_size + config.pair_size)
    return {kind: 4 * count for kind, count in floats.items()}


def as_device_arrays(batch):
    """Host arrays on the default device."""
    return jax.tree.map(jnp.asarray, batch)
