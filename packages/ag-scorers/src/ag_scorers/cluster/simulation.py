"""What a run on many workers would come to: a discrete-event simulation of how shards are handed out.

    python -m ag_scorers.cluster.simulation --variants 1e8 --workers 1000 --seconds-per-variant 1 --mtbf-hours 24

It follows `ag_scorers.cluster.executor`: a free worker gets the next shard; what a lost worker had is handed out anew
once that is noticed; towards the end slow shards are copied to idle workers. The process that keeps the shards takes
them one after the other. Nothing here is measured but what is given: times, rates of failure, delays.
"""

import argparse
import bisect
import collections
import dataclasses
import heapq
import json
import math
import pathlib
import sys
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from ag_scorers.cluster.pace import AHEAD, SLOW

# The executor counts from handing out, when the worker has AHEAD - 1 shards to do before; here time begins at the work.
_LATE = SLOW * AHEAD - (AHEAD - 1)


@dataclasses.dataclass(frozen=True)
class Times:
    """How long things take, in seconds.

    - `variant`: scoring of one; `shard`: what each shard costs besides.
    - `spread`: of shards of one size, the standard deviation of the logarithm; or `measured`, ratios to the mean, from
      which it is drawn.
    - `slow`, `slowdown`: so large a part of the workers takes so many times as long.
    - `start`: of a worker until its first shard (opening the model, compiling).
    - `keep`: the process that was started takes so long to keep a shard; `keep_variant`: for each of its variants.
    """

    variant: float = 1.0
    shard: float = 0.0
    spread: float = 0.0
    measured: Float[np.ndarray, " shard"] | None = None
    slow: float = 0.0
    slowdown: float = 1.0
    start: float = 0.0
    keep: float = 0.0
    keep_variant: float = 0.0


@dataclasses.dataclass(frozen=True)
class Failures:
    """How workers are lost, and how that is seen, in seconds.

    - `mtbf`: mean time between losses of one worker, whatever the cause (exponential).
    - `silent`: part of the losses that no closed connection tells of; these are seen after `timeout`
      (`distributed.scheduler.worker-ttl`), the others at once.
    - `restart`: until another worker is there in its place.
    """

    mtbf: float = math.inf
    silent: float = 0.1
    timeout: float = 300.0
    restart: float = 120.0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One run. Times in seconds; `lost` and `twice` in seconds of workers.

    - `makespan`: until the last shard is kept; `tail`: the last part of it, without a shard left to hand out.
    - `efficiency`: time that went into shards that were kept, of all workers' time.
    - `useful`, `lost`, `twice`: time of shards that were kept, of losses, and of copies that came second.
    - `done`: shards kept; `losses`, `copies`: how often; `worst`: losses of the shard that had most.
    - `spans`: how long each kept shard took, by number.
    """

    makespan: float
    tail: float
    efficiency: float
    useful: float
    lost: float
    twice: float
    done: int
    losses: int
    copies: int
    worst: int
    spans: Float[np.ndarray, " shard"]


def simulate(
    variants: int,
    size: int,
    workers: int,
    times: Times = Times(),
    failures: Failures = Failures(),
    *,
    copy: bool = True,
    seed: int = 0,
) -> Outcome:
    """One run of so many variants in shards of a size; equal arguments give equal outcomes.

    Raises ValueError for numbers below 1.
    """
    if min(variants, size, workers) < 1:
        raise ValueError(f"{variants} variants in shards of {size} on {workers} workers: expected at least 1 of each")
    return _Run(variants, size, workers, times, failures, copy, seed).run()


class _Run:
    def __init__(self, variants: int, size: int, workers: int, times: Times, failures: Failures, copy: bool, seed: int):
        self.times, self.failures, self.copy, self.workers = times, failures, copy, workers
        self.random = np.random.default_rng(seed)
        count = -(-variants // size)
        self.sizes = np.full(count, size)
        self.sizes[-1] = variants - size * (count - 1)
        self.factors = np.ones(workers)
        self.factors[self.random.permutation(workers)[: round(times.slow * workers)]] = times.slowdown
        # What is to do, in order; of lost ones first.
        self.queue = collections.deque(range(count))
        self.events: list[tuple[float, int, str, int, int]] = []
        self.idle: list[int] = []
        self.wake_at = -math.inf
        self.began: dict[int, dict[int, float]] = collections.defaultdict(dict)  # shard: {worker: since}
        self.spans = np.full(count, np.nan)
        self.finished: set[int] = set()
        self.lost = self.twice = self.tail_from = self.kept_at = 0.0
        self.losses = self.copies = self.tick = 0
        self.lost_by = np.zeros(count, int)
        self.median: list[float] = []  # of the first spans, in order

    def run(self) -> Outcome:
        for worker in range(self.workers):
            self._at(self.times.start, "free", worker)
        while len(self.finished) < len(self.sizes):
            now, _, what, worker, shard = heapq.heappop(self.events)
            getattr(self, f"_{what}")(now, worker, shard)
        useful = float(self.spans.sum())
        # Copies that are still at work when the last shard arrives; lost workers are counted already.
        self.twice += sum(now - since for at in self.began.values() for worker, since in at.items() if worker >= 0)
        return Outcome(
            self.kept_at,
            self.kept_at - self.tail_from,
            useful / (self.workers * self.kept_at),
            useful,
            self.lost,
            self.twice,
            len(self.finished),
            self.losses,
            self.copies,
            int(self.lost_by.max()),
            self.spans,
        )

    def _at(self, time: float, what: str, worker: int = -1, shard: int = -1) -> None:
        self.tick += 1
        heapq.heappush(self.events, (time, self.tick, what, worker, shard))

    def _span(self, worker: int, shard: int) -> float:
        times = self.times
        if times.measured is not None:
            ratio = float(self.random.choice(times.measured))
        else:  # of mean 1
            ratio = math.exp(self.random.normal(-(times.spread**2) / 2, times.spread)) if times.spread else 1.0
        return (times.shard + times.variant * int(self.sizes[shard])) * ratio * self.factors[worker]

    def _free(self, now: float, worker: int, shard: int) -> None:
        """A worker has nothing to do."""
        while self.queue and self.queue[0] in self.finished:
            self.queue.popleft()
        if self.queue:
            self._begin(now, worker, self.queue.popleft())
            if not self.queue:
                self.tail_from = now
        else:
            self.idle.append(worker)
            self._copy_slow(now)

    def _copy_slow(self, now: float) -> None:
        """Gives idle workers the shards that have taken longest, if that is too long and nobody has copied them yet."""
        if not (self.copy and self.median and self.idle):
            return
        limit = _LATE * self.median[len(self.median) // 2]
        alone = sorted((min(at.values()), n) for n, at in self.began.items() if len(at) == 1 and n not in self.finished)
        for since, shard in alone:
            if now - since <= limit:
                if now < (when := since + limit + 1e-6) < self.wake_at or self.wake_at <= now:
                    self.wake_at = when
                    self._at(when, "wake")
                return
            if not self.idle:
                return
            self.copies += 1
            self._begin(now, self.idle.pop(0), shard)

    def _wake(self, now: float, worker: int, shard: int) -> None:
        """It is time to look again."""
        self._copy_slow(now)

    def _begin(self, now: float, worker: int, shard: int) -> None:
        span = self._span(worker, shard)
        fails = self.random.exponential(self.failures.mtbf) if math.isfinite(self.failures.mtbf) else math.inf
        self.began[shard][worker] = now
        self._at(now + min(span, fails), "end" if span <= fails else "lose", worker, shard)

    def _end(self, now: float, worker: int, shard: int) -> None:
        since = self.began[shard].pop(worker)
        if not self.began[shard]:
            del self.began[shard]
        if shard in self.finished:
            self.twice += now - since
        else:
            self.finished.add(shard)
            self.spans[shard] = now - since
            if len(self.median) < 1000:
                bisect.insort(self.median, now - since)
            keeps = self.times.keep + self.times.keep_variant * int(self.sizes[shard])
            self.kept_at = max(self.kept_at, now) + keeps
        self._free(now, worker, -1)

    def _lose(self, now: float, worker: int, shard: int) -> None:
        self.losses += 1
        self.lost_by[shard] += 1
        since = self.began[shard].pop(worker)
        self.lost += now - since
        # Until the loss is noticed it looks as if the worker were at it; copies are made of such as of others.
        ghost = -1 - worker
        self.began[shard][ghost] = since
        silent = self.random.random() < self.failures.silent
        self._at(now + (self.failures.timeout if silent else 0.0), "again", ghost, shard)
        self._at(now + self.failures.restart + self.times.start, "free", worker)

    def _again(self, now: float, worker: int, shard: int) -> None:
        """A loss is noticed: the shard is handed out anew, unless a copy is at work or was done."""
        self.began[shard].pop(worker)
        if self.began[shard]:
            return
        del self.began[shard]
        if shard in self.finished:
            return
        self.queue.appendleft(shard)
        if self.idle:
            self._free(now, self.idle.pop(0), -1)


def read_times(shards: pathlib.Path, skip: int = 0) -> tuple[float, Float[np.ndarray, " shard"]]:
    """Seconds for a variant, and each shard's ratio to the mean, from the manifests of a run (`OUT.run/shards`).

    The first `skip` are left out: a process compiles in its first shard. Raises ValueError if no manifest is left.
    """
    found = [json.loads(path.read_text()) for path in sorted(shards.glob("*.json"))][skip:]
    if not found:
        raise ValueError(f"{shards} has no manifests (*.json); keep those of a run with --keep-shards")
    each = np.array([one["seconds"] / one["calls"] for one in found])
    return float(each.mean()), each / each.mean()


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table: a line for each shard size and rate of failure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--variants", type=float, default=1e6)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024, 2048, 4096])
    parser.add_argument("--mtbf-hours", type=float, nargs="+", default=[math.inf, 168.0, 24.0, 4.0], help="of a worker")
    parser.add_argument("--seconds-per-variant", type=float, help="default: those of --shards, or 1")
    parser.add_argument("--shards", type=pathlib.Path, help="OUT.run/shards of a run: its times, or their spread alone")
    parser.add_argument("--skip", type=int, default=1, help="first shards of these that do not count (default 1)")
    for name, default, text in (
        ("shard", 0.5, "seconds that each shard costs besides"),
        ("spread", 0.1, "of the logarithm of shard times"),
        ("slow", 0.01, "part of the workers that are slow"),
        ("slowdown", 4.0, "how many times as long they take"),
        ("start", 120.0, "seconds until a worker's first shard"),
        ("keep", 0.05, "seconds to keep a shard"),
        ("keep-variant", 0.0, "seconds to keep, for each variant"),
        ("silent", 0.1, "part of the losses that only a timeout shows"),
        ("timeout", 300.0, "seconds of that"),
        ("restart", 120.0, "seconds until a lost worker is replaced"),
    ):
        parser.add_argument(f"--{name}", type=float, default=default, help=f"{text} (default {default})")
    parser.add_argument("--no-copy", action="store_true", help="slow shards are not copied to idle workers")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    each, measured = (1.0, None) if given.shards is None else read_times(given.shards, given.skip)
    each = each if given.seconds_per_variant is None else given.seconds_per_variant
    times = Times(
        each, given.shard, given.spread, measured, given.slow, given.slowdown, given.start, given.keep,
        given.keep_variant,
    )  # fmt: skip
    print(
        f"{given.variants:,.0f} variants, {given.workers:,} workers, {each:.4g} s a variant, {given.repeats} runs each"
    )
    head = "size  MTBF h    shards  makespan h  efficiency  lost %  twice %  losses  copies  worst  tail p99 min"
    print(head)
    for hours in given.mtbf_hours:
        failures = Failures(3600 * hours, given.silent, given.timeout, given.restart)
        for size in given.sizes:
            runs = [
                simulate(
                    int(given.variants), size, given.workers, times, failures, copy=not given.no_copy, seed=seed
                )
                for seed in range(given.seed, given.seed + given.repeats)
            ]  # fmt: skip
            mean = {name: float(np.mean([getattr(run, name) for run in runs])) for name in _SHOWN}
            tail = float(np.quantile([run.tail for run in runs], 0.99))
            all_time = given.workers * mean["makespan"]
            print(
                f"{size:4}  {hours:6g}  {runs[0].done:8,}  {mean['makespan'] / 3600:10.2f}  {mean['efficiency']:10.3f}"
                f"  {100 * mean['lost'] / all_time:6.2f}  {100 * mean['twice'] / all_time:7.2f}  {mean['losses']:6.0f}"
                f"  {mean['copies']:6.0f}  {max(run.worst for run in runs):5}  {tail / 60:12.1f}",
                flush=True,
            )


_SHOWN = ("makespan", "efficiency", "lost", "twice", "losses", "copies")

if __name__ == "__main__":
    sys.exit(main())
