"""The standard health service of gRPC, for balancers and supervisors: `Check` once, `Watch` until it changes."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc

from ag_scorers.serve.desk import Desk
from ag_scorers.serve.protocol import HEALTH, MESSAGES, SERVICE, Malformed, methods, parse, serialise

# Each one who watches holds a thread.
WATCHERS = 16
_SERVING, _NOT_SERVING, _UNKNOWN = 1, 2, 3


class Health:
    """Whether a desk takes requests; needs no key. At most `most` clients, and no more than `WATCHERS`, watch."""

    def __init__(self, desk: Desk, most: int):
        self._desk, self._most = desk, min(most, WATCHERS)
        self._places = threading.Semaphore(self._most)

    def check(self, message: Any, context: grpc.ServicerContext) -> Any:
        """The state now. NOT_FOUND for a service that is not here."""
        if not self._known(message, context):
            context.abort(grpc.StatusCode.NOT_FOUND, f"no such service; expected {SERVICE}")
        return self._answer(_SERVING if self._desk.open else _NOT_SERVING)

    def watch(self, message: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """The state now, and once more at shutdown, which ends the stream; SERVICE_UNKNOWN, as the standard has it."""
        known = self._known(message, context)
        if not self._places.acquire(blocking=False):
            context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"{self._most} clients watch already, which is the most; use Check"
            )
        try:
            is_open = self._desk.open
            if not known:
                yield self._answer(_UNKNOWN)
            elif is_open:
                yield self._answer(_SERVING)
            if context.add_callback(self._desk.wake):  # else the client has gone
                self._desk.wait_while_open(lambda: not context.is_active())
            if known and context.is_active():
                yield self._answer(_NOT_SERVING)
        finally:
            self._places.release()

    def handlers(self) -> Any:
        """Both methods for a gRPC server."""
        read = parse(methods(HEALTH)["Check"][0])
        return grpc.method_handlers_generic_handler(
            HEALTH,
            {
                "Check": grpc.unary_unary_rpc_method_handler(self.check, read, serialise),
                "Watch": grpc.unary_stream_rpc_method_handler(self.watch, read, serialise),
            },
        )

    def _known(self, message: Any, context: grpc.ServicerContext) -> bool:
        if isinstance(message, Malformed):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "malformed request")
        return message.service in ("", SERVICE)

    def _answer(self, status: int) -> Any:
        return MESSAGES.HealthCheckResponse(status=status)
