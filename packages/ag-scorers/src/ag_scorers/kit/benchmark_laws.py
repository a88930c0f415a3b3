"""Laws that every benchmark keeps: what it says of itself, what it returns, and what it refuses."""

import dataclasses
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from ag_core.checkpoint import Checkpoint, load
from ag_core.errors import InputError
from ag_core.interfaces import AbstractBenchmark
from ag_core.plugins import registry

from ag_scorers.kit.verdicts import Broken, Law, NotApplicable, Verdict, judge, require, require_close
from ag_scorers.kit.world import make_checkpoint, make_genome, make_land

VALUES, COORDINATES = ("value", "low", "high"), ("benchmark", "metric", "group", "model")
# What the kit's model predicts, as far as such heads are installed: one modality of 1 bp and one of 128 bp.
MODALITIES = ("rna_seq", "cage", "chip_tf")


@dataclasses.dataclass(frozen=True)
class BenchmarkSubject:
    """A benchmark, a model, the data it needs, and its results."""

    benchmark: AbstractBenchmark
    model: Checkpoint
    data: Mapping[str, Any]
    results: xr.Dataset


def describes_itself(subject: BenchmarkSubject) -> str:
    """It says what data it needs, which way is better, whom to cite and under which licence."""
    needs = subject.benchmark.needs
    require(not isinstance(needs, str) and all(isinstance(one, str) for one in needs), f"needs {needs!r}: names wanted")
    require(isinstance(subject.benchmark.higher_is_better, bool), "higher_is_better is neither True nor False")
    for name in ("citation", "licence"):
        text = getattr(subject.benchmark, name)
        require(isinstance(text, str) and bool(text.strip()), f"{name} is {text!r}, expected a text")
    return f"needs {', '.join(needs) or 'nothing'}"


def results_fit(subject: BenchmarkSubject) -> str:
    """`value, low, high (case)` with the four text coordinates; no case twice; low <= value <= high."""
    results = subject.results
    require(isinstance(results, xr.Dataset), f"run gives a {type(results).__name__}, expected a Dataset")
    for name in (*VALUES, *COORDINATES):
        held = results.data_vars if name in VALUES else results.coords
        require(name in held and results[name].dims == ("case",), f"no {name!r} along 'case' in the results")
    cases = list(zip(*(map(str, results[name].values) for name in COORDINATES), strict=True))
    require(bool(cases), "no case")
    require(len(set(cases)) == len(cases), "a case occurs twice")
    value, low, high = (results[name].values for name in VALUES)
    require(not np.isinf(value).any(), "an infinite value; NaN is for what is undefined")
    wrong = (low > value) | (value > high)
    require(not wrong.any(), f"case {cases[int(np.argmax(wrong))]}: value outside of low to high")
    return f"{len(cases)} cases"


def measures_the_same_again(subject: BenchmarkSubject) -> str | None:
    """A second run gives the same figures: whatever is drawn is drawn from a seed."""
    again = subject.benchmark.run(subject.model, subject.data)
    for name in COORDINATES:
        require(list(again[name].values) == list(subject.results[name].values), f"{name} differs in a second run")
    for name in VALUES:
        require_close(again[name].values, subject.results[name].values, f"{name} in a second run", rtol=1e-6)


def refuses_absent_files(subject: BenchmarkSubject) -> str | None:
    """Files that are not there raise InputError."""
    files = [name for name in subject.benchmark.needs if isinstance(subject.data.get(name), str | pathlib.Path)]
    if not files:
        raise NotApplicable("it needs no files")
    for name in files:
        with tempfile.TemporaryDirectory() as folder:
            absent = pathlib.Path(folder) / f"absent{pathlib.Path(subject.data[name]).suffix}"
            try:
                subject.benchmark.run(subject.model, {**subject.data, name: absent})
            except InputError:
                continue
            except Exception as error:
                raise Broken(f"{name} is not there: {type(error).__name__}, expected InputError") from error
        raise Broken(f"{name} is not there: measured all the same")


def leaves_its_data_alone(subject: BenchmarkSubject) -> str | None:
    """`data` is the same mapping after a run."""
    given = dict(subject.data)
    subject.benchmark.run(subject.model, given)
    require(given == dict(subject.data), "run changed the mapping of data it was given")


LAWS: tuple[Law[BenchmarkSubject], ...] = (
    describes_itself,
    results_fit,
    measures_the_same_again,
    refuses_absent_files,
    leaves_its_data_alone,
)


def check_benchmark(
    name: str,
    data: Mapping[str, Any],
    options: Mapping[str, Any] | None = None,
    *,
    model: str | None = None,
    modalities: Sequence[str] = MODALITIES,
) -> list[Verdict]:
    """The verdicts of all laws on a benchmark, by its registry name.

    - `data`: what its `needs` say; a `fasta` that is needed and not given is the kit's own tiny genome.
    - `model`: a named model or a checkpoint folder; by default a small random one that predicts `modalities`.

    Raises InputError for data that it needs and that are not given, and what the first run raises.
    """
    benchmark = registry().create("benchmarks", name, **(options or {}))
    known = [one for one in modalities if one in registry().names("heads")]
    with tempfile.TemporaryDirectory() as folder:
        given = dict(data)
        if "fasta" in benchmark.needs and "fasta" not in given:
            make_land(pathlib.Path(folder), make_genome(), mirror=False)
            given["fasta"] = pathlib.Path(folder) / "genome.fa"
        if missing := [need for need in benchmark.needs if need not in given]:
            raise InputError(f"benchmark {name} needs {', '.join(missing)}; give --data {missing[0]}=...")
        checkpoint = make_checkpoint(None, known) if model is None else load(model)
        subject = BenchmarkSubject(benchmark, checkpoint, given, benchmark.run(checkpoint, given))
        return judge(LAWS, subject)
