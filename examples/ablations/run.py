"""Trains a model in ways that differ in one thing each, and draws what each is worth: the panels of the paper's Fig. 7.

    hatch run ablations SUITE.yaml -o OUT

A suite names a recipe (`base`), what of it is changed for all (`change`; null leaves a key out), `runs` and `panels`. A
run is trained with its own changes (`set`), taught by other runs (`teachers`, with `mutations`), or the mean of other
runs (`ensemble`). All are measured on the recipe's validation windows, at the `lengths` a panel asks for: correlation
of log(1 + signal) in bins of `resolution` bp for signal, area under precision and recall for splice sites. The same
command goes on where it stopped.
"""

import copy
import graphlib
import json
import pathlib
import sys
from typing import Annotated, Any

import equinox as eqx
import jax
import matplotlib.pyplot as plt
import numpy as np
import pydantic
import typer
import yaml
from ag_core.checkpoint import load
from ag_core.errors import InputError
from ag_core.model import fold
from ag_core.sequence import one_hot
from ag_eval.metrics import auprc, pearson
from ag_heads.recipes.feeds import Data
from ag_heads.recipes.loop import train
from ag_heads.recipes.settings import Settings
from ag_heads.recipes.settings_file import check_settings, replace_setting
from rich.console import Console

SIGNAL = ("atac", "dnase", "procap", "cage", "rna_seq", "chip_tf", "chip_histone")
FEWEST = 30


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")


class Run(_Strict):
    """How one model comes about."""

    set: dict[str, Any] = {}
    teachers: list[str] = []
    mutations: dict[str, Any] | None = None
    ensemble: list[str] = []


class Panel(_Strict):
    """What is compared, and at which lengths (default: those of `measure`)."""

    runs: list[str]
    lengths: list[int] | None = None


class Measure(_Strict):
    """Where models are measured."""

    lengths: list[int]
    resolution: int = 128


class Suite(_Strict):
    """A suite's file."""

    base: str
    change: dict[str, Any] = {}
    measure: Measure
    runs: dict[str, Run]
    panels: dict[str, Panel]

    @pydantic.model_validator(mode="after")
    def _known(self):
        named = {name for panel in self.panels.values() for name in panel.runs}
        named |= {name for run in self.runs.values() for name in (*run.teachers, *run.ensemble)}
        if unknown := named - set(self.runs):
            raise ValueError(f"no run is called {', '.join(sorted(unknown))}; there are {', '.join(self.runs)}")
        others = [name for run in self.runs.values() for name in (*run.teachers, *run.ensemble)]
        if means := [name for name in others if self.runs[name].ensemble]:
            raise ValueError(f"{means[0]} is a mean of runs; name these runs instead")
        return self


def read_suite(path: pathlib.Path) -> Suite:
    """Raises InputError for what is no suite."""
    try:
        return Suite.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError, pydantic.ValidationError) as error:
        raise InputError(f"suite {path}: {error}") from error


def settings_of(suite: Suite, folder: pathlib.Path, run: Run, models: dict[str, pathlib.Path]) -> Settings:
    """The recipe with the suite's and the run's changes; teachers are runs that are done."""
    base = folder / suite.base
    content = yaml.safe_load(base.read_text())
    # Copies, since a later key may change what an earlier one brought.
    for key, value in copy.deepcopy(suite.change | run.set).items():
        if value is None:
            *parents, last = key.split(".")
            place = content
            for parent in parents:
                place = place[parent]
            place.pop(last, None)
        else:
            replace_setting(content, key, value)
    if run.teachers:
        teachers = [str(models[name].absolute()) for name in run.teachers]
        # Said also where there are none: a recipe mutates unless it is told not to.
        content["distil"] = {"teachers": teachers, "mutations": run.mutations}
    return check_settings(content, what=str(base), folder=base.parent)


@eqx.filter_jit
def predict(model, codes, organism):
    """Outputs of all heads, batched."""
    found = model(one_hot(codes), organism)
    return {name: jax.vmap(model.heads[name].output)(found[name]) for name in found}


def measure(
    models: list[pathlib.Path], suite: Suite, folder: pathlib.Path, length: int, modalities: set[str]
) -> dict[str, float]:
    """Figures of the mean of some models on the validation windows, at one length."""
    size = suite.measure.resolution
    # What is measured stays the same, whatever a run is trained on.
    settings = settings_of(suite, folder, Run(), {})
    feeds = {name: feed.model_copy(update={"length": length}) for name, feed in settings.data.items()}
    settings = settings.model_copy(update={"data": feeds})
    data, networks = Data(settings), [fold(load(str(model)).model) for model in models]
    truths: dict[str, list[np.ndarray]] = {}
    guesses: dict[str, list[np.ndarray]] = {}
    for feed in settings.data:
        for batch in data.validation(feed):
            outputs = [predict(network, batch["codes"], batch["organism"]) for network in networks]
            for name, target in batch["targets"].items():
                if name not in modalities:
                    continue
                guess = np.mean([np.asarray(output[name], np.float32) for output in outputs], axis=0)
                (truth,) = (np.asarray(target[key]) for key in target if key in ("signal", "classes"))
                if name in SIGNAL:
                    truth, guess = (np.log1p(_bins(x.astype(np.float32), length, size)) for x in (truth, guess))
                truths.setdefault(name, []).append(truth.reshape(-1, truth.shape[-1]))
                guesses.setdefault(name, []).append(guess.reshape(-1, guess.shape[-1]))
    return {name: _figure(name, np.concatenate(truths[name]), np.concatenate(guesses[name])) for name in truths}


def _bins(x: np.ndarray, length: int, size: int) -> np.ndarray:
    """[batch, bin, track] sums in bins of `size` bp."""
    per_bin = x.shape[1] * size // length
    return x.reshape(x.shape[0], -1, per_bin, x.shape[2]).sum(axis=2)


def _figure(name: str, truth: np.ndarray, guess: np.ndarray) -> float:
    if name not in SIGNAL:
        known = truth.any(axis=1)
        return float(np.mean([auprc(truth[known, column], guess[known, column]) for column in range(4)]))
    each = []
    for one, two in zip(truth.T, guess.T, strict=True):
        known = np.isfinite(one) & np.isfinite(two)
        if known.sum() > FEWEST:
            each.append(pearson(one[known], two[known]))
    return float(np.nanmean(each)) if each else float("nan")


def draw(suite: Suite, figures: dict[str, dict[str, float]], path: pathlib.Path) -> None:
    """One panel for each question, one group of bars for each modality."""
    columns = min(len(suite.panels), 2)
    rows = -(-len(suite.panels) // columns)
    _, axes = plt.subplots(rows, columns, figsize=(7 * columns, 3.6 * rows), squeeze=False, layout="constrained")
    colours = plt.get_cmap("tab10").colors
    for ax, (title, panel) in zip(axes.flat, suite.panels.items(), strict=False):
        lengths = panel.lengths or suite.measure.lengths
        bars = [(run, length) for run in panel.runs for length in lengths if f"{run} @ {length}" in figures]
        names = sorted({name for run, length in bars for name in figures[f"{run} @ {length}"]})
        width = 0.85 / max(len(bars), 1)
        for number, (run, length) in enumerate(bars):
            own = figures[f"{run} @ {length}"]
            places = [i for i, name in enumerate(names) if name in own]
            label = run if len(lengths) == 1 else f"{run}, used on {length:,} bp"
            x = np.array(places) + (number - (len(bars) - 1) / 2) * width
            ax.bar(x, [own[names[i]] for i in places], width, label=label, color=colours[number % 10])
        ax.set_xticks(range(len(names)), names)
        ax.set_title(title, loc="left")
        ax.axhline(0, color="black", linewidth=0.5)
        ax.set_ylabel("held out: r, or AUPRC\n(splice sites)")
        ax.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        ax.spines[["top", "right"]].set_visible(False)
    plt.savefig(path, dpi=150)
    plt.close()


def main(path: pathlib.Path, out: Annotated[pathlib.Path, typer.Option("-o", "--output")]) -> None:
    """Runs what is missing, then draws."""
    suite, console = read_suite(path), Console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    kept = out / "figures.json"
    figures = json.loads(kept.read_text()) if kept.exists() else {}
    models: dict[str, pathlib.Path] = {}
    needed = {name: [*run.teachers, *run.ensemble] for name, run in suite.runs.items()}
    for name in graphlib.TopologicalSorter(needed).static_order():
        run = suite.runs[name]
        lengths = {length for panel in suite.panels.values() if name in panel.runs for length in panel.lengths or ()}
        lengths |= set(suite.measure.lengths)
        if run.ensemble:
            own = [models[each] for each in run.ensemble]
            modalities = set(load(str(own[0])).spec.heads)
        else:
            settings = settings_of(suite, path.parent, run, models)
            outcome = train(settings, out / name, console=console)
            if not outcome.finished:
                raise typer.Exit(130)
            models[name], own, modalities = outcome.model, [outcome.model], set(settings.model.heads)
        for length in sorted(lengths):
            if (key := f"{name} @ {length}") not in figures:
                figures[key] = measure(own, suite, path.parent, length, modalities)
                kept.write_text(json.dumps(figures, indent=1))
                console.print(key, figures[key])
    draw(suite, figures, out / "panels.png")


if __name__ == "__main__":
    try:
        typer.run(main)
    except InputError as error:
        sys.exit(f"failed: {error}")
