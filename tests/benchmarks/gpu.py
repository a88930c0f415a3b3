"""One sequence of 1,048,576 bp in bfloat16 on a GPU: latency of trunk and all heads, compile time, peak memory.

The goal is the physical floor of the published sizes on an H100-class GPU, spec/model.md 8.1: 100 ms with all heads,
82.5 ms without. All heads give what users see (`head.output`); results stay on the device.
"""

import argparse
import statistics
import time

import equinox as eqx
import jax
import jax.numpy as jnp
from ag_core.sequence import one_hot
from parts.flops import trunk_flops
from parts.full import codes, full_model, full_spec
from parts.measure import GB, bench, machine, say, seconds

LENGTH = 1_048_576
FLOOR_MS = {"trunk": 82.5, "all": 100.4}


@eqx.filter_jit
def trunk(model, codes, organism):
    return model.embed(one_hot(codes)[None], organism)


@eqx.filter_jit
def everything(model, codes, organism):
    predictions = model(one_hot(codes)[None], organism)
    return {name: jax.vmap(model.heads[name].output)(prediction) for name, prediction in predictions.items()}


def device_for(platform: str):
    """The first device of a platform, or None."""
    try:
        return jax.devices(platform)[0]
    except RuntimeError:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="reduced sizes, 16,384 bp, 2 repeats")
    parser.add_argument("--length", type=int, help=f"bp (default {LENGTH:,})")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--platform", default="gpu", help="'cpu' only tries the script out")
    arguments = parser.parse_args()
    quick, length = arguments.quick, arguments.length or (16_384 if arguments.quick else LENGTH)
    device = device_for(arguments.platform)
    if device is None:
        say("no GPU here, or a jax without GPU support (pip install 'jax[cuda12]'): nothing was measured")
        return
    say(f"{machine('jax', 'jaxlib', 'equinox', 'ag-core')}; {device.device_kind}")
    flops = sum(trunk_flops(full_spec(quick).backbone, length).values())
    results = []
    with jax.default_device(device):
        model = full_model(quick, dtype="bfloat16")
        inputs = model, jnp.asarray(codes(length)), jnp.array([0])
        for name, function in {"trunk": trunk, "all": everything}.items():
            start = time.perf_counter()
            program = function.lower(*inputs).compile()
            compiled = time.perf_counter() - start
            first = seconds(lambda p=program: jax.block_until_ready(p(*inputs)))[0]
            times = seconds(lambda p=program: jax.block_until_ready(p(*inputs)), 2 if quick else arguments.repeats)
            best, peak = min(times), (device.memory_stats() or {}).get("peak_bytes_in_use", 0)
            planned = program.compiled.memory_analysis().temp_size_in_bytes
            say(
                f"{name:6} {length:,} bp bfloat16: compiled in {compiled:.1f} s, first {first:.3f} s, best "
                f"{1e3 * best:.1f} ms, median {1e3 * statistics.median(times):.1f} ms, trunk {flops / best / 1e12:.1f} "
                f"TFLOP/s; temporary {planned / GB:.2f} GB, device peak so far {peak / GB:.2f} GB"
            )
            suffix = f"{length}_{arguments.platform}{'_reduced' if quick else ''}"
            results.append((f"{name}_milliseconds_{suffix}", 1e3 * best, FLOOR_MS[name]))
            results.append((f"{name}_device_peak_gb_{suffix}", peak / GB, "-"))
            del program
    for result in results:
        bench(*result)


if __name__ == "__main__":
    main()
