"""A supervised evaluation as a YAML file: which table, which features, what learns from them, what is held apart."""

import os
import pathlib
from typing import Literal

import pydantic

from ag_eval.declarations import Strict, read_declaration
from ag_eval.links.settings import Links
from ag_eval.supervised.features import By, Over
from ag_eval.supervised.learning import CLASSIFIERS, EstimatorName
from ag_eval.variants.settings import Evaluation

FOLDER = pathlib.Path(__file__).with_name("evaluations")


class FeatureChoice(Strict):
    """How scores of a variant become features: one number for each scorer or each track, in each of these ways."""

    by: By = "scorer"
    over: list[Over] = ["mean", "mean_abs", "max_abs"]


class GroupChoice(Strict):
    """What must not be learnt from and predicted at once.

    - "group", "gene": rows with the same value in that column; "chromosome".
    - "locus": rows less than `span` bp apart, on and on; "block": stretches of `span` bp side by side, of which
      neighbours touch: for one element alone.
    """

    by: Literal["group", "gene", "chromosome", "locus", "block"]
    span: int = pydantic.Field(100_000, gt=0)


class Supervised(Strict):
    """One supervised evaluation, of variants or of links.

    - `variants` or `links`: the table, the scores and the metric, as in a file of that kind.
    - `sets`: features to learn from, by the first words of their names, each a figure of its own; by default all.
    - `fit_each`: learns in each tissue apart.
    - `settings`: scikit-learn's of the estimator.
    """

    variants: Evaluation | None = None
    links: Links | None = None
    estimator: EstimatorName
    settings: dict[str, int | float | str | bool | None] = {}
    features: FeatureChoice = FeatureChoice()
    sets: dict[str, list[str]] = {}
    groups: GroupChoice
    folds: int = pydantic.Field(5, ge=2)
    fit_each: Literal["tissue"] | None = None

    @property
    def table(self) -> Evaluation | Links:
        """What is said of the table, whichever it is."""
        return self.variants or self.links  # type: ignore[return-value]

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        if (self.variants is None) == (self.links is None):
            raise ValueError("give either variants or links")
        metric = self.variants.metric if self.variants else "auprc"
        if (metric in ("auprc", "auroc")) != (self.estimator in CLASSIFIERS):
            raise ValueError(f"{self.estimator} does not give what {metric} measures")
        columns: dict = self.table.data.columns
        wanted = {self.groups.by} & {"group", "gene"} | ({self.fit_each} - {None})
        if missing := sorted(str(role) for role in wanted if role not in columns):
            raise ValueError(f"data.columns lack {', '.join(missing)}")
        if self.variants and self.variants.pairs:
            raise ValueError("pairs are not drawn in supervised evaluations")
        return self


def read_supervised(name: str | os.PathLike[str]) -> Supervised:
    """One of this package by name, or any by path. Raises InputError for what cannot be read or has mistakes."""
    return read_declaration(name, Supervised, FOLDER)
