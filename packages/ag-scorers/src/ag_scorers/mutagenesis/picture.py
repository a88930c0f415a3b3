"""What every base of a span contributes, as letters, and what every substitution does, as a heat map below."""

import pathlib

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_data.plot.logo import MAX_WIDTH, draw_logo
from ag_data.plot.mutations import draw_mutations
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ag_scorers.mutagenesis.contributions import as_letters
from ag_scorers.mutagenesis.mutations import Kind

SUFFIXES = (".png", ".svg", ".pdf")


def check_picture(path: pathlib.Path | None, kind: str) -> None:
    """Raises InputError for a picture that cannot be drawn."""
    if path is None:
        return
    if kind != Kind.SUBSTITUTION:
        raise InputError(f"a picture shows substitutions, not {kind}s; leave --picture out")
    if path.suffix not in SUFFIXES:
        raise InputError(f"cannot write {path}: expected a name that ends in {', '.join(SUFFIXES)}")


def plot_effects(tree: xr.DataTree, scorer: str | None = None, track: int | None = None, item: int = 0) -> Figure:
    """A figure of one scorer and track, by default those whose contributions are largest for their scorer's usual.

    `tree` is that of `mutagenise` with substitutions. Raises InputError for spans above 1,000 bp and for a scorer that
    the tree does not have.
    """
    key = scorer or _liveliest(tree)
    if key not in tree.children:
        raise InputError(f"no scorer {key!r} among {', '.join(tree.children)}")
    data = tree[key].to_dataset()
    if "item" in data.dims:
        data = data.isel(item=item)
    rows = data.sizes["position"]
    if rows > MAX_WIDTH:
        raise InputError(f"{rows:,} bp are too many for letters; draw {MAX_WIDTH:,} or fewer")
    shown = data["contribution"]
    if track is None:
        track = int(np.nan_to_num(np.abs(shown.values)).max(axis=0).argmax())
    one = data.isel(track=track)
    letters = "".join(one["reference"].values)
    positions = one["position"].values
    chromosome = Interval.from_region(tree.attrs["span"]).chromosome
    interval = Interval(chromosome, int(positions[0]), int(positions[0]) + rows)
    figure = Figure(figsize=(min(max(8, 0.11 * rows), 24), 3.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.1, 1))
    draw_logo(as_letters(one), interval, above)
    draw_mutations(one["effect"].values, interval, below, reference=letters)
    bar = figure.colorbar(below.collections[0], ax=below, aspect=14, pad=0.01)
    bar.ax.tick_params(labelsize=7)

    def place(x: float, _: int) -> str:
        # Behind an indel of the background rows are not where the axis is.
        row = min(max(round(x) - 1 - interval.start, 0), rows - 1)
        return f"{positions[row] + 1:,}"

    below.xaxis.set_major_formatter(FuncFormatter(place))
    above.set_xlabel("")
    above.tick_params(axis="x", labelbottom=False)
    name, cell = (str(one[key].values) if key in one.coords else "" for key in ("name", "biosample_name"))
    about = name if cell in name else f"{cell}, {name}"
    on = f", on {tree.attrs['background']}" if "background" in tree.attrs else ""
    above.set_title(f"{key}: {about}{on}", size=9, loc="left")
    return figure


def _liveliest(tree: xr.DataTree) -> str:
    """The scorer in which a few bases stand out most from the rest."""

    def height(key: str) -> float:
        sizes = np.nan_to_num(np.abs(tree[key].to_dataset()["contribution"].values))
        usual = float(np.sqrt((sizes**2).mean()))
        return float(sizes.max()) / usual if usual else 0.0

    signed = [key for key, child in tree.children.items() if child.attrs["signed"]]
    return max(signed or list(tree.children), key=height)
