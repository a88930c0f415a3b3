"""Annotated splice sites: the "splice_sites" resource, which tells where junctions are looked for besides predictions.

A site is the exonic base next to an intron: the last base of an exon (donor) or the first of the next (acceptor), in
the direction of transcription. Source: spec/scoring.md 6.4.
"""

import os

import numpy as np
import pandas as pd
from ag_core.errors import InputError
from ag_core.genome import Interval
from jaxtyping import Bool

from ag_data.altered import AlteredGenome
from ag_data.annotation import Annotation
from ag_data.contigs import match_contig
from ag_data.place_table import check_places, read_places

COLUMNS = ("Chromosome", "Position", "Strand", "Kind")
KINDS = ("donor", "acceptor")
# Classes of the splice-site head: donor+, acceptor+, donor-, acceptor-, none of them.
CLASSES = 5
_REVERSED = [2, 3, 0, 1]


class SpliceSites:
    """Sites by place. `table` has the columns Chromosome, Position (0-based), Strand and Kind (donor or acceptor).

    Raises InputError for other tables.
    """

    def __init__(self, table: pd.DataFrame, source: str = "the table of splice sites"):
        table = check_places(table, COLUMNS, source).loc[:, list(COLUMNS)]
        wrong = np.flatnonzero(~table["Kind"].isin(KINDS).to_numpy())
        if len(wrong):
            raise InputError(f"{source} has the kind {table['Kind'].iloc[wrong[0]]!r}; expected donor or acceptor")
        self.table = table.drop_duplicates(ignore_index=True)
        number = (self.table["Strand"] == "-") * 2 + (self.table["Kind"] == "acceptor")
        rows = self.table.assign(number=number.astype(int)).sort_values("Position", kind="stable")
        self._chromosomes = {
            str(name): (part["Position"].to_numpy(), part["number"].to_numpy())
            for name, part in rows.groupby("Chromosome", sort=False, observed=True)
        }

    def __repr__(self) -> str:
        return f"SpliceSites({len(self.table)} sites on {len(self._chromosomes)} chromosomes)"

    def altered(self, genome: AlteredGenome) -> "SpliceSites":
        """The sites of a genome in which an allele stands; sites on deleted bases are gone."""
        here = self.table["Chromosome"].map(lambda name: genome.find_chromosome(str(name))) == genome.variant.chromosome
        small, position = genome.small, self.table["Position"].to_numpy()
        gone = (position >= small.start + len(small.alternate_bases)) & (position < small.end) & here.to_numpy()
        moved = np.where(here, genome.starts(position), position)
        return SpliceSites(self.table.assign(Position=moved).loc[~gone])

    def mask(self, interval: Interval) -> Bool[np.ndarray, "position 5"]:
        """Which bases of `interval` are sites: donor+, acceptor+, donor-, acceptor-, none of them.

        On '-' as the model sees it: from the interval's end to its start, with strands swapped.
        """
        mask = np.zeros((interval.width, CLASSES), bool)
        name = match_contig(interval.chromosome, self._chromosomes)
        if name is not None:
            positions, numbers = self._chromosomes[name]
            inside = slice(*np.searchsorted(positions, (interval.start, interval.end)))
            mask[positions[inside] - interval.start, numbers[inside]] = True
        if interval.negative_strand:
            mask[:, :4] = mask[::-1, _REVERSED]
        mask[:, 4] = ~mask[:, :4].any(axis=1)
        return mask


def sites_of_introns(starts: pd.DataFrame, ends: pd.DataFrame) -> pd.DataFrame:
    """The table of `SpliceSites` from first bases of introns (Chromosome, Start, Strand) and from ends (..., End, ...).

    Start is 0-based, End is the 0-based first base after the intron. Raises InputError for other tables.
    """
    starts = check_places(starts, ("Chromosome", "Start", "Strand"), "the table of intron starts")
    ends = check_places(ends, ("Chromosome", "End", "Strand"), "the table of intron ends")
    # The base before an intron is a donor on '+', an acceptor on '-'; the base after it the other way round.
    parts = [
        pd.DataFrame(
            {
                "Chromosome": table["Chromosome"].astype(str),
                "Position": position,
                "Strand": table["Strand"].astype(str),
                "Kind": np.where(table["Strand"] == on_plus, *KINDS),
            }
        )
        for table, position, on_plus in ((starts, starts["Start"] - 1, "+"), (ends, ends["End"], "-"))
    ]
    table = pd.concat(parts, ignore_index=True)
    return table.loc[table["Position"] >= 0].drop_duplicates(ignore_index=True)


def annotated_sites(annotation: Annotation) -> SpliceSites:
    """The sites of all introns of all transcripts with a strand in an annotation."""
    introns = annotation.introns()
    introns = introns.loc[introns["Strand"] != "."]
    return SpliceSites(sites_of_introns(introns, introns))


def read_splice_sites(path: str | os.PathLike[str]) -> SpliceSites:
    """Sites from a file with the columns Chromosome, Position, Strand, Kind (`agenome genome splice-sites` makes it).

    Raises InputError when it is missing, damaged or something else.
    """
    return SpliceSites(read_places(path, "splice-site table", COLUMNS), f"splice-site table {path}")
