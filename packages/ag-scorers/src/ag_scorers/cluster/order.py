"""What a worker is told: which files, model and settings to score with, and what they must turn out to be."""

import dataclasses
import importlib.metadata
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from ag_core.errors import InputError

from ag_scorers.engine import Engine

# Options of `open_engine` that name files.
FILES = ("gtf", "splice_sites", "polya")
# Another version of these may give other numbers.
_DECISIVE = ("ag-core", "ag-scorers", "jax", "jaxlib")


@dataclasses.dataclass(frozen=True)
class Order:
    """Everything that a worker needs; paths must lead to the same files on all machines.

    - `options`: those of `open_engine`; `calibration`: as `agenome score --calibration`.
    - `repair`, `longest`: how calls are compared with the genome (`ag_scorers.scoring.Survey`).
    - `model_digest`: of the model of the process that gives the order; a worker that finds another one refuses.
    - `sizes`: bytes of each file by path: what is missing on a worker, or another one there, is found at once.
    - `versions`: of what decides the numbers, by distribution.
    """

    fasta: str
    options: Mapping[str, Any]
    calibration: str
    repair: bool
    longest: int
    model_digest: str
    sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def check_versions(self) -> None:
        """Raises InputError when this machine has another version of a distribution."""
        for name, version in self.versions.items():
            if (found := importlib.metadata.version(name)) != version:
                raise InputError(
                    f"{name} is {found} for this worker, {version} where the run was started; install the same "
                    "versions on all machines"
                )

    def check_files(self) -> None:
        """Raises InputError for a path that leads to nothing on this machine, or to a file of another size."""
        for path, size in self.sizes.items():
            try:
                found = os.stat(path).st_size
            except OSError as error:
                raise InputError(
                    f"{path} is not there for this worker ({error.strerror}); put it where the machine sees it under "
                    "this path (a shared file system, a mount), or give a path that all machines have"
                ) from error
            if found != size:
                raise InputError(
                    f"{path} has {found} bytes for this worker, {size} where the run was started; give all machines "
                    "the same file"
                )


def make_order(engine: Engine, options: Mapping[str, Any], *, calibration: str = "auto", repair: bool = False) -> Order:
    """The order for what an engine, opened with these options, does."""
    told = dict(options)
    for name in FILES:
        if told.get(name) is not None:
            told[name] = _absolute(told[name])
    model = str(told.get("model", "mini"))
    told["model"] = _absolute(model) if pathlib.Path(model).exists() else model
    told["scorers"] = tuple(told.get("scorers") or ())
    calibration = _absolute(calibration) if pathlib.Path(calibration).is_file() else calibration
    fasta = _absolute(engine.fasta.path)
    named = [fasta, *(told[name] for name in FILES if told.get(name) is not None), told["model"], calibration]
    sizes = {str(file): file.stat().st_size for path in named if os.path.isabs(path) for file in _files(path)}
    versions = {name: importlib.metadata.version(name) for name in _DECISIVE}
    return Order(fasta, told, calibration, repair, engine.window // 2, engine.checkpoint.digest, sizes, versions)


def _absolute(path: str | os.PathLike[str]) -> str:
    return str(pathlib.Path(path).resolve())


def _files(path: str) -> list[pathlib.Path]:
    """The file, or those of a folder."""
    named = pathlib.Path(path)
    return sorted(file for file in named.rglob("*") if file.is_file()) if named.is_dir() else [named]
