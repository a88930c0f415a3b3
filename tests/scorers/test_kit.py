"""The plugin kit: packages it writes, laws of heads, sources and benchmarks, and the two commands."""

import contextlib
import importlib.metadata
import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from ag_core import plugins
from ag_core.cli import run
from ag_core.errors import InputError
from ag_core.interfaces import AbstractBenchmark, AbstractSource
from ag_core.plugins import Registry, registry
from ag_core.schema import track_table
from ag_scorers.kit import benchmark_laws, check_benchmark, check_head, check_source, failures, source_laws
from ag_scorers.kit.package import KINDS, write_package
from ag_scorers.kit.verdicts import judge

EXAMPLE = pathlib.Path(__file__).parents[2] / "docs" / "example-plugin"


def install(root: pathlib.Path, place: pathlib.Path) -> importlib.metadata.EntryPoint:
    """Metadata of a package in `root`, beside a link to its sources, as an installer leaves them in `place`."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    name = project["name"]
    ((entry, target),) = project["entry-points"]["ag_plugins"].items()
    info = place / f"{name.replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {project['version']}\n")
    (info / "entry_points.txt").write_text(f"[ag_plugins]\n{entry} = {target}\n")
    (source,) = (root / "src").iterdir()
    (place / source.name).symlink_to(source)
    (entry_point,) = importlib.metadata.Distribution.at(info).entry_points
    return entry_point


@contextlib.contextmanager
def installed(root, place, monkeypatch):
    """The registry with the package in it."""
    install(root, place)
    with monkeypatch.context() as patch:
        patch.syspath_prepend(place)
        plugins.refresh()
        yield registry()
    plugins.refresh()


@pytest.fixture
def written(tmp_path):
    return {kind: write_package(f"my-{kind}", kind, tmp_path)[0].parent for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_registers_and_keeps_to_the_suite(kind, tmp_path, written, monkeypatch):
    files = sorted(str(path.relative_to(written[kind])) for path in written[kind].rglob("*") if path.is_file())
    package = f"src/ag_my_{kind}"
    assert set(files) >= {"README.md", "pyproject.toml", f"{package}/__init__.py", f"{package}/plugin.py"}
    assert f"{package}/my_{kind}.py" in files
    assert f"tests/test_my_{kind}.py" in files
    for path in written[kind].rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert not re.search(r"\$[a-z{]", text), f"{path}: a placeholder is left"
            assert max(map(len, text.splitlines())) <= 120, path
    assert "import jax" not in (written[kind] / package / "plugin.py").read_text()
    monkeypatch.syspath_prepend(tmp_path / "site")
    found = Registry([install(written[kind], tmp_path / "site")])
    assert found.failures == []
    assert found.names(f"{kind}s") == [f"my_{kind}"]
    assert found.load(f"{kind}s", f"my_{kind}").__name__ == f"My{kind.capitalize()}"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_passes_its_own_test(kind, tmp_path, written):
    """In a process of its own, with the package installed as far as Python can tell."""
    site = tmp_path / "site"
    install(written[kind], site)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(written[kind] / "tests")]
    found = subprocess.run(
        command,
        cwd=written[kind],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert " passed" in found.stdout


REFUSED = {
    "MyScorer": "expected lower-case words",
    "my scorer": "expected lower-case words",
    "9lives": "expected lower-case words",
    "a__b": "expected lower-case words",
    "class": "expected lower-case words",
    "ag-core": "taken by this suite",
    "center-mask": "'center_mask' is already a scorer, of ag-scorers",
    "../up": "expected lower-case words",
}


@pytest.mark.parametrize("name", REFUSED)
def test_names_are_checked(name, tmp_path):
    with pytest.raises(InputError, match=re.escape(REFUSED[name])):
        write_package(name, "scorer", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path, capsys):
    arguments = ["plugin", "new", "gc_window", "--kind", "scorer", "--folder", str(tmp_path)]
    assert run([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["folder"] == str(tmp_path / "gc_window")
    assert all(pathlib.Path(path).is_file() for path in told["files"])
    before = {path: path.read_text() for path in map(pathlib.Path, told["files"])}
    assert run(arguments) == 2
    assert "is there already" in capsys.readouterr().err
    assert before == {path: path.read_text() for path in before}
    assert run(["plugin", "new", "other", "--kind", "widget", "--folder", str(tmp_path)]) == 2
    assert "expected one of scorer, head, source, benchmark" in capsys.readouterr().err


def test_what_is_tested_must_be_known(tmp_path, capsys):
    assert run(["plugin", "test", "center_maks"]) == 2
    assert "did you mean 'center_mask'?" in capsys.readouterr().err
    assert run(["plugin", "test", "splice_sites"]) == 2
    assert "'splice_sites' is a head and a source; say which with --kind" in capsys.readouterr().err
    assert run(["plugin", "test", "bedgraph"]) == 2
    assert "source bedgraph needs an example; give --file" in capsys.readouterr().err
    assert run(["plugin", "test", "marked_regions", "--kind", "benchmark", "--data", "regions"]) == 2
    assert "--data 'regions': expected NAME=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    ["chip_tf", "methylation", *(pytest.param(one, marks=pytest.mark.slow) for one in ("rna_seq", "dnase"))]
    + [pytest.param(one, marks=pytest.mark.slow) for one in ("contact_maps", "splice_sites", "splice_site_usage")]
    + [pytest.param("splice_junctions", marks=pytest.mark.slow)],
)
def test_heads_keep_the_laws(name):
    verdicts = check_head(name)
    assert failures(verdicts) == []
    assert sum(verdict.passed is True for verdict in verdicts) >= 4


def test_broken_heads_are_found(monkeypatch):
    target = registry().load("heads", "methylation")
    plain = target.loss

    def counts_all(self, predictions, targets, organism):
        return {"loss": (predictions["scaled_predictions_128bp"] - targets["signal"]).mean()}

    def turned_halfway(self, predictions, organism, length):
        return {name: x[::-1] * 0.5 for name, x in predictions.items()}

    monkeypatch.setattr(target, "loss", counts_all)
    broken = " ".join(failures(check_head("methylation")))
    assert "loss is finite: some NaN: loss is nan" in broken
    assert "padding has no loss" in broken
    assert "gradients are finite" not in broken or "not finite" in broken
    monkeypatch.setattr(target, "loss", plain)
    monkeypatch.setattr(target, "reverse_complement", turned_halfway)
    assert [line.partition(":")[0] for line in failures(check_head("methylation"))] == ["turns back"]


@pytest.fixture
def bedgraph(tmp_path):
    path = tmp_path / "some.bedgraph"
    path.write_text("chr1\t10\t20\t1.5\nchr1\t100\t164\t2\nchr2\t5\t6\t1\n")
    return path


def test_sources_keep_the_laws(bedgraph, tmp_path, capsys):
    for options in ({}, {"resolution": 32}):
        verdicts = check_source("bedgraph", bedgraph, options)
        assert failures(verdicts) == []
    assert run(["plugin", "test", "bedgraph", "--file", str(bedgraph), "--option", "resolution=8", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["broken"] == 0
    assert len(told["laws"]["bedgraph"]) == len(source_laws.LAWS)
    arrays = tmp_path / "signal.npz"
    np.savez(arrays, chr1=np.arange(1000.0))
    assert failures(check_source("npz_signal", arrays)) == []


class Forgetful(AbstractSource):
    """Reads onwards from where it stopped, whatever is asked for."""

    layout, resolution = "signal", 1

    def __init__(self, path):
        self.path, self.place = path, 0

    def tracks(self):
        return track_table({"name": ["one"], "strand": ["."]})

    def chromosomes(self):
        return {"chr1": 700}

    def read(self, interval):
        values = np.arange(self.place, self.place + interval.width, dtype=np.float64)[:, None]
        self.place += interval.width
        return values


def test_broken_sources_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(type(registry()), "create", lambda self, kind, name, path: Forgetful(path))
    subject = source_laws.make_source_subject("forgetful", tmp_path / "x.txt")
    broken = failures(judge(source_laws.LAWS, subject))
    assert [line.partition(":")[0] for line in broken] == [
        "reads what it says",
        "pieces are the whole",
        "opens again",
        "refuses what it cannot read",
    ]
    assert "values are float64, expected float32" in broken[0]


def test_benchmarks_keep_the_laws(tmp_path, monkeypatch, written, capsys):
    regions = tmp_path / "regions.bed"
    regions.write_text("chr1\t100\t200\nchr1\t9000\t9100\n")
    with installed(written["benchmark"], tmp_path / "site", monkeypatch):
        assert failures(check_benchmark("my_benchmark", {"regions": regions})) == []
        with pytest.raises(InputError, match="benchmark my_benchmark needs regions; give --data regions="):
            check_benchmark("my_benchmark", {})


class Moody(AbstractBenchmark):
    """Another figure each time, without an interval around it."""

    needs, higher_is_better, citation, licence = ("table",), True, "", "CC0"
    random = np.random.default_rng(0)

    def run(self, model, data):
        import xarray as xr

        coordinates = {name: ("case", ["a"]) for name in ("benchmark", "metric", "group", "model")}
        value = ("case", self.random.uniform(size=1))
        return xr.Dataset({"value": value, "low": ("case", [2.0]), "high": ("case", [3.0])}, coordinates)


def test_broken_benchmarks_are_found(tmp_path):
    benchmark = Moody()
    subject = benchmark_laws.BenchmarkSubject(benchmark, None, {"table": tmp_path / "t.csv"}, benchmark.run(None, {}))
    broken = [line.partition(":")[0] for line in failures(judge(benchmark_laws.LAWS, subject))]
    assert broken == ["describes itself", "results fit", "measures the same again", "refuses absent files"]


@pytest.mark.slow
def test_a_scorer_from_the_command_line(capsys):
    assert run(["plugin", "test", "max_abs_diff:modality=chip_tf", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["broken"]) == ("scorer", 0)
    (laws,) = told["laws"].values()
    held = {law["name"] for law in laws if law["passed"]}
    assert held >= {"equal alleles", "mirror image", "padding is ignored", "engine, partial", "engine, batches"}
    assert run(["plugin", "test", "gene_mask_lfc", "--quick"]) == 0
    shown = capsys.readouterr().out
    assert "GeneMaskLFCScorer(requested_output=RNA_SEQ)" in shown
    assert "CHIP_TF" not in shown, "refused by the scorer, which needs 1 bp"
