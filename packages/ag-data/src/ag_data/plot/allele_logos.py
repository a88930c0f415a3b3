"""The logo of REF above that of ALT on one scale, base under base, also where an indel shifts one against the other."""

import matplotlib.axes
import numpy as np
from ag_core.genome import Interval, Variant
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from ag_data.personal import INSERTED, reference_positions
from ag_data.plot.axes import set_view
from ag_data.plot.indels import mark_variant, spans
from ag_data.plot.logo import MAX_WIDTH, check_scores, check_width, draw_letters, finish_logo, reach

Columns = tuple[Float[np.ndarray, " base"], Float[np.ndarray, " base"]]


def draw_allele_logos(
    ref: Float[np.ndarray, "position base"],
    alt: Float[np.ndarray, "position base"],
    interval: Interval,
    variant: Variant,
    axes: tuple[matplotlib.axes.Axes, matplotlib.axes.Axes] | None = None,
    *,
    view: Interval | None = None,
    spread: bool = True,
    max_width: int = MAX_WIDTH,
) -> tuple[matplotlib.axes.Axes, matplotlib.axes.Axes]:
    """Draws both alleles' scores over `interval`, ALT's in its own coordinates, and returns the axes of REF and ALT.

    Deleted bases are a hatched gap in ALT. For inserted ones REF has a gap with `spread`: what follows moves right,
    though the labels of the axis stay positions of the genome. Without it (below other panels over the genome)
    they share the room of the base before them. The two have one scale. Raises as `draw_logo`.
    """
    upper, view = check_scores(ref, interval, view)
    check_scores(alt, interval, view)
    check_width(view, max_width)
    if axes is None:
        figure = Figure(figsize=(10, 2.4), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, sharey=True)
        axes = above, below
    gone, new = spans(variant)
    edge = gone.start  # 0-based, where inserted bases begin
    room = new if spread and view.start < edge < view.end else 0
    starts = view.start + np.arange(view.width)
    lefts = starts + 0.5 + np.where(starts >= edge, room, 0)
    lower, columns = _alternate(alt, interval, variant, view, room)
    limits = reach([upper, lower])
    for ax, label, scores, (left, width) in zip(
        axes, ("REF", "ALT"), (upper, lower), ((lefts, np.ones(view.width)), columns), strict=True
    ):
        set_view(ax, view)
        draw_letters(ax, scores, left, width)
        finish_logo(ax, limits)
        ax.set_ylabel(label, size=8.5, rotation=0, ha="right", va="center")
        if room:
            ax.set_xlim(view.start + 0.5, view.end + room + 0.5)
            _label_positions(ax, view, edge, room)
            bar = ax.axvspan(edge + 0.5, edge + room + 0.5, facecolor="#f3e3ec", linewidth=0, zorder=0.4)
            bar.set_label("inserted")
            if label == "REF":
                ax.text(edge + 0.5 + room / 2, 0.97, f"+{new:,} bp", size=6.5, color="#a0527e", ha="center", va="top",
                        transform=ax.get_xaxis_transform())  # fmt: skip
        elif label == "ALT" or not gone.width:
            mark_variant(ax, variant, view, label=label == "ALT")
    axes[0].set_xlabel("")
    axes[0].tick_params(axis="x", labelbottom=False)
    return axes


def _alternate(
    alt: Float[np.ndarray, "position base"], interval: Interval, variant: Variant, view: Interval, room: int
) -> tuple[Float[np.ndarray, "base_in_view base"], Columns]:
    """Scores of ALT's bases in view, and the left edges and widths of their letters."""
    places = reference_positions(interval.as_unstranded(), [variant])
    gone, new = spans(variant)
    inserted = places == INSERTED
    order = np.cumsum(inserted)  # 1 for the first inserted base, and so on
    lefts = places + 0.5 + np.where(places >= gone.start, room, 0)
    widths = np.ones(len(places))
    if room:
        lefts[inserted] = gone.start - 0.5 + order[inserted]
    elif inserted.any():
        share = 1 / (new + 1)
        anchor = places == gone.start - 1
        lefts[inserted] = gone.start - 0.5 + share * order[inserted]
        widths[inserted | anchor] = share
    positions = np.where(inserted, gone.start - 1, places)
    shown = (positions >= view.start) & (positions < view.end)
    return np.nan_to_num(alt[shown].astype(np.float64)), (lefts[shown], widths[shown])


def _label_positions(axes: matplotlib.axes.Axes, view: Interval, edge: int, room: int) -> None:
    """Labels are positions of the genome; inserted bases have none."""
    ticks = MaxNLocator(6, integer=True).tick_values(view.start + 1, view.end)
    axes.xaxis.set_major_locator(FixedLocator([tick + (room if tick > edge else 0) for tick in ticks]))

    def label(x: float, _: object = None) -> str:
        if x <= edge + 0.5:
            return f"{x:,.0f}"
        return "" if x < edge + room + 0.5 else f"{x - room:,.0f}"

    axes.xaxis.set_major_formatter(FuncFormatter(label))
