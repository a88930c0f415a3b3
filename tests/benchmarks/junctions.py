"""The splice-junction head against the straightforward way, float32, CPU: time and temporary memory.

Straightforward is spec/model.md 3.6 as written: the linear layer at every position, then the sites; scaled, shifted
and rotated embeddings of all tissues at once, [site, tissue, channel] for each of the four roles; one product.
"""

import argparse
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from ag_core.checkpoint import outline
from ag_core.interfaces import Embeddings
from parts.flops import counted_flops
from parts.full import fill, full_spec
from parts.measure import GB, bench, busy, machine, resident, say, seconds

LENGTH = 16_384
TIME_GOAL, MEMORY_GOAL = 0.9, 0.3
MAX_POSITION = 2**20


def rotate(x, positions):
    """spec/model.md 1.12 with pairs of neighbouring channels: x [site, tissue, channel], positions [site] in bp."""
    half = x.shape[-1] // 2
    wavelengths = np.arange(half) + np.geomspace(1, MAX_POSITION - half + 1, half)
    angles = positions[:, None, None].astype(jnp.float32) / jnp.asarray(wavelengths, jnp.float32)
    even, odd, cosine, sine = x[..., 0::2], x[..., 1::2], jnp.cos(angles), jnp.sin(angles)
    return jnp.stack([even * cosine - odd * sine, odd * cosine + even * sine], axis=-1).reshape(x.shape)


def straightforward(head, embeddings, organism, positions):
    """Counts [donor, acceptor, 2 x tissue] from all positions' embeddings [position, channel]."""
    shown = embeddings @ head.linear.weight[organism] + head.linear.bias[organism]
    roles = []
    for row, code in enumerate((head.donor_plus, head.acceptor_plus, head.donor_minus, head.acceptor_minus)):
        scale, offset = code.values[organism]
        roles.append(rotate(scale * shown[positions[row]][:, None] + offset, positions[row]))
    strands = []
    for donor in (0, 2):
        counts = jax.nn.softplus(jnp.einsum("dtc,atc->dat", roles[donor], roles[donor + 1]))
        there = (positions[donor] >= 0)[:, None] & (positions[donor + 1] >= 0)[None, :]
        strands.append(jnp.where(there[..., None], counts, 0.0))
    return jnp.concatenate(strands, axis=-1)


def ours(head, embeddings, organism, probabilities):
    """The head through its public call."""
    context = {head.requires[0]: {"predictions": probabilities}}
    return head(Embeddings(embeddings, None, None), organism, context)["predictions"]


def dense(head, embeddings, organism, probabilities):
    """The straightforward way, at the sites that the head selects."""
    return straightforward(head, embeddings, organism, head.select(probabilities))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="64 sites, 96 channels, 2,048 bp")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    warning, length = busy(), 2048 if arguments.quick else LENGTH
    say(machine("jax", "jaxlib", "ag-core", "ag-heads"))
    head: Any = fill(outline(full_spec(arguments.quick)).heads["splice_junctions"])
    random = np.random.default_rng(2)
    channels = head.linear.weight.shape[1]
    embeddings = jnp.asarray(random.standard_normal((length, channels), np.float32))
    probabilities = jnp.asarray(random.uniform(0.1, 1, (length, 5)).astype(np.float32))
    inputs = head, embeddings, jnp.array(0), probabilities
    best, memory, results = {}, {}, {}
    for name, function in {"ours": ours, "straightforward": dense}.items():
        program = eqx.filter_jit(function).lower(*inputs).compile()
        plan = program.compiled.memory_analysis()
        memory[name] = plan.temp_size_in_bytes
        results[name] = np.asarray(program(*inputs))
        best[name] = min(seconds(lambda p=program: p(*inputs).block_until_ready(), arguments.repeats))
        arrays, static = eqx.partition(inputs, eqx.is_array)
        flops = counted_flops(lambda a, f=function, s=static: f(*eqx.combine(a, s)), arrays)
        say(
            f"{name:16} {best[name]:7.3f} s, {flops / 1e9:7.1f} GFLOP, {flops / best[name] / 1e9:6.1f} GFLOP/s; "
            f"temporary {memory[name] / GB:.3f} GB, result {plan.output_size_in_bytes / GB:.3f} GB"
        )
        del program
    sites = np.asarray(head.select(probabilities))
    difference = np.abs(results["ours"] - results["straightforward"]).max() / np.abs(results["ours"]).max()
    say(f"{length:,} bp, {(sites >= 0).sum(axis=1).tolist()} sites, counts {results['ours'].shape}")
    say(f"largest difference {difference:.1e} of the largest count; process peak {resident() / GB:.2f} GB")
    if difference > 1e-4:
        raise SystemExit("the two ways disagree")
    if warning:
        say(warning)
    suffix = "_reduced" if arguments.quick else ""
    bench(f"junctions_time_ratio{suffix}", best["ours"] / best["straightforward"], TIME_GOAL)
    bench(f"junctions_temporary_memory_ratio{suffix}", memory["ours"] / memory["straightforward"], MEMORY_GOAL)


if __name__ == "__main__":
    main()
