"""Mutagenesis of 100 bp with the embedded model, against two full passes for each change; a report of one variant.

The naive way is what a caller of a model does who knows nothing of its inside: REF and ALT of the whole window for
every change. It is timed on some changes, in this process, with programs compiled before, and both ways are compared
number by number. `agenome ism` and `agenome report variant` run as commands of their own, twice: programs are kept
after the first.
"""

import argparse
import itertools
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from ag_core.genome import Interval
from ag_data.fasta import Fasta
from ag_scorers.mutagenesis.saturation import Changes, Mutagenesis
from ag_scorers.scoring import open_engine
from parts.measure import bench, busy, machine, say

DATA = pathlib.Path(__file__).parents[2] / "examples" / "data"
FASTA, GTF = DATA / "HNF4A.hg38.fa.gz", DATA / "HNF4A.hg38.gtf.gz"
SPAN = Interval("chr20", 44_355_600, 44_355_700)  # in the promoter of HNF4A
VARIANT = "chr20:44355637:G>A"


def measure_ways(sample: int, span: Interval) -> None:
    """Seconds for each change, either way, and how far scores are apart."""
    fasta = Fasta(FASTA)
    names = ["DNASE", "CHIP_TF", "CAGE"]
    ours = Mutagenesis(open_engine(fasta, scorers=names, partial=True, batch_size=16), span, Changes())
    naive = open_engine(fasta, scorers=names, partial=False, batch_size=1)
    calls = list(ours.calls())
    for _ in range(2):  # the first time compiles
        begun = time.perf_counter()
        results = list(ours.run(calls))
        taken = (time.perf_counter() - begun) / len(calls)
    chosen = calls[:: max(1, len(calls) // sample)][:sample]
    list(naive.run(chosen[:1], ours.window))
    begun = time.perf_counter()
    expected = [next(iter(naive.run([call], ours.window))) for call in chosen]
    slow = (time.perf_counter() - begun) / len(chosen)
    known = {str(result.call): result for result in results}
    apart = max(
        float(np.max(np.abs(one.values - other.values)))
        for result in expected
        for one, other in zip(known[str(result.call)].scores, result.scores, strict=True)
    )
    largest = max(float(np.max(np.abs(one.values))) for result in expected for one in result.scores)
    say(f"{len(calls)} changes of {span.region}, window {ours.window.width:,} bp, scorers {', '.join(names)}, float32")
    say(f"{1000 * taken:.1f} ms a change; naive (timed on {len(chosen)}) {1000 * slow:.1f} ms a change")
    say(f"largest difference of scores {apart:.2g}, largest score {largest:.2g}")
    bench("mutagenesis_times_faster_than_naive", slow / taken, 15)
    bench("mutagenesis_largest_difference", apart, 1e-4)


def measure_commands(span: Interval) -> None:
    """Wall time of the commands, the second time."""
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "ism_seconds": ["ism", span.region, "--scorer", "DNASE", "-o", f"{folder}/effects.zarr"],
            "report_seconds": ["report", "variant", VARIANT, "--gtf", str(GTF), "-o", f"{folder}/page.html"],
        }
        for (name, command), goal in zip(commands.items(), (30, 60), strict=True):
            for turn in itertools.count():
                begun = time.perf_counter()
                subprocess.run([sys.executable, "-m", "ag_core.cli", *command, "--fasta", str(FASTA), "-q"], check=True)
                taken = time.perf_counter() - begun
                say(f"{' '.join(command[:2])}, {'first' if not turn else 'second'} time: {taken:.1f} s")
                if turn:
                    break
            bench(name, taken, goal)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 bp, and no commands")
    arguments = parser.parse_args()
    warning = busy()
    say(machine("jax", "jaxlib", "numpy", "ag-core"))
    span = Interval(SPAN.chromosome, SPAN.start, SPAN.start + 20) if arguments.quick else SPAN
    if not arguments.quick:
        measure_commands(span)
    measure_ways(6 if arguments.quick else 30, span)
    if warning:
        say(warning)


if __name__ == "__main__":
    main()
