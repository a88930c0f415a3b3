"""The page itself: one HTML file that needs nothing else, neither network nor files beside it."""

import base64
import dataclasses
import importlib.resources
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import markupsafe
from matplotlib.figure import Figure

from ag_scorers.report.examination import Examination
from ag_scorers.report.strongest import Effect, most_unusual
from ag_scorers.report.words import UNUSUAL, WHAT, describe_effect

DPI = 150
CAPTIONS: Mapping[str, str] = {
    "tracks": "Predicted tracks around the variant (dotted line): REF grey, ALT blue, and below each track ALT less "
    "REF. For each kind the tracks that change most are shown; scales differ.",
    "splicing": "Predicted splice sites of both alleles over the whole window, from a probability of 0.02 on.",
    "contacts": "Predicted contacts of the first track, as log ratio to what distance alone would give, and what ALT "
    "changes.",
    "logos": "Letters: minus the mean effect of the three other bases, for REF and for ALT in its place. "
    "Below: the effect of every substitution of REF; dots are the bases that are there.",
}
METHOD = (
    "All numbers are predictions of the model named above, from sequence alone; they are not measurements. A score "
    "compares ALT with REF. A quantile is the score's place among those of common variants on the same track: 0 is "
    "usual, +1 or -1 is beyond all of them (scores without a direction go from 0 to 1). Among many tracks some score "
    "always is extreme: look for effects that agree with each other. What the model does well and badly is told by its "
    "model card."
)
COLUMNS = (
    ("Variant", "text"), ("Gene", "text"), ("Place", "text"), ("Strongest effect", "text"),
    ("Odds, -log10", "number"), ("Scores beyond 99 %", "number"),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Section:
    """What is told of one variant: `pictures` by name, empty without details."""

    found: Examination
    pictures: Mapping[str, Figure]


def render(
    sections: Sequence[Section],
    *,
    notes: Sequence[str],
    provenance: Mapping[str, str],
    failures: Sequence[str] = (),
    title: str = "",
) -> str:
    """HTML of all variants: a table of them, if there are several, and a part for each that has details."""
    many = len(sections) + len(failures) > 1
    told = [section for section in sections if section.pictures] if many else list(sections)
    anchors = {id(section): f"v{number}" for number, section in enumerate(told, 1)}
    title = title or (f"{len(sections)} variants" if many else str(sections[0].found.variant.as_truncated_str(60)))
    untold = len(sections) - len(told)
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.from_string(_asset("report.html.j2")).render(
        title=title,
        facts=f"Model {provenance['model']} ({provenance['model_digest'][:12]}), {provenance['organism']}, window "
        f"{int(provenance['window']):,} bp; genome {provenance['fasta']}",
        notes=notes,
        many=many,
        columns=COLUMNS,
        rows=[{"anchor": anchors.get(id(section)), "cells": _cells(section.found)} for section in sections],
        untold=f"Details are shown of the {len(told)} strongest; of {untold} others only the table tells."
        if untold
        else "",
        sections=[_section(section, anchors[id(section)]) for section in told],
        failures=failures,
        method=METHOD,
        provenance=list(provenance.items()),
        style=markupsafe.Markup(_asset("report.css")),
        script=markupsafe.Markup(_asset("report.js")),
    )


def _asset(name: str) -> str:
    return importlib.resources.files("ag_scorers.report").joinpath("assets", name).read_text()


def _cells(found: Examination) -> list[dict[str, Any]]:
    best = most_unusual(found.effects)
    tail = None if best is None or best.tail is None else round(best.tail, 3)
    text = "" if best is None else f"{WHAT.get(best.modality, best.modality)}: {describe_effect(best)}"
    cells: list[tuple[str, Any]] = [
        (found.variant.as_truncated_str(40), f"{found.variant.chromosome}:{found.variant.position:012d}"),
        (", ".join(found.genes), None),
        (found.place, None),
        (text, None),
        ("" if tail is None else f"{tail:.2f}", "" if tail is None else tail),
        (f"{found.beyond[0]:,} of {found.beyond[1]:,}", found.beyond[0]),
    ]
    return [{"text": text, "sort": sort} for text, sort in cells]


def _section(section: Section, anchor: str) -> dict[str, Any]:
    found = section.found
    groups = [
        {
            "key": key,
            "what": WHAT.get(effects[0].modality, effects[0].modality),
            "effects": [_texts(effect) for effect in effects],
        }
        for key, effects in sorted(found.effects.items(), key=lambda pair: -pair[1][0].unusual)
    ]
    pictures = [
        {"name": name, "caption": CAPTIONS[name], "alt": _plain(CAPTIONS[name]), **_image(figure)}
        for name, figure in section.pictures.items()
    ]
    name = found.variant.as_truncated_str(60)
    return {"anchor": anchor, "name": name, "words": found.words, "groups": groups, "pictures": pictures}


def _texts(effect: Effect) -> dict[str, Any]:
    unusual = effect.quantile is not None and abs(effect.quantile) >= UNUSUAL
    return {
        **dataclasses.asdict(effect),
        "score_text": f"{effect.score:+.3g}" if effect.signed else f"{effect.score:.3g}",
        "quantile_text": "" if effect.quantile is None else f"{effect.quantile:{'+' if effect.signed else ''}.4f}",
        "unusual_text": "unusual" if unusual else "",
        "ref_text": "" if effect.ref is None else f"{effect.ref:.3g}",
        "alt_text": "" if effect.alt is None else f"{effect.alt:.3g}",
    }


def _image(figure: Figure) -> dict[str, Any]:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DPI)
    data = base64.b64encode(out.getvalue()).decode()
    return {"source": f"data:image/png;base64,{data}", "width": int(figure.get_figwidth() * 104)}


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).partition(".")[0]
