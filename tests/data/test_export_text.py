"""Predictions as text: bedGraph and BED12, without a model."""

import gzip
import json

import numpy as np
import pysam
import pytest
from ag_core.errors import InputError
from ag_core.schema import track_table
from ag_data.export import Block, MemoryWriter, write_bed12, write_bedgraphs

LENGTH = 1_000
TABLE = track_table({"name": ["x y", "x/y"], "strand": ["+", "-"]})
ATTRS = {"model": "m", "chromosomes": {"chr1": LENGTH, "chr2": LENGTH}}
JUNCTIONS = {"start": [11, 40, 40], "end": [20, 90, 60], "strand": ["+", "-", "."]}


def unpack(path):
    return gzip.decompress(path.read_bytes()).decode()


def signal(writer, place, start, values, *, modality="cage", resolution=1, chromosome="chr1", **attrs):
    values = np.asarray(values, np.float32)
    interval = f"{chromosome}:{start}-{start + len(values) * resolution}:."
    attrs = {"interval": interval, "region": interval, "resolution": resolution, "modality": modality, **attrs}
    writer.create(place, Block(modality, "prediction", ("position", "track"), values.shape, attrs))[:] = values


def junctions(writer, counts, place="", **attrs):
    attrs = {"interval": "chr1:0-100:.", "region": "chr1:0-100:.", "resolution": 1, "modality": "junctions", **attrs}
    coords = {name: np.array(values) for name, values in JUNCTIONS.items()}
    coords["strand"] = coords["strand"].astype(object)
    counts = np.asarray(counts, np.float32)
    writer.create(place, Block("junctions", "count", ("junction", "track"), counts.shape, attrs, coords))[:] = counts
    return writer.tree()


def test_a_bedgraph_holds_one_track_with_equal_neighbours_joined(tmp_path):
    writer = MemoryWriter({"cage": TABLE.isel(track=[0])}, ATTRS)
    signal(writer, "b", 20, [[0.1], [0.1], [np.nan], [2.0]])
    signal(writer, "a", 4, [[1e-9]], chromosome="chr2")
    (path,) = write_bedgraphs(writer.tree(), tmp_path / "one.bedgraph")
    lines = ["chr1\t20\t22\t0.1", "chr1\t23\t24\t2.0", "chr2\t4\t5\t1e-09"]
    assert path.read_text().splitlines() == lines
    (packed,) = write_bedgraphs(writer.tree(), tmp_path / "one.bedGraph.gz")
    assert unpack(packed).splitlines() == lines
    with pysam.TabixFile(str(packed)) as file:
        assert list(file.fetch("chr1", 23, 24)) == lines[1:2]


def test_a_folder_holds_a_bedgraph_for_each_track(tmp_path):
    writer = MemoryWriter({"chip_tf": TABLE}, ATTRS)
    signal(writer, "", 128, [[1, 2], [1, 3]], modality="chip_tf", resolution=128)
    folder = tmp_path / "all.bedgraphs"
    paths = write_bedgraphs(writer.tree(), folder)
    assert [path.name for path in paths] == ["chip_tf.x_y_plus.bedgraph.gz", "chip_tf.x_y_minus.bedgraph.gz"]
    assert unpack(paths[0]) == "chr1\t128\t384\t1.0\n"
    assert unpack(paths[1]) == "chr1\t128\t256\t2.0\nchr1\t256\t384\t3.0\n"
    about = json.loads((folder / "tracks.json").read_text())
    assert about["chip_tf.x_y_minus.bedgraph.gz"]["name"] == "x/y"
    assert len(write_bedgraphs(writer.tree(), folder)) == 2  # its own folder is replaced
    (tmp_path / "other.bedgraphs").mkdir()
    (tmp_path / "other.bedgraphs" / "mine").write_text("x")
    with pytest.raises(InputError, match="was not made by this command"):
        write_bedgraphs(writer.tree(), tmp_path / "other.bedgraphs")


def test_what_a_bedgraph_cannot_hold_is_refused(tmp_path):
    writer = MemoryWriter({"cage": TABLE, "junctions": TABLE}, ATTRS)
    signal(writer, "", 0, [[1, 2]])
    with pytest.raises(InputError, match=r"can hold one track, but there are 2; give a folder \(-o .*one.bedgraphs\)"):
        write_bedgraphs(writer.tree(), tmp_path / "one.bedgraph.gz")
    writer = MemoryWriter({"cage": TABLE.isel(track=[0])}, ATTRS)
    signal(writer, "a", 0, [[1], [2]])
    signal(writer, "b", 1, [[1], [2]])
    with pytest.raises(InputError, match="regions 'a' and 'b' overlap, and bedGraph has one value"):
        write_bedgraphs(writer.tree(), tmp_path / "one.bedgraph")
    with pytest.raises(InputError, match="nothing to write as bedGraph: the predictions have junctions"):
        write_bedgraphs(
            junctions(MemoryWriter({"junctions": TABLE}, ATTRS), np.ones((3, 2))), tmp_path / "one.bedgraph"
        )


def test_bed12_has_the_exonic_bases_as_blocks_and_the_intron_between(tmp_path):
    tree = junctions(MemoryWriter({"junctions": TABLE}, ATTRS), [[1, 4], [2, np.nan], [np.nan, 0.5]])
    text = write_bed12(tree, tmp_path / "one.bed12").read_text()
    assert [line.split("\t") for line in text.splitlines()] == [
        ["chr1", "10", "21", "4.0", "1000", "+", "11", "20", "0,114,178", "2", "1,1", "0,10"],
        ["chr1", "39", "61", "0.5", "125", ".", "40", "60", "77,77,77", "2", "1,1", "0,21"],
        ["chr1", "39", "91", "2.0", "500", "-", "40", "90", "213,94,0", "2", "1,1", "0,51"],
    ]
    packed = write_bed12(tree, tmp_path / "one.junctions.bed.gz")
    assert unpack(packed) == text
    with pysam.TabixFile(str(packed)) as file:
        assert len(list(file.fetch("chr1", 70, 80))) == 1


def test_bed12_without_any_count_has_scores_of_zero(tmp_path):
    tree = junctions(MemoryWriter({"junctions": TABLE}, ATTRS), np.full((3, 2), np.nan))
    text = write_bed12(tree, tmp_path / "one.bed12").read_text()
    assert {line.split("\t")[4] for line in text.splitlines()} == {"0"}


def test_what_bed12_cannot_hold_is_refused(tmp_path):
    writer = MemoryWriter({"junctions": TABLE, "cage": TABLE}, ATTRS)
    junctions(writer, np.ones((3, 2)), place="REF", allele="REF")
    with pytest.raises(InputError, match=r"BED12 holds one allele; write \.zarr"):
        write_bed12(writer.tree(), tmp_path / "one.bed12")
    writer = MemoryWriter({"cage": TABLE}, ATTRS)
    signal(writer, "", 0, [[1, 2]])
    with pytest.raises(InputError, match="nothing to write as BED12: the predictions have cage"):
        write_bed12(writer.tree(), tmp_path / "one.bed12")
