"""Random windows of dense 1-bp signal of many tracks from a track store, against the bigWig files it was made of.

131,072 bp at any start, 32 tracks, float16 in the store; both sides are warm (page cache), read the same values, and
take turns. The rival is pybigtools, the fastest reader of bigWig files that we know, one file after the other.
"""

import argparse
import pathlib
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pybigtools
import zarr
from ag_core.genome import Interval
from ag_data.ingest import import_tracks
from ag_data.manifest import make_manifest
from ag_data.store import TrackStore, open_store
from parts.bigwigs import dense_signal, write_bigwig, write_fasta
from parts.measure import bench, busy, machine, say

WIDTH, GOAL = 131_072, 3.0


def make_store(folder: pathlib.Path, tracks: int, length: int) -> TrackStore:
    """bigWig files of dense signal, and a store of them."""
    random = np.random.default_rng(0)
    write_fasta(folder / "genome.fa", {"chr1": random.integers(0, 4, length, np.uint8)})
    for track in range(tracks):
        write_bigwig(folder / f"{track}.bw", {"chr1": dense_signal(random, length)})
    entries = [{"path": f"{track}.bw", "modality": "cage", "name": str(track)} for track in range(tracks)]
    manifest = make_manifest({"genome": "genome.fa", "organism": "human", "tracks": entries}, folder=folder)
    start = time.perf_counter()
    import_tracks(manifest, folder / "store.zarr")
    say(f"import: {tracks * length / (time.perf_counter() - start) / 1e6:.1f} M values/s")
    return open_store(folder / "store.zarr")


def size(path: pathlib.Path) -> int:
    return (
        sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="0.5 Mb and 10 windows instead of 2 Mb and 40")
    arguments = parser.parse_args()
    warning = busy()
    tracks, (length, windows) = 32, (1 << 19, 10) if arguments.quick else (1 << 21, 40)
    say(machine("ag-data", "zarr", "numpy", "pybigtools"))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        store = make_store(folder, tracks, length)
        files = [pybigtools.open(str(folder / f"{track}.bw")) for track in range(tracks)]
        array = np.empty((tracks, WIDTH))

        def ours(start: int) -> np.ndarray:
            return store.read("cage", Interval("chr1", start, start + WIDTH))

        def rival(start: int) -> np.ndarray:
            for track, file in enumerate(files):
                file.values("chr1", start, start + WIDTH, arr=array[track], fillna=0.0)
            return array

        starts = np.random.default_rng(1).integers(0, length - WIDTH, windows + 1).tolist()
        times: dict[str, list[float]] = {"store": [], "pybigtools": []}
        for start in starts:  # the first is a warm-up
            for key, read in (("store", ours), ("pybigtools", rival)):
                begin = time.perf_counter()
                values = read(start)
                times[key].append(time.perf_counter() - begin)
            if not np.array_equal(ours(start), array.T.astype(np.float16)):
                raise SystemExit(f"the two sides disagree at {start:,}")
        del values
        # Median window of each side, per track.
        per_track = {key: statistics.median(own[1:]) / tracks for key, own in times.items()}
        for key, one in per_track.items():
            rate = WIDTH / one / 1e6
            say(f"{key:12} {1e3 * one:7.3f} ms per track and window, {rate:7.1f} M values/s")
        own, other = size(store.path / "cage") / tracks, size(folder / "0.bw")
        say(f"bytes a value: {own / length:.2f} in the store, {other / length:.2f} in bigWig")
        for threads in (1, 2, 4):
            with ThreadPoolExecutor(threads) as pool:
                begin = time.perf_counter()
                list(pool.map(ours, starts))
                each = (time.perf_counter() - begin) / len(starts) / tracks
            say(f"store, {threads} threads at once: {1e3 * each:.3f} ms per track and window")
        config = {key: zarr.config.get(key) for key in ("async.concurrency", "threading.max_workers")}
        say(f"zarr settings: {config}; values of {windows + 1} windows of {WIDTH:,} bp x {tracks} tracks equal")
    if warning:
        say(warning)
    suffix = "_reduced" if arguments.quick else ""
    bench(f"windows_per_track_times_faster_than_pybigtools{suffix}", per_track["pybigtools"] / per_track["store"], GOAL)


if __name__ == "__main__":
    main()
