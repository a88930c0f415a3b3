"""Tracks of a world as `Signals`, without files: clean ones of all assays, depths and scales."""

import numpy as np
import pandas as pd
from ag_core.schema import track_table
from ag_data.annotation import Annotation
from ag_data.assays import assay
from ag_data.doctor.signals import Signals
from doctor_world import World, change, cut_sites

ASSAYS = ("atac", "rna_seq", "cage", "chip_histone")


def annotate(world: World) -> Annotation:
    rows = [
        (gene.chromosome, start, end, gene.strand, "exon", f"G{number}", f"T{number}", "protein_coding")
        for number, gene in enumerate(world.genes)
        for start, end in gene.exons
    ]
    columns = ["Chromosome", "Start", "End", "Strand", "Feature", "gene_id", "transcript_id", "gene_type"]
    return Annotation(pd.DataFrame(rows, columns=columns))


def make_signals(modality, tracks, strands, resolution=1, **columns) -> Signals:
    """`tracks` are counts by chromosome; consecutive '+' and '-' are of one sample."""
    names = [f"s{number // 2 if strand in '+-' else number}" for number, strand in enumerate(strands)]
    lengths = {name: len(values) for name, values in tracks[0].items()}
    bins = {
        name: np.stack([np.add.reduceat(track[name], np.arange(0, lengths[name], resolution)) for track in tracks], 1)
        for name in lengths
    }

    def read(interval, chosen):
        low, high = interval.start // resolution, -(-interval.end // resolution)
        return bins[interval.chromosome][low:high, chosen].astype(np.float32)

    table = track_table({"name": names, "strand": list(strands), **columns})
    labels = [f"{name} {strand}" for name, strand in zip(names, strands, strict=True)]
    dtype = assay(modality).dtype
    return Signals(modality, "signal", resolution, dtype, table, labels, lengths, read, [0] * len(labels))


def clean_signals(seed: int) -> tuple[Signals, Annotation | None]:
    """Two replicates of one assay; depth, scale and what was normalised differ from seed to seed."""
    world, random = World(seed), np.random.default_rng([13, seed])
    modality = ASSAYS[seed % len(ASSAYS)]
    depth = 2 ** random.uniform(0, 4)
    strands, resolution = "..", 1
    if modality == "atac":
        shift = [(4, -5), (4, -4)][seed // 4 % 2]
        tracks = [cut_sites(*world.atac(6000 * depth, random), shift=shift) for _ in range(2)]
    elif modality == "chip_histone":
        tracks, resolution = [world.chip(int(2000 * depth), random) for _ in range(2)], 128
    else:
        draw, reads = (world.rna, 2000) if modality == "rna_seq" else (world.cage, 1500)
        tracks, strands = [side for _ in range(2) for side in draw(int(reads * depth), random)], "+-+-"
        resolution = [1, 1, 32][seed // 4 % 3] if modality == "rna_seq" else 1
    scaling = seed // len(ASSAYS) % 3
    if scaling == 1:  # reads per million
        tracks = [change(track, lambda values: values * 0.0371) for track in tracks]
    elif scaling == 2:  # by GC content or the like: no two places are scaled alike
        size = max(map(len, tracks[0].values()))
        factor = np.repeat(random.gamma(50, 0.02, size // 50 + 1), 50)
        tracks = [change(track, lambda values: values * factor[: len(values)]) for track in tracks]
    return make_signals(modality, tracks, strands, resolution), annotate(world) if "+" in strands else None
