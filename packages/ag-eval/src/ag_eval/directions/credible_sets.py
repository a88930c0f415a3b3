"""Credible sets of a GWAS, and what they say of genes: does what raises the trait raise or lower expression?"""

import os
from typing import Any

import numpy as np
import pandas as pd
from ag_core.errors import InputError

from ag_eval.directions.settings import CredibleSets
from ag_eval.variants.table import read_table

# Of probabilities of one set, for rounding.
SLACK = 0.01


def read_sets(path: str | os.PathLike[str], sets: CredibleSets) -> Any:
    """Rows as of `read_table`, with `set` and `pip`; effects are those of the alternate allele.

    Raises InputError that names file, row and what to do.
    """
    # A variant may be in several sets, one of each: the same as with pairs.
    columns = {**sets.table.columns, "pair": sets.set}
    extra = {"pip": sets.pip} | ({"effect allele": sets.effect_allele} if sets.effect_allele else {})
    manifest = sets.table.model_copy(update={"columns": columns, "peers": {**sets.table.peers, **extra}})
    table: Any = read_table(path, manifest).rename(columns={"pair": "set", "peer pip": "pip"})
    if (missing := table["set"].isna()).any():
        raise InputError(f"{path}: {int(missing.sum())} rows name no set, first row {int(missing.idxmax()) + 1}")
    table["pip"] = pd.to_numeric(table["pip"], errors="coerce")
    if (wrong := ~table["pip"].between(0, 1)).any():
        row = table.loc[wrong].iloc[0]
        raise InputError(f"{path}: {int(wrong.sum())} PIPs are not within 0 to 1, such as that of set {row['set']}")
    variants = table.drop_duplicates(["set", "chromosome", "position", "reference", "alternate"])
    total = variants.groupby("set")["pip"].sum()
    if (total > 1 + SLACK).any():
        raise InputError(f"{path}: PIPs of set {total.idxmax()} add up to {total.max():.3f}; they belong to one set")
    if sets.effect_allele:
        allele = table["peer effect allele"].astype(str).str.upper()
        known = {side: allele == table[side].astype(str).str.upper() for side in ("reference", "alternate")}
        if (strange := ~(known["reference"] | known["alternate"])).any():
            first = int(strange.idxmax())
            raise InputError(
                f"{path}: {int(strange.sum())} effect alleles are neither allele, first row {first + 1}: "
                f"{allele.iloc[first]}; correct them or leave the rows out"
            )
        table["target"] = np.where(known["alternate"], table["target"], -table["target"])
    return table


def resolve(votes: Any, threshold: float) -> Any:
    """For each set and gene with a variant whose |score| reaches the threshold: which way the gene acts.

    `votes` has a row for each set, variant (`row`) and gene: `pip`, `effect` (on the trait) and `score` (on
    expression), of one allele. The result has `direction` (1: more expression, more of the trait; -1; 0 undecided),
    `weight` (the sum of PIPs called), `agreement` (share of it that is of one mind), `variants` and `lead`, the row
    of the variant with the most weight. A NaN threshold calls nothing.
    """
    called = votes.loc[(votes["score"].abs() >= threshold) & (votes["score"] * votes["effect"] != 0)].dropna()
    called = called.assign(vote=np.sign(called["effect"] * called["score"]) * called["pip"])
    called = called.sort_values(["set", "gene", "pip", "row"], ascending=[True, True, False, True], kind="stable")
    found = called.groupby(["set", "gene"], sort=True).agg(
        vote=("vote", "sum"), weight=("pip", "sum"), variants=("row", "nunique"), lead=("row", "first")
    )
    found = found.loc[found["weight"] > 0]
    balance = found.pop("vote")
    # Equal votes may leave a residue of rounding.
    decided = balance.abs() > 1e-12
    found.insert(0, "direction", np.where(decided, np.sign(balance), 0).astype(int))
    found.insert(2, "agreement", balance.abs() / found["weight"])
    return found.reset_index()


def resolved_shares(votes: Any, sets: pd.Index, threshold: float) -> Any:
    """For each set `resolved`, 1 when some gene has a direction, and `by_pip`, the PIP of its variants that are called.

    A variant counts when it is called for a gene that has a direction.
    """
    genes = resolve(votes, threshold)
    genes = genes.loc[genes["direction"] != 0, ["set", "gene"]]
    called = votes.loc[(votes["score"].abs() >= threshold) & (votes["score"] * votes["effect"] != 0)].dropna()
    called = called.merge(genes, on=["set", "gene"]).drop_duplicates(["set", "row"])
    by_pip = called.groupby("set")["pip"].sum().reindex(sets, fill_value=0.0)
    return pd.DataFrame({"resolved": sets.isin(genes["set"]).astype(float), "by_pip": by_pip.to_numpy()}, index=sets)
