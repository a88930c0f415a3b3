"""What a variant does to predicted tracks: REF and ALT overlaid, their difference below, genes at the foot."""

import dataclasses
import textwrap
from collections.abc import Sequence

import matplotlib.axes
import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ag_data.annotation import Annotation
from ag_data.plot.transcripts import ROW_HEIGHT, draw_genes, gene_models, place
from ag_data.query import select_tracks

MOST_PANELS = 50
# Okabe and Ito's colours: told apart with any colour vision, and the difference also by its direction.
REF_COLOR, ALT_COLOR, LOSS_COLOR = "#b4b4b4", "#0072b2", "#d55e00"
# More steps than this are pooled for drawing: no screen shows them, and filled shapes become slow.
_MOST_STEPS = 4000
# Inches.
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.75, 0.2, 0.62, 0.55
_TITLE, _CURVE, _GAP, _DIFFERENCE, _SPACE = 0.22, 0.62, 0.06, 0.36, 0.1


@dataclasses.dataclass(frozen=True)
class Panel:
    """One track over the plotted interval: `title`, bin size `resolution` in bp, and both alleles' values.

    ALT is in REF's coordinates, as scorers align it: indels must not shift it. NaN leaves a gap.
    """

    title: str
    resolution: int
    ref: Float[np.ndarray, " position"]
    alt: Float[np.ndarray, " position"]


def choose_panels(
    ref: Float[np.ndarray, "position track"],
    alt: Float[np.ndarray, "position track"],
    tracks: xr.Dataset,
    resolution: int,
    query: str = "",
    limit: int = 6,
) -> list[Panel]:
    """Panels for the `limit` tracks that fit `query` (see `ag_data.query`) and change most, the largest first.

    The change is the largest absolute difference at any position. Raises InputError for a query that is wrong or
    fits no track.
    """
    fitting = np.flatnonzero(select_tracks(tracks, query))
    if not len(fitting):
        raise InputError(f"no track fits {query!r} among {tracks.sizes['track']}; use a wider query")
    change = np.abs(np.asarray(alt, np.float32) - np.asarray(ref, np.float32))[:, fitting]
    largest = np.max(np.nan_to_num(change), axis=0, initial=0)
    chosen = fitting[np.argsort(-largest, kind="stable")[:limit]]
    names, strands = tracks["name"].values, tracks["strand"].values
    titles = [f"{names[i]} ({strands[i]})" if str(strands[i]) in "+-" else str(names[i]) for i in chosen]
    return [Panel(t, resolution, ref[:, i], alt[:, i]) for t, i in zip(titles, chosen, strict=True)]


def plot_variant(
    interval: Interval,
    variant: Variant,
    panels: Sequence[Panel],
    annotation: Annotation | None = None,
    *,
    view: Interval | None = None,
    width: float = 10.0,
    share_y: bool = False,
    every_transcript: bool = False,
    title: str | None = None,
) -> Figure:
    """A figure with two axes for each panel (values, then ALT - REF) and, with an annotation, the genes.

    - `interval`: what the panels' arrays cover (0-based half-open); `view`: the part to show, all by default.
    - `width`: of the figure in inches; its height follows from the panels.
    - `share_y`: the same scale for all panels.
    - `every_transcript`: one row for each transcript, instead of each gene with its exons merged.
    - `title`: replaces the variant's text.

    The x axis is the 1-based position: a base is drawn centred on it. More than 4,000 bins in view are pooled to
    the extreme of each group. Save with `figure.savefig`. Raises InputError for no or more than 50 panels or a
    view outside the interval, ValueError for arrays that do not cover the interval.
    """
    if not 1 <= len(panels) <= MOST_PANELS:
        raise InputError(f"{len(panels)} panels; expected 1 to {MOST_PANELS}: use `choose_panels`")
    view = _check_view(interval, view)
    steps = [_steps(panel, interval, view) for panel in panels]
    models = gene_models(annotation, view, every_transcript=every_transcript) if annotation else []
    rows = place(models, view, (width - _LEFT - _RIGHT) * 72)
    gene_rows = max((row + 1 for row in rows if row is not None), default=0) + 0.5 * (None in rows)
    genes = gene_rows * ROW_HEIGHT + _SPACE if models else 0.0
    height = _TOP + _BOTTOM + genes + len(panels) * (_TITLE + _CURVE + _GAP + _DIFFERENCE + _SPACE)
    figure = Figure(figsize=(width, height))
    top = _TOP

    def add(size: float, label: str) -> matplotlib.axes.Axes:
        nonlocal top
        box = (_LEFT / width, 1 - (top + size) / height, 1 - (_LEFT + _RIGHT) / width, size / height)
        top += size
        axes = figure.add_axes(box, label=label, xlim=(view.start + 0.5, view.end + 0.5))
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7.5, length=2.5)
        _mark(axes, variant, view)
        return axes

    common = [values for step in steps for values in step[1:3]]
    differences = [step[3] for step in steps]
    for panel, (edges, ref, alt, difference) in zip(panels, steps, strict=True):
        top += _TITLE
        axes = add(_CURVE, panel.title)
        _draw_curves(axes, edges, ref, alt, _largest(common if share_y else [ref, alt]))
        axes.set_title(textwrap.shorten(panel.title, 110, placeholder=" ..."), size=8.5, loc="left", pad=3)
        top += _GAP
        below = add(_DIFFERENCE, f"{panel.title} difference")
        fill_difference(below, edges, difference, _largest(differences if share_y else [difference]))
        top += _SPACE
    if models:
        top += _SPACE / 2
        axes = add(gene_rows * ROW_HEIGHT, "genes")
        draw_genes(axes, models, view, rows)
        axes.spines["left"].set_visible(False)
    _finish(figure, view, title or variant.as_truncated_str(20))
    return figure


def _check_view(interval: Interval, view: Interval | None) -> Interval:
    if view is not None and not (interval.contains(view) and view.width):
        raise InputError(f"view {view} is not within the plotted interval {interval}; choose one inside")
    return view or interval


def _steps(panel: Panel, interval: Interval, view: Interval) -> tuple[np.ndarray, ...]:
    """Edges (1-based scale) and values of REF, ALT and ALT - REF for the bins in view."""
    ref, alt = (np.asarray(values, np.float64) for values in (panel.ref, panel.alt))
    expected = (interval.width // panel.resolution,)
    if ref.shape != expected or alt.shape != expected:
        raise ValueError(
            f"panel {panel.title!r} has REF {ref.shape} and ALT {alt.shape}; expected {expected}: {interval} in "
            f"bins of {panel.resolution} bp"
        )
    first = (view.start - interval.start) // panel.resolution
    last = min(-(-(view.end - interval.start) // panel.resolution), len(ref))
    edges = interval.start + 0.5 + panel.resolution * np.arange(first, last + 1)
    ref, alt = ref[first:last], alt[first:last]
    values = [ref, alt, alt - ref]
    group = -(-len(ref) // _MOST_STEPS)
    if group > 1:
        edges = np.append(edges[:-1:group], edges[-1])
        values = [_pool(each, group) for each in values]
    return edges, *values


def _pool(values: Float[np.ndarray, " position"], group: int) -> Float[np.ndarray, " step"]:
    """The value of largest magnitude in each group of neighbours."""
    groups = np.append(values, np.full(-len(values) % group, np.nan)).reshape(-1, group)
    largest = np.argmax(np.nan_to_num(np.abs(groups), nan=-1.0), axis=1)
    return groups[np.arange(len(groups)), largest]


def _largest(arrays: Sequence) -> float:
    """The largest magnitude; what is not finite does not count."""
    return max(float(np.max(np.abs(array), where=np.isfinite(array), initial=0)) for array in arrays)


def _draw_curves(axes: matplotlib.axes.Axes, edges, ref, alt, largest: float) -> None:
    axes.stairs(ref, edges, fill=True, color=REF_COLOR, linewidth=0, label="REF")
    axes.stairs(alt, edges, baseline=None, color=ALT_COLOR, linewidth=1.0, label="ALT")
    low = min(float(np.min(x, where=np.isfinite(x), initial=0)) for x in (ref, alt))
    axes.set_ylim(1.05 * low, 1.08 * (largest or 1))
    axes.set_yticks(*([0, largest], ["0", _number(largest)]) if largest else ([0], ["0"]))
    axes.tick_params(axis="x", bottom=False, labelbottom=False)
    axes.spines["bottom"].set_visible(low < 0)


def fill_difference(
    axes: matplotlib.axes.Axes,
    edges: Float[np.ndarray, " edge"],
    difference: Float[np.ndarray, " position"],
    largest: float,
) -> None:
    """Draws ALT - REF between edges on the 1-based scale: gains above the line, losses below, up to `largest`."""
    for sign, color in ((1, ALT_COLOR), (-1, LOSS_COLOR)):
        part = np.where(difference * sign > 0, difference, 0.0)
        axes.stairs(part, edges, fill=True, color=color, linewidth=0)
    axes.axhline(0, color="0.5", linewidth=0.5)
    # Room beyond the extremes keeps the labels clear of those of the curves above.
    axes.set_ylim(-1.35 * (largest or 1), 1.35 * (largest or 1))
    labels = [f"\N{MINUS SIGN}{_number(largest)}", f"+{_number(largest)}"]
    axes.set_yticks(*([-largest, largest], labels) if largest else ([0], ["0"]))
    axes.tick_params(axis="x", bottom=False, labelbottom=False)
    axes.spines["bottom"].set_visible(False)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2g}" if value < 100 else f"{value:.0f}"


def _mark(axes: matplotlib.axes.Axes, variant: Variant, view: Interval) -> None:
    """A line at the variant's first base, and a shade over the others of REF."""
    if variant.chromosome != view.chromosome or not view.start <= variant.start < view.end:
        return
    axes.axvline(variant.position, color="0.15", linewidth=0.7, linestyle=(0, (3, 2)), zorder=5)
    if len(variant.reference_bases) > 1:
        axes.axvspan(variant.start + 0.5, variant.end + 0.5, color="0.15", alpha=0.12, linewidth=0)


def _finish(figure: Figure, view: Interval, title: str) -> None:
    axes = figure.axes[-1]
    axes.spines["bottom"].set_visible(True)
    axes.tick_params(axis="x", bottom=True, labelbottom=True, labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.set_xlabel(f"{view.chromosome}, position in bp", size=8.5)
    width, height = figure.get_size_inches()
    left, line = _LEFT / width, 0.22 / height
    figure.text(left, 1 - line, title, size=11, weight="bold", va="center")
    figure.text(left, 1 - 2 * line, f"{view.region}, {view.width:,} bp", size=8.5, color="0.35", va="center")
    keys = [
        Patch(color=REF_COLOR, linewidth=0, label="REF"),
        Line2D([], [], color=ALT_COLOR, linewidth=1.4, label="ALT"),
        Patch(color=ALT_COLOR, linewidth=0, label="gain (ALT > REF)"),
        Patch(color=LOSS_COLOR, linewidth=0, label="loss"),
    ]
    figure.legend(
        handles=keys, loc="upper right", bbox_to_anchor=(1 - _RIGHT / width, 1 - 0.1 / height), ncols=4,
        fontsize=8, frameon=False, handlelength=1.2, columnspacing=1.2, borderaxespad=0,
    )  # fmt: skip
