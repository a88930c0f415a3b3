"""Borzoi's training sets: records, un-squashing, places of windows, targets tables, and the DNA they carry."""

import json
import math
import struct
import zlib

import google_crc32c
import numpy as np
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.plugins import registry
from ag_core.schema import strand_partners
from ag_data.fasta import Fasta
from ag_data.manifest import make_manifest
from ag_data.sources.borzoi import BorzoiSource, unsquash, write_windows_fasta
from ag_data.sources.borzoi_files import read_spans
from ag_data.sources.tensor_proto import message_classes
from ag_data.sources.tfrecord import read_records
from ag_data.sources.windows import Windows
from ag_data.targets_table import Target, manifest_entries, read_targets
from hypothesis import given, settings
from hypothesis import strategies as st

HEAD = "\tidentifier\tfile\tclip\tclip_soft\tscale\tsum_stat\tstrand_pair\tdescription\n"
TARGETS = (
    "0\tC1+\tc1.bw\t384\t8\t1.0\tsum_sqrt\t2\tCAGE:liver\n"
    "1\tD1\td1.bw\t128\t32\t2.0\tmean\t1\tDNASE:heart: left\n"
    "2\tC1-\tc1m.bw\t384\t8\t1.0\tsum_sqrt\t0\tCAGE:liver\n"
    "3\tC2-\tc2m.bw\t384\t8\t0.5\tsum_sqrt\t4\tCAGE:brain\n"
    "4\tC2+\tc2.bw\t384\t8\t0.5\tsum_sqrt\t3\tCAGE:brain\n"
)
BINS, POOL, EXTRA = 8, 32, 64  # of a window, of a bin, on each side


def frame(data):
    def crc(part):
        value = google_crc32c.value(part)
        return struct.pack("<I", ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(data))
    return length + crc(length) + data + crc(data)


def example(**features):
    message = message_classes()["Example"]()
    for name, value in features.items():
        message.features.feature[name].bytes_list.value.append(value)
    return message.SerializeToString()


def write_shard(path, sequences, targets):
    records = [
        frame(example(sequence=s.tobytes(), target=t.tobytes())) for s, t in zip(sequences, targets, strict=True)
    ]
    path.write_bytes(zlib.compress(b"".join(records)))
    return path


@pytest.fixture
def training_set(tmp_path):
    """Five windows of split a in shards of two, one of split b; some off the grid, two that overlap."""
    random = np.random.default_rng(4)
    genome = random.integers(0, 4, 5000).astype(np.uint8)
    starts = {"a": [320, 1003, 2080, 2080 + 128, 40], "b": [4000]}
    (tmp_path / "targets.txt").write_text(HEAD + TARGETS)
    (tmp_path / "statistics.json").write_text(json.dumps({"pool_width": POOL}))
    rows = [f"chr1\t{at}\t{at + BINS * POOL}\t{split}" for split, every in starts.items() for at in every]
    (tmp_path / "sequences.bed").write_text("\n".join(rows) + "\n")
    folder = tmp_path / "tfrecords"
    folder.mkdir()
    targets = np.round(random.uniform(0, 12, (6, BINS, 5)), 2).astype(np.float16)
    # What overlaps agrees.
    targets[3, : BINS - 4] = targets[2, 4:]
    padded = np.concatenate([np.full(EXTRA, 4, np.uint8), genome])
    sequences = np.stack([padded[at : at + BINS * POOL + 2 * EXTRA] for every in starts.values() for at in every])
    for number in range(3):
        rows = slice(2 * number, min(2 * number + 2, 5))
        write_shard(folder / f"a-{number}.tfr", sequences[rows], targets[rows])
    write_shard(folder / "b-0.tfr", sequences[5:], targets[5:])
    np.savez(tmp_path / "all_a.npz", seq=sequences[:5], target=targets[:5])
    return tmp_path, targets, sequences, genome


def squash(sums, target, width=POOL):
    """The forward direction, as the sets were made: scale, pool, root, soft clip."""
    x = sums * target.scale / (width if target.sum_stat.startswith("mean") else 1)
    x = {"sum_sqrt": np.sqrt(1 + x) - 1, "sum_exp75": (1 + x) ** 0.75 - 1}.get(target.sum_stat, x)
    return np.where(x > target.clip_soft, target.clip_soft - 1 + np.sqrt(np.maximum(x - target.clip_soft + 1, 0)), x)


def squash_old(sums, target, width=POOL):
    x = sums / (width if target.sum_stat.startswith("mean") else 1)
    x = x**0.75 if target.sum_stat.endswith("_sqrt") else x
    x = np.where(x > target.clip_soft, target.clip_soft + np.sqrt(np.maximum(x - target.clip_soft, 0)), x)
    return x * target.scale


@pytest.mark.parametrize("statistic", ["sum", "sum_sqrt", "sum_exp75", "mean"])
@pytest.mark.parametrize("soft", [5.0, math.inf])
def test_squashing_is_undone(statistic, soft):
    target = Target(0, "x", ".", "", 384.0, soft, 0.3, statistic, 0, "")
    sums = np.linspace(0, 5000, 400)[:, None]
    np.testing.assert_allclose(unsquash(squash(sums, target), [target], POOL), sums, rtol=1e-6, atol=1e-5)
    if statistic != "sum_exp75":
        np.testing.assert_allclose(
            unsquash(squash_old(sums, target), [target], POOL, "old"), sums, rtol=1e-6, atol=1e-5
        )


def test_values_lie_where_the_table_says(training_set):
    folder, targets, _, _ = training_set
    source = registry().create("sources", "borzoi", folder / "tfrecords", split="a")
    assert (source.layout, source.resolution) == ("signal", POOL)
    table = source.tracks()
    assert list(zip(table["name"].values, table["strand"].values, strict=True)) == [
        ("C1", "+"),
        ("C2", "+"),
        ("C1", "-"),
        ("C2", "-"),
        ("D1", "."),
    ]
    assert strand_partners(table).tolist() == [2, 3, 0, 1, 4]
    assert table["biosample_name"].values.tolist() == ["liver", "brain", "liver", "brain", "heart: left"]
    columns = [0, 4, 2, 3, 1]
    raw = unsquash(targets[:, :, columns], read_targets(folder / "targets.txt"), POOL)
    values = source.read(Interval("chr1", 0, 2560))
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values[10:18], raw[0])  # at 320, on the grid
    # At 1003 = 31 * 32 + 11: bin 32 holds 11 bp of one bin of the window and 21 of the next.
    blend = raw[1, :-1] * (11 / 32) + raw[1, 1:] * (21 / 32)
    np.testing.assert_allclose(values[32:39], blend, rtol=1e-6)
    np.testing.assert_array_equal(values[65:73], raw[2])
    np.testing.assert_array_equal(values[73:77], raw[3, 4:])
    np.testing.assert_allclose(values[2:9], raw[4, :-1] * (8 / 32) + raw[4, 1:] * (24 / 32), rtol=1e-6)
    known = np.zeros(80, bool)
    for first, last in [(10, 18), (32, 39), (65, 77), (2, 9)]:
        known[first:last] = True
    np.testing.assert_array_equal(np.isnan(values).all(axis=1), ~known)
    blocks = [source.read(Interval("chr1", at, at + 96)) for at in range(0, 2496, 96)]
    np.testing.assert_array_equal(np.concatenate(blocks), values[:78])
    assert source.facts()["windows"] == 5
    near = BorzoiSource(folder / "all_a.npz", align="nearest").read(Interval("chr1", 0, 2560))
    np.testing.assert_array_equal(near[31:39], raw[1])
    np.testing.assert_array_equal(near[1:9], raw[4])


def test_shards_and_arrays_say_the_same(training_set):
    folder = training_set[0]
    stretch = Interval("chr1", 0, 3200)
    wanted = BorzoiSource(folder / "all_a.npz").read(stretch)
    shards = [str(folder / "tfrecords" / f"a-{number}.tfr") for number in (2, 0, 1)]
    np.testing.assert_array_equal(BorzoiSource(shards).read(stretch), wanted)
    np.testing.assert_array_equal(BorzoiSource(shards[0], shard_size=2).read(stretch)[2:9], wanted[2:9])
    lone = BorzoiSource(shards[0], first_row=4).read(stretch)
    np.testing.assert_array_equal(lone[2:9], wanted[2:9])
    assert np.isnan(lone[10:]).all()
    cage = BorzoiSource(folder / "all_a.npz", select="^CAGE:")
    assert cage.tracks()["assay"].values.tolist() == ["CAGE"] * 4
    np.testing.assert_array_equal(cage.read(stretch), wanted[:, :4])
    # Everything in the folder
    both = BorzoiSource(folder / "tfrecords")
    assert np.isfinite(both.read(Interval("chr1", 4000, 4256))).all()
    assert both.facts()["windows"] == 6


def test_what_cannot_be_placed_is_refused(training_set):
    folder = training_set[0]
    shard = folder / "tfrecords" / "a-1.tfr"
    with pytest.raises(InputError, match="which windows does it hold"):
        BorzoiSource(shard)
    with pytest.raises(InputError, match="starts at row 7 of 'a', which has 5"):
        BorzoiSource(shard, first_row=7)
    with pytest.raises(InputError, match="file starts at row 4"):
        BorzoiSource(shard, first_row=4)
    with pytest.raises(InputError, match="more windows than the table: 'b' has 1 rows"):
        BorzoiSource(folder / "all_a.npz", split="b")
    with pytest.raises(InputError, match="split is not told by its name"):
        BorzoiSource(shard.rename(folder / "tfrecords" / "x-1.tfr"))
    with pytest.raises(InputError, match=r"no sequences.bed beside"):
        BorzoiSource("/nowhere/at/all/a-0.tfr")
    with pytest.raises(InputError, match=r"expected .*window, 4 bins"):
        BorzoiSource(folder / "all_a.npz", pool_width=64)
    with pytest.raises(InputError, match="no target has a description like 'CHIP'; their assays are CAGE, DNASE"):
        BorzoiSource(folder / "all_a.npz", select="CHIP")
    (folder / "targets.txt").write_text(HEAD + TARGETS + "5\tM\tm.bw\t1\t1\t1\tmax\t5\tATAC:x\n")
    with pytest.raises(InputError, match="max cannot be turned into sums"):
        BorzoiSource(folder / "all_a.npz")
    with pytest.raises(InputError, match="has 5 targets, but the table numbers them up to 5"):
        BorzoiSource(folder / "all_a.npz", select="CAGE")


@given(st.binary(min_size=0, max_size=300), st.integers(0, 2**31))
@settings(max_examples=30)
def test_records_survive_and_damage_is_seen(tmp_path_factory, data, seed):
    path = tmp_path_factory.mktemp("records") / "a.tfr"
    records = [data, b"", data[::-1]]
    plain = b"".join(map(frame, records))
    packed = zlib.compressobj(wbits=31)
    for content in (plain, zlib.compress(plain), packed.compress(plain) + packed.flush()):
        path.write_bytes(content)
        assert list(read_records(path)) == records
        path.write_bytes(content[:-5])
        with pytest.raises(InputError, match=r"truncated at record|cut off"):
            list(read_records(path))
    at = seed % len(plain)
    path.write_bytes(plain[:at] + bytes([plain[at] ^ 1 << seed % 8]) + plain[at + 1 :])
    with pytest.raises(InputError, match=r"checksum|damaged|no TFRecord"):
        list(read_records(path))


def test_other_files_are_no_records(tmp_path, training_set):
    (tmp_path / "a.txt").write_text("some text that is long enough")
    with pytest.raises(InputError, match="is no TFRecord file"):
        list(read_records(tmp_path / "a.txt"))
    wrong = training_set[0] / "tfrecords" / "a-0.tfr"
    wrong.write_bytes(zlib.compress(frame(example(dna=b"ACGT"))))
    with pytest.raises(InputError, match="record 1 has the features dna; expected sequence and target"):
        BorzoiSource(wrong, shard_size=2)
    wrong.write_bytes(zlib.compress(frame(b"\x0a\xff")))
    with pytest.raises(InputError, match=r"record 1 is no tf.train.Example"):
        BorzoiSource(wrong, shard_size=2)


def test_values_keep_their_place_and_sum():
    """Sharing out over the grid keeps the sum of what lies inside, and never moves a value by a bin."""
    for phase in range(0, 32, 5):
        windows = Windows(1, np.dtype(np.float32), 32)
        values = np.zeros((10, 1), np.float32)
        values[4] = 64
        windows.add("c", 320 + phase, values)
        ((first, piece),) = windows.read(Interval("c", 0, 960))
        assert (first, len(piece)) == ((10, 10) if phase == 0 else (11, 9))
        assert piece.sum() == 64
        centre = ((first + np.arange(len(piece)) + 0.5) * 32 * piece[:, 0]).sum() / 64
        assert centre == pytest.approx(320 + phase + 4.5 * 32)


@pytest.mark.parametrize("name", ["dna.fa", "dna.fa.gz"])
def test_dna_of_windows_is_a_genome(training_set, name):
    folder, _, _, genome = training_set
    paths = [folder / "all_a.npz", folder / "tfrecords" / "b-0.tfr"]
    # [-24, 640) with the first 24 bp before the chromosome, [939, 1323), [2016, 2528), [3936, 4320)
    assert write_windows_fasta(paths, folder / "sequences.bed", folder / name) == 4
    fasta = Fasta(folder / name)
    assert [piece[:2] for piece in fasta.pieces()["chr1"]] == [(0, 640), (939, 1323), (2016, 2528), (3936, 4320)]
    text = "".join("ACGT"[code] for code in genome)
    for start, end in [(0, 640), (939, 1323), (2016, 2528), (3936, 4320)]:
        assert fasta.fetch(Interval("chr1", start, end)) == text[start:end]
    assert fasta.fetch(Interval("chr1", 640, 939)) == "N" * 299


def test_dna_that_disagrees_is_refused(training_set):
    folder, targets, sequences, _ = training_set
    sequences[3, 10] = (sequences[3, 10] + 1) % 4
    np.savez(folder / "all_a.npz", seq=sequences[:5], target=targets[:5])
    with pytest.raises(InputError, match="window 4 has other bases than a window that overlaps it at chr1:2,144"):
        write_windows_fasta([folder / "all_a.npz"], folder / "sequences.bed", folder / "dna.fa")
    assert not (folder / "dna.fa").exists()


def test_one_hot_sequences(training_set):
    folder, targets, sequences, _ = training_set
    hot = np.eye(5, 4, dtype=np.uint8)[sequences[:5]].reshape(5, -1)
    np.savez(folder / "hot_a.npz", seq=hot, target=targets[:5])
    bed = folder / "sequences.bed"
    write_windows_fasta([folder / "hot_a.npz"], bed, folder / "hot.fa")
    write_windows_fasta([folder / "all_a.npz"], bed, folder / "codes.fa")
    assert (folder / "hot.fa").read_bytes() == (folder / "codes.fa").read_bytes()


def test_targets_as_a_manifest(tmp_path):
    path = tmp_path / "targets.txt"
    path.write_text(
        HEAD
        + TARGETS
        + "5\tH\t/data/h.bw\t64\t\t\tsum\t5\tCHIP:H3K27ac:liver\n6\tT\tt.bigWig\t64\t32\t1\tsum\t6\tCHIP:HNF4A:liver\n"
    )
    entries = manifest_entries(path)
    assert [(entry["name"], entry["strand"], entry["modality"]) for entry in entries] == [
        ("C1", "+", "cage"),
        ("C2", "+", "cage"),
        ("C1", "-", "cage"),
        ("C2", "-", "cage"),
        ("D1", ".", "dnase"),
        ("H", ".", "chip_histone"),
        ("T", ".", "chip_tf"),
    ]
    assert entries[2]["path"] == str(tmp_path / "c1m.bw")
    assert entries[5] == {
        "path": "/data/h.bw",
        "source": "bigwig",
        "name": "H",
        "strand": ".",
        "assay": "CHIP",
        "biosample_name": "liver",
        "modality": "chip_histone",
        "histone_mark": "H3K27ac",
        "description": "CHIP:H3K27ac:liver",
        "sum_stat": "sum",
        "clip": 64.0,
        "scale": 1.0,
    }
    assert entries[6]["transcription_factor"] == "HNF4A"
    manifest = make_manifest({"genome": "a.fa", "organism": "human", "targets": "targets.txt"}, folder=tmp_path)
    assert len(manifest.tracks) == 7


REFUSED = {
    "w5": ("0\tC\tc.w5\t1\t1\t1\tsum\t0\tCAGE:x\n", "is 'c.w5', no bigWig; convert it"),
    "assay": ("0\tC\tc.bw\t1\t1\t1\tsum\t0\tMNASE:x\n", "is described as 'MNASE:x'"),
    "statistic": ("0\tC\tc.bw\t1\t1\t1\tmode\t0\tCAGE:x\n", "line 2: .* sum_stat 'mode'"),
    "scale": ("0\tC\tc.bw\t1\t1\t-1\tsum\t0\tCAGE:x\n", "line 2: scale is '-1'"),
    "number": ("x\tC\tc.bw\t1\t1\t1\tsum\t0\tCAGE:x\n", "line 2: invalid literal"),
    "twice": ("0\tC\tc.bw\t1\t1\t1\tsum\t0\tCAGE:x\n" * 2, "line 3: the number 0 occurs twice"),
    "names": (
        "0\tC\tc.bw\t1\t1\t1\tsum\t0\tCAGE:x\n1\tC\tc.bw\t1\t1\t1\tsum\t1\tCAGE:x\n",
        "'C' on strand '.' occurs twice",
    ),
    "partner": ("0\tC+\tc.bw\t1\t1\t1\tsum\t3\tCAGE:x\n", r"C\+ \(0\) names 3 \(not there\)"),
    "signs": (
        "0\tC+\tc.bw\t1\t1\t1\tsum\t1\tCAGE:x\n1\tD+\tc.bw\t1\t1\t1\tsum\t0\tCAGE:x\n",
        "identifiers that end in",
    ),
    "short": ("0\tC\tc.bw\n", "line 2: "),
    "none": ("", "has no rows"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_tables_of_targets_that_are_refused(tmp_path, case):
    text, message = REFUSED[case]
    (tmp_path / "targets.txt").write_text(HEAD + text)
    with pytest.raises(InputError, match=message):
        manifest_entries(tmp_path / "targets.txt")


def test_tables_of_windows_that_are_refused(tmp_path):
    path = tmp_path / "sequences.bed"
    path.write_text("chr1\t0\t32\n")
    with pytest.raises(InputError, match="line 1: expected chromosome, start, end and split"):
        read_spans(path)
    path.write_text("chr1\t0\t32\ta\nchr1\t0\t64\ta\n")
    with pytest.raises(InputError, match=r"windows are \[32, 64\] bp long; expected one length"):
        read_spans(path)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("genome", "split"), [("hg38", "train"), ("hg38", "valid"), ("mm10", "train"), ("mm10", "valid")]
)
def test_real_training_set(genome, split, tmp_path, shared):
    tiny = shared / "borzoi_tiny"
    tables = {"bed": tiny / genome / "sequences.bed", "targets": tiny / genome / "targets.txt"}
    source = BorzoiSource(tiny / f"{genome}_{split}.npz", **tables)
    table, spans = source.tracks(), read_spans(tables["bed"])[split]
    partner = strand_partners(table)
    assert (table["name"].values[partner] == table["name"].values).all()
    assert (table["biosample_name"].values[partner] == table["biosample_name"].values).all()
    with np.load(tiny / f"{genome}_{split}.npz") as file:
        targets, sequences = file["target"], file["seq"]
    assays = table["assay"].values
    total = []
    for span, squashed in zip(spans, targets, strict=True):
        values = source.read(Interval(span.chromosome, span.start // 32 * 32, -(-span.end // 32) * 32))
        assert np.nanmin(values) >= 0
        raw = unsquash(squashed[:, [target.column for target in source._targets]], source._targets, 32)
        # Only the two halves of a bin at the ends are lost.
        assert (np.nansum(values, axis=0) <= raw.sum(axis=0) * (1 + 1e-4) + 1e-3).all()
        assert (np.nansum(values, axis=0) >= (raw.sum(axis=0) - raw[0] - raw[-1]) * (1 - 1e-4) - 1e-3).all()
        total.append(np.nanmean(values, axis=0))
    mean = np.mean(total, axis=0)
    assert 0.005 < mean[assays == "CAGE"].mean() < 1  # 5' ends in 32 bp
    assert 0.1 < mean[assays == "DNASE"].mean() < 10
    if (genome, split) == ("hg38", "train"):
        shard = BorzoiSource(tiny / "hg38/train-11.tfr", shard_size=4)
        place = Interval(spans[44].chromosome, spans[44].start // 32 * 32, -(-spans[44].end // 32) * 32)
        np.testing.assert_array_equal(shard.read(place), source.read(place))
    assert write_windows_fasta([tiny / f"{genome}_{split}.npz"], tables["bed"], tmp_path / "a.fa") == len(spans)
    fasta = Fasta(tmp_path / "a.fa")
    for span, codes in zip(spans[:3], sequences[:3], strict=True):
        text = fasta.fetch(Interval(span.chromosome, span.start - 32_768, span.end + 32_768))
        assert text == "".join("ACGTN"[code] for code in codes)
