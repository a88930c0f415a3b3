"""A process of its own that does one kind of work whenever it is told to, and says how long that took.

The child prints one JSON object when it is ready, then reads one task name a line and answers each with one object.
"""

import json
import pathlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

PREFIX = "WORKER "


def reply(**values: Any) -> None:
    """In the child: sends one answer."""
    print(PREFIX + json.dumps(values), flush=True)


def serve(tasks: Mapping[str, Callable[[], Mapping[str, Any]]]) -> None:
    """In the child: does what it is told until there is nothing more to do."""
    for line in sys.stdin:
        reply(**tasks[line.strip()]())


class Worker:
    """The parent's end. `ready` holds what the child said when it was ready."""

    def __init__(self, python: str, script: pathlib.Path, *arguments: str):
        self.process = subprocess.Popen(
            [python, str(script), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ready = self._read()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(PREFIX):
                return json.loads(line.removeprefix(PREFIX))
        raise SystemExit(f"{self.process.args} ended with {self.process.wait()}; see its message above")

    def ask(self, task: str) -> dict[str, Any]:
        """Has the child do one task."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{task}\n")
        self.process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """Lets the child end, and waits for it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
