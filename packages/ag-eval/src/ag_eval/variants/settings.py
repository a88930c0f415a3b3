"""An evaluation as one small YAML file: what is asked, of which data, with which score and metric, and what is known.

Files of this package lie in `evaluations/`; a third party's may lie anywhere. Sources: spec/scoring.md 7.3 and 7.4.
"""

import os
import pathlib
from typing import Literal

import pydantic

from ag_eval.declarations import Strict, TableManifest, read_declaration

FOLDER = pathlib.Path(__file__).with_name("evaluations")
Metric = Literal["auprc", "auroc", "pearson", "spearman"]
# Columns of a table of variants, by what they mean; the first five every table has.
Role = Literal[
    "chromosome",
    "position",
    "reference",
    "alternate",
    "target",
    "gene",
    "tissue",
    "group",
    "pair",
    "prediction",
    "used",
]
NEEDED: tuple[Role, ...] = ("chromosome", "position", "reference", "alternate", "target")


class Labels(Strict):
    """Which values of the target are positives and negatives; rows with another value are refused."""

    positive: list[str | int | float | bool]
    negative: list[str | int | float | bool]


class Manifest(TableManifest):
    """A table of variants: where it comes from, and what its columns are called.

    - `columns`: by what they mean; positions are 1-based, alleles as in a VCF.
    - `labels`: for classification.
    - `alleles`: `reference` must be the genome's ("reference first"), or either may ("either order"): then rows the
      other way round are turned, and their effect with them.
    """

    needed = NEEDED

    columns: dict[Role, str]
    labels: Labels | None = None
    alleles: Literal["reference first", "either order"] = "reference first"


class Published(Strict):
    """A figure that somebody has published."""

    value: float
    source: str


class Evaluation(Strict):
    """One evaluation of variant effects.

    - `number`: of the paper's table (B: variant effects); `reconstructed`: the row was inferred from the paper's text.
    - `score`: scorers as on the command line of `agenome score`; `tracks`: a query over their tracks.
    - `genes`: "own" takes the gene that the row names, "all" every gene around.
    - `over`: how scores of tracks and genes become one number for the row.
    - `size`: the metric looks at the score's size, not its sign.
    - `mean_over`: the metric is taken in each tissue or group with two rows or more, and averaged: over tissues by
      their number of rows, over groups alike. Where it is not defined (one class only) a tissue does not count.
    - `pairs`: one row for each pair and class is drawn, this many times; the mean over draws counts.
    """

    name: str
    number: str
    title: str
    modality: str
    reconstructed: bool = False
    data: Manifest
    split: str = "none: whoever trained on these loci must say so"
    score: list[str]
    tracks: str = ""
    genes: Literal["own", "all"] = "all"
    over: Literal["mean", "mean_abs", "max_abs", "sum_of_max_abs"] = "mean"
    size: bool = False
    metric: Metric
    mean_over: Literal["tissue", "group"] | None = None
    pairs: int = 0
    published: dict[str, Published] = {}
    traps: list[str] = []

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        if self.metric in ("auprc", "auroc") and self.data.labels is None:
            raise ValueError(f"{self.metric} needs data.labels")
        wanted = {self.mean_over, "gene" if self.genes == "own" else None, "pair" if self.pairs else None} - {None}
        if missing := sorted(str(role) for role in wanted if role not in self.data.columns):
            raise ValueError(f"data.columns lack {', '.join(missing)}")
        return self


def read_evaluation(name: str | os.PathLike[str]) -> Evaluation:
    """One of this package by name, or any by path. Raises InputError for what cannot be read or has mistakes."""
    return read_declaration(name, Evaluation, FOLDER)
