"""Ends a run that hangs: with several hosts, one that is lost leaves the others waiting for ever."""

import faulthandler
import os
import sys
import threading
import time

# Exit status, as of a failure that may go away (EX_TEMPFAIL): start again, it goes on from the last checkpoint.
STATUS = 75


class Watchdog:
    """Ends the process when `beat` was not called for `seconds`; None watches nothing.

    The first step compiles and may take `patience` times as long.
    """

    def __init__(self, seconds: float | None, patience: float = 10.0):
        self._seconds, self._allowed = seconds, (seconds or 0) * patience
        self._last, self._what = time.monotonic(), "the first step"
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> "Watchdog":
        if self._seconds is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def beat(self, what: str) -> None:
        """Something has happened; `what` comes next."""
        self._last, self._what, self._allowed = time.monotonic(), what, self._seconds or 0

    def _watch(self) -> None:
        while not self._done.wait(min(self._seconds or 1.0, 1.0)):
            waited = time.monotonic() - self._last
            if waited > self._allowed:
                sys.stderr.write(
                    f"nothing happened for {waited:.0f} s, waiting for {self._what}: a process of this run may be "
                    "lost. Where this one stands:\n"
                )
                faulthandler.dump_traceback(file=sys.stderr)
                sys.stderr.write("ended; start all processes again, they go on from the last checkpoint\n")
                sys.stderr.flush()
                os._exit(STATUS)
