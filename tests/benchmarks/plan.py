"""What `agenome score --plan` foretells against the run itself: time, peak memory, bytes; many SNVs close together.

Plan and run are processes of their own, one after the other, with the embedded model. Without a genome, one of random
bases is made; its scores compress otherwise than those of a real one, and plan and run share that.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from ag_core.genome import Interval
from ag_data.fasta import Fasta
from parts.bigwigs import write_fasta
from parts.measure import GB, bench, busy, machine, say

LENGTH = 1 << 20
GOALS = {"time": "0.7-1.3", "bytes": "0.95-1.05", "memory": "none"}


def write_variants(path: pathlib.Path, fasta: Fasta, region: Interval, count: int) -> None:
    """SNVs at different random places of a region."""
    random = np.random.default_rng(20)
    bases = fasta.fetch(region).upper()
    known = np.flatnonzero([base in "ACGT" for base in bases])
    places = np.sort(random.choice(known, min(count, len(known)), replace=False))
    with path.open("w") as file:
        file.write("##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for place in places:
            ref = bases[place]
            alt = random.choice([base for base in "ACGT" if base != ref])
            file.write(f"{region.chromosome}\t{region.start + place + 1}\t.\t{ref}\t{alt}\t.\t.\t.\n")


def call(command: list[str]) -> tuple[str, float, float]:
    """Standard output, seconds, and peak memory in bytes of a process that finds no compiled programs."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as file, tempfile.TemporaryDirectory() as cache:
        process = subprocess.Popen(command, stdout=file, env=os.environ | {"AG_CACHE_DIR": cache})
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        if status:
            raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
        file.seek(0)
        return file.read(), seconds, usage.ru_maxrss * 1024


def size_of(path: pathlib.Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fortieth of the variants in a fortieth of the region")
    parser.add_argument("--fasta", type=pathlib.Path, help="a genome")
    parser.add_argument("--region", help="chr20:43000000-44000000, say (0-based half-open); default: the first 1 Mb")
    parser.add_argument("--gtf", type=pathlib.Path, help="genes, for scorers by gene")
    parser.add_argument("--variants", type=int, default=100_000)
    options = parser.parse_args()
    print(busy(), machine("jax", "ag-scorers", "zarr", "pyarrow"), sep="\n")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        genome = options.fasta or folder / "genome.fa"
        if options.fasta is None:
            write_fasta(genome, {"chr1": np.random.default_rng(0).integers(0, 4, LENGTH, np.uint8)})
        fasta = Fasta(genome)
        chromosome = next(iter(fasta.lengths))
        region = Interval.from_str(options.region) if options.region else Interval(chromosome, 0, 1_000_000)
        share = 40 if options.quick else 1
        region = Interval(region.chromosome, region.start, region.start + region.width // share)
        write_variants(folder / "in.vcf", fasta, region, options.variants // share)
        outputs = [folder / "scores.parquet.d", folder / "scores.zarr"]
        agenome = str(pathlib.Path(sys.executable).with_name("agenome"))
        command = [agenome, "score", str(folder / "in.vcf"), "--fasta", str(genome), "--json"]
        command += ["--window-grid", "2048", "--batch-size", "16"]
        command += [text for path in outputs for text in ("-o", str(path))]
        command += ["--gtf", str(options.gtf)] if options.gtf else []
        text, planning, _ = call([*command, "--plan"])
        plan = json.loads(text)
        _, seconds, memory = call(command)
        say(f"{plan['alleles']:,} SNVs in {region}; the plan took {planning:.0f} s")
        rows = [("time", plan["seconds"]["all"], seconds, 1.0, "s")]
        rows += [("memory", plan["peak_memory_bytes"], memory, GB, "GB")]
        rows += [("bytes", plan["output_bytes"][str(path)], size_of(path), 1e6, path.suffixes[0]) for path in outputs]
        for what, foretold, found, unit, of in rows:
            say(f"{what:7} plan {foretold / unit:8.4g}  run {found / unit:8.4g}  {of}")
        for what, foretold, found, _, of in rows:
            bench(f"plan_to_run_{what}{of.replace('.', '_') if what == 'bytes' else ''}", foretold / found, GOALS[what])


if __name__ == "__main__":
    main()
