"""A figure of panels one above the other over the same positions, their names on the left, one axis below."""

import textwrap
from collections.abc import Sequence

import matplotlib.axes
from ag_core.genome import Interval
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ag_data.plot.axes import set_view

# Inches.
LEFT, RIGHT, TOP, BOTTOM, SPACE = 2.0, 0.7, 0.75, 0.5, 0.13
LINE = 0.15  # of names
_LARGE, _SMALL = 8.5, 7


class Stack:
    """`add` gives the axes of the next of `sizes` (heights in inches); `finish` draws the axis and the title."""

    def __init__(self, view: Interval, sizes: Sequence[float], width: float):
        self.view, self.width, self._sizes, self._number = view, width, sizes, 0
        self.height = TOP + BOTTOM + sum(size + SPACE for size in sizes)
        self.figure = Figure(figsize=(width, self.height))
        self._top = TOP
        self._panels: list[matplotlib.axes.Axes] = []

    def add(self, label: str) -> matplotlib.axes.Axes:
        """Empty axes over the view."""
        size = self._sizes[len(self._panels)]
        width, height = self.width, self.height
        box = (LEFT / width, 1 - (self._top + size) / height, 1 - (LEFT + RIGHT) / width, size / height)
        self._top += size + SPACE
        axes = self.figure.add_axes(box, label=label)
        self._panels.append(axes)
        return axes

    def tidy(self, axes: matplotlib.axes.Axes) -> None:
        """Takes from a panel what only the last one needs."""
        set_view(axes, self.view)
        axes.spines[["bottom", "top", "right"]].set_visible(False)
        axes.set_xlabel("")
        axes.tick_params(labelsize=6.5, length=2, pad=1.5)
        axes.tick_params(axis="x", which="both", bottom=False, labelbottom=False)

    def name(self, axes: matplotlib.axes.Axes, lines: Sequence[tuple[str, str]]) -> None:
        """Lines left of a panel as (text, colour); the first is in bold where its colour is not grey."""
        box = axes.get_position()
        lines = [(text, color) for text, color in lines if text]
        top = (box.y0 + box.y1) / 2 + (len(lines) - 1) / 2 * LINE / self.height
        for number, (text, color) in enumerate(lines):
            bold = not color.startswith("0.") or color == "0.15"
            y, size = top - number * LINE / self.height, _LARGE if bold else _SMALL
            weight = "bold" if bold else "normal"
            shown = textwrap.shorten(text, 34 if not bold else 28, placeholder=" ...")
            self.figure.text(0.08 / self.width, y, shown, size=size, weight=weight, color=color, va="center")

    def color_bar(self, axes: matplotlib.axes.Axes, mappable, label: str = "") -> None:
        """A bar right of a panel."""
        box = axes.get_position()
        place = (box.x1 + 0.12 / self.width, box.y0 + 0.1 * box.height, 0.09 / self.width, 0.8 * box.height)
        bar = self.figure.add_axes(place, label="color bar")
        self.figure.colorbar(mappable, cax=bar)
        bar.tick_params(labelsize=6.5, length=2, pad=1.5)
        bar.yaxis.set_major_locator(MaxNLocator(3))
        bar.set_title(label, size=6, color="0.3", pad=4, loc="center")

    def finish(self, title: str) -> Figure:
        """Positions below the last panel, title and region above the first."""
        axes = self._panels[-1]
        axes.spines["bottom"].set_visible(True)
        axes.tick_params(axis="x", bottom=True, labelbottom=True, labelsize=8, length=3)
        axes.set_xlabel(f"{self.view.chromosome}, position in bp", size=8.5)
        left, view = 0.08 / self.width, self.view
        self.figure.text(left, 1 - 0.22 / self.height, title, size=11, weight="bold", va="center")
        region = f"{view.region}, {view.width:,} bp"
        self.figure.text(left, 1 - 0.47 / self.height, region, size=8.5, color="0.35", va="center")
        return self.figure
