"""`agenome model import`, `apply`, `average` and `export`."""

import dataclasses
import json
import pathlib
from typing import Annotated

import typer
from rich.console import Console

Json = Annotated[bool, typer.Option("--json", help="machine-readable, on stdout")]


def import_model(
    source: Annotated[str, typer.Argument(help="an Orbax folder, kaggle:VERSION or hf:VERSION")],
    out: Annotated[pathlib.Path, typer.Option("--out", "-o", help="folder for the checkpoint")],
    name: Annotated[str | None, typer.Option(help="what to call the model")] = None,
    licence: Annotated[str | None, typer.Option(help="licence tag to write into the checkpoint")] = None,
    like: Annotated[
        str | None, typer.Option(help="a checkpoint or named model with the sizes, heads and tracks of the tree")
    ] = None,
    json_: Json = False,
) -> None:
    """Makes a checkpoint of the published weights: an Orbax folder here, or fetched from Kaggle or Hugging Face.

    VERSION is all_folds, fold_0, fold_1, fold_2 or fold_3. The weights have terms of their own, to be accepted there.
    """
    from ag_core.checkpoint import find, read_spec

    from ag_heads.download import download, parse
    from ag_heads.official import import_tree, official_spec

    console = Console(stderr=True)
    hub = parse(source)
    folder = pathlib.Path(source) if hub is None else download(hub)
    spec = official_spec() if like is None else read_spec(find(like))[0]
    origin = "an Orbax tree" if hub is None else f"{hub.hub.title}, {hub.handle}"
    spec = dataclasses.replace(
        spec,
        name=name or (folder.resolve().name if hub is None else hub.name),
        licence=licence or spec.licence,
        notes=f"Imported from {origin}.",
    )
    with console.status(f"reading {folder}"):
        digest = import_tree(folder, out, spec)
    if json_:
        print(json.dumps({"name": spec.name, "folder": str(out), "digest": digest, "licence": spec.licence}))
    else:
        console.print(f"{out}: {spec.name}, licence {spec.licence}, digest {digest}", highlight=False, soft_wrap=True)


def apply_model(
    delta: Annotated[
        list[pathlib.Path], typer.Argument(help="folders with delta.json, as fine-tuning leaves them; heads of all")
    ],
    base: Annotated[str, typer.Option(help="the named model or checkpoint folder they were made from")],
    out: Annotated[pathlib.Path, typer.Option("--out", "-o", help="folder for the checkpoint")],
    name: Annotated[str | None, typer.Option(help="what to call the model")] = None,
    json_: Json = False,
) -> None:
    """Makes the whole model of a delta and the model it was fine-tuned from; several share one frozen backbone."""
    from ag_heads.deltas import apply_deltas

    spec = apply_deltas(delta, base, out, name)
    if json_:
        print(json.dumps({"name": spec.name, "folder": str(out), "licence": spec.licence}))
    else:
        Console(stderr=True).print(f"{out}: {spec.name}, licence {spec.licence}", highlight=False, soft_wrap=True)


def average_models(
    models: Annotated[list[str], typer.Argument(help="checkpoint folders or named models that started from one")],
    out: Annotated[pathlib.Path, typer.Option("--out", "-o", help="folder for the checkpoint")],
    name: Annotated[str | None, typer.Option(help="what to call the model")] = None,
    json_: Json = False,
) -> None:
    """Makes a model of the mean of the weights of several: other seeds or stages of one training."""
    from ag_heads.averages import average

    spec = average(models, out, name)
    if json_:
        print(json.dumps({"name": spec.name, "folder": str(out), "licence": spec.licence}))
    else:
        Console(stderr=True).print(f"{out}: {spec.name}, licence {spec.licence}", highlight=False, soft_wrap=True)


def export_model(
    name: Annotated[str, typer.Argument(help="a named model or a checkpoint folder")],
    out: Annotated[pathlib.Path, typer.Option("--out", "-o", help="the Orbax folder to write")],
    json_: Json = False,
) -> None:
    """Writes a checkpoint as an Orbax folder with the names and shapes of the published model."""
    from ag_heads.official import export_tree

    console = Console(stderr=True)
    with console.status(f"writing {out}"):
        spec = export_tree(name, out)
    if json_:
        print(json.dumps({"name": spec.name, "folder": str(out)}))
    else:
        console.print(f"{out}: {spec.name} as an Orbax tree", highlight=False, soft_wrap=True)
