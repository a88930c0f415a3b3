"""Usage of splice sites from a table of exons."""

import numpy as np
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.plugins import registry

# strand, exons (0-based half-open)
TRANSCRIPTS = [
    ("+", [(100, 150), (300, 400), (500, 600)]),
    ("+", [(100, 150), (500, 620)]),
    ("-", [(200, 260), (350, 420)]),
]
HEADER = "Chromosome,Start,End,Strand,gene_id,liver,brain"
# Exons of the first two transcripts (1-based starts): one is in both; the first ends of transcripts are no sites.
ROWS = [
    "chr1,101,150,+,G+,1,0.8",
    "chr1,301,400,+,G+,0.4,0",
    "chr1,501,600,+,G+,0.9,0.5",
    "chr1,501,620,+,G+,0.2,0.6",
    "chr1,351,420,-,G-,0,0",
    "chr1,700,710,+,X,0.5,0.5",
]


def write_gtf(path):
    lines = []
    for number, (strand, exons) in enumerate(TRANSCRIPTS):
        text = f'gene_id "G{strand}"; transcript_id "T{number}";'
        lines += [f"chr1\tt\texon\t{start + 1}\t{end}\t.\t{strand}\t.\t{text}" for start, end in exons]
    path.write_text("\n".join(lines) + "\n")
    return path


def make(tmp_path, rows=ROWS, header=HEADER, **options):
    path = tmp_path / "psi.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    gtf = write_gtf(tmp_path / "a.gtf")
    return registry().create("sources", "exon_usage", path, **{"annotation": str(gtf), "one_based": True, **options})


def test_sites_have_the_largest_fraction_of_their_exons(tmp_path):
    source = make(tmp_path)
    tracks = source.tracks()
    assert list(zip(tracks["name"].values, tracks["strand"].values, strict=True)) == [
        ("liver", "+"),
        ("liver", "-"),
        ("brain", "+"),
        ("brain", "-"),
    ]
    values = source.read(Interval("chr1", 100, 800))
    there = {(int(p) + 100, int(t)): round(float(values[p, t]), 2) for p, t in np.argwhere(~np.isnan(values))}
    # 149 donor, 300 acceptor, 399 donor, 500 acceptor; a 0 counts where the gene is seen in that tissue.
    assert there == {
        (149, 0): 1.0,
        (149, 2): 0.8,
        (300, 0): 0.4,
        (300, 2): 0.0,
        (399, 0): 0.4,
        (399, 2): 0.0,
        (500, 0): 0.9,
        (500, 2): 0.6,
    }
    assert source.facts() == {"exon_ends": 12, "ends_at_sites": 5, "sites": 4}
    whole = source.read(Interval("chr1", 0, 1000))
    np.testing.assert_array_equal(whole[250:520], source.read(Interval("chr1", 250, 520)))


def test_every_zero_may_count_and_tissues_may_be_chosen(tmp_path):
    source = make(tmp_path, zero="measured", tissues=["brain"])
    values = source.read(Interval("chr1", 0, 1000))
    assert values.shape == (1000, 2)
    assert values[350, 1] == 0  # a gene that is not seen anywhere


@pytest.mark.parametrize(
    ("rows", "header", "options", "message"),
    [
        (ROWS, HEADER, {"one_based": False}, "0 of 6 starts .* one base further back 4 are; say `one_based: true`"),
        (["chr1,101,150,+,G+,1,1.5"], HEADER, {}, "row 1: expected fractions from 0 to 1"),
        (ROWS, HEADER, {"tissues": ["lung"]}, "has no column lung"),
        (["chr1,101,150,+,1"], "Chromosome,Start,End,Strand,liver", {}, "no column gene_id"),
        (ROWS, HEADER, {"zero": "never"}, "expected gene or measured"),
    ],
)
def test_other_tables_are_refused(tmp_path, rows, header, options, message):
    with pytest.raises(InputError, match=message):
        make(tmp_path, rows, header, **options)
