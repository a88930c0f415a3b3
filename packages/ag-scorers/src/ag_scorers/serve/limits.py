"""Who may ask, how much, and how much of it is held in memory at a time."""

import dataclasses
import hashlib
import heapq
import hmac
import itertools
import os
import pathlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ag_core.errors import InputError

from ag_scorers.serve.errors import ServiceError, too_long
from ag_scorers.serve.settings import Settings

ANONYMOUS = "anonymous"


class Account:
    """One key's use of the server: bp of this minute, and requests under way."""

    def __init__(self, name: str, quota: int, pending: int, clock: Callable[[], float] = time.monotonic):
        self.name, self.quota, self.pending, self._clock = name, quota, pending, clock
        self._lock = threading.Lock()
        self._left, self._last, self._running = float(quota), clock(), 0

    def charge(self, bases: int) -> None:
        """Takes `bases` bp from the quota, which fills again within a minute. Raises ServiceError when it is spent.

        One request larger than the quota is let through when nothing of it is spent, and must then be waited for.
        """
        if not self.quota:
            return
        with self._lock:
            now = self._clock()
            self._left = min(self._left + (now - self._last) * self.quota / 60, float(self.quota))
            self._last = now
            if self._left < min(bases, self.quota):
                wait = (min(bases, self.quota) - self._left) * 60 / self.quota
                raise ServiceError(
                    "RESOURCE_EXHAUSTED",
                    f"the quota of {self.quota:,} bp a minute is spent; this request of {bases:,} bp can go on in "
                    f"{wait:.0f} s",
                )
            self._left -= bases

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Holds one of the key's places. Raises ServiceError when all are taken."""
        with self._lock:
            if self._running >= self.pending:
                raise ServiceError(
                    "RESOURCE_EXHAUSTED",
                    f"{self._running} requests of this key are under way, which is the most; wait for some to end",
                )
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1


class Accounts:
    """Keys and their accounts. Without keys everybody shares one account.

    A key file has a line for each key: a name, the key or `sha256:` and its digest, and perhaps its own quota in bp a
    minute; `#` begins a comment. Only digests are kept.
    """

    def __init__(self, settings: Settings, keys: str | os.PathLike[str] | None = None):
        self._by_digest: dict[str, Account] = {}
        self.anonymous = None if keys is not None else Account(ANONYMOUS, settings.quota, settings.queue)
        if keys is not None:
            self._read(pathlib.Path(keys), settings)

    def _read(self, path: pathlib.Path, settings: Settings) -> None:
        try:
            lines = path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the keys in {path}: {error}") from error
        for number, line in enumerate(lines, 1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            quota = words[2] if len(words) == 3 else str(settings.quota)
            if len(words) not in (2, 3) or not quota.isdecimal() or len(quota) > 18:
                raise InputError(f"{path}, line {number}: expected NAME KEY [BP_A_MINUTE], separated by spaces")
            name, key = words[:2]
            digest = key.removeprefix("sha256:").lower() if key.startswith("sha256:") else _digest(key)
            if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
                raise InputError(f"{path}, line {number}: sha256: must be followed by 64 hexadecimal digits")
            if digest in self._by_digest or any(name == one.name for one in self._by_digest.values()):
                raise InputError(f"{path}, line {number}: the key or the name {name!r} occurs twice")
            self._by_digest[digest] = Account(name, int(quota), settings.pending)
        if not self._by_digest:
            raise InputError(f"{path} has no keys; write lines of NAME KEY, or leave the file out")

    def find(self, key: str | None) -> Account:
        """The account of a key. Raises ServiceError without a valid one."""
        if self.anonymous is not None:
            return self.anonymous
        digest, found = _digest(key or ""), None
        for known, account in self._by_digest.items():  # all of them: time tells nothing
            if hmac.compare_digest(known, digest):
                found = account
        if found is None:
            what = "the API key is not known" if key else "an API key is needed"
            raise ServiceError("UNAUTHENTICATED", f"{what}; send it as x-goog-api-key (HTTP: X-API-Key)")
        return found


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def readable_by_others(path: str | os.PathLike[str]) -> bool:
    """Whether users of this machine other than the owner can read a file; False where the system does not tell."""
    return os.name == "posix" and bool(pathlib.Path(path).stat().st_mode & 0o077)


class Budget:
    """Bytes for answers, those of all requests together."""

    def __init__(self, total: int, one: int):
        self.total, self.one, self.used = total, one, 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, size: int, deadline: float) -> Iterator[None]:
        """Waits for `size` bytes, until `deadline` (of `time.monotonic`) at the latest. Raises ServiceError."""
        if size > self.one:
            raise too_long(
                f"the answer would have {size:,} bytes, more than {self.one:,}; ask for fewer outputs or ontology "
                "terms, or a shorter sequence"
            )
        with self._changed:
            if not self._changed.wait_for(lambda: self.used + size <= self.total, max(deadline - time.monotonic(), 0)):
                raise ServiceError("RESOURCE_EXHAUSTED", "too many large answers are under way; try again later")
            self.used += size
        try:
            yield
        finally:
            with self._changed:
                self.used -= size
                self._changed.notify_all()


@dataclasses.dataclass(order=True)
class _Alarm:
    at: float
    number: int
    ring: Callable[[], object] | None = dataclasses.field(compare=False)


class Deadlines:
    """Calls back when time is up, by one thread for all requests: a client that stops reading must not hold one."""

    def __init__(self):
        self._alarms: list[_Alarm] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
        self._thread.start()

    def set(self, at: float, ring: Callable[[], object]) -> Callable[[], None]:
        """Has `ring` called at a time of `time.monotonic`; returns what takes that back."""
        alarm = _Alarm(at, next(self._numbers), ring)
        with self._changed:
            heapq.heappush(self._alarms, alarm)
            self._changed.notify()

        def forget() -> None:
            alarm.ring = None  # and what it holds

        return forget

    def close(self) -> None:
        """Ends the thread; nothing is called any more."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (not self._alarms or self._alarms[0].at > time.monotonic()):
                    self._changed.wait(self._alarms[0].at - time.monotonic() if self._alarms else None)
                if self._closed:
                    return
                ring = heapq.heappop(self._alarms).ring
            if ring is not None:
                ring()
