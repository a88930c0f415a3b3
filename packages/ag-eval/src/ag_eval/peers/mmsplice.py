"""MMSplice (Cheng et al. 2019) from its package, in an environment of its own."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from ag_core.genome import Interval, Variant
from ag_core.interfaces import AbstractPeer
from ag_core.sequence import allele_sequences, reverse_complement
from ag_data import Annotation, Fasta, read_gtf
from jaxtyping import Float

from ag_eval.peers.external import SCRIPTS, Program, Worker
from ag_eval.peers.planning import Plan, score_by_plan
from ag_eval.peers.score_cache import ScoreCache
from ag_eval.peers.site_changes import coding_genes

PROGRAM = Program("mmsplice", "2.4.0", SCRIPTS / "run_mmsplice.py")
# Bases of intron on each side of an exon that the model sees.
OVERHANG = 100


class Exon(NamedTuple):
    """An exon [start, end) of a chromosome, and bases of intron that count at its genomic left and right."""

    start: int
    end: int
    left: int
    right: int


class MmSplice(AbstractPeer):
    """Change of logit PSI of an exon, the one of largest size among exons at most 100 bp away; NaN without any.

    Data: `fasta`, and `gtf` with exons and genes. Ends of transcripts have no intron. An allele that leaves nothing
    of an exon has no score for it.
    """

    needs = ("fasta", "gtf")
    signed = True
    citation = "MMSplice, Cheng et al. 2019, Genome Biol. 20:48"
    licence = "MIT"

    def score(self, variants: Sequence[Variant], data: Mapping[str, Any]) -> Float[np.ndarray, " variant"]:
        """Inclusion is positive, skipping negative. Raises InputError when the package cannot run."""
        fasta, genes = Fasta(data["fasta"]), read_gtf(data["gtf"])
        exons: dict[str, list[Exon]] = {}

        def plan(variant: Variant) -> Plan:
            questions = []
            for gene in coding_genes(genes, variant):
                if gene["gene_id"] not in exons:
                    exons[gene["gene_id"]] = exons_of(genes, gene["gene_id"])
                for exon in exons[gene["gene_id"]]:
                    if exon.start - exon.left < variant.end and variant.start < exon.end + exon.right:
                        questions += _question(variant, exon, gene["gene_strand"], fasta)
            return Plan(list(dict.fromkeys(questions)), lambda answers: float(max(answers, key=abs)))

        with Worker(PROGRAM) as worker:
            return score_by_plan(
                PROGRAM.name, variants, plan, worker.ask, ScoreCache(PROGRAM.name, PROGRAM.version), ("exons",)
            )


def exons_of(genes: Annotation, gene_id: str) -> list[Exon]:
    """Different exons of a gene; a side has an intron where it has one in any transcript."""
    table: Any = pd.DataFrame(genes.exons_of(gene_id)).sort_values(["transcript_id", "start"])
    table["left"] = table.duplicated("transcript_id", keep="first") * OVERHANG
    table["right"] = table.duplicated("transcript_id", keep="last") * OVERHANG
    together = table.groupby(["start", "end"], as_index=False)[["left", "right"]].max()
    return [Exon(*map(int, row)) for row in together.itertuples(index=False)]


def _question(variant: Variant, exon: Exon, strand: str, fasta: Fasta) -> list[tuple[str, str, int, int]]:
    """Both alleles of an exon with its surroundings, in the direction of transcription; none if no exon is left."""
    margin = OVERHANG + abs(variant.size_change)
    window = Interval(variant.chromosome, exon.start - margin, exon.end + margin)
    ref, alt = allele_sequences(window, variant, fasta.fetch)
    start, end = (moved(place, variant) for place in (exon.start, exon.end))
    if end <= start:
        return []
    ref = ref[exon.start - exon.left - window.start : exon.end + exon.right - window.start]
    alt = alt[start - exon.left - window.start : end + exon.right - window.start]
    if strand == "-":
        return [(reverse_complement(ref), reverse_complement(alt), exon.right, exon.left)]
    return [(ref, alt, exon.left, exon.right)]


def moved(place: int, variant: Variant) -> int:
    """Where a boundary of the reference lies in the alternate allele, both counted from the left."""
    if place <= variant.start:
        return place
    if place >= variant.end:
        return place + variant.size_change
    return variant.start + min(place - variant.start, len(variant.alternate_bases))
