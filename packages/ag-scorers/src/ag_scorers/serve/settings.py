"""Bounds of a server: what one request, one key and all of them together may take."""

import dataclasses

from ag_core.errors import InputError

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where the server listens and what it allows. Raises InputError for what makes no sense.

    - `host`, `port`, `http_port`: port 0 takes a free one; no `http_port`, no HTTP.
    - `open_to_all`: without keys, listen on more than this machine's own addresses.
    - `max_window`: bp of a sequence or interval; `max_allele`: bases of an allele; `max_variants`: variants of an HTTP
      request; `max_ism`: bp that are mutated in one request; `max_scorers`, `max_terms`: of a request.
    - `max_bytes`: of one answer's arrays; `memory`: bytes of all answers that are being made or sent.
    - `queue`: requests that wait for a device; `pending`: of these and running ones, how many may be of one key.
    - `connections`: requests handled at a time, waiting ones included.
    - `timeout`: seconds for a request, its sending included; `grace`: seconds that running ones get at shutdown.
    - `quota`: bp a minute for each key (a variant counts twice its interval); 0 for no bound.
    - `batch`: requests of equal shape computed together; `devices`: how many of the machine's are used.
    - `strict`: what the model cannot do is refused, where otherwise that part of the answer is empty.
    """

    host: str = "127.0.0.1"
    port: int = 50051
    http_port: int | None = None
    open_to_all: bool = False
    max_window: int = 1 << 20
    max_allele: int = 10_000
    max_variants: int = 256
    max_ism: int = 256
    max_scorers: int = 20
    max_terms: int = 1000
    max_bytes: int = 4 << 30
    memory: int = 8 << 30
    queue: int = 128
    pending: int = 64
    connections: int = 128
    timeout: float = 600.0
    grace: float = 30.0
    quota: int = 0
    batch: int = 1
    devices: int = 1
    strict: bool = False

    def __post_init__(self):
        for name in ("max_window", "max_variants", "max_ism", "max_scorers", "max_bytes", "queue", "pending", "batch"):
            self._at_least(name, 1)
        for name in ("connections", "devices"):
            self._at_least(name, 1)
        for name in ("max_allele", "max_terms", "quota", "grace"):
            self._at_least(name, 0)
        if self.timeout <= 0:
            raise InputError(f"timeout must be more than 0 s, got {self.timeout}")
        if self.memory < self.max_bytes:
            raise InputError(
                f"memory of {self.memory:,} bytes for all answers, but {self.max_bytes:,} for one; give more of it, or "
                "allow less for one"
            )
        for name in ("port", "http_port"):
            if (value := getattr(self, name)) is not None and not 0 <= value < 1 << 16:
                raise InputError(f"{name} {value}: expected 0 (any) to 65535")

    def _at_least(self, name: str, least: int) -> None:
        if getattr(self, name) < least:
            raise InputError(f"{name} must be at least {least}, got {getattr(self, name)}")

    @property
    def local(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in LOOPBACK

    @property
    def message(self) -> int:
        """Bytes of a request: a sequence, two alleles, terms and scorers."""
        return self.max_window + 2 * self.max_allele + 64 * self.max_terms + (1 << 16)
