"""Discovery with distributions fabricated on disk: nothing is installed, everything is real importlib.metadata."""

import importlib.metadata
import itertools
import subprocess
import sys

import pluggy
import pytest
from ag_core.plugins import KINDS, PluginNotFoundError, PluginWarning, Registry

HEADER = "from ag_core.hookspecs import Plugin, hookimpl\n"
HEALTHY = HEADER + "@hookimpl\ndef ag_heads():\n    return [Plugin('{name}', 'math:sqrt', 'a square root')]\n"
OPTIONS = HEADER + "@hookimpl\ndef ag_heads():\n    return [Plugin('counted', 'builtins:dict', '', {'a': 1, 'b': 2})]\n"


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """Makes a distribution with one plugin module from source; returns its entry point."""
    monkeypatch.syspath_prepend(tmp_path)
    numbers = itertools.count()

    def make(name: str, source: str) -> importlib.metadata.EntryPoint:
        module = f"fabricated_{tmp_path.name}_{next(numbers)}".replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source)
        folder = tmp_path / f"{module}-1.2.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (folder / "entry_points.txt").write_text(f"[ag_plugins]\n{name}-entry = {module}\n")
        (entry_point,) = importlib.metadata.Distribution.at(folder).entry_points
        return entry_point

    return make


def test_healthy_plugin(distribution):
    registry = Registry([distribution("good", HEALTHY.format(name="root"))])
    assert registry.names("heads") == ["root"]
    assert registry.load("heads", "root")(9) == 3
    assert [(found.kind, found.provider) for found in registry.found] == [("heads", "good 1.2")]
    assert registry.failures == []


def test_options_are_defaults_that_callers_override(distribution):
    registry = Registry([distribution("good", OPTIONS)])
    assert registry.create("heads", "counted", b=3, c=4) == {"a": 1, "b": 3, "c": 4}


@pytest.mark.parametrize(
    ("source", "exception", "message"),
    [
        ("import no_such_module_at_all", ModuleNotFoundError, "No module named 'no_such_module_at_all'"),
        ("this is no Python", SyntaxError, "invalid syntax"),
        (HEADER + "@hookimpl\ndef ag_heads():\n    raise RuntimeError('flat tyre')", RuntimeError, "flat tyre"),
        (HEADER + "@hookimpl\ndef ag_heads():\n    return ['atac']", TypeError, "ag_heads returned 'atac'"),
        (HEADER + "@hookimpl\ndef ag_heads():\n    return None", TypeError, "not iterable"),
        (HEADER + "@hookimpl\ndef ag_heads(model):\n    return []", pluggy.PluginValidationError, "ag_heads"),
    ],
    ids=["import", "syntax", "raising hook", "wrong record", "nothing returned", "unknown argument"],
)
def test_broken_plugin_is_named_and_harms_nobody(distribution, monkeypatch, source, exception, message):
    entry_points = [distribution("bad", source), distribution("good", HEALTHY.format(name="root"))]
    with pytest.warns(PluginWarning, match=r"bad-entry = .* of bad 1\.2") as caught:
        registry = Registry(entry_points)
    assert len(caught) == 1
    assert registry.names("heads") == ["root"]
    (failure,) = registry.failures
    assert failure.provider == "bad 1.2"
    assert failure.error.startswith(f"{exception.__name__}: ")
    assert message in failure.error
    with pytest.raises(PluginNotFoundError, match=r"bad-entry = .* failed to load"):
        registry.get("heads", "lost")

    monkeypatch.setenv("AG_STRICT_PLUGINS", "1")
    with pytest.raises(exception, match=message):
        Registry(entry_points)


def test_plugin_newer_than_the_core_keeps_what_is_known(distribution):
    source = HEALTHY.format(name="root") + "@hookimpl\ndef ag_telescopes():\n    return []\n"
    with pytest.warns(PluginWarning, match="hooks unknown to this ag-core, ignored: ag_telescopes"):
        registry = Registry([distribution("newer", source)])
    assert registry.names("heads") == ["root"]
    assert len(registry.failures) == 1


def test_two_claims_matter_only_for_that_name(distribution, monkeypatch):
    both = HEADER + "@hookimpl\ndef ag_heads():\n    return [Plugin(n, 'math:cos', '') for n in ('root', 'own')]\n"
    entry_points = [distribution("first", HEALTHY.format(name="root")), distribution("second", both)]
    registry = Registry(entry_points)
    assert registry.names("heads") == ["own", "root"]
    assert registry.load("heads", "own")(0) == 1
    with pytest.raises(PluginNotFoundError, match=r"claimed by first 1\.2 and second 1\.2; set AG_BLOCK_PLUGINS"):
        registry.get("heads", "root")
    # The remedy the message names works.
    monkeypatch.setenv("AG_BLOCK_PLUGINS", "second")
    assert Registry(entry_points).load("heads", "root")(9) == 3


@pytest.mark.parametrize("blocked", ["bad-entry", "bad", " other , bad "], ids=["entry point", "distribution", "list"])
def test_blocked_plugins_are_not_even_imported(distribution, monkeypatch, blocked):
    monkeypatch.setenv("AG_BLOCK_PLUGINS", blocked)
    registry = Registry([distribution("bad", "1/0"), distribution("good", HEALTHY.format(name="root"))])
    assert registry.names("heads") == ["root"]
    assert registry.failures == []


def test_unknown_names_get_a_suggestion(distribution):
    registry = Registry([distribution("good", HEALTHY.format(name="methylation"))])
    with pytest.raises(PluginNotFoundError, match="no heads plugin 'metylation': did you mean 'methylation'"):
        registry.load("heads", "metylation")
    with pytest.raises(PluginNotFoundError, match="no scorers plugin 'x': known: none"):
        registry.get("scorers", "x")


def test_target_that_is_not_there(distribution):
    registry = Registry([distribution("good", HEALTHY.replace("math:sqrt", "math:sqroot").format(name="root"))])
    with pytest.raises(ImportError, match="plugin 'root' in heads: cannot import 'math:sqroot'"):
        registry.load("heads", "root")


def test_discovery_of_what_is_installed_imports_nothing_heavy():
    code = (
        "import sys, ag_core.plugins as p; r = p.registry(); assert not r.failures, r.failures; "
        f"print(sum(bool(r.names(k)) for k in {KINDS!r})); "
        "print(*({'jax', 'numpy', 'pandas', 'zarr', 'xarray', 'equinox'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kinds, heavy = done.stdout.splitlines()
    assert int(kinds) >= 4
    assert heavy == ""
