"""Runs an evaluation of genome tracks that a YAML file describes: a store of measured tracks against predictions."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from ag_core.checkpoint import Checkpoint
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_data import Genome, open_genome, open_store, read_gtf
from ag_data.regions import regions_table
from rich.console import Console
from rich.progress import track as show_progress

from ag_eval.declared_benchmark import AbstractDeclaredBenchmark
from ag_eval.held_out import find_windows
from ag_eval.results import make_results
from ag_eval.seen import find_seen
from ag_eval.tracks.cases import make_cases, name_undefined
from ag_eval.tracks.checks import check_store, choose_modalities, departures, describe_held_out, describe_matches
from ag_eval.tracks.contacts import ContactDifferences, ContactTracks
from ag_eval.tracks.coverage import CoverageTracks
from ag_eval.tracks.gene_expression import ExpressionTracks
from ag_eval.tracks.peak_profiles import ProfileTracks
from ag_eval.tracks.points import attach_points
from ag_eval.tracks.questions import MODEL, AbstractQuestion, Setting
from ag_eval.tracks.settings import LOWER_IS_BETTER, Measure, TrackSettings, read_settings
from ag_eval.tracks.splicing import JunctionCounts, JunctionPairs, JunctionRatios, SpliceSites
from ag_eval.tracks.window_sums import draw_windows
from ag_eval.tracks.windows import Window, match_tracks, predict_windows

REPEATS = 1000
QUESTIONS: dict[Measure, type[AbstractQuestion]] = {
    "coverage": CoverageTracks,
    "profile": ProfileTracks,
    "expression": ExpressionTracks,
    "sites": SpliceSites,
    "junction_pairs": JunctionPairs,
    "junction_counts": JunctionCounts,
    "junction_ratios": JunctionRatios,
    "contacts": ContactTracks,
    "contact_differences": ContactDifferences,
}


class TrackEvaluation(AbstractDeclaredBenchmark):
    """An evaluation from its file. Data: `store` of measured tracks, `fasta` of its genome, and what is held out.

    - `region` (a chromosome or 1-based chr1:1,001-2,000; or several), or `windows` (BED), of which those labelled
      `split` count (by default those of the evaluation's own split).
    - `peaks` (BED, narrowPeak) for profiles, `gtf` for expression.
    - `fasta` may be several files, or a folder of `agenome genome import`.

    `length` is that of windows in bp, by default the model's. Intervals come from windows drawn again. Windows that the
    model saw in training (through `chain` among the data also in another assembly) are counted; `seen="flag"` measures
    the others also by themselves, `seen="mask"` only these. `float32_raw_sums` computes correlations as the reference
    does, without intervals. Results have some cases for plots (`ag_eval.rows`).
    """

    needs = ("store", "fasta")
    higher_is_better = True

    def __init__(
        self,
        *,
        file: str | os.PathLike[str] | None = None,
        repeats: int = REPEATS,
        length: int | None = None,
        split: str | None = None,
        seen: Literal["flag", "mask"] = "flag",
        float32_raw_sums: bool = False,
    ):
        self.repeats, self.length, self.split = repeats, length, split
        self.seen, self.float32_raw_sums = seen, float32_raw_sums
        self._settings: Any = self.take(file, read_settings, lambda own: [own.data])
        if self._settings is not None:
            self.needs = (*self.needs, *self._settings.needs)
            self.higher_is_better = self._settings.metric not in LOWER_IS_BETTER

    def run(self, model: Checkpoint, data: Mapping[str, Any]) -> xr.Dataset:
        """Means and medians first, then each track. Raises InputError for data that do not fit."""
        own, store = self._settings, open_store(data["store"])
        check_store(own, store)
        modalities, without = choose_modalities(own, model, store)
        genome = _open_genome(data["fasta"])
        genes = read_gtf(data["gtf"]) if "gtf" in own.needs else None
        length = self.length or model.spec.window
        matched = [match_tracks(model, store, own, modality) for modality in modalities]
        grid = max(each.resolution for each in matched)
        windows, inside = find_windows(own, data, genome, length, grid, self.split)
        known = find_seen(model.spec, store.build or "unknown", _places(windows), data.get("chain"))
        if self.seen == "mask":
            windows = [each for each, learnt in zip(windows, known.places, strict=True) if not learnt]
            if not windows:
                raise InputError(f"{own.name}: {model.spec.name} saw all windows in training; hold out others")
        questions, there = [], np.zeros(len(windows), bool)
        for each in matched:
            question = QUESTIONS[own.measure](Setting(own, each, len(windows), genes, self.float32_raw_sums))
            found = predict_windows(model, each, genome, store, windows, inside)
            bar = show_progress(found, each.modality, total=len(windows), console=Console(stderr=True), transient=True)
            own_windows = np.array([_add(question, window) for window in bar])
            there |= own_windows
            if own_windows.any():
                questions.append(question)
            else:
                without.append(f"nothing measured of {each.modality} there")
        if not there.any():
            raise InputError(
                f"{store.path} has nothing measured of {', '.join(modalities)} in any of {len(windows)} windows, from "
                f"{windows[0].region} on; give regions where it has"
            )
        learnt = there & (known.places if self.seen == "flag" else False)
        unseen = there & ~learnt if learnt.any() and (there & ~learnt).any() else None
        cases = make_cases(own, questions, draw_windows(there, self.repeats), unseen, model.spec.name)
        results = make_results(
            cases,
            number=own.number,
            metric=own.metric,
            split=own.split.text,
            held_out=describe_held_out(data, self.split),
            seen=int(learnt.sum()),
            seen_note=known.note,
            masked=int(self.seen == "mask"),
            traps=" ".join(own.traps),
            stated=_gains(own),
            reconstructed=int(own.reconstructed),
            windows=int(there.sum()),
            windows_without_data=int((~there).sum()),
            length=length,
            assembly=store.build,
            resolution=", ".join(f"{each.modality} {each.resolution}" for each in matched),
            departures="; ".join(departures(own, store, matched, length, without)),
            undefined=name_undefined(cases, own, model.spec.name),
            **describe_matches(matched),
            **_notes(questions),
        )
        return attach_points(results, [question.points for question in questions], {MODEL: model.spec.name})


def _add(question: AbstractQuestion, window: Window | None) -> bool:
    if window is not None:
        question.add(window)
    return window is not None


def _places(windows: Sequence[Interval]) -> pd.DataFrame:
    return regions_table((each.chromosome, each.start, each.end, "") for each in windows)


def _open_genome(fasta: Any) -> Genome:
    return open_genome(*([fasta] if isinstance(fasta, str | os.PathLike) else fasta))


def _gains(own: TrackSettings) -> str:
    return "; ".join(f"{each.value:+.1%} over {each.over} ({each.source})" for each in own.gains)


def _notes(questions: Sequence[AbstractQuestion]) -> dict[str, Any]:
    if len(questions) == 1:
        return questions[0].notes
    return {f"{q.setting.matched.modality}_{key}": value for q in questions for key, value in q.notes.items()}
