"""From figures of groups to cases of the results: means and medians first, then what is published, then each track."""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from ag_eval.metrics import Estimate, limits
from ag_eval.results import Case
from ag_eval.tracks.questions import MODEL, AbstractQuestion
from ag_eval.tracks.settings import TrackSettings
from ag_eval.tracks.window_sums import Draws, Measured

LEVEL = 0.95
NOTHING = (float("nan"), float("nan"))
UNSEEN = "not seen in training"


def make_cases(
    own: TrackSettings, questions: Sequence[AbstractQuestion], draws: Draws, unseen: np.ndarray | None, model: str
) -> list[Case]:
    """All cases; those of the windows `unseen` alone as summaries."""
    found = [list(question.figures(draws)) for question in questions]
    windows = int(draws[0].sum()) if len(draws) else None
    summaries, details = _split(own, questions, found, model, windows)
    if unseen is not None:
        # One draw, in which every other window occurs once and these not at all.
        once = unseen[None].astype(np.int64)
        alone = [[_alone(each) for each in question.figures(once) if each.draws is not None] for question in questions]
        summaries += [
            case._replace(group=f"{case.group}, {UNSEEN}") for case in _split(own, questions, alone, model)[0]
        ]
    return [*summaries, *_published(own), *details]


def _alone(each: Measured) -> Measured:
    assert each.draws is not None
    return each._replace(values=each.draws[0], draws=None)


def _split(
    own: TrackSettings,
    questions: Sequence[AbstractQuestion],
    found: Sequence[Sequence[Measured]],
    model: str,
    windows: int | None = None,
) -> tuple[list[Case], list[Case]]:
    """Summaries, and the figure of each track; the evaluation's own metric first."""
    labels = [question.setting.matched.modality + " " if len(questions) > 1 else "" for question in questions]
    keys = dict.fromkeys((each.metric, each.predictor) for part in found for each in part)
    summaries, details = [], []
    for metric, predictor in sorted(keys, key=lambda key: key[0] != own.metric):
        name = model if predictor == MODEL else predictor
        parts = [
            (label, each)
            for label, part in zip(labels, found, strict=True)
            for each in part
            if (each.metric, each.predictor) == (metric, predictor)
        ]
        summed = [each for _, each in parts if each.of]
        for how in ("mean", "median") if summed else ():
            summaries.append(Case(own.name, metric, f"{how} of {summed[0].of}", name, summarise(summed, how, windows)))
        for label, each in parts:
            for place, group in enumerate(each.groups):
                drawn = NOTHING if each.draws is None else limits(each.draws[:, place], LEVEL, windows)
                case = Case(own.name, metric, label + group, name, Estimate(float(each.values[place]), *drawn))
                (details if each.of else summaries).append(case)
    return summaries, details


def _published(own: TrackSettings) -> Iterator[Case]:
    for name, known in own.published.items():
        group = f"published, {known.of}" if known.of else "published"
        yield Case(own.name, known.metric or own.metric, group, name, Estimate(known.value, *NOTHING))


def summarise(parts: Sequence[Measured], how: str, windows: int | None) -> Estimate:
    """Mean or median over the groups of all parts that are defined, and the same in each draw."""
    reduce = {"mean": np.nanmean, "median": np.nanmedian}[how]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nothing is defined
        value = float(reduce(np.concatenate([each.values for each in parts])))
        if any(each.draws is None for each in parts):
            return Estimate(value, *NOTHING)
        drawn = reduce(np.concatenate([each.draws for each in parts if each.draws is not None], axis=1), axis=1)
    return Estimate(value, *limits(drawn, LEVEL, windows))


def name_undefined(cases: Sequence[Case], own: TrackSettings, model: str) -> str:
    """Groups for which the evaluation's metric is not defined: one class only, or nothing that varies."""
    names = [
        case.group
        for case in cases
        if (case.metric, case.model) == (own.metric, model) and np.isnan(case.estimate.value)
    ]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
