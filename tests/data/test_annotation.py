import gzip

import numpy as np
import pandas as pd
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_data import gtf
from ag_data.annotation import Annotation, read_gtf
from hypothesis import given, settings
from hypothesis import strategies as st

COLUMNS = [*gtf.REQUIRED, "gene_name", "gene_type", "transcript_id", "transcript_type"]
# Start and End are 0-based half-open. G2 has its start (End, since '-') at 512.
ROWS = [
    ("chr1", 100, 400, "+", "gene", "G1.1", "A", "protein_coding", None, None),
    ("chr1", 100, 400, "+", "transcript", "G1.1", "A", "protein_coding", "T1", "protein_coding"),
    ("chr1", 100, 150, "+", "exon", "G1.1", "A", "protein_coding", "T1", "protein_coding"),
    ("chr1", 300, 400, "+", "exon", "G1.1", "A", "protein_coding", "T1", "protein_coding"),
    ("chr1", 160, 400, "+", "CDS", "G1.1", "A", "protein_coding", "T1", "protein_coding"),
    ("chr1", 140, 600, "+", "transcript", "G1.1", "A", "protein_coding", "T2", "retained_intron"),
    ("chr1", 140, 200, "+", "exon", "G1.1", "A", "protein_coding", "T2", "retained_intron"),
    ("chr1", 550, 600, "+", "exon", "G1.1", "A", "protein_coding", "T2", "retained_intron"),
    ("chr1", 450, 512, "-", "gene", "G2.4", "B", "lncRNA", None, None),
    ("chr1", 450, 512, "-", "transcript", "G2.4", "B", "lncRNA", "T3", "lncRNA"),
    ("chr1", 450, 512, "-", "exon", "G2.4", "B", "lncRNA", "T3", "lncRNA"),
    ("chr1", 0, 60, "-", "gene", "G3.2", "C", "protein_coding", None, None),
    ("chr1", 0, 60, "-", "transcript", "G3.2", "C", "protein_coding", "T4", "protein_coding"),
    ("chr1", 0, 60, "-", "exon", "G3.2", "C", "protein_coding", "T4", "protein_coding"),
    ("chr2", 10, 20, "+", "gene", "G4.1", "D", "protein_coding", None, None),
    ("chr2", 10, 20, "+", "transcript", "G4.1", "D", "protein_coding", "T5", "protein_coding"),
    ("chr2", 10, 20, "+", "exon", "G4.1", "D", "protein_coding", "T5", "protein_coding"),
]
TABLE = pd.DataFrame(ROWS, columns=COLUMNS)


@pytest.fixture(scope="module")
def annotation():
    return Annotation(TABLE)


def runs(mask):
    """Runs of True in each column, as (start, end)."""
    edges = np.diff(np.pad(mask.astype(int), ((1, 1), (0, 0))), axis=0)
    pairs = [(np.flatnonzero(column == 1), np.flatnonzero(column == -1)) for column in edges.T]
    return [list(zip(starts.tolist(), ends.tolist(), strict=True)) for starts, ends in pairs]


def gtf_text(rows=ROWS, name="gene_type"):
    lines = ["#!genome-build test"]
    for chromosome, start, end, strand, feature, gene_id, gene_name, gene_type, transcript, _ in rows:
        attributes = f'gene_id "{gene_id}"; {name} "{gene_type}"; gene_name "{gene_name}";'
        if transcript:
            attributes += f' transcript_id "{transcript}"; tag "basic";'
        lines.append("\t".join([chromosome, "test", feature, str(start + 1), str(end), ".", strand, ".", attributes]))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("start", "end", "genes", "expected"),
    [
        (50, 562, ["G1.1", "G2.4", "G3.2"], [[(50, 150), (250, 350), (500, 512)], [(400, 462)], [(0, 10)]]),
        # The start of G2 at 512 is outside; of G1 only transcripts that start inside count.
        (100, 512, ["G1.1"], [[(0, 100), (200, 300)]]),
        (101, 513, ["G1.1", "G2.4"], [[(39, 99)], [(349, 411)]]),
        # A gene whose exons all lie outside has an empty mask.
        (60, 100, ["G3.2"], [[]]),
    ],
)
def test_exon_masks(annotation, start, end, genes, expected):
    mask, table = annotation.exon_masks(Interval("chr1", start, end))
    assert mask.shape == (end - start, len(genes))
    assert list(table["gene_id"]) == genes
    assert runs(mask) == expected


@pytest.mark.parametrize(
    ("variant", "genes"),
    [
        ("chr1:451:A>C", ["G2.4"]),
        ("chr1:400:A>C", ["G1.1"]),
        ("chr1:401:A>C", []),
        ("chr1:399:AAA>A", ["G1.1"]),
        ("chr1:449:A>AGG", ["G2.4"]),  # the alternate allele reaches the gene
        ("chr1:450:>AG", ["G2.4"]),
        ("chr1:58:A>C", ["G3.2"]),
    ],
)
def test_body_masks_take_genes_that_overlap_either_allele(annotation, variant, genes):
    bodies = {"G1.1": [(50, 350)], "G2.4": [(400, 462)], "G3.2": [(0, 10)]}
    mask, table = annotation.body_masks(Interval("chr1", 50, 562), Variant.from_str(variant))
    assert list(table["gene_id"]) == genes
    assert runs(mask) == [bodies[gene] for gene in genes]


def test_body_masks_without_a_variant_take_genes_inside(annotation):
    mask, table = annotation.body_masks(Interval("chr1", 50, 562))
    assert list(table["gene_id"]) == ["G1.1", "G2.4"]
    assert runs(mask) == [[(50, 350)], [(400, 462)]]


def test_gene_types(annotation):
    interval, variant = Interval("chr1", 0, 600), Variant("chr1", 451, "A", "C")
    assert list(annotation.body_masks(interval, variant, "protein_coding")[1]["gene_id"]) == []
    assert list(annotation.body_masks(interval, variant, {"lncRNA", "x"})[1]["gene_id"]) == ["G2.4"]
    assert list(annotation.exon_masks(interval, "lncRNA")[1]["gene_id"]) == ["G2.4"]


def test_the_table_describes_the_genes(annotation):
    _, table = annotation.exon_masks(Interval("1", 450, 520, "-"))
    assert {key: values.tolist() for key, values in table.items()} == {
        "gene_id": ["G2.4"],
        "gene_name": ["B"],
        "gene_type": ["lncRNA"],
        "gene_strand": ["-"],
        "gene_start": [450],
        "gene_end": [512],
        "chromosome": ["chr1"],
    }


def test_places_without_genes(annotation):
    for chromosome in ("chr1", "chr9"):
        empty = annotation.exon_masks(Interval(chromosome, 700, 710))
        other = annotation.body_masks(Interval(chromosome, 700, 710), Variant(chromosome, 702, "A", "C"))
        for mask, table in (empty, other):
            assert mask.shape == (10, 0)
            assert {key: len(values) for key, values in table.items()} == dict.fromkeys(table, 0)
    assert list(annotation.genes_in(Interval("chr9", 0, 10))["gene_id"]) == []
    # A variant elsewhere: its gene is listed, but nothing of it lies in the window.
    mask, table = annotation.body_masks(Interval("chr1", 0, 30), Variant("chr2", 15, "A", "C"))
    assert list(table["gene_id"]) == ["G4.1"]
    assert not mask.any()


def test_more_than_256_genes_are_refused():
    rows = [
        ("chr1", i, i + 5, "+", feature, f"G{i}", "", "", f"T{i}", "")
        for i in range(257)
        for feature in ("gene", "transcript", "exon")
    ]
    crowd = Annotation(pd.DataFrame(rows, columns=COLUMNS))
    with pytest.raises(InputError, match="257 genes in one window, expected at most 256; use a shorter interval"):
        crowd.exon_masks(Interval("chr1", 0, 300))
    assert len(crowd.exon_masks(Interval("chr1", 0, 256))[1]["gene_id"]) == 256
    assert len(crowd.genes_in(Interval("chr1", 0, 300))["gene_id"]) == 257


def test_plotting_lookups(annotation):
    assert list(annotation.genes_in(Interval("chr1", 380, 460))["gene_name"]) == ["A", "B"]
    exons = annotation.exons_of("G1.1")
    assert exons["transcript_id"].tolist() == ["T1", "T1", "T2", "T2"]
    assert exons["start"].tolist() == [100, 300, 140, 550]
    assert exons["end"].tolist() == [150, 400, 200, 600]
    assert annotation.exons_of("G1")["start"].tolist() == exons["start"].tolist()
    with pytest.raises(InputError, match=r"no gene 'G11' in the annotation; close: G1"):
        annotation.exons_of("G11")


@st.composite
def tables(draw):
    """Genes with transcripts and exons, rows of different genes mixed but each transcript in order."""
    rows = []
    for gene in range(draw(st.integers(1, 5))):
        strand, gene_id = draw(st.sampled_from("+-")), f"G{draw(st.integers(0, 3))}"
        for transcript in range(draw(st.integers(1, 2))):
            start = draw(st.integers(0, 80))
            name = f"T{gene}.{transcript}"
            rows.append(("chr1", start, start + 20, strand, "transcript", gene_id, "", "", name, ""))
            for offset in draw(st.lists(st.integers(0, 15), min_size=1, max_size=3)):
                rows.append(("chr1", start + offset, start + offset + 5, strand, "exon", gene_id, "", "", name, ""))
    return pd.DataFrame(draw(st.permutations(rows)), columns=COLUMNS)


@given(tables(), st.integers(0, 90), st.integers(1, 40))
@settings(deadline=None)
def test_exon_masks_agree_with_a_scan_of_the_table(table, start, width):
    interval, expected = Interval("chr1", start, start + width), {}
    for row in table[table["Feature"] == "transcript"].itertuples():
        tss = row.End if row.Strand == "-" else row.Start
        if interval.start <= tss < interval.end:
            mask = expected.setdefault(row.gene_id, np.zeros(200, bool))
            same = (table["transcript_id"] == row.transcript_id) & (table["Feature"] == "exon")
            for exon in table[same].itertuples():
                mask[exon.Start : exon.End] = True
    mask, found = Annotation(table).exon_masks(interval)
    assert list(found["gene_id"]) == list(expected)
    for column, whole in zip(mask.T, expected.values(), strict=True):
        np.testing.assert_array_equal(column, whole[start : start + width])


# Files


@pytest.mark.parametrize("name", ["genes.gtf", "genes.gtf.gz"])
def test_gtf_is_parsed_once(tmp_path, cache, monkeypatch, name):
    path = tmp_path / name
    text = gtf_text(name="gene_biotype").encode()
    path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    first = gtf.read_table(path)
    assert [file.suffix for file in cache.iterdir()] == [".parquet"]
    monkeypatch.setattr(gtf, "_parse", None)
    pd.testing.assert_frame_equal(gtf.read_table(path), first)
    expected = TABLE[TABLE["Feature"] != "CDS"].drop(columns="transcript_type").fillna("").reset_index(drop=True)
    for column in expected:
        assert first[column].tolist() == expected[column].tolist()
    assert set(first["transcript_type"]) == {""}
    masks = [source.exon_masks(Interval("1", 50, 562)) for source in (read_gtf(path), Annotation(TABLE))]
    np.testing.assert_array_equal(masks[0][0], masks[1][0])


def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path, cache):
    cache.write_text("a file where a folder should be")
    path = tmp_path / "genes.gtf"
    path.write_text(gtf_text())
    assert len(gtf.read_table(path)) == len(ROWS) - 1


@pytest.mark.parametrize("name", ["genes.parquet", "genes.feather"])
def test_tables(tmp_path, name):
    path = tmp_path / name
    (TABLE.to_parquet if name.endswith("parquet") else TABLE.to_feather)(path)
    assert list(read_gtf(path).exon_masks(Interval("chr1", 50, 562))[1]["gene_id"]) == ["G1.1", "G2.4", "G3.2"]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=rf"{name} cannot be read .*; make it again"):
        read_gtf(path)


def test_absent_gene_and_transcript_rows_are_made_from_exons():
    exons = Annotation(TABLE[TABLE["Feature"] == "exon"])
    mask, table = exons.body_masks(Interval("chr1", 50, 562), Variant("chr1", 451, "A", "C"))
    assert list(table["gene_id"]) == ["G1.1", "G2.4"]  # without gene rows G1 spans T2, too
    assert runs(mask) == [[(50, 512)], [(400, 462)]]
    assert list(exons.exon_masks(Interval("chr1", 50, 562))[1]["gene_name"]) == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (gtf_text() + "chr1\t10\t20\n", r"line 19 has 3 columns; expected 9 columns separated by tabs"),
        ("chr1\t10\t20\tname\n", "line 1 has 4 columns"),
        (gtf_text().replace("\t451\t", "\tabc\t", 1), r"line 10 has the positions 'abc' and '512'"),
        (gtf_text().replace('gene_id "G2.4"; ', "", 1), "line 10 has no gene_id"),
        (gtf_text().replace("gene_id", "gene"), "line 2 has no gene_id"),
        ("##gff-version 3\nchr1\tx\tgene\t1\t5\t.\t+\t.\tID=gene1;Name=A\n", "line 2 has GFF3 attributes"),
        ("# only\n# comments\n", "is not a usable GTF"),
        (gtf_text([row for row in ROWS if row[4] != "exon"]), "has no exon rows"),
        (gtf_text().replace("\t+\t", "\tx\t"), r"strands other than \+ and -"),
    ],
)
def test_bad_gtf_files(tmp_path, capsys, text, message):
    path = tmp_path / "genes.gtf"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"(?s)annotation .*genes\.gtf.*{message}"):
        read_gtf(path)
    assert capsys.readouterr().out == ""


def test_missing_empty_and_truncated_files(tmp_path):
    path = tmp_path / "genes.gtf.gz"
    with pytest.raises(InputError, match=r"annotation .*genes\.gtf\.gz does not exist"):
        read_gtf(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        read_gtf(path)
    packed = gzip.compress(gtf_text(ROWS * 200).encode())
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match=r"genes\.gtf\.gz is truncated or corrupt"):
        read_gtf(path)


def test_tables_without_the_columns_are_refused():
    with pytest.raises(InputError, match=r"annotation the table has no gene_id; expected the columns Chromosome"):
        Annotation(TABLE.drop(columns="gene_id"))
    with pytest.raises(InputError, match="rows that end before they start"):
        Annotation(TABLE.assign(End=0))
