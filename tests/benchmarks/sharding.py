"""What a training step sends and keeps on 1, 2, 4 and 8 simulated devices: all eleven heads, loss and gradients."""

import argparse
import pathlib
import sys
from typing import Any

import jax

jax.config.update("jax_num_cpu_devices", 8)

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "heads"))

import sharded  # noqa: E402
from ag_core.checkpoint import outline  # noqa: E402
from ag_core.mesh import make_mesh  # noqa: E402
from eleven import eleven_heads_spec  # noqa: E402
from parts.full import fill  # noqa: E402
from parts.measure import bench, machine, say  # noqa: E402

KINDS = ("collective-permute", "all-gather", "all-to-all", "all-reduce")


def measure(model: Any, length: int, devices: int) -> tuple[dict[str, list[int]], int, int]:
    """Bytes of each collective by kind, the least that must be sent, and bytes of temporaries on each device."""
    mesh = make_mesh(1, devices)
    batch = sharded.place(sharded.make_batch(length, 1), mesh)
    program = sharded.gradient_program(mesh).lower(model, batch).compile().compiled
    sent = {kind: [] for kind in KINDS}
    for kind, size, _ in sharded.collectives(program.as_text()):
        sent[kind].append(size)
    least = sum(sharded.least_bytes(model, length).values())
    return sent, least, program.memory_analysis().temp_size_in_bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=int, default=16_384)
    parser.add_argument("--quick", action="store_true", help="1 and 8 devices only")
    options = parser.parse_args()
    say(machine("jax", "equinox"))
    model = fill(outline(eleven_heads_spec()))
    say(f"tiny backbone, eleven heads, {options.length:,} bp, float32; number and kB of collectives on each device")
    say("| devices | permutes | gathers | all to all | reductions | sent / least | temporaries, MB |")
    say("| --- | --- | --- | --- | --- | --- | --- |")
    ratio, first = 1.0, None
    for devices in (1, 8) if options.quick else (1, 2, 4, 8):
        sent, least, temporary = measure(model, options.length, devices)
        shown = " | ".join(f"{len(sent[kind])}: {sum(sent[kind]) / 1e3:.1f}" for kind in KINDS)
        ratio = sum(map(sum, sent.values())) / least
        first = first or temporary
        say(f"| {devices} | {shown} | {ratio:.2f} | {temporary / 1e6:.1f} ({first / temporary:.2f}x less) |")
        share = first / temporary / devices
    bench("bytes sent on 8 devices, times the least", ratio, "<= 1.2")
    bench("memory of temporaries on one of 8 devices, times 1/8 of one device's", 1 / share, "about 1")


if __name__ == "__main__":
    main()
