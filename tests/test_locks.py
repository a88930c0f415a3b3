"""The lock files cover what the packages and environments ask for, by digest; an audit that did not happen says so."""

import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDER = pathlib.Path(__file__).parents[1] / "requirements"
PYTHONS = ("3.11", "3.12", "3.13")


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lock, audit = load("lock"), load("audit")


def locked(path):
    """Requirements with their numbers of digests."""
    entries = re.split(r"\n(?! )", path.read_text().strip())
    return [
        (Requirement(entry.partition(" \\")[0]), len(re.findall(r"--hash=sha256:[0-9a-f]{64}", entry)))
        for entry in entries
    ]


@pytest.mark.parametrize(("environment", "file"), lock.ENVIRONMENTS.items())
def test_a_lock_covers_what_is_asked_for(environment, file):
    entries = locked(FOLDER / f"{file}.lock")
    assert all(digests for _, digests in entries)
    assert all(len(entry.specifier) == 1 and str(entry.specifier).startswith("==") for entry, _ in entries)
    for python in PYTHONS:
        here = {
            "python_version": python,
            "python_full_version": f"{python}.9",
            "sys_platform": "linux",
            "platform_system": "Linux",
        }
        versions = {
            canonicalize_name(entry.name): next(iter(entry.specifier)).version
            for entry, _ in entries
            if entry.marker is None or entry.marker.evaluate(here)
        }
        for text in lock.requirements(environment):
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate(here):
                name, remedy = canonicalize_name(wanted.name), f"{text}: hatch run lint:lock --keep"
                assert name in versions, remedy
                assert versions[name] in wanted.specifier, remedy


def test_what_is_asked_for_is_all_of_it():
    """The extras that `hatch.toml` spells out, each package's dependencies, and none of this repository's packages."""
    default, tests, docs = (set(lock.requirements(name)) for name in ("default", "hatch-test", "docs"))
    assert {"jax>=0.10.2", "zarr>=3.1", "orbax-checkpoint>=0.12", "jinja2>=3.1"} <= default & docs
    assert {"pytest", "hypothesis>=6.130", "anndata==0.12.6", "jax>=0.10.2"} <= tests
    assert "sphinx>=8" in docs
    assert not any(one.startswith("ag-") for one in default | tests | docs)


def test_no_lock_names_a_machine():
    for path in FOLDER.glob("*.lock"):
        assert not re.search(r"file:|/tmp|/home|/root|https?://", path.read_text())


KNOWN = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
SKIPPED = {"name": "c", "skip_reason": "Dependency not found on PyPI"}


def test_an_audit_that_did_not_happen_is_no_success():
    assert audit.judge([KNOWN, KNOWN]) == (0, ["2 distributions, none known to be vulnerable"])
    assert audit.judge([KNOWN, BAD]) == (1, ["b 2: PYSEC-1; fixed in 3"])
    code, (line,) = audit.judge([KNOWN, SKIPPED])
    assert code == 3
    assert line.startswith("NOT AUDITED: 1 of 2 distributions (Dependency not found")
    assert audit.judge([SKIPPED, BAD])[0] == 1
    assert audit.judge([], "cannot resolve the host") == (
        3,
        ["NOT AUDITED: 0 of 0 distributions (cannot resolve the host)"],
    )


def test_the_next_service_is_asked(monkeypatch):
    answers = {"osv": ([], "no network"), "pypi": ([KNOWN], "")}
    monkeypatch.setattr(audit, "audit", lambda arguments, service: answers[service])
    assert audit.look_up([], ("osv", "pypi")) == (0, ["1 distributions, none known to be vulnerable [pypi]"])
    assert audit.look_up([], ("osv",))[0] == 3


def test_the_commands_say_what_they_do():
    for name in ("lock", "audit"):
        done = subprocess.run(
            [sys.executable, FOLDER / f"{name}.py", "--help"], capture_output=True, text=True, check=True
        )
        assert f"hatch run lint:{name}" in done.stdout
