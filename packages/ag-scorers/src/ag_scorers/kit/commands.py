"""`agenome plugin new` and `agenome plugin test`."""

import json
import pathlib
from collections.abc import Iterable
from typing import Annotated, Any

import typer

DEVICES = 8


def new(
    name: Annotated[str, typer.Argument(help="lower-case words joined by - or _, such as gc_window")],
    kind: Annotated[str, typer.Option(help="scorer, head, source or benchmark")],
    folder: Annotated[pathlib.Path, typer.Option(help="where the package's folder is made")] = pathlib.Path("."),
    json_: Annotated[bool, typer.Option("--json", help="the written files as JSON on stdout")] = False,
) -> None:
    """Writes a complete package with one small plugin that works: pyproject.toml, plugin.py, the plugin, its test."""
    from rich.console import Console

    from ag_scorers.kit.package import write_package

    written = write_package(name, kind, folder)
    root = folder / name
    if json_:
        print(json.dumps({"folder": str(root), "files": [str(path) for path in written]}, indent=1))
        return
    console = Console(stderr=True)
    for path in written:
        console.print(f"wrote {path}", highlight=False, soft_wrap=True)
    console.print(
        f"next: pip install -e {root}; agenome plugins; python -m pytest {root / 'tests'}",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )


def check(
    name: Annotated[str, typer.Argument(help="a plugin's name; for a scorer also name:option=value,...")],
    kind: Annotated[str | None, typer.Option(help="scorer, head, source or benchmark, where names clash")] = None,
    option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the plugin; may be repeated")] = None,
    file: Annotated[pathlib.Path | None, typer.Option(help="of a source: an example file")] = None,
    region: Annotated[str | None, typer.Option(help="of a source: where to read, such as chr1:1-4,096")] = None,
    data: Annotated[list[str] | None, typer.Option(help="of a benchmark: NAME=PATH; may be repeated")] = None,
    model: Annotated[str | None, typer.Option(help="of a benchmark; default: a small random one")] = None,
    quick: Annotated[bool, typer.Option(help="of a scorer: without the laws within the engine")] = False,
    json_: Annotated[bool, typer.Option("--json", help="verdicts as JSON on stdout")] = False,
) -> int:
    """Runs the laws that a plugin of its kind keeps, on a tiny model and genome. Exits with 1 if one is broken."""
    from rich.console import Console

    from ag_scorers.kit import failures
    from ag_scorers.kit.verdicts import show_verdicts

    plugin = name.partition(":")[0]
    kind = find_kind(plugin, kind)
    options = dict(_settings(option, "--option"))
    if kind == "scorer":
        found = judge_scorers(name, options, quick=quick)
    elif kind == "head":
        from ag_scorers.kit import check_head

        found = {name: check_head(name, options)}
    elif kind == "source":
        found = {name: _judge_source(name, file, options, region)}
    else:
        from ag_scorers.kit import check_benchmark

        found = {name: check_benchmark(name, dict(_settings(data, "--data")), options, model=model)}
    broken = [line for verdicts in found.values() for line in failures(verdicts)]
    if json_:
        rows = {key: [vars(verdict) for verdict in verdicts] for key, verdicts in found.items()}
        print(json.dumps({"kind": kind, "plugin": plugin, "broken": len(broken), "laws": rows}, indent=1))
    else:
        console = Console()
        for key, verdicts in found.items():
            console.print(show_verdicts(key, verdicts))
    return 1 if broken else 0


def find_kind(plugin: str, kind: str | None) -> str:
    """The kind of a plugin's name; `kind` where several have it. Raises InputError and PluginNotFoundError."""
    from ag_core.errors import InputError
    from ag_core.plugins import PluginNotFoundError, registry

    from ag_scorers.kit.package import KINDS, check_kind
    from ag_scorers.recommended import RECOMMENDED

    if kind is not None:
        return check_kind(kind)
    found = [one for one in KINDS if plugin in registry().names(f"{one}s")]
    if plugin.upper() in RECOMMENDED and plugin.isupper() and not found:
        return "scorer"
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{plugin!r} is a {' and a '.join(found)}; say which with --kind")
    for one in KINDS:  # for the message with the closest name
        try:
            registry().get(f"{one}s", plugin)
        except PluginNotFoundError as error:
            if "did you mean" in str(error):
                raise
    raise PluginNotFoundError(f"no plugin {plugin!r} among scorers, heads, sources and benchmarks; see agenome plugins")


def judge_scorers(name: str, options: dict[str, Any], *, quick: bool) -> dict[str, list[Any]]:
    """Verdicts of each scorer that `name` stands for. Raises InputError."""
    import tempfile

    from ag_core.errors import InputError
    from ag_core.plugins import registry

    from ag_scorers.kit.benchmark_laws import MODALITIES
    from ag_scorers.kit.engine_laws import check_engine
    from ag_scorers.kit.scorer_laws import check_scorer
    from ag_scorers.kit.scorer_subject import Bench
    from ag_scorers.recommended import parse_scorer

    _simulate_devices()
    if options:
        name += (":", ",")[":" in name] + ",".join(f"{key}={value}" for key, value in options.items())
    known = [one for one in MODALITIES if one in registry().names("heads")]
    scorers = parse_scorer(name, known)
    several = len(scorers) > 1
    modalities = tuple(sorted({one for scorer in scorers for one in scorer.modalities}))
    found: dict[str, list[Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(pathlib.Path(folder), modalities)
        tried = {}
        for scorer in scorers:
            try:
                _try_items(scorer, bench)
            except ValueError as error:
                if not several:
                    raise InputError(f"scorer {name}: {error}") from error
                continue
            tried[scorer.name] = scorer
        if not tried:
            raise InputError(f"scorer {name} takes none of {', '.join(known)}; write {name}:modality=...")
        for key, scorer in tried.items():
            found[key] = check_scorer(scorer, bench, text=name)
        if not quick:
            for key, verdicts in check_engine(tried, bench).items():
                found[key] += verdicts
    return found


def _try_items(scorer: Any, bench: Any) -> None:
    """Raises ValueError when a scorer does not take the modality."""
    from ag_scorers.kit.scorer_subject import ScorerSubject

    subject = ScorerSubject(scorer, bench)
    subject.items(subject.probes[0])


def _judge_source(name: str, file: pathlib.Path | None, options: dict[str, Any], region: str | None) -> list[Any]:
    from ag_core.errors import InputError
    from ag_core.genome import Interval

    from ag_scorers.kit.source_laws import check_source

    if file is None:
        raise InputError(f"source {name} needs an example; give --file PATH")
    try:
        place = None if region is None else Interval.from_region(region)
    except ValueError as error:
        raise InputError(str(error)) from error
    return check_source(name, file, options, place)


def _settings(texts: Iterable[str] | None, option: str) -> Iterable[tuple[str, Any]]:
    from ag_core.errors import InputError

    from ag_scorers.recommended import parse_value

    for text in texts or ():
        key, equals, value = (part.strip() for part in text.partition("="))
        if not (key and equals and value):
            raise InputError(f"{option} {text!r}: expected NAME=VALUE")
        yield key, parse_value(value) if option == "--option" else value


def _simulate_devices() -> None:
    """Several devices on a CPU, for the law about them; too late, and left alone, when jax has already started."""
    import contextlib

    import jax

    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", DEVICES)
