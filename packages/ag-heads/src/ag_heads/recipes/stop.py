"""Ends a run between two steps when it is asked to."""

import signal
from typing import Any


class Stop:
    """Set by the first Ctrl-C or SIGTERM: the run ends after its step and keeps a checkpoint. The second one kills."""

    def __init__(self):
        self.asked = False

    def __enter__(self) -> "Stop":
        self._before = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._ask)
            except ValueError:  # not the main thread
                break
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
