"""The folder of a run in shards: its plan, and for each finished shard a file of results and a one-line manifest.

    OUT.run/plan.json                 what is scored with what, and how it is cut
    OUT.run/lock                      held by the process at work
    OUT.run/shards/00000.arrow        results (`ag_scorers.shard_file`)
    OUT.run/shards/00000.json         manifest; written last, so that without it there is no shard

Every file appears whole, by a rename after it is on the disk; so whatever ends a process, what is here is complete.
"""

import collections
import dataclasses
import errno
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ag_core.array_file import sync
from ag_core.errors import InputError
from ag_data.variants import Call
from ag_data.zarr_layout import lock

from ag_scorers.digests import file_digest
from ag_scorers.results import Result, ScorerResult
from ag_scorers.shard_file import read_calls, read_shard, write_shard

FORMAT = 1
_NAMES = {"plan.json", "plan.json.tmp", "lock", "shards"}


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a finished shard holds: calls from `first` to `last` as [record, alt], and how many of each status."""

    shard: int
    calls: int
    first: list[int]
    last: list[int]
    statuses: dict[str, int]
    bytes: int
    sha256: str
    seconds: float


class RunFolder:
    """The folder of a run, held by this process until `close`.

    Raises InputError when the folder is another run's (with the difference) or another process works in it.
    """

    def __init__(self, folder: pathlib.Path, plan: Mapping[str, Any], templates: Sequence[ScorerResult]):
        self.folder, self._shards, self._templates = folder, folder / "shards", templates
        if folder.exists() and not (folder.is_dir() and {path.name for path in folder.iterdir()} <= _NAMES):
            raise InputError(f"{folder} is no folder of a run; name another one (--work)")
        self._shards.mkdir(parents=True, exist_ok=True)
        self._unlock = _hold(folder)
        try:
            self._check({"format": FORMAT, **plan})
            for path in self._shards.glob("*.tmp"):
                path.unlink()
            self.manifests = self._survey()
        except BaseException:
            self._unlock()
            raise

    def _check(self, plan: dict[str, Any]) -> None:
        path = self.folder / "plan.json"
        try:
            found = json.loads(path.read_text())
        except FileNotFoundError:
            for shard in self._shards.iterdir():  # nobody knows of what
                shard.unlink()
            return put(path, lambda file: file.write_text(json.dumps(plan, indent=1)))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is damaged ({error}); remove the folder {self.folder} and start again") from error
        if not isinstance(found, dict):
            raise InputError(f"{path} is damaged (no plan); remove the folder {self.folder} and start again")
        if differences := compare_plans(found, plan):
            raise InputError(
                f"{self.folder} holds the shards of another run: {'; '.join(differences)}; to go on with it, give "
                "what it was given; or remove the folder to begin anew, or name another one (--work)"
            )

    def _survey(self) -> dict[int, Manifest]:
        """Manifests of the shards whose file is there and unharmed; the others will be made again."""
        found = {}
        for path in sorted(self._shards.glob("*.json")):
            try:
                manifest = Manifest(**json.loads(path.read_text()))
                data = self._file(manifest.shard)
                if data.stat().st_size == manifest.bytes and file_digest(data) == manifest.sha256:
                    found[manifest.shard] = manifest
            except (OSError, ValueError, TypeError, RecursionError):
                continue
        return found

    def _file(self, number: int) -> pathlib.Path:
        return self._shards / f"{number:05d}.arrow"

    def write(self, number: int, results: Sequence[Result], seconds: float) -> None:
        """Keeps the results of a shard."""
        put(self._file(number), lambda scratch: write_shard(scratch, results, self._templates))
        self._seal(number, [result.call for result in results], seconds)

    def keep(self, number: int, data: bytes, seconds: float) -> None:
        """Keeps a shard whose file another process made. Raises InputError when that is not a whole one of this run."""
        put(self._file(number), lambda scratch: scratch.write_bytes(data))
        self._seal(number, read_calls(self._file(number), self._templates), seconds)

    def _seal(self, number: int, calls: Sequence[Call], seconds: float) -> None:
        path, first, last = self._file(number), calls[0], calls[-1]
        manifest = Manifest(
            number,
            len(calls),
            [first.record, first.alt],
            [last.record, last.alt],
            dict(sorted(collections.Counter(call.status.value for call in calls).items())),
            path.stat().st_size,
            file_digest(path),
            round(seconds, 3),
        )
        line = json.dumps(dataclasses.asdict(manifest)) + "\n"
        put(path.with_suffix(".json"), lambda scratch: scratch.write_text(line))
        self.manifests[number] = manifest

    def read(self, number: int) -> Iterator[Result]:
        """The results of a finished shard."""
        return read_shard(self._file(number), self._templates)

    def close(self) -> None:
        """Lets go of the folder; what is finished stays."""
        self._unlock()

    def remove(self) -> None:
        """Removes what this class wrote, and the folder if nothing else is in it."""
        shutil.rmtree(self._shards, ignore_errors=True)
        for name in ("plan.json", "lock"):
            (self.folder / name).unlink(missing_ok=True)
        self._unlock()
        try:
            self.folder.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                raise


def compare_plans(found: Mapping[str, Any], wanted: Mapping[str, Any], within: str = "") -> list[str]:
    """In words, what differs between the plan of a folder and that of this run."""
    differences = []
    for name in dict.fromkeys((*found, *wanted)):
        there, here = found.get(name), wanted.get(name)
        if isinstance(there, Mapping) and isinstance(here, Mapping):
            differences += compare_plans(there, here, f"{within}{name} ")
        elif there != here:
            differences.append(f"{within}{name} was {_show(there)}, now {_show(here)}")
    return differences


def put(path: pathlib.Path, write: Callable[[pathlib.Path], Any]) -> None:
    """Has `write` make a file that then appears at `path`, whole and on the disk."""
    scratch = path.with_name(f"{path.name}.tmp")
    write(scratch)
    sync(scratch)
    os.replace(scratch, path)
    sync(path.parent)


def _show(value: Any) -> str:
    text = value if isinstance(value, str) else "nothing" if value is None else json.dumps(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _hold(folder: pathlib.Path) -> Callable[[], None]:
    """Locks the folder; once more if the process that held it removed the lock's file meanwhile."""
    path = folder / "lock"
    while True:
        unlock = lock(path)
        if path.exists():
            return unlock
        unlock()
        (folder / "shards").mkdir(parents=True, exist_ok=True)
