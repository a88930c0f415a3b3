"""The genome as codes: equal to the FASTA file, wherever the window lies."""

import json
import struct

import numpy as np
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.sequence import encode
from ag_data.fasta import Fasta
from ag_data.genome_store import Genome, check_same_genome, open_genome, reverse_complement_codes, write_genome
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture
def fasta(write_fasta):
    random = np.random.default_rng(0)
    bases = "".join(random.choice(list("ACGTNacgtR"), 500))
    return write_fasta({"chr1": bases, "chrM": "ACGT", "chr2:101-160": bases[:60], "chr2:201-230": bases[:30]})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["chr1", "1", "MT", "chr2"]),
    start=st.integers(-50, 250),
    width=st.integers(1, 400),
    s=st.sampled_from("+-"),
)
def test_codes_are_those_of_the_bases(fasta, name, start, width, s):
    interval = Interval(name, start, start + width, s)
    genome, text = open_genome(fasta), Fasta(fasta)
    beyond = start >= text.lengths[text.find_chromosome(name)] and name != "chr2"
    if beyond or interval.end < 0:
        assert (genome.codes(interval) == 4).all()
    else:
        np.testing.assert_array_equal(genome.codes(interval), encode(text.fetch(interval)))


def test_digests_are_refget(write_fasta):
    # GA4GH refget 2.0 gives this digest for ACGT, whatever the case.
    genome = open_genome(write_fasta({"a": "ACGT", "b": "acgt", "c:3-6": "ACGT"}))
    assert genome.digest("a") == genome.digest("b") == "SQ.aKF498dAxcJAqme6QYQ7EZ07-fiw8Kw2"
    assert genome.digest("c").startswith("PC.")
    assert genome.partial == {"c"}
    assert genome.lengths["c"] == 6
    contigs = {"a": {"length": 4, "digest": genome.digest("a")}}
    check_same_genome(genome, contigs, "store")
    contigs["a"]["digest"] = "SQ.other"
    with pytest.raises(InputError, match="store was made on another genome"):
        check_same_genome(genome, contigs, "store")


def test_the_codes_are_made_once(fasta, tmp_path, cache):
    open_genome(fasta)
    (folder,) = cache.glob("*.genome")
    stamp = (folder / "codes.u8").stat().st_mtime_ns
    open_genome(fasta)
    assert (folder / "codes.u8").stat().st_mtime_ns == stamp
    write_genome([Fasta(fasta)], tmp_path / "kept")
    assert open_genome(tmp_path / "kept").lengths == open_genome(fasta).lengths
    with pytest.raises(InputError, match="exists already"):
        write_genome([Fasta(fasta)], tmp_path / "kept")


def test_what_is_no_genome_is_refused(fasta, tmp_path):
    with pytest.raises(InputError, match="holds no genome"):
        open_genome(tmp_path)
    write_genome([Fasta(fasta)], tmp_path / "g")
    index = tmp_path / "g" / "genome.json"
    good = json.loads(index.read_text())
    index.write_text(json.dumps({**good, "format": 9}))
    with pytest.raises(InputError, match=r"has format 9.*upgrade"):
        Genome(tmp_path / "g")
    index.write_text(json.dumps(good))
    with (tmp_path / "g" / "codes.u8").open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match="not 594 bytes long"):
        Genome(tmp_path / "g")
    with pytest.raises(InputError, match="has no chromosome 'chr7'"):
        open_genome(fasta).codes(Interval("chr7", 0, 5))


@given(st.lists(st.integers(0, 4)))
def test_reverse_complement_of_codes(codes):
    codes = np.array(codes, np.uint8)
    back = reverse_complement_codes(reverse_complement_codes(codes))
    np.testing.assert_array_equal(back, codes)


def test_several_files_make_one_genome(write_fasta):
    parts = [write_fasta({name: bases}, f"{name}.fa") for name, bases in (("chr1", "ACGTN"), ("chr2", "TTT"))]
    genome = open_genome(*parts)
    assert genome.lengths == {"chr1": 5, "chr2": 3}
    assert genome.codes(Interval("chr2", -1, 2)).tolist() == [4, 3, 3]
    with pytest.raises(InputError, match="has chr1, and so has another file"):
        open_genome(parts[0], write_fasta({"chr1": "A"}, "again.fa"))


def test_2bit(tmp_path):
    """A file written by hand after UCSC's description: 4 bases a byte (T, C, A, G = 0..3), one block of N."""
    bases = "ACGTNNGTAC"
    codes = ["TCAG".index(base if base != "N" else "T") for base in bases] + [0, 0]
    packed = bytes(sum(c << shift for c, shift in zip(codes[i : i + 4], (6, 4, 2, 0), strict=True)) for i in (0, 4, 8))
    header = struct.pack("<4I", 0x1A412743, 0, 1, 0) + b"\x04chr7" + struct.pack("<I", 16 + 5 + 4)
    record = struct.pack("<IIIIII", len(bases), 1, 4, 2, 0, 0) + packed
    (tmp_path / "g.2bit").write_bytes(header + record)
    genome = open_genome(tmp_path / "g.2bit")
    np.testing.assert_array_equal(genome.codes(Interval("chr7", 0, 10)), encode(bases))
    (tmp_path / "bad.2bit").write_bytes(b"something else")
    with pytest.raises(InputError, match=r"bad.2bit cannot be read as .2bit"):
        open_genome(tmp_path / "bad.2bit")
