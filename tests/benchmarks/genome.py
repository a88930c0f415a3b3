"""Random windows of 1,048,576 bp as base codes: the memory-mapped genome against pyfaidx, half of them reversed."""

import argparse
import os
import pathlib
import statistics
import tempfile
import time

import numpy as np
import pyfaidx
from ag_core.genome import Interval
from ag_core.sequence import encode, reverse_complement
from ag_data import open_genome
from parts.measure import bench, busy, machine, say

WIDTH = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="16 Mb instead of 128 Mb, fewer windows")
    arguments = parser.parse_args()
    length, repeats = (1 << 24, 40) if arguments.quick else (1 << 27, 200)
    warning = busy()
    say(machine("ag-data", "pyfaidx", "numpy"))
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        os.environ["AG_CACHE_DIR"] = str(folder / "cache")
        path = folder / "genome.fa"
        with path.open("wb") as file:
            file.write(b">chr1\n")
            for _ in range(length // 64):
                file.write(random.choice(np.frombuffer(b"ACGT", np.uint8), 64).tobytes() + b"\n")
        begun = time.perf_counter()
        genome = open_genome(path)
        say(f"codes of {length:,} bp made once in {time.perf_counter() - begun:.1f} s")
        theirs = pyfaidx.Faidx(str(path), as_raw=True, sequence_always_upper=True)
        starts = random.integers(0, length - WIDTH, repeats).tolist()
        windows = [Interval("chr1", s, s + WIDTH, "+-"[i % 2]) for i, s in enumerate(starts)]

        def peer(window: Interval) -> np.ndarray:
            bases = str(theirs.fetch("chr1", window.start + 1, window.end))
            return encode(reverse_complement(bases) if window.negative_strand else bases)

        times: dict[str, list[float]] = {"codes": [], "pyfaidx": []}
        for window in windows:  # the sides take turns
            for side, read in (("codes", genome.codes), ("pyfaidx", peer)):
                begun = time.perf_counter()
                found = read(window)
                times[side].append(1e3 * (time.perf_counter() - begun))
                times.setdefault(f"{side} sum", []).append(float(found.sum()))
        if times.pop("codes sum") != times.pop("pyfaidx sum"):
            raise SystemExit("the two sides disagree")
    for side, each in times.items():
        say(f"{side:8} median {statistics.median(each):.2f} ms, slowest {max(each):.2f} ms, {repeats} windows")
    if warning:
        say(warning)
    suffix = "_reduced" if arguments.quick else ""
    medians = {side: statistics.median(each) for side, each in times.items()}
    bench(f"genome_times_faster_than_pyfaidx{suffix}", medians["pyfaidx"] / medians["codes"], 3)
    bench(f"genome_window_of_1_mb{suffix}_milliseconds", medians["codes"], 1)


if __name__ == "__main__":
    main()
