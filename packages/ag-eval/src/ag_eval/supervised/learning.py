"""Learning on top of a model's scores, by scikit-learn, so that no locus is learnt from and predicted at once.

Filling of gaps, scaling and the choice of features are fitted inside each fold, on what is learnt from alone.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from ag_core.errors import InputError
from jaxtyping import Float, Int
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LassoCV, LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

EstimatorName = Literal["random_forest", "boosting", "lasso", "logistic"]
CLASSIFIERS: tuple[EstimatorName, ...] = ("random_forest", "boosting", "logistic")
Groups = Int[np.ndarray, " row"]
# Folds in which the strength of LASSO's penalty is chosen, within what is learnt from.
INNER = 5
_DEFAULTS: dict[str, dict[str, Any]] = {
    "random_forest": {"n_estimators": 300, "min_samples_leaf": 3, "random_state": 0},
    "boosting": {"random_state": 0},
    "logistic": {"max_iter": 1000},
    # Weaker penalties than a hundredth of the strongest do not converge with hundreds of tracks that are alike.
    "lasso": {"eps": 0.01, "max_iter": 20_000, "tol": 1e-3},
}


def out_of_fold(
    features: pd.DataFrame,
    target: Float[np.ndarray, " row"],
    groups: Groups,
    estimator: EstimatorName,
    folds: int = 5,
    settings: Mapping[str, Any] | None = None,
) -> Float[np.ndarray, " row"]:
    """A prediction for each row by an estimator that saw no row of its group; a probability for labels 0 and 1.

    Rows without a target, or without any feature, are neither learnt from nor predicted (NaN); nor are those of a
    fold whose other rows are of one class. Raises InputError without features, with one class only, and with fewer
    groups than folds.
    """
    if features.shape[1] == 0:
        raise InputError("there is no feature to learn from; name scorers that the model can run, or columns")
    usable = ~np.isnan(target) & features.notna().any(axis=1).to_numpy()
    rows = np.flatnonzero(usable)
    classes = np.unique(target[rows])
    if estimator in CLASSIFIERS and len(classes) < 2:
        only = f"only the class {classes[0]:g}" if len(classes) else "no class"
        raise InputError(f"{len(rows)} rows with features have {only}; {estimator} needs both, 0 and 1")
    count = len(np.unique(groups[rows]))
    # LASSO's penalty is chosen by groups as well.
    least = max(folds, 3) if estimator == "lasso" else folds
    if count < least:
        raise InputError(
            f"{len(rows)} rows lie in {count} groups, {folds} folds of {estimator} need {least}; give a larger table, "
            "fewer folds or smaller groups"
        )
    table = features.to_numpy(np.float64)
    predictions = np.full(len(target), np.nan)
    for learnt, held in GroupKFold(folds).split(rows, groups=groups[rows]):
        learnt, held = rows[learnt], rows[held]
        if estimator in CLASSIFIERS and len(np.unique(target[learnt])) < 2:
            continue
        fitted = make_estimator(estimator, groups[learnt], settings).fit(table[learnt], target[learnt])
        if estimator in CLASSIFIERS:
            predictions[held] = fitted.predict_proba(table[held])[:, 1]
        else:
            predictions[held] = fitted.predict(table[held])
    return predictions


def make_estimator(estimator: EstimatorName, groups: Groups, settings: Mapping[str, Any] | None = None) -> Pipeline:
    """An estimator with all that precedes it, not fitted; `groups` are those of the rows that it will learn from.

    `settings` are scikit-learn's of the last step. Raises InputError for those that it does not know.
    """
    # A gap becomes the median of what is learnt from, and a feature that says so.
    fill = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    given = _DEFAULTS.get(estimator, {}) | dict(settings or {})
    try:
        if estimator == "random_forest":
            return make_pipeline(fill, RandomForestClassifier(**given))
        if estimator == "boosting":
            return make_pipeline(fill, HistGradientBoostingClassifier(**given))
        if estimator == "logistic":
            return make_pipeline(fill, StandardScaler(), LogisticRegression(**given))
        inner = GroupKFold(min(INNER, len(np.unique(groups))))
        splits = list(inner.split(groups, groups=groups))
        return make_pipeline(fill, StandardScaler(), LassoCV(cv=splits, **given))
    except TypeError as error:
        raise InputError(f"settings of {estimator}: {error}; see scikit-learn's documentation") from error


def group_rows(
    chromosomes: np.ndarray, positions: Int[np.ndarray, " row"], by: str, span: int, names: np.ndarray | None = None
) -> Groups:
    """A number for each row's group, so that what is near lies together.

    - "chromosome"; "block": stretches of `span` bp side by side;
    - "locus": rows less than `span` bp from the next one, on and on;
    - anything else: what `names` say. Raises InputError where a row has none.
    """
    if by == "chromosome":
        keys: Any = chromosomes.astype(str)
    elif by == "block":
        keys = [f"{name}:{position // span}" for name, position in zip(chromosomes, positions, strict=True)]
    elif by == "locus":
        order = np.lexsort((positions, chromosomes.astype(str)))
        apart = np.diff(positions[order]) >= span
        apart |= chromosomes[order][1:] != chromosomes[order][:-1]
        keys = np.empty(len(order), np.int64)
        keys[order] = np.concatenate([[0], np.cumsum(apart)]) if len(order) else []
    else:
        names = np.asarray(names, object)
        if (missing := pd.isna(names)).any():
            first = int(np.flatnonzero(missing)[0]) + 1
            raise InputError(f"{int(missing.sum())} rows have no {by}, first row {first}; complete them")
        keys = names.astype(str)
    return np.unique(keys, return_inverse=True)[1]
