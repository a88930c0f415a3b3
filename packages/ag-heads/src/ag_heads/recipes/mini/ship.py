"""Makes the embedded model of a finished run: `python -m ag_heads.recipes.mini.ship RUN/model OUT`.

AG_DATA and AG_STORES as in training. Kernels are rounded to float16; RAMPAGE, which did not learn (the card says how
badly), becomes padding; and what the stages before this run saw is written down, which is what this one saw.
"""

import dataclasses
import pathlib
from typing import Annotated, Any

import numpy as np
import typer
import xarray as xr
from ag_core.checkpoint import load, save
from ag_core.schema import is_padding
from rich.console import Console

from ag_heads.recipes.feeds import Data
from ag_heads.recipes.settings_file import read_settings
from ag_heads.trained_on import unite

DROPPED = "RAMPAGE"


def without(table: xr.Dataset, name: str) -> xr.Dataset:
    """Tracks whose name begins so become slots of padding."""
    dropped = np.array([str(each).startswith(name) for each in table["name"].values])
    if not dropped.any():
        return table
    pattern = track_padding(table)
    columns = {
        key: ("track", np.where(dropped, pattern[str(key)], column.values).astype(column.dtype))
        for key, column in table.data_vars.items()
    }
    return table.assign(columns)


def track_padding(table: xr.Dataset) -> dict[str, Any]:
    """What the columns of a table have in a slot of padding."""
    slots = np.flatnonzero(is_padding(table))
    if len(slots):
        return {str(key): column.values[slots[0]] for key, column in table.data_vars.items()}
    empty: dict[str, Any] = {
        str(key): np.nan if column.dtype.kind == "f" else "" for key, column in table.data_vars.items()
    }
    return empty | {"name": "padding", "strand": "."}


def main(
    run: Annotated[pathlib.Path, typer.Argument(help="folder of the trained model")],
    out: Annotated[pathlib.Path, typer.Argument(help="folder for the embedded one")],
) -> None:
    """Writes the checkpoint."""
    settings = read_settings(pathlib.Path(__file__).with_name("mini.yaml"))
    seen = unite([each.trained_on for feed in Data(settings).sources.values() for each in feed.values()])
    trained = load(run)
    cage = trained.spec.heads["cage"]
    tables = tuple(without(table, DROPPED) for table in cage.tracks)
    heads = {**trained.spec.heads, "cage": dataclasses.replace(cage, tracks=tables)}
    spec = dataclasses.replace(trained.spec, name="mini", heads=heads, trained_on=seen, notes="see MODEL_CARD.md")
    digest = save(out, trained.model, spec, half=True)
    Console(stderr=True).print(f"{out}: {digest}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
