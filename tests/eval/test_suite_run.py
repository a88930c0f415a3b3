"""Suites: run, resumed, reported, repeated byte for byte, compared; one with a package of somebody else."""

import dataclasses
import json

import numpy as np
import pytest
import yaml
from ag_core.checkpoint import HeadSpec, ModelSpec, outline, save
from ag_core.cli import run as cli
from ag_core.config import PRESETS
from ag_core.errors import InputError
from ag_core.plugins import registry
from ag_core.schema import track_table
from ag_eval.suites import run as suite_run
from ag_eval.suites.settings import find_suite, read_suite, suites

SKIPPED = "needs table ($EXAMPLE_CAQTL), which is not set. How to get it: "


@pytest.fixture(scope="module")
def folder(tmp_path_factory, randomise):
    """A genome, regions, a suite, and two models."""
    folder, random = tmp_path_factory.mktemp("suite"), np.random.default_rng(0)
    (folder / "genome.fa").write_text(f">chr1\n{''.join(random.choice(list('ACGT'), 2048 * 24))}\n")
    regions = [f"chr1\t{start}\t{start + 100}\n" for start in range(500, 2048 * 24, 4096)]
    (folder / "regions.bed").write_text("".join(regions))
    table = track_table({"name": ["a"], "strand": ["."]})
    backbone = dataclasses.replace(PRESETS["tiny"], organisms=1, blocks=1)
    spec = ModelSpec("one", backbone, {"chip_tf": HeadSpec("chip_tf", (table,))}, ("human",), 2048, "CC0-1.0")
    model = randomise(outline(spec))
    save(folder / "one", model, spec)
    import jax

    save(folder / "two", jax.tree.map(lambda x: x * 1.1, model), dataclasses.replace(spec, name="two"))
    entries = [
        {"benchmark": "marked_regions", "label": "marked", "data": {"regions": "regions.bed"}},
        {"benchmark": "marked_regions", "label": "of_a_head_it_lacks", "options": {"modality": "cage"}},
        {"benchmark": "nobody_has_it"},
        {"benchmark": "marked_regions", "label": "no_file", "data": {"regions": "none.bed"}},
    ]
    entries[1]["data"] = {"regions": "regions.bed"}
    suite = {"name": "mine", "data": {"fasta": "genome.fa"}, "benchmarks": entries}
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite))
    return folder


def run(folder, out, *arguments, model="one"):
    return cli(["eval", "run", str(folder / "suite.yaml"), "--model", str(folder / model), "-o", str(out), *arguments])


def entries_of(out):
    return {entry["name"]: entry for entry in json.loads((out / "card.json").read_text())["benchmarks"]}


def test_a_package_brings_a_benchmark_and_a_suite(folder, tmp_path, monkeypatch, capsys):
    assert "example_suite" in suites()
    assert registry().get("benchmarks", "marked_regions").target.startswith("ag_example_benchmark.")
    monkeypatch.setenv("EXAMPLE_GENOME", str(folder / "genome.fa"))
    monkeypatch.setenv("EXAMPLE_REGIONS", str(folder / "regions.bed"))
    assert cli(["eval", "run", "example_suite", "--model", str(folder / "one"), "-o", str(tmp_path), "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    marked, skipped = card["benchmarks"]
    assert (marked["status"], marked["cases"][0]["metric"]) == ("done", "auroc")
    assert skipped["status"] == "skipped"
    assert skipped["note"].startswith(SKIPPED)
    assert cli(["eval", "list", "--json"]) == 0
    listed = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert listed["example_suite"]["suite"] == ["marked_regions", "caqtl_african_coefficient"]
    assert listed["marked_regions"]["needs"] == ["fasta", "regions"]


def test_what_cannot_run_is_named_and_the_card_is_the_same_each_time(folder, tmp_path):
    assert run(folder, tmp_path / "first") == 0
    assert run(folder, tmp_path / "second") == 0
    first, second = ((tmp_path / name / "card.json").read_bytes() for name in ("first", "second"))
    assert first == second
    found = entries_of(tmp_path / "first")
    assert found["marked"]["status"] == "done"
    assert found["marked"]["data"]["regions"]["file"] == "regions.bed"
    assert found["of_a_head_it_lacks"]["note"] == "model 'one' predicts chip_tf, not cage; use another model"
    assert "nobody_has_it" in found["nobody_has_it"]["note"]
    assert "regions: none.bed is not there" in found["no_file"]["note"]
    assert [entry["status"] for entry in found.values()] == ["done", "skipped", "skipped", "skipped"]
    text = (tmp_path / "first/report.md").read_text()
    assert "| marked | done | auroc, chip_tf |" in text
    page = (tmp_path / "first/report.html").read_text()
    assert page.count('src="data:image/png;base64,') == text.count("](figures/")
    assert text.count("](figures/") >= 2


def test_a_run_goes_on_where_it_was(folder, tmp_path, monkeypatch):
    settings = read_suite(folder / "suite.yaml")
    from ag_core.checkpoint import load

    model, ran = load(folder / "one"), []
    real = suite_run.run_benchmark

    def counted(name, *arguments, **options):
        ran.append(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(suite_run, "run_benchmark", counted)
    before = suite_run.run_suite(settings, model, tmp_path)
    again = suite_run.run_suite(settings, model, tmp_path)
    assert ran.count("marked_regions") == 3  # the head that lacks is tried again
    np.testing.assert_array_equal(before[0].results["score"].values, again[0].results["score"].values)
    assert before[0].results.attrs == again[0].results.attrs
    other = load(folder / "two")
    assert suite_run.run_suite(settings, other, tmp_path)[0].results.attrs["model"] == "two"
    (tmp_path / "benchmarks/marked/key.json").unlink()
    suite_run.run_suite(settings, model, tmp_path)
    assert ran.count("marked_regions") == 7


def test_a_fault_costs_only_its_own_results(folder, tmp_path, monkeypatch):
    def faulty(name, *arguments, **options):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(suite_run, "run_benchmark", faulty)
    assert run(folder, tmp_path) == 1
    found = entries_of(tmp_path)
    assert found["marked"]["status"] == "failed"
    assert found["marked"]["note"] == "ZeroDivisionError: division by zero (see marked/error.txt)"
    assert "in faulty" in (tmp_path / "benchmarks/marked/error.txt").read_text()


def test_two_models_are_compared_on_the_same_rows(folder, tmp_path, capsys):
    for model in ("one", "two"):
        assert run(folder, tmp_path / model, model=model) == 0
    assert cli(["eval", "compare", str(tmp_path / "one"), str(tmp_path / "two"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["models"] == ["one", "two"]
    (row,), (test,) = found["rows"], found["paired"]
    assert test["difference"] == pytest.approx(row["one"] - row["other"])
    assert test["low"] <= test["difference"] <= test["high"]
    assert 0 < test["p"] == test["q"] <= 1
    assert cli(["eval", "compare", str(tmp_path / "one"), str(tmp_path / "nothing")]) == 2
    assert "is no folder of a finished run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"name": "x", "benchmarks": []}, r"suite .*suite.yaml: benchmarks: List should have at least 1 item"),
        ({"name": "x", "benchmarks": [{"benchmark": "a"}] * 2}, "a occurs more than once; give each a label"),
        ({"name": "x", "benchmarks": [{"benchmark": "../a"}]}, "'../a' is no label"),
        ({"name": "x", "benchmark": []}, "benchmark: Extra inputs are not permitted"),
    ],
)
def test_mistakes_in_a_suite_are_named(tmp_path, content, message):
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=message):
        find_suite(tmp_path / "suite.yaml")


def test_a_suite_that_is_not_there():
    with pytest.raises(InputError, match=r"no suite nothing: expected a YAML file or one of .*example_suite"):
        find_suite("nothing")
