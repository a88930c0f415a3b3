"""Dense training targets from peak tables: ChIP-seq summits at 128 bp, TSS clusters at 1 bp."""

import dataclasses
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pysam
import xarray as xr
from ag_core.schema import track_table
from ag_core.sequence import encode
from jaxtyping import Float, UInt8

BIN = 128
# A peak's footprint around its summit; IDR peaks of these experiments are 160 to 480 bp wide.
FOOTPRINT = 200
# TSS clusters wider than this are artefacts of merging.
WIDEST_TSS = 500


@dataclasses.dataclass
class Chromosome:
    """One chromosome: base codes, and target arrays in experimental units."""

    name: str
    codes: UInt8[np.ndarray, " position"]
    chip: Float[np.ndarray, "bin track"]
    tss: pd.DataFrame
    summits: np.ndarray

    def cage(self, start: int, end: int) -> Float[np.ndarray, "position 2"]:
        """5'-end counts per base over [start, end), '+' then '-', spread evenly over each cluster."""
        signal = np.zeros((end - start, 2), np.float32)
        near: Iterable[Any] = self.tss[(self.tss["end"] > start) & (self.tss["start"] < end)].itertuples()
        for row in near:
            density = row.count_ / (row.end - row.start)
            signal[max(row.start - start, 0) : min(row.end, end) - start, int(row.strand == "-")] += density
        return signal


def read_peaks(path: pathlib.Path) -> pd.DataFrame:
    """ChIP-seq peaks with columns chrom, start, end (0-based half-open), tf, cell, summit (offset from start)."""
    return pd.read_csv(path, sep="\t")


def read_tss(path: pathlib.Path) -> pd.DataFrame:
    """TSS clusters of a narrowPeak file (0-based half-open) with their read counts."""
    columns = ["chrom", "start", "end", "name", "score", "strand", "count_", "p", "q", "summit"]
    table = pd.read_csv(path, sep="\t", names=columns)
    table["end"] = np.maximum(table["end"], table["start"] + 1)
    return table.loc[table["end"] - table["start"] <= WIDEST_TSS]


def chip_tracks(peaks: pd.DataFrame) -> xr.Dataset:
    """One track for each experiment, sorted by cell and factor."""
    pairs = sorted(set(zip(peaks["cell"], peaks["tf"], strict=True)))
    return track_table(
        {
            "name": [f"{cell} TF ChIP-seq {tf}" for cell, tf in pairs],
            "strand": ["."] * len(pairs),
            "biosample_name": [cell for cell, _ in pairs],
            "transcription_factor": [tf for _, tf in pairs],
            "assay": ["TF ChIP-seq peaks"] * len(pairs),
            "data_source": ["ENCODE"] * len(pairs),
        }
    )


def cage_tracks() -> xr.Dataset:
    """The two strands of one RAMPAGE experiment."""
    return track_table(
        {
            "name": ["RAMPAGE ENCBS047RNA", "RAMPAGE ENCBS047RNA"],
            "strand": ["+", "-"],
            "biosample_name": ["ENCBS047RNA", "ENCBS047RNA"],
            "assay": ["RAMPAGE", "RAMPAGE"],
            "data_source": ["ENCODE", "ENCODE"],
        }
    )


def dense_chip(peaks: pd.DataFrame, tracks: xr.Dataset, length: int) -> np.ndarray:
    """Share of each 128-bp bin within 100 bp of a summit, for each track."""
    column = {
        key: i
        for i, key in enumerate(
            zip(tracks["biosample_name"].values, tracks["transcription_factor"].values, strict=True)
        )
    }
    covered = np.zeros((-(-length // BIN), len(column)), np.float32)
    rows: Iterable[Any] = peaks.itertuples()
    for row in rows:
        first = row.start + row.summit - FOOTPRINT // 2
        for b in range(max(first, 0) // BIN, (min(first + FOOTPRINT, length) - 1) // BIN + 1):
            overlap = min(first + FOOTPRINT, (b + 1) * BIN) - max(first, b * BIN)
            covered[b, column[row.cell, row.tf]] += overlap / BIN
    return np.minimum(covered, 1).astype(np.float16)


def load_chromosomes(data: pathlib.Path) -> tuple[list[Chromosome], xr.Dataset, xr.Dataset]:
    """All chromosomes with FASTA files below `data/hg19_seq`, and the ChIP and TSS track tables."""
    tracks_folder = data / "hg19_tracks" / "chrX_20_22"
    peaks = read_peaks(tracks_folder / "factornet_ENCODE_TF_conservative_narrowPeak.tsv.gz")
    tss = read_tss(tracks_folder / "RAMPAGE_ENCBS047RNA_rep1.narrowPeak.gz")
    chip = chip_tracks(peaks)
    chromosomes = []
    for path in sorted((data / "hg19_seq").glob("*.fa.gz")):
        # Whole chromosomes: pysam decompresses them fifty times faster than pyfaidx.
        with pysam.FastaFile(str(path)) as fasta:
            for name in fasta.references:
                own = peaks.loc[peaks["chrom"] == name]
                codes = encode(fasta.fetch(name))
                chromosomes.append(
                    Chromosome(
                        name,
                        codes,
                        dense_chip(own, chip, len(codes)),
                        tss.loc[tss["chrom"] == name],
                        (own["start"] + own["summit"]).to_numpy(),
                    )
                )
    return chromosomes, chip, cage_tracks()
