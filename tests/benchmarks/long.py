"""All heads at 524,288 and 1,048,576 bp, float32, CPU, piece by piece: time by stage and peak memory.

Every array of every piece is read once (its sum) and dropped, as a writer would do. First it is checked that pieces
equal the untiled model's predictions.
"""

import argparse
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from ag_core import streaming
from ag_core.model import Model
from ag_core.sequence import one_hot
from parts.flops import trunk_flops
from parts.full import codes, full_model
from parts.measure import GB, bench, busy, machine, reset_peak, resident, say

LENGTHS = (524_288, 1_048_576)
CHECKED = 32_768
MEMORY_GOAL_GB = 20
# Relative to the largest value of an array: sums run in another order.
TOLERANCE = 1e-4
PROGRESS_SECONDS = 20


class Clock:
    """Times every compiled stage of `streaming` while it is open; each call then waits for its result."""

    def __init__(self):
        self.calls: dict[str, list[float]] = {}
        stages = {name: value for name, value in vars(streaming).items() if hasattr(value, "lower")}
        self.stages = {name: value for name, value in stages.items() if callable(value)}
        if not self.stages:
            raise SystemExit("ag_core.streaming has no compiled stages any more: this benchmark must follow")

    def __enter__(self):
        for name, stage in self.stages.items():
            setattr(streaming, name, self._timed(name.strip("_"), stage))
        return self

    def __exit__(self, *_):
        for name, stage in self.stages.items():
            setattr(streaming, name, stage)

    def _timed(self, name: str, stage: Any):
        def call(*arguments, **options):
            start = time.perf_counter()
            result = jax.block_until_ready(stage(*arguments, **options))
            self.calls.setdefault(name, []).append(time.perf_counter() - start)
            return result

        return call

    def report(self, total: float) -> None:
        """Prints seconds and calls of each stage; first calls include compilation."""
        for name, times in sorted(self.calls.items(), key=lambda item: -sum(item[1])):
            say(f"  {name:12} {sum(times):9.1f} s {len(times):5} calls, first {times[0]:.1f} s")
        say(f"  {'reading':12} {total - sum(map(sum, self.calls.values())):9.1f} s")


def difference(got: np.ndarray, want: np.ndarray, largest: float) -> float:
    """Largest difference in units of what is tolerated: of the largest value, or one step of float16 where rounded."""
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    real = ~np.isnan(want)
    got, want = got[real].astype(np.float64), want[real].astype(np.float64)
    tolerated = np.full(want.shape, max(largest, 1e-30) * TOLERANCE)
    with np.errstate(over="ignore"):
        half = want.astype(np.float16)
    if np.array_equal(want, half):  # splice-site usage: spec/model.md 3.5
        tolerated = np.maximum(tolerated, np.spacing(np.maximum(half, got.astype(np.float16))).astype(np.float64))
    return float(np.max(np.abs(got - want) / tolerated, initial=0.0))


def check_tiles(model: Model, length: int, piece: int) -> float:
    """The worst `difference` between pieces and the untiled model; prints in which array it is."""

    @eqx.filter_jit
    def untiled(model, codes):
        return model(one_hot(codes)[None], jnp.array([0]))

    bases, worst, reached = codes(length, seed=5), (0.0, "nothing"), {}
    whole = jax.tree.map(lambda x: np.asarray(x[0]), untiled(model, jnp.asarray(bases)))
    for part in streaming.stream(model, bases, 0, piece=piece):
        local = model.heads[part.modality].local
        for name, got in part.predictions.items():
            want, key = whole[part.modality][name], f"{part.modality}/{name}"
            largest = np.nanmax(np.abs(want), initial=0.0)
            if local:
                start = part.start * len(want) // length
                want = want[start : start + len(got)]
            reached[key] = reached.get(key, 0) + len(got)
            worst = max(worst, (difference(np.asarray(got), want, largest), key))
    for modality, arrays in whole.items():
        for name, x in arrays.items():
            assert reached[f"{modality}/{name}"] == len(x), f"{modality}/{name} is not covered"
    say(f"{length:,} bp in pieces of {piece:,}: differs from untiled by {worst[0]:.2f} of the tolerance, in {worst[1]}")
    return worst[0]


def run(model: Model, length: int, piece: int) -> tuple[float, float]:
    """Streams one sequence; returns seconds and the peak of resident memory in bytes."""
    forgets = reset_peak()
    say(f"\n{length:,} bp in pieces of {piece:,}; {resident('VmRSS') / GB:.2f} GB at the start")
    start = shown = time.perf_counter()
    arrays, values, checksum = 0, 0, 0.0
    with Clock() as clock:
        for part in streaming.stream(model, codes(length), 0, piece=piece):
            for x in part.predictions.values():
                x = np.asarray(x)
                checksum += float(np.nansum(x, dtype=np.float64))
                arrays, values = arrays + 1, values + x.size
            now = time.perf_counter()
            if now - shown > PROGRESS_SECONDS:
                shown = now
                say(f"  {now - start:7.0f} s  {part.modality} from {part.start:,}; peak {resident() / GB:.2f} GB")
    taken = time.perf_counter() - start
    clock.report(taken)
    peak, flops = resident(), sum(trunk_flops(model.backbone.config, length).values())
    say(f"  {arrays} arrays, {values:,} values, checksum {checksum:.6g}")
    since = "" if forgets else " (since the process began)"
    say(f"  {taken:.1f} s ({flops / taken / 1e9:.1f} trunk GFLOP/s), peak {peak / GB:.2f} GB{since}")
    return taken, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="reduced sizes, 65,536 bp; equality at 16,384 bp")
    parser.add_argument("--lengths", type=int, nargs="+", help=f"bp; default {' '.join(map(str, LENGTHS))}")
    parser.add_argument("--piece", type=int, help="bp (default: that of ag_core.streaming)")
    arguments = parser.parse_args()
    warning, quick = busy(), arguments.quick
    say(machine("jax", "jaxlib", "ag-core", "ag-heads"))
    model = full_model(quick)
    say(f"model{' (REDUCED sizes)' if quick else ''} loaded; {resident('VmRSS') / GB:.2f} GB")
    checked, small = (16_384, 4096 + 128) if quick else (CHECKED, 8192 + 128)
    worst = check_tiles(model, checked, small)
    jax.clear_caches()
    results = {}
    for length in arguments.lengths or ([65_536] if quick else LENGTHS):
        results[length] = run(model, length, arguments.piece or (16_384 if quick else streaming.PIECE))
    if warning:
        say(warning)
    suffix = "_reduced" if quick else ""
    bench(f"long_tiled_against_untiled{suffix}", worst, 1)
    for length, (taken, peak) in results.items():
        bench(f"long_seconds_{length}{suffix}", taken, "-")
        bench(f"long_peak_memory_gb_{length}{suffix}", peak / GB, MEMORY_GOAL_GB)
    if worst > 1:
        raise SystemExit("pieces differ from the untiled predictions")


if __name__ == "__main__":
    main()
