"""The whole plugin contract: one entry-point group, seven hooks, one record.

A distribution declares one entry point in the group `ag_plugins`, pointing at a light module (by custom
`plugin.py`) whose functions, marked with `hookimpl`, return `Plugin` records. A record names its target as
"module:attribute"; the target is imported only when somebody asks for it, so discovery never imports jax.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import pluggy

PROJECT = "ag_plugins"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclasses.dataclass(frozen=True)
class Plugin:
    """One thing a distribution offers.

    - `name`: what users type; unique among the plugins of one kind. Commands may have several words ("model import").
    - `target`: "module:attribute", imported on first use.
    - `summary`: one line for `agenome plugins` and `--help`.
    - `options`: default keyword arguments for the target, so that one class can serve under several names.
    """

    name: str
    target: str
    summary: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@hookspec
def ag_heads() -> Iterable[Plugin]:
    """Modalities. Target: a subclass of `ag_core.interfaces.AbstractHead`."""
    ...


@hookspec
def ag_scorers() -> Iterable[Plugin]:
    """Variant scorers. Target: a subclass of `ag_core.interfaces.AbstractScorer`."""
    ...


@hookspec
def ag_sources() -> Iterable[Plugin]:
    """File formats that become track stores. Target: a subclass of `ag_core.interfaces.AbstractSource`."""
    ...


@hookspec
def ag_benchmarks() -> Iterable[Plugin]:
    """Benchmarks and suites. Target: a subclass of `ag_core.interfaces.AbstractBenchmark`."""
    ...


@hookspec
def ag_peers() -> Iterable[Plugin]:
    """Predictors of others and baselines, to compare with. Target: a subclass of `ag_core.interfaces.AbstractPeer`."""
    ...


@hookspec
def ag_models() -> Iterable[Plugin]:
    """Named checkpoints. Target: a function returning the checkpoint folder as a `pathlib.Path`."""
    ...


@hookspec
def ag_commands() -> Iterable[Plugin]:
    """Sub-commands of `agenome`. Target: a function with typer annotations, or a `typer.Typer`."""
    ...
