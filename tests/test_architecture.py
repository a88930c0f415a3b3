"""What keeps the house in order: who imports whom, what is imported when, and how long a module may be."""

import ast
import importlib.metadata
import pathlib
import re

import pytest
from ag_core.plugins import KINDS, PROJECT, registry

PACKAGES = pathlib.Path(__file__).parents[1] / "packages"
SOURCES = sorted(PACKAGES.glob("*/src/**/*.py"))
SISTERS = ("ag_core", "ag_data", "ag_heads", "ag_scorers", "ag_eval")
# Design: heads and scorers are reached by their registry names.
FORBIDDEN = {
    "ag_core": {"ag_data", "ag_heads", "ag_scorers", "ag_eval"},
    "ag_data": {"ag_heads", "ag_scorers", "ag_eval"},
    "ag_heads": {"ag_scorers", "ag_eval"},
    "ag_scorers": {"ag_heads", "ag_eval"},
    # Variants are scored by the engine, not by a second one.
    "ag_eval": {"ag_heads"},
}
LIGHT = {"plugin.py", "hookspecs.py", "plugins.py", "genome.py", "__init__.py"}
HEAVY = {"jax", "numpy", "pandas", "zarr", "xarray", "equinox", "optax", "pyranges", "matplotlib"}
LONGEST = 400


def name(path: pathlib.Path) -> str:
    return str(path.relative_to(PACKAGES))


def imports(path: pathlib.Path, *, top: bool) -> set[str]:
    """Packages imported by a module, at its top level or anywhere."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_sources_are_found():
    assert {path.relative_to(PACKAGES).parts[2] for path in SOURCES} == set(SISTERS)
    assert "jax" in imports(PACKAGES / "ag-core/src/ag_core/layers.py", top=True)


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_imports_go_one_way(path):
    package = path.relative_to(PACKAGES).parts[2]
    assert not imports(path, top=False) & FORBIDDEN[package]


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name in LIGHT], ids=name)
def test_light_modules_stay_light(path):
    assert not imports(path, top=True) & HEAVY


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_modules_stay_short(path):
    lines = len(path.read_text().splitlines())
    assert lines <= LONGEST, f"{name(path)} has {lines} lines, split it: one idea each"


def test_the_core_names_no_modality():
    planned = ["contact_maps", "splice_sites", "splice_junctions", "polyadenylation"]
    modalities = [*registry().names("heads"), *planned]
    pattern = re.compile("|".join(rf"\b{modality}\b" for modality in modalities), re.IGNORECASE)
    named = {
        f"{name(path)}:{number}: {line.strip()}"
        for path in SOURCES
        if name(path).startswith("ag-core")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    }
    assert "cage" in modalities
    assert not named


def test_built_ins_come_through_the_same_door():
    """Everything the registry knows belongs to a distribution's entry point; each of ours has exactly one."""
    entries = importlib.metadata.entry_points(group=PROJECT)
    ours = sorted(entry.value for entry in entries if entry.value.split(".")[0] in SISTERS)
    assert ours == sorted(f"{package}.plugin" for package in SISTERS)
    providers = {entry.dist.name for entry in entries}
    assert {found.provider.partition(" ")[0] for found in registry().found} <= providers
    assert registry().failures == []


@pytest.mark.parametrize("kind", KINDS)
def test_targets_exist(kind):
    for plugin in registry().names(kind):
        assert callable(registry().load(kind, plugin)) or kind == "commands", plugin
