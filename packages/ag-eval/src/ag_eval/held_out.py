"""Held-out windows: from a region, a BED file with labels, or peaks, to intervals of one length."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_data import Genome, Tiled, hold_out, read_peaks, read_regions
from ag_data.regions import Regions, regions_table, resize_windows

from ag_eval.tracks.settings import TrackSettings


def find_regions(
    own: TrackSettings, data: Mapping[str, Any], genome: Genome, split: str | None = None
) -> pd.DataFrame | None:
    """The regions that `data` names: `windows`, a BED file, or `region`, one or several; None where it names none.

    Of labelled windows those count that have the label `split`, or else those of the evaluation's own split. Raises
    InputError when no row has such a label, or a region is not on the genome.
    """
    if (path := data.get("windows")) is not None:
        table = read_regions(path, "list of windows")
        wanted = [split] if split else own.split.labels
        known = sorted(set(table["Label"]) - {""})
        if not known and not split:
            return table
        table = table.loc[table["Label"].isin(wanted)].reset_index(drop=True)
        if not len(table):
            raise InputError(
                f"{path} has windows labelled {', '.join(known[:8]) or 'with nothing'}, none labelled "
                f"{', '.join(wanted) or 'by default'}; say which are held out: --split LABEL"
            )
        return table
    if region := data.get("region"):
        places = [region] if isinstance(region, str | Interval) else list(region)
        return hold_out(genome.lengths, test=places)["test"]
    return None


def find_windows(
    own: TrackSettings, data: Mapping[str, Any], genome: Genome, length: int, grid: int, split: str | None = None
) -> tuple[list[Interval], Regions | None]:
    """Windows of `length` bp, and the regions outside of which nothing counts (None: all counts).

    Over regions they lie end to end from a multiple of `grid` on; a region that is no longer than a window gets one
    around its middle. Around peaks, those whose middle lies inside the regions. Windows that are mostly unknown bases
    are left out. Raises InputError when nothing says what is held out, or no window is left.
    """
    table = find_regions(own, data, genome, split)
    if own.windows == "peaks":
        windows = _around_peaks(own, data, table, length)
    elif table is None:
        raise InputError(f"{own.name}: what is held out? give --region or --windows; {own.split.text}")
    else:
        windows = _over_regions(table, length, grid)
    windows = Tiled(windows, length, genome=genome).windows if len(windows) else windows
    if not len(windows):
        raise InputError(f"{own.name}: no window of {length:,} bp in what is held out; give other regions or peaks")
    places = windows[["Chromosome", "Start", "End"]].itertuples(index=False)
    inside = Regions(table) if own.windows == "regions" and table is not None else None
    return [Interval(str(name), int(start), int(end)) for name, start, end in places], inside


def _over_regions(table: pd.DataFrame, length: int, grid: int) -> pd.DataFrame:
    rows = []
    for name, start, end in Regions(table).table()[["Chromosome", "Start", "End"]].itertuples(index=False):
        if end - start <= length:
            low = max(round(((start + end) / 2 - length / 2) / grid) * grid, 0)
            rows.append((str(name), low, low + length, ""))
            continue
        first = -(-start // grid) * grid
        rows += [(str(name), low, low + length, "") for low in range(first, end - length + 1, length)]
    return regions_table(rows)


def _around_peaks(own: TrackSettings, data: Mapping[str, Any], table: pd.DataFrame | None, length: int) -> pd.DataFrame:
    peaks = read_peaks(data["peaks"])
    middle = peaks["Start"].to_numpy() + peaks["Summit"].to_numpy()
    middles = resize_windows(peaks.assign(Start=middle, End=middle + 1), own.middle or 1)
    if table is not None:
        middles = middles.loc[Regions(table).contain(middles)]
    windows = resize_windows(middles, length)
    windows = windows.loc[windows["Start"].to_numpy() >= 0].drop_duplicates(["Chromosome", "Start"])
    return windows.reset_index(drop=True)


def mask_outside(inside: Regions | None, interval: Interval, resolution: int) -> np.ndarray | None:
    """Which bins of an interval hold a base that is outside the regions; None if none does."""
    if inside is None:
        return None
    outside = ~inside.mask(interval)
    return np.asarray(np.any(outside.reshape(-1, resolution), axis=1)) if outside.any() else None
