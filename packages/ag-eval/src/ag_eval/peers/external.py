"""A predictor that cannot live in this environment: a script under another Python, asked over pipes.

The script's head says what it needs (inline metadata, PEP 723), so that `uv run --script` makes its environment at the
first use; or the user names a Python that has it. Protocol: one JSON value a line. The script begins with the version
of its package; then for each list of requests it answers a list of as many values.
"""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Sequence
from typing import Any, Self

from ag_core.errors import InputError

SCRIPTS = pathlib.Path(__file__).with_name("scripts")
# Of the other program's complaints, what is shown.
_TAIL = 1500
# Seconds until a script that does not end by itself is stopped.
_PATIENCE = 20


@dataclasses.dataclass(frozen=True)
class Program:
    """A package of that version, and the script that runs it. `name` also names the variable that locates a Python."""

    name: str
    version: str
    script: pathlib.Path

    @property
    def variable(self) -> str:
        """Environment variable with a Python interpreter that has the package."""
        return f"AG_PEER_{self.name.upper()}_PYTHON"

    def requirements(self) -> list[str]:
        """What the script's head asks for."""
        head = re.search(r"(?m)^# /// script$\n((?:#.*\n)+?)# ///$", self.script.read_text())
        if head is None:
            return []
        return tomllib.loads("".join(line[2:] + "\n" for line in head[1].splitlines()))["dependencies"]

    def command(self) -> list[str]:
        """How to start the script. Raises InputError when there is neither a named Python nor uv."""
        if python := os.environ.get(self.variable):
            if shutil.which(python) is None:
                raise InputError(f"{self.variable}={python} is no program; name a Python that has {self.name}")
            return [python, str(self.script)]
        if uv := shutil.which("uv"):
            return [uv, "run", "--quiet", "--script", str(self.script)]
        raise InputError(
            f"peer {self.name} runs in an environment of its own: install uv (pip install uv), which makes it, or set "
            f"{self.variable} to a Python 3.11 with {', '.join(self.requirements())}"
        )


class Worker:
    """A running script. It starts with the first question, and ends with the context."""

    def __init__(self, program: Program):
        self._program = program
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        # A file, since a full pipe that nobody reads would stop the script.
        self._log = tempfile.TemporaryFile("w+")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._process is not None:
            try:
                # The end of questions ends the script, also where uv stands between.
                self._process.communicate(timeout=1 if kind else _PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.communicate()
        self._log.close()

    def ask(self, requests: Sequence[Any]) -> list[Any]:
        """An answer for each. Raises InputError when the script fails, or is of another version."""
        if self._process is None:
            self._start()
        answers = self._exchange(list(requests))
        if not isinstance(answers, list) or len(answers) != len(requests):
            raise self._failed(f"answered {str(answers)[:80]!r}, expected {len(requests)} values")
        return answers

    def _start(self) -> None:
        hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        try:
            self._process = subprocess.Popen(
                self._program.command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                # Else the folder of scripts would be searched for modules.
                env={**environment, "PYTHONSAFEPATH": "1", "TF_CPP_MIN_LOG_LEVEL": "2"},
            )
        except OSError as error:
            raise InputError(f"peer {self._program.name} does not start ({error})") from error
        found = self._read()
        if found != self._program.version:
            raise InputError(
                f"peer {self._program.name} is version {found}, expected {self._program.version}: make its "
                f"environment again, or let {self._program.variable} name another"
            )

    def _exchange(self, message: Any) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise self._failed("stopped") from None
        return self._read()

    def _read(self) -> Any:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._failed(f"stopped with exit code {self._process.wait()}")
        try:
            return json.loads(line)
        except ValueError:
            raise self._failed(f"answered {line[:80]!r}, which is not JSON") from None

    def _failed(self, what: str) -> InputError:
        self._log.seek(0)
        complaint = self._log.read()[-_TAIL:].strip()
        return InputError(
            f"peer {self._program.name} {what}; its environment needs {', '.join(self._program.requirements())}"
            f"{f'. It said: {complaint}' if complaint else ''}"
        )
