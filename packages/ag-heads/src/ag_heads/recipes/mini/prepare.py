"""Makes the stores that `mini.yaml` trains on: `python -m ag_heads.recipes.mini.prepare DATA STORES`."""

import os
import pathlib
from typing import Annotated

import typer
from ag_data import import_tracks, read_manifest
from ag_data.sources.borzoi import write_windows_fasta
from rich.console import Console

HERE = pathlib.Path(__file__).parent


def main(
    data: Annotated[pathlib.Path, typer.Argument(help="folder with hg19_seq/, hg19_tracks/ and borzoi_tiny/")],
    stores: Annotated[pathlib.Path, typer.Argument(help="folder for the stores; about 1 GB")],
) -> None:
    """Imports all tracks; what is there already is left alone."""
    console = Console(stderr=True)
    stores.mkdir(parents=True, exist_ok=True)
    os.environ["AG_DATA"] = str(data.absolute())
    for organism, build in (("human", "hg38"), ("mouse", "mm10")):
        genome = stores / f"borzoi_{organism}.fa.gz"
        if not genome.exists():
            folder = data / "borzoi_tiny"
            shards = [folder / f"{build}_{split}.npz" for split in ("train", "valid")]
            write_windows_fasta(shards, folder / build / "sequences.bed", genome)
    for name in ("borzoi_human", "borzoi_mouse", "hg19"):
        manifest = read_manifest(HERE / f"{name}.yaml")
        manifest = manifest.model_copy(update={"folder": stores})
        done = import_tracks(manifest, stores / f"{name}.zarr")
        console.print(f"{done.path}: {dict(done.added) or 'complete'}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
