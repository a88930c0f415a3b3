"""What single bases do: sequence logos, those of two alleles, and the effects of all substitutions."""

import dataclasses
from typing import Any

import matplotlib.axes
import numpy as np
from ag_core.errors import InputError
from ag_core.genome import Interval
from jaxtyping import Float

from ag_data.plot.allele_logos import draw_allele_logos
from ag_data.plot.components.row import Row
from ag_data.plot.inputs import as_interval, as_variant
from ag_data.plot.logo import BASES, MAX_WIDTH, check_scores, check_width, draw_logo
from ag_data.plot.mutations import draw_mutations

Scores = Float[np.ndarray, "position base"]


@dataclasses.dataclass(frozen=True)
class SeqLogo:
    """Letters as tall as `scores` over `scores_interval`, columns in the order of `alphabet`.

    `max_width` in bp: InputError above, unless `style` is "bars"; `ylim`: of the axis. See `draw_logo`.
    """

    scores: Scores
    scores_interval: Any
    fig_height: float = 1.0
    alphabet: str = BASES
    max_width: int = MAX_WIDTH
    ylabel: str = ""
    ylabel_horizontal: bool = True
    ylim: tuple[float, float] | None = None
    style: str = "letters"

    def rows(self, view: Interval, width: float) -> list[Row]:
        """As `Component`."""
        scores, view = _in_view(in_order(self.scores, self.alphabet), as_interval(self.scores_interval), view)
        if self.style == "letters":
            check_width(view, self.max_width)
        options = {"style": self.style, "ylim": self.ylim, "max_width": self.max_width}
        return [
            Row(
                self.fig_height,
                self.ylabel,
                lambda axes: draw_logo(scores, view, axes, **options),
                self.ylabel_horizontal,
            )
        ]


@dataclasses.dataclass(frozen=True)
class AlleleLogos:
    """The logo of REF above that of ALT on one scale, base under base (see `draw_allele_logos`).

    `alt_scores` are in ALT's coordinates from the start of the same interval. Inserted bases share the room of the one
    before them, since the rows of a figure have one axis. `fig_height` is that of each.
    """

    ref_scores: Scores
    alt_scores: Scores
    scores_interval: Any
    variant: Any
    fig_height: float = 1.0
    alphabet: str = BASES
    max_width: int = MAX_WIDTH

    def rows(self, view: Interval, width: float) -> list[Row]:
        """As `Component`."""
        interval, variant = as_interval(self.scores_interval), as_variant(self.variant)
        ref, alt = (in_order(scores, self.alphabet) for scores in (self.ref_scores, self.alt_scores))
        shown = _shared(interval, view)
        check_width(shown, self.max_width)
        pair: list[matplotlib.axes.Axes] = []

        def draw(axes: matplotlib.axes.Axes) -> None:
            pair.append(axes)
            if len(pair) == 2:
                options = {"view": shown, "spread": False, "max_width": self.max_width}
                draw_allele_logos(ref, alt, interval, variant, (pair[0], pair[1]), **options)

        return [Row(self.fig_height, label, draw) for label in ("REF", "ALT")]


@dataclasses.dataclass(frozen=True)
class Mutations:
    """A heat map of the effects of all substitutions over `effects_interval` (see `draw_mutations`)."""

    effects: Scores
    effects_interval: Any
    reference: str = ""
    fig_height: float = 1.2
    alphabet: str = BASES
    limit: float | None = None
    ylabel: str = ""
    ylabel_horizontal: bool = True

    def rows(self, view: Interval, width: float) -> list[Row]:
        """As `Component`."""
        effects, interval = in_order(self.effects, self.alphabet), as_interval(self.effects_interval)
        shown = _shared(interval, view)

        def draw(axes: matplotlib.axes.Axes) -> None:
            draw_mutations(effects, interval, axes, reference=self.reference, view=shown, limit=self.limit)
            bar = axes.inset_axes((1.01, 0.0, 0.012, 1.0), label="color bar")
            axes.figure.colorbar(axes.collections[0], cax=bar)
            bar.tick_params(labelsize=7, length=2)

        return [Row(self.fig_height, self.ylabel, draw, self.ylabel_horizontal)]


def in_order(scores: Scores, alphabet: str) -> Scores:
    """Columns in the order ACGT. Raises InputError for other letters."""
    if sorted(alphabet.upper()) != sorted(BASES):
        raise InputError(f"alphabet {alphabet!r}: expected the letters {BASES} in some order")
    return scores[:, [alphabet.upper().index(base) for base in BASES]]


def _in_view(scores: Scores, interval: Interval, view: Interval) -> tuple[Scores, Interval]:
    return check_scores(scores, interval, _shared(interval, view))


def _shared(interval: Interval, view: Interval) -> Interval:
    shared = view.intersect(interval)
    if shared is None:
        raise InputError(f"nothing to draw in {view.region}: scores cover {interval.region}; choose an interval within")
    return shared
