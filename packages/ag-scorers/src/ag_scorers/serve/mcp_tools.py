"""What an assistant can ask (`mcp_front`): few tools that read and compute, take no path and write nothing.

What is asked is checked as over HTTP and refused in the same words; answers are short.
"""

import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from ag_core.genome import Interval
from ag_data.query import select_in
from pydantic import Field

from ag_scorers.recommended import RECOMMENDED_INTERVAL, recommended
from ag_scorers.serve.backend import Backend, Told
from ag_scorers.serve.errors import too_long
from ag_scorers.serve.http_models import (
    TAXA,
    IntervalBody,
    IntervalScoresBody,
    Name,
    PredictBody,
    ScorerText,
    VariantBody,
    VariantsBody,
    to_interval_scores,
    to_prediction,
    to_variant_scores,
)
from ag_scorers.serve.predicting import Output
from ag_scorers.serve.tables import describe_tracks, score_table

MOST_BYTES = 256 << 20  # of predictions that are summed up
Limit = Annotated[int, Field(ge=1, le=50, description="rows of each output or scorer, the strongest first")]
Scorers = Annotated[list[ScorerText], Field(max_length=20)] | None
Query = Annotated[str, Field(max_length=500, description='words and field=value with & | !, such as "DNase & K562"')]
Organism = Literal["human", "mouse"] | None


class Tools:
    """What can be asked of a backend; `files` are the options of `agenome report` that lead to the same files."""

    def __init__(self, backend: Backend, files: Mapping[str, str] | None = None):
        self._backend, self._files = backend, dict(files or {})

    def about(self, told: Told) -> dict[str, Any]:
        """The model, its outputs and recommended scorers, the genome and bounds: ask this first."""
        backend, spec = self._backend, self._backend.checkpoint.spec
        number = backend.checks.genome_of
        lengths = backend.checks.lengths
        tables = self._tables(number)
        return {
            "model": {"name": spec.name, "digest": backend.checkpoint.digest, "licence": spec.licence},
            "window_bp": spec.window,
            "largest_interval_bp": backend.settings.max_window,
            "organisms": list(spec.organisms),
            "genome": {
                "organism": spec.organisms[number],
                "chromosomes": dict(list(lengths.items())[:100]),
                "number_of_chromosomes": len(lengths),
            },
            "outputs": {
                name: {"tracks": table.sizes["track"], "resolution_bp": self._resolution(name)}
                for name, table in tables.items()
            },
            "variant_scorers": list(recommended(spec.heads, spec.organisms[number])),
            "interval_scorers": list(RECOMMENDED_INTERVAL),
            "annotations": sorted(backend.kit.resources),
        }

    def list_tracks(
        self, told: Told, query: Query = "", organism: Organism = None, limit: Annotated[int, Field(ge=1, le=200)] = 50
    ) -> dict[str, Any]:
        """Tracks whose metadata fit a query; how many in each output, and the first of them."""
        tables = self._tables(self._backend.checks.organism(TAXA.get(organism or "", 0)))
        rows = select_in(tables, query)
        found = [
            {"output": name, **one}
            for name, chosen in rows.items()
            for one in describe_tracks(tables[name].isel(track=chosen[:limit]))
        ]
        return {"found": {name: len(chosen) for name, chosen in rows.items()}, "tracks": found[:limit]}

    def predict_interval(
        self,
        told: Told,
        interval: IntervalBody,
        outputs: Annotated[list[Name], Field(min_length=1, max_length=20)],
        query: Query = "",
        limit: Limit = 10,
    ) -> dict[str, Any]:
        """Predicted tracks of an interval: mean, maximum and where that is. 0-based half-open.

        A short interval is predicted in the middle of a window as long as the model was trained on.
        """
        backend, window = self._backend, self._backend.checkpoint.spec.window
        inner = Interval(interval.chromosome, interval.start, interval.end, interval.strand)
        wide = inner.resize(window) if inner.width < window else inner
        place = interval.model_copy(update={"start": wide.start, "end": wide.end})
        request, notes = to_prediction(backend, PredictBody(outputs=outputs, interval=place))
        tables = {name: table for name, table in self._tables(request.organism).items() if name in request.modalities}
        rows = select_in(tables, query)
        if (size := backend.size(request)) > MOST_BYTES:
            raise too_long(f"predictions of {size:,} bytes, more than {MOST_BYTES:,}; ask for fewer outputs or less bp")
        with backend.budget.hold(size, self._deadline()):
            (found,) = backend.predict(request, self._deadline(), told)
            summaries = {
                name: _summary(found[name], tables[name], chosen, limit, wide, inner) for name, chosen in rows.items()
            }
        shown = {"chromosome": interval.chromosome, "start": wide.start, "end": wide.end}
        return {"predicted": shown, "outputs": summaries, "notes": notes}

    def score_variant(
        self, told: Told, variant: VariantBody, scorers: Scorers = None, organism: Organism = None, limit: Limit = 5
    ) -> dict[str, Any]:
        """What a variant does, by each scorer (the recommended ones if none): the strongest rows.

        `score` is ALT against REF in the scorer's unit, `quantile` where it lies among common variants (-1 to 1).
        """
        body = VariantsBody(variants=[variant], scorers=scorers or [], organism=organism)
        (request,) = to_variant_scores(self._backend, body)
        notes = self._backend.notes(request)
        ((found, scores),) = self._backend.score(request, self._deadline(), told)
        answer = {"variant": str(found), "scorers": _strongest("variant", str(found), scores, limit), "notes": notes}
        if self._files:
            command = ["agenome", "report", "variant", str(found)]
            command += [word for name, value in self._files.items() for word in (f"--{name}", value)]
            answer["report"] = shlex.join([*command, "-o", "report.html"])
        return answer

    def score_interval(
        self, told: Told, interval: IntervalBody, scorers: Scorers = None, limit: Limit = 5
    ) -> dict[str, Any]:
        """Predicted activity of the genes of an interval (a multiple of 2,048 bp): each scorer's strongest rows."""
        request = to_interval_scores(self._backend, IntervalScoresBody(interval=interval, scorers=scorers or []))
        notes = self._backend.notes(request)
        scores = self._backend.score_interval(request, self._deadline(), told)
        place = str(request.interval)
        return {"interval": place, "scorers": _strongest("interval", place, scores, limit), "notes": notes}

    def _deadline(self) -> float:
        return time.monotonic() + self._backend.settings.timeout

    def _tables(self, organism: int) -> dict[str, Any]:
        return {name: table for (number, name), table in self._backend.tables.items() if number == organism}

    def _resolution(self, modality: str) -> int:
        return min(self._backend.checkpoint.model.heads[modality].resolutions)


def _summary(output: Output, table: Any, rows: np.ndarray, limit: int, wide: Interval, inner: Interval) -> Any:
    """Of each track: mean and maximum over the bins that touch `inner`, and the bin (or junction) of the maximum."""
    values, places = output.values.astype(np.float32), None
    if output.junctions is not None:
        starts, ends = output.junctions["start"], output.junctions["end"]
        kept = np.flatnonzero((starts < inner.end) & (ends > inner.start))
        values, places = values[kept], np.stack([starts[kept], ends[kept]], -1)
    else:
        low = (inner.start - wide.start) // output.resolution
        high = -(-(inner.end - wide.start) // output.resolution)
        values = values[(slice(low, high),) * (values.ndim - 1)]
        if values.ndim == 2:
            starts = wide.start + (low + np.arange(len(values))) * output.resolution
            places = np.stack([starts, starts + output.resolution], -1)
    flat = values.reshape(-1, values.shape[-1])[:, np.searchsorted(output.rows, rows)]
    if not len(flat):
        return []
    tops, means = flat.argmax(0), flat.mean(0)
    order = np.argsort(-means, kind="stable")[:limit]
    described = describe_tracks(table.isel(track=rows[order]))
    return [
        {**one, "mean": float(means[n]), "max": float(flat[tops[n], n])}
        | ({} if places is None else {"max_at": places[tops[n]].tolist()})
        for one, n in zip(described, order, strict=True)
    ]


def _strongest(place: str, name: str, scores: Sequence[Any], limit: int) -> list[dict[str, Any]]:
    """The largest rows of each scorer, by absolute value; NaN is left out."""
    found = []
    for one in scores:
        table = score_table(place, [(name, (one,))]).drop_columns([place, "scorer"])
        values = np.abs(table["score"].to_numpy(zero_copy_only=False))
        order = np.argsort(-np.nan_to_num(values, nan=-1), kind="stable")[: min(limit, np.isfinite(values).sum())]
        rows = [{key: v for key, v in row.items() if v is not None} for row in table.take(order).to_pylist()]
        found.append({"scorer": one.key, "rows": len(table), "strongest": rows})
    return found
