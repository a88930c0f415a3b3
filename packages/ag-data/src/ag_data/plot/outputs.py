"""All predictions of one place in one figure: tracks filled, contact maps as triangles, junctions as arcs, genes."""

import dataclasses
from collections.abc import Iterator, Mapping

import matplotlib.axes
import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from matplotlib.figure import Figure

from ag_data.annotation import Annotation
from ag_data.export.tree import interval_of, leaves, values_of
from ag_data.plot.arcs import draw_arcs
from ag_data.plot.axes import COLORS
from ag_data.plot.contact_map import draw_contact_map
from ag_data.plot.signal import draw_track
from ag_data.plot.stack import LEFT, RIGHT, Stack
from ag_data.plot.transcripts import draw_genes, gene_models, panel_height, place
from ag_data.plot.windows import MOST_STEPS, bins_dataset, pool_bins

# Inches.
_HEIGHTS = {("position", "track"): 0.5, ("position", "position_2", "track"): 1.5, ("junction", "track"): 1.0}


@dataclasses.dataclass(frozen=True)
class _Row:
    """One panel: an array and the track(s) of it that share a name, by strand."""

    modality: str
    label: str
    dataset: xr.Dataset
    tracks: Mapping[str, int]

    @property
    def kind(self) -> tuple[str, ...]:
        return tuple(map(str, values_of(self.dataset).dims))


def plot_outputs(
    tree: xr.DataTree,
    annotation: Annotation | None = None,
    *,
    place_name: str = "",
    view: Interval | None = None,
    most: int = 2,
    width: float = 11.0,
    title: str = "",
    every_transcript: bool = False,
) -> Figure:
    """A figure of a tree of predictions (`ag_data.export.tree`): for each modality the first `most` tracks.

    - Tracks of one name on '+' and '-' share a panel, '-' hanging down. Bins in view beyond 1,500 are pooled to
      their largest value.
    - `place_name`: which of many places (REF and ALT of a variant, regions of a BED file).
    - `view`: the part to show, all by default; `width` in inches, the height follows.

    x is the 1-based position. Raises InputError for a place or view that is not there.
    """
    rows = list(_rows(tree, place_name, most))
    if not rows:
        known = ", ".join(sorted({place or "''" for _, place, _ in leaves(tree)}))
        raise InputError(f"no predictions of place {place_name!r}; there are {known}")
    whole = interval_of(rows[0].dataset, "region").as_unstranded()
    view = (view or whole).as_unstranded()
    if not whole.contains(view) or not view.width:
        raise InputError(f"view {view} is not within {whole}; choose one inside")
    models = gene_models(annotation, view, every_transcript=every_transcript) if annotation else []
    placed = place(models, view, (width - LEFT - RIGHT) * 72)
    stack = Stack(view, [*(_HEIGHTS[row.kind] for row in rows), *([panel_height(placed)] if models else [])], width)
    color = {name: COLORS[number % len(COLORS)] for number, name in enumerate(dict.fromkeys(r.modality for r in rows))}
    before = ""
    for row in rows:
        axes = stack.add(f"{row.modality} {row.label}")
        if row.kind == ("junction", "track"):
            _draw_junctions(axes, row, view)
        elif row.kind == ("position", "track"):
            draw_track(_signal(row, view), view, axes, color=color[row.modality])
        else:
            _draw_map(stack, axes, row, view)
        axes.set_ylabel("")
        stack.tidy(axes)
        heading = row.modality.replace("_", " ") if row.modality != before else ""
        stack.name(axes, [(heading, color[row.modality]), (row.label, "0.3")])
        before = row.modality
    if models:
        axes = stack.add("genes")
        draw_genes(axes, models, view, placed)
        stack.tidy(axes)
        axes.spines["left"].set_visible(False)
        stack.name(axes, [("genes", "0.15")])
    return stack.finish(title)


def _rows(tree: xr.DataTree, place_name: str, most: int) -> Iterator[_Row]:
    found = [(modality, dataset) for modality, place, dataset in leaves(tree) if place == place_name]
    order = list(_HEIGHTS)
    for modality, dataset in sorted(found, key=lambda item: order.index(values_of(item[1]).dims)):
        names = dataset["name"].values.astype(object)
        stranded = dataset["strand"].dims == ("track",)
        strands = dataset["strand"].values.astype(object) if stranded else ["."] * len(names)
        for name in list(dict.fromkeys(names))[:most]:
            tracks = {strand: i for i, (each, strand) in enumerate(zip(names, strands, strict=True)) if each == name}
            if values_of(dataset).ndim == 2:
                yield _Row(modality, str(name), dataset, tracks)
            else:
                for track in tracks.values():
                    yield _Row(modality, str(name), dataset, {".": track})


def _signal(row: _Row, view: Interval) -> xr.DataArray:
    """Bins in view of the tracks that share a panel."""
    interval, resolution = interval_of(row.dataset), row.dataset.attrs["resolution"]
    first = (view.start - interval.start) // resolution
    last = -(-(view.end - interval.start) // resolution)
    values = values_of(row.dataset)[first:last, list(row.tracks.values())].values
    group = -(-len(values) // MOST_STEPS)
    edges = interval.start + resolution * np.append(np.arange(first, first + len(values), group), first + len(values))
    window = bins_dataset(pool_bins(values, group), edges[:-1], edges[1:])
    return window["signal"].assign_coords(strand=("track", list(row.tracks)))


def _draw_map(stack: Stack, axes: matplotlib.axes.Axes, row: _Row, view: Interval) -> None:
    values = values_of(row.dataset)[:, :, row.tracks["."]].values
    pixels = draw_contact_map(axes, values, interval_of(row.dataset), row.dataset.attrs["resolution"], view)
    axes.set_yticks([0, view.width / 2], ["0", f"{view.width / 2000:,.0f} kb"])
    stack.color_bar(axes, pixels)


def _draw_junctions(axes: matplotlib.axes.Axes, row: _Row, view: Interval) -> None:
    data = row.dataset
    counts = values_of(data)[:, next(iter(row.tracks.values()))].values
    draw_arcs(axes, data["start"].values, data["end"].values, data["strand"].values, counts, view)
    axes.spines["left"].set_visible(False)
