"""Where a variant lies, in words: in which exon or intron of which gene, or how far from which start."""

import numpy as np
from ag_core.genome import Interval, Variant
from ag_data.annotation import Annotation

# How far genes are looked for, in bp.
REACH = 500_000
_PROMOTER = 1_000


def describe_place(annotation: Annotation, variant: Variant) -> str:
    """Such as "in exon 1 of 10 of HNF4A (+), 104 bp downstream of its start"; of several genes the first three.

    Protein-coding genes are preferred where there are any. Exons are counted along the longest transcript that has one
    there, in the direction of transcription.
    """
    inside = _prefer_coding(annotation.genes_at(variant))
    texts = [_inside(annotation, inside, row, variant) for row in range(len(inside["gene_id"]))]
    if texts:
        return "; ".join(texts[:3]) + (f"; and {len(texts) - 3} more genes" if len(texts) > 3 else "")
    start = max(0, variant.start - REACH)
    near = annotation.genes_in(Interval(variant.chromosome, start, variant.end + REACH))
    near = _prefer_coding(near)
    if not len(near["gene_id"]):
        return f"no gene within {REACH // 1000:,} kb"
    distances = [_distance(near, row, variant) for row in range(len(near["gene_id"]))]
    row = int(np.argmin(np.abs(distances)))
    name, strand = _name(near, row), near["gene_strand"][row]
    return f"between genes, {_steps(distances[row])} the start of {name} ({strand})"


def gene_names(annotation: Annotation, variant: Variant) -> list[str]:
    """Names of the genes that a variant touches."""
    genes = annotation.genes_at(variant)
    return [_name(genes, row) for row in range(len(genes["gene_id"]))]


def _inside(annotation: Annotation, genes: dict[str, np.ndarray], row: int, variant: Variant) -> str:
    exons = annotation.exons_of(str(genes["gene_id"][row]))
    reversed_ = genes["gene_strand"][row] == "-"
    text = "in an intron"
    longest = 0
    for transcript in dict.fromkeys(exons["transcript_id"].tolist()):
        own = exons["transcript_id"] == transcript
        order = np.argsort(exons["start"][own])
        starts, ends = exons["start"][own][order], exons["end"][own][order]
        hit = np.flatnonzero((ends > variant.start) & (starts < max(variant.end, variant.start + 1)))
        length = int((ends - starts).sum())
        if len(hit) and length > longest:
            longest = length
            number = len(starts) - int(hit[0]) if reversed_ else int(hit[0]) + 1
            text = f"in exon {number} of {len(starts)}"
    distance = _steps(_distance(genes, row, variant)).replace(" of", "")
    return f"{text} of {_name(genes, row)} ({genes['gene_strand'][row]}), {distance} of its start"


def _distance(genes: dict[str, np.ndarray], row: int, variant: Variant) -> int:
    """Bp from a gene's start to the variant, positive downstream."""
    if genes["gene_strand"][row] == "-":
        return int(genes["gene_end"][row]) - 1 - variant.start
    return variant.start - int(genes["gene_start"][row])


def _steps(distance: int) -> str:
    size = abs(distance)
    length = f"{size:,} bp" if size < 10_000 else f"{size / 1000:,.0f} kb"
    return "at" if distance == 0 else f"{length} {'downstream' if distance > 0 else 'upstream'} of"


def _prefer_coding(genes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    coding = np.array([kind == "protein_coding" for kind in genes["gene_type"]], bool)
    return {key: values[coding] for key, values in genes.items()} if coding.any() else genes


def _name(genes: dict[str, np.ndarray], row: int) -> str:
    return str(genes["gene_name"][row] or genes["gene_id"][row])
