"""What is reckoned from counts of splice junctions: PSI, usage of sites, pooled replicates.

Junctions of one chromosome are a Dataset as stores hold it: `count` [junction, track], and along `junction` the
coordinates `start`, `end` (the intron, 0-based half-open) and `strand`. Source: spec/scoring.md 6.4, 6.5.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import xarray as xr
from ag_core.errors import InputError
from jaxtyping import Float, Int


def psi5(junctions: xr.Dataset) -> xr.DataArray:
    """Share of each junction among those with its donor, [junction, track]; NaN without reads or strand."""
    return _share(junctions, "donor").rename("psi5")


def psi3(junctions: xr.Dataset) -> xr.DataArray:
    """Share of each junction among those with its acceptor, [junction, track]; NaN without reads or strand."""
    return _share(junctions, "acceptor").rename("psi3")


def site_usage(junctions: xr.Dataset, min_coverage: float = 10) -> xr.Dataset:
    """How often each splice site is used by the reads that tell: `usage` and `coverage` [site, track].

    Usage is reads that use the site / (those + reads that skip it, which are junctions of its strand over it).
    Coverage is the denominator; where it is below `min_coverage`, usage is NaN. Reads that run through a site
    unspliced are not among junctions, so usage is too high where introns are retained. Along `site`: `position` (the
    exonic base, 0-based), `strand` and `kind` (donor or acceptor). Junctions without a strand are left out.
    """
    start, end, strand, count = _columns(junctions)
    parts = []
    for sign in "+-":
        mine = strand == sign
        order = {name: np.argsort(edge[mine], kind="stable") for name, edge in (("start", start), ("end", end))}
        sums = {name: _running(count[mine][rows]) for name, rows in order.items()}
        edges = {name: edge[mine][order[name]] for name, edge in (("start", start), ("end", end))}
        for kind in ("donor", "acceptor"):
            position, site = np.unique(_exonic(start[mine], end[mine], sign, kind), return_inverse=True)
            used = np.zeros((len(position), count.shape[1]))
            np.add.at(used, site, count[mine])
            # Introns over a base are those that started at or before it, less those that ended.
            begun, done = (sums[name][np.searchsorted(edges[name], position, "right")] for name in ("start", "end"))
            covered = used + np.maximum(begun - done, 0)
            with np.errstate(invalid="ignore"):
                usage = np.where(covered >= max(min_coverage, 1e-9), used / covered, np.nan)
            parts.append((position, np.full(len(position), sign), np.full(len(position), kind), usage, covered))
    position, sign, kind, usage, covered = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.lexsort((kind, sign, position))
    tracks = {key: value for key, value in junctions.coords.items() if value.dims == ("track",)}
    return xr.Dataset(
        {"usage": (("site", "track"), usage[order]), "coverage": (("site", "track"), covered[order])},
        coords={
            "position": ("site", position[order]),
            "strand": ("site", sign[order].astype(object)),
            "kind": ("site", kind[order].astype(object)),
            **{key: value for key, value in tracks.items() if key != "strand"},
        },
    )


def pool_replicates(junctions: xr.Dataset, by: str | Iterable[str] = "biosample_name") -> xr.Dataset:
    """Adds up tracks that agree in the columns `by`; other columns stay where they agree too.

    Groups come in the order of their first track; `replicates` counts their tracks. Raises InputError for columns that
    are not there.
    """
    by = [by] if isinstance(by, str) else list(by)
    columns = {str(key): value.values for key, value in junctions.coords.items() if value.dims == ("track",)}
    if missing := [key for key in by if key not in columns]:
        raise InputError(f"junctions have no column {', '.join(missing)}; they have {', '.join(columns) or 'none'}")
    group, _ = pd.factorize(pd.MultiIndex.from_arrays([columns[key].astype(str) for key in by]))
    first = np.unique(group, return_index=True)[1]
    count = np.zeros((junctions.sizes["junction"], len(first)), junctions["count"].dtype)
    np.add.at(count.T, group, junctions["count"].values.T)
    kept = {
        key: ("track", values[first])
        for key, values in columns.items()
        if key != "track" and all(len(set(values[group == each].tolist())) == 1 for each in range(len(first)))
    }
    pooled = junctions.drop_vars(["count", *columns]).drop_dims("track", errors="ignore")
    pooled["count"] = (("junction", "track"), count)
    kept |= {"track": ("track", np.arange(len(first))), "replicates": ("track", np.bincount(group))}
    return pooled.assign_coords(kept)


def _share(junctions: xr.Dataset, kind: str) -> xr.DataArray:
    start, end, strand, count = _columns(junctions)
    site = np.where(strand == "+", _exonic(start, end, "+", kind), _exonic(start, end, "-", kind))
    _, group = np.unique(np.stack([site, strand == "-"]), axis=1, return_inverse=True)
    total = np.zeros((group.max(initial=-1) + 1, count.shape[1]))
    stranded = np.isin(strand, ["+", "-"])
    np.add.at(total, group[stranded], count[stranded])
    total = total[group]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where((total > 0) & stranded[:, None], count / total, np.nan)
    return xr.DataArray(share, coords=junctions.coords, dims=("junction", "track"))


def _columns(
    junctions: xr.Dataset,
) -> tuple[Int[np.ndarray, " junction"], Int[np.ndarray, " junction"], np.ndarray, Float[np.ndarray, "junction track"]]:
    for name in ("start", "end", "strand"):
        if name not in junctions or junctions[name].dims != ("junction",):
            raise InputError(
                f"junctions have no {name} along 'junction'; expected a Dataset as `TrackStore.read` gives"
            )
    start, end = (junctions[name].values.astype(np.int64) for name in ("start", "end"))
    return start, end, junctions["strand"].values.astype(str), junctions["count"].values.astype(np.float64)


def _exonic(
    start: Int[np.ndarray, " junction"], end: Int[np.ndarray, " junction"], strand: str, kind: str
) -> Int[np.ndarray, " junction"]:
    """The exonic base beside the intron: the one before it is a donor on '+' and an acceptor on '-'."""
    return start - 1 if (kind == "donor") == (strand == "+") else end


def _running(count: Float[np.ndarray, "junction track"]) -> Float[np.ndarray, "_ track"]:
    """Sums of the first 0, 1, ... rows."""
    return np.concatenate([np.zeros((1, count.shape[1])), np.cumsum(count, axis=0)])
