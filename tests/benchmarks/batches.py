"""Whole training batches, from files to the device, against the way peers' loaders read: each track's bigWig by itself.

131,072 bp at random places (on the 128-bp grid, where both sides bin alike), on random strands: sequence; 32 tracks of
dense signal at 1 bp, 16 at 128 bp; usage of splice sites; their classes; contact maps; junctions. Ours is a `Loader`
on a track store. The peer reads with pyBigWig and pyfaidx, in one process or in two workers, whichever is faster.
Batches end on the device as sequence and targets, and hold the same values. Then the loader runs on, and its memory is
watched.
"""

import argparse
import importlib.util
import pathlib
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import jax
import numpy as np
import pandas as pd
from ag_core.genome import Interval
from ag_core.schema import strand_partners
from ag_core.sequence import one_hot
from ag_data.augment import Augment
from ag_data.genome_store import open_genome
from ag_data.ingest import import_tracks
from ag_data.loader import Loader
from ag_data.manifest import make_manifest
from ag_data.regions import regions_table, tile
from ag_data.sampling import Uniform
from ag_data.store import TrackStore, open_store
from ag_data.streams import Stream, Wanted
from parts.bigwigs import dense_signal, write_bigwig, write_fasta
from parts.environments import run_again
from parts.measure import bench, busy, machine, resident, say
from parts.peer import Peer, read_row, start_worker

WIDTH, BATCH, SITES, WORKERS, ROUNDS = 131_072, 4, 512, 2, 3
THREADS = {f"loader, {count} threads": count for count in (1, 2, 4)}
GOAL, MOST_GROWTH = 5.0, 0.05
# Tracks of 1 bp and of 128 bp, and of junctions.
FINE, COARSE, TISSUES = 32, 16, 4
# Names of targets in a batch, and what the peer calls them.
TARGETS = {
    ("cage", "signal"): "cage",
    ("chip_histone", "signal"): "chip",
    ("splice_site_usage", "usage"): "usage",
    ("splice_sites", "classes"): "classes",
    ("contact_maps", "contacts"): "contacts",
    ("splice_junctions", "splice_site_positions"): "positions",
    ("splice_junctions", "counts"): "counts",
}


def make_files(folder: pathlib.Path, length: int, fine: int, coarse: int) -> TrackStore:
    """Files of all assays for one chromosome, and a store of them."""
    random = np.random.default_rng(0)
    write_fasta(folder / "genome.fa", {"chr1": random.integers(0, 4, length, np.uint8)})
    tracks = []
    for track in range(fine):
        write_bigwig(folder / f"cage_{track:02}.bw", {"chr1": dense_signal(random, length)})
        entry = {"path": f"cage_{track:02}.bw", "name": f"cage {track // 2}", "strand": "+-"[track % 2]}
        tracks.append({**entry, "modality": "cage"})
    for track in range(coarse):
        values = np.repeat(dense_signal(random, -(-length // 10)), 10)[:length]
        write_bigwig(folder / f"chip_{track:02}.bw", {"chr1": values})
        tracks.append({"path": f"chip_{track:02}.bw", "name": f"chip {track}", "modality": "chip_histone"})
    count = length // 2000
    starts = np.sort(random.choice(length - 20_000, count, replace=False)) + 1
    ends, strands = starts + random.integers(100, 10_000, count), random.integers(1, 3, count)
    for tissue in range(TISSUES):
        reads = random.poisson(random.gamma(1, 20, count)) + 1
        lines = [
            f"chr1\t{start}\t{end}\t{strand}\t1\t1\t{read}\t0\t30\n"
            for start, end, strand, read in zip(starts, ends, strands, reads, strict=True)
        ]
        path = folder / f"tissue{tissue}.SJ.out.tab"
        path.write_text("".join(lines))
        common = {"path": path.name, "source": "junctions", "name": f"tissue {tissue}"}
        tracks.append({**common, "modality": "splice_junctions"})
        options = {"layout": "usage", "min_coverage": 0}
        tracks.append({**common, "modality": "splice_site_usage", "options": options})
    # STAR's introns are 1-based with both ends: the bases beside them are start - 2 and end, counted from 0.
    plus = strands == 1
    kinds = [(starts - 2, plus, "+", "donor"), (ends, plus, "+", "acceptor")]
    kinds += [(ends, ~plus, "-", "donor"), (starts - 2, ~plus, "-", "acceptor")]
    tables = [
        pd.DataFrame({"Chromosome": "chr1", "Position": place[own], "Strand": strand, "Kind": kind})
        for place, own, strand, kind in kinds
    ]
    pd.concat(tables).to_csv(folder / "sites.tsv", sep="\t", index=False)
    tracks.append({"path": "sites.tsv", "source": "splice_sites", "modality": "splice_sites"})
    bins = length // 2048
    rows, columns = np.triu_indices(bins)
    for sample in range(2):
        counts = random.poisson(300 / (1 + columns - rows))
        arrays = {"bin1": rows, "bin2": columns, "count": counts, "binsize": 2048, "chrom": "chr1"}
        np.savez(folder / f"map{sample}.npz", **arrays)
        tracks.append({"path": f"map{sample}.npz", "source": "pixels", "modality": "contact_maps"})
    manifest = make_manifest({"genome": "genome.fa", "organism": "human", "tracks": tracks}, folder=folder)
    import_tracks(manifest, folder / "store.zarr")
    store = open_store(folder / "store.zarr")
    write_peer_files(folder, store)
    return store


def write_peer_files(folder: pathlib.Path, store: TrackStore) -> None:
    """Usage as bigWig files, and what the peer keeps in memory."""
    usage = store.dataset("splice_site_usage", "chr1")["signal"].values
    for track in range(usage.shape[1]):
        write_bigwig(folder / f"usage_{track:02}.bw", {"chr1": usage[:, track].astype(np.float32)})
    table = store.read("splice_junctions", Interval("chr1", 0, store.chromosomes["chr1"]))
    classes = store.dataset("splice_sites", "chr1")["signal"].values
    np.savez(
        folder / "peer.npz",
        cage_partners=strand_partners(store.tracks("cage")),
        usage_partners=strand_partners(store.tracks("splice_site_usage")),
        band=store.dataset("contact_maps", "chr1")["signal"].values,
        left=table["start"].values - 1,
        right=table["end"].values,
        minus=(table["strand"].values == "-").astype(int),
        reads=table["count"].values,
        **{f"site_{kind}": np.flatnonzero(classes[:, kind]) for kind in range(4)},
    )


def check_equal(batch, rows) -> None:
    """Raises SystemExit where the two sides hold different values."""
    np.testing.assert_array_equal(np.asarray(one_hot(batch["codes"])), np.stack([row["dna"] for row in rows]))
    for (modality, name), key in TARGETS.items():
        own = np.asarray(batch["targets"][modality][name])
        other = np.stack([row[key] for row in rows]).astype(own.dtype)
        if not np.allclose(own, other, rtol=1e-6, equal_nan=True):
            raise SystemExit(f"the two sides disagree about {modality}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="0.5 Mb instead of 2 Mb, fewer batches, memory over 100")
    arguments = parser.parse_args()
    if importlib.util.find_spec("pyBigWig") is None:
        run_again("bench-peers")
    warning = busy()
    length, batches, long = (1 << 19, 3, 100) if arguments.quick else (1 << 21, 6, 1000)
    say(machine("ag-data", "zarr", "numpy", "jax", "pyBigWig", "pyfaidx"))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        begin = time.perf_counter()
        store = make_files(folder, length, FINE, COARSE)
        say(f"files and import: {time.perf_counter() - begin:.0f} s")
        genome = open_genome(folder / "genome.fa")
        region = regions_table([("chr1", 20_480, length - 20_480, "")])
        sampler = Uniform(tile(region, WIDTH, step=128))
        wanted = {modality: Wanted() for modality in store.modalities}
        wanted["splice_junctions"] = Wanted(sites=SITES)
        encode = jax.jit(one_hot)

        def make_loader(threads: int, prefetch: int) -> Loader:
            return Loader(
                [Stream(genome, store, sampler)],
                batch=BATCH,
                length=WIDTH,
                modalities=wanted,
                augment=Augment(shift=0),
                threads=threads,
                prefetch=prefetch,
                device=True,
            )

        def time_ours(threads: int) -> float:
            """Seconds a batch, the mean of those after the first two."""
            with make_loader(threads, 2) as loader:
                for _ in range(2):
                    next(loader)
                begin = time.perf_counter()
                for _ in range(batches):
                    batch = next(loader)
                    jax.block_until_ready((encode(batch["codes"]), batch["targets"]))
                return (time.perf_counter() - begin) / batches

        with make_loader(2, 1) as loader:
            first = next(loader)
            places = [loader.windows(index) for index in range(batches)]
        peer = Peer(folder, SITES)
        check_equal(first, [peer.row(window) for window in places[0]])
        sizes = {f"{modality}/{name}": x.shape for modality, own in first["targets"].items() for name, x in own.items()}
        say(f"{BATCH} x {WIDTH:,} bp; {sizes}; equal values on both sides")
        megabytes = sum(x.nbytes for x in jax.tree.leaves(first)) / 1e6
        del first

        def put(rows) -> None:
            jax.block_until_ready(jax.device_put({key: np.stack([row[key] for row in rows]) for key in rows[0]}))

        def time_peer(pool: ProcessPoolExecutor | None) -> float:
            begin = time.perf_counter()
            if pool is None:
                for windows in places:
                    put([peer.row(window) for window in windows])
            else:  # all rows are asked for at once, as if prefetched without bound
                for rows in [pool.map(read_row, windows) for windows in places]:
                    put(list(rows))
            return (time.perf_counter() - begin) / batches

        best = dict.fromkeys(("peer, one process", f"peer, {WORKERS} workers", *THREADS), float("inf"))
        with ProcessPoolExecutor(WORKERS, get_context("spawn"), start_worker, (folder, SITES)) as pool:
            list(pool.map(read_row, places[0]))
            for _ in range(ROUNDS):  # the sides take turns, and the shortest time counts
                times = [time_peer(None), time_peer(pool), *map(time_ours, THREADS.values())]
                best = {key: min(old, new) for (key, old), new in zip(best.items(), times, strict=True)}
        for key, each in best.items():
            say(f"{key:18} {1e3 * each:7.1f} ms a batch ({megabytes / each:5,.0f} MB/s)")
        others = min(each for key, each in best.items() if key not in THREADS)
        ours = min(each for key, each in best.items() if key in THREADS)
        grown = watch_memory(make_loader(2, 2), long)
    if warning:
        say(warning)
    suffix = "_reduced" if arguments.quick else ""
    bench(f"batches_times_faster_than_peers{suffix}", others / ours, GOAL)
    bench(f"batches_memory_growth_over_{long}_share{suffix}", grown, MOST_GROWTH)


def watch_memory(loader: Loader, batches: int) -> float:
    """Growth of resident memory as a share, between the medians of the second and of the last tenth of the batches."""
    marks = []
    with loader:
        for _ in range(batches):
            jax.block_until_ready(next(loader)["targets"])
            marks.append(resident("VmRSS"))
    tenth = batches // 10
    before, after = statistics.median(marks[tenth : 2 * tenth]), statistics.median(marks[-tenth:])
    say(f"resident: {before / 1e6:,.0f} MB after a tenth of {batches:,} batches, {after / 1e6:,.0f} MB at the end")
    return (after - before) / before


if __name__ == "__main__":
    main()
