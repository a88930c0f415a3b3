"""Makes the stores and trains: `hatch run train-mini --data DIR --stores DIR --out DIR`."""

import os
import pathlib
from typing import Annotated

import typer

from ag_heads.recipes.mini.prepare import main as prepare
from ag_heads.training_commands import train


def main(
    data: Annotated[pathlib.Path, typer.Option(help="folder with hg19_seq/, hg19_tracks/ and borzoi_tiny/")],
    stores: Annotated[pathlib.Path, typer.Option(help="folder for the stores; about 1 GB")],
    out: Annotated[pathlib.Path, typer.Option(help="folder for checkpoints, records and the model")],
    change: Annotated[list[str] | None, typer.Option("--set", help="replaces a setting")] = None,
) -> None:
    """Trains the embedded model; the same command goes on where it stopped."""
    prepare(data, stores)
    os.environ["AG_DATA"], os.environ["AG_STORES"] = str(data.absolute()), str(stores.absolute())
    train(pathlib.Path(__file__).with_name("mini.yaml"), out, change)


typer.run(main)
