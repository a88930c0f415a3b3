"""Splice junctions as arcs (a sashimi panel): introns on '+' above the line, on '-' below it."""

import matplotlib.axes
import numpy as np
from ag_core.genome import Interval
from jaxtyping import Float, Int
from matplotlib.patches import Arc

COLORS = {"+": "#0072b2", "-": "#d55e00"}
MOST_ARCS = 40


def draw_arcs(
    axes: matplotlib.axes.Axes,
    starts: Int[np.ndarray, " junction"],
    ends: Int[np.ndarray, " junction"],
    strands: np.ndarray,
    counts: Float[np.ndarray, " junction"],
    view: Interval,
    most: int = MOST_ARCS,
) -> int:
    """Draws the `most` junctions in view with the largest counts, and returns how many those are.

    Starts and ends are introns, 0-based half-open; a junction with an end out of view is left out. Height is the
    length of the intron, width and darkness are the count, whose numbers stand on the strongest of each strand.
    """
    inside = np.flatnonzero((starts >= view.start) & (ends <= view.end) & (counts > 0))
    chosen = inside[np.argsort(-counts[inside], kind="stable")[:most]]
    largest = counts[chosen].max(initial=0.0)
    longest = (ends - starts)[chosen].max(initial=1)
    for index in chosen[::-1]:  # the strongest on top
        sign = 1 if strands[index] == "+" else -1
        left, right = float(starts[index]) + 0.5, float(ends[index]) + 0.5
        height = 0.25 + 0.7 * (right - left) / float(longest)
        share = float(counts[index] / largest)
        axes.add_patch(
            Arc(
                ((left + right) / 2, 0), right - left, 2 * height, theta1=0 if sign > 0 else 180,
                theta2=180 if sign > 0 else 360, color=COLORS[str(strands[index])], linewidth=0.4 + 2.2 * share,
                alpha=0.25 + 0.75 * share,
            )
        )  # fmt: skip
    for sign in "+-":
        best = next((index for index in chosen if strands[index] == sign), None)
        if best is not None:
            height = (0.25 + 0.7 * (ends[best] - starts[best]) / longest) * (1 if sign == "+" else -1)
            text = f"{counts[best]:,.0f}" if counts[best] >= 100 else f"{counts[best]:.2g}"
            axes.annotate(
                text, ((starts[best] + ends[best]) / 2, height), (0, 1.5 if sign == "+" else -1.5),
                textcoords="offset points", ha="center", va="bottom" if sign == "+" else "top", size=6.5,
                color=COLORS[sign],
            )  # fmt: skip
    axes.axhline(0, color="0.6", linewidth=0.6)
    used = {str(strands[index]) for index in chosen}
    axes.set(
        xlim=(view.start + 0.5, view.end + 0.5),
        ylim=(-1.3 if "-" in used else -0.1, 1.3 if "+" in used or not used else 0.1),
        yticks=[],
    )
    return len(chosen)
