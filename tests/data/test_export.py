"""Files of predictions, without a model: what is in the tree is in the file."""

import json
import pathlib

import cooler
import numpy as np
import pybigtools
import pytest
import xarray as xr
import zarr
from ag_core.errors import InputError
from ag_core.schema import track_table
from ag_data.export import (
    Block,
    MemoryWriter,
    StoreWriter,
    leaves,
    open_predictions,
    summary,
    write_bedpe,
    write_bigwigs,
    write_cooler,
)
from ag_data.zarr_layout import chunk_and_shard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LENGTH = 10_000
TABLE = track_table({"name": ["x y", "x/y"], "strand": ["+", "-"], "ok": [True, False], "mean": [1.5, np.nan]})
TABLES = {"cage": TABLE, "chip_tf": TABLE, "contact_maps": TABLE}
ATTRS = {"model": "m", "chromosomes": {"chr1": LENGTH, "chr2": LENGTH}}
ATTRS |= {"modalities": list(TABLES), "places": ["one", "two"]}


def block(modality, start, bins, resolution, *, region=None, chromosome="chr1", dims=1, **attrs):
    """A block that covers `bins` bins from `start`."""
    interval = f"{chromosome}:{start}-{start + bins * resolution}:."
    attrs |= {"interval": interval, "region": region or interval, "resolution": resolution, "modality": modality}
    names = ("position", "position_2")[:dims]
    return Block(modality, "prediction", (*names, "track"), (bins,) * dims + (2,), attrs)


def fill(writer, blocks, seed=0):
    """Writes random values for {place: block}, in two pieces."""
    random = np.random.default_rng(seed)
    for place, one in blocks:
        values = random.normal(size=one.shape).astype(np.float32)
        if len(one.shape) == 3:
            values += values.transpose(1, 0, 2)
        target, half = writer.create(place, one), one.shape[0] // 2
        target[0:half], target[half : one.shape[0]] = values[:half], values[half:]
        writer.close_place(place)
    return writer


def memory(*blocks):
    return fill(MemoryWriter(TABLES, ATTRS), blocks).tree()


def read(path, chromosome="chr1"):
    with pybigtools.open(str(path)) as file:
        return file.values(chromosome, 0, LENGTH, fillna=np.nan)


def test_bigwigs_hold_every_base_of_every_region(tmp_path):
    tree = memory(
        ("a", block("cage", 100, 50, 1)),
        ("b", block("cage", 40, 60, 1)),
        ("c", block("cage", 0, 30, 1, chromosome="chr2")),
    )
    files = write_bigwigs(tree, tmp_path / "out")
    assert [file.name for file in files] == ["cage.x_y_plus.bw", "cage.x_y_minus.bw"]
    assert json.loads((tmp_path / "out" / "tracks.json").read_text())["cage.x_y_minus.bw"]["name"] == "x/y"
    for track, file in enumerate(files):
        parts = [tree[f"cage/{place}"]["prediction"].values[:, track] for place in "bac"]
        np.testing.assert_array_equal(read(file)[40:150].astype("f4"), np.concatenate(parts[:2]))
        np.testing.assert_array_equal(read(file, "chr2")[:30].astype("f4"), parts[2])
        assert np.isnan(np.r_[read(file)[:40], read(file)[150:]]).all()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.integers(-5, 80).map(lambda n: 128 * n),
    cut=st.tuples(st.integers(0, 127), st.integers(0, 127)),
    values=st.lists(st.sampled_from([0.0, 1.0, 0.1, np.nan]), min_size=3, max_size=12),
)
def test_coarse_bins_are_cut_at_the_region_and_the_chromosome(tmp_path, start, cut, values):
    end = start + 128 * len(values)
    one = block("chip_tf", start, len(values), 128, region=f"chr1:{start + cut[0]}-{end - cut[1]}:.")
    writer = MemoryWriter({"chip_tf": TABLE.isel(track=[0])}, ATTRS)
    writer.create("", Block("chip_tf", "prediction", one.dims, (len(values), 1), one.attrs))[:, 0] = values
    expected = np.full(LENGTH, np.nan)
    for base in range(max(0, start + cut[0]), min(LENGTH, end - cut[1])):
        expected[base] = np.float32(values[(base - start) // 128])
    if np.isnan(expected).all():
        with pytest.raises(RuntimeError, match="no value on chr1"):
            write_bigwigs(writer.tree(), tmp_path / "one.bw")
        return
    write_bigwigs(writer.tree(), tmp_path / "one.bw")
    np.testing.assert_array_equal(read(tmp_path / "one.bw").astype("f4"), expected.astype("f4"))


def test_what_bigwig_cannot_hold_is_refused(tmp_path):
    two = memory(("a", block("cage", 0, 50, 1)), ("b", block("cage", 49, 60, 1)))
    with pytest.raises(InputError, match="'a' and 'b' overlap"):
        write_bigwigs(two, tmp_path / "out")
    with pytest.raises(InputError, match="there are 2"):
        write_bigwigs(memory(("", block("cage", 0, 50, 1))), tmp_path / "out.bw")
    with pytest.raises(InputError, match="nothing to write as bigWig: the predictions have contact_maps"):
        write_bigwigs(memory(("", block("contact_maps", 0, 2, 2048, dims=2))), tmp_path / "out")
    moved = memory(("ALT", block("cage", 0, 50, 1, frame="alternate", allele="ALT")))
    with pytest.raises(InputError, match="--align reference"):
        write_bigwigs(moved, tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(InputError, match="will not be replaced"):
        write_bigwigs(memory(("", block("cage", 0, 50, 1))), tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_bigwig_that_breaks_half_way_leaves_nothing(tmp_path):
    tree = memory(("", block("cage", 0, 50, 1)))
    broken = tree["cage"].to_dataset().assign_attrs(resolution="1")  # found out while entries are made
    with pytest.raises(TypeError):
        write_bigwigs(xr.DataTree.from_dict({"/": tree.to_dataset(), "cage": broken}), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("start", "binsize"), [(2048, 2048), (1000, None), (-3000, None), (6144, 2048)])
def test_coolers_hold_the_map_on_and_off_the_grid(tmp_path, start, binsize):
    tree = memory(("", block("contact_maps", start, 3, 2048, dims=2)))
    uris = write_cooler(tree, tmp_path / "maps.cool")
    assert uris == [f"{tmp_path / 'maps.cool'}::/x_y_plus", f"{tmp_path / 'maps.cool'}::/x_y_minus"]
    kept = [i for i in range(3) if start + 2048 * i >= 0 and start + 2048 * i < LENGTH]
    for track, uri in enumerate(uris):
        file = cooler.Cooler(uri)
        assert file.binsize == binsize
        assert file.bins()[:]["end"].max() == LENGTH
        matrix = file.matrix(balance=False).fetch(f"chr1:{start + 2048 * kept[0]}-{min(LENGTH, start + 2048 * 3)}")
        expected = tree["contact_maps"]["prediction"].values[np.ix_(kept, kept)][..., track]
        np.testing.assert_array_equal(matrix.astype("f4"), expected)
        assert file.info["metadata"]["model"] == "m"


def test_a_multi_resolution_cooler_holds_one_track(tmp_path):
    tree = memory(("", block("contact_maps", 0, 3, 2048, dims=2)))
    with pytest.raises(InputError, match="there are 2"):
        write_cooler(tree, tmp_path / "maps.mcool")
    one = tree["contact_maps"].to_dataset().isel(track=[1])
    path = tmp_path / "maps.mcool"
    assert write_cooler(xr.DataTree.from_dict({"/": tree.to_dataset(), "contact_maps": one}), path) == [
        f"{path}::/resolutions/2048"
    ]
    assert cooler.fileops.list_coolers(str(path)) == ["/resolutions/2048"]


def test_bedpe_anchors_are_the_exonic_bases(tmp_path):
    attrs = {"interval": "chr1:0-90:.", "region": "chr1:0-90:.", "resolution": 1, "modality": "splice_junctions"}
    coords = {"start": np.array([30, 11]), "end": np.array([50, 20]), "strand": np.array(["-", "+"], object)}
    writer = MemoryWriter({"splice_junctions": TABLE}, ATTRS)
    values = np.array([[0.1, 2.5], [1e-9, 3.0]], np.float32)
    writer.create("", Block("splice_junctions", "count", ("junction", "track"), (2, 2), attrs, coords))[:] = values
    path = write_bedpe(writer.tree(), tmp_path / "j.bedpe")
    header, first, second = path.read_text().splitlines()
    assert header.split("\t")[-2:] == ["x y", "x/y"]
    assert first.split("\t") == ["chr1", "10", "11", "chr1", "20", "21", "junction1", "3.0", "+", "+", "1e-09", "3.0"]
    assert second.split("\t")[:6] == ["chr1", "29", "30", "chr1", "50", "51"]
    assert np.float32(second.split("\t")[10]) == values[0, 0]


@settings(max_examples=60, deadline=None)
@given(
    first=st.integers(0, 2**21),
    rest=st.lists(st.integers(0, 3000), min_size=1, max_size=2),
    itemsize=st.sampled_from([2, 4]),
)
def test_chunks_and_shards_keep_to_their_sizes(first, rest, itemsize):
    chunk, shard = chunk_and_shard((first, *rest), itemsize)
    row = int(np.prod([max(1, size) for size in rest])) * itemsize
    assert chunk[0] * row <= max(2 << 20, row)
    assert chunk[0] == max(1, first) or chunk[0] & (chunk[0] - 1) == 0
    if shard is not None:
        assert shard[0] % chunk[0] == 0
        assert shard[0] * row <= max(1 << 26, row)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_store_gives_back_its_tree(tmp_path, dtype):
    blocks = [
        ("one", block("cage", 0, 5000, 1)),
        ("two", block("cage", 60, 7, 1)),
        ("one", block("chip_tf", 0, 3, 128)),
    ]
    writer = fill(StoreWriter(tmp_path / "work", TABLES, ATTRS, dtype=dtype, fingerprint="f"), blocks)
    writer.finish().rename(tmp_path / "all.zarr")
    writer.discard()
    expected = fill(MemoryWriter(TABLES, ATTRS), blocks).tree()
    found = open_predictions(tmp_path / "all.zarr")
    assert [leaf[:2] for leaf in leaves(found)] == [leaf[:2] for leaf in leaves(expected)]
    for (_, _, left), (_, _, right) in zip(leaves(found), leaves(expected), strict=True):
        np.testing.assert_array_equal(left["prediction"].values, right["prediction"].values.astype(dtype))
        assert left.attrs == right.attrs
        for name in right.coords:
            assert left[name].dtype.kind == right[name].dtype.kind
            np.testing.assert_array_equal(left[name].values, right[name].values)
    assert len(summary(found)) == 3
    # Anybody's xarray reads it, and there is no stored position.
    raw = xr.open_dataset(tmp_path / "all.zarr", group="cage/one", engine="zarr", consolidated=False, chunks=None)
    assert set(raw.variables) == {"prediction"}
    assert zarr.open_array(tmp_path / "all.zarr", path="cage/one/prediction").shards is None


def test_a_store_that_was_not_finished_is_no_store(tmp_path):
    work = tmp_path / "x.zarr.partial"
    blocks = [("one", block("cage", 0, 50, 1)), ("two", block("cage", 60, 7, 1))]
    writer = fill(StoreWriter(work, TABLES, ATTRS, fingerprint="f"), blocks[:1])
    with pytest.raises(InputError, match="another run writes"):
        StoreWriter(work, TABLES, ATTRS, fingerprint="f")
    writer.close()
    with pytest.raises(InputError, match="run the same command again"):
        open_predictions(tmp_path / "x.zarr")
    with pytest.raises(InputError, match="was not finished"):
        open_predictions(work / "store")
    again = StoreWriter(work, TABLES, ATTRS, fingerprint="f")
    assert again.done == {"one"}
    again.close()
    with (work / "journal.jsonl").open("a") as file:
        file.write('{"place": "tw')  # the machine went down here
    torn = StoreWriter(work, TABLES, ATTRS, fingerprint="f")
    assert torn.done == {"one"}
    torn.close_place("two")
    torn.close()
    mended = StoreWriter(work, TABLES, ATTRS, fingerprint="f")
    assert mended.done == {"one", "two"}
    mended.close()
    other = StoreWriter(work, TABLES, ATTRS, fingerprint="g")
    assert other.done == frozenset()
    assert not (pathlib.Path(other.store) / "cage" / "one").exists()
    other.discard()
    assert list(tmp_path.iterdir()) == []


def test_other_folders_are_not_predictions(tmp_path):
    with pytest.raises(InputError, match="no zarr store; expected"):
        open_predictions(tmp_path / "nothing.zarr")
    zarr.create_group(tmp_path / "foreign.zarr", zarr_format=3)
    with pytest.raises(InputError, match="not one of predictions"):
        open_predictions(tmp_path / "foreign.zarr")
    zarr.create_group(tmp_path / "new.zarr", attributes={"format": 99, "complete": True}, zarr_format=3)
    with pytest.raises(InputError, match="upgrade ag-data"):
        open_predictions(tmp_path / "new.zarr")
