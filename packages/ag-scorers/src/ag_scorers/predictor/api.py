"""Predictions in one call: what `agenome predict` and Python users share.

import ag_scorers
tree = ag_scorers.predict(region="chr20:44,355,804-44,360,000", fasta="ref.fa")
tree["cage"]["prediction"]                     # xarray, (position, track)
"""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from ag_core.checkpoint import load
from ag_core.errors import InputError
from ag_core.precision import Precision
from ag_data.annotation import Annotation, read_gtf
from ag_data.export.tree import MemoryWriter
from ag_data.export.zarr_store import DTYPES, StoreWriter, open_tree, work_folder
from ag_data.fasta import Fasta
from ag_data.splice_sites import annotated_sites

from ag_scorers.predictor.formats import check_outputs, export, kinds_of, store_path
from ag_scorers.predictor.places import Place, Windows, gather_places
from ag_scorers.predictor.runner import JUNCTIONS, Advance, Predictor

ALIGN = ("none", "reference")


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that was asked for, checked and loaded, before anything is computed.

    `provenance` goes to the root of the tree; `source` tells the file of sequences from others.
    """

    predictor: Predictor
    places: Sequence[Place]
    provenance: Mapping[str, Any]
    source: str

    @property
    def bases(self) -> int:
        """Bp that the model will read."""
        return sum(place.window.width for place in self.places)

    @property
    def attrs(self) -> dict[str, Any]:
        """Attributes of the tree's root."""
        names = [place.name for place in self.places]
        return {**self.provenance, "modalities": list(self.predictor.tables), "places": names}

    def shapes(self) -> list[dict[str, Any]]:
        """For each array: modality, place, dims, shape (None where only the prediction tells) and float32 bytes."""
        rows = []
        for place in self.places:
            for block in self.predictor.blocks(place):
                unknown = self.predictor.kinds[block.modality] == JUNCTIONS
                shape = [None if unknown and not axis else size for axis, size in enumerate(block.shape)]
                size = None if unknown else 4 * int(np.prod(block.shape))
                row = {"modality": block.modality, "place": place.name, "dims": list(block.dims), "shape": shape}
                rows.append({**row, "bytes": size, "interval": block.attrs["interval"]})
        return rows


def prepare(
    *,
    fasta: str | os.PathLike[str] | None = None,
    gtf: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] = "mini",
    organism: str | None = None,
    outputs: Iterable[str] = (),
    tracks: str = "",
    window: int | None = None,
    precision: Precision | str = Precision.FLOAT32,
    align: str = "none",
    min_count: float = 0.0,
    **place: Any,
) -> Plan:
    """Loads and checks everything; `place` is one of region, gene, bed, sequences, variant. Raises InputError."""
    if precision not in list(Precision):
        raise InputError(f"precision {precision!r}: expected one of {', '.join(Precision)}")
    if align not in ALIGN:
        raise InputError(f"align {align!r}: expected one of {', '.join(ALIGN)}")
    genome = None if fasta is None else Fasta(fasta)
    annotation = None if gtf is None else read_gtf(gtf)
    checkpoint = load(model, precision=precision)
    windows = Windows(checkpoint.spec.window, window)
    places = gather_places(windows, fasta=genome, annotation=annotation, **place)
    predictor = Predictor(
        checkpoint,
        outputs=[name.strip().lower().replace("-", "_") for name in outputs],
        tracks=tracks,
        organism=organism,
        align=align == "reference",
        min_count=min_count,
        resources=_resources(annotation, place.get("variant")),
    )
    source = fasta if place.get("sequences") is None else place["sequences"]
    return Plan(predictor, places, _provenance(predictor, places, genome, tracks), _identity(source))


def predict(**options: Any) -> xr.DataTree:
    """Predictions in memory, as a tree with one child for each modality (see `ag_data.export.tree`).

    Options are those of `prepare`: one of `region` (text, 1-based), `gene`, `bed`, `sequences`, `variant`; `fasta`,
    `gtf`, `model`, `organism`, `outputs` (modalities), `tracks` (a query), `window`, `precision`, `align`,
    `min_count`. Raises InputError. For what does not fit in memory use `write_predictions`.
    """
    plan = prepare(**options)
    writer = MemoryWriter(plan.predictor.tables, plan.attrs)
    plan.predictor.run(plan.places, writer)
    return writer.tree()


def write_predictions(
    output: Iterable[str | os.PathLike[str]], *, force: bool = False, dtype: str = "float32", **options: Any
) -> list[str]:
    """Predicts into files, chosen by suffix (see `ag_scorers.predictor.formats`), and returns what was written.

    `options` are those of `prepare`, `dtype` is that of a .zarr. `force` replaces files that are there. An
    interrupted run of many places goes on where it stopped when called again. Raises InputError.
    """
    paths = check_outputs(output, force)
    return run_plan(prepare_for(paths, **options), paths, dtype=dtype)


def prepare_for(paths: Sequence[pathlib.Path], **options: Any) -> Plan:
    """As `prepare`, with only those modalities that the formats of `paths` can hold.

    Raises InputError also for what a format cannot hold.
    """
    plan = prepare(**options)
    wanted = kinds_of(paths, plan.predictor.kinds, named=bool(options.get("outputs")))
    plan.predictor.keep(wanted)
    exports = [path for path in paths if path != store_path(paths)]
    if exports:  # what cannot be written is found out now, not after hours
        writer = MemoryWriter(plan.predictor.tables, plan.attrs, hollow=True)
        for place in plan.places:
            for block in plan.predictor.blocks(place):
                writer.create(place.name, block)
        for path in exports:
            export(writer.tree(), path, check=True)
    return plan


def run_plan(
    plan: Plan, paths: Sequence[pathlib.Path], *, dtype: str = "float32", advance: Advance = lambda width: None
) -> list[str]:
    """Predicts into a store block by block, and makes every file from it; files appear when they are complete."""
    if dtype not in DTYPES:
        raise InputError(f"dtype {dtype!r}: expected one of {', '.join(DTYPES)}")
    store = store_path(paths)
    folder = work_folder(store or paths[0])
    writer = StoreWriter(folder, plan.predictor.tables, plan.attrs, dtype=dtype, fingerprint=_fingerprint(plan, dtype))
    written: list[str] = []
    try:
        plan.predictor.run(plan.places, writer, advance)
        tree = open_tree(writer.store)
        for path in paths:
            if path != store:
                written += export(tree, path)
        tree.close()
        if store:
            finished = writer.finish()
            if store.exists():
                store.rename(folder / "replaced")
            finished.rename(store)
            written.append(str(store))
    except InputError:
        writer.discard()
        raise
    except BaseException:
        # What is finished will be used by the next run; without any, nothing is left.
        writer.close() if writer.started else writer.discard()
        raise
    writer.discard()
    return written


def _resources(annotation: Annotation | None, variant: str | None) -> dict[str, Any]:
    """What decides between which sites a variant's junctions are predicted."""
    if annotation is None or variant is None:
        return {}
    return {"genes": annotation, "splice_sites": annotated_sites(annotation)}


def _identity(path: str | os.PathLike[str] | None) -> str:
    if path is None:
        return ""
    status = os.stat(path)
    return f"{pathlib.Path(path).resolve()}\0{status.st_size}\0{status.st_mtime_ns}"


def _provenance(predictor: Predictor, places: Sequence[Place], fasta: Fasta | None, tracks: str) -> dict[str, Any]:
    from ag_core._version import __version__

    spec = predictor.checkpoint.spec
    return {
        "version": __version__,
        "model": spec.name,
        "model_digest": predictor.checkpoint.digest,
        "precision": str(predictor.model.precision),
        "organism": spec.organisms[predictor.organism],
        "fasta": "" if fasta is None else fasta.path.name,
        "tracks": tracks,
        "min_count": predictor.min_count,
        "chromosomes": {place.region.chromosome: place.length for place in places},
    }


def _fingerprint(plan: Plan, dtype: str) -> str:
    """Equal for runs that would write the same."""
    about = [dtype, plan.predictor.align, plan.source, plan.provenance]
    hasher = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, table in plan.predictor.tables.items():
        hasher.update(json.dumps([name, *map(str, table["track"].values)]).encode())
    for place in plan.places:
        hasher.update(f"{place.name}\t{place.region}\t{place.window}\t{place.variant}\n".encode())
    return hasher.hexdigest()
