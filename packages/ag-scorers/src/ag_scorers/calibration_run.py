"""Scores a background and sums it up: one pass, interruptible, and pieces can be merged.

The state of a run is a sketch file (safetensors): what `describe_engine` and `describe_scorer` say, how many calls are
done and with which statuses, and one `QuantileSketch` for each scorer. A finished piece is the same file.
"""

import collections
import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from ag_core.array_file import sync
from ag_core.errors import InputError
from ag_data.cache import replacing
from ag_data.files import check_file
from ag_data.variants import Call, Status

from ag_scorers.calibration_table import (
    MIDDLE,
    CalibrationTable,
    describe_engine,
    describe_scorer,
    differences,
    summarise,
    track_names,
)
from ag_scorers.engine import Engine
from ag_scorers.quantile_sketch import CAPACITY, TAIL, QuantileSketch
from ag_scorers.results import Result

SUFFIX, FORMAT = ".sketch", "1"
# Calls between two moments at which the state is whole, and seconds between two times it is written.
STEP, SECONDS = 256, 60.0


@dataclasses.dataclass
class Piece:
    """What is known of a background, or of a part of it.

    - `about`: binding, scorers and their tracks, sizes; equal for pieces that can be merged.
    - `inputs`: (name, digest) of the variant files; `done`: calls taken; `statuses`: of these.
    - `indels`: scored alleles that change the length; `first_failure`: for people.
    - `complete`: the input was read to its end.
    - `provenance`: what made the scores; of merged pieces what they have in common.
    """

    about: Mapping[str, Any]
    inputs: list[list[str]]
    sketches: dict[str, QuantileSketch]
    done: int = 0
    indels: int = 0
    statuses: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    first_failure: str = ""
    complete: bool = False
    provenance: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def scored(self) -> int:
        """Alleles that were scored."""
        return self.statuses[Status.SCORED.value]

    def table(self, middle: int = MIDDLE) -> CalibrationTable:
        """The finished table, with `middle` break points between the tails."""
        binding = dict(self.about["binding"])
        if not self.indels:
            binding["indel"] = None
        scorers = {
            key: summarise(self.sketches[key], described, tuple(map(tuple, self.about["tracks"][key])), middle)
            for key, described in self.about["scorers"].items()
        }
        made = {
            **self.provenance,
            "inputs": self.inputs,
            "statuses": dict(sorted(self.statuses.items())),
            "indels": self.indels,
            "largest_rank_error": max(sketch.error for sketch in self.sketches.values()),
            "infinite": int(sum(sketch.infinite.sum() for sketch in self.sketches.values())),
        }
        return CalibrationTable(binding, scorers, middle, self.about["tail"], made)


def begin(
    engine: Engine,
    vcf: str | os.PathLike[str],
    *,
    capacity: int = CAPACITY,
    tail: int = TAIL,
    provenance: Mapping[str, str] | None = None,
) -> Piece:
    """An empty piece for a run over `vcf`; `provenance` as of `ag_scorers.digests.provenance`."""
    tracks = {scores.key: track_names(scores.tracks) for scores in engine.templates()}
    about = {
        "binding": describe_engine(engine, indels=True),
        "scorers": {key: describe_scorer(scorer, engine.tables) for key, scorer in engine.scorers.items()},
        "tracks": {key: [list(track) for track in names] for key, names in tracks.items()},
        "capacity": capacity,
        "tail": tail,
    }
    sketches = {key: QuantileSketch(len(names), capacity, tail) for key, names in tracks.items()}
    path = pathlib.Path(vcf)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Piece(about, [[path.name, digest]], sketches, provenance=dict(provenance or {}))


def collect(
    engine: Engine,
    piece: Piece,
    calls: Iterable[Call],
    state: pathlib.Path | None = None,
    progress: Callable[[Iterable[Result]], Iterable[Result]] = iter,
) -> None:
    """Scores the calls of `piece`'s input that are not done yet and adds them to it.

    `state` is where the piece is kept meanwhile; whatever stops the run, at most `SECONDS` of work, or `STEP` calls,
    are lost, and the outcome of a run that went on is that of one that did not stop.
    """
    left = itertools.islice(calls, piece.done, None)
    whole, saved = True, time.monotonic()
    results = iter(progress(_run(engine, left)))
    try:
        while True:
            pending = list(itertools.islice(results, STEP))
            whole = False
            _take(piece, pending)
            whole = True
            if len(pending) < STEP:
                piece.complete = True
                break
            if state is not None and time.monotonic() - saved > SECONDS:
                write_piece(state, piece)
                saved = time.monotonic()
    finally:
        if state is not None and whole and piece.done:
            write_piece(state, piece)


def _run(engine: Engine, calls: Iterator[Call]) -> Iterator[Result]:
    """Step by step: what the engine computes together must not depend on where a run went on."""
    while step := list(itertools.islice(calls, STEP)):
        yield from engine.run(step)


def _take(piece: Piece, results: list[Result]) -> None:
    rows: dict[str, list[np.ndarray]] = {key: [] for key in piece.sketches}
    for result in results:
        piece.statuses[result.call.status.value] += 1
        if result.call.status is Status.FAILED and not piece.first_failure:
            piece.first_failure = f"{result.call}: {result.call.detail}"
        piece.indels += bool(result.scores) and len(result.call.reference) != len(result.call.alternate)
        for scores in result.scores:
            rows[scores.key].append(scores.values)
    for key, values in rows.items():
        if values:
            piece.sketches[key].add(np.concatenate(values))
    piece.done += len(results)


def merge_pieces(paths: Iterable[str | os.PathLike[str]], *, force: bool = False) -> Piece:
    """All pieces as one. Raises InputError when they do not belong together or hold the same variants twice."""
    merged: Piece | None = None
    first = ""
    for path in paths:
        piece = read_piece(path)
        if not piece.complete:
            raise InputError(f"{path} is of a run that was interrupted; repeat that command, it goes on, then merge")
        if merged is None:
            merged, first = piece, os.fspath(path)
            continue
        wrong = _mismatch(merged.about, piece.about)
        if wrong:
            raise InputError(f"{path} cannot be merged with {first}: {'; '.join(wrong)}")
        twice = [name for name, digest in piece.inputs if digest in {known for _, known in merged.inputs}]
        if twice and not force:
            raise InputError(
                f"{path} holds the variants of {twice[0]}, which are there already; leave it out, or --force"
            )
        for key, sketch in piece.sketches.items():
            merged.sketches[key].merge(sketch)
        merged.inputs += piece.inputs
        merged.statuses.update(piece.statuses)
        merged.done, merged.indels = merged.done + piece.done, merged.indels + piece.indels
        merged.first_failure = merged.first_failure or piece.first_failure
        common = merged.provenance.items() & piece.provenance.items()
        merged.provenance = {name: value for name, value in merged.provenance.items() if (name, value) in common}
    if merged is None:
        raise InputError("nothing to merge; name the pieces")
    return merged


def _mismatch(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    wrong = differences(other["binding"], one["binding"])
    for word in ("scorers", "tracks"):
        keys = sorted(key for key in {*one[word], *other[word]} if one[word].get(key) != other[word].get(key))
        if keys:
            wrong.append(f"other {word} ({', '.join(keys)})")
    wrong += [f"{word} {other[word]} and {one[word]}" for word in ("capacity", "tail") if one[word] != other[word]]
    return wrong


def resume(state: pathlib.Path, fresh: Piece) -> Piece:
    """The piece kept in `state` if there is one. Raises InputError when it is of another run than `fresh`."""
    if not state.is_file():
        return fresh
    found = read_piece(state)
    wrong = _mismatch(fresh.about, found.about)
    if found.inputs != fresh.inputs:
        wrong.append("other variants")
    if wrong:
        raise InputError(f"{state} is of another run ({'; '.join(wrong)}); finish that one, or remove the file")
    return found


def write_piece(path: str | os.PathLike[str], piece: Piece) -> None:
    """Writes a sketch file; it appears whole or not at all."""
    arrays = {
        f"{number}.{name}": np.ascontiguousarray(array)
        for number, sketch in enumerate(piece.sketches.values())
        for name, array in sketch.arrays().items()
    }
    about = {
        "about": piece.about,
        "inputs": piece.inputs,
        "done": piece.done,
        "indels": piece.indels,
        "statuses": dict(sorted(piece.statuses.items())),
        "first_failure": piece.first_failure,
        "complete": piece.complete,
        "provenance": piece.provenance,
    }
    metadata = {"format": FORMAT, "agenome_sketch": json.dumps(about)}
    with replacing(pathlib.Path(path)) as (scratch,):
        safetensors.numpy.save_file(arrays, scratch, metadata=metadata)
        sync(scratch)


def read_piece(path: str | os.PathLike[str]) -> Piece:
    """Reads a sketch file. Raises InputError when it is none, or damaged."""
    path = pathlib.Path(path)
    check_file(path, "sketch file")
    with _explain(path), safetensors.safe_open(path, framework="np") as file:
        metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise InputError(
                f"{path}: no sketch of this version; make pieces with `agenome calibrate -o piece{SUFFIX}`"
            )
        kept = json.loads(metadata["agenome_sketch"])
        sketches = {}
        for number, key in enumerate(kept["about"]["scorers"]):
            prefix = f"{number}."
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118  (no mapping)
            arrays = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
            sketches[key] = QuantileSketch.from_arrays(arrays)
        return Piece(
            kept["about"],
            kept["inputs"],
            sketches,
            done=kept["done"],
            indels=kept["indels"],
            statuses=collections.Counter(kept["statuses"]),
            first_failure=kept["first_failure"],
            complete=kept["complete"],
            provenance=kept["provenance"],
        )


@contextlib.contextmanager
def _explain(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise error if str(path) in str(error) else InputError(f"{path}: {error}") from error
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        message = (
            f"{path}: not a sketch file, or damaged ({error}); make pieces with `agenome calibrate -o piece{SUFFIX}`"
        )
        raise InputError(message) from error
