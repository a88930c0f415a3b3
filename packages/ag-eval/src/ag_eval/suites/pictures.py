"""Pictures of results: intervals of all predictors, gains over others, tracks as violins, curves, scatters."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from ag_data.plot.axes import COLORS
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve

from ag_eval.comparisons import relative_gain
from ag_eval.metrics import paired
from ag_eval.results import to_table
from ag_eval.rows import has_rows

OURS, OTHERS, PUBLISHED = COLORS[0], "#8c8c8c", COLORS[5]
# From so many tracks on their figures are drawn as a distribution.
VIOLIN = 5
MOST_POINTS = 4000
# What knows nothing: a line, not a peer.
CHANCE = "random"


def draw_intervals(results: xr.Dataset) -> Figure | None:
    """Value and interval of each predictor, for each metric and group that has several; None where none has.

    Groups beyond the first two of a metric are left to `draw_violins`.
    """
    table: Any = to_table(results)
    table = table[(table["group"] != "published") & (table["model"] != CHANCE)]
    panels = []
    for metric, own in table.groupby("metric", sort=False):
        for group in list(dict.fromkeys(own["group"]))[:2]:
            part = own[own["group"] == group]
            if part["value"].notna().any():
                panels.append((str(metric), str(group), part))
    if not panels:
        return None
    heights = [len(part) + 1.4 for _, _, part in panels]
    figure = Figure(figsize=(7.5, 0.32 * sum(heights) + 0.4), layout="constrained")
    all_axes = figure.subplots(len(panels), 1, gridspec_kw={"height_ratios": heights}, squeeze=False)[:, 0]
    for axes, (metric, group, part) in zip(all_axes, panels, strict=True):
        _intervals(axes, metric, group, part, _chance(results, metric, group), results.attrs.get("model", ""))
    return figure


def _intervals(axes: Axes, metric: str, group: str, part: Any, chance: float, ours: str) -> None:
    places = np.arange(len(part))
    for place, (_, row) in zip(places, part.iterrows(), strict=True):
        color = OURS if row["model"] == ours else OTHERS
        axes.plot([row["low"], row["high"]], [place, place], color=color, lw=2.5, solid_capstyle="butt")
        axes.plot(row["value"], place, "o", color=color, ms=6)
    if not np.isnan(chance):
        axes.axvline(chance, color="#4d4d4d", lw=0.8, ls=":")
    axes.set_yticks(places, [str(name) for name in part["model"]])
    axes.set_ylim(len(part) - 0.4, -0.6)
    axes.set_title(f"{metric}, {group}", size=9, loc="left")
    _plain(axes)


def draw_gains(named: Mapping[str, xr.Dataset], better: Sequence[str] = ()) -> Figure | None:
    """Relative improvement over the best other predictor that was run, and over the best published figure.

    Corrected for chance where the results tell it (Fig. 1d-e of the paper). None where nothing can be compared.
    """
    bars: list[tuple[str, float, str]] = []
    for name, results in named.items():
        for label, gain, kind in _gains(name, results):
            bars.append((label, gain, kind))
    if not bars:
        return None
    figure = Figure(figsize=(7.5, 0.34 * len(bars) + 1.0), layout="constrained")
    axes = figure.add_subplot()
    for place, (_, gain, kind) in enumerate(bars):
        shown = float(np.clip(gain, -1.5, 1.5))
        axes.barh(place, 100 * shown, color=OURS if kind == "run" else PUBLISHED, height=0.7)
        text = f"{100 * gain:+.0f} %"
        axes.annotate(
            text,
            (100 * shown, place),
            xytext=(4 if shown >= 0 else -4, 0),
            textcoords="offset points",
            va="center",
            ha="left" if shown >= 0 else "right",
            size=7.5,
        )
    axes.axvline(0, color="#4d4d4d", lw=0.8)
    axes.set_yticks(range(len(bars)), [label for label, _, _ in bars], size=8)
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_xlabel(
        "relative improvement in %, chance taken away\n(blue: over what was run beside it; orange: published)"
    )
    axes.xaxis.label.set_fontsize(8)
    _plain(axes)
    return figure


def _gains(name: str, results: xr.Dataset) -> list[tuple[str, float, str]]:
    """Of the first metric and group: (label, gain, whether "run" or "published")."""
    table: Any = to_table(results)
    ours = results.attrs.get("model", "")
    if results.attrs.get("higher_is_better") in (False, "False") or not len(table):
        return []
    metric, group = table["metric"].iloc[0], table["group"].iloc[0]
    first = table[(table["metric"] == metric) & table["group"].isin([group, "published"])]
    own = first[first["model"] == ours]["value"]
    if not len(own) or np.isnan(own.iloc[0]):
        return []
    chance = _chance(results, str(metric), str(group))
    floor = {"auroc": 0.5}.get(str(metric), 0.0) if np.isnan(chance) else chance
    others = first[(first["model"] != ours) & (first["model"] != CHANCE) & first["value"].notna()]
    found = []
    for kind, part in (
        ("run", others[others["group"] == group]),
        ("published", others[others["group"] == "published"]),
    ):
        if len(part):
            best = part.loc[part["value"].idxmax()]
            gain = relative_gain(float(own.iloc[0]), float(best["value"]), floor)
            if not np.isnan(gain):
                found.append((f"{name}: {metric} {own.iloc[0]:.2f}, {best['model']} {best['value']:.2f}", gain, kind))
    return found


def draw_violins(results: xr.Dataset) -> Figure | None:
    """The distribution of each metric over tracks, for each predictor; None with fewer than `VIOLIN` tracks."""
    table: Any = to_table(results).dropna(subset="value")
    table = table[(table["model"] != CHANCE) & (table["group"] != "published")]
    panels = []
    for metric, own in table.groupby("metric", sort=False):
        parts = {str(model): part["value"].to_numpy() for model, part in own.groupby("model", sort=False)}
        if all(len(values) >= VIOLIN for values in parts.values()) and parts:
            panels.append((str(metric), parts))
    if not panels:
        return None
    figure = Figure(figsize=(2.2 * len(panels) + 1.6, 3.2), layout="constrained")
    for axes, (metric, parts) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        drawn = axes.violinplot(list(parts.values()), showmedians=True, widths=0.8)
        for body, name in zip(drawn["bodies"], parts, strict=True):  # pyright: ignore[reportArgumentType]
            body.set_facecolor(OURS if name == results.attrs.get("model") else OTHERS)
        for line in ("cmedians", "cmins", "cmaxes", "cbars"):
            drawn[line].set_color("#4d4d4d")
            drawn[line].set_linewidth(0.8)
        axes.set_xticks(range(1, len(parts) + 1), list(parts), rotation=30, ha="right", size=7.5)
        axes.set_title(metric, size=9)
        _plain(axes)
    return figure


def draw_rows(results: xr.Dataset) -> Figure | None:
    """Precision and recall where the rows are of two classes, else each predictor against the target; None without."""
    if not has_rows(results):
        return None
    target = results["target"].values
    labels = np.unique(target[~np.isnan(target)])
    if len(labels) < 2:
        return None
    return _curves(results, target) if set(labels) == {0.0, 1.0} else _scatters(results, target)


def _curves(results: xr.Dataset, target: np.ndarray) -> Figure:
    figure = Figure(figsize=(4.6, 3.8), layout="constrained")
    axes = figure.add_subplot()
    for number, name in enumerate(results["predictor"].values):
        scores = results["score"].sel(predictor=name).values
        kept, _ = paired(target, scores)
        if len(np.unique(target[kept])) < 2:
            continue
        precision, recall, _ = precision_recall_curve(target[kept], scores[kept])
        axes.step(recall, precision, where="post", color=COLORS[number % len(COLORS)], lw=1.2, label=str(name))
    axes.axhline(float(np.nanmean(target)), color="#4d4d4d", lw=0.8, ls=":", label="share of positives")
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.set_ylim(0, 1.02)
    axes.legend(fontsize=7.5, frameon=False)
    _plain(axes)
    return figure


def _scatters(results: xr.Dataset, target: np.ndarray) -> Figure | None:
    names = [
        name
        for name in results["predictor"].values[:4]
        if paired(target, results["score"].sel(predictor=name).values)[0].any()
    ]
    if not names:
        return None
    chosen = np.sort(np.random.default_rng(0).permutation(len(target))[:MOST_POINTS])
    figure = Figure(figsize=(2.7 * len(names) + 0.4, 2.9), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        scores = results["score"].sel(predictor=name).values
        axes.plot(scores[chosen], target[chosen], ".", ms=3, alpha=0.5, color=OURS, rasterized=True)
        axes.set_xlabel(f"{name}", size=8)
        axes.set_ylabel("measured", size=8)
        _plain(axes)
    return figure


def _chance(results: xr.Dataset, metric: str, group: str) -> float:
    table: Any = to_table(results)
    found = table[(table["metric"] == metric) & (table["group"] == group) & (table["model"] == CHANCE)]["value"]
    return float(found.iloc[0]) if len(found) else float("nan")


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7.5, length=2.5)
