"""Scores variants from few questions to a slow predictor: shared ones are asked once, answers of before are kept."""

import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from ag_core.genome import Variant
from jaxtyping import Float
from rich.console import Console
from rich.progress import track as show_progress

from ag_eval.peers.score_cache import ScoreCache, digest_of

SAVE_SECONDS = 30


class Plan(NamedTuple):
    """What must be asked for one variant, and how the answers become its score; no question means NaN."""

    questions: Sequence[Hashable]
    combine: Callable[[list[Any]], float]


def score_by_plan(
    name: str,
    variants: Sequence[Variant],
    plan: Callable[[Variant], Plan],
    ask: Callable[[Sequence[Any]], Sequence[Any]],
    cache: ScoreCache | None = None,
    settings: Iterable[object] = (),
    chunk_size: int = 32,
) -> Float[np.ndarray, " variant"]:
    """A score for each variant. With a `cache`, scores of the same questions and `settings` come from there.

    Neighbours, which share references, are asked about together, `chunk_size` at a time; then scores are kept.
    """
    scores = np.full(len(variants), np.nan)
    order = sorted(range(len(variants)), key=lambda row: (variants[row].chromosome, variants[row].position))
    chunks = [order[start : start + chunk_size] for start in range(0, len(order), chunk_size)]
    answers, saved, settings = {}, time.monotonic(), list(settings)
    try:
        for chunk in show_progress(chunks, name, console=Console(stderr=True), transient=True):
            plans = {row: plan(variants[row]) for row in chunk}
            digests = {row: digest_of([*settings, *own.questions]) for row, own in plans.items()}
            waiting = [row for row, own in plans.items() if own.questions and not _known(cache, digests[row])]
            questions = list(dict.fromkeys(question for row in waiting for question in plans[row].questions))
            # Answers of the chunk before are kept for the references at its end.
            missing = [question for question in questions if question not in answers]
            new = dict(zip(missing, ask(missing) if missing else [], strict=True))
            answers = {question: answers.get(question, new.get(question)) for question in questions}
            for row, own in plans.items():
                if row in waiting:
                    scores[row] = own.combine([answers[question] for question in own.questions])
                    if cache is not None:
                        cache.add(digests[row], variants[row], scores[row])
                elif own.questions and cache is not None:
                    scores[row] = cache.get(digests[row])
            if cache is not None and time.monotonic() - saved > SAVE_SECONDS:
                cache.save()
                saved = time.monotonic()
    finally:
        if cache is not None:
            cache.save()
    return scores


def _known(cache: ScoreCache | None, digest: str) -> bool:
    return cache is not None and cache.get(digest) is not None
