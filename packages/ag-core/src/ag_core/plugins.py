"""Finds plugins, keeps broken ones from harming the others, and hands out their targets.

    from ag_core.plugins import registry
    registry().names("scorers")                     # what is there
    registry().load("scorers", "center_mask")       # import the target
    registry().create("scorers", "center_mask", modality=name)

Environment: `AG_BLOCK_PLUGINS=name,name` leaves out entry points or distributions; `AG_STRICT_PLUGINS=1` raises on
the first plugin that fails.
"""

import dataclasses
import difflib
import functools
import importlib
import importlib.metadata
import os
import warnings
from collections.abc import Iterable
from typing import Any

import pluggy

from ag_core import hookspecs
from ag_core.hookspecs import PROJECT, Plugin

KINDS = ("heads", "scorers", "sources", "benchmarks", "peers", "models", "commands")


class PluginWarning(UserWarning):
    """A plugin was skipped; the message names its entry point and distribution."""


class PluginNotFoundError(LookupError):
    """No plugin of that name, or several: the message lists what there is."""


@dataclasses.dataclass(frozen=True)
class Found:
    """A plugin record and the distribution it came from."""

    kind: str
    plugin: Plugin
    provider: str


@dataclasses.dataclass(frozen=True)
class Failure:
    """An entry point that could not be used, and why."""

    entry_point: str
    provider: str
    error: str


# Of `importlib.metadata`, or of its backport, which some packages put in its place.
EntryPoint = Any


def _provider(entry_point: EntryPoint) -> str:
    dist = entry_point.dist
    return f"{dist.name} {dist.version}" if dist else entry_point.value


class Registry:
    """The plugins found among some entry points (by default, all installed ones)."""

    def __init__(self, entry_points: Iterable[EntryPoint] | None = None):
        if entry_points is None:
            entry_points = importlib.metadata.entry_points(group=PROJECT)
        self.found: list[Found] = []
        self.failures: list[Failure] = []
        blocked = {name.strip() for name in os.environ.get("AG_BLOCK_PLUGINS", "").split(",")}
        for entry_point in sorted(entry_points, key=lambda e: (e.name, e.value)):
            if not blocked & {entry_point.name, getattr(entry_point.dist, "name", None)}:
                self._collect(entry_point)

    def _collect(self, entry_point: EntryPoint) -> None:
        # One manager for each entry point: a half-registered plugin cannot break its neighbours.
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(hookspecs)
        found = []
        try:
            manager.register(entry_point.load(), name=entry_point.name)
            for kind in KINDS:
                for implementation in getattr(manager.hook, f"ag_{kind}").get_hookimpls():
                    for plugin in implementation.function():
                        if not isinstance(plugin, Plugin):
                            raise TypeError(f"ag_{kind} returned {plugin!r}, expected ag_core.Plugin records")
                        found.append(Found(kind, plugin, _provider(entry_point)))
        except Exception as error:  # a plugin may fail in any way; the others must go on
            if os.environ.get("AG_STRICT_PLUGINS") == "1":
                raise
            self._fail(entry_point, f"{type(error).__name__}: {error}")
            return
        self.found += found
        unknown = sorted(
            name
            for name, caller in vars(manager.hook).items()
            if isinstance(caller, pluggy.HookCaller) and not caller.has_spec()
        )
        if unknown:
            self._fail(entry_point, f"hooks unknown to this ag-core, ignored: {', '.join(unknown)}")

    def _fail(self, entry_point: EntryPoint, error: str) -> None:
        failure = Failure(f"{entry_point.name} = {entry_point.value}", _provider(entry_point), error)
        self.failures.append(failure)
        warnings.warn(f"plugin {failure.entry_point} of {failure.provider}: {error}", PluginWarning, stacklevel=2)

    def names(self, kind: str) -> list[str]:
        """Names of one kind of plugin (see `KINDS`), sorted."""
        return sorted({found.plugin.name for found in self.found if found.kind == kind})

    def get(self, kind: str, name: str) -> Plugin:
        """The record called `name`. Raises `PluginNotFoundError` when there is none, or more than one."""
        matches = [found for found in self.found if (found.kind, found.plugin.name) == (kind, name)]
        if len(matches) == 1:
            return matches[0].plugin
        if matches:
            providers = " and ".join(found.provider for found in matches)
            raise PluginNotFoundError(
                f"{name!r} in {kind} is claimed by {providers}; set AG_BLOCK_PLUGINS to the one to leave out"
            )
        known = self.names(kind)
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        failed = "".join(f"; {failure.entry_point} failed to load" for failure in self.failures)
        raise PluginNotFoundError(f"no {kind} plugin {name!r}: {hint}known: {', '.join(known) or 'none'}{failed}")

    def load(self, kind: str, name: str) -> Any:
        """Imports and returns the target of a plugin."""
        plugin = self.get(kind, name)
        module, _, attribute = plugin.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ImportError(f"plugin {name!r} in {kind}: cannot import {plugin.target!r}: {error}") from error

    def create(self, kind: str, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Calls the target with the plugin's default options, overridden by `kwargs`."""
        return self.load(kind, name)(*args, **{**self.get(kind, name).options, **kwargs})


@functools.cache
def registry() -> Registry:
    """The installed plugins, discovered once. `refresh` forgets them."""
    return Registry()


def refresh() -> None:
    """Discovers again at the next call, after an installation in the same process."""
    registry.cache_clear()
