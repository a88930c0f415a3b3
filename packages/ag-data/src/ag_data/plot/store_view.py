"""Any region of a store in one figure: contact maps, signal, junctions over coverage, splice sites, genes."""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import matplotlib.axes
import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.schema import strand_partners
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

from ag_data.annotation import Annotation
from ag_data.cache import replacing
from ag_data.contigs import match_contig
from ag_data.export.store_tracks import choose_rows
from ag_data.plot.axes import COLORS, unit_lines
from ag_data.plot.contact_map import draw_contacts
from ag_data.plot.sashimi import draw_sashimi
from ag_data.plot.signal import draw_track
from ag_data.plot.sites import draw_sites
from ag_data.plot.stack import LEFT, LINE, RIGHT, Stack
from ag_data.plot.transcripts import draw_genes, gene_models, panel_height, place
from ag_data.plot.windows import read_window
from ag_data.store import TrackStore

_ORDER = ("contacts", "signal", "junctions", "usage", "classes")
# Inches.
_HEIGHTS = {"contacts": 1.6, "signal": 0.5, "junctions": 1.0, "usage": 0.55, "classes": 0.5, "sashimi": 1.5}


@dataclasses.dataclass(frozen=True)
class _Panel:
    """One panel: tracks of a modality that belong together; for junctions, the coverage they lie on."""

    modality: str
    kind: str
    label: str
    rows: tuple[int, ...]
    coverage: "_Panel | None" = None


def plot_store(
    store: TrackStore,
    interval: Interval,
    *,
    modalities: Sequence[str] | None = None,
    tracks: str | None = None,
    annotation: Annotation | None = None,
    most: int = 6,
    pool: str = "largest",
    share_y: bool = False,
    every_transcript: bool = False,
    width: float = 11.0,
    title: str | None = None,
) -> Figure:
    """A figure of what a store has in `interval`, each kind of data in its own way.

    - `modalities`: in this order, by default all that the chromosome has; `tracks`: a query (`ag_data.query`).
    - Of each modality the first `most` panels are shown, and what is left out is counted. The k-th tracks on '+' and
      '-' share a panel.
    - Junctions lie over the coverage (a modality of that unit) of the same name or biosample, if it is chosen, too.
    - `pool`: how more than 1,500 bins are shown: by the value of "largest" magnitude or the "mean".
    - `share_y`: one scale for all panels of a modality.
    - `width` in inches; the height follows. `title`: by default the organism and the assembly.

    x is the 1-based position. Save with `save`. Raises InputError for an empty interval or one beyond the chromosome,
    for an unknown modality or chromosome, and when no track fits.
    """
    view = interval.as_unstranded()
    _check_view(store, view)
    if modalities is None:
        here = [name for name in store.modalities if store.has(name, view.chromosome)]
        modalities = sorted(here, key=lambda name: _ORDER.index(store.layout(name)))
    panels, left_out = _choose(store, modalities, tracks or "", most)
    shown = [panel for one in panels for panel in (one, one.coverage) if panel is not None]
    windows = _read(store, shown, view, pool)
    models = gene_models(annotation, view, every_transcript=every_transcript) if annotation else []
    rows = place(models, view, (width - LEFT - RIGHT) * 72)
    texts = _texts(panels, windows)
    heights = [_HEIGHTS["sashimi" if panel.coverage else panel.kind] for panel in panels]
    sizes = [max(height, LINE * (1 + len(lines))) for height, lines in zip(heights, texts, strict=True)]
    stack = Stack(view, [*sizes, *([panel_height(rows)] if models else [])], width)
    names = dict.fromkeys(panel.modality for panel in panels)
    colors = {name: COLORS[number % len(COLORS)] for number, name in enumerate(names)}
    limits = {name: _limit([windows[p] for p in panels if p.modality == name]) if share_y else None for name in names}
    before = ""
    for number, panel in enumerate(panels):
        axes = stack.add(f"{panel.modality} {panel.label}")
        color, limit = colors[panel.modality], limits[panel.modality]
        _draw(stack, axes, panel, windows, color, limit)
        heading = panel.modality.replace("_", " ") if panel.modality != before else ""
        lines = [(heading, color), (texts[number][0], "0.3"), *((text, "0.5") for text in texts[number][1:])]
        if number + 1 == len(panels) or panels[number + 1].modality != panel.modality:
            more = left_out.get(panel.modality, 0)
            lines.append((f"and {more:,} more: choose tracks" if more else "", "0.5"))
        stack.name(axes, lines)
        before = panel.modality
    if models:
        axes = stack.add("genes")
        draw_genes(axes, models, view, rows)
        stack.tidy(axes)
        axes.spines["left"].set_visible(False)
        stack.name(axes, [("genes", "0.15")])
    return stack.finish(f"{store.organism} {store.build}".strip() if title is None else title)


def save(figure: Figure, path: pathlib.Path | str, dpi: int = 150) -> pathlib.Path:
    """Writes a figure, whole or not at all. Raises InputError for a suffix that matplotlib does not know."""
    path = pathlib.Path(path)
    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.lower().removeprefix(".") not in known:
        raise InputError(f"{path}: cannot tell the format; use one of {', '.join('.' + name for name in known)}")
    with replacing(path) as (scratch,):
        figure.savefig(scratch, dpi=dpi)
    return path


def _check_view(store: TrackStore, view: Interval) -> None:
    name = match_contig(view.chromosome, store.chromosomes)
    if name is None:
        known = ", ".join(list(store.chromosomes)[:5])
        raise InputError(f"{store.path} knows no chromosome {view.chromosome!r}; it has {known}, ...")
    length = store.chromosomes[name]
    if not view.width or view.start >= length or view.end <= 0:
        raise InputError(f"nothing to draw in {view.region}: {name} has {length:,} bp; choose a region on it")
    if not any(store.has(modality, name) for modality in store.modalities):
        raise InputError(f"{store.path} has no tracks on {name}; see `agenome tracks info`")


def _choose(store: TrackStore, modalities: Sequence[str], query: str, most: int) -> tuple[list[_Panel], dict[str, int]]:
    """Panels from top to bottom, and how many each modality has besides."""
    panels, left_out = [], {}
    for name, rows in choose_rows(store, dict.fromkeys(modalities), query).items():
        found = list(_panels(name, store.layout(name), store.tracks(name), rows))
        if len(found) > most:
            left_out[name] = len(found) - most
        panels += found[:most]
    return _join_sashimi(store, panels), left_out


def _panels(modality: str, layout: str, table: xr.Dataset, rows: np.ndarray) -> Iterator[_Panel]:
    names = [str(name) for name in table["name"].values]
    if layout == "classes":
        if len(rows):
            yield _Panel(modality, layout, "", tuple(rows.tolist()))
        return
    partners = strand_partners(table)
    done: set[int] = set()
    for row in rows.tolist():
        pair = sorted({row, int(partners[row])} & set(rows.tolist()), key=lambda i: str(table["strand"].values[i]))
        if row not in done and layout in ("signal", "usage"):
            yield _Panel(modality, layout, " / ".join(dict.fromkeys(names[i] for i in pair)), tuple(pair))
            done.update(pair)
        elif row not in done:
            yield _Panel(modality, layout, names[row], (row,))


def _join_sashimi(store: TrackStore, panels: list[_Panel]) -> list[_Panel]:
    """Junctions take the coverage of their sample with them."""
    coverage = [panel for panel in panels if panel.kind == "signal" and _unit(store, panel) == "coverage"]
    used: set[_Panel] = set()
    joined = []
    for panel in panels:
        if panel.kind == "junctions":
            match = _sample(store, panel, coverage)
            if match is not None:
                used.add(match)
                panel = dataclasses.replace(panel, coverage=match)
        joined.append(panel)
    return [panel for panel in joined if panel not in used]


def _sample(store: TrackStore, panel: _Panel, others: list[_Panel]) -> _Panel | None:
    """The one of the same name, or else of the same biosample."""
    for column in ("name", "biosample_name"):
        own = _column(store, panel, column)
        for other in others:
            if own and _column(store, other, column) == own:
                return other
    return None


def _unit(store: TrackStore, panel: _Panel) -> str:
    return str(store.attributes(panel.modality)["unit"])


def _column(store: TrackStore, panel: _Panel, column: str) -> str:
    table = store.tracks(panel.modality)
    return str(table[column].values[panel.rows[0]]) if column in table else ""


def _read(store: TrackStore, panels: list[_Panel], view: Interval, pool: str) -> dict[_Panel, xr.Dataset]:
    """What each panel shows; a modality is read once, since its tracks lie together."""
    windows = {}
    for modality in dict.fromkeys(panel.modality for panel in panels):
        own = [panel for panel in panels if panel.modality == modality]
        rows = np.array(sorted({row for panel in own for row in panel.rows}))
        window = read_window(store, modality, view, rows, pool=pool)
        windows |= {panel: window.isel(track=np.searchsorted(rows, panel.rows)) for panel in own}
    return windows


def _texts(panels: list[_Panel], windows: Mapping[_Panel, xr.Dataset]) -> list[list[str]]:
    """What stands beside each panel, below the modality: its label, and the units where they change."""
    texts, before = [], ("", [""])
    for panel in panels:
        units = unit_lines(windows[panel].attrs)
        if panel.coverage is not None:
            first, *rest = unit_lines(windows[panel.coverage].attrs)
            units += [f"over {first}", *rest]
        texts.append([panel.label, *(units if (panel.modality, units) != before else [])])
        before = (panel.modality, units)
    return texts


def _limit(windows: list[xr.Dataset]) -> float | None:
    """The largest magnitude of any signal."""
    values = [window["signal"].values for window in windows if "signal" in window]
    return max((float(np.max(np.abs(v), initial=0, where=np.isfinite(v))) for v in values), default=None) or None


def _draw(
    stack: Stack,
    axes: matplotlib.axes.Axes,
    panel: _Panel,
    windows: Mapping[_Panel, xr.Dataset],
    color: str,
    limit: float | None,
) -> None:
    view, window = stack.view, windows[panel]
    if panel.kind == "junctions":
        coverage = None if panel.coverage is None else windows[panel.coverage]["signal"]
        draw_sashimi(window.isel(track=0), view, axes, coverage=coverage)
    elif panel.kind == "contacts":
        draw_contacts(window["signal"].isel(track=0), view, axes, limit=limit)
        stack.color_bar(axes, axes.collections[0])
    elif panel.kind == "signal":
        draw_track(window["signal"], view, axes, color=color, limit=limit)
    else:
        draw_sites(window["signal"], view, axes, limit=limit or (1.0 if panel.kind == "usage" else None))
    axes.set_ylabel("")
    stack.tidy(axes)
