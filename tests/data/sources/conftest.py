"""Writers of small files, made with the libraries that labs use."""

import bz2
import gzip
import itertools

import numpy as np
import pybigtools
import pysam
import pytest
from ag_core.genome import Interval


@pytest.fixture
def write_text(tmp_path):
    """Writes lines in the way the name tells: .gz, .bz2, .bgz (with a tabix index), else plain."""

    def write(name, *lines):
        path = tmp_path / name
        text = "".join(f"{line}\n" for line in lines).encode()
        if path.suffix == ".bgz":
            with pysam.BGZFile(str(path), "wb") as file:
                file.write(text)
            pysam.tabix_index(str(path), seq_col=0, start_col=1, end_col=2, zerobased=True, meta_char="#", force=True)
        elif path.suffix in (".gz", ".bz2"):
            path.write_bytes((gzip if path.suffix == ".gz" else bz2).compress(text))
        else:
            path.write_bytes(text)
        return path

    return write


@pytest.fixture
def write_bigwig(tmp_path):
    """Writes sorted entries (chromosome, start, end, value)."""

    def write(entries, lengths, name="signal.bw"):
        path = tmp_path / name
        pybigtools.open(str(path), "w").write(lengths, iter(entries))
        return path

    return write


@pytest.fixture
def write_bam(tmp_path):
    """Writes reads (start, CIGAR, flag, optionally mapping quality, template length and chromosome), and an index."""

    numbers = itertools.count()

    def write(reads, lengths=None, name=None, order="coordinate", index=True, **options):
        lengths = lengths or {"chr1": 1000}
        path = tmp_path / (name or f"reads{next(numbers)}.bam")
        header = {"HD": {"VN": "1.6", "SO": order}, "SQ": [{"SN": name, "LN": n} for name, n in lengths.items()]}
        header = pysam.AlignmentHeader.from_dict(header)
        mode = {".bam": "wb", ".cram": "wc", ".sam": "w"}[path.suffix]
        reads = [(*read, 60, 0, "chr1")[: len(read)] + (60, 0, "chr1")[len(read) - 3 :] for read in reads]
        if order == "coordinate":
            reads.sort(key=lambda read: (list(lengths).index(read[5]), read[0]))
        with pysam.AlignmentFile(str(path), mode, header=header, **options) as file:
            for number, (start, cigar, flag, quality, template, chromosome) in enumerate(reads):
                read = pysam.AlignedSegment(header)
                read.query_name, read.flag = f"read{number}", flag
                read.reference_name, read.reference_start = chromosome, start
                read.mapping_quality, read.cigarstring, read.template_length = quality, cigar, template
                read.query_sequence = "A" * (read.infer_query_length() or 10)
                file.write(read)
        if index:
            pysam.index(str(path))
        return path

    return write


@pytest.fixture
def read_all():
    """All values of a chromosome, read in blocks whose edges are given (multiples of the resolution)."""

    def read(source, chromosome, length, edges=()):
        edges = [0, *sorted(edge for edge in edges if 0 < edge < length), length]
        blocks = [source.read(Interval(chromosome, a, b)) for a, b in itertools.pairwise(edges) if a < b]
        return np.concatenate(blocks)

    return read
