"""Counting the reads of a BAM file, against pysam's own loop that does nothing with them: time of one core.

Time is processor time, so that other jobs on the machine count little.

The file is simulated: single reads of 76 bp, a tenth of them over an intron, names, qualities and tags as an aligner
writes them. Blocks are those of an import, 1,048,576 bp.
"""

import argparse
import pathlib
import tempfile
import time
from collections.abc import Callable

import numpy as np
import pysam
from ag_core.genome import Interval
from ag_data.sources.bam import BamSource
from parts.measure import bench, busy, machine, reset_peak, resident, say

READS, LENGTH, BLOCK = 2_000_000, 40_000_000, 1 << 20
GOAL, RATIO_GOAL = 1.0, 3.0
CASES = {
    "coverage": {},
    "coverage of two strands": {"stranded": "reverse"},
    "coverage, extended to 200 bp": {"extend": 200},
    "5' ends of two strands": {"count": "five_prime", "stranded": "forward"},
    "cut sites": {"count": "cut_sites"},
    "cut sites per million": {"count": "cut_sites", "scale": "cpm"},
}


def simulate(path: pathlib.Path, reads: int, length: int) -> None:
    """Writes a sorted BAM file and its index."""
    random = np.random.default_rng(0)
    starts = np.sort(random.integers(0, length - 10_000, reads))
    bases = "".join(random.choice(list("ACGT"), 10_000))
    quality = "".join(random.choice(list("F:,#"), 10_000, p=[0.85, 0.1, 0.04, 0.01]))
    flags, mapq, spliced = (
        random.integers(2, size=reads) * 16,
        random.integers(0, 61, reads),
        random.random(reads) < 0.1,
    )
    sam = path.with_suffix(".sam")
    with sam.open("w") as file:
        file.write(f"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:{length}\n")
        for number, (start, flag, score, gap) in enumerate(
            zip(starts.tolist(), flags.tolist(), mapq.tolist(), spliced.tolist(), strict=True)
        ):
            cut = start % 9_900
            file.write(
                f"A00:1:H:1:{number % 97}:{number % 9973}:{number}\t{flag}\tchr1\t{start + 1}\t{score}\t"
                f"{'30M1500N46M' if gap else '76M'}\t*\t0\t0\t{bases[cut : cut + 76]}\t{quality[cut : cut + 76]}\t"
                "NM:i:0\tMD:Z:76\tAS:i:76\tXS:i:0\n"
            )
    pysam.view("-b", "-o", str(path), str(sam), catch_stdout=False)  # type: ignore[attr-defined]
    sam.unlink()
    pysam.index(str(path))  # type: ignore[attr-defined]


def bare(path: pathlib.Path, length: int) -> None:
    """What no reader of single records can undercut."""
    with pysam.AlignmentFile(str(path)) as file:
        for _ in file.fetch("chr1", 0, length):
            pass


def count(path: pathlib.Path, length: int, options: dict) -> float:
    """Sum of all values, block by block, in a file that is opened afresh."""
    source = BamSource(path, **options)
    blocks = (Interval("chr1", start, min(start + BLOCK, length)) for start in range(0, length, BLOCK))
    return sum(float(source.read(block).sum(dtype=np.float64)) for block in blocks)


def processor_seconds(call: Callable[[], object]) -> float:
    """Time that this process has computed."""
    start = time.process_time()
    call()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="200,000 reads")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    warning = busy()
    say(machine("pysam", "numpy", "ag-data"))
    reads, length = (READS // 10, LENGTH // 10) if arguments.quick else (READS, LENGTH)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "reads.bam"
        simulate(path, reads, length)
        say(f"{reads:,} reads on {length:,} bp, {path.stat().st_size / 1e6:.0f} MB")
        # In turns, so that what else goes on here hits all of them.
        times: dict[str, list[float]] = {name: [] for name in ("pysam alone", *CASES)}
        peak = 0.0
        for _ in range(arguments.repeats):
            times["pysam alone"].append(processor_seconds(lambda: bare(path, length)))
            reset_peak()
            before = resident("VmRSS")
            for name, options in CASES.items():
                times[name].append(processor_seconds(lambda o=options: count(path, length, o)))
            peak = max(peak, resident() - before)
        totals = {name: count(path, length, options) for name, options in CASES.items()}
    best = {name: min(each) for name, each in times.items()}
    for name, took in best.items():
        ratio = took / best["pysam alone"]
        say(f"{name:28} {took:7.3f} s, {reads / took / 1e6:5.2f} M reads/s, {ratio:.2f} times pysam alone")
    say(f"highest memory above the start: {peak / 1e6:.0f} MB")
    if totals["coverage"] != 76 * reads or totals["5' ends of two strands"] != reads:
        raise SystemExit(f"reads were lost: {totals}")
    if warning:
        say(warning)
    suffix = "_reduced" if arguments.quick else ""
    slowest = max(best[name] for name in CASES if name != "cut sites per million")  # which reads the file twice
    bench(f"bam_import_time_over_bare_loop_ratio{suffix}", slowest / best["pysam alone"], RATIO_GOAL)
    bench(f"bam_import_million_reads_per_second{suffix}", reads / slowest / 1e6, GOAL)


if __name__ == "__main__":
    main()
