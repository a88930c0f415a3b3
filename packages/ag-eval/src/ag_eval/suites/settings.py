"""A suite as one YAML file: which benchmarks, with which data, options and peers. Also as a plugin of any package."""

import dataclasses
import importlib.resources
import os
import pathlib
from typing import Any

import pydantic
from ag_core.errors import InputError
from ag_core.plugins import registry

from ag_eval.declarations import Strict, read_declaration

_TARGET = f"{__name__}:Suite"
# Data that are no files.
PLAIN = ("region",)


class Entry(Strict):
    """One benchmark of a suite: a plugin's name, data and options beyond those of the suite and of the plugin.

    `label` names it where one benchmark occurs twice.
    """

    benchmark: str
    label: str = ""
    data: dict[str, str] = {}
    options: dict[str, Any] = {}
    peers: list[str] = []

    @property
    def name(self) -> str:
        """Of the entry, unique in its suite."""
        return self.label or self.benchmark


class SuiteSettings(Strict):
    """What a suite's file says. `data` and `peers` are for all its benchmarks.

    `folder`: where relative paths start; paths may name variables of the environment.
    """

    name: str
    title: str = ""
    data: dict[str, str] = {}
    peers: list[str] = []
    benchmarks: list[Entry] = pydantic.Field(min_length=1)
    folder: pathlib.Path = pydantic.Field(default=pathlib.Path(), exclude=True)

    @pydantic.model_validator(mode="after")
    def _distinct(self):
        names = [entry.name for entry in self.benchmarks]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)} occurs more than once; give each a label of its own")
        if odd := [name for name in names if not name.replace("_", "").replace("-", "").isalnum()]:
            raise ValueError(f"{odd[0]!r} is no label; use letters, digits, - and _")
        return self

    def data_of(self, entry: Entry) -> dict[str, Any]:
        """Data of a benchmark, paths located; those whose variable is not set are left out."""
        together = {**self.data, **entry.data}
        found: dict[str, Any] = {}
        for key, value in together.items():
            if key in PLAIN:
                found[key] = value
            elif "$" not in (path := os.path.expandvars(os.path.expanduser(value))):
                found[key] = self.folder / path
        found["peers"] = list(dict.fromkeys([*self.peers, *entry.peers]))
        return found

    def unset(self, entry: Entry) -> list[str]:
        """Data of a benchmark whose path names a variable that the environment lacks."""
        together = {**self.data, **entry.data}
        return [key for key, value in together.items() if key not in PLAIN and "$" in os.path.expandvars(value)]

    def options_of(self, entry: Entry) -> dict[str, Any]:
        """Options of a benchmark; `file` is a path like those of data where there is such a file."""
        options = dict(entry.options)
        if "file" in options and (path := self.folder / os.path.expandvars(str(options["file"]))).exists():
            options["file"] = path
        return options


@dataclasses.dataclass(frozen=True)
class Suite:
    """A suite that a package brings: the target of a plugin among the benchmarks, with `package` and `file`."""

    package: str
    file: str

    def read(self) -> SuiteSettings:
        """What it says. Raises InputError for mistakes in it."""
        return read_suite(pathlib.Path(str(importlib.resources.files(self.package).joinpath(self.file))))


def find_suite(name: str | os.PathLike[str]) -> SuiteSettings:
    """A suite by its file, or by the name of a plugin. Raises InputError naming the suites that there are."""
    path = pathlib.Path(name)
    if path.suffix in (".yaml", ".yml"):
        return read_suite(path)
    if str(name) in (known := suites()):
        return registry().create("benchmarks", str(name)).read()
    raise InputError(f"no suite {name}: expected a YAML file or one of {', '.join(known) or '(none is installed)'}")


def suites() -> list[str]:
    """Names of the suites that are installed."""
    found = registry()
    return [name for name in found.names("benchmarks") if found.get("benchmarks", name).target == _TARGET]


def read_suite(path: pathlib.Path) -> SuiteSettings:
    """What a suite's file says. Raises InputError for a file that cannot be read, or has mistakes."""
    settings = read_declaration(path, SuiteSettings, path.parent, "suite")
    return settings.model_copy(update={"folder": path.parent})
