"""Tracks of a store in other tools' files: what is in the store is in the file, and comes back from it."""

import itertools
import json

import cooler
import numpy as np
import pandas as pd
import pybigtools
import pytest
import yaml
from ag_core import cli
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_data.export import store_bigwig, store_maps, store_tracks
from ag_data.export.store_tracks import export_store
from ag_data.ingest import import_tracks
from ag_data.manifest import read_manifest
from ag_data.store import open_store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LENGTHS = {"chr2": 5_000, "chr10": 3_001}
WHOLE = {name: Interval(name, 0, length) for name, length in LENGTHS.items()}


@pytest.fixture(scope="module")
def store(make_store):
    """Signal at 1 bp and 128 bp, with and without gaps, junctions, contact maps."""
    random = np.random.default_rng(0)
    bins = {name: -(-length // 128) for name, length in LENGTHS.items()}
    cage = {name: random.poisson(0.3, (length, 3)).astype(np.float32) for name, length in LENGTHS.items()}
    cage["chr2"][100:200, 1] = np.nan
    cage["chr10"][:, 2] = np.nan
    cage["chr10"][:, 0] = 0
    chip = {name: random.gamma(2, 3, (size, 2)).astype(np.float32) for name, size in bins.items()}
    pairs = {name: make_store.junctions([100, 100, 900], [200, 700, 950], "++-", [[1, 0], [0.1, 2], [3, 7]])
             for name in LENGTHS}  # fmt: skip
    pairs["chr10"]["count"].values[1, 0] = np.nan
    maps = {name: random.normal(size=(-(-length // 2048), 3, 2)).astype(np.float16) for name, length in LENGTHS.items()}
    for values in maps.values():
        for row in range(len(values)):
            values[row, len(values) - row :] = np.nan
    maps["chr2"][1, 1, 0] = np.nan
    Values = make_store.values
    return make_store(
        LENGTHS,
        cage=Values(cage, name=["a", "a", "b"], strand=["+", "-", "."], biosample_name=["K 562", "K 562", ""],
                    depth=[1.5, 2.0, np.nan]),
        chip_tf=Values(chip, resolution=128, name=["CTCF/x", "CTCF x"]),
        splice_junctions=Values(pairs, "junctions"),
        contact_maps=Values(maps, "contacts", 2048, name=["one", "two"]),
    )  # fmt: skip


def test_what_is_exported_and_imported_again_is_the_same(store, tmp_path, write_fasta, monkeypatch):
    """At 1 bp and 128 bp, with gaps, zeros, an all-zero and a missing chromosome, columns and means."""
    monkeypatch.setattr(store_tracks, "_BYTES", 5_000)  # many blocks
    monkeypatch.setattr(store_bigwig, "_FILES", 2)  # several passes
    written = export_store(store, tmp_path / "out")
    assert [file.rpartition("/")[2] for file in written] == [
        "cage.a_plus.bw", "cage.a_minus.bw", "cage.b.bw", "chip_tf.CTCF_x.bw", "chip_tf.CTCF_x.1.bw", "manifest.yaml",
    ]  # fmt: skip
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == sorted(
        [file.rpartition("/")[2] for file in written] + ["tracks.json"]
    )
    genome = write_fasta({name: "A" * length for name, length in LENGTHS.items()})
    import_tracks(read_manifest(tmp_path / "out" / "manifest.yaml", genome=genome), tmp_path / "again.zarr")
    again = open_store(tmp_path / "again.zarr")
    assert again.modalities == ("cage", "chip_tf")
    for modality in again.modalities:
        for name, whole in WHOLE.items():
            width = -(-whole.width // store.resolution(modality)) * store.resolution(modality)
            before, after = (one.read(modality, Interval(name, 0, width)) for one in (store, again))
            assert before.dtype == after.dtype
            # A bin of 113 bases cannot have every sum.
            np.testing.assert_array_equal(after[:-1], before[:-1])
            np.testing.assert_allclose(after[-1], before[-1], rtol=2e-7)
        old, new = store.tracks(modality), again.tracks(modality)
        assert set(new) - set(old) == {"source", "source_digest"}
        for column in old:
            np.testing.assert_array_equal(new[column].values, old[column].values)
        for key in ("unit", "left_edge", "dtype", "resolution"):
            assert again.attributes(modality)[key] == store.attributes(modality)[key]


def test_zeros_are_left_out_where_they_can_be(store, tmp_path):
    export_store(store, tmp_path / "out", modality="cage")
    about = json.loads((tmp_path / "out" / "tracks.json").read_text())
    assert [entry["gaps"] for entry in about.values()] == ["zero", "missing", "missing"]
    with pybigtools.open(str(tmp_path / "out" / "cage.a_plus.bw")) as file:
        assert file.chroms() == LENGTHS
        # Nothing but zero on chr10: one base says that it was measured.
        assert list(file.records("chr10")) == [(0, 1, 0.0)]
        assert all(value for _, _, value in file.records("chr2"))
    with pybigtools.open(str(tmp_path / "out" / "cage.a_minus.bw")) as file:
        assert np.isnan(file.values("chr2", 100, 200, fillna=np.nan)).all()
        covered = file.info()["summary"]["basesCovered"]
        assert covered == sum(LENGTHS.values()) - 100
    with pybigtools.open(str(tmp_path / "out" / "cage.b.bw")) as file:
        assert list(file.chroms()) == ["chr2"]


@pytest.mark.slow
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.sampled_from([0.0, 1.0, 2.5, np.nan]), min_size=2, max_size=40),
    block=st.sampled_from([4, 16, 64, 1 << 20]),
)
def test_neighbours_of_equal_value_are_one_entry_wherever_blocks_end(make_store, tmp_path, values, block):
    if np.isnan(values).all():
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_tracks, "_BYTES", block)
        lengths = {"chr1": len(values)}
        source = make_store.values({"chr1": np.array(values, np.float32)[:, None]})
        export_store(make_store(lengths, cage=source), tmp_path / "one.bw", force=True)
    with pybigtools.open(str(tmp_path / "one.bw")) as file:
        entries = list(file.records("chr1"))
    gaps = np.isnan(values).any()
    kept = [value for value in values if not np.isnan(value)] if gaps else [value for value in values if value]
    assert sum(end - start for start, end, _ in entries) == (len(kept) or 1)
    for (_, end, left), (start, _, right) in itertools.pairwise(entries):
        assert end < start or left != right
    for start, end, value in entries:
        assert set(values[start:end]) == {value}


def test_coolers_hold_the_band_as_it_is_stored(store, tmp_path, monkeypatch):
    monkeypatch.setattr(store_tracks, "_BYTES", 48)  # two rows at a time
    monkeypatch.setattr(store_maps, "_PIXELS", 3)  # and then one
    uris = export_store(store, tmp_path / "maps.cool")
    assert uris == [f"{tmp_path / 'maps.cool'}::/one", f"{tmp_path / 'maps.cool'}::/two"]
    for track, uri in enumerate(uris):
        file = cooler.Cooler(uri)
        assert file.chromsizes.to_dict() == LENGTHS
        assert file.info["genome-assembly"] == "made up"
        expected = {}
        for name, length in LENGTHS.items():
            values = store.read("contact_maps", Interval(name, 0, -(-length // 2048) * 2048))[..., track]
            for row, offset in zip(*np.nonzero(np.isfinite(values)), strict=True):
                expected[name, row * 2048, (row + offset) * 2048] = values[row, offset]
        pixels = file.pixels(join=True)[:]
        columns = (pixels[key].tolist() for key in ("chrom1", "start1", "start2", "count"))
        assert {(name, a, b): value for name, a, b, value in zip(*columns, strict=True)} == expected
        assert (pixels["chrom1"] == pixels["chrom2"]).all()
    (uri,) = export_store(store, tmp_path / "one.mcool", tracks="two", chromosomes=["10"])
    assert cooler.Cooler(uri).chromnames == ["chr10"]


@pytest.mark.parametrize("name", ["pairs.bedpe", "pairs.bedpe.gz"])
def test_bedpe_has_every_junction_and_count(store, tmp_path, name):
    (path,) = export_store(store, tmp_path / name)
    table = pd.read_csv(path, sep="\t")
    assert list(table.columns[-2:]) == ["track 0", "track 1"]
    for chromosome, whole in WHOLE.items():
        rows, expected = table[table["#chrom1"] == chromosome], store.read("splice_junctions", whole)
        np.testing.assert_array_equal(rows["end1"], expected["start"].values)
        np.testing.assert_array_equal(rows["start2"], expected["end"].values)
        assert list(rows["strand1"]) == list(expected["strand"].values)
        np.testing.assert_array_equal(rows[["track 0", "track 1"]].to_numpy(np.float32), expected["count"].values)
    assert list(table["score"])[:3] == [1, 2, 7]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("out.txt", {}, r"cannot tell the format; use one of \.bw"),
        ("out.bw", {"modality": "contact_maps"}, r"out.bw holds signal or usage.*contact_maps \(contacts\)"),
        ("out.bedpe", {"modality": "cage"}, r"out.bedpe holds junctions, but the store has cage \(signal\)"),
        ("out.bw", {}, r"can hold one track, but there are 5; give a folder \(-o .*out\)"),
        ("out.mcool", {}, "can hold one track, but there are 2"),
        ("out.bw", {"modality": "rna"}, "has no 'rna'; it has cage"),
        ("out", {"tracks": "GATA1"}, "no track of cage, chip_tf fits 'GATA1'"),
        ("out", {"chromosomes": ["chr3"]}, "no cage on chr3; it has chr2, chr10"),
        ("out.bw", {"tracks": "name=b", "chromosomes": ["chr10"]}, "'b' was not measured anywhere on chr10"),
        ("there", {}, "there exists; choose another name, or replace it with --force"),
        ("there", {"force": True}, "will not be replaced"),
        ("there.bw", {"tracks": "name=b", "force": True}, "there.bw is a folder"),
        ("file/out.bw", {"tracks": "name=b"}, "file is not a folder that can be written to"),
    ],
)
def test_bad_requests(store, tmp_path, name, options, message):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "thesis.txt").touch()
    (tmp_path / "there.bw").mkdir()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=message):
        export_store(store, tmp_path / name, **options)
    assert sorted(tmp_path.rglob("*")) == before


def test_two_modalities_do_not_go_into_one_map(make_store, tmp_path):
    maps = make_store.values({"chr1": np.ones((2, 2, 1), np.float32)}, "contacts", 2048)
    store = make_store({"chr1": 4096}, hic=maps, micro_c=maps)
    with pytest.raises(InputError, match=r"can hold one modality, but hic, micro_c fit; choose one \(--modality\)"):
        export_store(store, tmp_path / "maps.cool")
    export_store(store, tmp_path / "maps.cool", modality="hic")


def test_the_command_line(store, tmp_path, capsys):
    output = str(tmp_path / "bigwigs")
    command = [
        "tracks",
        "export",
        str(store.path),
        "-o",
        output,
        "--modality",
        "cage",
        "--tracks",
        "strand=+",
        "--json",
    ]
    assert cli.run(command) == 0
    assert json.loads(capsys.readouterr().out)["written"][0].endswith("cage.a_plus.bw")
    manifest = yaml.safe_load((tmp_path / "bigwigs" / "manifest.yaml").read_text())
    assert manifest["tracks"][0]["biosample_name"] == "K 562"
    assert cli.run(command) == 2
    assert "--force" in capsys.readouterr().err
    assert cli.run([*command, "--force"]) == 0
