"""A training run from its settings: steps, records, validation, checkpoints; goes on where it was stopped.

OUT/settings.json   what is run; a later start with other settings is refused
OUT/journal.jsonl   one record for every few steps, and for each validation
OUT/curves.png      the same as a picture
OUT/checkpoints/    the last states (orbax)
OUT/model/          the model so far, to score with
OUT/delta/          what of it differs from the model it started from, if it did from one
"""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import equinox as eqx
import jax
import numpy as np
from ag_core import training
from ag_core.checkpoint import ModelSpec, save
from ag_core.errors import InputError
from ag_core.interfaces import Losses
from ag_core.mesh import make_mesh, put
from ag_core.model import training_mode
from ag_core.sequence import one_hot
from jax.sharding import Mesh
from jaxtyping import Array, Float, PRNGKeyArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ag_heads.adapters import merge
from ag_heads.deltas import write_delta
from ag_heads.recipes.assemble import (
    chosen_arrays,
    hold_norms,
    learning_rates,
    make_model,
    make_optimiser,
    make_spec,
    schedule,
)
from ag_heads.recipes.curves import draw_curves
from ag_heads.recipes.feeds import Data, TakeTurns
from ag_heads.recipes.journal import Journal
from ag_heads.recipes.recent import Recent
from ag_heads.recipes.same_run import check_same
from ag_heads.recipes.settings import Settings
from ag_heads.recipes.snapshots import Snapshots
from ag_heads.recipes.stop import Stop
from ag_heads.recipes.teachers import CheckpointTeacher, Teacher, check_teachers, make_targets
from ag_heads.recipes.together import Together
from ag_heads.recipes.watchdog import Watchdog

SETTINGS, JOURNAL, CURVES, CHECKPOINTS = "settings.json", "journal.jsonl", "curves.png", "checkpoints"
MODEL, DELTA = "model", "delta"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended: whether all steps were made, and the model's folder."""

    finished: bool
    step: int
    model: pathlib.Path


def train(
    settings: Settings,
    out: pathlib.Path,
    *,
    teachers: Sequence[Teacher] | None = None,
    console: Console | None = None,
) -> Outcome:
    """Runs `settings` in the folder `out`, or goes on with what was run there.

    `teachers` are whom a student learns from, by default those that the settings name. Raises InputError for settings,
    files or a folder that do not fit, a full disk, and a loss that is not finite (its batch is kept).
    """
    console = console or Console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    first = jax.process_index() == 0
    check_same(settings, out / SETTINGS, write=False)
    run = settings.run
    mesh = _mesh(settings)
    with console.status("opening data"):
        if teachers is None and settings.distil is not None:
            teachers = [cast(Teacher, CheckpointTeacher(settings.named(name))) for name in settings.distil.teachers]
        if teachers:
            check_teachers(teachers, list(settings.model.heads))
        seen = [getattr(teacher, "trained_on", None) for teacher in teachers or ()]
        data = Data(settings, teachers[0].tables if teachers else None, seen)
        spec = make_spec(settings, data)
    with console.status("making the model"):
        model = make_model(settings, data, spec)
    groups = settings.optimiser.groups
    chosen = chosen_arrays(model, settings)
    model = hold_norms(model, chosen)
    optimiser = make_optimiser(settings.optimiser, learning_rates(model, chosen, _used(groups)))
    state = training.start(model, optimiser, chosen=chosen, average=settings.numerics.average is not None)
    if mesh is not None:
        arrays, rest = eqx.partition(state, eqx.is_array)
        state = eqx.combine(put(arrays, mesh), rest)
    step = Together(make_step(settings, optimiser, chosen, mesh), "a step")
    evaluate = Together(make_evaluation(settings, mesh), "a validation")
    check_same(settings, out / SETTINGS, write=first)  # kept once nothing is refused any more
    total, rate = settings.optimiser.steps, schedule(settings.optimiser)
    with Snapshots(out / CHECKPOINTS, run.keep) as snapshots, Stop() as stop, Watchdog(run.watchdog) as watchdog:
        about: dict[str, Any] | None = None
        if snapshots.latest is not None:
            state, about = snapshots.restore(state, mesh)
        begun = int(state.step)
        wanted: Any = {"wandb": run.wandb, "tensorboard": run.tensorboard, "name": settings.name}
        journal = Journal(out / JOURNAL, begun, writes=first, **wanted)
        parameters = training.count_parameters(model)
        console.print(f"{settings.name}: {parameters:,} parameters, step {begun:,} of {total:,}", highlight=False)
        with TakeTurns(data, mesh=mesh, state=about and about["data"]) as turns, _progress(console) as progress:
            task = progress.add_task(settings.name, total=total, completed=begun)
            recent = Recent()
            for number in range(begun, total):
                feed, batch = turns.next()
                if teachers:
                    asked = (
                        teachers
                        if settings.distil and settings.distil.each == "mean"
                        else [teachers[number % len(teachers)]]
                    )
                    targets = make_targets(model.heads, asked, data.modalities[feed], batch)
                    batch = {**batch, "targets": targets}
                state, report = step(batch, state)
                # Told one step later, so that the device never waits for us.
                recent.add(number, feed, batch, report, out)
                watchdog.beat(f"step {number + 2:,}")
                progress.advance(task)
                done = number + 1
                last = done == total or stop.asked
                if last or done % run.log_every == 0:
                    values = recent.means(out)
                    journal.write("train", done, values | {"learning_rate": float(np.asarray(rate(number)))})
                    progress.update(task, description=f"loss {values['loss']:.4f}")
                if last or done % run.validate_every == 0:
                    if not stop.asked:
                        journal.write("valid", done, _validate(settings, data, state, evaluate, mesh, watchdog))
                    _keep_model(settings, state, spec, out)
                    if first:
                        draw_curves(out / JOURNAL, out / CURVES)
                if last or done % run.checkpoint_every == 0:
                    snapshots.save(state, {"data": turns.state()}, wait=last)
                if last:
                    break
        if begun >= total:
            _keep_model(settings, state, spec, out)
    finished = int(state.step) >= total
    return Outcome(finished, int(state.step), out / MODEL)


def make_step(settings: Settings, optimiser: Any, chosen: Any, mesh: Mesh | None) -> Callable[..., Any]:
    """The compiled step: (batch, state) to (state, report); the old state's memory is used again."""
    numerics = settings.numerics
    loss = make_loss(settings, mesh)

    def step(batch: Any, state: training.State) -> tuple[training.State, training.Report]:
        return training.advance(
            state,
            batch,
            loss=loss,
            optimiser=optimiser,
            chosen=chosen,
            precision=numerics.precision,
            accumulate=numerics.accumulate,
            decay=numerics.average or 0.0,
            seed=settings.seed,
            mesh=mesh,
        )

    return eqx.filter_jit(step, donate="all-except-first")


def make_loss(settings: Settings, mesh: Mesh | None) -> training.LossFunction:
    """The loss of a batch of `ag_data.Loader`."""
    weights = {name: head.weight for name, head in settings.model.heads.items() if head.weight is not None}
    numerics = settings.numerics

    def loss(model: Any, batch: Mapping[str, Any], key: PRNGKeyArray) -> tuple[Float[Array, ""], Losses]:
        return training.model_loss(
            model,
            one_hot(batch["codes"]),
            batch["organism"],
            batch["targets"],
            weights=weights,
            mesh=mesh,
            remat=numerics.remat,
            key=key if numerics.dropout else None,
        )

    return loss


def make_evaluation(settings: Settings, mesh: Mesh | None) -> Callable[..., Any]:
    """The compiled validation of a batch: (model in inference mode, batch) to all parts of the loss."""
    loss = make_loss(settings, mesh)

    def evaluate(batch: Any, model: Any) -> Losses:
        value, parts = loss(model, batch, jax.random.key(0))
        return {"loss": value, **parts}

    return eqx.filter_jit(evaluate)


def _validate(
    settings: Settings,
    data: Data,
    state: training.State,
    evaluate: Callable[..., Any],
    mesh: Mesh | None,
    watchdog: Watchdog,
) -> dict[str, float]:
    model = training_mode(training.averaged(state), False)
    found: dict[str, list[float]] = {}
    for feed in settings.data:
        for batch in data.validation(feed, mesh=mesh):
            for key, value in evaluate(batch, model).items():
                if key == "loss" or key.endswith("/loss"):
                    found.setdefault(key, []).append(float(value))
            watchdog.beat("a validation batch")
    return {key: math.fsum(values) / len(values) for key, values in found.items()}


def _keep_model(settings: Settings, state: training.State, spec: ModelSpec, out: pathlib.Path) -> None:
    if jax.process_index() != 0:
        return
    model = merge(training_mode(training.averaged(state), False))
    save(out / MODEL, model, spec)
    if settings.model.start is not None:
        write_delta(out / DELTA, settings.named(settings.model.start), model, spec)


def _used(groups: dict[str, float]) -> dict[str, float]:
    """Without those that freeze: what they name is not trained."""
    return {key: factor for key, factor in groups.items() if factor != 0}


def _mesh(settings: Settings) -> Mesh | None:
    numerics = settings.numerics
    if numerics.data * numerics.seq == 1 and jax.process_count() == 1:
        return None
    try:
        return make_mesh(numerics.data, numerics.seq)
    except ValueError as error:
        raise InputError(f"numerics: {error}") from error


def _progress(console: Console) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=console, disable=not console.is_terminal)
