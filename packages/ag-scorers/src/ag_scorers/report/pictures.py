"""The pictures of a report: tracks of both alleles, splicing, contacts, logos around the variant."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from ag_core.genome import Interval
from ag_data.annotation import Annotation
from ag_data.plot import choose_panels, plot_variant
from ag_data.plot.allele_logos import draw_allele_logos
from ag_data.plot.arcs import draw_arcs
from ag_data.plot.contact_map import draw_contact_map
from ag_data.plot.mutations import draw_mutations
from ag_data.plot.stack import Stack
from ag_data.plot.tracks import ALT_COLOR
from ag_data.plot.transcripts import ROW_HEIGHT, draw_genes, gene_models, place
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ag_scorers.report.examination import Examination
from ag_scorers.report.words import WHAT

# Of tracks: how many of each modality, and bp on either side of the variant.
PANELS: Mapping[str, int] = {
    "atac": 1, "dnase": 1, "chip_tf": 2, "chip_histone": 1, "cage": 1, "procap": 1, "rna_seq": 2,
}  # fmt: skip
NEAR = 750
# Sites with less than this in both alleles are not drawn.
_SITE = 0.02
_CLASSES = ("donor", "acceptor")


def draw_pictures(found: Examination, annotation: Annotation | None) -> dict[str, Figure]:
    """Figures by name, as far as there is something to draw: tracks, splicing, contacts, logos."""
    pictures: dict[str, Figure] = {}
    if found.ref is None or found.alt is None:
        return pictures
    for name, draw in (("tracks", _tracks), ("splicing", _splicing), ("contacts", _contacts)):
        figure = draw(found, annotation)
        if figure is not None:
            pictures[name] = figure
    if found.logos is not None:
        pictures["logos"] = _logos(found)
    return pictures


def _pair(found: Examination, name: str) -> tuple[xr.Dataset, xr.Dataset] | None:
    assert found.ref is not None
    assert found.alt is not None
    if name not in found.ref.children:
        return None
    return found.ref[name].to_dataset(), found.alt[name].to_dataset()


def _tracks(found: Examination, annotation: Annotation | None) -> Figure | None:
    panels = []
    for name, most in PANELS.items():
        pair = _pair(found, name)
        if pair is None:
            continue
        ref, alt = pair
        known = [str(key) for key in ref.coords if ref[key].dims == ("track",)]
        table = xr.Dataset({key: ref[key].variable for key in known if key != "track"})
        title = WHAT.get(name, name)
        for panel in choose_panels(
            ref["prediction"].values, alt["prediction"].values, table, int(ref.attrs["resolution"]), limit=most
        ):
            panels.append(type(panel)(f"{title}: {_named(table, panel.title)}", panel.resolution, panel.ref, panel.alt))
    if not panels:
        return None
    middle = found.variant.start
    view = Interval(
        found.interval.chromosome, max(middle - NEAR, found.interval.start), min(middle + NEAR, found.interval.end)
    )
    return plot_variant(found.interval, found.variant, panels, annotation, view=view)


def _named(table: xr.Dataset, title: str) -> str:
    """A panel's title with factor and biosample, where the track's name does not tell them."""
    name = title.removesuffix(" (+)").removesuffix(" (-)")
    rows = np.flatnonzero(table["name"].values == name)
    if not len(rows):
        return title
    parts = [
        str(table[key].values[rows[0]])
        for key in ("transcription_factor", "histone_mark", "biosample_name")
        if key in table and str(table[key].values[rows[0]]) not in ("", "nan", "None")
    ]
    new = [part for part in dict.fromkeys(parts) if part not in title]
    return f"{' '.join(new)}, {title}" if new else title


def _splicing(found: Examination, annotation: Annotation | None) -> Figure | None:
    """Sites of both alleles as stems, REF above and ALT below; junctions as arcs where the model has them."""
    sites = _pair(found, "splice_sites")
    if sites is None:
        return None
    view = found.interval
    probabilities = [_sites(dataset) for dataset in sites]
    junctions = _pair(found, "splice_junctions")
    models = gene_models(annotation, view) if annotation else []
    placed = place(models, view, 7.3 * 72)
    rows = max((row + 1 for row in placed if row is not None), default=0)
    sizes = [1.0, 1.0, *([0.8, 0.8] if junctions else []), *([rows * ROW_HEIGHT + 0.1] if rows else [])]
    stack = Stack(view, sizes, 10.0)
    reach = max(0.1, *(float(np.nanmax(values, initial=0)) for values in probabilities))
    for label, values, color in zip(("REF", "ALT"), probabilities, ("0.45", ALT_COLOR), strict=True):
        axes = stack.add(f"sites {label}")
        _stems(axes, view, values, color, reach)
        stack.tidy(axes)
        about = ("donors up, acceptors down", "+ filled, - hollow")
        stack.name(axes, [(f"{label}: splice sites", "0.15"), *((line, "0.4") for line in about)])
    for label, dataset in zip(("REF", "ALT"), junctions or (), strict=False):
        axes = stack.add(f"junctions {label}")
        counts = dataset["count"].max("track").values
        starts, ends, strands = (dataset[name].values for name in ("start", "end", "junction_strand"))
        draw_arcs(axes, starts, ends, strands, counts, view)
        stack.tidy(axes)
        stack.name(axes, [(label, "0.15"), ("splice junctions", "0.35")])
    if rows:
        axes = stack.add("genes")
        draw_genes(axes, models, view, placed)
        stack.tidy(axes)
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    for axes in stack.figure.axes:
        axes.axvline(found.variant.start + 1, color="#d55e00", linewidth=0.8, linestyle=":", zorder=0)
    change = np.nanmax(np.abs(probabilities[1] - probabilities[0]), initial=0)
    return stack.finish(f"Splice sites: the largest change of a probability is {change:.3f}")


def _sites(dataset: xr.Dataset) -> Float[np.ndarray, "position class"]:
    """Probabilities of donor+, acceptor+, donor-, acceptor-."""
    names, strands = (dataset[key].values.astype(object).tolist() for key in ("name", "strand"))
    values = dataset["prediction"].values
    columns = np.zeros((len(values), 4), np.float32)
    for track, (name, strand) in enumerate(zip(names, strands, strict=True)):
        for number, kind in enumerate(_CLASSES):
            if name.lower().startswith(kind) and strand in "+-":
                columns[:, number + 2 * (strand == "-")] = values[:, track]
    return columns


def _stems(axes: Axes, view: Interval, values: Float[np.ndarray, "position class"], color: str, reach: float) -> None:
    for number, (direction, strand) in enumerate(((1, "+"), (-1, "+"), (1, "-"), (-1, "-"))):
        rows = np.flatnonzero(values[:, number] >= _SITE)
        x, y = view.start + rows + 1, direction * values[rows, number]
        axes.vlines(x, 0, y, color=color, linewidth=1)
        axes.plot(x, y, "o", color=color, markersize=3.2, fillstyle="full" if strand == "+" else "none")
    axes.axhline(0, color="0.6", linewidth=0.5)
    label = f"{reach:.2g}"
    axes.set(ylim=(-1.1 * reach, 1.1 * reach), yticks=[-reach, 0, reach], yticklabels=[label, "0", label])


def _contacts(found: Examination, annotation: Annotation | None) -> Figure | None:
    """The map of REF and what ALT changes, of the first track."""
    pair = _pair(found, "contact_maps")
    if pair is None:
        return None
    ref, alt = (dataset["prediction"].values[..., 0] for dataset in pair)
    resolution, view = int(pair[0].attrs["resolution"]), found.interval
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, values, title in ((left, ref, "REF"), (right, alt - ref, "ALT - REF")):
        pixels = draw_contact_map(axes, values, view, resolution)
        if title != "REF":
            largest = float(np.nanmax(np.abs(values), initial=0)) or 1e-6
            pixels.set_norm(TwoSlopeNorm(0, -largest, largest))
        bar = figure.colorbar(pixels, ax=axes, shrink=0.7, aspect=25, pad=0.02)
        bar.ax.tick_params(labelsize=7)
        bar.formatter = FuncFormatter(lambda value, _: f"{value:.2g}")
        axes.set_title(f"Contacts, {title}", size=9, loc="left")
        axes.axvline(found.variant.start + 1, color="#d55e00", linewidth=0.8, linestyle=":")
        axes.ticklabel_format(style="plain", useOffset=False)
        axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
        axes.yaxis.set_major_formatter(lambda y, _: f"{y / 1000:,.0f} kb")
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    left.set_ylabel("distance", size=8)
    figure.supxlabel(f"{view.chromosome}, position in bp", size=8)
    return figure


def _logos(found: Examination) -> Figure:
    logos = found.logos
    assert logos is not None
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    above, below, map_axes = figure.subplots(3, 1, height_ratios=(1, 1, 0.9))
    draw_allele_logos(logos.ref, logos.alt, logos.interval, found.variant, (above, below), spread=True)
    above.set_title(f"What each base contributes to {logos.title}", size=9, loc="left")
    width = len(logos.effect)
    span = Interval(logos.interval.chromosome, logos.interval.start, logos.interval.start + width)
    draw_mutations(logos.effect, span, map_axes, reference=logos.bases)
    map_axes.set_title("What every substitution of REF does", size=9, loc="left")
    bar = figure.colorbar(map_axes.collections[0], ax=map_axes, aspect=12, pad=0.01)
    bar.ax.tick_params(labelsize=7)
    return figure
