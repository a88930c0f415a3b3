"""Reports: where a variant lies and what it does in words, the page, and what cannot be reported."""

import dataclasses
import html.parser
import json
import re

import numpy as np
import pytest
from ag_core.cli import run
from ag_core.errors import InputError
from ag_core.genome import Variant
from ag_data.annotation import read_gtf
from ag_scorers.report.examination import Examiner
from ag_scorers.report.page import Section, render
from ag_scorers.report.pictures import draw_pictures
from ag_scorers.report.place import describe_place
from ag_scorers.report.strongest import Effect, count_beyond, strongest
from ag_scorers.report.words import describe_change, describe_effect, summary

EFFECT = Effect("DNASE", "dnase", True, "ENCFF1", ".", "HepG2", "", -0.34, -0.984, 2.1, 10.0, 7.9)


class Page(html.parser.HTMLParser):
    """Tags and their attributes, and the text outside of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self._skip = [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._skip += tag in ("script", "style")

    def handle_endtag(self, tag):
        self._skip -= tag in ("script", "style")

    def handle_data(self, data):
        if not self._skip:
            self.text.append(data)

    @property
    def words(self):
        return re.sub(r"\s+", " ", " ".join(self.text))


def snv(world, position):
    return Variant("chr1", position, world.genome[position - 1], world.other(position))


@pytest.mark.parametrize(
    ("position", "place"),
    [
        (4011, "in exon 1 of 2 of ONE (+), 10 bp downstream of its start"),
        (8801, "in exon 2 of 2 of ONE (+), 4,800 bp downstream of its start"),
        (5000, "in an intron of ONE (+), 999 bp downstream of its start"),
        (11_990, "in exon 1 of 1 of TWO (-), 10 bp downstream of its start"),
        (3901, "between genes, 100 bp upstream of the start of ONE (+)"),
        (12_101, "between genes, 8,100 bp downstream of the start of ONE (+)"),
    ],
)
def test_where_a_variant_lies(world, position, place):
    assert describe_place(read_gtf(world.gtf), snv(world, position)) == place


@pytest.mark.parametrize(
    ("ref", "alt", "words"),
    [
        ("A", "C", "replaces A by C"),
        ("A", "ACG", "inserts 2 bp (CG)"),
        ("ACGT", "A", "deletes 3 bp (CGT)"),
        ("A" + "ACGT" * 5, "A", "deletes 20 bp (ACGTAC...CGT)"),
        ("AC", "TGG", "replaces 2 bp (AC) by 3 bp (TGG)"),
    ],
)
def test_what_happens_to_the_bases(ref, alt, words):
    assert describe_change(Variant("chr1", 5, ref, alt)) == words


def test_effects_in_words():
    assert describe_effect(EFFECT) == (
        "HepG2 falls by 21 % (log2 ratio -0.34), more extreme than 99.2 % of common variants"
    )
    expressed = dataclasses.replace(
        EFFECT, key="RNA_SEQ", modality="rna_seq", strand="+", gene="ONE", score=np.log(3.0), tail=None
    )
    assert describe_effect(expressed) == "ONE in HepG2 (+) rises 3.0-fold (log ratio +1.1)"
    sites = dataclasses.replace(EFFECT, key="SPLICE_SITES", modality="splice_sites", signed=False, score=0.5, tail=5.0)
    assert describe_effect(sites) == "HepG2 changes by 0.5, 10 to 7.9, more extreme than nearly all common variants"


def test_the_paragraph_says_what_stands_out_and_what_chance_gives():
    variant = Variant("chr1", 5, "A", "C")
    usual = dataclasses.replace(EFFECT, key="CAGE", modality="cage", tail=0.4)
    told = " ".join(summary(variant, "in an intron of ONE", {"DNASE": [EFFECT], "CAGE": [usual]}, (7, 300), True))
    assert told.startswith("chr1:5:A>C replaces A by C, in an intron of ONE. Accessibility (DNase): HepG2 falls")
    assert "Of 300 scores 7 are beyond 99 % of common variants; of a variant like any other about 3 would be." in told
    assert told.endswith("Nothing to tell of: starts of transcription (CAGE).")
    assert "Nothing stands out" in " ".join(summary(variant, "", {"CAGE": [usual]}, (0, 300), True))
    noted = dataclasses.replace(usual, tail=1.5)
    assert "No effect is unusual; the strongest is on starts" in " ".join(
        summary(variant, "", {"CAGE": [noted]}, (0, 300), True)
    )
    assert "no table of common variants" in " ".join(summary(variant, "", {"CAGE": [usual]}, (0, 0), False))


@pytest.fixture(scope="module")
def examiner(eleven):
    return Examiner(eleven.fasta, gtf=eleven.gtf, model=str(eleven.model), calibration="none")


@pytest.fixture(scope="module")
def found(eleven, examiner):
    base = eleven.genome[5499]
    return examiner.examine(Variant("chr1", 5500, base, base + "GATT"))


def test_scores_are_those_of_the_engine_and_levels_are_no_changes(examiner, found):
    scores = {one.key: one for one in examiner.engine.score(found.variant)}
    assert found.effects
    assert not any("ACTIVE" in key for key in found.effects)
    for key, effects in found.effects.items():
        values = scores[key].values
        assert abs(effects[0].score) == pytest.approx(np.nanmax(np.abs(values)), rel=2e-3)
        assert len(effects) <= 4
    assert count_beyond(found.result.scores) == (0, 0)  # no calibration
    calibrated = [
        dataclasses.replace(one, tails=np.where(np.isnan(one.values), np.nan, 2.5)) for one in found.result.scores
    ]
    beyond, total = count_beyond(calibrated)
    assert (
        beyond
        == total
        == sum(int(np.isfinite(one.values).sum()) for one in calibrated if "active" not in one.scorer.name.lower())
    )
    assert all(effects[0].tail == 2.5 for effects in strongest(calibrated).values())


def test_logos_have_the_letters_of_each_allele(eleven, found):
    logos = found.logos
    at = logos.interval.start
    assert logos.bases == eleven.genome[at : logos.interval.end]
    for matrix, genome in (
        (logos.ref, eleven.genome),
        (logos.alt, eleven.genome[:5500] + "GATT" + eleven.genome[5500:]),
    ):
        letters = genome[at : at + len(matrix)]
        for row, base in enumerate(letters):
            assert np.flatnonzero(matrix[row]).tolist() in ([], ["ACGT".index(base)])
        assert (matrix != 0).any(axis=1).mean() > 0.9


def test_a_page_needs_nothing_else_and_trusts_no_text(examiner, found, eleven):
    pictures = draw_pictures(found, examiner.annotation)
    assert set(pictures) == {"tracks", "splicing", "contacts", "logos"}
    evil = dataclasses.replace(found, words=["<script>alert(1)</script>"], genes=["<b>"])
    made_by = examiner.provenance(["chr1"]) | {"fasta": "<img src=x onerror=alert(1)>"}
    text = render([Section(evil, pictures)], notes=examiner.notes(), provenance=made_by)
    page = Page(text)
    assert "alert(1)" in page.words
    assert [tag for tag, _ in page.tags].count("script") == 1
    images = [attrs["src"] for tag, attrs in page.tags if tag == "img"]
    assert len(images) == 4
    assert all(source.startswith("data:image/png;base64,") for source in images)
    # No link or source leads out of the page.
    for _, attrs in page.tags:
        for name in ("src", "href"):
            assert attrs.get(name, "#").startswith(("#", "data:"))
    assert not re.search(r"https?://|@import|url\(", text)
    assert "no table of common variants" in page.words
    assert made_by["model_digest"] in page.words


def test_command_for_one_and_for_many(eleven, tmp_path, capsys):
    files = ["--fasta", str(eleven.fasta), "--gtf", str(eleven.gtf), "--model", str(eleven.model)]
    files += ["--scorer", "RNA_SEQ", "--scorer", "DNASE", "-q"]
    vcf = eleven.vcf(
        "report.vcf",
        f"4300 = {eleven.other(4300)}",
        f"5500 = {eleven.other(5500)}",
        "6000 {} A".format(next(b for b in "CGT" if b != eleven.genome[5999])),
        "7000 = <DEL>",
    )
    out = tmp_path / "page.html"
    assert run(["report", "variant", str(vcf), *files, "-o", str(out), "--details", "1", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert len(summary["variants"]) == 2
    assert len(summary["failures"]) == 2
    page = Page(out.read_text())
    assert "ref_mismatch" in page.words
    assert "chr1:7000:" in page.words
    assert "Details are shown of the 1 strongest; of 1 others only the table tells." in page.words
    rows = [attrs for tag, attrs in page.tags if tag == "td" and "data-sort" in attrs]
    assert len(rows) == 2 * 3
    assert sum(tag == "article" for tag, _ in page.tags) == 1
    pictures = tmp_path / "svg"
    one = f"chr1:4300:{eleven.genome[4299]}>{eleven.other(4300)}"
    command = ["report", "variant", one, *files, "-o", str(out), "--pictures", str(pictures)]
    assert run(command) == 0
    assert {path.name for path in pictures.iterdir()} == {"001_tracks.svg", "001_logos.svg"}


def test_without_an_annotation_the_page_says_so(eleven):
    examiner = Examiner(eleven.fasta, model=str(eleven.model), calibration="none", scorers=["DNASE"])
    assert any("No annotation was given (--gtf)" in note for note in examiner.notes())
    found = examiner.examine(snv(eleven, 5500), details=False)
    assert found.place == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chr1:5500:N>A", "-o", "x.html"], "the genome has . there, not N"),
        (["chr1:5500", "-o", "x.html"], "variant: cannot read the variant"),
        (["chr9:5500:A>C", "-o", "x.html"], "no chromosome 'chr9'"),
        (["nothing.vcf", "-o", "x.html"], "nothing.vcf"),
        (["chr1:5500:A>C", "-o", "x.pdf"], "expected a name that ends in .html"),
        (["VCF", "-o", "x.html", "--most", "1"], "has more than 1 alleles"),
    ],
)
def test_what_cannot_be_reported(eleven, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    vcf = eleven.vcf("two.vcf", f"4300 = {eleven.other(4300)}", f"5500 = {eleven.other(5500)}")
    arguments = [str(vcf) if one == "VCF" else one for one in arguments]
    files = ["--fasta", str(eleven.fasta), "--model", str(eleven.model), "--scorer", "DNASE"]
    assert run(["report", "variant", *arguments, *files]) == 2
    assert re.search(message, capsys.readouterr().err.replace("\n", " "))
    assert not list(tmp_path.glob("x.*"))


def test_variants_longer_than_the_window(examiner, eleven):
    with pytest.raises(InputError, match="longer than half the window"):
        examiner.check(Variant("chr1", 4300, eleven.genome[4299:7000], eleven.genome[4299]))
