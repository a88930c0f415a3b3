"""A model, a genome and what scorers need, ready to be asked: checks, then work on the devices, then answers.

backend = open_backend("genome.fa", gtf="genes.gtf.gz")
request, _ = read_prediction(backend.checks, message)
outputs = backend.predict(request, time.monotonic() + 60)
"""

import dataclasses
import os
import pathlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, cast

import jax
import numpy as np
import xarray as xr
from ag_core.checkpoint import Checkpoint, load
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.model import fold
from ag_core.precision import Precision
from ag_core.schema import is_padding
from ag_data.altered import AlteredGenome
from ag_data.fasta import Fasta

from ag_scorers.mutagenesis.mutations import ism_variants
from ag_scorers.scoring import open_resources
from ag_scorers.serve.device_queue import DeviceQueue, wait
from ag_scorers.serve.errors import ServiceError
from ag_scorers.serve.limits import Budget
from ag_scorers.serve.predicting import Output, chosen_rows
from ag_scorers.serve.replica import Kit, Replica, Scores, key_of, missing, restore
from ag_scorers.serve.requests import Checks, IntervalScores, Prediction, VariantScores
from ag_scorers.serve.settings import Settings

JUNCTIONS = "splice_junctions"
# Variants of one request that are one task, so that others get their turn and a request can be given up.
VARIANTS = 8
# What is told when a task is handed in, so that a front end can give it up.
Told = Callable[["Future[Any]"], object]


class Backend:
    """Everything a front end needs: `checks` for what is asked, `predict`, `score`, `mutagenise` for answers.

    All methods may be called by several threads at once. Raises InputError when settings and model do not go together.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        fasta: Fasta,
        settings: Settings | None = None,
        *,
        resources: dict[str, Any] | None = None,
        organism: str | None = None,
        calibration: str = "auto",
        model: str | None = None,
        version: str = "",
    ):
        self.settings = settings = settings or Settings()
        self.checkpoint = checkpoint = dataclasses.replace(checkpoint, model=fold(checkpoint.model))
        spec, self.fasta = checkpoint.spec, fasta
        whole = {(n, name): spec.tracks(name, n) for n in range(len(spec.organisms)) for name in spec.heads}
        slots = {key: np.flatnonzero(~is_padding(table)) for key, table in whole.items()}
        tables = {key: table.isel(track=slots[key]) for key, table in whole.items()}
        self.tables = {key: table for key, table in tables.items() if table.sizes["track"]}
        curies = {key: _curies(table) for key, table in tables.items()}
        self.kit = Kit(checkpoint, fasta, resources or {}, self.tables, slots, curies, calibration, model)
        self.checks = Checks(spec, fasta, spec.organism(organism), settings, version)
        self.budget = Budget(settings.memory, settings.max_bytes)
        devices = jax.local_devices()
        if len(devices) < settings.devices:
            raise InputError(f"{settings.devices} devices are asked for; this machine has {len(devices)}")
        self.queue = DeviceQueue([Replica(self.kit, device) for device in devices[: settings.devices]], settings.queue)
        self._reading = threading.Lock()

    def close(self) -> None:
        """Ends the work on the devices; what waits is given up."""
        self.queue.close()

    def notes(self, request: VariantScores | IntervalScores) -> list[str]:
        """Why some scorers say nothing. Raises ServiceError if that is to be refused."""
        kit, organism = self.kit, request.organism
        notes = [f"{one.name}: {why}" for one in request.scorers if (why := missing(kit, one, organism))]
        if notes and self.settings.strict:
            raise ServiceError("NOT_FOUND", "; ".join(notes))
        return notes

    def size(self, request: Prediction) -> int:
        """Bytes of the answer's arrays, at most."""
        total = 0
        for name in request.modalities:
            tracks = len(chosen_rows(self.kit.curies, request, name))
            head = self.checkpoint.model.heads[name]
            bins = request.width // min(head.resolutions)
            rows = bins * bins if name == "contact_maps" else bins
            if name == JUNCTIONS:
                sites = int(self.checkpoint.spec.heads[name].options.get("sites", 512))
                rows = 2 * sites * sites
            total += 4 * rows * tracks
        return total * (1 if request.variant is None else 2)

    def predict(self, request: Prediction, deadline: float, told: Told = id) -> list[dict[str, Output]]:
        """Outputs of each allele (one, or REF and ALT) by modality. Hold the budget (`size`) while you have them."""
        return self._ask(request, deadline, told, self._most(request.bases))

    def score(self, request: VariantScores, deadline: float, told: Told = id) -> Iterator[tuple[Variant, Scores]]:
        """Each variant with its scores, in order, as they come."""
        starts = range(0, len(request.variants), VARIANTS)
        parts = [dataclasses.replace(request, variants=request.variants[i : i + VARIANTS]) for i in starts]
        for part in parts:
            scores = self._ask(part, deadline, told, self._most(part.bases))
            yield from zip(part.variants, scores, strict=True)

    def score_interval(self, request: IntervalScores, deadline: float, told: Told = id) -> Scores:
        """Scores of an interval by each scorer."""
        return self._ask(request, deadline, told, 1)

    def mutate(
        self, request: VariantScores, span: Interval
    ) -> tuple[VariantScores, Callable[[Variant], Variant | None]]:
        """The request with all SNVs of the span, and what tells each of them in REF coordinates.

        On a background the genome has ALT of it; the interval keeps its start, the span what REF has there. N is
        skipped. Raises InputError when nothing is left to mutate. Source: spec/scoring.md 3.2, 1.12 (item 3).
        """
        with self._reading:  # a reader has one position in its file
            altered = None
            if request.background is not None:
                altered = AlteredGenome(cast(Fasta, self.fasta), request.background)
                start = int(altered.starts(np.array(request.interval.start)))
                width = request.interval.width
                interval = dataclasses.replace(request.interval, start=start, end=start + width)
                request = dataclasses.replace(request, interval=interval)
                span = altered.over(span)
            bases = (altered or self.fasta).fetch(span) if span.width else ""
        found = [dataclasses.replace(one, name=span.name) for one in ism_variants(span, bases, skip_n=True)]
        kept = tuple(variant for variant in found if restore(variant, altered) is not None)
        if not kept:
            raise InputError(f"there is nothing to mutate in {span}, which reads {bases[:20]!r}")
        return dataclasses.replace(request, variants=kept), lambda variant: restore(variant, altered)

    def _most(self, bases: int) -> int:
        """Requests of so many bp that are computed together."""
        room = self.settings.batch * 2 * max(self.checkpoint.spec.window, 1)
        return max(1, min(self.settings.batch, room // max(bases, 1)))

    def _ask(self, request: Any, deadline: float, told: Told, most: int) -> Any:
        future = self.queue.submit(key_of(request), request, most)
        told(future)
        return wait(future, deadline - time.monotonic())


def _curies(table: xr.Dataset) -> Sequence[str]:
    if "ontology_curie" not in table:
        return [""] * table.sizes["track"]
    return [str(value) for value in table["ontology_curie"].values]


def open_backend(
    fasta: str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    gtf: str | os.PathLike[str] | None = None,
    splice_sites: str | os.PathLike[str] | None = None,
    polya: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] = "mini",
    precision: Precision | str = Precision.FLOAT32,
    **options: Any,
) -> Backend:
    """Loads everything; `options` are further ones of `Backend`. Raises InputError."""
    genome, resources = Fasta(pathlib.Path(fasta)), open_resources(gtf, splice_sites, polya)
    checkpoint = load(model, precision=precision)
    return Backend(checkpoint, genome, settings, resources=resources, model=str(model), **options)
