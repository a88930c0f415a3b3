"""Stores of given values, written as an import writes them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xarray as xr
from ag_core.interfaces import AbstractSource
from ag_core.schema import track_table
from ag_data.modality_job import ModalityJob
from ag_data.parts import Part
from ag_data.store import open_store
from ag_data.store_writer import StoreWriter


class Values(AbstractSource):
    """Arrays by chromosome (junctions: Datasets) as a source."""

    def __init__(self, values, layout="signal", resolution=1, **columns):
        self.values, self.layout, self.resolution = values, layout, resolution
        first = next(iter(values.values()))
        if layout == "contacts":
            self.offsets = first.shape[1]
        size = first.sizes["track"] if layout == "junctions" else first.shape[-1]
        self.columns = {"name": [f"track {i}" for i in range(size)], "strand": ["."] * size} | columns

    def tracks(self):
        return track_table(self.columns)

    def chromosomes(self):
        return dict.fromkeys(self.values)

    def read(self, interval):
        values = self.values[interval.chromosome]
        if self.layout == "junctions":
            inside = (values["start"].values >= interval.start) & (values["start"].values < interval.end)
            return values.isel(junction=inside)
        return values[interval.start // self.resolution : -(-interval.end // self.resolution)]


def junctions(starts, ends, strands, counts):
    """As sources of layout "junctions" give them; `counts` is [junction, track]."""
    coords = {"start": np.array(starts), "end": np.array(ends), "strand": np.array(list(strands), object)}
    coords = {key: ("junction", column) for key, column in coords.items()}
    return xr.Dataset({"count": (("junction", "track"), np.array(counts, np.float32))}, coords=coords)


@pytest.fixture(scope="module")
def make_store(tmp_path_factory):
    """`make_store({"chr1": length}, modality=source)`; a source may lack chromosomes, which the modality then lacks."""

    def make(lengths, **sources):
        path = tmp_path_factory.mktemp("stores") / "store.zarr"
        writer = StoreWriter(path, "once")
        with ThreadPoolExecutor(1) as pool:
            for modality, source in sources.items():
                own = {chromosome: length for chromosome, length in lengths.items() if chromosome in source.values}
                part = Part(modality, source, source.tracks(), dict(zip(own, own, strict=True)), "missing", "values")
                ModalityJob(writer, modality, [part], own, None, {}, pool, None).run()
        contigs = {chromosome: {"length": length, "digest": ""} for chromosome, length in lengths.items()}
        writer.commit({"organism": "human", "build": "made up", "contigs": contigs, "modalities": list(sources)})
        writer.close()
        return open_store(path)

    make.values, make.junctions = Values, junctions
    return make
