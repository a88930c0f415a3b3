"""What a page shows, as files in one folder: a bigWig for each track and allele, junctions, and where they lie."""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pybigtools
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_data.export.bigwig import TABLE, write_bigwigs
from ag_data.export.tree import chromosomes_of, interval_of
from ag_data.export.zarr_store import open_predictions

from ag_scorers.browser.arcs import Arcs, write_arcs
from ag_scorers.browser.choice import JUNCTIONS, TRACKS, choose, fit_query, of_dims, with_differences

MOST_TRACKS = 50
_TOLD = ("modality", "name", "strand", "allele")  # of each bigWig
_ASSEMBLIES = {"human": "hg38", "mouse": "mm10"}


@dataclasses.dataclass(frozen=True)
class Signal:
    """One bigWig. `row` is shared by the alleles of a track; `low` and `high` are its smallest and largest values."""

    file: str
    row: str
    label: str
    modality: str
    allele: str
    strand: str
    about: Mapping[str, Any]
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Collection:
    """`folder` holds the files of `signals` and `arcs`; `lengths` of chromosomes are in bp.

    `assembly` is UCSC's name ("" when nobody knows it).
    """

    folder: pathlib.Path
    signals: Sequence[Signal]
    arcs: Sequence[Arcs]
    regions: Sequence[Interval]
    lengths: Mapping[str, int]
    variants: Sequence[Variant] = ()
    assembly: str = ""
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def alleles(self) -> list[str]:
        """In the order of a page; empty when there is no variant."""
        return list(dict.fromkeys(one.allele for one in (*self.signals, *self.arcs) if one.allele))

    def rows(self) -> dict[str, list[Signal]]:
        """The signals of each track, by alleles."""
        rows: dict[str, list[Signal]] = {}
        for signal in self.signals:
            rows.setdefault(signal.row, []).append(signal)
        return rows


def collect(
    predictions: pathlib.Path,
    folder: pathlib.Path,
    *,
    outputs: Iterable[str] = (),
    tracks: str = "",
    assembly: str = "",
) -> Collection:
    """Gathers what is chosen of a .zarr of predictions, or of a folder of bigWigs, in a new `folder`.

    Raises InputError for other inputs, when nothing fits, and for more than `MOST_TRACKS` tracks.
    """
    if (predictions / TABLE).is_file():
        return _from_folder(predictions, folder, outputs, tracks, assembly)
    tree = choose(open_predictions(predictions), outputs, tracks)
    sizes = {modality: dataset.sizes["track"] for modality, _, dataset in of_dims(tree, TRACKS)}
    sizes |= {modality: dataset.sizes["track"] for modality, _, dataset in of_dims(tree, JUNCTIONS)}
    _check_number(sizes)
    tree, folder = with_differences(tree), _make(folder)
    signals = []
    if any(True for _ in of_dims(tree, TRACKS)):
        write_bigwigs(tree, folder / "signals")
        signals = _move_up(folder)
    found = [*of_dims(tree, TRACKS), *of_dims(tree, JUNCTIONS)]
    regions = [interval_of(dataset, "region").as_unstranded() for _, _, dataset in found]
    variants = {text: None for _, _, dataset in found for text in str(dataset.attrs.get("variant", "")).split()}
    return Collection(
        folder,
        signals,
        write_arcs(list(of_dims(tree, JUNCTIONS)), folder),
        list(dict.fromkeys(regions)),
        chromosomes_of(tree),
        [Variant.from_str(text) for text in variants],
        assembly or _ASSEMBLIES.get(str(tree.attrs.get("organism")), ""),
        {key: tree.attrs[key] for key in ("model", "organism", "version") if key in tree.attrs},
    )


def _check_number(sizes: Mapping[str, int]) -> None:
    if sum(sizes.values()) > MOST_TRACKS:
        found = ", ".join(f"{number:,} of {name}" for name, number in sizes.items())
        raise InputError(
            f"{sum(sizes.values()):,} tracks ({found}) are more than a page can show ({MOST_TRACKS}); choose some with "
            '--outputs, or --tracks such as "HepG2 & CTCF"'
        )


def _make(folder: pathlib.Path) -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _from_folder(
    source: pathlib.Path, folder: pathlib.Path, outputs: Iterable[str], tracks: str, assembly: str
) -> Collection:
    """Of a folder that `agenome predict -o NAME` made. It says no regions, so they are where values are."""
    table = _read_table(source / TABLE)
    if elsewhere := [name for name in table if pathlib.PurePath(name).name != name]:
        raise InputError(f"{source / TABLE} names {elsewhere[0]!r}, which is not in its folder; do not trust it")
    if not table or not all(name.endswith(".bw") and (source / name).is_file() for name in table):
        raise InputError(f"{source} lacks bigWigs that its {TABLE} names; make it again with `agenome predict -o NAME`")
    groups: dict[str, list[str]] = {}
    for name, about in table.items():
        groups.setdefault(about["modality"], []).append(name)
    tables = {modality: _as_table([table[name] for name in names]) for modality, names in groups.items()}
    rows = fit_query(tables, outputs, tracks)
    names = [groups[modality][row] for modality, own in rows.items() for row in own]
    _check_number(
        {m: len({(table[n]["name"], table[n]["strand"]) for n in names if table[n]["modality"] == m}) for m in rows}
    )
    _make(folder)
    for name in names:
        (folder / name).write_bytes((source / name).read_bytes())
    signals = [_signal(folder / name, table[name]) for name in names]
    lengths: dict[str, int] = {}
    for name in names:
        with pybigtools.open(str(folder / name)) as file:
            lengths |= {chromosome: int(length) for chromosome, length in file.chroms().items()}
    return Collection(folder, signals, [], _filled(folder / names[0]), lengths, assembly=assembly)


def _read_table(path: pathlib.Path) -> dict[str, dict[str, Any]]:
    """What is said of each bigWig. Raises InputError."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}); make it again with `agenome predict -o NAME`") from error
    for name, about in table.items() if isinstance(table, dict) else [("the file", table)]:
        if not isinstance(about, dict) or not all(isinstance(about.get(key), str) for key in _TOLD):
            raise InputError(
                f"{path}: {name} lacks {', '.join(_TOLD)}, as text; make it again with `agenome predict -o NAME`"
            )
    return table


def _as_table(rows: list[dict[str, Any]]) -> xr.Dataset:
    columns = {key for row in rows for key in row}
    return xr.Dataset({key: ("track", [str(row.get(key, "")) for row in rows]) for key in sorted(columns)})


def _filled(path: pathlib.Path, gap: int = 100_000) -> list[Interval]:
    """Where a bigWig has values; what is less than `gap` bp apart is one region."""
    regions: list[Interval] = []
    with pybigtools.open(str(path)) as file:
        for chromosome in file.chroms():
            for start, end, _ in file.records(chromosome):
                last = regions[-1] if regions else None
                if last and last.chromosome == chromosome and start <= last.end + gap:
                    regions[-1] = dataclasses.replace(last, end=int(end))
                else:
                    regions.append(Interval(chromosome, int(start), int(end)))
    return regions


def _move_up(folder: pathlib.Path) -> list[Signal]:
    """The signals of a folder below, whose files come up."""
    table = json.loads((folder / "signals" / TABLE).read_text())
    for name in table:
        (folder / "signals" / name).rename(folder / name)
    (folder / "signals" / TABLE).unlink()
    (folder / "signals").rmdir()
    return sort_signals([_signal(folder / name, about) for name, about in table.items()])


def sort_signals(signals: list[Signal]) -> list[Signal]:
    """Alleles of a track beside each other: REF, ALT, the difference."""
    ranks = {row: rank for rank, row in enumerate(dict.fromkeys(signal.row for signal in signals))}
    order = {"REF": 0, "ALT": 1}
    return sorted(signals, key=lambda signal: (ranks[signal.row], order.get(signal.allele, 2)))


def _signal(path: pathlib.Path, about: Mapping[str, Any]) -> Signal:
    with pybigtools.open(str(path)) as file:
        summary = file.info()["summary"]
    name, strand, allele = str(about["name"]), str(about["strand"]), str(about["allele"])
    label = name if strand == "." else f"{name} ({strand})"
    known = {key: value for key, value in about.items() if isinstance(value, str) and value and key not in _SHOWN}
    row = f"{about['modality']}/{label}"
    return Signal(path.name, row, label, about["modality"], allele, strand, known, summary["min"], summary["max"])


_SHOWN = ("allele", "modality", "name", "strand", "source_digest", "source")
