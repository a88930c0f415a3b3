"""A genome with genes and a small model, shared by all evaluations that need both."""

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest
from ag_core.checkpoint import Checkpoint, HeadSpec, ModelSpec, load, outline, save
from ag_core.config import PRESETS
from ag_core.schema import track_table

# Genes of the world: id, strand, start and end (0-based, half-open) of two exons each.
GENES = [
    ("ENSG01", "+", [(4000, 4200), (4500, 4700)]),
    ("ENSG02", "-", [(7300, 7500), (7800, 8000)]),
    ("ENSG03", "+", [(11000, 11300), (11500, 11600)]),
    ("ENSG04", "-", [(14300, 14500), (14800, 15000)]),
]


class World(NamedTuple):
    """Files, the model, and the sequence of its one chromosome."""

    fasta: str
    gtf: str
    folder: str
    model: Checkpoint
    genome: str


@pytest.fixture(scope="session")
def small_world(tmp_path_factory, randomise):
    """20 kb of chr1 with four genes; a model of window 2,048 bp with ChIP-seq and RNA-seq."""
    folder, random = tmp_path_factory.mktemp("world"), np.random.default_rng(3)
    genome = "".join(random.choice(list("ACGT"), 20_000))
    fasta, gtf, saved = folder / "genome.fa", folder / "genes.gtf", folder / "model"
    fasta.write_text(f">chr1\n{genome}\n")
    lines = []
    for gene, strand, exons in GENES:
        span, name = (exons[0][0], exons[-1][1]), f'gene_id "{gene}.1"; gene_name "{gene}"; gene_type "protein_coding";'
        transcript = f'{name} transcript_id "{gene}.t"; transcript_type "protein_coding";'
        rows = [("gene", span, name), ("transcript", span, transcript)]
        rows += [("exon", exon, transcript) for exon in exons]
        lines += [f"chr1\tx\t{kind}\t{a + 1}\t{b}\t.\t{strand}\t.\t{text}" for kind, (a, b), text in rows]
    gtf.write_text("\n".join(lines) + "\n")
    peaks = track_table({"name": ["a", "b", "padding"], "strand": [".", ".", "."]})
    reads = track_table({"name": ["K562 polyA", "K562 polyA", "liver"], "strand": ["+", "-", "."]})
    heads = {"chip_tf": HeadSpec("chip_tf", (peaks,)), "rna_seq": HeadSpec("rna_seq", (reads,))}
    backbone = dataclasses.replace(PRESETS["tiny"], organisms=1)
    spec = ModelSpec("toy", backbone, heads, ("human",), 2048, "CC0-1.0")
    save(saved, randomise(outline(spec)), spec)
    return World(str(fasta), str(gtf), str(saved), load(saved), genome)
