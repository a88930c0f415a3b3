"""Genes and their transcripts: exons as boxes, thick where they are translated, arrows along the strand."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
from ag_core.errors import InputError
from ag_core.genome import Interval

from ag_data.annotation import Annotation
from ag_data.plot.components.row import Row
from ag_data.plot.transcripts import Coding, GeneModel, draw_models, gene_models, panel_height, place

_GENE_NAME = "gene_name"


@dataclasses.dataclass(frozen=True)
class TranscriptAnnotation:
    """Transcripts of an `Annotation`, or any objects with `exons`, `strand` and maybe `cds` and `info` (names).

    - `adaptive_fig_height`: as high as the rows need, or else `fig_height` inches.
    - `plot_labels_once`: one name for a gene, or for each transcript. `label_name`: the key of `info` that names it.
    - Of an `Annotation`: `every_transcript`, or genes with their exons merged; `coding` are translated parts
      (`ag_data.plot.read_coding`).
    """

    transcripts: Any
    adaptive_fig_height: bool = True
    fig_height: float = 1.0
    plot_labels_once: bool = True
    label_name: str = _GENE_NAME
    every_transcript: bool = True
    coding: Coding | None = None

    def rows(self, view: Interval, width: float) -> list[Row]:
        """As `Component`."""
        if isinstance(self.transcripts, Annotation):
            options = {"every_transcript": self.every_transcript, "coding": self.coding}
            models = gene_models(self.transcripts, view, **options)
        else:
            models = list(_models(self.transcripts, view, self.label_name))
        models = models if self.plot_labels_once else list(_name_all(models))
        height = panel_height(place(models, view, 72 * width)) + 0.1 if self.adaptive_fig_height else self.fig_height
        return [Row(height, "", lambda axes: draw_models(models, view, axes))]


def _models(transcripts: Iterable[Any], view: Interval, label_name: str) -> Iterable[GeneModel]:
    """Of transcripts that overlap the view; those of a gene follow each other and share its name."""
    found: dict[str, list[GeneModel]] = {}
    for one in transcripts:
        if isinstance(one, GeneModel):
            found.setdefault(one.name, []).append(one)
            continue
        if not all(hasattr(one, name) for name in ("exons", "strand")):
            raise InputError(f"cannot draw a {type(one).__name__} as a transcript; expected exons and strand")
        parts = {key: [(part.start, part.end) for part in getattr(one, key, None) or ()] for key in ("exons", "cds")}
        exons, coding = (np.array(sorted(spans), np.int64).reshape(-1, 2) for spans in parts.values())
        if not len(exons) or {str(part.chromosome) for part in one.exons} != {view.chromosome}:
            continue
        info = getattr(one, "info", None) or {}
        name = str(info.get(label_name) or getattr(one, "gene_id", "") or "")
        found.setdefault(name, []).append(GeneModel(name, str(one.strand), exons, coding=coding))
    for models in found.values():
        shown = [model for model in models if model.start < view.end and model.end > view.start]
        for number, model in enumerate(shown):
            yield dataclasses.replace(model, name="") if number else model


def _name_all(models: Iterable[GeneModel]) -> Iterable[GeneModel]:
    name = ""
    for model in models:
        name = model.name or name
        yield dataclasses.replace(model, name=name)
