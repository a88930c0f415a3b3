"""Which jobs are computed together: those of one window share REF, others share a program."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from ag_core.interfaces import AbstractScorer
from ag_core.layout import Layout, merge

from ag_scorers.alleles import SiteMasks
from ag_scorers.jobs import Job
from ag_scorers.reading import Need, Reading, Rows, Spans, find_need, union_of
from ag_scorers.shapes import Shapes
from ag_scorers.stitch import StitchCodes

T = TypeVar("T")
# So few jobs of one window are not worth programs of their own: REF is computed for each.
_FEW = 4
# Jobs of one window are read alike unless that makes any of them decode so many times more.
_MORE = 1.3


@dataclasses.dataclass(frozen=True)
class Batch:
    """Jobs for one run of a program; `readings`: one for all, one for each, or None for full predictions.

    Programs are for `size` jobs: what is missing is filled up with the last one.
    """

    jobs: tuple[Job, ...]
    readings: tuple[Reading, ...] | None
    size: int = 1

    @property
    def filled(self) -> tuple[Job, ...]:
        """As many jobs as the program takes."""
        return self.jobs + (self.jobs[-1],) * (self.size - len(self.jobs))

    @property
    def references(self) -> tuple[Job, ...]:
        """A job for each REF that must be known."""
        return self.filled[:1] if self.shared else self.filled

    @property
    def shared(self) -> bool:
        """Whether all jobs are of one window."""
        return self.readings is not None and len(self.readings) == 1

    def rows(self) -> Rows:
        """What to compute of each reference."""
        return _stack([self._reading(number).rows for number in range(len(self.references))])

    def _reading(self, number: int) -> Reading:
        assert self.readings is not None
        return self.readings[min(number, len(self.readings) - 1)]

    def stitch(self) -> StitchCodes | None:
        """What stitching needs of all jobs, if they are to be stitched."""
        return _stack([job.stitch for job in self.filled])

    def masks(self, scorers: Mapping[str, AbstractScorer]) -> tuple[list[Any], SiteMasks | None]:
        """The scorers' masks and the site masks, of all jobs, for what is computed."""
        masks, sites = [], []
        for number, job in enumerate(self.filled):
            own, site = [items.masks for items in job.items], job.sites
            if self.readings is not None:
                reading = self._reading(number)
                own = [_restrict(*pair, reading.layouts) for pair in zip(scorers.values(), own, strict=True)]
                if site is not None:
                    assert reading.rows.site_rows is not None
                    site = site.restricted(Layout(len(site.genes), np.asarray(reading.rows.site_rows)))
            masks.append(own)
            sites.append(site)
        return _stack(masks), _stack(sites)


def _restrict(scorer: AbstractScorer, masks: Any, layouts: Mapping[str, Layout]) -> Any:
    mine = {name: layouts[name] for name in scorer.modalities if name in layouts}
    if all(layout.is_whole for layout in mine.values()):
        return masks
    return type(scorer).restrict(scorer, masks, mine)  # as in jobs


def _stack(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def make_batches(jobs: Iterable[Job], size: int, shapes: Shapes | None = None) -> Iterator[Batch]:
    """Batches of at most `size` jobs each, every job in one; `shapes` are those in use, to be used again."""
    full: dict[Any, list[Job]] = {}
    windows: dict[Any, list[Job]] = {}
    for job in jobs:
        if job.wants is None:
            full.setdefault((job.reverse, job.stitch is None, job.masks_shape), []).append(job)
        else:
            windows.setdefault((str(job.interval), job.codes[0].tobytes()), []).append(job)
    for together in full.values():
        for part, padded in _parts(together, size):
            yield Batch(part, None, padded)
    alone: dict[Any, list[tuple[Job, Reading]]] = {}
    clustered = [list(_clusters(window)) for window in windows.values()]
    if shapes is not None:
        shapes.begin([(need, len(cluster)) for window in clustered for cluster, need in window])
    for window in clustered:
        for cluster, need in window:
            shapes = shapes or Shapes(need.total)
            if len(cluster) < _FEW:
                for job in cluster:
                    own = need if len(cluster) == 1 else _Wanted.by(job).need(job)
                    reading = own.reading(shapes.choose(own))
                    alone.setdefault((*_key(job), reading.shape), []).append((job, reading))
                continue
            reading = need.reading(shapes.choose(need, len(cluster)))
            alike: dict[Any, list[Job]] = {}
            for job in cluster:
                alike.setdefault(_key(job), []).append(job)
            for together in alike.values():
                # Where programs are dear, those that are left over have one for all shapes, which takes longer.
                for part, padded in _parts(together, size, -(-size // 4) if shapes.dear else None):
                    alone_of_many = padded == 1 < size
                    mine = need.reading(shapes.whole(need)) if alone_of_many and shapes.dear else reading
                    yield Batch(part, (mine,), padded)
    for pairs in alone.values():
        for part, padded in _parts(pairs, size):
            together, readings = zip(*part, strict=True)
            yield Batch(together, readings + readings[-1:] * (padded - len(part)), padded)


def _key(job: Job) -> tuple[Any, ...]:
    # Of masks only what is not a row may differ: the number of genes, say, not that of positions.
    return job.reverse, job.change, job.masks_shape


def _parts(jobs: Sequence[Any], size: int, least: int | None = None) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Groups, each with the number of jobs that its program takes: `size`, or 1, so that there are two programs.

    At least `least` are worth the larger one, by default half as many as it takes.
    """
    begin, least = 0, -(-size // 2) if least is None else least
    while begin < len(jobs):
        left = len(jobs) - begin
        count = min(left, size) if left >= least or size <= _FEW else 1
        yield tuple(jobs[begin : begin + count]), 1 if count == 1 and size > _FEW else size
        begin += count


class _Wanted(NamedTuple):
    """What jobs of one window want together: rows of modalities, and rows in which splice sites are looked for."""

    wants: Mapping[str, Spans]
    sites: Sequence[tuple[int, int]]

    @classmethod
    def by(cls, job: Job) -> "_Wanted":
        return cls(job.wants or {}, () if job.sites is None else job.sites.spans())

    def __or__(self, other: "_Wanted") -> "_Wanted":
        # Merged at once: these grow with the place that they cover, not with the number of jobs.
        end = max((end for spans in (self.sites, other.sites) for _, end in spans), default=0)
        wants = {
            name: None if spans is None else merge(spans, max((end for _, end in spans), default=0))
            for name, spans in union_of([self.wants, other.wants]).items()
        }
        return _Wanted(wants, merge([*self.sites, *other.sites], end))

    def need(self, job: Job) -> Need:
        """What must be computed; `job` is any of the jobs."""
        return find_need(
            job.codes.shape[1],
            self.wants,
            job.resolutions,
            sites=self.sites,
            with_sites=job.sites is not None,
            everything=job.everything,
            reverse=job.reverse,
        )


def _clusters(jobs: list[Job]) -> Iterator[tuple[list[Job], Need]]:
    """Jobs of one window by place, together as long as that is cheap."""
    cluster: list[Job] = []
    wanted, together, most = _Wanted({}, ()), None, 0.0
    for job in sorted(jobs, key=lambda job: job.first):
        mine = _Wanted.by(job)
        own = mine.need(job)
        if together is not None:
            more = wanted | mine
            joined = more.need(job)
            most_now = max(most, own.shape.cost)
            if joined.shape.cost <= _MORE * most_now + joined.total / 12:  # about what the tower costs
                cluster.append(job)
                wanted, together, most = more, joined, most_now
                continue
            yield cluster, together
        cluster, wanted, together, most = [job], mine, own, own.shape.cost
    if together is not None:
        yield cluster, together


def batched(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """`values` in lists of `size`, the last one shorter."""
    iterator = iter(values)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
