"""What pictures are made of, from whatever holds it: arrays of this suite, or the data classes of other clients.

`as_signal` takes an xarray array with `start` and `end` along `position` (`read_window`), a child of a tree of
predictions (`ag_data.export.tree`: attributes `interval` and `resolution`), or any object with the attributes
`values`, `metadata` (a table with `name` and `strand`), `resolution` and `interval`, such as the official client's
`TrackData`. `as_junctions` takes `count (junction, track)` with `start`, `end` and `strand`, or any object with
`junctions`, `values` and `metadata`, such as `JunctionData`.
"""

from typing import Any

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from jaxtyping import Shaped

from ag_data.plot.windows import MOST_STEPS, bins_dataset, pool_bins

_DIMS = {2: ("position", "track"), 3: ("position", "position_2", "track")}
_COORDINATES = ("start", "end")


def as_interval(interval: Any) -> Interval:
    """An interval of ours from any object with chromosome, start and end (0-based half-open); the strand is dropped.

    Raises InputError for one without a base.
    """
    found = Interval(str(interval.chromosome), int(interval.start), int(interval.end))
    if not found.width:
        raise InputError(f"interval {found} is empty; give one of at least one base")
    return found


def as_variant(variant: Any) -> Variant:
    """A variant of ours from any object with chromosome, position (1-based), reference_bases and alternate_bases."""
    alleles = str(variant.reference_bases), str(variant.alternate_bases)
    return Variant(str(variant.chromosome), int(variant.position), *alleles)


def as_signal(data: Any) -> xr.DataArray:
    """Signal (position, track), or a map (position, position_2 or offset, track), with `start` and `end`.

    Columns of the track table lie along `track`; `name` and `strand` are always there. The attributes have
    `chromosome` where it is known. Raises InputError for what holds no such array, or does not say where it lies.
    """
    if isinstance(data, xr.DataTree):
        data = data.to_dataset()
    if isinstance(data, xr.Dataset):
        array = _variable(data, "prediction", "signal").assign_attrs(data.attrs)
    elif isinstance(data, xr.DataArray):
        array = data
    elif all(hasattr(data, name) for name in ("values", "metadata", "resolution")):
        if getattr(data, "interval", None) is None:
            raise InputError("these tracks do not say which interval they cover; set their attribute `interval`")
        array = _from_table(data.values, _DIMS[np.ndim(data.values)], data.metadata)
        interval = as_interval(data.interval)
        array = array.assign_attrs(interval=str(interval), resolution=int(data.resolution))
    else:
        raise InputError(
            f"cannot draw a {type(data).__name__}; give an xarray of signal or predictions, or an object with values, "
            "metadata, interval and resolution"
        )
    if "position" not in array.dims:
        raise InputError(f"signal has dimensions {array.dims}; expected position and track")
    if "track" not in array.dims:
        array = array.expand_dims(track=1, axis=-1)
    array = array.transpose("position", ..., "track")
    if not all(name in array.coords for name in _COORDINATES):
        array = _placed(array)
    size = array.sizes["track"]
    defaults = {"name": [f"track {number}" for number in range(1, size + 1)], "strand": ["."] * size}
    own = {key: np.broadcast_to(array[key].values if key in array.coords else defaults[key], size) for key in defaults}
    return array.assign_coords({key: ("track", column) for key, column in own.items()})


def as_junctions(data: Any) -> xr.Dataset:
    """`count (junction, track)` with `start`, `end` (introns, 0-based half-open) and `strand` along `junction`.

    Raises InputError for what holds no junctions.
    """
    if isinstance(data, xr.DataTree):
        data = data.to_dataset()
    if isinstance(data, xr.Dataset):
        dataset = _variable(data, "count").to_dataset(name="count").assign_attrs(data.attrs)
        if "junction_strand" in dataset.coords:
            dataset = dataset.assign_coords(strand=("junction", dataset["junction_strand"].values))
        if "track" not in dataset.dims:
            dataset = dataset.expand_dims(track=1)
        dataset = dataset.transpose("junction", "track")
        if "name" not in dataset.coords:
            names = [f"track {number}" for number in range(1, dataset.sizes["track"] + 1)]
            dataset = dataset.assign_coords(name=("track", np.array(names, object)))
        return dataset
    if not all(hasattr(data, name) for name in ("junctions", "values", "metadata")):
        raise InputError(
            f"cannot draw junctions of a {type(data).__name__}; give an xarray Dataset with count (junction, track), "
            "or an object with junctions, values and metadata"
        )
    introns = list(data.junctions)
    columns = {
        "start": np.array([one.start for one in introns], np.int64),
        "end": np.array([one.end for one in introns], np.int64),
        "strand": np.array([str(one.strand) for one in introns], object),
    }
    array = _from_table(data.values, ("junction", "track"), data.metadata).drop_vars("strand", errors="ignore")
    chromosomes = {str(one.chromosome) for one in introns}
    attrs = {"chromosome": chromosomes.pop()} if len(chromosomes) == 1 else {}
    dataset = array.to_dataset(name="count").assign_attrs(attrs)
    return dataset.assign_coords({name: ("junction", column) for name, column in columns.items()})


def crop(signal: xr.DataArray, view: Interval) -> xr.DataArray:
    """The bins of `as_signal` that `view` touches. Raises InputError where there are none."""
    starts, ends = signal["start"].values, signal["end"].values
    chromosome = str(signal.attrs.get("chromosome", view.chromosome))
    inside = np.flatnonzero((starts < view.end) & (ends > view.start) & (chromosome == view.chromosome))
    if not len(inside):
        has = f"{chromosome}:{starts[0] + 1:,}-{ends[-1]:,}" if len(starts) else "nothing"
        raise InputError(f"nothing to draw in {view.region}: the data cover {has}; choose an interval within")
    cut = slice(int(inside[0]), int(inside[-1]) + 1)
    return signal.isel({dim: cut for dim in ("position", "position_2") if dim in signal.dims})


def pool(signal: xr.DataArray, steps: int = MOST_STEPS) -> xr.DataArray:
    """Signal (position, track) of at most `steps` bins, pooled to the value of largest magnitude."""
    group = -(-signal.sizes["position"] // steps)
    if group == 1:
        return signal
    starts, ends = signal["start"].values, signal["end"].values
    lasts = np.minimum(np.arange(group, len(starts) + group, group), len(starts)) - 1
    pooled = bins_dataset(pool_bins(signal.values, group), starts[::group], ends[lasts])["signal"]
    columns = {name: column for name, column in signal.coords.items() if column.dims == ("track",)}
    return pooled.assign_coords(columns).assign_attrs(signal.attrs)


def _variable(data: xr.Dataset, *names: str) -> xr.DataArray:
    for name in names:
        if name in data.data_vars:
            return data[name]
    raise InputError(
        f"found {', '.join(map(str, data.data_vars)) or 'nothing'} in the data; expected {' or '.join(names)}"
    )


def _from_table(values: Shaped[np.ndarray, "..."], dims: tuple[str, ...], metadata: Any) -> xr.DataArray:
    """`metadata` is a pandas DataFrame with a row for each track."""
    columns = {str(name): ("track", metadata[name].to_numpy(object)) for name in metadata.columns}
    return xr.DataArray(np.asarray(values), dims=dims, coords=columns)


def _placed(array: xr.DataArray) -> xr.DataArray:
    """With `start` and `end` from the attributes `interval` and `resolution`."""
    if not {"interval", "resolution"} <= set(array.attrs):
        raise InputError(
            "signal does not say where it lies; give it coordinates start and end along position, or the attributes "
            "interval and resolution"
        )
    interval, resolution = Interval.from_str(array.attrs["interval"]), int(array.attrs["resolution"])
    bins = array.sizes["position"]
    if bins * resolution != interval.width:
        raise InputError(
            f"{bins} bins of {resolution} bp do not cover {interval}, of {interval.width} bp; give whole arrays"
        )
    edges = interval.start + resolution * np.arange(bins + 1)
    places = {"start": ("position", edges[:-1]), "end": ("position", edges[1:])}
    return array.assign_coords(places).assign_attrs(chromosome=interval.chromosome)
