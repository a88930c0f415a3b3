"""The application of the HTTP front: JSON or Arrow for everybody else. `/openapi.json` tells all of it."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Annotated, Any

from ag_core._version import __version__
from fastapi import FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from ag_scorers.serve.desk import Desk, Visit
from ag_scorers.serve.errors import HTTP_CODES, ServiceError, too_long
from ag_scorers.serve.http_answers import Health, Metadata, Predictions, Scores, responses
from ag_scorers.serve.http_models import (
    TAXA,
    IntervalScoresBody,
    IsmBody,
    PredictBody,
    VariantsBody,
    to_interval_scores,
    to_ism,
    to_prediction,
    to_variant_scores,
)
from ag_scorers.serve.metrics import CONTENT_TYPE
from ag_scorers.serve.tables import (
    ARROW,
    describe_outputs,
    describe_tracks,
    score_table,
    table_bytes,
    to_arrow,
    to_json,
)

# Numbers in a JSON answer, and bytes of an Arrow answer, which are put together in memory.
MOST_NUMBERS, MOST_BYTES = 2_000_000, 256 << 20
PIECE = 1 << 20  # bytes of an answer that are handed over at a time
_SENT = 1.0  # seconds to send an answer that was ready at the last moment
_POLL = 0.5  # seconds between looks at whether the client is still there
# OpenAPI tells of this one by the content types of answers.
Accept = Annotated[str, Header(max_length=200, include_in_schema=False)]
Key = Annotated[str | None, Header(alias="X-API-Key", max_length=500)]


class Json(JSONResponse):
    """JSON in ASCII: texts that are no Unicode come back escaped, where they would else break the answer."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


class Answer(Response):
    """An answer sent piece by piece, as fast as it is taken; its visit, and so its memory, ends when all is sent.

    The rest is not sent when the visit's time is up.
    """

    def __init__(self, whole: Response, visit: Visit, stack: ExitStack):
        super().__init__(whole.body, whole.status_code, dict(whole.headers))
        self._visit, self._stack = visit, stack

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Sends it."""
        with self._stack:
            try:
                async with asyncio.timeout(max(self._visit.deadline - time.monotonic(), _SENT)):
                    head = {"status": self.status_code, "headers": self.raw_headers}
                    await send({"type": "http.response.start", **head})
                    for start in range(0, len(self.body), PIECE):
                        piece = self.body[start : start + PIECE]
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                    await send({"type": "http.response.body", "body": b""})
            except TimeoutError:
                self._visit.failed(ServiceError("DEADLINE_EXCEEDED", "the answer was not taken in time"))


async def _invalid(request: Request, error: Exception) -> Response:
    """What does not fit the description; without the values, which may be anything."""
    assert isinstance(error, RequestValidationError)
    found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5]]
    return Json({"error": "INVALID_ARGUMENT", "detail": "; ".join(found)[:2000]}, 422)


async def _refused(request: Request, error: Exception) -> Response:
    """What the framework refuses, such as a path that is not there, in the words of all other refusals."""
    assert isinstance(error, HTTPException)
    status = {404: "NOT_FOUND", 405: "UNIMPLEMENTED"}.get(error.status_code, "INVALID_ARGUMENT")
    return Json({"error": status, "detail": str(error.detail)}, error.status_code, dict(error.headers or {}))


def _path_of(request: Request) -> str:
    """What counters call a path: those that anybody can make up are one."""
    path = request.url.path
    return path if path.rpartition("/")[2] in TAXA else request.scope["route"].path


def make_app(desk: Desk) -> FastAPI:
    """The application; see `/openapi.json`."""
    backend = desk.backend
    app = FastAPI(title="agenome", version=__version__, docs_url=None, redoc_url=None)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)

    async def run(request: Request, key: str | None, work: Callable[[Visit], Response]) -> Response:
        """Does work in a thread; it is given up when the client goes away."""
        visit = desk.visit("http", _path_of(request))

        def all_of_it() -> Response:
            try:
                with ExitStack() as stack:
                    stack.enter_context(visit)
                    visit.limit(None, visit.cancel)
                    visit.enter(key)
                    return Answer(work(visit), visit, stack.pop_all())
            except Exception as error:
                status, text = visit.failed(error)
                return Json({"error": status, "detail": text}, HTTP_CODES[status])

        task = asyncio.ensure_future(run_in_threadpool(all_of_it))
        while not (await asyncio.wait({task}, timeout=_POLL))[0]:
            if await request.is_disconnected():
                visit.cancel()
        return task.result()

    @app.post("/v1/predict", response_class=Json, responses=responses(Predictions, arrow=True))
    async def predict(body: PredictBody, request: Request, key: Key = None, accept: Accept = "") -> Response:
        """Tracks, contact maps and junctions of a sequence, an interval, or both alleles of a variant."""

        def work(visit: Visit) -> Response:
            asked, notes = to_prediction(backend, body)
            size, arrow = backend.size(asked), ARROW in accept
            if size > (MOST_BYTES if arrow else 4 * MOST_NUMBERS):
                remedy = "ask for fewer outputs or terms" if arrow else f"ask for less, or Accept: {ARROW}"
                raise too_long(f"the answer may have {size // 4:,} numbers; {remedy}, or use gRPC")
            outputs = describe_outputs(asked, visit.predict(asked), backend.tables)
            if arrow:
                return Response(to_arrow(outputs), media_type=ARROW)
            return Json({"outputs": to_json(outputs), "notes": notes})

        return await run(request, key, work)

    def scores(place: str, found: Any, notes: list[str], accept: str) -> Response:
        results = list(found)
        count = sum(one.values.size for _, scores in results for one in scores)
        if ARROW in accept:
            return Response(table_bytes(score_table(place, results)), media_type=ARROW)
        if count > MOST_NUMBERS // 10:
            raise too_long(f"the answer has {count:,} rows; ask for fewer scorers or variants, or Accept: {ARROW}")
        return Json({"scores": score_table(place, results).to_pylist(), "notes": notes})

    @app.post("/v1/score/variants", response_class=Json, responses=responses(Scores, arrow=True))
    async def score_variants(body: VariantsBody, request: Request, key: Key = None, accept: Accept = "") -> Response:
        """Scores of variants, one row for each variant, scorer, item (gene or junction) and track."""

        def work(visit: Visit) -> Response:
            asked = to_variant_scores(backend, body)
            notes = backend.notes(asked[0])
            found = ((str(variant), scores) for one in asked for variant, scores in visit.score(one))
            return scores("variant", found, notes, accept)

        return await run(request, key, work)

    @app.post("/v1/score/ism", response_class=Json, responses=responses(Scores, arrow=True))
    async def score_ism(body: IsmBody, request: Request, key: Key = None, accept: Accept = "") -> Response:
        """Scores of all SNVs of a span, rows as for variants."""

        def work(visit: Visit) -> Response:
            asked, span = to_ism(backend, body)
            notes = backend.notes(asked)
            asked, restore = backend.mutate(asked, span)
            found = ((str(restore(variant)), scores) for variant, scores in visit.score(asked))
            return scores("variant", found, notes, accept)

        return await run(request, key, work)

    @app.post("/v1/score/interval", response_class=Json, responses=responses(Scores, arrow=True))
    async def score_interval(
        body: IntervalScoresBody, request: Request, key: Key = None, accept: Accept = ""
    ) -> Response:
        """Scores of an interval, one row for each scorer, gene and track."""

        def work(visit: Visit) -> Response:
            asked = to_interval_scores(backend, body)
            notes = backend.notes(asked)
            return scores("interval", [(str(asked.interval), visit.score_interval(asked))], notes, accept)

        return await run(request, key, work)

    @app.get("/v1/metadata/{organism}", response_class=Json, responses=responses(Metadata))
    async def metadata(organism: str, request: Request, key: Key = None) -> Response:
        """Tracks of all outputs for `human` or `mouse`, and what the server is."""

        def work(visit: Visit) -> Response:
            number = backend.checks.organism(TAXA.get(organism, -1))
            spec = backend.checkpoint.spec
            tracks = {name: describe_tracks(table) for (one, name), table in backend.tables.items() if one == number}
            resolutions = {name: min(backend.checkpoint.model.heads[name].resolutions) for name in tracks}
            about = {"model": spec.name, "digest": backend.checkpoint.digest, "licence": spec.licence}
            return Json({**about, "window": spec.window, "resolutions": resolutions, "tracks": tracks})

        return await run(request, key, work)

    @app.get("/health", response_class=Json, responses={200: {"model": Health}, 503: {"model": Health}})
    async def health() -> Response:
        """200 while requests are taken, else 503."""
        return Json({"status": "serving" if desk.open else "stopping"}, 200 if desk.open else 503)

    @app.get("/metrics", response_class=PlainTextResponse, responses=responses(None))
    async def metrics(request: Request, key: Key = None) -> Response:
        """Counters for Prometheus; with keys in use, for their holders only."""
        return await run(request, key, lambda visit: Response(desk.metrics.text(), media_type=CONTENT_TYPE))

    return app
