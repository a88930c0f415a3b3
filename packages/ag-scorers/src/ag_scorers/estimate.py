"""What a run will take - hours, memory, bytes - found by trying a few variants and writing a part of the outputs."""

import collections
import dataclasses
import math
import pathlib
import shutil
from typing import Any

import numpy as np
from ag_core.errors import InputError
from rich.console import Console

from ag_scorers.invention import tried
from ag_scorers.rehearsal import Written, rehearse
from ag_scorers.scoring_run import ScoringRun
from ag_scorers.trial import Trial, device_memory, peak_memory, run_trials

# Above these no output has yet been: items of one variant, bytes for one of its scores.
MOST_ITEMS, MOST_BYTES = 64, 64


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A prediction. Times in seconds, sizes in bytes."""

    alleles: int
    statuses: dict[str, int]
    trials: list[Trial]
    written: list[Written]
    shard_size: int
    shards: int
    shard_folder: pathlib.Path
    shard_bytes: int
    memory: int
    device_memory: int | None

    @property
    def scoring(self) -> float:
        """Seconds of scoring, once programs are compiled."""
        return math.fsum(trial.count * trial.each for trial in self.trials)

    @property
    def compiling(self) -> float:
        """Seconds of compiling."""
        return math.fsum(trial.compiling for trial in self.trials)

    @property
    def writing(self) -> float:
        """Seconds of writing outputs."""
        return math.fsum(one.seconds for one in self.written)

    @property
    def seconds(self) -> float:
        """Seconds of everything."""
        return self.scoring + self.compiling + self.writing

    def check_disk(self) -> None:
        """Raises InputError if a disk has less room than what would be written there."""
        needed: dict[pathlib.Path, int] = collections.Counter()
        for path, size in [(one.path.parent, one.bytes) for one in self.written] + [
            (self.shard_folder, self.shard_bytes)
        ]:
            needed[_disk(path)] += size
        for disk, size in needed.items():
            free = shutil.disk_usage(disk).free
            if size > free:
                raise InputError(
                    f"the run would write {show_bytes(size)} to the disk of {disk}, which has {show_bytes(free)} left; "
                    "free some, name another disk (-o, --work), or write less (--top, --keep-tracks, --tracks)"
                )

    def summary(self) -> dict[str, Any]:
        """For machines."""
        return {
            "alleles": self.alleles,
            "statuses": self.statuses,
            "kinds": {
                trial.kind: {"alleles": trial.count, "tried": trial.variants, "per_second": round(1 / trial.each, 4)}
                for trial in self.trials
            },
            "seconds": {
                "compiling": round(self.compiling, 1),
                "scoring": round(self.scoring, 1),
                "writing": round(self.writing, 1),
                "all": round(self.seconds, 1),
            },
            "hours": round(self.seconds / 3600, 3),
            "peak_memory_bytes": self.memory,
            "device_memory_bytes": self.device_memory,
            "output_bytes": {str(one.path): one.bytes for one in self.written},
            "shards": {"number": self.shards, "alleles": self.shard_size, "bytes": self.shard_bytes},
        }

    def __str__(self) -> str:
        statuses = ", ".join(f"{status} {count:,}" for status, count in self.statuses.items())
        lines = [f"alleles      {self.alleles:,} ({statuses})"]
        lines += [
            f"{trial.kind:<13}{trial.count:,} at {1 / trial.each:.3g} a second ({trial.variants} tried)"
            for trial in self.trials
        ]
        lines.append(
            f"time         {show_seconds(self.seconds)}: scoring {show_seconds(self.scoring)}, compiling "
            f"{show_seconds(self.compiling)}, writing {show_seconds(self.writing)}"
        )
        device = "" if self.device_memory is None else f", {show_bytes(self.device_memory)} on the accelerator"
        lines.append(f"peak memory  {show_bytes(self.memory)}{device}")
        lines += [f"output       {show_bytes(one.bytes)} {one.path}" for one in self.written]
        if self.shards:
            lines.append(
                f"shards       {self.shards:,} of {self.shard_size:,} alleles, {show_bytes(self.shard_bytes)} in "
                f"{self.shard_folder} until all is written"
            )
        return "\n".join(lines)


def estimate(run: ScoringRun, console: Console) -> Estimate:
    """Tries a few variants of each kind and writes a part of each output to a temporary folder."""
    console.print("trying a few variants of each kind", highlight=False)
    trials = run_trials(run)
    pool = {trial.kind: trial.runs for trial in trials}
    sizes = [sum(_size(one) for one in result.scores) for result in tried(pool)]
    each = float(np.mean(sizes)) if sizes else 0.0
    written, of_shards = rehearse(run, pool)
    return Estimate(
        run.total,
        {status.value: number for status, number in sorted(run.survey.statuses.items())},
        trials,
        written,
        run.shard_size,
        -(-run.total // run.shard_size) if run.in_shards else 0,
        run.folder,
        of_shards,
        round(peak_memory() + 1.5 * each * min(run.shard_size, run.total)),
        device_memory(),
    )


def check_disk(run: ScoringRun, console: Console) -> None:
    """Refuses a run whose outputs would not fit the disk; tries variants only if that is not plain without."""
    scored = sum(run.survey.kinds.values())
    scores = scored * sum(
        t.tracks.sizes["track"] * (MOST_ITEMS if t.scorer.requires else 1) for t in run.engine.templates()
    )
    places = [path.parent for path in run.outputs] + [run.folder]
    most = (scores + run.total) * MOST_BYTES * len(places)
    if any(most > shutil.disk_usage(_disk(place)).free for place in places):
        estimate(run, console).check_disk()


def show_bytes(size: int | float) -> str:
    """Text for people."""
    units = ("B", "kB", "MB", "GB", "TB")
    step = next((step for step in range(len(units)) if size < 1000 ** (step + 1)), len(units) - 1)
    return f"{size / 1000**step:.3g} {units[step]}"


def show_seconds(seconds: int | float) -> str:
    """Text for people."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _disk(path: pathlib.Path) -> pathlib.Path:
    """The nearest folder that is there."""
    path = path.absolute()
    while not path.is_dir():
        path = path.parent
    return path


def _size(one) -> int:
    return sum(array.nbytes for array in (one.values, one.quantiles, one.tails, one.ref, one.alt) if array is not None)
