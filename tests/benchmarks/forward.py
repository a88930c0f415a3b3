"""Forward pass with all heads, float32 on CPU, against PyPI alphagenome-pt in PyTorch: time and peak memory.

Both sides: the published sizes (450 million parameters, random), human, one sequence of random bases, every array that
either hands out (tracks scaled and unscaled, 512 splice sites a class). Each side lives in a fresh process; they take
turns, and the shortest time counts. Peak memory is of the whole process, weights and compilation included. The rival's
environment is made by hatch on the first run.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile

import numpy as np
from ag_core.model_spec import ModelSpec
from ag_core.schema import is_padding
from parts.environments import hatch
from parts.full import full_spec
from parts.measure import GB, bench, busy, say
from parts.worker import Worker

HERE = pathlib.Path(__file__).resolve().parent
ENVIRONMENT = "bench-rival"
TIME_GOALS = {16_384: 0.35, 131_072: 0.55}
MEMORY_GOAL = 0.7
Result = tuple[str, float, float]
TRACKS = ("atac", "dnase", "procap", "cage", "rna_seq", "chip_tf", "chip_histone")
HEADS = {
    "splice_sites": "splice_sites_classification",
    "splice_site_usage": "splice_sites_usage",
    "splice_junctions": "splice_sites_junction",
}


def rival_python(create: bool) -> str | None:
    """Interpreter of the rival's environment; None where it is not there and may not be made."""
    python = pathlib.Path(hatch("env", "find", ENVIRONMENT).splitlines()[-1]) / "bin" / "python"
    if not python.exists():
        if not create:
            return None
        say(f"making the environment {ENVIRONMENT} (PyTorch for CPU, 1 GB): once, some minutes")
    hatch("env", "create", ENVIRONMENT)  # also checks that what is installed is what hatch.toml says
    return str(python)


def rival_config(spec: ModelSpec, threads: int) -> dict:
    """The same sizes, heads and tracks in the rival's words."""
    heads = {}
    for modality, head in spec.heads.items():
        count = head.tracks[0].sizes["track"]
        mask = [(~is_padding(table)).astype(int).tolist() for table in head.tracks]
        if modality == "splice_junctions":
            heads[HEADS[modality]] = {"num_tissues": [count] * 2, "tissue_mask": mask}
            continue
        heads[HEADS.get(modality, modality)] = {"num_tracks": [count] * 2, "track_mask": mask}
        if modality in TRACKS:  # nothing measured, no mean: mouse has no PRO-cap
            ones = np.ones(count)
            means = [table["nonzero_mean"].values if "nonzero_mean" in table else ones for table in head.tracks]
            heads[modality]["means"] = [np.nan_to_num(values, nan=1.0).tolist() for values in means]
    c, junctions = spec.backbone, spec.heads["splice_junctions"].options
    return {
        "threads": threads,
        "max_seq_len": spec.window,
        "num_channels": c.stem,
        "channel_increment": c.step,
        "transformer_layers": c.blocks,
        "num_q_heads": c.heads,
        "num_kv_heads": 1,
        "qk_head_dim": c.key_size,
        "v_head_dim": c.value_size,
        "pair_channels": c.pair_size,
        "pair_heads": c.pair_heads,
        "pos_channels": 2 * c.position_features,
        "init_scale": 0.1,
        "num_splice_sites": junctions.get("sites", 512),
        "splice_site_channels": junctions.get("hidden", 768),
        "min_zero_multinomial_loss": False,
        "dtype_policy": "float32",
        "metadata": {"organisms": list(spec.organisms), "heads": heads},
    }


def compare(length: int, reduced: bool, python: str | None, repeats: int) -> list[Result]:
    """Prints both sides at one length; returns the lines for the end."""
    say(f"\n{length:,} bp, float32, batch 1, human, all heads{' (REDUCED sizes)' if reduced else ''}")
    threads = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "rival.json"
        config.write_text(json.dumps(rival_config(full_spec(reduced), threads)))
        flags = ["--reduced"] if reduced else []
        workers = {"ours": Worker(sys.executable, HERE / "parts" / "ours.py", str(length), *flags)}
        if python is not None:
            workers["rival"] = Worker(python, HERE / "parts" / "rival.py", str(length), str(config))
    for side, worker in workers.items():
        ready = worker.ready
        say(f"{side:6} {ready['name']}")
        compiling = "".join(f", compiled {k} in {v:.1f} s" for k, v in ready["compile_seconds"].items())
        planned = f", XLA plans {ready['temporary_bytes'] / GB:.2f} GB" if ready["temporary_bytes"] else ""
        say(
            f"       {ready['parameters']:,} parameters, ready in {ready['load_seconds']:.1f} s at "
            f"{ready['load_peak'] / GB:.2f} GB{compiling}{planned}"
        )
    best: dict[tuple[str, str], float] = {}
    answers: dict[str, dict] = {}
    for turn in range(repeats):
        for task in ("trunk", "all"):
            for side, worker in workers.items():
                answers[side] = answer = worker.ask(task)
                note = " (first, not counted)" if turn == 0 and repeats > 1 else ""
                say(f"  {side:6} {task:6} {answer['seconds']:8.2f} s{note}")
                if not note:
                    best[side, task] = min(answer["seconds"], best.get((side, task), float("inf")))
    for worker in workers.values():
        worker.close()
    for side, answer in answers.items():
        say(
            f"{side:6} best: trunk {best[side, 'trunk']:.2f} s, all {best[side, 'all']:.2f} s; peak "
            f"{answer['peak'] / GB:.2f} GB; {answer['outputs']} arrays, {answer['output_bytes'] / GB:.2f} GB; splice "
            f"sites of each class {answer['sites']}"
        )
    if "rival" not in answers:
        return []
    if answers["ours"]["sites"] != answers["rival"]["sites"]:
        say("NOTE: the sides did not join the same number of splice sites: the work differs")
    say(f"trunk alone: {best['ours', 'trunk'] / best['rival', 'trunk']:.3f} of the rival's time (no goal)")
    name, goal = f"{length}{'_reduced' if reduced else ''}", TIME_GOALS.get(length, max(TIME_GOALS.values()))
    return [
        (f"forward_time_ratio_{name}", best["ours", "all"] / best["rival", "all"], goal),
        (f"forward_peak_memory_ratio_{name}", answers["ours"]["peak"] / answers["rival"]["peak"], MEMORY_GOAL),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="reduced sizes at 2,048 bp; no new environment")
    parser.add_argument("--lengths", type=int, nargs="+", help=f"bp; default {' '.join(map(str, TIME_GOALS))}")
    parser.add_argument("--repeats", type=int, help="turns, of which the first only warms up (default 4, quick 2)")
    parser.add_argument(
        "--rival", metavar="PYTHON", help="interpreter that has alphagenome-pt (default: made by hatch)"
    )
    arguments = parser.parse_args()
    python = arguments.rival or rival_python(create=not arguments.quick)
    if python is None:
        say(f"no environment {ENVIRONMENT} yet: only our side (a run without --quick makes it)")
    warning = busy()
    lengths = arguments.lengths or ([2048] if arguments.quick else list(TIME_GOALS))
    repeats = arguments.repeats or (2 if arguments.quick else 4)
    results = [result for length in lengths for result in compare(length, arguments.quick, python, repeats)]
    if warning:  # OpenMP, which PyTorch uses, suffers most from other jobs
        say(f"\n{warning}; the rival waits for its threads at every step")
    for result in results:
        bench(*result)


if __name__ == "__main__":
    main()
