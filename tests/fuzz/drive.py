"""Runs one subject for a time, in a process of its own; finds, tells apart and shortens what breaks the contract."""

import dataclasses
import gc
import hashlib
import json
import pathlib
import resource
import signal
import tempfile
import time
import traceback
import warnings

from mutate import Mutator
from subject import Subject

MEMORY = 4 << 30  # bytes on top of what the process has when it begins
CURRENT = "current.bin"  # what is being read: left behind by a crash


class Hang(BaseException):
    """An input takes too long."""


def _ring(*_):
    raise Hang


def key_of(error: BaseException) -> str:
    """Kind of the error and the innermost line of ours: two inputs with the same key are one finding."""
    if isinstance(error, Hang):
        return "Hang"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/ag_" in frame.filename]
    place = f"{pathlib.Path(frames[-1].filename).name}:{frames[-1].name}" if frames else "?"
    if type(error).__name__ == "Breach" and error.__cause__ is not None:
        return f"Breach {key_of(error.__cause__)}"
    return f"{type(error).__name__} {place}"


def try_one(subject: Subject, data: bytes, folder: pathlib.Path) -> tuple[bool, BaseException | None]:
    """Whether an input is taken, and what breaks the contract if anything does."""
    signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, subject.seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return subject.run(data, folder), None
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return False, error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def shorten(subject: Subject, data: bytes, key: str, folder: pathlib.Path, seconds: float = 10.0) -> bytes:
    """A shorter input with the same finding: pieces are left out, large ones first, as long as it stays."""
    end, size = time.monotonic() + seconds, max(len(data) // 2, 1)
    while size and time.monotonic() < end:
        at = 0
        while at < len(data) and time.monotonic() < end:
            shorter = data[:at] + data[at + size :]
            error = try_one(subject, shorter, folder)[1]
            if error is not None and key_of(error) == key:
                data = shorter
            else:
                at += size
        size //= 2
    return data


def drive(subject: Subject, seconds: float, seed: int, out: pathlib.Path, known: set[str]) -> dict:
    """Runs until time is up; writes each new finding to `out` and returns what was counted."""
    out.mkdir(parents=True, exist_ok=True)
    counts = {"executions": 0, "taken": 0, "findings": []}
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        folder = pathlib.Path(place)
        mutator = Mutator(subject.seeds(folder), subject.words, seed, subject.binary)
        patient = dataclasses.replace(subject, seconds=900.0)  # the first one imports, or compiles
        for each in mutator.seeds:
            taken, error = try_one(patient, each, folder)
            if not taken:
                raise RuntimeError(f"{subject.name}: a seed is refused: {each[:200]!r}") from error
        most = 2 * max(map(len, mutator.seeds)) + 1000  # seeds that grow make all slow
        used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
        told_at = time.monotonic()
        end = told_at + seconds
        while time.monotonic() < end:
            data = mutator.make()
            (out / CURRENT).write_bytes(data)
            taken, error = try_one(subject, data, folder)
            counts["executions"] += 1
            counts["taken"] += taken
            if taken and len(mutator.seeds) < 200 and len(data) < most and mutator.random.random() < 0.1:
                mutator.seeds.append(data)  # what is still taken leads further
            if error is not None and (key := key_of(error)) not in known:
                known.add(key)
                story = "".join(traceback.format_exception(error))[-6000:]
                short = shorten(subject, data, key, folder)
                name = f"{subject.name}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
                (out / f"{name}.bin").write_bytes(short)
                (out / f"{name}.txt").write_text(f"{key}\n\n{story}\n")
                counts["findings"].append(key)
            del error
            if time.monotonic() > told_at + 1:  # a crash costs what was counted since
                told_at = time.monotonic()
                gc.collect()
                (out / f"{subject.name}.json").write_text(json.dumps(counts))
    (out / CURRENT).unlink(missing_ok=True)
    (out / f"{subject.name}.json").write_text(json.dumps(counts))
    return counts
