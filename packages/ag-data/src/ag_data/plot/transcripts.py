"""The gene panel: exons as boxes, thick where translated, introns as lines with arrows of the strand, names above."""

import dataclasses
import functools
from collections.abc import Collection, Mapping, Sequence

import matplotlib.axes
import numpy as np
from ag_core.genome import Interval
from jaxtyping import Int
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from ag_data.annotation import Annotation
from ag_data.plot.axes import new_axes, set_view, width_in_points

COLOR = "#3b3b58"
FONT_SIZE = 7.5
ROW_HEIGHT = 0.27  # inches
MOST_ROWS = 12
# In points: between neighbours in a row, and between arrows.
_GAP, _ARROW_STEP = 8, 16
# In rows, downwards from the top of a row.
_NAME_BASE, _BODY, _BOX, _THIN = 0.42, 0.7, 0.34, 0.15
_ARROWS = {"+": " →", "-": " ←", ".": ""}


Coding = Mapping[str, Int[np.ndarray, "part 2"]]


@dataclasses.dataclass(frozen=True)
class GeneModel:
    """A gene (its exons merged) or one of its transcripts, 0-based half-open, possibly reaching out of view.

    `name` is empty for all but the first transcript of a gene. `coding` are the translated parts of exons, None where
    nothing is known of them.
    """

    name: str
    strand: str
    exons: Int[np.ndarray, "exon 2"]
    gene_type: str = ""
    coding: Int[np.ndarray, "part 2"] | None = None

    @property
    def start(self) -> int:
        """0-based start."""
        return int(self.exons[:, 0].min())

    @property
    def end(self) -> int:
        """0-based end, not included."""
        return int(self.exons[:, 1].max())

    @property
    def label(self) -> str:
        """The name with an arrow, since a short gene has no room for one."""
        return f"{self.name}{_ARROWS[self.strand]}" if self.name else ""


def gene_models(
    annotation: Annotation,
    interval: Interval,
    *,
    every_transcript: bool = False,
    gene_types: Collection[str] | str | None = None,
    coding: Coding | None = None,
) -> list[GeneModel]:
    """What overlaps `interval`: genes with the union of their exons, or every transcript by itself.

    Genes without a name are called by their id. `gene_types` such as "protein_coding" restricts them. `coding` has the
    translated parts of transcripts by id (`read_coding`); one that it does not know is not translated.
    """
    genes = annotation.genes_in(interval, gene_types)
    models = []
    for gene in range(len(genes["gene_id"])):
        name = str(genes["gene_name"][gene] or genes["gene_id"][gene])
        about = {"strand": str(genes["gene_strand"][gene]), "gene_type": str(genes["gene_type"][gene])}
        exons = annotation.exons_of(genes["gene_id"][gene])
        # The same id may name a second gene elsewhere (pseudo-autosomal regions).
        here = exons["chromosome"] == genes["chromosome"][gene]
        spans = np.stack([exons["start"], exons["end"]], axis=1)[here]
        ids = exons["transcript_id"][here]
        known = {one: None if coding is None else _spans(coding.get(str(one), ())) for one in dict.fromkeys(ids)}
        if not every_transcript:
            parts = [one for one in known.values() if one is not None]
            parts = None if coding is None else _union(np.concatenate([_spans(()), *parts]))
            models.append(GeneModel(name, exons=_union(spans), coding=parts, **about))
            continue
        for transcript in dict.fromkeys(ids):
            own = np.unique(spans[ids == transcript], axis=0)
            if own[:, 0].min() < interval.end and own[:, 1].max() > interval.start:
                models.append(GeneModel(name, exons=own, coding=known[transcript], **about))
                name = ""
    return models


def _spans(parts: object) -> Int[np.ndarray, "part 2"]:
    return np.asarray(parts, np.int64).reshape(-1, 2)


def _union(spans: Int[np.ndarray, "exon 2"]) -> Int[np.ndarray, "exon 2"]:
    merged: list[list[int]] = []
    for start, end in sorted(spans.tolist()):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    return np.array(merged, int).reshape(-1, 2)


def place(models: Sequence[GeneModel], view: Interval, points: float, rows: int = MOST_ROWS) -> list[int | None]:
    """A row for each model, such that neither bodies nor names overlap; None where `rows` are not enough.

    Long genes come first, to the topmost rows: what is left out is short. Transcripts without a name follow the
    named one before them. `points` is the width of the panel in points (1/72 inch).
    """
    scale = view.width / points
    taken: list[list[tuple[float, float]]] = [[] for _ in range(rows)]
    placed: list[int | None] = [None] * len(models)
    families: list[list[int]] = []
    for index, model in enumerate(models):
        if model.name or not families:
            families.append([])
        families[-1].append(index)

    def length(family: list[int]) -> int:
        return max(min(models[i].end, view.end) - max(models[i].start, view.start) for i in family)

    for family in sorted(families, key=lambda members: (-length(members), models[members[0]].start)):
        lowest = 0
        for index in family:
            start, end = _extent(models[index], view, scale)
            for row in range(lowest, rows):
                if all(end + _GAP * scale <= s or start >= e + _GAP * scale for s, e in taken[row]):
                    taken[row].append((start, end))
                    placed[index] = lowest = row
                    break
    return placed


def _extent(model: GeneModel, view: Interval, scale: float) -> tuple[float, float]:
    """0-based ends of what is drawn: the body in view and its name."""
    start, end = max(model.start, view.start), min(model.end, view.end)
    name = _label_start(model, view, scale)
    return min(start, name), max(end, name + _width(model.label) * scale)


def _label_start(model: GeneModel, view: Interval, scale: float) -> float:
    """Names begin where their gene does, but stay in view."""
    return max(view.start, min(max(model.start, view.start), view.end - _width(model.label) * scale))


@functools.lru_cache(maxsize=1 << 14)
def _width(text: str) -> float:
    """Width of a name in points."""
    font = FontProperties(style="italic", size=FONT_SIZE)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) if text else 0.0


def draw_annotation(
    annotation: Annotation,
    view: Interval,
    ax: matplotlib.axes.Axes | None = None,
    *,
    every_transcript: bool = False,
    gene_types: Collection[str] | str | None = None,
    coding: Coding | None = None,
) -> matplotlib.axes.Axes:
    """Draws the genes in view, or every transcript (see `gene_models`), and returns the axes."""
    options = {"every_transcript": every_transcript, "gene_types": gene_types, "coding": coding}
    return draw_models(gene_models(annotation, view, **options), view, ax)


def draw_models(
    models: Sequence[GeneModel], view: Interval, ax: matplotlib.axes.Axes | None = None
) -> matplotlib.axes.Axes:
    """Draws models where there is room (see `place`), and returns the axes."""
    if ax is None:
        rows = place(models, view, 9 * 72)
        ax = new_axes(None, 0.6 + panel_height(rows))
    rows = place(models, view, width_in_points(ax))
    draw_genes(ax, models, view, rows)
    set_view(ax, view)
    ax.spines["left"].set_visible(False)
    return ax


def panel_height(rows: Sequence[int | None]) -> float:
    """Inches that the rows of `place` need."""
    used = max((row + 1 for row in rows if row is not None), default=0)
    return (used + 0.5 * (None in rows)) * ROW_HEIGHT


def draw_genes(
    axes: matplotlib.axes.Axes, models: Sequence[GeneModel], view: Interval, rows: Sequence[int | None]
) -> None:
    """Draws models in the rows that `place` gave them; x is the 1-based position, y the row, downwards.

    A base at 0-based p covers [p + 0.5, p + 1.5), centred on its 1-based position.
    """
    used = max((row for row in rows if row is not None), default=0) + 1
    missing = sum(row is None for row in rows)
    axes.set(xlim=(view.start + 0.5, view.end + 0.5), ylim=(used + (0.5 if missing else 0), 0), yticks=[])
    scale = view.width / width_in_points(axes)
    for model, row in zip(models, rows, strict=True):
        if row is not None:
            _draw(axes, model, row, view, scale)
    if missing:
        noun = "gene" if missing == 1 else "genes"
        note = f"and {missing} shorter {noun} without room"
        axes.text(0, used + 0.45, note, size=FONT_SIZE, color="0.4", transform=axes.get_yaxis_transform())


def _draw(axes: matplotlib.axes.Axes, model: GeneModel, row: int, view: Interval, scale: float) -> None:
    middle = row + _BODY
    low, high = max(model.start, view.start), min(model.end, view.end)
    axes.plot([low + 0.5, high + 0.5], [middle, middle], color=COLOR, linewidth=0.8, solid_capstyle="butt", zorder=1)
    shown = model.exons[(model.exons[:, 1] > view.start) & (model.exons[:, 0] < view.end)]
    heights = {"exons": (shown, _BOX if model.coding is None else _THIN)}
    if model.coding is not None:
        coding = model.coding.reshape(-1, 2)
        heights["coding"] = coding[(coding[:, 1] > view.start) & (coding[:, 0] < view.end)], _BOX
    for label, (spans, height) in heights.items():
        boxes = [(start + 0.5, end - start) for start, end in spans.tolist()]
        # The edge keeps exons visible that are narrower than a pixel.
        style = {"facecolor": COLOR, "edgecolor": COLOR, "linewidth": 0.7, "zorder": 2, "label": label}
        axes.broken_barh(boxes, (middle - height / 2, height), **style)
    count = int((high - low) / (_ARROW_STEP * scale))
    if model.strand in "+-" and count:
        at = low + (np.arange(count) + 0.5) * (high - low) / count
        room = 3 * scale
        free = [not np.any((shown[:, 0] - room < x) & (x < shown[:, 1] + room)) for x in at]
        marker = ">" if model.strand == "+" else "<"
        axes.plot(at[free], np.full(sum(free), middle), marker, color=COLOR, markersize=2.6, zorder=1)
    if model.label:
        x = _label_start(model, view, scale) + 0.5
        axes.text(x, row + _NAME_BASE, model.label, size=FONT_SIZE, style="italic", color="0.1")
