"""Pictures of a calibration table: the scores of common variants by quantile, and how far out their tails go."""

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import matplotlib.axes
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ag_core.errors import InputError
from ag_data.files import check_file
from ag_data.plot.axes import COLORS
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from ag_scorers.calibration_table import CalibrationTable, ScorerTable, point_ranks

# Quantiles at which tracks are compared, and the bands of tracks that are drawn.
_GRID = 201
_BANDS = ((5, 95, 0.18), (25, 75, 0.3))
_MARKS = ("#d55e00", "#009e73", "#cc79a7", "#e69f00", "#000000")


class Mark(NamedTuple):
    """A score to be shown: of which variant (any label), scorer (key or full name) and track (name, strand)."""

    label: str
    scorer: str
    track: tuple[str, str]
    score: float


def plot_calibration(table: CalibrationTable, marks: Iterable[Mark] = ()) -> Figure:
    """A row of two panels for each scorer.

    - left: score against quantile; the median over tracks, the middle half of them and nine tenths of them;
    - right: |score| against the tail, -log10 of the share of common variants that is as far out.

    A dot is a score of `marks`, at its place. Save with `ag_data.plot.save`.
    """
    marks = list(marks)
    rows = len(table.scorers)
    figure = Figure(figsize=(9.5, 0.7 + 2.15 * rows), layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False, width_ratios=(1.25, 1))
    binding = table.binding
    figure.suptitle(f"{binding['model']}, {binding['organism']}, windows of {binding['window']:,} bp", size=10)
    labels = list(dict.fromkeys(mark.label for mark in marks))
    for (left, right), (key, scorer), color in zip(axes, table.scorers.items(), _cycle(COLORS, rows), strict=True):
        curves = quantile_curves(scorer, table.middle, table.tail)
        mine = [mark for mark in marks if mark.scorer in (key, scorer.about["name"])]
        _draw_quantiles(left, scorer, curves, color)
        _draw_tail(right, scorer, table, color)
        left.set_title(f"{key}: {len(scorer.tracks):,} tracks, {_counts(scorer)}", size=8.5, loc="left")
        for label, shade in zip(labels, _cycle(_MARKS, len(labels)), strict=True):
            _draw_mark(left, right, scorer, curves, table, [mark for mark in mine if mark.label == label], label, shade)
        if left is axes[0][0] and labels:
            left.legend(fontsize=7, frameon=False, loc="upper left")
    axes[-1][0].set_xlabel("quantile", size=8.5)
    axes[-1][1].set_xlabel("|score|", size=8.5)
    return figure


def quantile_curves(scorer: ScorerTable, middle: int, tail: int) -> Float[np.ndarray, "track point"]:
    """Scores of each track at evenly spaced shares of the background, from 0 to 1; NaN for a track without scores."""
    curves = np.full((len(scorer.tracks), _GRID), np.nan)
    for row, (count, values) in enumerate(zip(scorer.count, scorer.values, strict=True)):
        if count:
            ranks = point_ranks(int(count), middle, tail)
            shares = (ranks + 0.5) / count
            curves[row] = np.interp(np.linspace(0, 1, _GRID), shares, values[: len(ranks)])
    return curves


def read_scores(path: str | os.PathLike[str], variants: Sequence[str]) -> list[Mark]:
    """The scores of chosen variants from a tidy parquet file. Raises InputError for one that is not in it."""
    check_file(path, "table of scores")
    columns = ["variant", "scorer", "track", "track_strand", "score"]
    try:
        rows = pq.read_table(path, columns=columns)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path}: no tidy table of scores ({error}); make one with `agenome score -o x.parquet`"
        ) from error
    names = pc.cast(rows["variant"], "string")  # pyright: ignore[reportAttributeAccessIssue]
    marks = []
    for variant in variants:
        found = rows.filter(pc.equal(names, variant)).to_pylist()  # pyright: ignore[reportAttributeAccessIssue]
        if not found:
            raise InputError(f"{path}: no variant {variant}; write it as the column `variant` does, chr1:100:A>G")
        marks += [
            Mark(variant, row["scorer"], (row["track"], row["track_strand"]), row["score"])
            for row in found
            if row["score"] is not None
        ]
    return marks


def _draw_quantiles(
    axes: matplotlib.axes.Axes, scorer: ScorerTable, curves: Float[np.ndarray, "track point"], color: str
) -> None:
    shares = np.linspace(0, 1, _GRID)
    x = 2 * shares - 1 if scorer.about["signed"] else shares
    curves = curves[np.isfinite(curves[:, 0])]
    if len(curves) > 2:
        for low, high, alpha in _BANDS:
            band = np.percentile(curves, [low, high], axis=0)
            axes.fill_between(x, *band, color=color, alpha=alpha, linewidth=0)
        axes.plot(x, np.median(curves, axis=0), color=color, linewidth=1.4)
    else:
        axes.plot(x, curves.T, color=color, linewidth=1.2)
    scale = float(np.percentile(np.abs(curves), 60)) if curves.size else 0
    if scale > 0:
        axes.set_yscale("symlog", linthresh=scale, linscale=0.8)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.6g}"))
    low, high = axes.get_ylim()
    # Where the scale is linear, around 0, there is no room for powers of ten.
    ticks = [tick for tick in axes.get_yticks() if low <= tick <= high and (tick == 0 or abs(tick) > 2 * scale)]
    axes.set_yticks(ticks)
    axes.set_ylim(low, high)
    axes.minorticks_off()
    axes.set_ylabel("score", size=8.5)
    axes.axhline(0, color="#999999", linewidth=0.5, zorder=0)
    _style(axes)


def _draw_tail(axes: matplotlib.axes.Axes, scorer: ScorerTable, table: CalibrationTable, color: str) -> None:
    """Each track's largest scores, by size, against the share of the background that reaches them."""
    for x, y in _tails(scorer, table):
        axes.plot(x, y, color=color, linewidth=0.5, alpha=0.25 if len(scorer.tracks) > 5 else 0.8)
    axes.set_xscale("log")
    # Less than a power of ten: two labels of those between.
    axes.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    axes.set_ylabel("tail", size=8.5)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    _style(axes)


def _tails(scorer: ScorerTable, table: CalibrationTable) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    for count, values in zip(scorer.count, scorer.values, strict=True):
        points = len(point_ranks(int(count), table.middle, table.tail))
        size = min(table.tail, points // 2)
        if size:
            sides = [values[points - size : points]]
            if scorer.about["signed"]:
                sides.append(-values[:size][::-1])
            for side in sides:
                beyond = np.arange(size, 0, -1)
                odds = (1 + beyond) / (1 + count) * len(sides)
                above = side > 0
                yield side[above], -np.log10(np.minimum(odds, 1))[above]


def _draw_mark(
    left: matplotlib.axes.Axes,
    right: matplotlib.axes.Axes,
    scorer: ScorerTable,
    curves: Float[np.ndarray, "track point"],
    table: CalibrationTable,
    marks: list[Mark],
    label: str,
    color: str,
) -> None:
    from ag_scorers.calibration import Lookup

    rows = {track: row for row, track in enumerate(scorer.tracks)}
    known = [mark for mark in marks if mark.track in rows and np.isfinite(mark.score)]
    if not known:
        return
    lookup = Lookup(scorer, tuple(mark.track for mark in known), table.middle, table.tail)
    scores = np.array([[mark.score for mark in known]], np.float32)
    quantiles, tails = lookup(scores)
    left.plot(quantiles[0], scores[0], "o", color=color, markersize=2.6, markeredgewidth=0, alpha=0.7, label=label)
    right.plot(np.abs(scores[0]), tails[0], "o", color=color, markersize=2.6, markeredgewidth=0, alpha=0.7)


def _counts(scorer: ScorerTable) -> str:
    low, high = int(scorer.count.min()), int(scorer.count.max())
    return f"{high:,} scores each" if low == high else f"{low:,} to {high:,} scores each"


def _cycle(colors: Sequence[str], count: int) -> list[str]:
    return [colors[number % len(colors)] for number in range(count)]


def _style(axes: matplotlib.axes.Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7.5, length=2.5)
