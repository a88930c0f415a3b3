"""Trunk in bfloat16 against float32 on CPU, and which XLA settings change that; each in a fresh process.

A setting that this jaxlib does not know ends its process: it is reported, and the others go on.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
from parts.measure import bench, busy, machine, say, seconds

GOAL = 1.0
SETTINGS = {
    "default": {},
    "onednn": {"XLA_FLAGS": "--xla_cpu_use_onednn=true"},
    "onednn custom calls": {
        "XLA_FLAGS": "--xla_cpu_use_onednn=true --xla_cpu_experimental_onednn_custom_call=true",
    },
    "onednn fusions": {
        "XLA_FLAGS": "--xla_cpu_use_onednn=true "
        "--xla_cpu_experimental_onednn_fusion_type=LIBRARY_FUSION_TYPE_DOT,LIBRARY_FUSION_TYPE_ELTWISE",
    },
    "ynn fusions": {"XLA_FLAGS": "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_DOT"},
    "xnnpack": {"XLA_FLAGS": "--xla_cpu_use_xnnpack=true"},
    "512-bit vectors": {"XLA_FLAGS": "--xla_cpu_prefer_vector_width=512"},
    "fast math": {"XLA_FLAGS": "--xla_cpu_enable_fast_math=true"},
}


def child(dtype: str, length: int, reduced: bool, repeats: int) -> None:
    """Times the trunk in this process; prints one JSON object."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    from ag_core.sequence import one_hot
    from parts.full import codes, full_model

    @eqx.filter_jit
    def trunk(backbone, codes, organism):
        return backbone(one_hot(codes)[None].astype(dtype), organism)

    backbone = full_model(reduced, dtype=dtype, heads=False).backbone
    inputs = backbone, jnp.asarray(codes(length)), jnp.array([0])
    start = time.perf_counter()
    program = trunk.lower(*inputs).compile()
    compiled = time.perf_counter() - start
    result = jax.block_until_ready(program(*inputs))
    times = seconds(lambda: jax.block_until_ready(program(*inputs)), repeats)
    text = program.compiled.as_text()
    libraries = sorted(name for name in ("onednn", "ynn", "xnn") if f"__{name}" in text)
    sample = np.asarray(result.bp1[0, ::997, ::61], np.float64).ravel().tolist()
    print(json.dumps({"seconds": min(times), "compile": compiled, "libraries": libraries, "sample": sample}))


def measure(settings: dict[str, str], dtype: str, flags: list[str]) -> dict | str:
    """One child's answer, or the last line of its complaint."""
    command = [sys.executable, __file__, "--child", dtype, *flags]
    environment = {**os.environ, **settings, "PYTHONPATH": str(pathlib.Path(__file__).parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    lines = [line for line in done.stderr.splitlines() if "lag" in line] or done.stderr.splitlines() or [""]
    return f"exit {done.returncode}: {lines[-1].strip()[:140]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="reduced sizes, 4,096 bp, 1 repeat")
    parser.add_argument("--length", type=int, help="bp (default 16,384; quick 4,096)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS), help="default: all")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    repeats = 1 if arguments.quick else arguments.repeats
    length = arguments.length or (4096 if arguments.quick else 16_384)
    if arguments.child:
        child(arguments.child, length, arguments.quick, repeats)
        return
    warning = busy()
    say(f"{machine('jax', 'jaxlib', 'ag-core')}; trunk, {length:,} bp")
    flags = ["--length", str(length), "--repeats", str(repeats), *(["--quick"] if arguments.quick else [])]
    best: dict[str, float] = {}
    truth = None
    for name in dict.fromkeys(("default", *arguments.settings)):
        settings = SETTINGS[name]
        for dtype in ("float32", "bfloat16"):
            answer = measure(settings, dtype, flags)
            if isinstance(answer, str):
                say(f"  {name:20} {dtype:8} {answer}")
                continue
            sample = np.array(answer["sample"])
            truth = sample if truth is None else truth
            error = np.abs(sample - truth).max() / np.abs(truth).max()
            used = "+".join(answer["libraries"]) or "none"
            say(
                f"  {name:20} {dtype:8} {answer['seconds']:8.2f} s (compiled in {answer['compile']:.1f} s; libraries "
                f"in the program: {used}; differs from float32 by {error:.1e} of the largest)"
            )
            best[dtype] = min(answer["seconds"], best.get(dtype, float("inf")))
            if name == "default":
                best[f"default {dtype}"] = answer["seconds"]
    for name in arguments.settings:
        say(f"tried {name}: {' '.join(SETTINGS[name].values()) or 'no setting'}")
    if warning:
        say(warning)
    suffix = f"{length}{'_reduced' if arguments.quick else ''}"
    bench(f"bf16_cpu_time_ratio_{suffix}", best["default bfloat16"] / best["default float32"], GOAL)
    bench(f"bf16_cpu_time_ratio_best_settings_{suffix}", best["bfloat16"] / best["float32"], GOAL)


if __name__ == "__main__":
    main()
