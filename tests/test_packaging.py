"""What a user gets from a wheel: versions that fit together, a licence, a page to read."""

import itertools
import pathlib
import re
import tomllib

import ag_core
import pytest

ROOT = pathlib.Path(__file__).parents[1]
FOLDERS = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
PROJECTS = {folder.name: tomllib.loads((folder / "pyproject.toml").read_text()) for folder in FOLDERS}
EXAMPLE = tomllib.loads((ROOT / "docs/example-plugin/pyproject.toml").read_text())


def test_five_packages():
    assert list(PROJECTS) == ["ag-core", "ag-data", "ag-eval", "ag-heads", "ag-scorers"]
    for name, project in PROJECTS.items():
        assert project["project"]["name"] == name


@pytest.mark.parametrize("name", [*PROJECTS, "ag-example-plugin"])
def test_pins_between_packages_fit_the_version(name):
    major, minor = (int(part) for part in ag_core.__version__.split(".")[:2])
    project = PROJECTS.get(name, EXAMPLE)["project"]
    extras = project.get("optional-dependencies", {}).values()
    requirements = [*project["dependencies"], *itertools.chain.from_iterable(extras)]
    pins = {match[1]: match[2] for text in requirements if (match := re.match(r"(ag-\w+)(?:\[.*\])?(.*)", text))}
    assert set(pins) <= set(PROJECTS)
    assert set(pins.values()) <= {f">={major}.{minor},<{major}.{minor + 1}"}
    assert ("ag-core" in pins) == (name != "ag-core")


@pytest.mark.parametrize("name", PROJECTS)
def test_version_is_shared(name):
    project = PROJECTS[name]
    assert project["project"]["dynamic"] == ["version"]
    path = ROOT / "packages" / name / project["tool"]["hatch"]["version"]["path"]
    assert path.resolve() == ROOT / "packages/ag-core/src/ag_core/_version.py"


@pytest.mark.parametrize("name", PROJECTS)
def test_licence_and_readme_travel_along(name):
    folder, project = ROOT / "packages" / name, PROJECTS[name]["project"]
    assert project["license"] == "Apache-2.0"
    assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    readme = (folder / project["readme"]).read_text()
    assert readme.startswith(f"# {name}\n")
    assert "pip install" in readme
    assert len(readme.split()) > 60


@pytest.mark.parametrize("name", PROJECTS)
def test_entry_point_and_python_versions(name):
    project = PROJECTS[name]["project"]
    assert project["entry-points"]["ag_plugins"] == {name: f"{name.replace('-', '_')}.plugin"}
    assert project["requires-python"] == ">=3.11"


def test_only_the_core_has_a_command():
    assert [name for name, project in PROJECTS.items() if "scripts" in project["project"]] == ["ag-core"]


def test_scoring_needs_two_names_on_the_command_line():
    """`pip install ag-core ag-scorers` brings heads, data and the embedded model along."""
    needed, queue = set(), ["ag-scorers"]
    while queue:
        package = queue.pop()
        needed.add(package)
        texts = PROJECTS[package]["project"]["dependencies"]
        queue += [m[0] for text in texts if (m := re.match(r"ag-\w+", text)) and m[0] not in needed]
    assert needed == {"ag-core", "ag-data", "ag-heads", "ag-scorers"}
