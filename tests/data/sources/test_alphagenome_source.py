"""AlphaGenome's training data: serialised tensors, and every bundle there and back."""

import gzip
import struct

import google_crc32c
import ml_dtypes
import numpy as np
import pandas as pd
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.plugins import registry
from ag_data.sources.alphagenome import AlphaGenomeSource
from ag_data.sources.tensor_proto import DTYPES, message_classes, parse_example, parse_tensor
from hypothesis import given, settings
from hypothesis import strategies as st

BF16 = np.dtype(ml_dtypes.bfloat16)
NUMBERS = {dtype: number for number, (dtype, _) in DTYPES.items()}


def tensor(array, listed=None):
    """As TensorFlow serialises an array: raw bytes or, with `listed`, that many of its values one by one."""
    message = message_classes()["TensorProto"](dtype=NUMBERS[array.dtype])
    for size in array.shape:
        message.tensor_shape.dim.add(size=size)
    if listed is None:
        message.tensor_content = array.tobytes()
    else:
        field = DTYPES[NUMBERS[array.dtype]][1]
        values = array.reshape(-1)[:listed]
        values = values.view(np.uint16) if field == "half_val" else values
        getattr(message, field).extend(values.tolist())
    return message.SerializeToString()


def frame(data):
    def crc(part):
        value = google_crc32c.value(part)
        return struct.pack("<I", ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(data))
    return length + crc(length) + data + crc(data)


def example(chromosome, start, end, **features):
    message = message_classes()["Example"]()
    feature = message.features.feature
    feature["interval/chromosome"].bytes_list.value.append(chromosome.encode())
    feature["interval/start"].int64_list.value.append(start)
    feature["interval/end"].int64_list.value.append(end)
    features = {"dna_sequence": np.zeros((end - start, 4), np.float32), **features}
    for name, value in features.items():
        feature[name].bytes_list.value.append(value if isinstance(value, bytes) else tensor(value))
    return frame(message.SerializeToString())


def write(folder, name, *records):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(gzip.compress(b"".join(records)))
    return folder / name


def bf16(random, *shape):
    return random.uniform(0, 50, shape).astype(BF16)


@pytest.mark.parametrize("dtype", [dtype for dtype, _ in DTYPES.values()], ids=str)
def test_tensors_in_all_their_forms(dtype):
    array = np.arange(12).reshape(3, 4)
    array = (array % 3 == 0) if dtype.kind == "b" else array.astype(dtype)
    for listed in (None, 12):
        got = parse_tensor(tensor(array, listed), "t")
        assert (got.dtype, got.shape) == (dtype, (3, 4))
        np.testing.assert_array_equal(got, array)
    # The last value stands for the rest; without any, all are zero.
    np.testing.assert_array_equal(
        parse_tensor(tensor(array, 2), "t").reshape(-1), [*array.reshape(-1)[:2], *[array[0, 1]] * 10]
    )
    np.testing.assert_array_equal(parse_tensor(tensor(array, 0), "t"), np.zeros((3, 4), dtype))


def test_a_tensor_byte_by_byte():
    """The wire format itself: dtype 14 (bfloat16), shape [2], one half_val 0x3fc0 = 1.5 for both."""
    data = bytes([0x08, 14, 0x12, 4, 0x12, 2, 0x08, 2, 0x6A, 2, 0xC0, 0x7F])
    got = parse_tensor(data, "t")
    assert (got.dtype, got.tolist()) == (BF16, [1.5, 1.5])
    # dtype 1 (float32), a scalar, four bytes of content.
    assert parse_tensor(bytes([0x08, 1, 0x12, 0, 0x22, 4]) + struct.pack("<f", 2.5), "t").tolist() == 2.5


def test_an_example_byte_by_byte():
    """features { feature { key: "a" value { int64_list { value: [7, -1] } } } }, numbers packed and not."""
    minus = b"\xff" * 9 + b"\x01"
    for numbers in (bytes([0x0A, 11, 7]) + minus, bytes([0x08, 7, 0x08]) + minus):
        feature = bytes([0x1A, len(numbers)]) + numbers
        entry = bytes([0x0A, 1]) + b"a" + bytes([0x12, len(feature)]) + feature
        features = bytes([0x0A, len(entry)]) + entry
        assert parse_example(bytes([0x0A, len(features)]) + features, "x") == {"a": [7, -1]}


def test_tensors_that_are_refused():
    message = message_classes()["TensorProto"](dtype=7)
    with pytest.raises(InputError, match="type number 7"):
        parse_tensor(message.SerializeToString(), "t")
    message = message_classes()["TensorProto"](dtype=1, tensor_content=b"123")
    message.tensor_shape.dim.add(size=1)
    with pytest.raises(InputError, match=r"t has 3 bytes; expected float32 of shape \(1,\)"):
        parse_tensor(message.SerializeToString(), "t")
    message = message_classes()["TensorProto"](dtype=1, float_val=[1, 2])
    message.tensor_shape.dim.add(size=1)
    with pytest.raises(InputError, match="lists 2 values; expected at most 1"):
        parse_tensor(message.SerializeToString(), "t")
    with pytest.raises(InputError, match="no serialised tensor"):
        parse_tensor(b"\x12\xff", "t")


def test_tracks_at_1_bp(tmp_path):
    random = np.random.default_rng(0)
    folder = tmp_path / "TRAIN" / "DNASE"
    one, two, far = bf16(random, 64, 3), bf16(random, 40, 3), bf16(random, 64, 3)
    mask = np.array([[True, False, True]])
    everything = np.ones((1, 3), bool)
    write(folder, "data_chr1_1-2.gz.tfrecord", example("chr1", 100, 164, x=one, x_mask=mask))
    # Shorter than its interval [150, 214): its 40 bases are [162, 202).
    write(folder, "data_chr1_0-2.gz.tfrecord", example("chr1", 150, 214, x=two, x_mask=everything))
    write(folder, "data_chr2_0-1.gz.tfrecord", example("chr2", 10, 74, x=far, x_mask=everything))
    source = registry().create("sources", "alphagenome", folder)
    assert (source.layout, source.resolution, source.offsets) == ("signal", 1, None)
    assert dict(source.chromosomes()) == {"chr1": None, "chr2": None}
    assert source.tracks()["name"].values.tolist() == ["dnase_0", "dnase_1", "dnase_2"]
    values = source.read(Interval("chr1", 0, 256))
    wanted = np.full((256, 3), np.nan, np.float32)
    wanted[100:164] = one
    wanted[100:164, 1] = np.nan
    wanted[162:202] = two  # the first file
    np.testing.assert_array_equal(values, wanted)
    assert values.dtype == np.float32
    blocks = [source.read(Interval("chr1", at, at + 32)) for at in range(0, 256, 32)]
    np.testing.assert_array_equal(np.concatenate(blocks), wanted)
    np.testing.assert_array_equal(source.read(Interval("chr2", 10, 74)), far.astype(np.float32))
    np.testing.assert_array_equal(source.read(Interval("chr1", 0, 256)), wanted)  # and back
    assert source.facts() == {"bundle": "DNASE", "files": 3, "dtype": "bfloat16", "slots": 3}


def test_chip_at_128_bp_off_the_grid(tmp_path):
    random = np.random.default_rng(1)
    x = random.uniform(0, 9, (4, 2)).astype(np.float32)
    file = write(
        tmp_path / "CHIP_TF", "a.tfrecord", example("chr1", 160, 160 + 4 * 128, x=x, x_mask=np.ones((1, 2), bool))
    )
    source = AlphaGenomeSource(file)
    assert (source.layout, source.resolution) == ("signal", 128)
    values = source.read(Interval("chr1", 0, 1024))
    # 160 = 128 + 32: bin 2 holds 32 bp of the first and 96 bp of the second.
    np.testing.assert_allclose(values[2:5], x[:-1] * 0.25 + x[1:] * 0.75, rtol=1e-6)
    assert np.isnan(values[[0, 1, 5, 6, 7]]).all()


def test_rna_strands(tmp_path):
    random = np.random.default_rng(2)
    x = bf16(random, 32, 5)
    parts = {"rna_seq": x, "rna_seq_mask": np.ones((1, 5), bool)}
    for codes in ([1, 2, 3, 1, 2], [1, -1, 0, 1, -1]):
        strand = np.array([codes], np.int32)
        file = write(tmp_path, "a.tfrecord", example("chr1", 0, 32, **parts, rna_seq_strand=strand))
        source = AlphaGenomeSource(file)  # the feature tells the bundle
        table = source.tracks()
        assert table["strand"].values.tolist() == ["+", "-", ".", "+", "-"]
        assert table["name"].values.tolist() == ["rna_seq_0", "rna_seq_0", "rna_seq_0", "rna_seq_1", "rna_seq_1"]
        np.testing.assert_array_equal(source.read(Interval("chr1", 0, 32)), x.astype(np.float32))
    strand = np.array([[1, 2, 9, 1, 2]], np.int32)
    file = write(tmp_path, "a.tfrecord", example("chr1", 0, 32, **parts, rna_seq_strand=strand))
    with pytest.raises(InputError, match="name the slots with `tracks`"):
        AlphaGenomeSource(file)
    names = pd.DataFrame(
        {
            "output_type": ["ATAC"] + ["RNA_SEQ"] * 5,
            "name": ["x", "b", "a", "a", "Padding", "Padding"],
            "strand": [".", ".", "+", "-", ".", "."],
            "biosample_name": ["y", "liver", None, "heart", None, None],
            "nonzero_mean": [1.0, 0.5, 0.25, 0.25, np.nan, np.nan],
        }
    )
    names.to_parquet(tmp_path / "tracks.parquet")
    source = AlphaGenomeSource(file, tracks=tmp_path / "tracks.parquet")
    table = source.tracks()
    assert table["name"].values.tolist() == ["b", "a", "a"]
    assert table["biosample_name"].values.tolist() == ["liver", "", "heart"]
    np.testing.assert_array_equal(source.read(Interval("chr1", 0, 32)), x[:, :3].astype(np.float32))
    names.iloc[:4].to_parquet(tmp_path / "tracks.parquet")
    with pytest.raises(InputError, match="has 3 rows for RNA_SEQ; expected one for each of 5 slots"):
        AlphaGenomeSource(file, tracks=tmp_path / "tracks.parquet")


def test_contact_maps(tmp_path):
    random = np.random.default_rng(3)
    maps = random.normal(size=(2, 6, 6, 2)).astype(np.float32)
    maps = maps + maps.swapaxes(1, 2)
    maps[0, 0, 3] = maps[0, 3, 0] = np.nan
    folder = tmp_path / "CONTACT_MAPS"
    # 5,000 is nearest to bin 2 (4,096), 14,500 to bin 7 (14,336).
    records = [example("chr1", at, at + 6 * 2048, contact_maps=m) for at, m in zip((5000, 14_500), maps, strict=True)]
    write(folder, "data_chr1_0-1.gz.tfrecord", *records)
    source = AlphaGenomeSource(folder, offsets=5)
    assert (source.layout, source.resolution, source.offsets) == ("contacts", 2048, 5)
    band = source.read(Interval("chr1", 0, 16 * 2048))
    wanted = np.full((16, 5, 2), np.nan, np.float32)
    for i in range(6):
        for k in range(5):
            if i + k < 6:
                wanted[7 + i, k] = maps[1, i, i + k]
    for i in range(6):
        for k in range(5):
            if i + k < 6 and np.isfinite(maps[0, i, i + k]).all():
                wanted[2 + i, k] = maps[0, i, i + k]
    np.testing.assert_array_equal(band, wanted)
    np.testing.assert_array_equal(source.read(Interval("chr1", 4 * 2048, 9 * 2048)), wanted[4:9])


def test_splice_sites_and_usage(tmp_path):
    random = np.random.default_rng(4)
    sites = np.eye(5, dtype=bool)[random.integers(0, 5, 50)]
    usage = random.uniform(0, 1, (50, 4)).astype(np.float16)
    source = AlphaGenomeSource(write(tmp_path, "s.tfrecord", example("chr1", 7, 57, splice_sites=sites)))
    assert source.layout == "classes"
    values = source.read(Interval("chr1", 0, 64))
    assert values.dtype == bool
    np.testing.assert_array_equal(values[7:57], sites[:, :4])
    assert not values[:7].any()
    assert not values[57:].any()
    assert source.tracks()["name"].values.tolist() == ["donor", "acceptor", "donor", "acceptor"]
    source = AlphaGenomeSource(write(tmp_path, "u.tfrecord", example("chr1", 7, 57, splice_site_usage=usage)))
    assert source.layout == "usage"
    assert source.tracks()["strand"].values.tolist() == ["+", "+", "-", "-"]
    assert source.tracks()["name"].values.tolist() == ["splice_site_usage_0", "splice_site_usage_1"] * 2
    np.testing.assert_array_equal(source.read(Interval("chr1", 7, 57)), usage.astype(np.float32))


def junction_example(start, positions, counts):
    sites = np.full((4, counts.shape[0]), -1, np.int32)
    for row, each in enumerate(positions):
        sites[row, : len(each)] = each
    return sites, counts, ("chr1", start, start + 100)


@pytest.fixture
def junction_files(tmp_path):
    """Two intervals that overlap, in other shards for the two bundles; 2 tracks, up to 3 sites."""
    first = np.zeros((3, 3, 4), np.float32)
    first[0, 0] = [5, 0, 9, 0]  # '+' 10 -> 30; '-' donor 80, acceptor 60
    first[0, 1] = [2, 4, 0, 0]  # '+' 10 -> 50
    first[1, 0, 0] = 7  # '+' 40 -> 30: backwards, dropped
    first[2, 2] = [3, 3, 3, 3]  # padding
    second = np.zeros((3, 3, 4), np.float32)
    second[0, 0] = [6, 6, np.nan, 1]
    records = {
        1000: junction_example(1000, ([10, 40], [30, 50], [80], [60]), first),
        # The same '+' intron 1011-1050 with other counts, and '-' from donor 95 to acceptor 20.
        1005: junction_example(1005, ([5], [45], [95], [20]), second),
    }
    counts = {at: example(*place, splice_junctions=c) for at, (_, c, place) in records.items()}
    sites = {at: example(*place, splice_site_positions=s) for at, (s, _, place) in records.items()}
    write(tmp_path / "SPLICE_JUNCTIONS", "data_chr1_0-2.gz.tfrecord", counts[1000])
    write(tmp_path / "SPLICE_JUNCTIONS", "data_chr1_1-2.gz.tfrecord", counts[1005])
    write(tmp_path / "SPLICE_SITE_POSITIONS", "data_chr1_0-1.gz.tfrecord", sites[1005], sites[1000])
    return tmp_path, records


def test_junctions(junction_files):
    folder, records = junction_files
    source = AlphaGenomeSource(folder / "SPLICE_JUNCTIONS", positions=folder / "SPLICE_SITE_POSITIONS")
    assert source.layout == "junctions"
    assert source.tracks()["name"].values.tolist() == ["splice_junctions_0", "splice_junctions_1"]
    table = source.read(Interval("chr1", 0, 5000))
    rows = {
        (a, b, s): counts
        for a, b, s, counts in zip(
            table["start"].values.tolist(),
            table["end"].values.tolist(),
            table["strand"].values.tolist(),
            table["count"].values.tolist(),
            strict=True,
        )
    }
    assert rows == {
        (1011, 1030, "+"): [5, 0],
        (1011, 1050, "+"): [2, 4],  # of the first file
        (1026, 1100, "-"): [0, 1],
        (1061, 1080, "-"): [9, 0],
    }
    assert list(rows) == sorted(rows)
    assert table["count"].dtype == np.float32
    part = source.read(Interval("chr1", 1012, 1061))
    assert part["start"].values.tolist() == [1026]
    # Both tensors in one record
    sites, counts, place = records[1000]
    both = write(folder, "both.tfrecord", example(*place, splice_junctions=counts, splice_site_positions=sites))
    assert AlphaGenomeSource(both).read(Interval("chr1", 0, 5000)).sizes["junction"] == 3


def test_junctions_that_are_refused(junction_files):
    folder, records = junction_files
    with pytest.raises(InputError, match="set `positions` to their bundle"):
        AlphaGenomeSource(folder / "SPLICE_JUNCTIONS")
    with pytest.raises(InputError, match="give SPLICE_JUNCTIONS, and this as `positions`"):
        AlphaGenomeSource(folder / "SPLICE_SITE_POSITIONS")
    sites, _, place = records[1000]
    lone = write(folder / "lone", "data_chr1_0-1.gz.tfrecord", example(*place, splice_site_positions=sites))
    source = AlphaGenomeSource(folder / "SPLICE_JUNCTIONS", positions=lone)
    with pytest.raises(InputError, match="no record of `positions` has its interval, chr1:1,006-1,105"):
        source.read(Interval("chr1", 0, 5000))
    write(folder / "lone", lone.name, example(*place, splice_site_positions=sites[:, :2].copy()))
    source = AlphaGenomeSource(folder / "SPLICE_JUNCTIONS", positions=lone)
    with pytest.raises(InputError, match=r"positions \(4, 2\); expected"):
        source.read(Interval("chr1", 0, 5000))


@settings(max_examples=30)
@given(st.integers(0, 40), st.integers(1, 40), st.integers(0, 2**31))
def test_every_base_is_what_its_record_says(tmp_path_factory, start, width, seed):
    x = bf16(np.random.default_rng(seed), width, 1)
    record = example("c", start, start + width, x=x, x_mask=np.ones((1, 1), bool))
    file = write(tmp_path_factory.mktemp("b") / "ATAC", "r.tfrecord", record)
    values = AlphaGenomeSource(file).read(Interval("c", 0, 80))[:, 0]
    np.testing.assert_array_equal(values[start : start + width], x[:, 0].astype(np.float32))
    assert np.isnan(np.delete(values, np.arange(start, start + width))).all()


def test_files_that_are_refused(tmp_path):
    x, mask = np.ones((8, 2), BF16), np.ones((1, 2), bool)
    good = example("chr1", 0, 8, x=x, x_mask=mask)
    plain = write(tmp_path, "a.tfrecord", good)
    with pytest.raises(InputError, match="does not tell its bundle; set `bundle`"):
        AlphaGenomeSource(plain)
    assert AlphaGenomeSource(plain, bundle="CAGE").bundle.name == "CAGE"
    with pytest.raises(InputError, match="bundle 'MNASE'"):
        AlphaGenomeSource(plain, bundle="MNASE")
    with pytest.raises(InputError, match="no feature 'contact_maps', as CONTACT_MAPS has"):
        AlphaGenomeSource(plain, bundle="CONTACT_MAPS")
    with pytest.raises(InputError, match=r"no \*.tfrecord files"):
        AlphaGenomeSource(tmp_path / "..", bundle="CAGE")
    with pytest.raises(InputError, match="holds no records"):
        AlphaGenomeSource(write(tmp_path, "none.tfrecord"), bundle="CAGE")

    def refused(message, *records, name="b.tfrecord", bundle="CAGE"):
        with pytest.raises(InputError, match=message):
            AlphaGenomeSource(write(tmp_path, name, *records), bundle=bundle).read(Interval("chr1", 0, 8))

    other = "record 2 has 3 slots of bfloat16, the first record 2"
    refused(other, good, example("chr1", 8, 16, x=np.ones((8, 3), BF16), x_mask=np.ones((1, 3), bool)))
    refused("record 2 has 2 slots of float32", good, example("chr1", 8, 16, x=np.ones((8, 2), "f4"), x_mask=mask))
    refused("x_mask is bool of 3; expected", example("chr1", 0, 8, x=x, x_mask=np.ones((1, 3), bool)))
    refused("has no tensor 'x_mask'", example("chr1", 0, 8, x=x))
    refused("9 bins of 1 bp do not lie in the middle", example("chr1", 0, 8, x=np.ones((9, 2), BF16), x_mask=mask))
    refused("7 bins of 1 bp do not lie", example("chr1", 0, 8, x=np.ones((7, 2), BF16), x_mask=mask))
    refused(r"x is bfloat16 of shape \(8,\)", example("chr1", 0, 8, x=np.ones(8, BF16), x_mask=mask))
    refused("but the file's name says chr1", example("chr2", 0, 8, x=x, x_mask=mask), name="data_chr1_0-1.gz.tfrecord")
    sites = example("chr1", 0, 8, splice_sites=np.ones((8, 4), bool))
    refused(r"which is not that of SPLICE_SITES", sites, bundle="SPLICE_SITES")
    lost = message_classes()["Example"]()
    lost.features.feature["x"].bytes_list.value.append(b"")
    refused("record 1 has no interval", frame(lost.SerializeToString()))
    (tmp_path / "cut.tfrecord").write_bytes(plain.read_bytes()[:-12])
    with pytest.raises(InputError, match="record 1: the compressed data are cut off"):
        AlphaGenomeSource(tmp_path / "cut.tfrecord", bundle="CAGE")
