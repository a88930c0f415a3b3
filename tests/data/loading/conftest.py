"""Small stores from arrays, written as an import writes them."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xarray as xr
from ag_core.interfaces import AbstractSource
from ag_core.schema import track_table
from ag_data.genome_store import open_genome
from ag_data.modality_job import ModalityJob
from ag_data.parts import Part
from ag_data.store import open_store
from ag_data.store_writer import StoreWriter


class InMemory(AbstractSource):
    """`values` by chromosome: arrays, or tables of junctions."""

    def __init__(self, layout, resolution, table, values):
        self.layout, self.resolution, self._table, self.values = layout, resolution, table, values
        self.offsets = next(iter(values.values())).shape[1] if layout == "contacts" else None

    def tracks(self):
        return self._table

    def chromosomes(self):
        return dict.fromkeys(self.values)

    def read(self, interval):
        values = self.values[interval.chromosome]
        if self.layout == "junctions":
            return values
        return values[interval.start // self.resolution : -(-interval.end // self.resolution)]


def junction_table(rows):
    """Rows are (start, end, strand, counts)."""
    starts, ends, strands, counts = zip(*sorted(rows, key=lambda row: row[:3]), strict=True)
    coords = {"start": list(starts), "end": list(ends), "strand": np.array(strands, object)}
    return xr.Dataset(
        {"count": (("junction", "track"), np.array(counts, np.float32))},
        coords={key: ("junction", column) for key, column in coords.items()},
    )


@pytest.fixture(scope="session")
def make_genome(tmp_path_factory):
    """A genome with these bases by chromosome."""

    def make(bases, name="genome"):
        folder = tmp_path_factory.mktemp(name)
        (folder / "genome.fa").write_text("".join(f">{key}\n{text}\n" for key, text in bases.items()))
        with pytest.MonkeyPatch.context() as patch:  # what lives longer than a test has its own cache
            patch.setenv("AG_CACHE_DIR", str(folder))
            return open_genome(folder / "genome.fa")

    return make


@pytest.fixture(scope="session")
def make_store(tmp_path_factory):
    """A store with modalities {name: (layout, resolution, track columns, values by chromosome)} on a genome."""

    def make(genome, modalities, name="store.zarr", organism="human"):
        path = tmp_path_factory.mktemp("stores") / name
        with contextlib.closing(StoreWriter(path, name)) as writer, ThreadPoolExecutor(1) as pool:
            for modality, (layout, resolution, columns, values) in modalities.items():
                table = track_table({**columns, "source_digest": [f"{name} {modality}"] * len(columns["name"])})
                source = InMemory(layout, resolution, table, values)
                part = Part(modality, source, table, {chrom: chrom for chrom in values}, "missing", "memory")
                lengths = {chrom: genome.lengths[chrom] for chrom in values}
                ModalityJob(writer, modality, [part], lengths, None, {}, pool, None).run()
            contigs = {chrom: {"length": n, "digest": genome.digest(chrom)} for chrom, n in genome.lengths.items()}
            root = {"organism": organism, "build": "", "contigs": contigs, "modalities": list(modalities)}
            writer.commit(root)
        return open_store(path)

    return make


@pytest.fixture(scope="session")
def junctions():
    return junction_table
