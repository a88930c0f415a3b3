"""`agenome train`, `agenome distil` and `agenome finetune`."""

import json
import pathlib
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ag_core.errors import InputError
from ag_data.yaml_file import parse_yaml
from rich.console import Console

if TYPE_CHECKING:
    from ag_heads.recipes.settings import Settings

Out = Annotated[pathlib.Path, typer.Option("--out", "-o", help="folder for checkpoints, records and the model")]
Change = Annotated[list[str] | None, typer.Option("--set", help="replaces a setting, as in optimiser.steps=100")]
Json = Annotated[bool, typer.Option("--json", help="machine-readable, on stdout")]


def train(
    settings: Annotated[pathlib.Path, typer.Argument(help="YAML file; see docs/training.md")],
    out: Out,
    change: Change = None,
    coordinator: Annotated[str | None, typer.Option(help="host:port of the first of several processes")] = None,
    processes: Annotated[int, typer.Option(help="how many there are")] = 1,
    process: Annotated[int, typer.Option(help="which one this is, from 0")] = 0,
    json_: Json = False,
) -> None:
    """Trains a model, or goes on with one that was interrupted: the same command again.

    Ctrl-C keeps a checkpoint after the step under way. On several hosts, start one process on each.
    """
    from ag_heads.recipes.settings_file import read_settings

    own = read_settings(settings, parse_changes(change or []))
    if coordinator is not None:
        import jax

        jax.distributed.initialize(coordinator, processes, process)
    _run(own, out, json_)


def distil(
    settings: Annotated[pathlib.Path, typer.Argument(help="YAML file with a section `distil`")],
    out: Out,
    teacher: Annotated[
        list[str] | None, typer.Option(help="a model to learn from, instead of those of the file; repeatable")
    ] = None,
    change: Change = None,
    json_: Json = False,
) -> None:
    """Trains a student on what other models predict, on sequences that are moved, reversed and mutated."""
    from ag_heads.recipes.settings_file import read_settings

    changes = parse_changes(change or [])
    if teacher:
        # Relative to where the caller is, not to the file.
        folders = [(name, pathlib.Path(name)) for name in teacher]
        changes["distil.teachers"] = [str(path.absolute()) if path.is_dir() else name for name, path in folders]
    own = read_settings(settings, changes)
    if own.distil is None:
        raise InputError(f"{settings} has no section `distil`; name teachers there, or with --teacher")
    _run(own, out, json_)


def finetune(
    out: Out,
    start: Annotated[str, typer.Option(help="named model or checkpoint folder to start from")] = "mini",
    genome: Annotated[list[pathlib.Path] | None, typer.Option(help="FASTA or .2bit of the stores; repeatable")] = None,
    store: Annotated[
        list[pathlib.Path] | None, typer.Option(help="track store of `agenome tracks import`; repeatable")
    ] = None,
    valid: Annotated[list[str] | None, typer.Option(help="chromosome or region to validate on; repeatable")] = None,
    test: Annotated[list[str] | None, typer.Option(help="chromosome or region to leave alone; repeatable")] = None,
    head: Annotated[
        list[str] | None,
        typer.Option(help="plugin for a modality's head, as in proseq=procap; default: named as the modality"),
    ] = None,
    adapter: Annotated[str | None, typer.Option(help="lora, locon or ia3; default: only new heads")] = None,
    rank: Annotated[int, typer.Option(help="of the adapters")] = 8,
    unfreeze: Annotated[float, typer.Option(help="learning rate of the backbone, as a share of the heads'")] = 0.0,
    steps: int = 1000,
    batch: int = 4,
    learning_rate: float = 1e-3,
    name: Annotated[str, typer.Option(help="what to call the model")] = "finetuned",
    change: Change = None,
    json_: Json = False,
) -> None:
    """Puts new heads for your tracks on a trained network: frozen, with adapters, or with a small learning rate."""
    from ag_core.checkpoint import find, read_spec
    from ag_data import open_store

    from ag_heads.recipes.settings_file import check_settings, replace_setting

    if not genome or not store:
        raise InputError("give --genome and --store: where the sequence is, and what was measured on it")
    spec, _ = read_spec(find(start))
    stores = [open_store(path) for path in store]
    organism = stores[0].organism
    spec.organism(organism)
    if wrong := [part for part in head or [] if "=" not in part]:
        raise InputError(f"--head {wrong[0]}: expected modality=plugin, as in proseq=procap")
    plugins = dict(part.split("=", 1) for part in head or [])
    heads: dict[str, Any] = {}
    for each in stores:
        for modality in each.modalities:
            options: dict[str, Any] = {}
            if each.layout(modality) == "signal" and each.resolution(modality) > 1:
                options = _resolutions(each.resolution(modality))
            heads[modality] = {"plugin": plugins.get(modality, modality), "options": options}
    stream = {
        "organism": organism,
        "genome": [str(path.absolute()) for path in genome],
        "stores": [str(path.absolute()) for path in store],
        "split": {"hold_out": {"valid": valid or [], "test": test or []}},
    }
    content: dict[str, Any] = {
        "name": name,
        "model": {
            "start": start,
            "backbone": {key: value for key, value in spec.backbone.to_dict().items() if key != "organisms"},
            "window": spec.window,
            "organisms": list(spec.organisms),
            "licence": spec.licence,
            "heads": heads,
        },
        "data": {"main": {"batch": batch, "streams": {"own": stream}}},
        "optimiser": {"steps": steps, "learning_rate": learning_rate, "warmup": min(100, steps // 10)},
        "run": {"validate_every": max(steps // 10, 1), "checkpoint_every": max(steps // 10, 1)},
    }
    if adapter is not None:
        content["adapter"] = {"kind": adapter, "rank": rank}
    else:
        content["optimiser"]["groups"] = {"backbone": unfreeze}
    for key, value in parse_changes(change or []).items():
        replace_setting(content, key, value)
    _run(check_settings(content, what="agenome finetune"), out, json_)


def parse_changes(changes: list[str]) -> dict[str, Any]:
    """`key=value` pairs, values as YAML. Raises InputError for anything else."""
    found: dict[str, Any] = {}
    for change in changes:
        key, sign, value = change.partition("=")
        if not sign or not key:
            raise InputError(f"--set {change}: expected key=value, as in optimiser.steps=100")
        found[key] = parse_yaml(value, f"--set {change}: {value!r}")
    return found


def _resolutions(size: int) -> dict[str, Any]:
    """Options of a head whose tracks were measured in bins of `size` bp."""
    return {"resolutions": [size] if size >= 128 else [size, 128]}


def _run(settings: "Settings", out: pathlib.Path, json_: bool) -> None:
    from ag_heads.recipes.loop import train as run

    console = Console(stderr=True)
    outcome = run(settings, out, console=console)
    if json_:
        print(json.dumps({"finished": outcome.finished, "step": outcome.step, "model": str(outcome.model)}))
    else:
        state = "finished" if outcome.finished else "interrupted; the same command goes on"
        console.print(f"{outcome.model}: step {outcome.step:,}, {state}", highlight=False, soft_wrap=True)
    if not outcome.finished:
        raise typer.Exit(130)
