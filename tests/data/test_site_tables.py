"""Splice sites and polyadenylation sites: from annotations and from tables, and as files."""

import numpy as np
import pandas as pd
import pytest
from ag_core.cli import run
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_data import place_table
from ag_data.annotation import Annotation
from ag_data.polyadenylation import PolyadenylationSites, match_sites, read_polyadenylation, transcript_ends
from ag_data.splice_sites import SpliceSites, annotated_sites, read_splice_sites, sites_of_introns
from hypothesis import given, settings
from hypothesis import strategies as st

# id, strand, transcripts as exons (0-based half-open), not sorted.
GENES = (
    ("P.1", "+", [[(300, 400), (100, 150), (500, 600)], [(100, 150), (500, 620)]]),
    ("M.7", "-", [[(350, 420), (200, 260)]]),
    ("S.2", "+", [[(700, 800)]]),
)


def gtf_of(genes=GENES, chromosome="chr1"):
    lines = []
    for gene, strand, transcripts in genes:
        for number, exons in enumerate(transcripts):
            for start, end in exons:
                text = f'gene_id "{gene}"; transcript_id "{gene}{number}"; gene_name "{gene}"; gene_type "x";'
                lines.append(f"{chromosome}\tt\texon\t{start + 1}\t{end}\t.\t{strand}\t.\t{text}")
    return "\n".join(lines) + "\n"


def annotation_of(genes=GENES, chromosome="chr1"):
    rows = [
        (chromosome, start, end, strand, "exon", gene, f"{gene}{number}")
        for gene, strand, transcripts in genes
        for number, exons in enumerate(transcripts)
        for start, end in exons
    ]
    columns = ["Chromosome", "Start", "End", "Strand", "Feature", "gene_id", "transcript_id"]
    return Annotation(pd.DataFrame(rows, columns=columns))


def as_sets(table):
    return set(table.itertuples(index=False, name=None))


def test_introns_and_their_sites():
    annotation = annotation_of()
    introns = {("chr1", 150, 300, "+"), ("chr1", 400, 500, "+"), ("chr1", 150, 500, "+"), ("chr1", 260, 350, "-")}
    assert as_sets(annotation.introns()) == introns
    sites = as_sets(annotated_sites(annotation).table)
    assert sites == {
        ("chr1", 149, "+", "donor"),
        ("chr1", 399, "+", "donor"),
        ("chr1", 300, "+", "acceptor"),
        ("chr1", 500, "+", "acceptor"),
        ("chr1", 350, "-", "donor"),
        ("chr1", 259, "-", "acceptor"),
    }


@given(
    st.lists(st.tuples(st.integers(0, 99), st.sampled_from("+-"), st.sampled_from(["donor", "acceptor"])), max_size=12)
)
@settings(max_examples=50, deadline=None)
def test_mask_holds_each_site_once_and_mirrors(rows):
    table = pd.DataFrame(rows, columns=["Position", "Strand", "Kind"]).assign(Chromosome="chr1")
    sites = SpliceSites(table)
    mask = sites.mask(Interval("1", 10, 90))  # another spelling of the chromosome
    classes = [("+", "donor"), ("+", "acceptor"), ("-", "donor"), ("-", "acceptor")]
    got = {(int(p) + 10, *classes[c]) for p, c in zip(*np.nonzero(mask[:, :4]), strict=True)}
    assert got == {row for row in rows if 10 <= row[0] < 90}
    np.testing.assert_array_equal(mask[:, 4], ~mask[:, :4].any(axis=1))
    # '-' of the world is '+' of the mirrored world.
    mirror = table.assign(Position=99 - table["Position"], Strand=table["Strand"].map({"+": "-", "-": "+"}))
    turned = SpliceSites(mirror).mask(Interval("chr1", 10, 90))
    np.testing.assert_array_equal(sites.mask(Interval("chr1", 10, 90, "-")), turned)
    assert not sites.mask(Interval("chr2", 10, 90))[:, :4].any()


def test_polyadenylation_sites_of_transcripts_and_of_a_list():
    annotation = annotation_of()
    ends = transcript_ends(annotation)
    assert as_sets(ends) == {
        ("chr1", 599, 600, "+", "P.1"),
        ("chr1", 619, 620, "+", "P.1"),
        ("chr1", 200, 201, "-", "M.7"),
        ("chr1", 799, 800, "+", "S.2"),
    }
    # First and last base of a last exon are in; the base after, another strand and another exon are out.
    rows = [(500, "+"), (619, "+"), (620, "+"), (550, "-"), (300, "+"), (259, "-"), (260, "-")]
    listed = pd.DataFrame(rows, columns=["Start", "Strand"]).assign(Chromosome="1")
    matched = match_sites(listed, annotation)
    assert [(row.Start, row.gene_id) for row in matched.itertuples()] == [(259, "M.7"), (500, "P.1"), (619, "P.1")]
    with pytest.raises(InputError, match="not one of 1 polyadenylation sites lies in a last exon"):
        match_sites(pd.DataFrame({"Chromosome": ["chr1"], "Start": [10], "Strand": ["+"]}), annotation)


def test_sites_of_a_gene_keep_their_order():
    rows = [("chrX", 30, "+", "G.1"), ("chrX", 10, "+", "G.1"), ("chrY", 20, "+", "G.1_PAR_Y"), ("chrX", 5, "-", "G.1")]
    table = pd.DataFrame(rows, columns=["Chromosome", "Start", "pas_strand", "gene_id"]).assign(End=0)
    sites = PolyadenylationSites(table)
    assert sites.sites_of("G.99", "+").tolist() == [30, 10, 20]
    assert sites.sites_of("G.99", "+", "X").tolist() == [30, 10]
    assert sites.sites_of("G", "-").tolist() == [5]
    assert sites.sites_of("H.1", "+").tolist() == []


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".tsv", ".csv.gz"])
def test_commands_make_files_that_read_back(tmp_path, suffix):
    gtf, sites, polya = tmp_path / "genes.gtf", tmp_path / f"sites{suffix}", tmp_path / f"polya{suffix}"
    gtf.write_text(gtf_of())
    assert run(["genome", "splice-sites", str(gtf), "-o", str(sites)]) == 0
    assert as_sets(read_splice_sites(sites).table) == as_sets(annotated_sites(annotation_of()).table)
    assert run(["genome", "polya", str(gtf), "-o", str(polya)]) == 0
    pd.testing.assert_frame_equal(
        read_polyadenylation(polya).table.astype(object), transcript_ends(annotation_of()).astype(object)
    )


def test_published_tables_of_intron_starts_and_ends(tmp_path):
    introns = annotation_of().introns()
    starts, ends, output = (tmp_path / name for name in ("starts.feather", "ends.feather", "sites.parquet"))
    introns[["Chromosome", "Start", "Strand"]].drop_duplicates(ignore_index=True).to_feather(starts)
    introns[["Chromosome", "End", "Strand"]].drop_duplicates(ignore_index=True).to_feather(ends)
    assert run(["genome", "splice-sites", "--starts", str(starts), "--ends", str(ends), "-o", str(output)]) == 0
    assert as_sets(read_splice_sites(output).table) == as_sets(annotated_sites(annotation_of()).table)
    assert run(["genome", "splice-sites", "--starts", str(starts), "-o", str(output)]) == 2


REFUSED = {
    "missing": (None, "does not exist"),
    "no column": ("Chromosome\tPosition\tStrand\nchr1\t3\t+\n", "has no column Kind"),
    "strand": ("Chromosome\tPosition\tStrand\tKind\nchr1\t3\t.\tdonor\n", "row 1 has Strand '.'"),
    "position": ("Chromosome\tPosition\tStrand\tKind\nchr1\tx\t+\tdonor\n", "row 1 has Position 'x'"),
    "negative": ("Chromosome\tPosition\tStrand\tKind\nchr1\t-1\t+\tdonor\n", "expected a whole number of at least 0"),
    "kind": ("Chromosome\tPosition\tStrand\tKind\nchr1\t3\t+\tbranch\n", "kind 'branch'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_tables_that_are_refused(case, tmp_path):
    content, message = REFUSED[case]
    path = tmp_path / "sites.tsv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_splice_sites(path)


def test_damaged_parquet_is_refused(tmp_path):
    path = tmp_path / "sites.parquet"
    place_table.write_places(annotated_sites(annotation_of()).table, path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"sites.parquet cannot be read"):
        read_splice_sites(path)


def test_no_half_written_table(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    gtf = tmp_path / "genes.gtf"
    gtf.write_text(gtf_of())
    monkeypatch.setattr(place_table.os, "fsync", stop)
    assert run(["genome", "splice-sites", str(gtf), "-o", str(tmp_path / "out" / "sites.parquet")]) == 130
    assert not list((tmp_path / "out").iterdir())


def test_sites_before_the_chromosome_are_left_out():
    introns = pd.DataFrame({"Chromosome": ["chr1"], "Start": [0], "End": [9], "Strand": ["+"]})
    assert as_sets(sites_of_introns(introns, introns)) == {("chr1", 9, "+", "acceptor")}
