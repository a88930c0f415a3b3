"""Are '+' tracks of the '+' strand? Genes tell: reads of a stranded assay come from the strand of the gene they are in.

Exons for RNA-seq, the first bases of genes for CAGE and PRO-cap. Only genes count that have no other near them on the
opposite strand.
"""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np
from ag_core.genome import Interval
from jaxtyping import Float

from ag_data.annotation import Annotation
from ag_data.doctor.findings import ERROR, Finding
from ag_data.doctor.signals import Signals

EXONS, STARTS = ("rna_seq",), ("cage", "procap")
# Share of signal on the gene's own strand, in the middle gene: 0.95 and more in stranded RNA-seq and CAGE, 0.8 in
# run-on assays, which see divergent transcription; 0.5 without strands.
_RIGHT, _WRONG = 0.7, 0.3
# Genes looked at, those of them with signal that are needed, and those with the most signal that are used.
_GENES, _FEWEST, _MOST = 400, 12, 100
# No gene on the other strand so near; longer genes are left out; a start is this much before and after the first base.
_APART, _LONGEST, _BEFORE, _AFTER = 500, 200_000, 50, 150
# Read ends of a gene below which chance decides.
_READS = 5
# Columns that tell what was measured; the strands of one experiment agree in them.
_WHAT = ("biosample_name", "biosample_type", "ontology_curie", "assay_title", "data_source", "experiment")


@dataclasses.dataclass(frozen=True)
class Gene:
    """A gene without others near it on the opposite strand; `parts` are what its reads should cover."""

    interval: Interval
    parts: tuple[tuple[int, int], ...]


def lone_genes(annotation: Annotation, chromosomes: Mapping[str, int], starts: bool) -> list[Gene]:
    """Genes on both strands, at most 400, spread evenly; protein-coding ones where the annotation knows types."""
    genes = []
    for chromosome, length in chromosomes.items():
        table = annotation.genes_in(Interval(chromosome, 0, length))
        start, end, strand = table["gene_start"], table["gene_end"], table["gene_strand"]
        coding = table["gene_type"] == "protein_coding"
        wanted = (coding if coding.any() else np.ones(len(start), bool)) & np.isin(strand, ("+", "-"))
        for row in np.flatnonzero(wanted & (end - start <= _LONGEST)):
            near = (start < end[row] + _APART) & (end > start[row] - _APART) & (strand != strand[row])
            if near.any():
                continue
            interval = Interval(str(table["chromosome"][row]), int(start[row]), int(end[row]), str(strand[row]))
            interval = dataclasses.replace(interval, chromosome=chromosome, name=str(table["gene_id"][row]))
            genes.append(interval)
    chosen = [
        genes[number] for number in np.unique(np.linspace(0, len(genes) - 1, min(_GENES, len(genes))).astype(int))
    ]
    return [Gene(gene, tuple(_parts(annotation, gene, chromosomes[gene.chromosome], starts))) for gene in chosen]


def _parts(annotation: Annotation, gene: Interval, length: int, starts: bool) -> Iterable[tuple[int, int]]:
    if starts:
        first = gene.end - 1 if gene.negative_strand else gene.start
        before, after = (_AFTER, _BEFORE) if gene.negative_strand else (_BEFORE, _AFTER)
        yield max(0, first - before), min(first + after, length)
        return
    exons = annotation.exons_of(gene.name)
    mask = np.zeros(gene.width + 2, np.int8)
    for start, end, chromosome in zip(exons["start"], exons["end"], exons["chromosome"], strict=True):
        del chromosome
        mask[max(0, start - gene.start) + 1 : max(0, end - gene.start) + 1] = 1
    edges = np.flatnonzero(np.diff(mask))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        yield gene.start + int(start), gene.start + int(end)


def gene_sums(signals: Signals, genes: list[Gene], tracks: np.ndarray) -> Float[np.ndarray, "gene track"]:
    """Signal of each gene's parts, without its sign; bins that a part touches count whole."""
    sums = np.zeros((len(genes), len(tracks)))
    grid = signals.resolution
    for row, gene in enumerate(genes):
        if not gene.parts:
            continue
        low = gene.parts[0][0] // grid * grid
        high = min(-(-gene.parts[-1][1] // grid) * grid, signals.chromosomes[gene.interval.chromosome])
        values = np.asarray(signals.read(Interval(gene.interval.chromosome, low, high), tracks), np.float64)
        values = np.abs(np.nan_to_num(values, posinf=0.0, neginf=0.0))
        for start, end in gene.parts:
            sums[row] += values[(start - low) // grid : -(-(end - low) // grid)].sum(axis=0)
    return sums


def check_strands(signals: Signals, genes: list[Gene], units: Mapping[int, float]) -> list[Finding]:
    """Strands swapped, or not told apart. `units` say what one read is worth in some tracks."""
    strands = signals.strands
    plus, minus = ([t for t, strand in enumerate(strands) if strand == sign] for sign in "+-")
    stranded = np.array([*plus, *minus])
    if not len(stranded):
        return []
    sums = np.zeros((len(genes), len(strands)))
    for tracks in signals.groups():
        own = tracks[np.isin(tracks, stranded)]
        if len(own):
            sums[:, own] = gene_sums(signals, genes, own)
    gene_strand = np.array([gene.interval.strand for gene in genes])
    found = []
    if len(plus) == len(minus):
        for a, b in zip(plus, minus, strict=True):
            found.append(_judge_pair(signals, gene_strand, sums[:, a], sums[:, b], (a, b), units))
    else:
        found += [_judge_lone(signals, gene_strand, sums[:, track], track) for track in stranded]
    return [finding for finding in found if finding is not None]


def _judge_pair(
    signals: Signals,
    gene_strand: np.ndarray,
    plus: Float[np.ndarray, " gene"],
    minus: Float[np.ndarray, " gene"],
    tracks: tuple[int, int],
    units: Mapping[int, float],
) -> Finding | None:
    total = plus + minus
    unit = max((units[track] for track in tracks if track in units), default=0.0)
    enough = np.flatnonzero((total > 0) & (total >= _READS * unit))
    used = enough[np.argsort(-total[enough])][:_MOST]
    if len(used) < _FEWEST:
        return None
    own = np.where(gene_strand[used] == "+", plus[used], minus[used]) / total[used]
    middle = float(np.median(own))
    if middle >= _RIGHT:
        return None
    where = "the starts" if signals.modality in STARTS else "the exons"
    subject = " and ".join(signals.labels[track] for track in tracks)
    evidence = (
        f"at {where} of {len(used)} genes, {middle:.0%} of the signal is on the gene's own strand (median; "
        f"{int((own < 0.5).sum())} genes have more on the other)"
    )
    if middle <= _WRONG:
        remedy = "the strands are swapped: exchange the files, or for a BAM say `stranded: reverse` (dUTP) or `forward`"
    else:
        remedy = "the strands are not told apart: the library is not stranded, so give one track with strand '.'"
    return Finding("strand", ERROR, subject, evidence, remedy)


def _judge_lone(
    signals: Signals, gene_strand: np.ndarray, sums: Float[np.ndarray, " gene"], track: int
) -> Finding | None:
    """A track without its partner: more signal at genes of its own strand, once the strongest few are evened out."""
    if (sums > 0).sum() < _FEWEST:
        return None
    capped = np.minimum(sums, np.quantile(sums[sums > 0], 0.75))
    own = gene_strand == signals.strands[track]
    means = [float(capped[side].mean()) if side.any() else 0.0 for side in (own, ~own)]
    share = means[0] / sum(means)
    if share >= _RIGHT or not own.any() or own.all():
        return None
    evidence = f"the mean signal at genes of the track's strand is {means[0]:.4g}, at others {means[1]:.4g}"
    remedy = "swapped strands" if share <= _WRONG else "strands that are not told apart"
    return Finding("strand", ERROR, signals.labels[track], evidence, f"{remedy}: check how the file was made")


def check_pairs(signals: Signals) -> list[Finding]:
    """The k-th '+' and the k-th '-' track, which a model takes for one experiment, are not of one."""
    plus, minus = ([t for t, strand in enumerate(signals.strands) if strand == sign] for sign in "+-")
    if len(plus) != len(minus):
        evidence = f"{len(plus)} tracks are on '+', {len(minus)} on '-'"
        remedy = "give both strands of each experiment (`path: {+: ..., -: ...}`), or leave `strand` out"
        return [Finding("strand pairs", ERROR, signals.modality, evidence, remedy)]
    found = []
    for a, b in zip(plus, minus, strict=True):
        for column in [name for name in _WHAT if name in signals.table]:
            one, other = (str(signals.table[column].values[track]) for track in (a, b))
            if one != other:
                evidence = f"they are a pair by their order, but {column} is {one!r} on '+' and {other!r} on '-'"
                remedy = "list the strands in the same order, or correct the metadata"
                subject = f"{signals.labels[a]} and {signals.labels[b]}"
                found.append(Finding("strand pairs", ERROR, subject, evidence, remedy))
                break
    return found
