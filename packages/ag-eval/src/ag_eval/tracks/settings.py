"""An evaluation of genome tracks as one small YAML file: which tracks, which windows, what is asked, what is known.

Files of this package lie in `evaluations/`; a third party's may lie anywhere. Source: spec/scoring.md 7.1, 7.3.
"""

import os
import pathlib
from typing import Literal

import pydantic

from ag_eval.declarations import Strict, read_declaration

FOLDER = pathlib.Path(__file__).with_name("evaluations")
Measure = Literal[
    "coverage",
    "profile",
    "expression",
    "sites",
    "junction_pairs",
    "junction_counts",
    "junction_ratios",
    "contacts",
    "contact_differences",
]
# Layouts of a store that a measure reads, and the metrics that it gives.
LAYOUTS: dict[Measure, tuple[str, ...]] = {
    "coverage": ("signal", "usage"),
    "profile": ("signal",),
    "expression": ("signal",),
    "sites": ("classes",),
    "junction_pairs": ("junctions",),
    "junction_counts": ("junctions",),
    "junction_ratios": ("junctions",),
    "contacts": ("contacts",),
    "contact_differences": ("contacts",),
}
METRICS: dict[Measure, tuple[str, ...]] = {
    "coverage": ("pearson", "pearson_log1p", "pearson_sqrt", "mse", "mae"),
    "profile": ("jensen_shannon", "pearson_log_counts", "pearson"),
    "expression": ("pearson_log1p", "pearson_specific_genes", "pearson_specific_tracks"),
    "sites": ("auprc", "top_k"),
    "junction_pairs": ("auprc",),
    "junction_counts": ("pearson_log1p", "pearson"),
    "junction_ratios": ("pearson_psi5", "pearson_psi3"),
    "contacts": ("pearson", "pearson_insulation"),
    "contact_differences": ("pearson",),
}
LOWER_IS_BETTER = ("jensen_shannon", "mse", "mae")


class TrackManifest(Strict):
    """Measured tracks: what a store must hold, and where such data come from.

    - `tracks`: modalities of the store; `heads`: the model's heads for them, where these are called otherwise.
    - `select`: a query over tracks; `columns`: of the track table, that the evaluation reads.
    - `assemblies`: the first is the published one, the others will do as well.
    """

    tracks: list[str] = pydantic.Field(min_length=1)
    heads: dict[str, str] = {}
    select: str = ""
    columns: list[str] = ["name", "strand"]
    organism: str = "human"
    assemblies: list[str] = pydantic.Field(default=["GRCh38", "GRCh37"], min_length=1)
    source: str
    licence: str
    obtain: str

    def head(self, modality: str) -> str:
        """The model's head for a modality of the store."""
        return self.heads.get(modality, modality)


class Split(Strict):
    """What is held out: in words, and the labels that rows of a BED file of windows have."""

    text: str
    labels: list[str] = []


class Known(Strict):
    """A figure that somebody has published, of the evaluation's metric unless it says another one."""

    value: float
    source: str
    metric: str | None = None
    of: str = ""


class Gain(Strict):
    """A relative gain of AlphaGenome over a competitor that is stated without the figures."""

    over: str
    value: float
    source: str


class TrackSettings(Strict):
    """One evaluation of genome tracks.

    - `number`: of the paper's table (A: genome tracks); `reconstructed`: the row was inferred from the paper's text.
    - `windows`: "regions" go end to end over what is held out; "peaks" lie around peaks, and `middle` bp count.
    - `resolution`: bins of the comparison in bp, if store and model are not coarser.
    - `length`: of the published windows in bp, if that matters.
    - `least`: reads of a site below which PSI is not defined.
    - `cells`: for differences, the two biosamples.
    """

    name: str
    number: str
    title: str
    modality: str
    reconstructed: bool = False
    data: TrackManifest
    split: Split
    windows: Literal["regions", "peaks"] = "regions"
    middle: int | None = None
    measure: Measure
    metric: str
    resolution: int = 1
    length: int | None = None
    least: float = 1.0
    cells: tuple[str, str] | None = None
    compared: list[str] = []
    published: dict[str, Known] = {}
    gains: list[Gain] = []
    traps: list[str] = []

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        if self.metric not in METRICS[self.measure]:
            raise ValueError(f"{self.measure} has no metric {self.metric}; it has {', '.join(METRICS[self.measure])}")
        if (self.measure == "contact_differences") != (self.cells is not None):
            raise ValueError("contact_differences needs cells, and nothing else does")
        if (self.windows == "peaks") != (self.middle is not None):
            raise ValueError("windows around peaks need middle, and others have none")
        if self.measure == "profile" and self.windows != "peaks":
            raise ValueError("profile needs windows: peaks")
        return self

    @property
    def needs(self) -> tuple[str, ...]:
        """Entries of `data` besides `store` and `fasta`."""
        own = ("gtf",) if self.measure == "expression" else ()
        return own if self.windows == "regions" else (*own, "peaks")


def read_settings(name: str | os.PathLike[str]) -> TrackSettings:
    """One of this package by name, or any by path. Raises InputError for what cannot be read or has mistakes."""
    return read_declaration(name, TrackSettings, FOLDER, "track evaluation")
