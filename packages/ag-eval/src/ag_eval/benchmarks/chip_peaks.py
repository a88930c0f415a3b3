"""Does the model find ChIP-seq peaks on sequence it never saw? For each experiment, over 128-bp bins."""

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
import xarray as xr
from ag_core.checkpoint import Checkpoint
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.interfaces import AbstractBenchmark
from ag_core.sequence import UNKNOWN, encode
from ag_data import Fasta
from jaxtyping import Bool, Float
from rich.console import Console
from rich.progress import track as show_progress

from ag_eval.metrics import Estimate, auprc, auroc, bootstrap, bootstrap_median
from ag_eval.predict import check_modality, output_resolution, predict
from ag_eval.results import Case, make_results

BIN = 128
# A bin whose centre is this near to a summit, in bp, is a positive.
REACH = 100
# G and C are counted, and all bases must be known, in this many bp around a bin's centre.
CONTEXT = 1024
# Windows with fewer known bases than this share are not predicted, as in training.
LEAST_KNOWN = 0.5
COLUMNS = ("chrom", "start", "end", "tf", "cell", "summit")
NOTHING = (float("nan"), float("nan"))


def read_peaks(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Peaks, 0-based half-open, tab-separated, with the columns `COLUMNS`; `summit` is an offset from start."""
    try:
        table = pd.read_csv(path, sep="\t")
    except (OSError, ValueError) as error:
        raise InputError(f"peaks table {path} cannot be read ({error}); expected tab-separated text") from error
    if missing := [column for column in COLUMNS if column not in table]:
        raise InputError(f"peaks table {path} has no {', '.join(missing)}; expected the columns {', '.join(COLUMNS)}")
    return table


class Window(NamedTuple):
    """A stretch to predict, with which of its bins count and the G+C share around each."""

    interval: Interval
    sequence: str
    counted: Bool[np.ndarray, " bin"]
    gc: Float[np.ndarray, " bin"]


def find_windows(region: Interval, width: int, fasta: Fasta) -> Iterator[Window]:
    """Windows side by side, on multiples of `width`, with bins inside the region and known surroundings."""
    margin = CONTEXT // 2 - BIN // 2
    for start in range(region.start // width * width, region.end, width):
        interval = Interval(region.chromosome, start, start + width)
        text = fasta.fetch(interval.pad(margin, margin))
        codes = encode(text)
        sequence = codes[margin : margin + width]
        if np.mean(sequence != UNKNOWN) < LEAST_KNOWN:
            continue
        around = np.lib.stride_tricks.sliding_window_view(codes, CONTEXT)[::BIN]
        starts = start + BIN * np.arange(width // BIN)
        counted = ~np.any(around == UNKNOWN, axis=1) & (starts >= region.start) & (starts + BIN <= region.end)
        if counted.any():
            gc = np.mean((around == 1) | (around == 2), axis=1)
            yield Window(interval, text[margin : margin + width], counted, gc)


def near_summits(summits: np.ndarray, interval: Interval) -> Bool[np.ndarray, " bin"]:
    """Bins of `interval` whose centre is within `REACH` of one of the summits (sorted 0-based positions)."""
    centers = interval.start + BIN // 2 + BIN * np.arange(interval.width // BIN)
    return np.searchsorted(summits, centers + REACH, "right") > np.searchsorted(summits, centers - REACH, "left")


class ChipPeaks(AbstractBenchmark):
    """AUROC and AUPRC for each track of which the peaks table has the same cell and factor, and their medians.

    Tracks are matched by `biosample_name` and `transcription_factor`. Peers: `gc_content` ranks bins by G+C in
    1 kb; `random` is the share of positives, AUPRC's baseline. Intervals of a track come from resampled windows,
    those of a median from resampled tracks. Data: `fasta`, `peaks`, optional `region` (a chromosome, or 1-based
    chr1:1,001-2,000), of one assembly. Whether the region was held out from training is the caller's affair.
    """

    name = "chip_peaks"
    needs = ("fasta", "peaks")
    higher_is_better = True
    citation = "The ENCODE Project Consortium 2020, Nature 583:699; peaks by way of FactorNet (Quang and Xie 2019)"
    licence = "ENCODE data: free to use with credit; FactorNet: MIT"

    def __init__(self, *, region: str = "chr22", modality: str = "chip_tf", repeats: int = 100):
        self.region, self.modality, self.repeats = region, modality, repeats

    def run(self, model: Checkpoint, data: Mapping[str, Any]) -> xr.Dataset:
        """Medians first, then each track. Raises InputError when nothing can be compared."""
        check_modality(model, self.modality)
        fasta, peaks = Fasta(data["fasta"]), read_peaks(data["peaks"])
        region = _region(data.get("region") or self.region, fasta)
        tracks = model.spec.tracks(self.modality)
        summits = _summits(peaks, region)
        columns = {i: key for i, key in enumerate(_keys(tracks)) if key in summits}
        if not columns:
            raise InputError(
                f"no peaks in {region.region} for any track of {model.spec.name!r}; "
                "expected 'cell' and 'tf' as in the tracks' biosample_name and transcription_factor"
            )
        windows = list(find_windows(region, model.spec.window, fasta))
        if not windows:
            raise InputError(f"{fasta.path} knows too few bases in {region.region}; use another region")
        scores = self._scores(model, windows, list(columns))
        gc = np.concatenate([window.gc[window.counted] for window in windows])
        blocks = np.repeat(np.arange(len(windows)), [window.counted.sum() for window in windows])
        cases = []
        for column, (i, key) in enumerate(columns.items()):
            labels = [near_summits(summits[key], window.interval)[window.counted] for window in windows]
            found = np.concatenate(labels)
            cases += self._track(str(tracks["name"].values[i]), model.spec.name, found, scores[:, column], gc, blocks)
        return make_results(
            [*_medians(cases), *cases],
            region=region.region,
            windows=len(windows),
            bins=len(gc),
            tracks=len(columns),
        )

    def _scores(self, model: Checkpoint, windows: list[Window], columns: list[int]) -> Float[np.ndarray, "bin track"]:
        """Predictions for the bins that count, averaged over a bin where the model is finer."""
        steps, rest = divmod(BIN, output_resolution(model, self.modality))
        if rest or not steps:
            raise InputError(f"{self.modality} at {BIN // steps if steps else '>128'} bp; expected a divisor of {BIN}")
        outputs = predict(model, self.modality, (window.sequence for window in windows))
        pairs = zip(windows, outputs, strict=True)
        bar = show_progress(
            pairs, "predicting windows", total=len(windows), console=Console(stderr=True), transient=True
        )
        rows = []
        for window, output in bar:
            bins = output[:, columns].reshape(-1, steps, len(columns)).mean(axis=1)
            rows.append(bins[window.counted])
        return np.concatenate(rows)

    def _track(self, group: str, model: str, found, scores, gc, blocks) -> list[Case]:
        order = np.argsort(-scores, kind="stable")  # once here: each bootstrap draw then sorts what is sorted
        cases = []
        for metric in (auroc, auprc):
            name = metric.__name__
            estimate = bootstrap(metric, found[order], scores[order], blocks=blocks[order], repeats=self.repeats)
            cases.append(Case(self.name, name, group, model, estimate))
            cases.append(Case(self.name, name, group, "gc_content", Estimate(metric(found, gc), *NOTHING)))
        cases.append(Case(self.name, "auprc", group, "random", Estimate(float(found.mean()), *NOTHING)))
        return cases


def _medians(cases: list[Case]) -> Iterator[Case]:
    for benchmark, metric, model in dict.fromkeys((case.benchmark, case.metric, case.model) for case in cases):
        values = [case.estimate.value for case in cases if (case.metric, case.model) == (metric, model)]
        yield Case(benchmark, metric, "median of tracks", model, bootstrap_median(np.array(values)))


def _keys(tracks: xr.Dataset) -> list[tuple[str, str]]:
    missing = [name for name in ("biosample_name", "transcription_factor") if name not in tracks]
    if missing:
        raise InputError(f"the model's track table has no {', '.join(missing)}; peaks cannot be matched to tracks")
    names = (tracks[name].values for name in ("biosample_name", "transcription_factor"))
    return list(zip(*names, strict=True))


def _summits(peaks: pd.DataFrame, region: Interval) -> dict[tuple[str, str], np.ndarray]:
    """Sorted summits in the region, 0-based, by cell and factor."""
    own = peaks[peaks["chrom"] == region.chromosome]
    own = own.assign(at=own["start"] + own["summit"])
    own = own[(own["at"] >= region.start) & (own["at"] < region.end)]
    return {cast(tuple[str, str], key): np.sort(np.asarray(group["at"])) for key, group in own.groupby(["cell", "tf"])}


def _region(text: str, fasta: Fasta) -> Interval:
    if chromosome := fasta.find_chromosome(text):
        return Interval(chromosome, 0, fasta.lengths[chromosome])
    try:
        return Interval.from_region(text)
    except ValueError as error:
        known = ", ".join(list(fasta.lengths)[:5])
        raise InputError(f"region {text!r} is no chromosome of {fasta.path} ({known}) and no span: {error}") from error
