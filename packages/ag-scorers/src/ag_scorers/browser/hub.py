"""A UCSC track hub: a super-track for each modality, below it the tracks.

- A track of a variant is a composite of REF, ALT and their difference; REF and ALT share an axis.
- Two strands of one track lie in one container, minus below the axis.
- Any other track stands for itself.

Axes are fixed (`viewLimits`), since values of different places are to be compared. Junctions are bigBed, variants
vcfTabix.
"""

import pathlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence

import pybigtools
from ag_core.errors import InputError
from ag_data.cache import replacing

from ag_scorers.browser import companions
from ag_scorers.browser.arcs import Arcs
from ag_scorers.browser.collection import Collection, Signal
from ag_scorers.browser.looks import LOSS, color_below, color_of, limits_of, rgb, same_axis, title_of, word_of

SHORT, LONG = 17, 76  # characters that UCSC shows of a label
HUB = "hub.txt"
Stanza = dict[str, str]


def write_hub(collection: Collection, folder: pathlib.Path, *, title: str, email: str) -> pathlib.Path:
    """Writes hub.txt, genomes.txt and a folder of the assembly with trackDb.txt and the files of its tracks.

    A hub that is there is replaced. Raises InputError when the assembly is not known.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.]+", collection.assembly):
        raise InputError(
            f"assembly {collection.assembly!r}: a track hub needs UCSC's name of the genome; give it, such as "
            "--assembly hg38"
        )
    with replacing(folder) as (scratch,):
        home = scratch / collection.assembly
        home.mkdir(parents=True)
        for signal in collection.signals:
            shutil.copyfile(collection.folder / signal.file, home / signal.file)
        for arcs in _some(collection.arcs):
            _write_big_bed(collection, arcs, home / _big_bed(arcs))
        has_variants = (collection.folder / companions.VARIANTS).is_file()
        for suffix in ("", ".tbi") if has_variants else ():
            shutil.copyfile(
                collection.folder / f"{companions.VARIANTS}{suffix}", home / f"{companions.VARIANTS}{suffix}"
            )
        hub = {"hub": _id(title) or "predictions", "shortLabel": _cut(title, SHORT), "longLabel": _cut(title, LONG)}
        (scratch / HUB).write_text(_text([{**hub, "genomesFile": "genomes.txt", "email": _cut(email, LONG)}]))
        genome = {"genome": collection.assembly, "trackDb": f"{collection.assembly}/trackDb.txt"}
        if collection.regions:
            genome["defaultPos"] = collection.regions[0].region
        (scratch / "genomes.txt").write_text(_text([genome]))
        (home / "trackDb.txt").write_text(_text(list(stanzas(collection, variants=has_variants))))
        if folder.exists():
            folder.rename(scratch.with_name("replaced"))  # goes away with the scratch folder
    return folder


def stanzas(collection: Collection, *, variants: bool) -> Iterator[Stanza]:
    """The entries of trackDb.txt; parents come before their children."""
    names = _Names()
    modalities = dict.fromkeys(one.modality for one in (*collection.signals, *_some(collection.arcs)))
    for modality in modalities:
        super_track = names.of(modality)
        word = word_of(modality)
        yield {"track": super_track, "superTrack": "on show", **_labels(word, f"{word}, predicted")}
        signals = [signal for signal in collection.signals if signal.modality == modality]
        for group in _groups(signals):
            yield from _tracks(group, super_track, names)
        for arcs in (arcs for arcs in _some(collection.arcs) if arcs.modality == modality):
            label = " ".join(filter(None, (arcs.label, arcs.allele)))
            yield {
                "track": names.of(arcs.file),
                "parent": super_track,
                "type": "bigBed 12",
                "bigDataUrl": _big_bed(arcs),
                **_labels(label, f"{word} {label}, counts"),
                "visibility": "pack",
                "itemRgb": "on",
            }
    if variants:
        labels = _labels("variants", "Variants")
        yield {"track": names.of("variants"), "type": "vcfTabix", "bigDataUrl": companions.VARIANTS, **labels}


def _groups(signals: Sequence[Signal]) -> list[list[Signal]]:
    """The alleles of a track, or, without alleles, its strands."""
    groups: dict[str, list[Signal]] = {}
    for signal in signals:
        key = signal.row if signal.allele else signal.row.removesuffix(f" ({signal.strand})")
        groups.setdefault(key, []).append(signal)
    return list(groups.values())


def _tracks(group: list[Signal], parent: str, names: "_Names") -> Iterator[Stanza]:
    first = group[0]
    if len(group) == 1:
        yield _big_wig(first, parent, names, limits_of(group))
        return
    if first.allele:
        holder = names.of(f"{first.row}_alleles")
        alleles = " ".join(f"{_id(signal.allele)}={_id(signal.allele)}" for signal in group)
        yield {
            "track": holder,
            "parent": parent,
            "compositeTrack": "on",
            "type": "bigWig",
            **_labels(first.label, title_of(first).removesuffix(f" {first.allele}")),
            "subGroup1": f"allele Allele {alleles}",
            "dimensions": "dimX=allele",
            "sortOrder": "allele=+",
            "visibility": "full",
        }
        for signal in group:
            limits = limits_of(same_axis(signal, group))
            yield {
                **_big_wig(signal, holder, names, limits, label=signal.allele),
                "parent": f"{holder} on",
                "subGroups": f"allele={_id(signal.allele)}",
            }
        return
    low, high = limits_of(group)
    holder = names.of(f"{first.row}_strands")
    label = first.label.removesuffix(f" ({first.strand})")
    yield {
        "track": holder,
        "parent": parent,
        "container": "multiWig",
        "aggregate": "transparentOverlay",
        "showSubtrackColorOnUi": "on",
        "type": "bigWig",
        **_labels(label, title_of(first).replace(first.label, label) + ", both strands"),
        "autoScale": "off",
        "viewLimits": f"{-max(-low, high):g}:{max(-low, high):g}",
        "maxHeightPixels": "100:50:11",
        "visibility": "full",
    }
    for signal in group:
        stanza = _big_wig(signal, holder, names, (low, high))
        yield {**stanza, "negateValues": "on", "color": rgb(LOSS)} if signal.strand == "-" else stanza


def _big_wig(signal: Signal, parent: str, names: "_Names", limits: tuple[float, float], label: str = "") -> Stanza:
    return {
        "track": names.of(signal.file.removesuffix(".bw")),
        "parent": parent,
        "type": f"bigWig {signal.low:g} {signal.high:g}",
        "bigDataUrl": signal.file,
        **_labels(label or signal.label, title_of(signal)),
        "color": rgb(color_of(signal.modality, signal.allele)),
        "altColor": rgb(color_below(signal.modality, signal.allele)),
        "autoScale": "off",
        "viewLimits": f"{limits[0]:g}:{limits[1]:g}",
        "maxHeightPixels": "100:40:11",
        "visibility": "full",
    }


def _write_big_bed(collection: Collection, arcs: Arcs, path: pathlib.Path) -> None:
    entries = []
    for line in (collection.folder / arcs.file).read_text().splitlines():
        chromosome, start, end, about, score, strand = line.split("\t")
        count = dict(part.split("=") for part in about.split(";"))["label"]
        rest = (count, score, strand, start, end, "0", "2", "1,1", f"0,{int(end) + 1 - int(start)}")
        entries.append((chromosome, int(start) - 1, int(end) + 1, "\t".join(rest)))
    entries.sort(key=lambda entry: entry[:3])
    pybigtools.open(str(path), "w").write(dict(collection.lengths), iter(entries))


def _some(arcs: Sequence[Arcs]) -> list[Arcs]:
    """Without those that are empty, which bigBed cannot be."""
    return [one for one in arcs if one.count]


def _big_bed(arcs: Arcs) -> str:
    return f"{arcs.file.removesuffix('.arcs.bed')}.bb"


class _Names:
    """Names of tracks, of letters, digits and _, each given once."""

    def __init__(self):
        self._taken: dict[str, int] = {}

    def of(self, text: str) -> str:
        name = _id(text)
        name = name if name[:1].isalpha() else f"t_{name}"
        number = self._taken[name] = self._taken.get(name, 0) + 1
        return name if number == 1 else f"{name}__{number}"


def _id(text: str) -> str:
    text = text.replace("(+)", "plus").replace("(-)", "minus")
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")


def _labels(short: str, long: str) -> Mapping[str, str]:
    return {"shortLabel": _cut(short, SHORT), "longLabel": _cut(long, LONG)}


def _cut(text: str, size: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= size else text[: size - 3].rstrip() + "..."


def _text(entries: list[Stanza]) -> str:
    return "\n".join("".join(f"{key} {value}\n" for key, value in entry.items()) for entry in entries)
