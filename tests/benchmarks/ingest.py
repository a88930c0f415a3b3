"""Peak memory and speed of an import: a chromosome of 40 Mb and one five times as long, the same signal per base."""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
import pybigtools
import pysam
from parts.measure import bench

TRACKS = 4


def write_files(folder: pathlib.Path, length: int) -> None:
    """A genome of N and bigWigs with an entry every hundred bases or so."""
    with pysam.BGZFile(str(folder / "genome.fa.gz"), "wb") as fasta:
        fasta.write(b">chr1\n")
        for first in range(0, length, 100_000):
            fasta.write(b"N" * min(100_000, length - first) + b"\n")
    random = np.random.default_rng(0)
    tracks = []
    for track in range(TRACKS):
        starts = np.unique(random.integers(0, length - 10, length // 100))

        def entries(starts=starts):
            for start, value in zip(starts.tolist(), random.integers(1, 50, len(starts)).tolist(), strict=True):
                yield "chr1", start, start + 1, float(value)

        pybigtools.open(str(folder / f"{track}.bw"), "w").write({"chr1": length}, entries())
        tracks.append({"path": f"{track}.bw", "modality": "atac", "name": f"track {track}"})
    manifest = {"genome": "genome.fa.gz", "organism": "human", "tracks": tracks}
    (folder / "manifest.yaml").write_text(json.dumps(manifest))


def measure(folder: pathlib.Path) -> None:
    """In a process of its own: prints seconds and peak resident bytes."""
    from ag_data import import_tracks, open_genome, read_manifest

    manifest = read_manifest(folder / "manifest.yaml")
    open_genome(folder / "genome.fa.gz")
    begun = time.perf_counter()
    import_tracks(manifest, folder / "store.zarr")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": time.perf_counter() - begun, "peak": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a quarter of the lengths")
    parser.add_argument("--measure", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure)
        return
    lengths = [40_000_000, 200_000_000]
    if arguments.quick:
        lengths = [length // 4 for length in lengths]
    found = []
    for length in lengths:
        with tempfile.TemporaryDirectory() as folder:
            write_files(pathlib.Path(folder), length)
            command = [sys.executable, __file__, "--measure", folder]
            found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        speed = TRACKS * length / found[-1]["seconds"] / 1e6
        print(
            f"{length:,} bp x {TRACKS} tracks: {found[-1]['seconds']:.1f} s ({speed:.1f} M values/s), "
            f"peak {found[-1]['peak'] / 1e6:,.0f} MB"
        )
    bench("import_peak_memory_at_five_times_the_length_ratio", found[1]["peak"] / found[0]["peak"], 1.1)


if __name__ == "__main__":
    main()
