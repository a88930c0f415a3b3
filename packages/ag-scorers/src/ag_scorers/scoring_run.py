"""One run of `agenome score`: survey in, outputs out; where it is long, in shards that survive whatever ends it."""

import collections
import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ag_data.disk import explain_full_disk
from ag_data.variants import Call
from rich.console import Console

from ag_scorers.batches import batched
from ag_scorers.calibration import Calibration, calibrate_results
from ag_scorers.campaign import merge, plan_of, read_results, run_shards, score_calls, shard_size
from ag_scorers.cluster.order import Order
from ag_scorers.digests import file_digest
from ag_scorers.engine import Engine
from ag_scorers.outputs import Writer, open_writer
from ag_scorers.progress import show_progress, track_progress
from ag_scorers.results import Result
from ag_scorers.scoring import Survey
from ag_scorers.shards import RunFolder

TOGETHER = 32  # results that are looked up in a calibration at once


@dataclasses.dataclass(frozen=True)
class ScoringRun:
    """Everything a run needs.

    - `made_by`: the provenance of the outputs (`ag_scorers.digests`).
    - `calibration`: fills in quantiles, if given (`ag_scorers.calibration`).
    - `writing`: options of `open_writer`.
    - `size`: calls in a shard; by default as many as suit the number of scores.
    - `work`: folder of the shards; by default beside the first output. `keep` leaves it there afterwards.
    - `cluster`: where shards are scored, if not here: how to connect, and what workers are told.
    """

    engine: Engine
    survey: Survey
    outputs: Sequence[pathlib.Path]
    made_by: Mapping[str, str]
    calibration: Calibration | None = None
    writing: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    size: int | None = None
    work: pathlib.Path | None = None
    keep: bool = False
    cluster: tuple[Callable[[], Any], Order] | None = None

    @property
    def total(self) -> int:
        """Alleles of the input."""
        return self.survey.statuses.total()

    @property
    def shard_size(self) -> int:
        """Calls in a shard."""
        return self.size or shard_size(self.engine.templates())

    @property
    def folder(self) -> pathlib.Path:
        """Where shards are kept."""
        first = self.outputs[0]
        return self.work or first.with_name(f"{first.name}.run")

    @property
    def in_shards(self) -> bool:
        """Whether results are kept on the disk before they are written; a run of one shard need not."""
        wanted = self.keep or self.work is not None or self.cluster is not None
        return wanted or self.total > self.shard_size or self.folder.exists()

    def score(self, calls: Iterable[Call]) -> Iterator[Result]:
        """Results of calls, in the same order, with quantiles if there is a calibration."""
        return self.calibrated(self.engine.run(calls))

    def calibrated(self, results: Iterable[Result]) -> Iterator[Result]:
        """Results with quantiles, if there is a calibration; some are looked up together."""
        if not (found := self.calibration):
            return iter(results)
        return (result for some in batched(results, TOGETHER) for result in calibrate_results(some, found))

    @contextlib.contextmanager
    def open_writers(
        self, outputs: Sequence[pathlib.Path], source: pathlib.Path | None = None
    ) -> Iterator[list[Writer]]:
        """A writer for each path; `source` is a VCF in place of the run's."""
        templates, vcf = self.engine.templates(), source or self.survey.vcf
        with contextlib.ExitStack() as stack:
            yield [
                stack.enter_context(open_writer(path, templates, vcf, provenance=self.made_by, **self.writing))
                for path in outputs
            ]


class _Rehearsed(Exception):
    """Takes back what writers have begun."""


@dataclasses.dataclass(frozen=True)
class Done:
    """How many alleles ended in which status, and the first one that failed with its reason."""

    statuses: collections.Counter[str]
    first_failure: str


def execute(run: ScoringRun, console: Console) -> Done:
    """Scores and writes everything; interrupted, the same call goes on where it stopped.

    Raises InputError when the disk is full, another process does the same, or the folder of shards is another run's.
    """
    return _in_shards(run, console) if run.in_shards else _at_once(run, console)


def check_outputs(run: ScoringRun) -> None:
    """Opens all outputs and takes them back: what cannot be written is refused before any work. Raises InputError."""
    with contextlib.suppress(_Rehearsed), explain_full_disk("nothing was written"), run.open_writers(run.outputs):
        raise _Rehearsed


def _at_once(run: ScoringRun, console: Console) -> Done:
    with explain_full_disk("nothing was written"), run.open_writers(run.outputs) as writers:
        with show_progress("scoring", run.total, console) as advance:
            results = score_calls(lambda calls: _tell(run.score(calls), advance), list(run.survey.calls()))
        statuses, failed = merge(results, writers, run.total)
    return Done(statuses, _reason(failed))


def _in_shards(run: ScoringRun, console: Console) -> Done:
    check_outputs(run)
    plan = plan_of(
        pathlib.Path(run.survey.vcf).name, file_digest(run.survey.vcf), run.total, run.shard_size, dict(run.made_by)
    )
    folder = RunFolder(run.folder, plan, run.engine.templates())
    shards = plan["shards"]
    try:
        kept = sum(manifest.calls for manifest in folder.manifests.values())
        if kept:
            console.print(
                f"going on with {len(folder.manifests)} of {shards} shards in {folder.folder}", highlight=False
            )
        with show_progress("scoring", run.total, console, kept) as advance:
            if run.cluster is not None:
                from ag_scorers.cluster.executor import run_on_cluster

                run_on_cluster(*run.cluster, run.survey.raw(), folder, run.shard_size, console, advance)
            else:
                run_shards(
                    lambda calls: _tell(run.score(calls), advance),
                    run.survey.raw(),
                    run.survey.check,
                    folder,
                    run.shard_size,
                )
        with (
            explain_full_disk(f"all shards are kept in {folder.folder}"),
            run.open_writers(run.outputs) as writers,
        ):
            statuses, failed = merge(
                track_progress(read_results(folder), run.total, console, "writing"), writers, run.total
            )
        if run.keep:
            folder.close()
        else:
            folder.remove()
        return Done(statuses, _reason(failed))
    except KeyboardInterrupt:
        done = len(folder.manifests)
        console.print(
            f"{done} of {shards} shards are kept in {folder.folder}; the same command goes on", highlight=False
        )
        raise
    finally:
        folder.close()


def _tell(results: Iterable[Result], advance: Any) -> Iterator[Result]:
    for result in results:
        yield result
        advance(1)


def _reason(failed: Result | None) -> str:
    return "" if failed is None else f"{failed.call}: {failed.call.detail}"
