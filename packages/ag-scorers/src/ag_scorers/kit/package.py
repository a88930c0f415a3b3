"""Writes a package with one plugin in it: what `agenome plugin new` does."""

import keyword
import os
import pathlib
import re
import string
from importlib import resources

from ag_core import __version__
from ag_core.errors import InputError
from ag_core.plugins import KINDS as HOOKS
from ag_core.plugins import registry

KINDS = ("scorer", "head", "source", "benchmark")
# The files of every package: where they go (`$package`, `$module`), and the template they come from.
FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "src/$package/__init__.py": "init.py",
    "src/$package/plugin.py": "plugin.py",
    "src/$package/$module.py": "$kind.py",
    "tests/test_$module.py": "test_$kind.py",
}
EXTRA = {"source": {"tests/example.depth": "example.depth"}}
# Beyond ag-core: what a package of this kind runs with, and what its test needs.
DEPENDENCIES = {
    "scorer": ("equinox", "jax", "numpy"),
    "head": ("equinox", "jax", "jaxtyping"),
    "source": ("numpy", "xarray"),
    "benchmark": ("ag-data", "ag-eval", "numpy", "xarray"),
}
_NAME = re.compile(r"[a-z](?:[a-z0-9]|[-_](?=[a-z0-9]))*")


def check_kind(kind: str) -> str:
    """`kind`; InputError for one that there is not."""
    if kind not in KINDS:
        raise InputError(f"kind {kind!r}: expected one of {', '.join(KINDS)}")
    return kind


def check_name(name: str, kind: str) -> str:
    """The plugin's name (words joined by underscores) of a package called `name`. Raises InputError.

    A name must be that of a module, and no plugin of this kind may have it.
    """
    plugin = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(plugin):
        raise InputError(
            f"name {name!r}: expected lower-case words of letters and digits, joined by - or _, such as gc_window"
        )
    reserved = {"ag_core", "ag_data", "ag_heads", "ag_scorers", "ag_eval", "plugin", "tests", "test"}
    if plugin in reserved:
        raise InputError(f"name {name!r} is taken by this suite; choose another")
    if plugin in registry().names(f"{kind}s"):
        found = next(one for one in registry().found if (one.kind, one.plugin.name) == (f"{kind}s", plugin))
        raise InputError(f"{plugin!r} is already a {kind}, of {found.provider}; choose another name")
    return plugin


def write_package(name: str, kind: str, folder: str | os.PathLike[str] = ".") -> list[pathlib.Path]:
    """Writes the package to `folder`/`name` and returns its files; overwrites nothing.

    Raises InputError for a bad or taken name, another kind, and a folder that is there and not empty.
    """
    plugin = check_name(name, check_kind(kind))
    assert f"{kind}s" in HOOKS
    root = pathlib.Path(folder) / name
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InputError(f"{root} is there already; choose another name or folder, nothing is overwritten")
    words = "".join(word.capitalize() for word in plugin.split("_"))
    suffix = kind.capitalize()
    values = {
        "name": name.replace("_", "-"),
        "package": f"ag_{plugin}",
        "distribution": f"ag-{plugin.replace('_', '-')}",
        "module": plugin,
        "plugin": plugin,
        "kind": kind,
        "cls": words if words.endswith(suffix) else f"{words}{suffix}",
        "dependencies": ", ".join(f'"{_pin(one)}"' for one in ("ag-core", *DEPENDENCIES[kind])),
        "scorers": _pin("ag-scorers"),
    }
    written = []
    try:
        for place, template in (FILES | EXTRA.get(kind, {})).items():
            path = root / _fill(place, values)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_fill(_read(_fill(template, values)), values))
            written.append(path)
    except OSError as error:
        raise InputError(f"cannot write {root} ({error}); choose another folder") from error
    return written


def _pin(distribution: str) -> str:
    """A requirement; packages of this suite in the minor version that is installed."""
    major, minor = (int(part) for part in __version__.split(".")[:2])
    return f"{distribution}>={major}.{minor},<{major}.{minor + 1}" if distribution.startswith("ag-") else distribution


def _read(template: str) -> str:
    return (resources.files("ag_scorers.kit") / "templates" / f"{template}.txt").read_text()


def _fill(text: str, values: dict[str, str]) -> str:
    return string.Template(text).substitute(values)
