"""Splice-site usage from tables of exons: how much each tissue includes each exon (PSI)."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.interfaces import AbstractSource
from ag_core.schema import track_table
from jaxtyping import Float

from ag_data.annotation import read_gtf
from ag_data.place_table import read_places
from ag_data.splice_sites import annotated_sites

PLACES = ("Chromosome", "Start", "End", "Strand")


class ExonUsageSource(AbstractSource):
    """A table with the columns Chromosome, Start, End, Strand, `gene_id` and one column of fractions for each tissue.

    - `annotation`: a GTF, or several; only ends of exons that are splice sites there count, so that starts and ends of
      transcripts do not.
    - `one_based`: Start is that of a GTF (1-based inclusive); else 0-based.
    - `tissues`: the columns of fractions; by default all columns of numbers that are no place.
    - `zero`: "gene" takes a 0 for measured if another exon of the same gene is included in that tissue, "measured"
      takes every 0 for measured.

    A site that several exons share has the largest fraction of them; every base that is no site, and every site that
    was not measured, is NaN. Tracks: each tissue on '+' and on '-'. Raises InputError for other tables, and for
    fractions outside [0, 1].
    """

    layout = "usage"
    resolution = 1

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        annotation: str | Sequence[str],
        one_based: bool = False,
        tissues: Sequence[str] | None = None,
        zero: str = "gene",
    ):
        if zero not in ("gene", "measured"):
            raise InputError(f"zero is {zero!r}; expected gene or measured")
        table = read_places(path, "table of exons", PLACES)
        if zero == "gene" and "gene_id" not in table:
            raise InputError(f"table of exons {path} has no column gene_id; add it, or say `zero: measured`")
        self.tissues = list(tissues) if tissues is not None else _numbers(table)
        if missing := [name for name in self.tissues if name not in table] or (not self.tissues and ["of fractions"]):
            raise InputError(f"table of exons {path} has no column {', '.join(missing)}")
        values = table[self.tissues].to_numpy(np.float32, copy=True)
        with np.errstate(invalid="ignore"):
            wrong = np.flatnonzero(((values < 0) | (values > 1)).any(axis=1))
        if len(wrong):
            raise InputError(f"table of exons {path}, row {wrong[0] + 1}: expected fractions from 0 to 1")
        if zero == "gene":
            values[(values == 0) & ~_expressed(table["gene_id"].to_numpy(), values)] = np.nan
        self._sites, self._facts = _sites(table, values, annotation, one_based)
        if not self._sites:
            raise InputError(
                f"table of exons {path}: no end of an exon is a splice site of {annotation}; is it of another build?"
            )

    def tracks(self) -> xr.Dataset:
        names = [name for name in self.tissues for _ in "+-"]
        return track_table({"name": names, "strand": ["+", "-"] * len(self.tissues), "biosample_name": names})

    def chromosomes(self) -> Mapping[str, int | None]:
        return {name: None for name in self._sites}

    def facts(self) -> Mapping[str, Any]:
        """How many ends of exons were splice sites, and how many sites were measured."""
        return self._facts

    def read(self, interval: Interval) -> Float[np.ndarray, "position track"]:
        """Fractions at sites, NaN elsewhere."""
        values = np.full((interval.width, len(self.tissues), 2), np.nan, np.float32)
        for strand, (position, usage) in enumerate(self._sites.get(interval.chromosome, ())):
            inside = slice(*np.searchsorted(position, (interval.start, interval.end)))
            values[position[inside] - interval.start, :, strand] = usage[inside]
        return values.reshape(interval.width, -1)


def _numbers(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table.columns if name not in PLACES and pd.api.types.is_numeric_dtype(table[name])]


def _expressed(genes: np.ndarray, values: Float[np.ndarray, "exon tissue"]) -> np.ndarray:
    """Whether any exon of the same gene is included, for each exon and tissue."""
    codes, names = pd.factorize(genes, use_na_sentinel=False)
    seen = np.zeros((len(names), values.shape[1]), bool)
    np.logical_or.at(seen, codes, values > 0)
    return seen[codes]


def _sites(
    table: pd.DataFrame, values: Float[np.ndarray, "exon tissue"], annotation: str | Sequence[str], one_based: bool
) -> tuple[dict[str, list[tuple[np.ndarray, np.ndarray]]], dict[str, int]]:
    """Sorted positions and usage of measured sites, by chromosome, on '+' and on '-'."""
    paths = [annotation] if isinstance(annotation, str) else list(annotation)
    known = pd.concat([annotated_sites(read_gtf(path)).table for path in paths])
    known = known.drop_duplicates(["Chromosome", "Position", "Strand"])
    index = pd.MultiIndex.from_arrays([known[name] for name in ("Chromosome", "Position", "Strand")])

    def known_at(position: np.ndarray) -> np.ndarray:
        columns = (table["Chromosome"].astype(str), position, table["Strand"].astype(str))
        return pd.MultiIndex.from_arrays(columns).isin(index)

    first, last = table["Start"].to_numpy() - int(one_based), table["End"].to_numpy() - 1
    as_told, otherwise = (int(known_at(p).sum()) for p in (first, first + (1 if one_based else -1)))
    if otherwise > as_told:
        raise InputError(
            f"table of exons: {as_told:,} of {len(first):,} starts are splice sites, but one base further "
            f"{'on' if one_based else 'back'} {otherwise:,} are; say `one_based: {str(not one_based).lower()}`"
        )
    rows = pd.DataFrame(
        {
            "Chromosome": np.tile(table["Chromosome"].astype(str), 2),
            "Position": np.concatenate([first, last]),
            "Strand": np.tile(table["Strand"].astype(str), 2),
        }
    )
    values = np.concatenate([values, values])
    keep = np.concatenate([known_at(first), known_at(last)]) & ~np.isnan(values).all(axis=1)
    rows, values = rows.loc[keep].reset_index(drop=True), values[keep]
    sites: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    count = 0
    for name, part in rows.groupby("Chromosome", sort=False):
        sites[str(name)] = []
        for sign in "+-":
            mine = part.index[part["Strand"] == sign].to_numpy()
            position, place = np.unique(rows["Position"].to_numpy()[mine], return_inverse=True)
            usage = np.full((len(position), values.shape[1]), np.nan, np.float32)
            np.fmax.at(usage, place, values[mine])
            sites[str(name)].append((position, usage))
            count += len(position)
    return sites, {"exon_ends": 2 * len(table), "ends_at_sites": int(keep.sum()), "sites": count}
