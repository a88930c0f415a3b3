"""The HTTP front: `http_app` behind a socket, with a guard before it."""

import asyncio
import socket
import threading
import time
from typing import Any

import h11
import uvicorn
from ag_core.errors import InputError
from uvicorn.protocols.http.h11_impl import H11Protocol

from ag_scorers.serve.desk import Desk
from ag_scorers.serve.http_app import Json, make_app
from ag_scorers.serve.settings import LOOPBACK

HEAD_SECONDS = 15.0  # a request's head may take up to twice as long


class _Guard:
    """Refuses bodies that are too long and, where only this machine may ask, names of other machines.

    A page in a browser could otherwise reach a server on loopback by a name that it has made point there.
    """

    def __init__(self, app: Any, most: int, local: bool, timeout: float):
        self._app, self._most, self._local, self._timeout = app, most, local, timeout

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1").rsplit(":", 1)[0].strip("[]")
        length = headers.get(b"content-length", b"0")
        if self._local and host not in LOOPBACK:
            return await _refuse(scope, receive, send, 400, "this server answers to localhost only")
        if not length.isdigit() or len(length) > 18 or int(length) > self._most or b"transfer-encoding" in headers:
            return await _refuse(scope, receive, send, 413, f"bodies need a Content-Length of at most {self._most:,}")
        end, whole = time.monotonic() + self._timeout, False

        async def receive_in_time() -> Any:
            nonlocal whole
            if whole:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(end - time.monotonic(), 0))
            except TimeoutError:
                message = {"type": "http.disconnect"}
            whole = not message.get("more_body", False)
            return message

        return await self._app(scope, receive_in_time, send)


async def _refuse(scope: Any, receive: Any, send: Any, code: int, text: str) -> None:
    await Json({"error": "INVALID_ARGUMENT", "detail": text}, code)(scope, receive, send)


class _Connection(H11Protocol):
    """Closed when the head of a request does not come or an answer is not taken: uvicorn itself would wait for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """As uvicorn's, and looks from time to time."""
        super().connection_made(transport)
        self._look(transport, None)

    def _look(self, transport: asyncio.Transport, before: object) -> None:
        left = transport.get_write_buffer_size()
        if transport.is_closing() and not left:
            return
        idle = self.conn.their_state is h11.IDLE
        # Between requests, as long as nothing comes, uvicorn looks itself (timeout_keep_alive).
        waits = idle and (self.cycle is None or bool(self.conn.trailing_data[0]))
        # The end of an answer that is not taken.
        stays = left and (idle or transport.is_closing())
        now = (self.cycle, left) if waits or stays else None
        if now is not None and now == before:
            transport.abort()
        else:
            self.loop.call_later(HEAD_SECONDS, self._look, transport, now)


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
            _Guard(self.app, settings.message, local, settings.timeout),  # pyright: ignore[reportArgumentType]
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            http=_Connection,
            loop="asyncio",
            limit_concurrency=settings.connections + 1,  # uvicorn refuses the last one
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
