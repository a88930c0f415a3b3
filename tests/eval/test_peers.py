"""Peers: matrices with planted sites, questions about alleles, other programs and their failures, kept scores."""

import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.sequence import encode, reverse_complement
from ag_data import read_gtf
from ag_eval.peers import cispliceai, mmsplice, spliceai
from ag_eval.peers.external import Program, Worker
from ag_eval.peers.mmsplice import Exon, MmSplice, exons_of, moved
from ag_eval.peers.score_cache import ScoreCache
from ag_eval.peers.site_changes import SiteChanges, largest_change
from ag_eval.peers.site_network import CONTEXT, TOGETHER, score_sites
from ag_eval.peers.splice_matrices import (
    count_sites,
    fit_matrices,
    log_odds,
    read_matrices,
    site_scores,
    write_matrices,
)
from ag_eval.peers.splice_matrix import SpliceMatrix

LENGTH, EXONS = 3000, ((200, 400), (900, 1000), (2000, 2300))
# Acceptor where CAG|G is, donor where AG|GTAAGT is: what the program below answers, as the real ones would.
SCRIPT = """
import json, re, sys
print(json.dumps("{version}"), flush=True)
for line in sys.stdin:
    {each}
    questions, found = json.loads(line), []
    for text in questions:
        rows = [[0.0, 0.0] for _ in text]
        for match in re.finditer("CAG(?=G)", text):
            rows[match.end()][0] = 0.5
        for match in re.finditer("AG(?=GTAAGT)", text):
            rows[match.end() - 1][1] = 1.0
        found.append(rows[{context}:-{context}])
    print(json.dumps(found{answer}), flush=True)
"""


def gtf_of(path, strand="+", exons=EXONS, length=LENGTH):
    names = 'gene_id "g"; gene_name "g"; gene_type "protein_coding"'
    rows = [("gene", exons[0][0], exons[-1][1]), ("transcript", exons[0][0], exons[-1][1])]
    rows += [("exon", start, end) for start, end in exons]
    if strand == "-":
        rows = [(kind, length - end, length - start) for kind, start, end in rows]
    path.write_text(
        "".join(
            f'chr1\tx\t{kind}\t{start + 1}\t{end}\t.\t{strand}\t.\t{names}; transcript_id "t"\n'
            for kind, start, end in rows
        )
    )
    return path


@pytest.fixture(scope="module")
def gene(tmp_path_factory):
    """A gene of three exons with strong sites and no others, on '+', and the same on '-'."""
    folder, random = tmp_path_factory.mktemp("gene"), np.random.default_rng(0)
    # Without G there is no site by chance.
    bases = random.choice(list("ACT"), LENGTH)
    for start, end in EXONS[1:]:
        bases[start - 10 : start + 1] = list("TTTTTTTCAGG")
        bases[end - 2 : end + 6] = list("AGGTAAGT")
    bases[EXONS[0][1] - 2 : EXONS[0][1] + 6] = list("AGGTAAGT")
    genome = "".join(bases)
    data = {}
    for strand, sequence in (("+", genome), ("-", reverse_complement(genome))):
        fasta = folder / f"{'plus' if strand == '+' else 'minus'}.fa"
        fasta.write_text(f">chr1\n{sequence}\n")
        data[strand] = {"fasta": fasta, "gtf": gtf_of(fasta.with_suffix(".gtf"), strand)}
    return genome, data


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Makes programs that answer from the sequence; this Python runs them."""
    monkeypatch.setenv("AG_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("AG_PEER_TOY_PYTHON", sys.executable)

    def make(version="1.0", each="pass", answer=""):
        path = tmp_path / "toy.py"
        path.write_text(SCRIPT.format(version=version, each=each, answer=answer, context=CONTEXT))
        return Program("toy", "1.0", path)

    return make


def changed(genome, place, base):
    """A substitution on '+', with the 0-based place."""
    return Variant("chr1", place + 1, genome[place], base)


def turned(variant):
    """The same on the other strand of the genome."""
    position = LENGTH - variant.end + 1
    return Variant(
        "chr1", position, reverse_complement(variant.reference_bases), reverse_complement(variant.alternate_bases)
    )


def broken(genome):
    """Variants that break a donor, break an acceptor, do nothing, make a donor; and what the program says of them."""
    free = EXONS[1][1] + 400
    made = Variant("chr1", free + 1, genome[free : free + 8], "AGGTAAGT")
    return [
        (changed(genome, EXONS[1][1], "A"), -1.0),
        (changed(genome, EXONS[1][0] - 1, "T"), -0.5),
        (changed(genome, EXONS[1][1] + 150, "G"), 0.0),
        (made, 1.0),
    ]


def test_planted_sites_are_found_by_matrices(gene, tmp_path):
    genome, data = gene
    counts, sites = fit_matrices(data["-"]["fasta"], data["-"]["gtf"])
    assert sorted(sites["Kind"]) == ["acceptor", "acceptor", "donor", "donor"]
    on_plus, _ = fit_matrices(data["+"]["fasta"], data["+"]["gtf"])
    for kind in counts:
        np.testing.assert_array_equal(counts[kind], on_plus[kind])
    write_matrices(tmp_path / "m.json", counts, source="planted")
    odds = log_odds(read_matrices(tmp_path / "m.json"), 0)
    scores = site_scores(encode(genome), odds)
    assert set(np.argsort(scores[:, 0])[-2:]) == {start for start, _ in EXONS[1:]}
    assert set(np.argsort(scores[:, 1])[-3:]) == {end - 1 for _, end in EXONS}
    peer = SpliceMatrix(file=tmp_path / "m.json")
    for strand in "+-":
        variants = [each if strand == "+" else turned(each) for each, _ in broken(genome)]
        signs = np.sign(peer.score(variants, data[strand])).tolist()
        assert signs[:2] == [-1, -1]
        assert signs[3] == 1
    one = fit_matrices(data["+"]["fasta"], data["+"]["gtf"], ["chr1:1-950"])[1]
    assert len(one) == 2
    with pytest.raises(InputError, match="no splice site in chr1:2,400-2,500"):
        fit_matrices(data["+"]["fasta"], data["+"]["gtf"], ["chr1:2,400-2,500"])


def test_a_base_given_the_one_before_says_more():
    """Two bases that go together, each half of the time: alone they say nothing."""
    random, rows, texts = np.random.default_rng(1), [], []
    for number in range(400):
        text = random.choice(list("ACGT"), 60)
        text[31:33] = list(random.choice(["AC", "CA"]))
        texts.append("".join(text))
        rows.append((f"c{number}", 30, "+", "donor"))
    sites = pd.DataFrame(rows, columns=["Chromosome", "Position", "Strand", "Kind"])
    known = dict(zip(sites["Chromosome"], texts, strict=True))
    counts = count_sites(lambda at: encode(known[at.chromosome][at.start : at.end]), sites)
    filler = "G" * 31
    fits, does_not = (encode(filler + pair + filler) for pair in ("AC", "AA"))
    single, double = (
        site_scores(fits, log_odds(counts, order))[30, 1] - site_scores(does_not, log_odds(counts, order))[30, 1]
        for order in (0, 1)
    )
    assert abs(single) < 0.5
    assert double > 3


def test_shipped_matrices_know_donors_and_acceptors():
    odds = log_odds(read_matrices(pathlib.Path(SpliceMatrix.__init__.__kwdefaults__["file"])), 0)
    strong = encode("CTTTTTCTTTTCTTTTTCAGGATCATCATCATCAAGGTAAGTATCATCATCATCATC")
    scores = site_scores(strong, odds)
    assert int(scores[:, 0].argmax()) == 20
    assert int(scores[:, 1].argmax()) == 35
    assert scores[20, 0] > 5
    assert scores[35, 1] > 5


def test_damaged_matrices_are_refused(tmp_path):
    (tmp_path / "m.json").write_text('{"counts": {"acceptor": [[[1]]], "donor": [[[1]]]}}')
    with pytest.raises(InputError, match=r"acceptor has the shape \(1, 1, 1\)"):
        read_matrices(tmp_path / "m.json")
    with pytest.raises(InputError, match="write_matrices makes them"):
        read_matrices(tmp_path / "none.json")


def test_changes_have_the_sign_of_gain_and_loss_on_both_strands(gene, toy):
    genome, data = gene
    expected = [value for _, value in broken(genome)]
    for strand in "+-":
        variants = [each if strand == "+" else turned(each) for each, _ in broken(genome)]
        assert score_sites(toy(), variants, data[strand], 50).tolist() == expected
        # Without an annotation the strand is that of the larger change.
        assert score_sites(toy(), variants, {"fasta": data[strand]["fasta"]}, 50).tolist() == expected


def test_the_strand_of_the_gene_counts_alone(gene, toy, tmp_path):
    genome, data = gene
    gtf = gtf_of(tmp_path / "wrong.gtf", "-", tuple((LENGTH - end, LENGTH - start) for start, end in EXONS[::-1]))
    variants = [broken(genome)[0][0]]
    assert score_sites(toy(), variants, {"fasta": data["+"]["fasta"], "gtf": gtf}, 50).tolist() == [0.0]


def test_sites_farther_than_the_distance_do_not_count(gene, toy):
    genome, data = gene
    # Within the sequence that a donor's new twin would need, the variant lies 4 bases from the site.
    variant = changed(genome, EXONS[1][1] + 3, "C")
    assert score_sites(toy(), [variant], data["+"], 4).tolist() == [-1.0]
    assert score_sites(toy(), [variant], data["+"], 3).tolist() == [0.0]


def test_indels_do_not_move_sites_away(gene, toy):
    genome, data = gene
    inside, after = EXONS[1][0] + 40, EXONS[1][1] + 20
    variants = [
        Variant("chr1", inside + 1, genome[inside], genome[inside] + "ACT"),
        Variant("chr1", inside + 1, genome[inside : inside + 5], genome[inside]),
        Variant("chr1", after + 1, "", "CAGG"),
        # A deletion takes the site with it.
        Variant("chr1", EXONS[1][1] - 3, genome[EXONS[1][1] - 4 : EXONS[1][1] + 4], genome[EXONS[1][1] - 4]),
    ]
    for strand in "+-":
        own = [each if strand == "+" else turned(each) for each in variants]
        found = score_sites(toy(), own, data[strand], 50)
        assert found.tolist() == [0.0, 0.0, 0.5, -1.0]


def test_largest_change_counts_inserted_bases_by_their_largest():
    core, variant = Interval("chr1", 0, 8, "+"), Variant("chr1", 3, "A", "ACC")
    ref, alt = np.zeros((8, 2), np.float32), np.zeros((8, 2), np.float32)
    ref[6, 0], alt[8 - 1, 0] = 0.2, 0.9
    alt[4, 1] = 0.3
    # Row 6 of REF is row 8 of ALT, which is not there: the window must reach farther, as `plan` makes it.
    assert largest_change(variant, core, ref, alt, 2) == pytest.approx(0.3)


def test_bases_beyond_the_gene_and_the_contig_are_unknown(gene):
    genome, data = gene
    plan = SiteChanges(data["+"], context=300, distance=50).plan(changed(genome, 210, "G"))
    reference, alternate = plan.questions
    known = reference.strip("N")
    assert genome[200 : 200 + len(known)] == known
    assert reference.index(known) == 300 + 200
    assert [i for i, (one, two) in enumerate(zip(reference, alternate, strict=True)) if one != two] == [510]
    free = SiteChanges({"fasta": data["+"]["fasta"]}, context=300, distance=50).plan(changed(genome, 210, "G"))
    assert len(free.questions) == 4
    assert free.questions[0].lstrip("N").startswith(genome[:100])


def test_a_second_run_asks_nothing_and_says_the_same(gene, toy, monkeypatch):
    genome, data = gene
    variants = [each for each, _ in broken(genome)]
    program = toy()
    first = score_sites(program, variants, data["+"], 50)
    kept = list(ScoreCache("toy", "1.0").folder.glob("*.parquet"))
    assert len(kept) == 1
    assert sorted(pd.read_parquet(kept[0])["variant"]) == sorted(map(str, variants))
    monkeypatch.setenv("AG_PEER_TOY_PYTHON", "no-such-python")
    np.testing.assert_array_equal(score_sites(program, variants[::-1], data["+"], 50)[::-1], first)
    # Other settings, or another context, are other scores.
    for other, distance in ((data["+"], 49), ({"fasta": data["+"]["fasta"]}, 50)):
        with pytest.raises(InputError, match="AG_PEER_TOY_PYTHON=no-such-python is no program"):
            score_sites(program, variants, other, distance)
    kept[0].write_text("damaged")
    with pytest.raises(InputError, match="delete the file"):
        score_sites(program, variants, data["+"], 50)


def test_what_was_scored_before_a_failure_is_kept(gene, toy):
    genome, data = gene
    # Some variants go together; the program dies at the second lot.
    variants = [changed(genome, 1100 + 10 * i, "G") for i in range(TOGETHER + 3)]
    program = toy(each="sys.count = getattr(sys, 'count', 0) + 1; assert sys.count < 2, 'enough'")
    with pytest.raises(InputError, match=r"(?s)peer toy stopped with exit code 1.*AssertionError: enough"):
        score_sites(program, variants, data["+"], 50)
    kept = ScoreCache("toy", "1.0")
    assert len(pd.read_parquet(kept.folder)) == TOGETHER
    assert score_sites(toy(), variants, data["+"], 50).tolist() == [0.0] * (TOGETHER + 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": "0.9"}, r"peer toy is version 0\.9, expected 1\.0: make its environment again"),
        ({"answer": "[:1]"}, r"peer toy answered .*, expected 8 values"),
        ({"each": "print('hello', flush=True)"}, "answered 'hello.*, which is not JSON"),
        ({"each": "raise SystemExit(3)"}, "stopped with exit code 3"),
    ],
)
def test_programs_that_fail_are_named(gene, toy, options, message):
    genome, data = gene
    with pytest.raises(InputError, match=message):
        score_sites(toy(**options), [each for each, _ in broken(genome)], data["+"], 50)


@pytest.mark.parametrize("program", [cispliceai.PROGRAM, spliceai.PROGRAM, mmsplice.PROGRAM], ids=lambda p: p.name)
def test_an_environment_is_asked_for(program, monkeypatch, tmp_path):
    assert f"{program.name}=={program.version}" in program.requirements()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(program.variable, raising=False)
    wanted = f"install uv .*{program.variable} to a Python 3.11 with {program.name}=={program.version}, tensorflow=="
    with Worker(program) as worker, pytest.raises(InputError, match=wanted):
        worker.ask(["A"])
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\n")
    uv.chmod(0o755)
    assert program.command() == [str(uv), "run", "--quiet", "--script", str(program.script)]


def test_exons_with_their_introns(tmp_path):
    gtf = tmp_path / "g.gtf"
    rows = {"a": ((100, 200), (300, 400), (500, 600)), "b": ((300, 400), (500, 650))}
    gtf.write_text(
        'chr1\tx\tgene\t101\t650\t.\t-\t.\tgene_id "g"\n'
        + "".join(
            f'chr1\tx\texon\t{start + 1}\t{end}\t.\t-\t.\tgene_id "g"; transcript_id "{name}"\n'
            for name, exons in rows.items()
            for start, end in exons
        )
    )
    expected = [(100, 200, 0, 100), (300, 400, 100, 100), (500, 600, 100, 0), (500, 650, 100, 0)]
    assert exons_of(read_gtf(gtf), "g") == [Exon(*each) for each in expected]


def test_boundaries_move_with_indels():
    insertion, deletion = Variant("chr1", 11, "A", "ACC"), Variant("chr1", 11, "ACCC", "A")
    assert [moved(place, insertion) for place in (10, 11, 20)] == [10, 13, 22]
    assert [moved(place, deletion) for place in (10, 11, 12, 14, 20)] == [10, 11, 11, 11, 17]


def test_mmsplice_is_asked_about_exons_nearby(gene, toy, monkeypatch):
    genome, data = gene
    program = toy()
    # The score is the difference in length of the alleles, or else whether they differ in the intron on the left.
    program.script.write_text(
        "import json, sys\n"
        "print(json.dumps('1.0'), flush=True)\n"
        "for line in sys.stdin:\n"
        "    asked = json.loads(line)\n"
        "    values = [len(a) - len(r) or (-1.5 if r[:left] != a[:left] else 0.25) for r, a, left, right in asked]\n"
        "    assert all(r[left:][:1] and left in (0, 100) and right in (0, 100) for r, a, left, right in asked)\n"
        "    print(json.dumps(values), flush=True)\n"
    )
    monkeypatch.setattr(mmsplice, "PROGRAM", program)
    start, end = EXONS[1]
    variants = [
        changed(genome, start - 100, "G"),
        changed(genome, start - 101, "G"),
        changed(genome, end + 99, "G"),
        changed(genome, end + 100, "G"),
        Variant("chr1", start + 21, genome[start + 20], genome[start + 20] + "CC"),
        # An indel in the intron draws others bases in, and changes no length.
        Variant("chr1", start - 19, genome[start - 20 : start - 17], genome[start - 20]),
        Variant("chr1", start - 3, genome[start - 4 : end + 4], genome[start - 4]),
        changed(genome, EXONS[0][0] + 5, "G"),
    ]
    expected = [-1.5, np.nan, 0.25, np.nan, 2.0, -1.5, np.nan, 0.25]
    for strand in "+-":
        own = [each if strand == "+" else turned(each) for each in variants]
        np.testing.assert_array_equal(MmSplice().score(own, data[strand]), expected)


def environment(program):
    """Skips where the package cannot be had."""
    if os.environ.get(program.variable):
        return
    if (uv := shutil.which("uv")) is None:
        pytest.skip(f"neither {program.variable} nor uv")
    made = subprocess.run([uv, "sync", "--quiet", "--script", str(program.script)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"uv cannot install {program.name}: {made.stderr.strip().splitlines()[-1]}")


@pytest.mark.slow
@pytest.mark.parametrize("module", [cispliceai, spliceai, mmsplice], ids=lambda m: m.PROGRAM.name)
def test_real_packages_know_a_broken_donor(module, monkeypatch, tmp_path):
    """R3HDML's second exon: its donor's first base, a base deep in the intron, and an indel in the exon."""
    environment(module.PROGRAM)
    monkeypatch.setenv("AG_CACHE_DIR", str(tmp_path))
    examples = pathlib.Path(__file__).parents[2] / "examples" / "data"
    data = {"fasta": examples / "HNF4A.hg38.fa.gz", "gtf": examples / "HNF4A.hg38.gtf.gz"}
    end = 44341314
    variants = [
        Variant("chr20", end + 1, "G", "A"),
        Variant("chr20", end + 60, "N", "A"),
        Variant("chr20", end - 19, "N", "NACT"),
    ]
    peer = {"cispliceai": cispliceai.CiSpliceAi, "spliceai": spliceai.SpliceAi, "mmsplice": MmSplice}[
        module.PROGRAM.name
    ]()
    first = peer.score(variants, data)
    assert first[0] < (-1 if module is mmsplice else -0.5)
    assert abs(first[1]) < abs(first[0]) / 4
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(peer.score(variants, data), first)
