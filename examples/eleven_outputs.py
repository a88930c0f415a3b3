"""All eleven kinds of output for the HNF4A locus in one picture, from the DNA sequence alone.

    python examples/eleven_outputs.py [PICTURE] [--model NAME] [--window BP]

With a model that has all eleven heads (`--model`), the picture shows what it predicts. Without one, a small model with
all heads is made on the spot; nobody trained it, so the picture shows what the outputs are, not what the locus does.
"""

import pathlib
import tempfile
from typing import Annotated

import ag_scorers
import jax
import typer
import xarray as xr
from ag_core.checkpoint import HeadSpec, ModelSpec, build, save
from ag_core.config import PRESETS
from ag_core.schema import track_table
from ag_data import Fasta, read_gtf
from ag_data.export import summary
from ag_data.plot import plot_outputs

DATA = pathlib.Path(__file__).parent / "data"
GENOME, GENES = (DATA / f"HNF4A.{end}" for end in ("hg38.fa.gz", "hg38.gtf.gz"))
PLAIN = ("atac", "dnase", "chip_tf", "chip_histone", "contact_maps", "splice_junctions")
STRANDED = ("cage", "procap", "rna_seq", "splice_site_usage")


def untrained(folder: pathlib.Path) -> pathlib.Path:
    """Saves a model with fresh weights and all eleven heads."""
    plain = track_table({"name": ["example"], "strand": ["."], "nonzero_mean": [1.0]})
    stranded = track_table({"name": ["example"] * 2, "strand": ["+", "-"], "nonzero_mean": [1.0] * 2})
    sites = ["donor", "acceptor", "donor", "acceptor", "padding"]
    tables: dict[str, xr.Dataset] = {**dict.fromkeys(PLAIN, plain), **dict.fromkeys(STRANDED, stranded)}
    tables["splice_sites"] = track_table({"name": sites, "strand": ["+", "+", "-", "-", "."]})
    options = {"splice_junctions": {"sites": 256, "hidden": 32}}
    spec = ModelSpec(
        name="untrained",
        backbone=PRESETS["mini"],
        heads={name: HeadSpec(name, (table,), options.get(name, {})) for name, table in tables.items()},
        organisms=("human",),
        window=131_072,
        licence="Apache-2.0",
        notes="fresh weights, for pictures of the format",
    )
    save(folder, build(spec, key=jax.random.key(0)), spec)
    return folder


def main(
    picture: Annotated[pathlib.Path, typer.Argument(help="where the picture goes")] = pathlib.Path(
        "eleven_outputs.png"
    ),
    model: Annotated[str, typer.Option(help="a named model or a checkpoint folder with all eleven heads")] = "",
    window: Annotated[int | None, typer.Option(help="input length in bp, a multiple of 2,048")] = None,
) -> None:
    """Predicts the locus and draws it."""
    chromosome, length = next(iter(Fasta(GENOME).lengths.items()))
    region = f"{chromosome}:{length - 131_072 + 1}-{length}"
    with tempfile.TemporaryDirectory() as folder:
        name = model or str(untrained(pathlib.Path(folder)))
        tree = ag_scorers.predict(region=region, fasta=GENOME, model=name, window=window)
    print(summary(tree).to_string(index=False))
    what = f"predicted by {tree.attrs['model']}" if model else "an untrained model: what the outputs are, not biology"
    figure = plot_outputs(tree, read_gtf(GENES), title=f"The HNF4A locus, {what}", most=2)
    figure.savefig(picture, dpi=100)
    print(f"picture: {picture}")


if __name__ == "__main__":
    typer.run(main)
