"""The gRPC front: what the official client calls. Source: spec/scoring.md 5.2."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from ag_core.errors import InputError

from ag_scorers.serve.desk import Desk, Visit
from ag_scorers.serve.grpc_health import Health
from ag_scorers.serve.protocol import MESSAGES, SERVICE, Malformed, methods, parse, serialise
from ag_scorers.serve.reading import read_interval_scores, read_ism, read_prediction, read_variant_scores

KEY, NOTES = "x-goog-api-key", "x-ag-notes"
_Answer = Callable[[Visit, Any, Any], Iterator[Any]]


class Service:
    """Answers each method; a generator of responses for one request."""

    def __init__(self, desk: Desk):
        self._desk, self._backend, self._catalogue = desk, desk.backend, desk.catalogue

    def predict(self, make: Any, fields: tuple[str, ...]) -> _Answer:
        """The three kinds of predictions; `fields` hold the output of each allele."""

        def answer(visit: Visit, message: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            request, notes = read_prediction(self._backend.checks, message)
            _note(context, notes)
            yield from self._catalogue.outputs(request, visit.predict(request), make, fields)

        return answer

    def score_variant(self, visit: Visit, message: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """One variant: a result for each scorer, in the order of the request."""
        request = read_variant_scores(self._backend.checks, message)
        _note(context, self._backend.notes(request))
        for variant, found in visit.score(request):
            for scores in found:
                yield from self._catalogue.variant_scores(
                    request.organism, variant, scores, request.merge, MESSAGES.ScoreVariantResponse
                )

    def score_ism(self, visit: Visit, message: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """All SNVs of a span: for each of them a result for each scorer."""
        request, span = read_ism(self._backend.checks, message)
        _note(context, self._backend.notes(request))
        request, restore = self._backend.mutate(request, span)
        for variant, found in visit.score(request):
            shown = restore(variant)
            assert shown is not None
            for scores in found:
                yield from self._catalogue.variant_scores(
                    request.organism, shown, scores, request.merge, MESSAGES.ScoreIsmVariantResponse
                )

    def score_interval(self, visit: Visit, message: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """An interval: a result for each scorer."""
        request = read_interval_scores(self._backend.checks, message)
        _note(context, self._backend.notes(request))
        for scores in visit.score_interval(request):
            yield from self._catalogue.interval_scores(
                request.organism, request.interval, scores, request.merge, MESSAGES.ScoreIntervalResponse
            )

    def metadata(self, visit: Visit, message: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """Tracks of all outputs."""
        yield self._catalogue.metadata(self._backend.checks.organism(message.organism))

    def handlers(self) -> Any:
        """All methods for a gRPC server."""
        answers: dict[str, _Answer] = {
            "PredictSequence": self.predict(MESSAGES.PredictSequenceResponse, ("output",)),
            "PredictInterval": self.predict(MESSAGES.PredictIntervalResponse, ("output",)),
            "PredictVariant": self.predict(MESSAGES.PredictVariantResponse, ("reference_output", "alternate_output")),
            "ScoreInterval": self.score_interval,
            "ScoreVariant": self.score_variant,
            "ScoreIsmVariant": self.score_ism,
            "GetMetadata": self.metadata,
        }
        made = {}
        for name, (request, _, streamed, _) in methods(SERVICE).items():
            kind = grpc.stream_stream_rpc_method_handler if streamed else grpc.unary_stream_rpc_method_handler
            made[name] = kind(self._method(name, answers[name], streamed), parse(request), serialise)
        return grpc.method_handlers_generic_handler(SERVICE, made)

    def _method(self, name: str, answer: _Answer, streamed: bool) -> Callable[..., Iterator[Any]]:
        def respond(messages: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with self._desk.visit("grpc", name) as visit:
                try:
                    visit.limit(context.time_remaining(), context.cancel)
                    context.add_callback(visit.cancel)
                    keys = [value for key, value in context.invocation_metadata() if key == KEY]
                    visit.enter(_text(keys[0]) if keys else None)
                    message = next(messages, None) if streamed else messages
                    if message is None or isinstance(message, Malformed):
                        raise InputError("expected one request message" if message is None else "malformed request")
                    yield from answer(visit, message, context)
                except GeneratorExit:
                    raise
                except Exception as error:
                    if not context.is_active():  # nobody is there to be told
                        visit.failed(error)
                        return
                    status, text = visit.failed(error)
                    context.abort(getattr(grpc.StatusCode, status), text)

        return respond


def _text(key: str | bytes) -> str:
    return key if isinstance(key, str) else key.decode("utf-8", "replace")


def _note(context: grpc.ServicerContext, notes: list[str]) -> None:
    if notes:
        text = "; ".join(notes).encode("ascii", "replace").decode()
        context.set_trailing_metadata(((NOTES, text[:4000]),))


class GrpcFront:
    """A gRPC server that listens from `start` to `stop`; `certificate`: key and chain in PEM, None for plain text."""

    def __init__(self, desk: Desk, certificate: tuple[bytes, bytes] | None = None):
        settings = desk.backend.settings
        self._pool = ThreadPoolExecutor(settings.connections, "grpc")
        self._server = grpc.server(
            self._pool,
            handlers=[Service(desk).handlers(), Health(desk, settings.connections // 2).handlers()],
            maximum_concurrent_rpcs=settings.connections,
            options=[
                ("grpc.max_receive_message_length", settings.message),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_metadata_size", 16 << 10),
                ("grpc.so_reuseport", 0),
                # A client that has gone without a word is found out.
                ("grpc.keepalive_time_ms", 60_000),
                ("grpc.keepalive_timeout_ms", 20_000),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ],
        )
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"{host}:{settings.port}"
        try:
            if certificate is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, grpc.ssl_server_credentials([certificate]))
        except (RuntimeError, ValueError) as error:
            raise InputError(f"cannot listen on {address} ({error}); is the port taken?") from error
        if not self.port:
            raise InputError(f"cannot listen on {address}; is the port taken?")

    def start(self) -> None:
        """Takes requests from now on."""
        self._server.start()

    def stop(self, grace: float) -> threading.Event:
        """Closes all connections; what is under way gets `grace` seconds. The event tells when all is over."""
        return self._server.stop(grace)

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)
