"""Variants of a report: read, looked at one by one, and the strongest of them with pictures."""

from collections.abc import Sequence

from ag_core.errors import InputError
from ag_core.genome import Variant
from ag_data.variants import Status, check_calls, read_variants
from rich.console import Console

from ag_scorers.progress import track_progress
from ag_scorers.report.examination import Examination, Examiner, is_file_of_variants, read_variant
from ag_scorers.report.page import Section
from ag_scorers.report.pictures import draw_pictures
from ag_scorers.report.strongest import most_unusual


def read_all(texts: Sequence[str], examiner: Examiner, most: int) -> list[Variant | str]:
    """Variants from texts and files, in order; for an allele that cannot be scored, the reason in words.

    Raises InputError for what cannot be read, for a REF (of a text) that is not the genome's, and for too many.
    """
    found: list[Variant | str] = []
    for text in texts:
        if not is_file_of_variants(text):
            found.append(examiner.check(read_variant(text)))
            continue
        for call in check_calls(read_variants(text), examiner.fasta, examiner.engine.window // 2):
            if call.status is Status.SCORED and call.variant is not None:
                found.append(call.variant)
            else:
                found.append(f"{call}: {call.status.value}{f', {call.detail}' if call.detail else ''}")
            if len(found) > most:
                raise InputError(
                    f"{text} has more than {most:,} alleles; a page of so many is of no use: score them with `agenome "
                    "score`, and report the strongest (or raise --most)"
                )
    return found


def gather(
    examiner: Examiner, calls: Sequence[Variant | str], details: int, console: Console
) -> tuple[list[Section], list[str]]:
    """Sections in input order, those of the `details` strongest with pictures, and what could not be scored."""
    failures = [call for call in calls if isinstance(call, str)]
    variants = [call for call in calls if isinstance(call, Variant)]
    alone = len(variants) == 1
    found: list[Examination] = []
    for one in track_progress(variants, len(variants), console, "scoring"):
        try:
            found.append(examiner.examine(one, details=alone))
        except InputError as error:
            failures.append(str(error))
    if alone:
        return [Section(one, draw_pictures(one, examiner.annotation)) for one in found], failures
    order = sorted(range(len(found)), key=lambda number: -_strength(found[number]))[:details]
    chosen = set(order)
    sections = []
    for number, one in enumerate(track_progress(found, len(found), console, "drawing")):
        if number in chosen:
            one = examiner.examine(one.variant)
            sections.append(Section(one, draw_pictures(one, examiner.annotation)))
        else:
            sections.append(Section(one, {}))
    return sections, failures


def _strength(found: Examination) -> float:
    best = most_unusual(found.effects)
    return 0.0 if best is None else best.unusual
