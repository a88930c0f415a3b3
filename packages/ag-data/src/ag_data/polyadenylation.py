"""Polyadenylation sites (PAS) of genes: the "polyadenylation" resource of the scorer of that name.

A table with the columns Chromosome, Start, End (0-based half-open, 1 bp), pas_strand and gene_id, as the Borzoi authors
made it from PolyA_DB. Such a table can be built from any list of sites and an annotation, or from the annotation's
transcript ends alone. Source: spec/scoring.md 2.8.
"""

import os

import numpy as np
import pandas as pd
from ag_core.errors import InputError
from ag_core.genome import chromosome_aliases
from jaxtyping import Int

from ag_data.altered import AlteredGenome
from ag_data.annotation import Annotation
from ag_data.place_table import check_places, read_places

COLUMNS = ("Chromosome", "Start", "End", "pas_strand", "gene_id")


class PolyadenylationSites:
    """Sites by gene, whatever the version of its id. `table` has the columns `COLUMNS`; the order of rows is kept.

    Raises InputError for other tables.
    """

    def __init__(self, table: pd.DataFrame, source: str = "the table of polyadenylation sites"):
        table = check_places(table, COLUMNS, source).loc[:, list(COLUMNS)]
        wrong = np.flatnonzero((table["gene_id"].isna() | (table["gene_id"] == "")).to_numpy())
        if len(wrong):
            raise InputError(f"{source} has no gene_id in row {wrong[0] + 1}; expected one")
        self.table = table
        gene = table["gene_id"].astype(str).str.replace(r"\..*", "", regex=True)
        rows = pd.Series(np.arange(len(table))).groupby(gene + table["pas_strand"].astype(str), sort=False)
        starts, chromosomes = table["Start"].to_numpy("int64"), table["Chromosome"].astype(str).to_numpy(object)
        self._sites = {str(key): (starts[part], chromosomes[part]) for key, part in rows.indices.items()}

    def __repr__(self) -> str:
        return f"PolyadenylationSites({len(self.table)} sites of {len({key[:-1] for key in self._sites})} genes)"

    def altered(self, genome: AlteredGenome) -> "PolyadenylationSites":
        """The sites of a genome in which an allele stands; sites on deleted bases move to the next one that is left."""
        here = self.table["Chromosome"].map(lambda name: genome.find_chromosome(str(name))) == genome.variant.chromosome
        start = self.table["Start"].to_numpy("int64")
        moved = np.where(here, genome.starts(start), start)
        return PolyadenylationSites(self.table.assign(Start=moved, End=moved + 1))

    def sites_of(self, gene_id: str, strand: str, chromosome: str | None = None) -> Int[np.ndarray, " site"]:
        """Starts (0-based) of a gene's sites on a strand, in the table's order; none for an unknown gene.

        With a chromosome only those on it: the genes that X and Y share have one id.
        """
        key = gene_id.partition(".")[0] + strand
        if key not in self._sites:
            return np.zeros(0, np.int64)
        starts, chromosomes = self._sites[key]
        names = [chromosome, *chromosome_aliases(chromosome)] if chromosome else []
        return starts[np.array([name in names for name in chromosomes], bool)] if names else starts


def transcript_ends(annotation: Annotation) -> pd.DataFrame:
    """The table of `PolyadenylationSites` from an annotation: the last base of every transcript, once a gene."""
    exons = annotation.last_exons()
    exons = exons.loc[exons["Strand"].isin(["+", "-"])]
    return _table(exons, np.where(exons["Strand"] == "-", exons["Start"], exons["End"] - 1))


def match_sites(sites: pd.DataFrame, annotation: Annotation) -> pd.DataFrame:
    """The table of `PolyadenylationSites`: those of `sites` in a last exon of a gene, on its strand.

    `sites` has Chromosome, Start (0-based) and Strand. A site in last exons of several genes counts for each. Raises
    InputError for another table, and when not one site matches.
    """
    sites = check_places(sites, ("Chromosome", "Start", "Strand"), "the list of polyadenylation sites")
    exons = annotation.last_exons()
    where = sites["Chromosome"].astype(str) + ":" + sites["Strand"].astype(str)
    places = {str(key): np.sort(sites["Start"].to_numpy()[rows]) for key, rows in sites.groupby(where).indices.items()}
    parts = []
    of_exon = exons["Chromosome"].astype(str) + ":" + exons["Strand"].astype(str)
    for key, rows in exons.groupby(of_exon, sort=False).indices.items():
        chromosome, _, strand = str(key).rpartition(":")
        names = [f"{name}:{strand}" for name in (chromosome, *chromosome_aliases(chromosome))]
        found = next((places[name] for name in names if name in places), np.zeros(0, np.int64))
        part = exons.iloc[rows]
        first, last = (np.searchsorted(found, part[column].to_numpy()) for column in ("Start", "End"))
        chosen = np.concatenate([np.arange(0), *map(np.arange, first, last)]).astype(int)
        parts.append(_table(part.iloc[np.repeat(np.arange(len(part)), last - first)], found[chosen]))
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))
    if table.empty:
        raise InputError(
            f"not one of {len(sites)} polyadenylation sites lies in a last exon of the annotation; expected the same "
            "assembly, 0-based starts, and the strand of the transcripts"
        )
    return table.sort_values(["Chromosome", "Start"], kind="stable", ignore_index=True)


def _table(exons: pd.DataFrame, starts: Int[np.ndarray, " exon"]) -> pd.DataFrame:
    columns = {
        "Chromosome": exons["Chromosome"].to_numpy(object),
        "Start": np.asarray(starts, np.int64),
        "End": np.asarray(starts, np.int64) + 1,
        "pas_strand": exons["Strand"].to_numpy(object),
        "gene_id": exons["gene_id"].to_numpy(object),
    }
    table = pd.DataFrame(columns).drop_duplicates(ignore_index=True)
    return table.sort_values(["Chromosome", "Start"], kind="stable", ignore_index=True)


def read_polyadenylation(path: str | os.PathLike[str]) -> PolyadenylationSites:
    """Sites from a file with the columns `COLUMNS` (`agenome genome polya` makes one).

    Raises InputError when it is missing, damaged or something else.
    """
    what = "table of polyadenylation sites"
    return PolyadenylationSites(read_places(path, what, COLUMNS), f"{what} {path}")
