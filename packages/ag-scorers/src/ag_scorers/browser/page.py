"""The page: one HTML file with everything in it, or a folder whose page loads its files when they are needed.

Nothing comes from a network. The page says so to the browser (Content-Security-Policy): scripts are those named by
their digest, requests go nowhere (or, in the folder form, to the folder).
"""

import base64
import hashlib
import json
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_data.cache import replacing

from ag_scorers.browser import companions
from ag_scorers.browser.collection import Collection, Signal
from ag_scorers.browser.looks import (
    WHOLE,
    color_below,
    color_of,
    detail_of,
    limits_of,
    same_axis,
    title_of,
    word_of,
)
from ag_scorers.browser.session import session_text

LARGEST = 50_000_000  # bytes of a page with everything in it
SHOWN = 8  # tracks that are ticked at the start
INDEX, SESSION, IGV = "index.html", "session.xml", "igv.min.js"


def write_page(
    collection: Collection, path: pathlib.Path, *, title: str, locus: str, genes: Mapping[str, Interval]
) -> pathlib.Path:
    """One file that works from the disk. Raises InputError when it would have more than `LARGEST` bytes."""
    files = _files(collection)
    data = {name: base64.b64encode((collection.folder / name).read_bytes()).decode() for name in files}
    size = sum(map(len, data.values())) + len(_asset(IGV))
    if size > LARGEST:
        raise InputError(
            f"{path} would have {size / 1e6:,.0f} MB, and browsers open {LARGEST / 1e6:,.0f} MB with ease; choose "
            f"fewer tracks (--tracks, --outputs), or give a folder: -o {path.with_suffix('')}"
        )
    with replacing(path) as (scratch,):
        scratch.write_text(_render(_about(collection, title, locus, genes, files), data), encoding="utf-8")
    return path


def write_site(
    collection: Collection, folder: pathlib.Path, *, title: str, locus: str, genes: Mapping[str, Interval]
) -> pathlib.Path:
    """A folder for a web server (any will do): the page, its scripts and the files of its tracks.

    A folder that is there is replaced.
    """
    files = _files(collection)
    with replacing(folder) as (scratch,):
        scratch.mkdir()
        for name in files:
            shutil.copyfile(collection.folder / name, scratch / name)
            if (index := collection.folder / f"{name}.tbi").is_file():
                shutil.copyfile(index, scratch / index.name)
        for name in (IGV, "page.js", "igv.LICENSE.txt"):
            (scratch / name).write_text(_asset(name), encoding="utf-8")
        about = _about(collection, title, locus, genes, files)
        (scratch / SESSION).write_text(about["session"], encoding="utf-8")
        (scratch / INDEX).write_text(_render(about, {}), encoding="utf-8")
        if folder.exists():
            folder.rename(scratch.with_name("replaced"))  # goes away with the scratch folder
    return folder


def _files(collection: Collection) -> list[str]:
    """What the page reads, the bases first."""
    beside = [companions.BASES, companions.GENES, companions.VARIANTS]
    found = [name for name in beside if (collection.folder / name).is_file()]
    return [*found, *(signal.file for signal in collection.signals), *(arcs.file for arcs in collection.arcs)]


def _about(
    collection: Collection, title: str, locus: str, genes: Mapping[str, Interval], files: Sequence[str]
) -> dict[str, Any]:
    """What the script of the page knows."""
    extras = tuple(name for name in (companions.GENES, companions.VARIANTS) if name in files)
    return {
        "title": title,
        "locus": locus,
        "places": [{"name": region.region, "locus": region.region} for region in collection.regions],
        "lengths": dict(collection.lengths),
        "genes": {name.upper(): [gene.chromosome, gene.start, gene.end] for name, gene in genes.items()},
        "bases": companions.BASES,
        "extras": list(extras),
        "assembly": collection.assembly,
        "about": dict(collection.about),
        "alleles": collection.alleles,
        "variants": [[v.chromosome, v.start, v.end, v.as_truncated_str()] for v in collection.variants],
        "rows": _rows(collection),
        "session": session_text(collection, locus, collection.assembly or "hg38", extras=extras),
    }


def _rows(collection: Collection) -> list[dict[str, Any]]:
    """A row of the list for each track: its files by allele, how to draw them, words to find it by."""
    modality_limits = {
        modality: limits_of([s for s in collection.signals if s.modality == modality and s.allele in WHOLE])
        for modality in dict.fromkeys(signal.modality for signal in collection.signals)
    }
    rows = [
        {
            "label": signals[0].label,
            "detail": detail_of(signals[0]),
            "modality": word_of(signals[0].modality),
            "color": color_of(signals[0].modality),
            "words": " ".join([title_of(signals[0]), *map(str, signals[0].about.values())]).lower(),
            "signals": [_drawn(signal, signals, modality_limits[signal.modality]) for signal in signals],
        }
        for signals in collection.rows().values()
    ]
    arcs: dict[str, dict[str, Any]] = {}
    for one in collection.arcs:
        row = {"label": one.label, "detail": "", "modality": word_of(one.modality), "color": "#4d4d4d", "signals": []}
        arcs.setdefault(one.row, {**row, "words": f"{word_of(one.modality)} {one.label}".lower()})["signals"].append(
            {"file": one.file, "kind": "arcs", "allele": one.allele, "name": f"{one.label} {one.allele}".strip()}
        )
    result = [*rows, *arcs.values()]
    return [{**row, "on": number < SHOWN} for number, row in enumerate(result)]


def _drawn(signal: Signal, row: Sequence[Signal], modality: tuple[float, float]) -> dict[str, Any]:
    own = limits_of(same_axis(signal, row))
    return {
        "file": signal.file,
        "kind": "signal",
        "allele": signal.allele,
        "name": f"{signal.label} {signal.allele}".strip(),
        "color": color_of(signal.modality, signal.allele),
        "below": color_below(signal.modality, signal.allele),
        "axis": "whole" if signal.allele in WHOLE else "difference",
        "limits": own,
        "shared": modality if signal.allele in WHOLE else own,
    }


def _asset(name: str) -> str:
    text = resources.files("ag_scorers.browser").joinpath("assets", name).read_text(encoding="utf-8")
    # A map of the source is not there, and browsers would ask for it.
    return text.replace("//# sourceMappingURL=igv.min.js.map", "") if name == IGV else text


def _inline(script: str) -> str:
    """A script as it may stand inside an element."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _render(about: Mapping[str, Any], data: Mapping[str, str]) -> str:
    import jinja2
    import markupsafe

    scripts = [_inline(_asset(name)) for name in (IGV, "page.js")]
    sources = " ".join(map(_digest, scripts)) if data else "'self'"
    connect = "data: blob:" if data else "'self' data: blob:"
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    # Inside a script element < is the only sign that could end it.
    text = json.dumps(about, ensure_ascii=True).replace("<", "\\u003c")
    return environment.from_string(_asset("page.html")).render(
        about=about,
        data=data,
        json=markupsafe.Markup(text),
        style=markupsafe.Markup(_asset("page.css")),
        scripts=[markupsafe.Markup(script) for script in scripts] if data else [],
        licence=_asset("igv.LICENSE.txt").replace("--", "-"),
        policy=f"default-src 'none'; script-src {sources}; style-src 'unsafe-inline'; img-src data: blob:; "
        f"font-src data:; connect-src {connect}; base-uri 'none'; form-action 'none'",
    )
