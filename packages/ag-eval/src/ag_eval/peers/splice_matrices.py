"""Splice sites by base frequencies alone: position weight matrices, or with the base before (first-order Markov).

Log odds are natural logarithms against equally frequent bases, with one pseudocount for each base.
"""

import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.sequence import encode
from ag_data import Fasta, annotated_sites, read_gtf
from jaxtyping import Float, Integer

# Bases before the site (the exonic base next to the intron) and from it on, in the direction of transcription.
REACH = {"acceptor": (20, 3), "donor": (2, 7)}
# Counts at GENCODE's sites on GRCh37 chr20 but 40-46 Mb.
SHIPPED = pathlib.Path(__file__).with_name("splice_matrix.json")
# By kind: how often, or how oddly, a base (last axis) follows another at each offset.
Pairs = dict[str, Float[np.ndarray, "offset 4 4"]]
Codes = Integer[np.ndarray, " position"]


def count_sites(codes: Callable[[Interval], Codes], sites: pd.DataFrame) -> Pairs:
    """How often each base follows each other around the sites of a table like that of `ag_data.SpliceSites`.

    `codes` reads an interval in the direction of its strand. Unknown bases, and those after them, do not count.
    """
    found = {}
    for kind, (before, after) in REACH.items():
        counts = np.zeros((before + after, 4, 4))
        own = sites.loc[sites["Kind"] == kind]
        for name, position, strand in zip(own["Chromosome"], own["Position"], own["Strand"], strict=True):
            # One base more, which comes before the first.
            left, right = (before + 1, after) if strand == "+" else (after - 1, before + 2)
            own_codes = codes(Interval(str(name), int(position) - left, int(position) + right, str(strand)))
            known = (own_codes[1:] < 4) & (own_codes[:-1] < 4)
            counts[np.flatnonzero(known), own_codes[:-1][known], own_codes[1:][known]] += 1
        found[kind] = counts
    return found


def log_odds(counts: Mapping[str, Float[np.ndarray, "offset 4 4"]], order: int) -> Pairs:
    """Log odds from counts: of order 0 the same after every base, of order 1 given the base before."""
    found = {}
    for kind, pairs in counts.items():
        own = pairs + 1 if order else np.broadcast_to(pairs.sum(axis=1, keepdims=True) + 1, pairs.shape)
        found[kind] = np.log(own / own.sum(axis=2, keepdims=True) * 4)
    return found


def site_scores(codes: Codes, odds: Mapping[str, Float[np.ndarray, "offset 4 4"]]) -> Float[np.ndarray, "position 2"]:
    """Log odds of acceptor and donor at every base of a sequence in the direction of transcription.

    Unknown bases add nothing; what comes after one adds its mean log odds over bases before.
    """
    scores = np.zeros((len(codes), len(REACH)))
    for column, (kind, (before, after)) in enumerate(REACH.items()):
        table = np.zeros((before + after, 5, 5))
        table[:, :4, :4] = odds[kind]
        table[:, 4, :4] = odds[kind].mean(axis=1)
        padded = np.pad(codes, (before + 1, after), constant_values=4)
        for offset in range(before + after):
            pair = padded[offset : offset + len(codes)], padded[offset + 1 : offset + 1 + len(codes)]
            scores[:, column] += table[offset][pair]
    return scores


def fit_matrices(
    fasta: str | os.PathLike[str], gtf: str | os.PathLike[str], regions: Sequence[str] = ()
) -> tuple[Pairs, pd.DataFrame]:
    """Counts at the annotated sites in `regions` (1-based text; everywhere by default), and the table of these sites.

    Sites off the FASTA's chromosomes do not count. Raises InputError when none is left.
    """
    genome, sites = Fasta(fasta), annotated_sites(read_gtf(gtf)).table
    spans = {name: (0, length) for name, length in genome.lengths.items()}
    wanted = [Interval.from_region(each) for each in regions] or [Interval(name, *spans[name]) for name in spans]
    chosen = np.zeros(len(sites), bool)
    names = {str(name): genome.find_chromosome(str(name)) for name in sites["Chromosome"].unique()}
    for region in wanted:
        own = sites["Chromosome"].map(names) == genome.find_chromosome(region.chromosome)
        chosen |= (own & sites["Position"].between(region.start, region.end - 1)).to_numpy()
    sites = sites.loc[chosen]
    if sites.empty:
        raise InputError(f"{gtf} has no splice site in {', '.join(regions) or fasta}; give other regions or files")
    return count_sites(lambda interval: encode(genome.fetch(interval)), sites), sites


def write_matrices(path: str | os.PathLike[str], counts: Pairs, **notes: Any) -> None:
    """Counts as JSON, with notes on where they come from."""
    plain = {kind: pairs.astype(int).tolist() for kind, pairs in counts.items()}
    pathlib.Path(path).write_text(json.dumps({**notes, "reach": REACH, "counts": plain}) + "\n")


def read_matrices(path: str | os.PathLike[str]) -> Pairs:
    """Counts from such a file. Raises InputError for another."""
    try:
        found = json.loads(pathlib.Path(path).read_text())["counts"]
        counts = {kind: np.asarray(found[kind], np.float64) for kind in REACH}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"splice matrices {path} cannot be read ({error!r}); write_matrices makes them") from error
    for kind, reach in REACH.items():
        if counts[kind].shape != (sum(reach), 4, 4):
            raise InputError(f"{path}: {kind} has the shape {counts[kind].shape}, expected {(sum(reach), 4, 4)}")
    return counts
