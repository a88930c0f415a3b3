"""A backend with its fronts: starts, says where it listens, and stops without dropping what it has begun."""

import pathlib
from collections.abc import Sequence

from ag_core.errors import InputError

from ag_scorers.serve.backend import Backend
from ag_scorers.serve.desk import Desk
from ag_scorers.serve.grpc_front import GrpcFront
from ag_scorers.serve.limits import Accounts

_SENT = 1.0  # seconds for the last bytes of answers that are complete


class Server:
    """`with Server(backend) as server: ... server.port`. The backend is closed with it.

    - `keys`: a file of API keys (`limits.Accounts`).
    - `certificate`: files of the private key and the certificate chain, in PEM; None for plain text.

    Raises InputError for addresses that need keys, unreadable files and ports that are taken.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        keys: str | pathlib.Path | None = None,
        certificate: Sequence[str | pathlib.Path] | None = None,
    ):
        settings = backend.settings
        if not settings.local and keys is None and not settings.open_to_all:
            raise InputError(
                f"anybody could use a server that listens on {settings.host}; give keys (--keys), or say that this is "
                "meant (--open-to-all)"
            )
        self.backend, self.desk = backend, Desk(backend, Accounts(settings, keys))
        self.http = None
        try:
            self._grpc = GrpcFront(self.desk, _read(certificate))
            if settings.http_port is not None:
                from ag_scorers.serve.http_front import HttpFront

                paths = None if certificate is None else (str(certificate[0]), str(certificate[1]))
                self.http = HttpFront(self.desk, settings.http_port, paths)
        except BaseException:
            self.desk.close()
            raise
        self.port = self._grpc.port

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Takes requests from now on."""
        self._grpc.start()
        if self.http is not None:
            self.http.start()

    def stop(self) -> None:
        """Takes no more requests, waits for those under way as long as the grace allows, and ends everything."""
        # The fronts still answer, so that whoever comes late is told to try again: one that is closing may leave a
        # request that arrives just then without an answer.
        ended = self.desk.drain(self.backend.settings.grace)
        over = self._grpc.stop(_SENT if ended else 0)
        if self.http is not None:
            self.http.stop()
        over.wait()
        self.desk.close()
        self._grpc.close()


def _read(certificate: Sequence[str | pathlib.Path] | None) -> tuple[bytes, bytes] | None:
    if certificate is None:
        return None
    key, chain = (pathlib.Path(path) for path in certificate)
    try:
        return key.read_bytes(), chain.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the certificate: {error}") from error
