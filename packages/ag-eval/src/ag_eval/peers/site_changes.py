"""How much a variant changes the use of splice sites: questions about both alleles, and the largest change.

The strand is that of the genes around a variant (protein-coding ones where there are any), and beyond the gene bases
are unknown, as CI-SpliceAI and SpliceAI have it; without an annotation, or outside genes, it is the strand of the
larger change.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from ag_core.genome import Interval, Variant
from ag_core.sequence import allele_sequences
from ag_data import Annotation, Fasta, read_gtf
from ag_scorers import align_alternate, alignment
from jaxtyping import Float

from ag_eval.peers.planning import Plan

# Windows start and end at multiples of this, so that neighbours have the same reference.
TILE = 256
Sites = Float[np.ndarray, "position 2"]
_align = jax.jit(align_alternate)


class SiteChanges:
    """Plans for variants of a genome. Data: `fasta`; `gtf` for the strand.

    An answer to a question (a sequence in the direction of transcription) is how much each base but `context` at both
    ends is an acceptor and a donor. The score is the change of largest size within `distance` bp, gains positive.
    Indels are aligned: inserted bases count by their largest value, deleted ones are no sites.
    """

    def __init__(self, data: Mapping[str, Any], *, context: int, distance: int):
        self._fasta = Fasta(data["fasta"])
        self._genes = read_gtf(data["gtf"]) if data.get("gtf") else None
        self._context, self._distance = context, distance

    def plan(self, variant: Variant) -> Plan:
        """Two questions for each gene, or for each strand."""
        change, reach = max(variant.size_change, 0), self._distance
        start = (variant.start - reach) // TILE * TILE
        end = -(-(variant.end + reach + change + 1) // TILE) * TILE
        questions, cores = [], []
        for strand, fetch in self._views(variant):
            core = Interval(variant.chromosome, start, end, strand)
            questions += allele_sequences(core.pad(self._context, self._context), variant, fetch)
            cores.append(core)
        return Plan(questions, functools.partial(self._combine, variant, cores))

    def _views(self, variant: Variant) -> Iterator[tuple[str, Any]]:
        """Strands, and what there is to read of the genome."""
        genes = coding_genes(self._genes, variant)
        places = sorted({(g["gene_strand"], int(g["gene_start"]), int(g["gene_end"])) for g in genes})
        if not places:
            yield from (("+", self._fasta.fetch), ("-", self._fasta.fetch))
        for strand, start, end in places:
            yield strand, functools.partial(_fetch_within, self._fasta, start, end)

    def _combine(self, variant: Variant, cores: list[Interval], answers: list[Any]) -> float:
        changes = [
            largest_change(variant, core, np.asarray(ref, np.float32), np.asarray(alt, np.float32), self._distance)
            for core, ref, alt in zip(cores, answers[::2], answers[1::2], strict=True)
        ]
        return max(changes, key=abs)


def largest_change(variant: Variant, core: Interval, ref: Sites, alt: Sites, distance: int) -> float:
    """The difference of largest size, with its sign, among bases at most `distance` from the variant."""
    if variant.size_change:
        alt = np.asarray(_align(alt, alignment(core, variant, len(alt))))
    difference = alt - ref
    if core.negative_strand:
        difference = difference[::-1]
    first = variant.start - distance - core.start
    last = max(variant.end, variant.start + 1) + distance - core.start
    near = difference[max(first, 0) : last].ravel()
    return float(near[np.abs(near).argmax()])


def coding_genes(genes: Annotation | None, variant: Variant) -> list[dict[str, Any]]:
    """Genes with a strand around a variant; only protein-coding ones where there are any."""
    if genes is None:
        return []
    table = genes.genes_at(variant)
    rows = [{key: values[row] for key, values in table.items()} for row in range(len(table["gene_id"]))]
    rows = [row for row in rows if row["gene_strand"] in ("+", "-")]
    return [row for row in rows if row["gene_type"] == "protein_coding"] or rows


def _fetch_within(fasta: Fasta, start: int, end: int, interval: Interval) -> str:
    bases = fasta.fetch(interval)
    left = min(max(start - interval.start, 0), interval.width)
    right = max(min(end - interval.start, interval.width), left)
    return "N" * left + bases[left:right] + "N" * (interval.width - right)
