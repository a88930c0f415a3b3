"""The paper's 24 and 26 evaluations are all there, each once, under the names that `agenome` knows them by."""

import pathlib

import ag_eval
import pytest
import yaml
from ag_core.plugins import registry
from ag_eval import evaluation_names
from ag_eval.evaluation_table import make_table
from ag_eval.plugin import KINDS
from ag_eval.suites.settings import find_suite

FOLDER = pathlib.Path(ag_eval.__file__).parent
FILES = {
    "variants": evaluation_names.VARIANTS,
    "tracks": evaluation_names.TRACKS,
    "supervised": evaluation_names.SUPERVISED,
    "links": evaluation_names.LINKS,
    "directions": evaluation_names.DIRECTIONS,
}


def read(folder):
    found = {}
    for path in (FOLDER / folder / "evaluations").glob("*.yaml"):
        content = yaml.safe_load(path.read_text())
        if folder == "supervised":
            content = content.get("variants") or content["links"]
        found[path.stem] = content
    return found


@pytest.mark.parametrize("folder", FILES)
def test_names_and_titles_are_those_of_the_files(folder):
    content = read(folder)
    assert content
    assert FILES[folder] == {name: each["title"] for name, each in content.items()}
    assert all(each["name"] == name for name, each in content.items())


def test_all_fifty_are_there_once():
    numbers = [each.get("number", "none") for folder in FILES for each in read(folder).values()]
    expected = [f"A{i}" for i in range(1, 25)] + [f"B{i}" for i in range(1, 27)]
    assert sorted(number for number in numbers if number[0] in "AB") == sorted(expected)


def test_each_is_a_benchmark_that_says_what_it_needs():
    for names, target in KINDS:
        for name in names:
            benchmark = registry().create("benchmarks", name)
            assert registry().get("benchmarks", name).target == target
            assert {"fasta"} < set(benchmark.needs)
            assert benchmark.citation
            assert benchmark.licence


def test_the_table_in_the_documentation_is_that_of_the_files():
    """Make it again by `python -m ag_eval.evaluation_table`."""
    page = (pathlib.Path(__file__).parents[2] / "docs/evaluations.md").read_text()
    assert page.endswith("\n\n" + make_table())


def test_the_suite_of_the_paper_has_all_fifty():
    entries = find_suite("paper").benchmarks
    assert len(entries) == 50
    assert {entry.benchmark for entry in entries} < set(registry().names("benchmarks"))
