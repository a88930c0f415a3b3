"""Which rows and tracks of the predictions a reading means, for one model, organism and window."""

import dataclasses
import difflib
import re
from typing import Any

import numpy as np
import xarray as xr
from ag_core.checkpoint import Checkpoint
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.schema import is_padding
from ag_data.annotation import Annotation
from ag_data.contigs import match_contig
from ag_data.query import select_tracks
from jaxtyping import Float, Int

from ag_scorers.alleles import JUNCTIONS
from ag_scorers.attribution.expression import Exons, Here, Junction, Reading

_WORD = re.compile(r"[^\s&|!()=~\"']{2,}")
# Beyond any chromosome.
_FAR = 1 << 40


@dataclasses.dataclass
class Scene:
    """What a target is bound to: model, organism (its index), window and region (0-based, unstranded), annotation.

    `junctions` gathers the introns that readings ask for: their rows are those of the outputs.
    """

    checkpoint: Checkpoint
    organism: int
    window: Interval
    region: Interval
    genes: Annotation | None = None
    junctions: list[Interval] = dataclasses.field(default_factory=list)

    def check_modality(self, modality: str) -> None:
        """Raises InputError, with the closest name, for a modality that the model does not predict."""
        heads = self.checkpoint.spec.heads
        if modality not in heads:
            raise InputError(
                f"model {self.checkpoint.spec.name!r} does not predict {modality!r}; {_close(modality, heads)}"
                f"it predicts {', '.join(heads)}"
            )

    def tracks(self, modality: str) -> xr.Dataset:
        """The track table, padding included."""
        return self.checkpoint.spec.tracks(modality, self.organism)


def select_reading(reading: Reading, scene: Scene) -> tuple[Float[np.ndarray, " position"], Int[np.ndarray, " track"]]:
    """1 for each row that is read (of the window, or of the scene's junctions), and the slots of the tracks.

    Bins that a span touches are read whole. Raises InputError for an unknown modality, track or gene (with the closest
    names), a place that is not inside the window, a gene without an annotation or at another resolution than 1 bp.
    """
    scene.check_modality(reading.modality)
    table = scene.tracks(reading.modality)
    chosen = select_tracks(table, reading.query) & ~is_padding(table)
    if not chosen.any():
        raise InputError(
            f"no {reading.modality} track of model {scene.checkpoint.spec.name!r} matches {reading.query!r}; "
            f"{_close_words(reading.query, table)}`agenome model info` counts them"
            if reading.query
            else f"model {scene.checkpoint.spec.name!r} has no {reading.modality} track for this organism"
        )
    location = reading.location
    if isinstance(location, Junction) != (reading.modality == JUNCTIONS):
        raise InputError(
            f"{reading}: {JUNCTIONS} go with an intron and its strand, such as chr1:1001-2000:+, and tracks with "
            "spans, genes or region; change one of the two"
        )
    if isinstance(location, Junction):
        return _junction_row(location, scene), np.flatnonzero(chosen).astype(np.int32)
    resolution = min(scene.checkpoint.model.heads[reading.modality].resolutions)
    if resolution > 128:
        raise InputError(f"{reading}: {reading.modality} is no track along the sequence; give a Python function")
    if isinstance(location, Exons):
        if resolution != 1:
            raise InputError(
                f"{reading}: exons need predictions at 1 bp, but these are at {resolution} bp; give a span"
            )
        rows, strand = _exons(location, scene)
        strands = table["strand"].values.astype(str)
        if not (chosen & np.isin(strands, (strand, "."))).any():
            raise InputError(f"{reading}: the gene is on {strand!r}, and no chosen track is; choose others")
        return rows, np.flatnonzero(chosen & np.isin(strands, (strand, "."))).astype(np.int32)
    span = scene.region if isinstance(location, Here) else location.interval
    return _bins(span, scene, resolution, str(reading)), np.flatnonzero(chosen).astype(np.int32)


def _inside(span: Interval, window: Interval, what: str) -> Interval:
    """The span in the window's spelling. Raises InputError unless it lies inside."""
    same = match_contig(span.chromosome, [window.chromosome]) is not None
    span = Interval(window.chromosome if same else span.chromosome, span.start, span.end)
    if span.width == 0:
        raise InputError(f"{what}: the span is empty; give one of at least one base")
    if not window.contains(span):
        raise InputError(
            f"{what}: {span.region} is not inside the window that the model reads, {window.region}; choose a place "
            "inside, another region, or a longer window (--window)"
        )
    return span


def _bins(span: Interval, scene: Scene, resolution: int, what: str) -> Float[np.ndarray, " position"]:
    span = _inside(span, scene.window, what)
    rows = np.zeros(scene.window.width // resolution, np.float32)
    first, last = span.start - scene.window.start, span.end - scene.window.start
    rows[first // resolution : -(-last // resolution)] = 1
    return rows


def _junction_row(location: Junction, scene: Scene) -> Float[np.ndarray, " junction"]:
    intron = location.intron
    # The donor and the acceptor are the exons' bases beside the intron.
    beside = _inside(Interval(intron.chromosome, intron.start - 1, intron.end + 1), scene.window, str(location))
    intron = Interval(beside.chromosome, intron.start, intron.end, intron.strand)
    if intron not in scene.junctions:
        scene.junctions.append(intron)
    row = scene.junctions.index(intron)
    # Zeros for what is yet to come are added in `Forward`.
    return (np.arange(row + 1) == row).astype(np.float32)


def _exons(location: Exons, scene: Scene) -> tuple[Float[np.ndarray, " position"], str]:
    """Rows of the exons that start in the window, and the gene's strand."""
    if scene.genes is None:
        raise InputError(f"{location}: needs an annotation; give it with --gtf")
    masks, table = scene.genes.exon_masks(scene.window)
    wanted = _matches(location.gene, table)
    if len({str(table["gene_id"][row]) for row in wanted}) > 1:
        ids = ", ".join(str(table["gene_id"][row]) for row in wanted)
        raise InputError(f"{location}: several genes are called so: {ids}; give the id of one")
    if len(wanted):
        rows = masks[:, wanted[0]].astype(np.float32)
        if rows.any():
            return rows, str(table["gene_strand"][wanted[0]])
    everything: dict[str, Any] = scene.genes.genes_in(Interval(scene.window.chromosome, 0, _FAR))
    elsewhere = _matches(location.gene, everything)
    if len(elsewhere):
        row = elsewhere[0]
        start, end = int(everything["gene_start"][row]), int(everything["gene_end"][row])
        raise InputError(
            f"{location}: no transcript of it begins in the window {scene.window.region}; the gene is at "
            f"{Interval(scene.window.chromosome, start, end).region} on {everything['gene_strand'][row]!r}: choose a "
            "region around its start, or a longer window (--window)"
        )
    names = {str(name) for key in ("gene_name", "gene_id") for name in everything[key]} - {""}
    raise InputError(
        f"no gene {location.gene!r} on {scene.window.chromosome} in the annotation; "
        f"{_close(location.gene, names)}use a name or id of the GTF"
    )


def _matches(gene: str, table: dict[str, Any]) -> Int[np.ndarray, " match"]:
    wanted = gene.upper()
    found = [
        wanted in (str(gene_id).upper(), str(gene_id).partition(".")[0].upper(), str(name).upper())
        for gene_id, name in zip(table["gene_id"], table["gene_name"], strict=True)
    ]
    return np.flatnonzero(np.array(found, bool))


def _close(word: str, known: Any) -> str:
    """A hint at names like `word`, or nothing."""
    by_lower = {str(name).lower(): str(name) for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=3)
    return f"did you mean {' or '.join(by_lower[name] for name in close)}? " if close else ""


def _close_words(query: str, table: xr.Dataset) -> str:
    """A hint at what tracks say that is like the words of a query."""
    columns = [table[name].values for name in table.data_vars if table[name].dtype.kind in "OUST"]
    values = {str(value) for column in columns for value in column if value}
    words = values | {word for value in values for word in _WORD.findall(value)}
    lower = [word.lower() for word in words]
    unknown = [word for word in _WORD.findall(query) if not any(word.lower() in each for each in lower)]
    return "".join(_close(word, words) for word in unknown)
