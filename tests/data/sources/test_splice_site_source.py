"""Splice sites as classes, from an annotation and from a table."""

import numpy as np
import pytest
from ag_core.cli import run
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.plugins import registry
from ag_data.annotation import read_gtf
from ag_data.gtf import read_table
from ag_data.sources.splice_sites import SpliceSitesSource

# strand, exons (0-based half-open)
TRANSCRIPTS = [
    ("+", [(100, 150), (300, 400), (500, 600)]),
    ("+", [(100, 150), (500, 620)]),
    ("-", [(200, 260), (350, 420)]),
]
SITES = {(149, 0), (399, 0), (300, 1), (500, 1), (350, 2), (259, 3)}  # position, track


def write_gtf(path, transcripts=TRANSCRIPTS, whole=True):
    lines = []
    for number, (strand, exons) in enumerate(transcripts):
        text = f'gene_id "G{strand}"; transcript_id "T{number}";'
        rows = [("exon", *exon) for exon in exons]
        if whole:
            rows.insert(0, ("transcript", exons[0][0], exons[-1][1]))
        lines += [f"chr1\tt\t{what}\t{a + 1}\t{b}\t.\t{strand}\t.\t{text}" for what, a, b in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def sites_in(source, start, end, chromosome="chr1"):
    mask = source.read(Interval(chromosome, start, end))
    assert mask.shape == (end - start, 4)
    assert mask.dtype == bool
    return {(int(position) + start, int(track)) for position, track in np.argwhere(mask)}


@pytest.mark.parametrize("whole", [True, False])
def test_sites_of_an_annotation(tmp_path, whole):
    source = registry().create("sources", "splice_sites", write_gtf(tmp_path / "a.gtf", whole=whole))
    assert (source.layout, source.resolution) == ("classes", 1)
    tracks = source.tracks()
    assert tracks["name"].values.tolist() == ["donor", "acceptor", "donor", "acceptor"]
    assert tracks["strand"].values.tolist() == ["+", "+", "-", "-"]
    assert dict(source.chromosomes()) == {"chr1": None}
    assert sites_in(source, 0, 1000) == SITES
    assert set.union(*(sites_in(source, at, at + 50) for at in range(0, 1000, 50))) == SITES
    assert source.facts() == {
        "origin": "annotation",
        "sites": {"donor+": 2, "acceptor+": 2, "donor-": 1, "acceptor-": 1},
    }


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".tsv"])
def test_sites_of_a_table_and_of_an_annotation_as_a_table(tmp_path, suffix):
    gtf = write_gtf(tmp_path / "a.gtf")
    assert run(["genome", "splice-sites", str(gtf), "-o", str(tmp_path / f"sites{suffix}")]) == 0
    source = SpliceSitesSource(tmp_path / f"sites{suffix}")
    assert sites_in(source, 0, 1000) == SITES
    assert source.facts()["origin"] == "table of sites"
    if suffix == ".parquet":
        read_table(gtf).to_parquet(tmp_path / "genes.parquet")
        assert sites_in(SpliceSitesSource(tmp_path / "genes.parquet"), 0, 1000) == SITES


def test_files_that_are_refused(tmp_path):
    with pytest.raises(InputError, match="none of its transcripts has two exons"):
        SpliceSitesSource(write_gtf(tmp_path / "a.gtf", [("+", [(5, 9)])]))
    (tmp_path / "b.gtf").write_text("chr1\tx\n")
    with pytest.raises(InputError, match="not a usable GTF: line 1 has 2 columns"):
        SpliceSitesSource(tmp_path / "b.gtf")
    (tmp_path / "c.tsv").write_text("chrom\tpos\nchr1\t4\n")
    with pytest.raises(InputError, match="no column Chromosome"):
        SpliceSitesSource(tmp_path / "c.tsv")
    with pytest.raises(InputError, match="does not exist"):
        SpliceSitesSource(tmp_path / "d.gtf")


@pytest.mark.real_data
@pytest.mark.parametrize("chromosome", ["chr20", "chr22", "chrX"])
def test_real_annotation(chromosome, shared):
    path = shared / f"hg19_tracks/chrX_20_22/gencode_lift37.exons.{chromosome}.gtf.gz"
    source = SpliceSitesSource(path)
    sites = source.facts()["sites"]
    assert min(sites.values()) > 2000
    introns = read_gtf(path).introns()
    donors = {(a - 1 if s == "+" else b, s) for a, b, s in zip(introns.Start, introns.End, introns.Strand, strict=True)}
    assert sites["donor+"] + sites["donor-"] == len(donors)
    assert len(sites_in(source, 0, 160_000_000 if chromosome == "chrX" else 64_000_000, chromosome)) == sum(
        sites.values()
    )
