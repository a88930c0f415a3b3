"""Junctions as arcs: a BED file for each modality and allele, whose names carry what igv.js draws them with."""

import dataclasses
import pathlib

import xarray as xr
from ag_data.export.junction_bed import largest_counts
from ag_data.export.tree import file_name, interval_of, track_labels

COLORS = {"+": "#0072b2", "-": "#d55e00"}
_THICKEST = 6.0  # pixels


@dataclasses.dataclass(frozen=True)
class Arcs:
    """One file of `count` arcs."""

    file: str
    row: str
    label: str
    modality: str
    allele: str
    count: int


def write_arcs(leaves: list[tuple[str, str, xr.Dataset]], folder: pathlib.Path) -> list[Arcs]:
    """A file for each track and allele of the leaves, sorted; alleles share the scale of thickness."""
    groups: dict[tuple[str, str, str], list[xr.Dataset]] = {}
    for modality, _, dataset in leaves:
        for track, label in enumerate(track_labels(dataset)):
            one = dataset.isel(track=[track])
            groups.setdefault((modality, label, str(dataset.attrs.get("allele", ""))), []).append(one)
    tops: dict[tuple[str, str], float] = {}
    for (modality, label, _), datasets in groups.items():
        top = max(float(largest_counts(dataset).max(initial=0)) for dataset in datasets)
        tops[modality, label] = max(top, tops.get((modality, label), 0.0))
    result = []
    for number, ((modality, label, allele), datasets) in enumerate(groups.items()):
        top = tops[modality, label]
        name = ".".join(filter(None, (allele, modality, file_name(label), str(number), "arcs.bed")))
        lines = [line for dataset in datasets for line in _lines(dataset, top or 1.0)]
        lines.sort(key=lambda line: (line[0], line[1], line[2]))
        (folder / name).write_text("".join("\t".join(map(str, line)) + "\n" for line in lines))
        result.append(Arcs(name, f"{modality}/{label}", label, modality, allele, len(lines)))
    return result


def _lines(dataset: xr.Dataset, top: float) -> list[tuple[str, int, int, str, int, str]]:
    chromosome, counts = interval_of(dataset, "region").chromosome, largest_counts(dataset)
    columns = (dataset[name].values.tolist() for name in ("start", "end", "strand"))
    lines = []
    for start, end, strand, count in zip(*columns, counts.tolist(), strict=True):
        if count > 0:
            look = f"color={COLORS.get(strand, '#4d4d4d')};line_width={1 + (_THICKEST - 1) * count / top:.2f}"
            text = f"label={count:.3g};{look};uniquely_mapped={max(1, round(count))};multi_mapped=0"
            lines.append((chromosome, int(start), int(end), text, round(1000 * count / top), strand))
    return lines
