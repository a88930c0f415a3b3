"""What is in a track store, as rows for people and programs."""

from typing import Any

import numpy as np

from ag_data.store import TrackStore

Row = dict[str, Any]


def describe_store(store: TrackStore) -> list[Row]:
    """One row for each modality: form, numbers of tracks and chromosomes, bytes as stored and on the disk."""
    rows = []
    for modality in store.modalities:
        about = store.attributes(modality)
        contigs = about["contigs"]
        bins = sum(-(-store.chromosomes[name] // about["resolution"]) for name in contigs)
        band = about.get("offsets", 1)
        size = bins * band * about["tracks"] * np.dtype(about["dtype"]).itemsize
        if about["layout"] == "junctions":
            size = sum(store.dataset(modality, name)["count"].nbytes for name in contigs)
        disk = sum(file.stat().st_size for file in (store.path / modality).rglob("*") if file.is_file())
        rows.append(
            {
                "modality": modality,
                "layout": about["layout"],
                "resolution": about["resolution"],
                "unit": about["unit"],
                "tracks": about["tracks"],
                "chromosomes": len(contigs),
                "dtype": about["dtype"],
                "bytes": int(size),
                "on disk": disk,
            }
        )
    return rows


def describe_modality(store: TrackStore, modality: str) -> list[Row]:
    """One row for each track: who it is, and its sum, extremes and share of measured and of non-zero bins."""
    table, counted = store.tracks(modality), store.statistics(modality)
    bins = count_bins(store, modality)
    rows = []
    for track in range(table.sizes["track"]):
        own = {key: counted[key].values[:, track] for key in counted.data_vars}
        measured = max(bins - own["missing"].sum(), 0)
        rows.append(
            {
                "track": track,
                "name": str(table["name"].values[track]),
                "strand": str(table["strand"].values[track]),
                "sum": float(own["total"].sum()),
                "largest": _finite(own["largest"].max()),
                "smallest": _finite(own["smallest"].min()),
                "measured": float(measured / bins) if bins else 0.0,
                "nonzero": float(own["nonzero"].sum() / measured) if measured else 0.0,
                "nonzero_mean": float(table["nonzero_mean"].values[track]) if "nonzero_mean" in table else 1.0,
                "source": str(table["source"].values[track]),
            }
        )
    return rows


def count_bins(store: TrackStore, modality: str) -> int:
    """Values of one track."""
    contigs = store.attributes(modality)["contigs"]
    variable = "count" if store.layout(modality) == "junctions" else "signal"
    sizes = [store.dataset(modality, name)[variable].sizes for name in contigs]
    return sum(int(np.prod([size for dim, size in each.items() if dim != "track"])) for each in sizes)


def _finite(value: float) -> float:
    return float(value) if np.isfinite(value) else 0.0
