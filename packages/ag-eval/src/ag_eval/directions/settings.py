"""An evaluation of GWAS directions as a YAML file. Source: spec/scoring.md 7.4."""

import os
import pathlib
from typing import Literal

import pydantic

from ag_eval.declarations import Strict, read_declaration
from ag_eval.variants.settings import Evaluation, Manifest, Published

FOLDER = pathlib.Path(__file__).with_name("evaluations")


class CredibleSets(Strict):
    """A table of credible sets: a row for each variant of a set, and for each gene where there is a column `gene`.

    - `table`: `target` is the effect on the trait, of the alternate allele unless `effect_allele` names a column.
    - `set`, `pip`: columns of the set's id and of the variant's posterior inclusion probability.
    """

    table: Manifest
    set: str
    pip: str
    effect_allele: str | None = None


class Direction(Strict):
    """Credible sets, the eQTLs that thresholds come from, and the score of both.

    - `genes`: "own" takes the gene that a row of the sets names, "all" every gene that is scored.
    - `accuracies`: of signs among eQTLs; each gives a threshold of the score's size.
    - `published`: by metric (`resolved_80`, `resolved_by_pip_80`, `recall_80`), then by name.
    """

    name: str
    number: str
    title: str
    modality: str = "expression"
    reconstructed: bool = False
    sets: CredibleSets
    eqtls: Manifest
    split: str = "none: whoever trained on these loci must say so"
    score: list[str]
    tracks: str = ""
    genes: Literal["own", "all"] = "all"
    accuracies: list[float] = pydantic.Field([0.8, 0.9], min_length=1)
    published: dict[str, dict[str, Published]] = {}
    traps: list[str] = []

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        if "gene" not in self.eqtls.columns:
            raise ValueError("eqtls.columns lack gene")
        if self.genes == "own" and "gene" not in self.sets.table.columns:
            raise ValueError("sets.table.columns lack gene")
        if self.eqtls.labels or self.sets.table.labels:
            raise ValueError("effects are numbers with a sign: leave labels out")
        if wrong := [each for each in self.accuracies if not 0.5 < each <= 1]:
            raise ValueError(f"accuracies {wrong}: expected above 0.5, at most 1")
        return self

    def scoring(self, manifest: Manifest, genes: Literal["own", "all"]) -> Evaluation:
        """How the engine scores one of the two tables."""
        own = {key: getattr(self, key) for key in ("name", "number", "title", "modality", "score", "tracks")}
        return Evaluation(data=manifest, genes=genes, metric="pearson", **own)


def read_direction(name: str | os.PathLike[str]) -> Direction:
    """One of this package by name, or any by path. Raises InputError for what cannot be read or has mistakes."""
    return read_declaration(name, Direction, FOLDER)
