"""A third-party source fills a store like a built-in one."""

import numpy as np
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_data.ingest import import_tracks
from ag_data.manifest import make_manifest
from ag_data.store import open_store


@pytest.mark.parametrize("resolution", [1, 128])
def test_a_third_party_source_fills_a_store(tmp_path, write_fasta, resolution):
    write_fasta({"chr1": "ACGT" * 250, "chr2": "A" * 300})
    values = {name: np.random.default_rng(0).random(n).astype(np.float32) for name, n in (("1", 1000), ("2", 300))}
    np.savez(tmp_path / "liver.npz", **values)
    track = {"path": "liver.npz", "source": "npz_signal", "modality": "methylome", "resolution": resolution}
    manifest = {"genome": "genome.fa", "organism": "human", "tracks": [track]}
    import_tracks(make_manifest(manifest, folder=tmp_path), tmp_path / "store.zarr")
    store = open_store(tmp_path / "store.zarr")
    assert store.tracks("methylome")["name"].values.tolist() == ["liver"]
    end = -(-1000 // resolution) * resolution
    expected = np.add.reduceat(values["1"], np.arange(0, 1000, resolution))
    read = store.read("methylome", Interval("chr1", 0, end))
    np.testing.assert_allclose(read[:, 0], expected, rtol=1e-3)


def test_its_errors_name_the_file(tmp_path, write_fasta):
    write_fasta({"chr1": "ACGT"})
    (tmp_path / "bad.npz").write_bytes(b"no")
    track = {"path": "bad.npz", "source": "npz_signal", "modality": "methylome"}
    manifest = {"genome": "genome.fa", "organism": "human", "tracks": [track]}
    with pytest.raises(InputError, match=r"bad.npz is no .npz file"):
        import_tracks(make_manifest(manifest, folder=tmp_path), tmp_path / "store.zarr")
