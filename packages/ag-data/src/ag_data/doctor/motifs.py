"""Do introns begin with GT and end with AG on the genome? If not: coordinates off by one, strands, or another assembly.

Over 98 % of the introns of well-annotated genomes are GT-AG or GC-AG. By chance 1 in 128 pairs of places is.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from ag_core.genome import Interval
from ag_core.sequence import encode
from jaxtyping import Int

from ag_data.contigs import match_contig
from ag_data.doctor.findings import ERROR, WARNING, Finding
from ag_data.genome_store import Genome

# Introns looked at, and those needed.
_MOST, _FEWEST = 3000, 50
# Share with a splice motif as expected, and that which an explanation must reach and add.
_EXPECTED, _EXPLAINED, _ADDED = 0.9, 0.8, 0.3
# Below, and without an explanation, the genome is another one.
_OTHER_GENOME = 0.4
_SHIFTS = [(start, end) for start in (-1, 0, 1) for end in (-1, 0, 1)]
# First and last two bases of introns, on '+' and as the '+' strand shows them on '-'.
_MOTIFS = {"+": (("GT", "AG"), ("GC", "AG"), ("AT", "AC")), "-": (("CT", "AC"), ("CT", "GC"), ("GT", "AT"))}
_EITHER = {"+": "-", "-": "+"}


def motif_shares(introns: pd.DataFrame, genome: Genome) -> tuple[int, dict[tuple[int, int, bool], float]]:
    """Introns (Chromosome, Start, End, Strand) known to the genome, and the share of them with a splice motif.

    By what is done to them: bases added to the start and to the end, and whether strands are swapped.
    """
    bases, strands = [], []
    for chromosome, start, end, strand in introns[["Chromosome", "Start", "End", "Strand"]].itertuples(index=False):
        name = match_contig(str(chromosome), genome.lengths)
        if name is None or strand not in _MOTIFS or end - start < 6 or end > genome.lengths[name]:
            continue
        sides = [
            genome.codes(Interval(name, at - before, at + after)) for at, before, after in ((start, 1, 3), (end, 3, 1))
        ]
        bases.append(np.stack(sides))
        strands.append(strand)
    if not bases:
        return 0, {}
    codes = np.stack(bases)
    known = (codes < 4).all(axis=(1, 2))
    codes, strand = codes[known], np.array(strands)[known]
    shares = {}
    for first, last in _SHIFTS:
        for swapped in (False, True):
            fits = np.zeros(len(codes), bool)
            for sign, motifs in _MOTIFS.items():
                own = strand == (_EITHER[sign] if swapped else sign)
                fits |= own & _has(codes[:, 0, 1 + first : 3 + first], codes[:, 1, 1 + last : 3 + last], motifs)
            shares[first, last, swapped] = float(fits.mean()) if len(fits) else 0.0
    return int(known.sum()), shares


def _has(
    first: Int[np.ndarray, "intron 2"], last: Int[np.ndarray, "intron 2"], motifs: Iterable[Sequence[str]]
) -> np.ndarray:
    return np.logical_or.reduce(
        [(first == encode(start)).all(axis=1) & (last == encode(end)).all(axis=1) for start, end in motifs]
    )


def check_introns(introns: pd.DataFrame, genome: Genome, subject: str, what: str) -> Finding | None:
    """Introns without splice motifs, and why. `what` names them in messages ("junctions")."""
    table = introns.iloc[np.unique(np.linspace(0, len(introns) - 1, min(_MOST, len(introns))).astype(int))]
    known, shares = motif_shares(table, genome)
    if known < _FEWEST or shares[0, 0, False] >= _EXPECTED:
        return None
    given = shares[0, 0, False]
    evidence = f"{given:.0%} of {known:,} introns begin and end with a splice motif (GT-AG, GC-AG, AT-AC)"
    best = max(shares, key=shares.__getitem__)
    if shares[best] >= max(_EXPLAINED, given + _ADDED):
        first, last, swapped = best
        evidence += f"; {shares[best]:.0%} do after {_words(first, last, swapped)}"
        if swapped and not (first or last):
            return Finding("splice motifs", ERROR, subject, evidence, f"the {what} are on the wrong strand: swap it")
        remedy = f"the {what} are off by one: starts are 0-based, ends are those of half-open intervals (BED)"
        return Finding("splice motifs", ERROR, subject, evidence, remedy)
    if given < _OTHER_GENOME:
        remedy = f"the {what} are of another assembly than the genome, or no introns: use files of one assembly"
        return Finding("splice motifs", ERROR, subject, evidence, remedy)
    remedy = f"many of the {what} are noise: leave out those with few reads (`options: {{min_reads: 3}}`)"
    return Finding("splice motifs", WARNING, subject, evidence, remedy)


def _words(first: int, last: int, swapped: bool) -> str:
    parts = [f"moving {name} by {by:+d}" for name, by in (("starts", first), ("ends", last)) if by]
    return " and ".join([*parts, *(["swapping strands"] if swapped else [])])


def introns_of_sites(positions: Mapping[tuple[str, str], Int[np.ndarray, " site"]], chromosome: str) -> pd.DataFrame:
    """Pairs of neighbouring donor and acceptor sites (exonic bases) as introns, for `check_introns`.

    `positions` has the sorted sites of a chromosome by kind and strand. A donor goes with the next acceptor downstream.
    """
    rows = []
    for strand in "+-":
        left, right = ("donor", "acceptor") if strand == "+" else ("acceptor", "donor")
        first, last = (np.asarray(positions.get((kind, strand), ())) for kind in (left, right))
        at = np.searchsorted(last, first, "right")
        inside = at < len(last)
        for start, end in zip(first[inside], last[at[inside]] if inside.any() else (), strict=True):
            rows.append((chromosome, int(start) + 1, int(end), strand))
    return pd.DataFrame(rows, columns=["Chromosome", "Start", "End", "Strand"])
