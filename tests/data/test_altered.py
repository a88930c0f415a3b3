"""A genome with an allele in it: its bases, where they are in REF, and annotations that move along."""

import numpy as np
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_data.altered import AlteredGenome, Place
from ag_data.annotation import read_gtf
from ag_data.fasta import Fasta
from ag_data.polyadenylation import PolyadenylationSites, transcript_ends
from ag_data.splice_sites import annotated_sites
from hypothesis import example, given
from hypothesis import strategies as st

LENGTH = 400
BASES = "".join(np.random.default_rng(1).choice(list("ACGT"), LENGTH))
EXONS = [("A", "+", [(51, 90), (131, 180), (251, 300)]), ("B", "-", [(61, 120), (201, 260)])]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("altered")
    (folder / "genome.fa").write_text(f">chr1\n{BASES}\n>chr2\n{BASES[::-1]}\n")
    lines = []
    for gene, strand, exons in EXONS:
        whole = exons[0][0], exons[-1][1]
        for feature, (start, end) in [("gene", whole), ("transcript", whole), *(("exon", exon) for exon in exons)]:
            more = "" if feature == "gene" else f' transcript_id "T{gene}";'
            text = f'gene_id "{gene}"; gene_name "{gene}"; gene_type "protein_coding";{more}'
            lines.append(f"chr1\tt\t{feature}\t{start}\t{end}\t.\t{strand}\t.\t{text}")
    (folder / "genes.gtf").write_text("\n".join(lines) + "\n")
    return Fasta(folder / "genome.fa"), read_gtf(folder / "genes.gtf")


def alleles(start, width, alt):
    return Variant("1", start + 1, BASES[start : start + width], alt)


CHANGES = st.builds(alleles, st.integers(5, 380), st.integers(0, 12), st.text("ACGT", max_size=9)).filter(
    lambda variant: variant.reference_bases != variant.alternate_bases
)


@example(Variant("1", 6, "", "A"), -2, 1, "+")
@example(Variant("1", 6, BASES[5:9], ""), 398, 9, "-")
@given(CHANGES, st.integers(-10, 405), st.integers(0, 60), st.sampled_from("+-."))
def test_bases_and_their_places(files, variant, start, width, strand):
    genome = AlteredGenome(files[0], variant)
    whole = BASES[: variant.start] + variant.alternate_bases + BASES[variant.end :]
    assert genome.lengths == {"chr1": len(whole), "chr2": LENGTH}
    if start + width < 0:
        with pytest.raises(InputError, match="lies outside"):
            genome.fetch(Interval("chr1", start, start + width))
    else:
        padded = "N" * 20 + whole + "N" * 200
        expected = padded[start + 20 : start + width + 20]
        forward = genome.fetch(Interval("chr1", start, start + width))
        assert forward == expected
        turned = genome.fetch(Interval("chr1", start, start + width, strand))
        assert turned == (expected.translate(str.maketrans("ACGT", "TGCA"))[::-1] if strand == "-" else expected)
    assert genome.fetch(Interval("chr2", 3, 40)) == BASES[::-1][3:40]
    # Bases that are neither changed nor inserted are those of their place; and places are found again.
    small = genome.small
    for position, base in enumerate(whole):
        place = genome.place(position)
        if not small.start <= position < small.start + len(small.alternate_bases):
            assert base == BASES[place.position]
            assert place.inserted == 0
            assert int(genome.starts(np.array(place.position))) == position
    inserted = [genome.place(position).inserted for position in range(len(whole))]
    assert sum(number > 0 for number in inserted) == max(0, len(small.alternate_bases) - len(small.reference_bases))


def test_places_of_an_insertion(files):
    genome = AlteredGenome(files[0], alleles(100, 1, BASES[100] + "GATT"))
    assert [genome.place(position) for position in (100, 101, 104, 105)] == [
        Place(100, 0),
        Place(100, 1),
        Place(100, 4),
        Place(101, 0),
    ]
    assert genome.over(Interval("chr1", 95, 110)) == Interval("chr1", 95, 114)


def exon_texts(fetch, annotation, whole):
    """The bases of every gene's exons."""
    mask, table = annotation.exon_masks(whole)
    bases = np.array(list(fetch(whole)))
    return {gene: "".join(bases[mask[:, row]]) for row, gene in enumerate(table["gene_id"])}


@given(CHANGES)
def test_annotations_move_along(files, variant):
    fasta, genes = files
    genome = AlteredGenome(fasta, variant)
    there = Interval("chr1", 0, LENGTH), Interval("chr1", 0, genome.lengths["chr1"])
    before, after = (
        exon_texts(*pair)
        for pair in zip((fasta.fetch, genome.fetch), (genes, genes.altered(genome)), there, strict=True)
    )
    for gene, _, exons in EXONS:
        touched = any(s - 1 < genome.small.end + 1 and genome.small.start - 1 < e for s, e in exons)
        if not touched:
            assert after[gene] == before[gene]
    # Sites and ends made anew from the moved genes are the moved ones, unless the variant lies on exons.
    if not any(s - 2 < genome.small.end + 1 and genome.small.start - 2 < e for _, _, ex in EXONS for s, e in ex):
        moved = annotated_sites(genes).altered(genome).table
        anew = annotated_sites(genes.altered(genome)).table
        assert set(moved.itertuples(index=False)) == set(anew.itertuples(index=False))
        ends = PolyadenylationSites(transcript_ends(genes)).altered(genome).table["Start"].tolist()
        assert ends == transcript_ends(genes.altered(genome))["Start"].tolist()


def test_a_site_that_is_deleted_is_gone(files):
    fasta, genes = files
    genome = AlteredGenome(fasta, alleles(80, 20, ""))  # with the end of the first exon of A
    sites = annotated_sites(genes)
    assert len(sites.altered(genome).table) == len(sites.table) - 1


def test_an_allele_that_is_not_there(files):
    other = "ACGT"[("ACGT".index(BASES[50]) + 1) % 4]
    with pytest.raises(InputError, match=r"the genome has . there, not .; check position"):
        AlteredGenome(files[0], Variant("chr1", 51, other, BASES[50]))
    with pytest.raises(InputError, match="no chromosome 'chr9'"):
        AlteredGenome(files[0], Variant("chr9", 51, other, "A"))
