"""Reporter constructs as small genomes: sequences go round, variants and exons lie where they should."""

import pandas as pd
import pytest
from ag_core.errors import InputError
from ag_data import Fasta, Status, annotated_sites, read_gtf
from ag_eval.variants.constructs import difference, mpra_constructs, vexseq_constructs, write_constructs
from ag_eval.variants.settings import read_evaluation
from ag_eval.variants.table import check_table, read_table

# An exon of 7 bases between two introns, in the direction of transcription.
LEFT, EXON, RIGHT = "TTCTCTTTTCAG", "GACCTAA", "GTAAGTCTTA"
REF = LEFT + EXON + RIGHT


def vex_rows():
    """A substitution, a deletion and an insertion; the second minigene is of a gene on '-'."""
    alternates = {"snv": LEFT + "GACGTAA" + RIGHT, "del": "TTCTTTTCAG" + EXON + RIGHT, "ins": REF[:-1] + "GGA"}
    rows = []
    for place, strand in ((1000, "+"), (5000, "-")):
        first, second = (len(LEFT), len(RIGHT)) if strand == "+" else (len(RIGHT), len(LEFT))
        for name, alternate in alternates.items():
            rows.append(
                {
                    "variant": f"{name}{strand}",
                    "exon_key": f"chr1:{place + first}-{place + first + len(EXON) - 1}",
                    "strand": strand,
                    "Upstream Int Adj": place,
                    "Exon up": place + first,
                    "Exon down": place + first + len(EXON) - 1,
                    "Down Int Adj": place + first + len(EXON) - 1 + second,
                    "Sequence": alternate,
                    "ref_sequence": REF,
                    "delta_PSI": 1.5,
                }
            )
    return pd.DataFrame(rows)


def write(table, path):
    table.to_csv(path, sep="\t", index=False)
    return path


def test_minigenes_go_round(tmp_path):
    rows = vex_rows()
    constructs = vexseq_constructs(write(rows, tmp_path / "vex.tsv"))
    data = write_constructs(constructs, tmp_path / "out", padding=200)
    fasta = Fasta(data["fasta"])
    manifest = read_evaluation("vexseq_delta_psi").data
    table = check_table(read_table(data["table"], manifest), manifest, fasta)
    assert [call.status for call in table.calls] == [Status.SCORED] * 6
    for call, expected in zip(table.calls, rows["Sequence"], strict=True):
        record = fasta.read_record(call.chromosome, 0, fasta.lengths[call.chromosome])
        assert record == "N" * 200 + REF + "N" * 200
        variant = call.variant
        alternate = record[: variant.start] + variant.alternate_bases + record[variant.end :]
        assert alternate == "N" * 200 + expected + "N" * 200
    lengths = [(len(call.reference), len(call.alternate)) for call in table.calls[:3]]
    assert lengths == [(1, 1), (2, 0), (0, 2)]
    # The middle exon has sites on both sides, where AG and GT are.
    sites = annotated_sites(read_gtf(data["gtf"])).table
    middle = sites.loc[(sites["Position"] > 200) & (sites["Position"] < 200 + len(REF))]
    found = set(zip(middle["Position"] - 200, middle["Kind"], middle["Strand"], strict=True))
    assert found == {(len(LEFT), "acceptor", "+"), (len(LEFT + EXON) - 1, "donor", "+")}
    assert len(middle) == 4


def test_elements_go_round(tmp_path):
    references = pd.DataFrame(
        {"element": ["E", "E"], "release": ["GRCh38", "GRCh37"], "start1": [101, 901], "seq": REF}
    )
    elements = pd.DataFrame(
        [(101 + i, base, alternate) for i, base in enumerate(REF) for alternate in ("-", "A" if base != "A" else "C")],
        columns=["Pos", "Ref", "Alt"],
    ).assign(Element="E", Release="GRCh38", Coefficient=0.5, pValue=0.1)
    paths = write(elements, tmp_path / "elements.tsv"), write(references, tmp_path / "references.tsv")
    data = write_constructs(mpra_constructs(*paths, only=["E"]), tmp_path / "out", padding=10)
    written = pd.read_csv(data["table"], sep="\t")
    record = Fasta(data["fasta"]).read_record("E", 0, len(REF) + 20)
    assert "".join(record[position - 1] for position in written["position"][::2]) == REF
    assert written["alternate"].tolist() == elements["Alt"].tolist()
    assert "gtf" not in data
    with pytest.raises(InputError, match="nothing of GRCh38 for F"):
        mpra_constructs(*paths, only=["F"])
    write(elements.assign(Ref="T"), paths[0])
    with pytest.raises(InputError, match="E has 'C' at base 3, not 'T'"):
        mpra_constructs(*paths)
    write(elements.assign(Pos=[None, *elements["Pos"][1:]]), paths[0])
    with pytest.raises(InputError, match="1 rows of E have no Pos"):
        mpra_constructs(*paths)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="ref_sequence"), "has no column ref_sequence"),
        (lambda t: t.assign(Sequence=t["ref_sequence"]), r"snv\+: both alleles have the same sequence"),
        (lambda t: t.assign(ref_sequence=[REF[1:], *t["ref_sequence"][1:]]), "has no AG before base 12"),
        (lambda t: t.assign(ref_sequence=[*t["ref_sequence"][:5], "A" + REF]), "ins- has another reference"),
    ],
)
def test_other_tables_are_refused(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        vexseq_constructs(write(change(vex_rows()), tmp_path / "vex.tsv"))


def test_differences_are_as_short_as_can_be():
    assert difference("ACGT", "ACCT") == (3, "G", "C")
    assert difference("AAAA", "AAA") == (4, "A", "")
    assert difference("CACAC", "CACACAC") == (6, "", "AC")
    assert difference("CGT", "ATT") == (1, "CG", "AT")


def test_outer_exons_need_room(tmp_path):
    constructs = vexseq_constructs(write(vex_rows(), tmp_path / "vex.tsv"))
    with pytest.raises(InputError, match="no room for outer exons; give 100 or more"):
        write_constructs(constructs, tmp_path / "out", padding=10)
