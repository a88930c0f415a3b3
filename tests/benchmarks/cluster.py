"""Scoring by 1 and 2 Dask workers against one process alone, each on one core with one XLA thread; what keeping costs.

SNVs around HNF4A, the embedded model, the DNase scorer (or others, `--scorer`). Scheduler, workers and `agenome score`
are processes of their own, as on a cluster, and share the machine's cores. The rate of a steady run is the slope of
variants over the times at which shards arrive, without the beginning, when programs are opened, and the end, where a
worker has nothing to do; workers have done the same input once before. It is told twice: by the clock, and by the
processor time of the processes that score, which other jobs of the machine disturb less. `--keep DIR` leaves the
manifests, from whose times `python -m ag_scorers.cluster.simulation --shards DIR/alone` works out a run on many.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

import numpy as np
from ag_core.genome import Interval
from ag_data.fasta import Fasta
from parts.measure import bench, busy, machine, say
from plan import size_of, write_variants

DATA = pathlib.Path(__file__).parents[2] / "examples" / "data"
REGION = Interval("chr20", 44_345_000, 44_445_000)
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
GOAL = 0.9  # of efficiency


def start(command: Sequence[str], cores: Sequence[int], cache: pathlib.Path, log: pathlib.Path) -> subprocess.Popen:
    """A process on some cores, with one thread for what XLA computes, and a cache of compiled programs of its own."""
    flags = {"XLA_FLAGS": ONE_THREAD, "OMP_NUM_THREADS": "1", "AG_CACHE_DIR": str(cache)}
    with log.open("a") as file:
        return subprocess.Popen(
            list(command), stdout=file, stderr=file, env=os.environ | flags, cwd=log.parent,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )  # fmt: skip


@contextlib.contextmanager
def cluster(workers: int, cores: Sequence[int], folder: pathlib.Path) -> Iterator[tuple[str, list[int]]]:
    """The address of a scheduler, and the processes of its workers on a core each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    dask, address = [sys.executable, "-m", "dask"], f"tcp://127.0.0.1:{port}"
    scheduler = [*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    worker = [*dask, "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    begun = [start(scheduler, cores, folder / "cache", folder / "scheduler.log")]
    try:
        for number in range(workers):
            begun.append(start(worker, [cores[number]], folder / "cache", folder / f"worker-{number}.log"))
        yield address, [process.pid for process in begun[1:]]
    finally:
        for process in begun:
            process.kill()
            process.wait()


def processor_time(processes: Sequence[int]) -> float:
    """Seconds that processes have computed so far, all threads."""
    ticks = 0
    for process in processes:
        with contextlib.suppress(OSError):  # it is over
            fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def run(
    command: Sequence[str],
    cores: Sequence[int],
    folder: pathlib.Path,
    shards: pathlib.Path,
    scoring: Sequence[int] = (),
) -> tuple[float, list[float]]:
    """Seconds until a command is done; for each shard, the processor time of what scores when it was seen.

    `scoring` are the processes that do; by default the command itself.
    """
    begun, log = time.monotonic(), folder / "agenome.log"
    process = start(command, cores, folder / "cache", log)
    spent: list[float] = []
    while process.poll() is None:
        time.sleep(0.05)
        there = len(list(shards.glob("*.json")))
        spent += [processor_time(scoring or [process.pid])] * (there - len(spent))
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: {log.read_text()[-2000:]}")
    return time.monotonic() - begun, spent


def manifests(shards: pathlib.Path) -> list[tuple[float, int, float]]:
    """When each shard arrived, with how many variants, and the seconds its worker took; in the order of arrival."""
    found = []
    for path in shards.glob("*.json"):
        told = json.loads(path.read_text())
        found.append((path.stat().st_mtime, told["calls"], told["seconds"]))
    return sorted(found)


def rate(clock: Sequence[float], counts: Sequence[int], workers: int) -> float:
    """Variants a second of a steady run: the first quarter of the shards and the end with idle workers do not count."""
    steady = slice(len(counts) // 4, len(clock) - workers + 1)
    return float(np.polyfit(np.asarray(clock)[steady], np.cumsum(counts)[steady], 1)[0])


def keeping(shards: pathlib.Path, genome: pathlib.Path, gtf: pathlib.Path, scorers: Sequence[str]) -> float:
    """Processor time for a shard to be kept once more, as by the process that collects them: written, read, sealed."""
    from ag_scorers.scoring import open_engine
    from ag_scorers.shards import RunFolder

    engine = open_engine(Fasta(genome), gtf=gtf, scorers=scorers)
    data = [path.read_bytes() for path in sorted(shards.glob("*.arrow"))]
    with tempfile.TemporaryDirectory() as name:
        folder = RunFolder(pathlib.Path(name) / "run", {}, engine.templates())
        begun = time.process_time()
        for number, one in enumerate(data):
            folder.keep(number, one, 0.0)
        seconds = (time.process_time() - begun) / len(data)
        folder.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="an eighth of the variants")
    parser.add_argument("--variants", type=int, default=2048)
    parser.add_argument("--shard-size", type=int, default=64)
    parser.add_argument("--scorer", nargs="+", default=["DNASE"], help="as of agenome score")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--keep", type=pathlib.Path, help="folder for the manifests of each run")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if max(options.workers) > len(cores):
        raise SystemExit(f"{max(options.workers)} workers want as many cores; there are {len(cores)}")
    print(busy(), machine("jax", "ag-scorers", "distributed"), sep="\n")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        vcf, genome, gtf = folder / "in.vcf", DATA / "HNF4A.hg38.fa.gz", DATA / "HNF4A.hg38.gtf.gz"
        count, size = options.variants // (8 if options.quick else 1), options.shard_size // (4 if options.quick else 1)
        write_variants(vcf, Fasta(genome), REGION, count)
        files = ["--fasta", str(genome), "--gtf", str(gtf), "--shard-size", str(size)]
        files += ["--window-grid", "2048", "--batch-size", "16"]
        files += [text for one in options.scorer for text in ("--scorer", one)]
        command = [sys.executable, "-m", "ag_core.cli", "score", str(vcf), *files, "--keep-shards", "-q"]
        # Fills the cache of compiled programs, which all that follow share.
        run([*command, "-o", str(folder / "warm.parquet")], cores[:1], folder, folder)

        def score(label: str, scoring: Sequence[int] = (), *more: str) -> dict[str, float]:
            out, workers = folder / f"{label}.parquet", len(scoring) or 1
            shards = out.with_name(f"{out.name}.run") / "shards"
            there = cores if scoring else cores[:1]
            whole, spent = run([*command, "-o", str(out), *more], there, folder, shards, scoring)
            arrived = manifests(shards)
            when, counts, seconds = zip(*arrived, strict=True)
            if options.keep:
                shutil.copytree(shards, options.keep / label, ignore=shutil.ignore_patterns("*.arrow"))
            return {
                "workers": workers, "clock": rate(when, counts, workers),
                "computing": rate(spent, counts[: len(spent)], workers),
                "shards": when[-1] - when[0] + seconds[0], "whole": whole, "writing": out.stat().st_mtime - when[-1],
            }  # fmt: skip

        rows = {"alone": score("alone")}
        for workers in options.workers:
            with cluster(workers, cores, folder) as (address, scoring):
                out = folder / f"opens-{workers}.parquet"  # workers open the model, and keep it
                run([*command, "-o", str(out), "--cluster", address], cores, folder, folder)
                rows[f"workers-{workers}"] = score(f"workers-{workers}", scoring, "--cluster", address)
        same = {(folder / f"{label}.parquet").read_bytes() for label in rows}
        alone = folder / "alone.parquet"
        kept = folder / "alone.parquet.run" / "shards"
        held = sum(path.stat().st_size for path in kept.glob("*.arrow"))
        seconds = keeping(kept, genome, gtf, options.scorer)
        say(f"{count:,} SNVs in {REGION}, {-(-count // size)} shards of {size}, scorers {', '.join(options.scorer)}")
        say(f"outputs of all runs equal: {len(same) == 1}")
        say("            variants/s  efficiency  variants/CPU s  efficiency  shards s  whole s  writing s")
        for label, row in rows.items():
            row["by clock"] = row["clock"] / row["workers"] / rows["alone"]["clock"]
            row["by processor"] = row["computing"] / rows["alone"]["computing"]
            say(
                f"{label:11} {row['clock']:11.1f}  {row['by clock']:10.3f}  {row['computing']:14.1f}  "
                f"{row['by processor']:10.3f}  {row['shards']:8.1f}  {row['whole']:7.1f}  {row['writing']:9.1f}"
            )
        each = np.array([told[2] for told in manifests(kept)][1:])
        low, middle, high = np.quantile(each, [0.05, 0.5, 0.95])
        say(f"seconds of a shard alone: median {middle:.2f}, 5-95 % {low:.2f}-{high:.2f}")
        say(f"keeping one: {seconds:.4f} s of a processor, {seconds / size * 1e3:.3f} ms a variant")
        say(f"bytes a variant: shards {held / count:.0f}, parquet {size_of(alone) / count:.0f}")
        if len(same) != 1:
            raise SystemExit("the outputs differ")
        for workers in options.workers:
            row = rows[f"workers-{workers}"]
            bench(f"cluster_processor_efficiency_{workers}", row["by processor"], GOAL)
            bench(f"cluster_efficiency_{workers}", row["by clock"], GOAL)


if __name__ == "__main__":
    main()
