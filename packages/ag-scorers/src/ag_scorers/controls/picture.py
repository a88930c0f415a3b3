"""Variants and controls as a clustered heat map over the tracks of all scorers."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from ag_data.plot.heat_map import draw_heat_map
from matplotlib.figure import Figure


def plot_comparison(tree: xr.DataTree, most: int = 48) -> Figure:
    """Deviations from controls (see `compare`), the `most` tracks on which the variants stand out most.

    A scorer's tracks are one group; of several items (genes) of one variant the largest deviation counts. Scorers of
    both alleles' levels, which are not signed, are left out where the same modality has a signed one.
    """
    columns: list[np.ndarray] = []
    names: list[str] = []
    groups: list[str] = []
    calls = int(tree.sizes["call"])
    for key, node in _chosen(tree).items():
        child = node.to_dataset()
        deviation, call = child["deviation"].values, child["call"].values
        for track in range(deviation.shape[1]):
            column = np.full(calls, np.nan)
            for row in range(len(call)):
                value = deviation[row, track]
                if np.isfinite(value) and not abs(column[call[row]]) >= abs(value):
                    column[call[row]] = value
            columns.append(column)
            names.append(_name(child, track))
            groups.append(key)
    values = np.stack(columns, axis=1)
    root = tree.to_dataset()
    variants = ~root["control"].values
    strength = np.max(np.nan_to_num(np.abs(values[variants])), axis=0)
    chosen = np.sort(np.argsort(-strength, kind="stable")[:most])
    cases = [str(variant) for variant in root["variant"].values]
    height = 2.6 + 0.14 * min(len(cases), 90)
    figure = Figure(figsize=(6 + 0.19 * len(chosen), max(height, 4.5)), layout="constrained")
    axes = draw_heat_map(
        values[:, chosen],
        [case if len(case) < 40 else f"{case[:37]}..." for case in cases],
        [names[column] for column in chosen],
        figure.add_subplot(),
        groups=[groups[column] for column in chosen],
        marked=variants.tolist(),
    )
    bar = figure.colorbar(axes.images[0], ax=axes, shrink=0.6, aspect=30, pad=0.01)
    bar.set_label("standard deviations from the mean of its controls", size=8)
    bar.ax.tick_params(labelsize=7)
    return figure


def _chosen(tree: xr.DataTree) -> Mapping[str, xr.DataTree]:
    signed = {str(child.attrs["modality"]) for child in tree.children.values() if child.attrs["signed"]}
    return {
        key: child
        for key, child in tree.children.items()
        if child.attrs["signed"] or str(child.attrs["modality"]) not in signed
    }


def _name(child: xr.Dataset, track: int) -> str:
    parts = [
        str(child[name].values[track])
        for name in ("transcription_factor", "histone_mark", "biosample_name")
        if name in child.coords and str(child[name].values[track])
    ]
    name, strand = str(child["name"].values[track]), str(child["strand"].values[track])
    text = " ".join(dict.fromkeys(parts)) or name
    return f"{text[:30]} {strand}" if strand in "+-" else text[:30]
