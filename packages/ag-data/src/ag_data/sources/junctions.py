"""Splice junctions of one RNA-seq sample, as counts of introns or as usage of splice sites."""

import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.interfaces import AbstractSource
from ag_core.schema import track_table
from jaxtyping import Float

from ag_data.junction_counts import site_usage
from ag_data.sources.junction_files import read_junctions
from ag_data.sources.values import track_name


class JunctionsSource(AbstractSource):
    """A file that `ag_data.sources.junction_files` reads.

    - `layout`: "junctions" (reads of each intron, one track on '.') or "usage" (`ag_data.junction_counts.site_usage` at
      the exonic base of each site, tracks on '+' and '-'; 0 where no site is seen, NaN where fewer than `min_coverage`
      reads tell; a base that is donor and acceptor has the larger). Reads that run through a site unspliced are not in
      such files, so they do not lower the usage.
    - `multi`: adds reads that map to several places (STAR only).
    - `min_reads`, `min_overhang` (bp): junctions below are left out.
    - `scale`: "none", "cpm" (per million of the reads that are kept) or a factor; usage does not depend on it.
    - `keep_unstranded`: keeps junctions without a strand, as counts on '.'; by default they are left out.

    `facts` counts what is left out. Raises InputError for other files and options.
    """

    resolution = 1

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        layout: Literal["junctions", "usage"] = "junctions",
        multi: bool = False,
        min_reads: float = 1,
        min_overhang: int = 0,
        min_coverage: float = 10,
        scale: str | float = "none",
        keep_unstranded: bool = False,
    ):
        if layout not in ("junctions", "usage"):
            raise InputError(f"layout {layout!r}: expected junctions or usage")
        if isinstance(scale, str) and scale not in ("none", "cpm"):
            raise InputError(f"scale {scale!r}: expected none, cpm or a number")
        self.layout = layout
        self._name = _sample(pathlib.Path(path))
        table, kind = read_junctions(path)
        if multi and kind != "STAR":
            raise InputError(f"junctions {path} are {kind}, which does not tell multi-mapped reads; leave out `multi`")
        reads = table["reads"].to_numpy(np.float64)
        reads = reads + table["multi"].to_numpy(np.float64) if multi else reads
        causes = {
            "few_reads": reads < max(min_reads, 1e-9),
            "short_overhang": table["overhang"].to_numpy() < min_overhang,
            "no_strand": (table["strand"].to_numpy() == ".") & (not keep_unstranded),
        }
        kept, left_out = np.ones(len(table), bool), {}
        for cause, hit in causes.items():
            mine = kept & hit
            left_out[cause] = {"junctions": int(mine.sum()), "reads": float(reads[mine].sum())}
            kept &= ~mine
        if not kept.any():
            raise InputError(f"junctions {path}: none of {len(table)} is kept ({left_out}); relax the options")
        total = float(reads[kept].sum())
        factor = {"none": 1.0, "cpm": 1e6 / total}[scale] if isinstance(scale, str) else float(scale)
        self._facts = {
            "format": kind,
            "junctions": int(kept.sum()),
            "reads": total,
            "left_out": left_out,
            "multi_mapped": multi,
            "factor": factor,
        }
        self._names = dict.fromkeys(table["chromosome"])  # in the file, kept or not
        self._min_coverage = min_coverage
        table = table.assign(reads=reads).loc[kept]
        self._datasets = {str(name): _dataset(part) for name, part in table.groupby("chromosome", sort=False)}
        if layout == "usage":
            self._sites = {name: _sites(dataset, min_coverage) for name, dataset in self._datasets.items()}
        self._factor = factor

    def tracks(self) -> xr.Dataset:
        if self.layout == "usage":
            return track_table({"name": [self._name] * 2, "strand": ["+", "-"]})
        return track_table({"name": [self._name], "strand": ["."]})

    def chromosomes(self) -> Mapping[str, int | None]:
        return dict(self._names)

    def facts(self) -> Mapping[str, Any]:
        """Reads kept and left out, the factor, and what usage cannot know."""
        if self.layout == "junctions":
            return self._facts
        note = "reads that run through a site unspliced are not among junctions"
        return {**self._facts, "min_coverage": self._min_coverage, "note": note}

    def read(self, interval: Interval) -> xr.Dataset | Float[np.ndarray, "position 2"]:
        """Introns that start in the interval, sorted; or the usage of every base."""
        if self.layout == "usage":
            return self._usage(interval)
        dataset = self._datasets.get(interval.chromosome)
        if dataset is None:  # none of the chromosome's junctions is kept
            part = next(iter(self._datasets.values())).isel(junction=slice(0))
        else:
            edges = np.searchsorted(dataset["start"].values, (interval.start, interval.end))
            part = dataset.isel(junction=slice(*edges))
        return part.assign(count=(part["count"] * self._factor).astype(np.float32))

    def _usage(self, interval: Interval) -> Float[np.ndarray, "position 2"]:
        values = np.zeros((interval.width, 2), np.float32)
        for track, sign in enumerate("+-"):
            sites = self._sites.get(interval.chromosome, {}).get(sign)
            if sites is not None:
                position, usage = sites
                inside = slice(*np.searchsorted(position, (interval.start, interval.end)))
                values[position[inside] - interval.start, track] = usage[inside]
        return values


def _sample(path: pathlib.Path) -> str:
    """The sample by the file's name, or by that of its folder where STAR was given no prefix."""
    name = re.sub(r"[._-]?SJ\.out$", "", track_name(path))
    return name or path.absolute().parent.name or "junctions"


def _dataset(table: pd.DataFrame) -> xr.Dataset:
    """Junctions of one chromosome, sorted by place."""
    return xr.Dataset(
        {"count": (("junction", "track"), table["reads"].to_numpy(np.float64)[:, None])},
        coords={
            "start": ("junction", table["start"].to_numpy(np.int64)),
            "end": ("junction", table["end"].to_numpy(np.int64)),
            "strand": ("junction", table["strand"].to_numpy(object)),
        },
    )


def _sites(junctions: xr.Dataset, min_coverage: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Sorted positions of sites and their usage, by strand; the larger where a base is donor and acceptor."""
    sites, found = site_usage(junctions, min_coverage), {}
    for sign in "+-":
        mine = sites["strand"].values == sign
        position, place = np.unique(sites["position"].values[mine], return_inverse=True)
        usage = np.full(len(position), np.nan, np.float32)
        np.fmax.at(usage, place, sites["usage"].values[mine, 0].astype(np.float32))
        found[sign] = position, usage
    return found
