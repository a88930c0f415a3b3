"""All predictions of one place in one figure: tracks filled, contact maps as triangles, junctions as arcs, genes."""

import dataclasses
import textwrap
from collections.abc import Iterator, Mapping

import matplotlib.axes
import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ag_data.annotation import Annotation
from ag_data.export.tree import interval_of, leaves, values_of
from ag_data.plot.arcs import draw_arcs
from ag_data.plot.contact_map import draw_contact_map
from ag_data.plot.transcripts import ROW_HEIGHT, draw_genes, gene_models, place

# Okabe and Ito's colours, told apart with any colour vision; one for each modality, in turn.
COLORS = ("#0072b2", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#e69f00", "#5b5b8c")
_MOST_STEPS = 3000  # more bins than this are pooled: no screen shows them
# Inches.
_LEFT, _RIGHT, _TOP, _BOTTOM, _SPACE = 2.0, 0.7, 0.75, 0.5, 0.13
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

    - Tracks of one name on '+' and '-' share a panel, '-' hanging down. Bins in view beyond 3,000 are pooled to
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
    placed = place(models, view, (width - _LEFT - _RIGHT) * 72)
    genes = (max((row + 1 for row in placed if row is not None), default=0) + 0.5 * (None in placed)) * ROW_HEIGHT
    height = _TOP + _BOTTOM + sum(_HEIGHTS[row.kind] + _SPACE for row in rows) + (genes + _SPACE if models else 0)
    figure = Figure(figsize=(width, height))
    top = _TOP

    def add(size: float, label: str) -> matplotlib.axes.Axes:
        nonlocal top
        box = (_LEFT / width, 1 - (top + size) / height, 1 - (_LEFT + _RIGHT) / width, size / height)
        top += size + _SPACE
        axes = figure.add_axes(box, label=label, xlim=(view.start + 0.5, view.end + 0.5))
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.tick_params(labelsize=6.5, length=2, pad=1.5)
        axes.tick_params(axis="x", bottom=False, labelbottom=False)
        return axes

    color = {name: COLORS[number % len(COLORS)] for number, name in enumerate(dict.fromkeys(r.modality for r in rows))}
    before = ""
    for row in rows:
        axes = add(_HEIGHTS[row.kind], f"{row.modality} {row.label}")
        if row.kind == ("junction", "track"):
            _draw_junctions(axes, row, view)
        elif row.kind == ("position", "track"):
            _draw_track(axes, row, view, color[row.modality])
        else:
            _draw_map(figure, axes, row, view)
        _name(axes, row.modality if row.modality != before else "", row.label, color[row.modality])
        before = row.modality
    if models:
        draw_genes(add(genes, "genes"), models, view, placed)
        figure.axes[-1].spines["left"].set_visible(False)
        _name(figure.axes[-1], "genes", "", "0.15")
    _finish(figure, view, title)
    return figure


def _rows(tree: xr.DataTree, place_name: str, most: int) -> Iterator[_Row]:
    found = [(modality, dataset) for modality, place, dataset in leaves(tree) if place == place_name]
    order = list(_HEIGHTS)
    for modality, dataset in sorted(found, key=lambda item: order.index(values_of(item[1]).dims)):
        names = dataset["name"].values.astype(str)
        stranded = dataset["strand"].dims == ("track",)
        strands = dataset["strand"].values.astype(str) if stranded else ["."] * len(names)
        for name in list(dict.fromkeys(names))[:most]:
            tracks = {strand: i for i, (each, strand) in enumerate(zip(names, strands, strict=True)) if each == name}
            if values_of(dataset).ndim == 2:
                yield _Row(modality, str(name), dataset, tracks)
            else:
                for track in tracks.values():
                    yield _Row(modality, str(name), dataset, {".": track})


def _draw_track(axes: matplotlib.axes.Axes, row: _Row, view: Interval, color: str) -> None:
    interval, resolution = interval_of(row.dataset), row.dataset.attrs["resolution"]
    first = (view.start - interval.start) // resolution
    last = -(-(view.end - interval.start) // resolution)
    low, high = 0.0, 0.0
    for strand, track in row.tracks.items():
        values = np.nan_to_num(values_of(row.dataset)[first:last, track].values.astype(np.float64))
        edges = interval.start + 0.5 + resolution * np.arange(first, first + len(values) + 1)
        values, edges = _pool(values, edges)
        sign = -1 if strand == "-" else 1
        axes.stairs(sign * values, edges, fill=True, color=color, alpha=0.55 if strand == "-" else 1, linewidth=0)
        low, high = min(low, *(sign * values)), max(high, *(sign * values))
    reach = max(high, -low) or 1.0
    both = "-" in row.tracks and len(row.tracks) > 1
    bottom = -reach if both else (-reach if "-" in row.tracks else 0.0)
    axes.set_ylim(1.05 * bottom, 1.05 * reach if bottom == 0 or both else 0)
    ticks = [tick for tick in (bottom, 0.0, reach) if both or tick != reach or bottom == 0]
    axes.set_yticks(ticks, [_number(abs(tick)) for tick in ticks])
    axes.axhline(0, color="0.6", linewidth=0.5)


def _pool(
    values: Float[np.ndarray, " position"], edges: Float[np.ndarray, " edge"]
) -> tuple[Float[np.ndarray, " step"], Float[np.ndarray, " step_edge"]]:
    group = -(-len(values) // _MOST_STEPS)
    if group <= 1:
        return values, edges
    return np.maximum.reduceat(values, np.arange(0, len(values), group)), np.append(edges[:-1:group], edges[-1])


def _draw_map(figure: Figure, axes: matplotlib.axes.Axes, row: _Row, view: Interval) -> None:
    values = values_of(row.dataset)[:, :, row.tracks["."]].values
    pixels = draw_contact_map(axes, values, interval_of(row.dataset), row.dataset.attrs["resolution"], view)
    axes.set_yticks([0, view.width / 2], ["0", f"{view.width / 2000:,.0f} kb"])
    box = axes.get_position()
    size = figure.get_size_inches()
    bar = figure.add_axes((box.x1 + 0.12 / size[0], box.y0 + 0.1 * box.height, 0.09 / size[0], 0.8 * box.height))
    figure.colorbar(pixels, cax=bar)
    bar.tick_params(labelsize=6.5, length=2, pad=1.5)
    bar.yaxis.set_major_locator(MaxNLocator(3))


def _draw_junctions(axes: matplotlib.axes.Axes, row: _Row, view: Interval) -> None:
    data = row.dataset
    counts = values_of(data)[:, next(iter(row.tracks.values()))].values
    draw_arcs(axes, data["start"].values, data["end"].values, data["strand"].values, counts, view)
    axes.spines["left"].set_visible(False)


def _name(axes: matplotlib.axes.Axes, modality: str, label: str, color: str) -> None:
    """The modality in bold and the track below it, left of the panel."""
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    box, (width, height) = axes.get_position(), figure.get_size_inches()
    middle, line = (box.y0 + box.y1) / 2, 0.075 / height
    x = 0.08 / width
    shift = line if modality and label else 0.0
    if modality:
        figure.text(x, middle + shift, modality.replace("_", " "), size=8.5, weight="bold", color=color, va="center")
    if label:
        figure.text(
            x, middle - shift, textwrap.shorten(label, 28, placeholder=" ..."), size=7, color="0.3", va="center"
        )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _finish(figure: Figure, view: Interval, title: str) -> None:
    axes = next(axes for axes in reversed(figure.axes) if axes.get_xlim() == (view.start + 0.5, view.end + 0.5))
    axes.spines["bottom"].set_visible(True)
    axes.tick_params(axis="x", bottom=True, labelbottom=True, labelsize=8, length=3)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.set_xlabel(f"{view.chromosome}, position in bp", size=8.5)
    width, height = figure.get_size_inches()
    figure.text(0.08 / width, 1 - 0.22 / height, title, size=11, weight="bold", va="center")
    figure.text(
        0.08 / width, 1 - 0.47 / height, f"{view.region}, {view.width:,} bp", size=8.5, color="0.35", va="center"
    )
