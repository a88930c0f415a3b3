"""The HTTP front: JSON or Arrow for everybody else. `/openapi.json` tells all of it."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from typing import Annotated, Any

import uvicorn
from ag_core._version import __version__
from ag_core.errors import InputError
from fastapi import FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from ag_scorers.serve.desk import Desk, Visit
from ag_scorers.serve.errors import HTTP_CODES, too_long
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
from ag_scorers.serve.settings import LOOPBACK
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
_POLL = 0.5  # seconds between looks at whether the client is still there
_ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"description": status, "content": {"application/json": {"schema": {"type": "object"}}}}
    for status, code in HTTP_CODES.items()
    if code not in (499, 500)
}
_Arrow = {200: {"content": {ARROW: {"schema": {"type": "string", "format": "binary"}}}}}
Accept = Annotated[str, Header(max_length=200, description=f"application/json, or {ARROW}")]
Key = Annotated[str | None, Header(alias="X-API-Key", max_length=500)]


class Json(JSONResponse):
    """JSON in ASCII: texts that are no Unicode come back escaped, where they would else break the answer."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


async def _invalid(request: Request, error: Exception) -> Response:
    """What does not fit the description; without the values, which may be anything."""
    assert isinstance(error, RequestValidationError)
    found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5]]
    return Json({"error": "INVALID_ARGUMENT", "detail": "; ".join(found)[:2000]}, 422)


def make_app(desk: Desk) -> FastAPI:
    """The application; see `/openapi.json`."""
    backend = desk.backend
    app = FastAPI(title="agenome", version=__version__, docs_url=None, redoc_url=None)
    app.add_exception_handler(RequestValidationError, _invalid)

    async def run(request: Request, key: str | None, work: Callable[[Visit], Response]) -> Response:
        """Does work in a thread; it is given up when the client goes away."""
        visit = desk.visit("http", request.url.path)

        def all_of_it() -> Response:
            try:
                with visit:
                    visit.limit(None, visit.cancel)
                    visit.enter(key)
                    return work(visit)
            except Exception as error:
                status, text = visit.failed(error)
                return Json({"error": status, "detail": text}, HTTP_CODES[status])

        task = asyncio.ensure_future(run_in_threadpool(all_of_it))
        while not (await asyncio.wait({task}, timeout=_POLL))[0]:
            if await request.is_disconnected():
                visit.cancel()
        return task.result()

    @app.post("/v1/predict", responses=_ERRORS | _Arrow)
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

    @app.post("/v1/score/variants", responses=_ERRORS | _Arrow)
    async def score_variants(body: VariantsBody, request: Request, key: Key = None, accept: Accept = "") -> Response:
        """Scores of variants, one row for each variant, scorer, item (gene or junction) and track."""

        def work(visit: Visit) -> Response:
            asked = to_variant_scores(backend, body)
            notes = backend.notes(asked[0])
            found = ((str(variant), scores) for one in asked for variant, scores in visit.score(one))
            return scores("variant", found, notes, accept)

        return await run(request, key, work)

    @app.post("/v1/score/ism", responses=_ERRORS | _Arrow)
    async def score_ism(body: IsmBody, request: Request, key: Key = None, accept: Accept = "") -> Response:
        """Scores of all SNVs of a span, rows as for variants."""

        def work(visit: Visit) -> Response:
            asked, span = to_ism(backend, body)
            notes = backend.notes(asked)
            asked, restore = backend.mutate(asked, span)
            found = ((str(restore(variant)), scores) for variant, scores in visit.score(asked))
            return scores("variant", found, notes, accept)

        return await run(request, key, work)

    @app.post("/v1/score/interval", responses=_ERRORS | _Arrow)
    async def score_interval(
        body: IntervalScoresBody, request: Request, key: Key = None, accept: Accept = ""
    ) -> Response:
        """Scores of an interval, one row for each scorer, gene and track."""

        def work(visit: Visit) -> Response:
            asked = to_interval_scores(backend, body)
            notes = backend.notes(asked)
            return scores("interval", [(str(asked.interval), visit.score_interval(asked))], notes, accept)

        return await run(request, key, work)

    @app.get("/v1/metadata/{organism}", responses=_ERRORS)
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

    @app.get("/health")
    async def health() -> Response:
        """200 while requests are taken, else 503."""
        return Json({"status": "serving" if desk.open else "stopping"}, 200 if desk.open else 503)

    @app.get("/metrics", responses={200: {"content": {"text/plain": {}}}, 401: _ERRORS[401]})
    async def metrics(request: Request, key: Key = None) -> Response:
        """Counters for Prometheus; with keys in use, for their holders only."""
        return await run(request, key, lambda visit: Response(desk.metrics.text(), media_type=CONTENT_TYPE))

    return app


class _Guard:
    """Refuses bodies that are too long and, where only this machine may ask, names of other machines.

    A page in a browser could otherwise reach a server on loopback by a name that it has made point there.
    """

    def __init__(self, app: Any, most: int, local: bool):
        self._app, self._most, self._local = app, most, local

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1").rsplit(":", 1)[0].strip("[]")
        length = headers.get(b"content-length", b"0")
        if self._local and host not in LOOPBACK:
            return await _refuse(scope, receive, send, 400, "this server answers to localhost only")
        if not length.isdigit() or int(length) > self._most or b"transfer-encoding" in headers:
            return await _refuse(scope, receive, send, 413, f"bodies need a Content-Length of at most {self._most:,}")
        return await self._app(scope, receive, send)


async def _refuse(scope: Any, receive: Any, send: Any, code: int, text: str) -> None:
    await Json({"error": "INVALID_ARGUMENT", "detail": text}, code)(scope, receive, send)


class HttpFront:
    """An HTTP server in a thread of its own; `certificate`: files of the key and the chain, None for plain text."""

    def __init__(self, desk: Desk, port: int, certificate: tuple[str, str] | None = None):
        settings = desk.backend.settings
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((settings.host, port))
        except OSError as error:
            self._socket.close()
            raise InputError(f"cannot listen on {settings.host}, port {port}: {error}") from error
        self.port = self._socket.getsockname()[1]
        local = settings.local and desk.accounts.anonymous is not None
        self.app = make_app(desk)
        key, chain = certificate or (None, None)
        config = uvicorn.Config(
            _Guard(self.app, settings.message, local),  # pyright: ignore[reportArgumentType]
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            http="h11",
            loop="asyncio",
            limit_concurrency=settings.connections,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=int(settings.grace) + 1,
            server_header=False,
            ssl_keyfile=key,
            ssl_certfile=chain,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="http", daemon=True)

    def start(self) -> None:
        """Takes requests from now on: those that come before the thread is ready wait."""
        self._socket.listen(1024)
        self._thread.start()

    def stop(self) -> None:
        """Takes no more requests and waits for those under way, no longer than the grace."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
