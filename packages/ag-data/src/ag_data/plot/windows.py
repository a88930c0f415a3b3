"""A stretch of a store as xarray, no larger than a picture can show: what the `draw_` functions take.

Bins lie along `position`, with coordinates `start` and `end` (0-based half-open); attributes are `chromosome`,
`modality`, `layout`, `unit`, `resolution` (bp of the store's bins), and where bins were pooled `pooled` (how many) and
`pool` (how); they are on the array, too.
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from jaxtyping import Float, Int, Shaped

from ag_data.store import TrackStore

POOLS = ("largest", "mean")
MOST_STEPS, MOST_PIXELS = 1500, 320  # no screen shows more
_BYTES = 1 << 26  # values read at a time

Rows = Int[np.ndarray, " track"]


def read_window(
    store: TrackStore,
    modality: str,
    view: Interval,
    tracks: Rows | None = None,
    *,
    steps: int = MOST_STEPS,
    pool: str = "largest",
) -> xr.Dataset:
    """Values over `view` by layout; the columns of the track table lie along `track`.

    - "signal": `signal(position, track)`; more than `steps` bins are pooled to the value of largest magnitude, or to
      the mean, of those that were measured.
    - "usage" and "classes": `signal(position, track)` at the bases that are not 0; neighbouring bases where the same
      tracks were not measured are one bin.
    - "contacts": `signal(position, offset, track)` of pairs in view; more than 320 bins are pooled to means.
    - "junctions": `count(junction, track)` with `start`, `end`, `strand`, of those wholly in view.

    Raises InputError for an unknown modality or chromosome, an empty view, another `pool`.
    """
    if pool not in POOLS:
        raise InputError(f"pool {pool!r}: expected one of {', '.join(POOLS)}")
    if not view.width:
        raise InputError(f"view {view} is empty; give a region of at least one base")
    view = view.as_unstranded()
    rows = np.arange(store.attributes(modality)["tracks"]) if tracks is None else np.asarray(tracks)
    layout = store.layout(modality)
    if layout == "junctions":
        dataset = store.read(modality, view, rows)
    elif layout == "contacts":
        dataset = _read_contacts(store, modality, view, rows)
    elif layout == "signal":
        dataset = _read_signal(store, modality, view, rows, steps, pool)
    else:
        dataset = _read_sites(store, modality, view, rows)
    table = store.tracks(modality).isel(track=rows)
    columns = {key: column for key, column in table.variables.items() if key not in dataset.coords}
    about = store.attributes(modality)
    attrs = {"chromosome": view.chromosome, "modality": modality, "layout": layout, "unit": about["unit"]}
    attrs |= {"resolution": about["resolution"], **dataset.attrs}
    dataset = dataset.assign_coords(columns).assign_attrs(attrs)
    return dataset.assign({name: array.assign_attrs(attrs) for name, array in dataset.data_vars.items()})


def _grid(view: Interval, resolution: int) -> tuple[int, int]:
    """First and last bin that the view touches."""
    return view.start // resolution, -(-view.end // resolution)


def _blocks(
    store: TrackStore, modality: str, view: Interval, rows: Rows, multiple: int = 1
) -> Iterator[tuple[int, Shaped[np.ndarray, "position ... track"]]]:
    """(first bin, values) of the bins in view, a few at a time: as many as fit, in whole groups of `multiple`."""
    about = store.attributes(modality)
    resolution = about["resolution"]
    first, last = _grid(view, resolution)
    fit = max(1, _BYTES // (4 * about["tracks"] * about.get("offsets", 1)))
    step = max(1, fit // multiple) * multiple
    for low in range(first, last, step):
        high = min(low + step, last)
        yield low, store.read(modality, Interval(view.chromosome, low * resolution, high * resolution), rows)


def _read_signal(store: TrackStore, modality: str, view: Interval, rows: Rows, steps: int, pool: str) -> xr.Dataset:
    resolution = store.resolution(modality)
    first, last = _grid(view, resolution)
    group = -(-(last - first) // steps)
    parts = [pool_bins(values, group, pool) for _, values in _blocks(store, modality, view, rows, group)]
    edges = resolution * np.minimum(np.arange(first, last + group, group), last)
    attrs = {"pooled": group, "pool": pool} if group > 1 else {}
    return bins_dataset(np.concatenate(parts), edges[:-1], edges[1:]).assign_attrs(attrs)


def pool_bins(
    values: Shaped[np.ndarray, "position track"], group: int, pool: str = "largest"
) -> Float[np.ndarray, "step track"]:
    """The value of largest magnitude, or the mean, of each `group` neighbours; NaN only where all are."""
    values = np.asarray(values, np.float64)
    if group == 1:
        return values
    fill = np.full((-len(values) % group, values.shape[1]), np.nan)
    grouped = np.concatenate([values, fill]).reshape(-1, group, values.shape[1])
    known = ~np.isnan(grouped)
    if pool == "mean":
        count = known.sum(axis=1)
        return np.where(count, np.where(known, grouped, 0).sum(axis=1) / np.maximum(count, 1), np.nan)
    best = np.argmax(np.where(known, np.abs(grouped), -1), axis=1)
    return np.take_along_axis(grouped, best[:, None], axis=1)[:, 0]


def _read_sites(store: TrackStore, modality: str, view: Interval, rows: Rows) -> xr.Dataset:
    """Bases that are not 0, and stretches of NaN."""
    resolution = store.resolution(modality)
    empty = np.zeros(0, np.int64)
    parts: list[tuple[np.ndarray, ...]] = [(empty, empty, np.zeros((0, len(rows))))]
    for first, block in _blocks(store, modality, view, rows):
        values = np.asarray(block, np.float64)
        kept = np.flatnonzero((values != 0).any(axis=1))
        starts = resolution * (first + kept)
        parts.append(_join_unmeasured(starts, starts + resolution, values[kept]))
    starts, ends, values = _join_unmeasured(*map(np.concatenate, zip(*parts, strict=True)))
    return bins_dataset(values, starts, ends)


def _join_unmeasured(starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Neighbouring bins where the same tracks were not measured, and the others are 0, become one."""
    unknown = np.isnan(values)
    bare = np.asarray((unknown | (values == 0)).all(axis=1))
    same = np.asarray((unknown[1:] == unknown[:-1]).all(axis=1))
    goes_on = np.zeros(len(starts), bool)
    goes_on[1:] = bare[1:] & bare[:-1] & same & (starts[1:] == ends[:-1])
    begins = np.flatnonzero(~goes_on)
    lasts = np.append(begins, len(starts))[1:] - 1
    return starts[begins], ends[lasts], values[begins]


def _read_contacts(store: TrackStore, modality: str, view: Interval, rows: Rows) -> xr.Dataset:
    """Pairs of bins in view; where there are too many, means over squares of bins."""
    about = store.attributes(modality)
    resolution = about["resolution"]
    first, last = _grid(view, resolution)
    group = -(-(last - first) // MOST_PIXELS)
    bins, offsets = -(-(last - first) // group), min(about["offsets"], last - first)
    reach = (offsets + group - 2) // group + 1  # offsets of pooled bins
    sums, counts = (np.zeros((bins * reach, len(rows))) for _ in range(2))
    for low, block in _blocks(store, modality, view, rows, group):
        values = np.asarray(block[:, :offsets], np.float64)
        row = np.arange(low - first, low - first + len(values))[:, None]
        column = row + np.arange(offsets)
        place = row // group * reach + (column // group - row // group)
        for track in range(len(rows)):
            used = np.isfinite(values[..., track]) & (column < last - first)
            sums[:, track] += np.bincount(place[used], values[..., track][used], bins * reach)
            counts[:, track] += np.bincount(place[used], minlength=bins * reach)
    means = np.where(counts, sums / np.maximum(counts, 1), np.nan).reshape(bins, reach, len(rows))
    starts = resolution * (first + group * np.arange(bins))
    dataset = bins_dataset(means, starts, starts + group * resolution)
    return dataset.assign_attrs({"pooled": group, "pool": "mean"} if group > 1 else {})


def bins_dataset(
    values: Float[np.ndarray, "position ... track"],
    starts: Int[np.ndarray, " position"],
    ends: Int[np.ndarray, " position"],
) -> xr.Dataset:
    """Values of bins as `read_window` has them."""
    dims = ("position", *("offset",) * (values.ndim - 2), "track")
    coords = {"start": ("position", np.asarray(starts)), "end": ("position", np.asarray(ends))}
    return xr.Dataset({"signal": (dims, values)}, coords=coords)
