"""What a worker is told: which files, model and settings to score with, and what they must turn out to be."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from ag_scorers.engine import Engine

# Options of `open_engine` that name files.
FILES = ("gtf", "splice_sites", "polya")


@dataclasses.dataclass(frozen=True)
class Order:
    """Everything that a worker needs; paths must lead to the same files on all machines.

    - `options`: those of `open_engine`; `calibration`: as `agenome score --calibration`.
    - `repair`, `longest`: how calls are compared with the genome (`ag_scorers.scoring.Survey`).
    - `model_digest`: of the model of the process that gives the order; a worker that finds another one refuses.
    """

    fasta: str
    options: Mapping[str, Any]
    calibration: str
    repair: bool
    longest: int
    model_digest: str


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
    return Order(_absolute(engine.fasta.path), told, calibration, repair, engine.window // 2, engine.checkpoint.digest)


def _absolute(path: str | os.PathLike[str]) -> str:
    return str(pathlib.Path(path).resolve())
