"""The curves of a run as a picture: the loss of each head, in training and in validation."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from ag_heads.recipes.journal import read_journal

_SMOOTH = 0.9


def draw_curves(journal: pathlib.Path, picture: pathlib.Path) -> None:
    """Writes a PNG from the records of a run; nothing if there are too few."""
    from matplotlib.figure import Figure

    records = read_journal(journal)
    train = [record for record in records if record["kind"] == "train"]
    valid = [record for record in records if record["kind"] == "valid"]
    names = ["loss", *sorted({key for record in records for key in record if key.endswith("/loss")})]
    if len(train) < 2:
        return
    columns = min(len(names), 3)
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(4.2 * columns, 2.9 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, name in zip(axes, names, strict=False):
        steps, values = _series(train, name)
        axis.plot(steps, values, color="#c9d5e3", linewidth=0.8)
        axis.plot(steps, _smooth(values), color="#2b6cb0", linewidth=1.4, label="training (smoothed)")
        axis.plot(*_series(valid, name), color="#c05621", marker="o", markersize=3, linewidth=1.2, label="validation")
        axis.set_title("all, weighted" if name == "loss" else name.removesuffix("/loss"), fontsize=9)
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=7)
        # The first steps would squeeze the rest.
        late = values[len(values) // 10 :] + _series(valid, name)[1]
        finite = sorted(value for value in late if math.isfinite(value))
        if finite and finite[0] < finite[-1]:
            room = 0.05 * (finite[int(0.98 * (len(finite) - 1))] - finite[0])
            axis.set_ylim(finite[0] - room, finite[int(0.98 * (len(finite) - 1))] + room)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    axes[0].legend(fontsize=7, frameon=False)
    figure.savefig(picture, dpi=110)


def _series(records: Sequence[Mapping[str, Any]], name: str) -> tuple[list[int], list[float]]:
    there = [record for record in records if name in record]
    return [record["step"] for record in there], [record[name] for record in there]


def _smooth(values: Sequence[float]) -> list[float]:
    smoothed, weight, total = [], 0.0, 0.0
    for value in values:
        if math.isfinite(value):
            total, weight = _SMOOTH * total + value, _SMOOTH * weight + 1
        smoothed.append(total / weight if weight else math.nan)
    return smoothed
