import gzip
import os
import pickle
import random
import time

import pysam
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.sequence import reverse_complement
from ag_data.fasta import Fasta
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

RNG = random.Random(1)
CHR1 = "".join(RNG.choices("ACGTacgtN", k=7001))
GENOME = {"chr1": CHR1, "chr2": "ACGTACGTAC" * 6, "chrM": "GATTACA"}


@pytest.mark.parametrize("name", ["genome.fa", "genome.fa.gz"])
def test_fetch_agrees_with_slicing(write_fasta, name):
    fasta = Fasta(write_fasta(GENOME, name))
    assert fasta.lengths == {"chr1": 7001, "chr2": 60, "chrM": 7}

    @given(st.integers(-80, 7000), st.integers(0, 400), st.sampled_from("+-."))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    def check(start, width, strand):
        interval = Interval("chr1", start, start + max(width, -start), strand)
        expected = "".join(CHR1[i].upper() if 0 <= i < len(CHR1) else "N" for i in range(interval.start, interval.end))
        assert fasta.fetch(interval) == (reverse_complement(expected) if strand == "-" else expected)

    check()


def test_reading_over_the_last_base(write_fasta):
    for name in ("genome.fa", "genome.fa.gz"):
        fasta = Fasta(write_fasta(GENOME, name))
        assert fasta.fetch(Interval("chrM", 5, 9)) == "CANN"
        assert fasta.fetch(Interval("chr2", 58, 62)) == "ACNN"
        assert not fasta.covers(Interval("chrM", 5, 9))
        assert fasta.covers(Interval("chrM", 5, 7))


def test_other_spellings_of_chromosomes(write_fasta):
    fasta = Fasta(write_fasta(GENOME))
    assert fasta.fetch(Interval("2", 0, 4)) == fasta.fetch(Interval("chr2", 0, 4)) == "ACGT"
    assert fasta.fetch(Interval("MT", 0, 4)) == "GATT"
    bare = Fasta(write_fasta({"1": "ACGT", "MT": "GATT"}, "bare.fa"))
    assert bare.fetch(Interval("chr1", 0, 2)) == "AC"
    assert bare.find_chromosome("chrM") == "MT"
    assert bare.find_chromosome("chrX") is None


def test_check_reference(write_fasta):
    fasta = Fasta(write_fasta({"chr1": "ACgtNA"}))
    assert fasta.check_reference(Variant("1", 2, "CGT", "C"))
    assert not fasta.check_reference(Variant("chr1", 2, "CGA", "C"))
    assert fasta.check_reference(Variant("chr1", 2, "NG", "C"))  # N among the reference bases fits anything
    assert not fasta.check_reference(Variant("chr1", 5, "A", "C"))  # an N in the genome fits only N


def test_records_named_by_a_span_are_pieces_of_a_chromosome(write_fasta):
    fasta = Fasta(write_fasta({"chr20:101-110": "ACGTACGTAC", "chr20:116-120": "GGGGG", "chr1:1-5": "ACG"}))
    assert fasta.lengths == {"chr20": 120, "chr1:1-5": 3}  # the last is no span: its length is another
    assert fasta.partial == {"chr20"}
    assert fasta.fetch(Interval("chr20", 98, 118)) == "NNACGTACGTACNNNNNGGG"
    assert fasta.fetch(Interval("20", 118, 123, "-")) == "NNNCC"
    assert fasta.fetch(Interval("chr20", 500, 503)) == "NNN"
    assert fasta.covers(Interval("chr20", 100, 110))
    assert not fasta.covers(Interval("chr20", 99, 110))
    assert not fasta.covers(Interval("chr20", 108, 117))
    assert not fasta.covers(Interval("chr7", 0, 1))


def test_intervals_off_the_chromosome_and_unknown_chromosomes_are_refused(write_fasta):
    fasta = Fasta(write_fasta(GENOME))
    with pytest.raises(InputError, match=r"chr2:60-70:\. lies outside chr2, which has 60 bp"):
        fasta.fetch(Interval("chr2", 60, 70))
    with pytest.raises(InputError, match="lies outside chr2"):
        fasta.fetch(Interval("chr2", -9, -1))
    with pytest.raises(InputError, match=r"no chromosome 'chr11'; closest names: chr1"):
        fasta.fetch(Interval("chr11", 0, 1))


def test_pickled_and_forked_readers_work(write_fasta):
    fasta = Fasta(write_fasta(GENOME))
    assert pickle.loads(pickle.dumps(fasta)).fetch(Interval("chrM", 0, 7)) == "GATTACA"
    fasta._process = -1  # as after a fork
    assert fasta.fetch(Interval("chrM", 0, 7)) == "GATTACA"


# The index


@pytest.mark.parametrize("name", ["genome.fa", "genome.fa.gz"])
def test_the_index_lies_beside_a_file_in_a_writable_folder(write_fasta, cache, name):
    path = write_fasta(GENOME, name)
    Fasta(path)
    assert path.with_name(name + ".fai").exists()
    assert not cache.exists()
    pysam.FastaFile(str(path)).close()  # samtools takes it
    Fasta(path)


@pytest.mark.parametrize("name", ["genome.fa", "genome.fa.gz"])
def test_the_index_goes_to_the_cache_when_the_folder_is_read_only(write_fasta, tmp_path, cache, name):
    folder = tmp_path / "locked"
    folder.mkdir()
    path = write_fasta(GENOME, name, folder=folder)
    folder.chmod(0o555)
    try:
        Fasta(path)
        assert [file.name for file in folder.iterdir()] == [name]
        assert [file.suffix for file in sorted(cache.iterdir())] == ([".fai", ".gzi"] if "gz" in name else [".fai"])
        assert Fasta(path).fetch(Interval("chrM", 0, 2)) == "GA"
        for file in cache.iterdir():
            file.unlink()
        cache.rmdir()
        cache.write_text("a file, so that no folder can be made")
        with pytest.raises(InputError, match=r"no index of .* can be written.*set AG_CACHE_DIR"):
            Fasta(path)
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize("name", ["genome.fa", "genome.fa.gz"])
def test_a_stale_index_is_refused(write_fasta, name):
    path = write_fasta(GENOME, name)
    Fasta(path)
    write_fasta({"chr1": CHR1[:5000], **{key: GENOME[key] for key in ("chr2", "chrM")}}, name)
    with pytest.raises(InputError, match=r"\.fai of .* is stale: .*wrong at 'chr.*; delete the index"):
        Fasta(path)


def test_a_changed_record_in_the_middle_is_found_when_the_index_is_older(write_fasta):
    path = write_fasta({"chr1": "ACGT" * 30, "chr2": "ACGT" * 30, "chr3": "ACGT" * 30})
    Fasta(path)
    write_fasta({"chr1": "ACGT" * 30, "chrB": "ACGT" * 30, "chr3": "ACGT" * 30})
    os.utime(path, (time.time() + 100,) * 2)
    with pytest.raises(InputError, match="older than it and wrong at 'chr2'"):
        Fasta(path)


def test_an_index_older_by_copying_alone_is_used(write_fasta):
    path = write_fasta(GENOME)
    Fasta(path)
    os.utime(path, (time.time() + 100,) * 2)
    assert Fasta(path).fetch(Interval("chrM", 0, 2)) == "GA"


def test_an_unreadable_index_is_refused(write_fasta):
    path = write_fasta(GENOME)
    path.with_name("genome.fa.fai").write_text("chr1\tmany\n")
    with pytest.raises(InputError, match=r"the index .*genome\.fa\.fai is not usable"):
        Fasta(path)
    path.with_name("genome.fa.fai").write_text("")
    with pytest.raises(InputError, match=r"the index .*genome\.fa\.fai is not usable"):
        Fasta(path)


# Files that cannot be used


def test_missing_empty_and_foreign_files(tmp_path, write_fasta):
    path = tmp_path / "genome.fa"
    with pytest.raises(InputError, match=r"FASTA file .*genome\.fa does not exist"):
        Fasta(path)
    with pytest.raises(InputError, match="is not a file"):
        Fasta(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"genome\.fa is empty"):
        Fasta(path)
    path.write_text("chr1\t1\t2\n")
    with pytest.raises(InputError, match=r"cannot be indexed .*expected whole records that start with '>'"):
        Fasta(path)
    path.write_text(">chr1\n\n")
    with pytest.raises(InputError, match=r"(holds no sequence|cannot be indexed)"):
        Fasta(path)
    path.write_text(">chr1\nACGTACGT\nAC\nACGTACGT\n")
    with pytest.raises(InputError, match=r"cannot be indexed .*lines of equal length"):
        Fasta(path)
    write_fasta(GENOME, "genome.fa")
    path.write_text(path.read_text() + ">chr1\nACGT\n")
    with pytest.raises(InputError, match=r"cannot be indexed .*Duplicate key"):
        Fasta(path)


def test_plain_gzip_is_refused(tmp_path):
    path = tmp_path / "genome.fa.gz"
    path.write_bytes(gzip.compress(b">chr1\nACGT\n"))
    with pytest.raises(InputError, match=r"compressed with gzip.*bgzip"):
        Fasta(path)


def test_a_name_that_belies_the_compression_is_refused(write_fasta, tmp_path):
    write_fasta(GENOME, "genome.fa.gz").rename(tmp_path / "genome.fa")
    with pytest.raises(InputError, match="compression bgzf, which its name belies"):
        Fasta(tmp_path / "genome.fa")
    write_fasta(GENOME, "plain.fa").rename(tmp_path / "plain.fa.gz")
    with pytest.raises(InputError, match="compression none, which its name belies"):
        Fasta(tmp_path / "plain.fa.gz")


def test_truncated_and_corrupt_bgzip_is_refused(write_fasta):
    path = write_fasta({"chr1": "".join(RNG.choices("ACGT", k=300_000))}, "genome.fa.gz")
    whole = path.read_bytes()
    for end in (len(whole) - 28, len(whole) // 2):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError, match=r"genome\.fa\.gz is truncated"):
            Fasta(path)
    path.write_bytes(whole)
    fasta = Fasta(path)
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
    with pytest.raises(InputError, match="is corrupt near chr1"):
        Fasta(path).fetch(Interval("chr1", 0, 300_000))
    for index in (".fai", ".gzi"):
        path.with_name(path.name + index).unlink()
    with pytest.raises(InputError, match=r"genome\.fa\.gz cannot be indexed"):
        Fasta(path)
    assert len(fasta.lengths) == 1
