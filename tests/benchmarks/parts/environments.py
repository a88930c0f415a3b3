"""Environments of hatch.toml that a benchmark needs besides its own: they are made when first asked for."""

import os
import pathlib
import shutil
import subprocess
import sys
from typing import NoReturn

ROOT = pathlib.Path(__file__).parents[3]


def hatch(*arguments: str) -> str:
    """Output of a hatch command, run as if outside of any environment. Raises SystemExit with hatch's words."""
    try:
        done = subprocess.run(**_call(*arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except FileNotFoundError:
        raise SystemExit("hatch was not found on PATH: install it") from None
    if done.returncode:
        raise SystemExit(f"hatch {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def run_again(environment: str) -> NoReturn:
    """Runs the benchmark that was started in another environment, and ends with its exit code."""
    try:
        done = subprocess.run(**_call("-e", environment, "run", "python", *sys.argv))
    except FileNotFoundError:
        raise SystemExit("hatch was not found on PATH: install it") from None
    sys.exit(done.returncode)


def _call(*arguments: str) -> dict:
    inherited = {k: v for k, v in os.environ.items() if k not in ("HATCH_ENV_ACTIVE", "HATCH_ENV", "VIRTUAL_ENV")}
    return {"args": [shutil.which("hatch") or "hatch", "--no-color", *arguments], "cwd": ROOT, "env": inherited}
