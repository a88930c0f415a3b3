"""An evaluation of links between elements and genes as a YAML file. Source: spec/scoring.md 7.4 (12, 13) and 7.5."""

import os
import pathlib
from typing import Literal

import pydantic

from ag_eval.declarations import Strict, TableManifest, read_declaration
from ag_eval.variants.settings import Labels, Published

FOLDER = pathlib.Path(__file__).with_name("evaluations")
LinkRole = Literal["chromosome", "start", "end", "tss", "gene", "strand", "target", "distance", "used", "group"]
NEEDED: tuple[LinkRole, ...] = ("chromosome", "start", "end", "tss", "gene", "target")


class LinkManifest(TableManifest):
    """A table of pairs of an element and a gene: where it comes from, and what its columns are called.

    - `columns`: by what they mean; elements and `tss` are 0-based, half-open. `gene` is the id of the annotation.
    - `features`: columns to learn from, none of which may know the answer.
    - `activity`: columns whose geometric mean is an element's activity; `contact`: that of the pair, or 1 / distance.
    """

    needed = NEEDED

    columns: dict[LinkRole, str]
    labels: Labels
    features: dict[str, str] = {}
    activity: list[str] = []
    contact: str | None = None


class LinkScore(Strict):
    """How a pair is scored without learning; the paper has its constants in a supplement only, these are set by us.

    - `method`: "gradient" is the size of input x gradient around the element; the others are what the gene loses, in
      natural logarithms, when the element's bases are hidden (N), shuffled, or cut out.
    - `modality`, `tracks`: what is read of the gene, a query over its tracks; those of the other strand never count.
    - `signal`: over the gene's exons in the window, or within `reach` bp of the TSS.
    - `spread`: standard deviation, in bp, of the Gaussian around the element's middle.
    - `normalise`: divides by the mean over the window, so that genes and windows compare.
    - `pseudocount`: added to the mean signal before its logarithm. `shuffles`: of which the mean counts.
    """

    method: Literal["gradient", "mask", "shuffle", "delete"]
    modality: str
    tracks: str = ""
    signal: Literal["exons", "tss"] = "tss"
    reach: int = pydantic.Field(500, gt=0)
    spread: float = pydantic.Field(300.0, gt=0)
    normalise: bool = True
    pseudocount: float = pydantic.Field(1e-3, gt=0)
    shuffles: int = pydantic.Field(4, gt=0)


class Links(Strict):
    """One evaluation of links: average precision among pairs.

    - `scores`: by name; each is a figure of its own.
    - `blocks`: what is drawn together for the intervals: pairs of one gene, element, chromosome or `group`.
    """

    name: str
    number: str
    title: str
    modality: str = "enhancer-gene"
    reconstructed: bool = False
    data: LinkManifest
    split: str = "none: whoever trained on these loci must say so"
    scores: dict[str, LinkScore]
    blocks: Literal["gene", "element", "chromosome", "group"] = "gene"
    published: dict[str, Published] = {}
    traps: list[str] = []

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        if not self.scores:
            raise ValueError("scores name none")
        if self.blocks == "group" and "group" not in self.data.columns:
            raise ValueError("data.columns lack group")
        return self


def read_links_file(name: str | os.PathLike[str]) -> Links:
    """One of this package by name, or any by path. Raises InputError for what cannot be read or has mistakes."""
    return read_declaration(name, Links, FOLDER)
