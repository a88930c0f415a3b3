"""The switch `parity`, from the command line down to each scorer: where it acts, and that it acts nowhere else."""

import dataclasses
import json
import math
import sys
import types

import numpy as np
import pyarrow.parquet as pq
import pytest
from ag_core.checkpoint import load
from ag_core.cli import run
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.hookspecs import Plugin
from ag_core.plugins import Found, Registry
from ag_data.fasta import Fasta
from ag_scorers import open_engine, score, score_interval
from ag_scorers.center_mask import CenterMaskScorer
from ag_scorers.parity import Parity, read_parity
from ag_scorers.recommended import RECOMMENDED, parse_scorer, recommended
from ag_scorers.scoring import choose_scorers

SITE = 5520
WIDE = "gene_mask_splicing:modality=splice_sites,width=101"
SCORERS = ("CHIP_TF", "CONTACT_MAPS", "RNA_SEQ", "RNA_SEQ_ACTIVE", "SPLICE_SITES", "SPLICE_JUNCTIONS", WIDE)
# Starts in the window, and has its one exon beyond it.
LATE = """
chr1	t	gene	7001	9100	.	+	.	gene_id "N1.1"; gene_name "N1"; gene_type "lncRNA";
chr1	t	transcript	7001	9100	.	+	.	gene_id "N1.1"; gene_type "lncRNA"; transcript_id "TN1";
chr1	t	exon	9001	9100	.	+	.	gene_id "N1.1"; gene_type "lncRNA"; transcript_id "TN1";
"""
ROW = ("variant", "scorer", "gene", "junction_start", "junction_end", "item", "track", "track_strand")
# Scorers that have such a setting, among the recommended ones.
WITH = {"RNA_SEQ", "RNA_SEQ_ACTIVE", "SPLICE_SITES", "SPLICE_SITE_USAGE", "SPLICE_JUNCTIONS", "POLYADENYLATION"}


@pytest.fixture(scope="module")
def erring(eleven):
    """The world of eleven heads with a gene without exon bases in the window, and 3' ends that are not in order."""
    folder = eleven.folder / "erring"
    folder.mkdir()
    gtf = folder / "genes.gtf"
    gtf.write_text(eleven.gtf.read_text() + LATE.lstrip())
    header, first, *others = eleven.polya().read_text().splitlines()
    (folder / "polya.tsv").write_text("\n".join([header, *others, first]) + "\n")
    return dataclasses.replace(eleven, folder=folder, gtf=gtf)


@pytest.fixture(scope="module")
def vcf(erring):
    base = erring.genome[SITE - 1]
    return erring.vcf("in.vcf", f"{SITE} = {erring.other(SITE)}", f"{SITE} = {base}GATTA")


def files(world, scorers=(*SCORERS, "POLYADENYLATION")):
    given = {"fasta": world.fasta, "gtf": world.gtf, "model": world.model}
    given["polya"] = world.folder / "polya.tsv"
    return [f"--{name}={path}" for name, path in given.items()], [f"--scorer={name}" for name in scorers]


@pytest.fixture(scope="module")
def scored(erring, vcf, tmp_path_factory):
    """Outputs of both modes."""
    folder, paths = tmp_path_factory.mktemp("parity"), {}
    given, scorers = files(erring)
    for parity in Parity:
        paths[parity] = folder / f"{parity}.parquet"
        more = ["--parity", str(parity), "--full", "--keep-shards", "-q", "-o", str(paths[parity])]
        assert run(["score", str(vcf), *given, *scorers, *more]) == 0
    return paths


def rows_of(path):
    rows = pq.read_table(path).to_pylist()
    assert {row["status"] for row in rows} == {"scored"}
    found = {tuple(row[name] for name in ROW): row["score"] for row in rows}
    assert len(found) == len(rows)
    return found


def test_scores_differ_where_the_reference_errs_and_nowhere_else(scored):
    fixed, upstream = (rows_of(scored[parity]) for parity in Parity)
    for parity, path in scored.items():
        assert json.loads(pq.read_schema(path).metadata[b"agenome"])["parity"] == parity
    # A gene without exon bases: nothing is said of it, or NaN.
    late = {key for key in upstream if key[2] == "N1.1"}
    assert set(upstream) - set(fixed) == late
    assert set(fixed) <= set(upstream)
    assert {key[1].partition("(")[0] for key in late} == {"GeneMaskLFCScorer", "GeneMaskActiveScorer"}
    assert {upstream[key] for key in late} == {None}
    # Two programs: rounding may differ.
    pairs = {key: [math.nan if x is None else x for x in (fixed[key], upstream[key])] for key in fixed}
    differ = {(key[1], key[2]) for key, pair in pairs.items() if not np.isclose(*pair, 2e-4, 2e-5, equal_nan=True)}
    assert differ == {
        ("PolyadenylationScorer()", "P1.2"),  # three sites, out of order; of M1 there are two
        *((parse_scorer(WIDE)[0].name, gene) for gene in ("P1.2", "M1.3")),  # its width is ignored
    }
    whole = {key[:1] + key[2:]: value for key, value in upstream.items() if key[1].endswith("SITES, width=None)")}
    narrow = {key[:1] + key[2:]: value for key, value in upstream.items() if key[1].endswith("SITES, width=101)")}
    assert narrow
    assert set(narrow) == set(whole)
    for key, value in whole.items():
        assert (narrow[key] is None) == (value is None)
        assert value is None or narrow[key] == pytest.approx(value, rel=1e-5)


@pytest.mark.slow
def test_python_gives_what_the_command_gives(erring, vcf, scored):
    tree = score(
        vcf,
        fasta=erring.fasta,
        gtf=erring.gtf,
        polya=erring.folder / "polya.tsv",
        model=erring.model,
        scorers=(*SCORERS, "POLYADENYLATION"),
        parity="upstream",
        partial=False,
    )
    assert tree.attrs["parity"] == "upstream"
    sites = tree["POLYADENYLATION"]
    rows = {key: value for key, value in rows_of(scored[Parity.UPSTREAM]).items() if key[1].startswith("Polya")}
    columns = list(zip(sites["name"].values, sites["strand"].values, strict=True))
    items = zip(sites["variant"].values, sites["gene"].values, sites["score"].values, strict=True)
    found = {(v, g, *track): x for v, g, values in items for track, x in zip(columns, values, strict=True)}
    want = {(key[0], key[2], *key[6:]): value for key, value in rows.items()}
    assert set(found) == set(want)
    for key, value in want.items():
        assert found[key] == pytest.approx(value, rel=2e-4, abs=2e-5), key  # another order, another rounding


def test_an_output_is_verified_in_the_mode_that_it_was_made_in(erring, scored, capsys):
    given, _ = files(erring)
    for path in scored.values():
        assert run(["score", "verify", str(path), *given, "-k", "200"]) == 0
        assert "all as before" in capsys.readouterr().out


def test_a_run_does_not_go_on_in_the_other_mode(erring, vcf, scored, tmp_path, capsys):
    given, scorers = files(erring)
    work = scored[Parity.FIXED].with_name("fixed.parquet.run")
    arguments = ["score", str(vcf), *given, *scorers, "--full", "-q", "--work", str(work)]
    assert run([*arguments, "--parity", "upstream", "-o", str(tmp_path / "never.parquet")]) == 2
    assert "parity was fixed, now upstream" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["score", "calibrate", "haplotypes"])
def test_another_word_is_refused_with_both_choices(command, erring, tmp_path, capsys):
    lines = ["##fileformat=VCFv4.2", '##FORMAT=<ID=GT,Number=1,Type=String,Description="g">', "##contig=<ID=chr1>"]
    lines += ["#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT s".replace(" ", "\t")]
    record = f"chr1 {SITE} . {erring.genome[SITE - 1]} {erring.other(SITE)} . . . GT 0|1"
    lines += [record.replace(" ", "\t")]
    (tmp_path / "in.vcf").write_text("\n".join(lines) + "\n")
    given = ["--fasta", str(erring.fasta), "--gtf", str(erring.gtf), "--model", str(erring.model), "-q"]
    output = ["-o", str(tmp_path / "never.parquet"), "--parity", "both"]
    assert run([command, str(tmp_path / "in.vcf"), *given, *output]) == 2
    assert "parity 'both': expected fixed (" in (found := capsys.readouterr().err)
    assert "or upstream (" in found
    assert [path.name for path in tmp_path.iterdir()] == ["in.vcf"]


def test_every_door_refuses_another_word(erring):
    checkpoint, fasta = load(erring.model), Fasta(erring.fasta)
    for door in (
        lambda: read_parity("Upstream"),
        lambda: recommended(["rna_seq"], parity="none"),
        lambda: parse_scorer("RNA_SEQ", parity="1"),
        lambda: choose_scorers((), {"rna_seq": 1}, (), parity=""),
        lambda: open_engine(fasta, model=erring.model, parity="both"),
        lambda: score_interval(checkpoint, fasta, Interval("chr1", 0, 4096), resources={}, parity="both"),
        lambda: parse_scorer("gene_mask_lfc:modality=rna_seq,parity=both"),
    ):
        with pytest.raises(InputError, match=r"parity .*: expected fixed .* or upstream"):
            door()


def test_the_switch_reaches_every_scorer_that_has_one():
    modalities = sorted({options["modality"] for _, options in RECOMMENDED.values()})
    usual, fixed, upstream = (
        recommended(modalities),
        recommended(modalities, parity="fixed"),
        recommended(modalities, parity="upstream"),
    )
    assert usual == fixed
    assert {key for key in fixed if fixed[key] != upstream[key]} == WITH
    assert {getattr(scorer, "parity", None) for scorer in fixed.values()} == {None, Parity.FIXED}
    assert {key for key, scorer in upstream.items() if getattr(scorer, "parity", None) is Parity.UPSTREAM} == WITH
    assert [scorer.name for scorer in fixed.values()] == [scorer.name for scorer in upstream.values()]


def test_a_scorers_own_word_goes_first():
    texts = [
        *("rna_seq", "gene_mask_lfc:modality=cage,parity=fixed", "center_mask:modality=cage"),
        "gene_mask_lfc:modality=atac",
    ]
    chosen = choose_scorers(texts, {"rna_seq": 1, "cage": 1, "atac": 1}, ("genes",), parity="upstream")
    assert [getattr(scorer, "parity", None) for scorer in chosen.values()] == ["upstream", "fixed", None, "upstream"]
    (own,) = parse_scorer("gene_mask_lfc:modality=cage,parity=upstream")
    assert (own.parity, own) == (Parity.UPSTREAM, *parse_scorer("gene_mask_lfc:modality=cage,parity=true"))
    # Of a model without RNA-seq.
    assert choose_scorers((), {"cage": 1}, ("genes",), parity="upstream")["CAGE_GENE"].parity is Parity.UPSTREAM


def test_scorers_of_third_parties_go_on_working(monkeypatch):
    """Without such a setting, with one, and with one that their plugin gives."""
    made = []

    def plain(strength: float = 1.0, **more):
        made.append(("plain", strength, more))
        return CenterMaskScorer("cage")

    def switched(parity: object = False):
        made.append(("switched", parity))
        return CenterMaskScorer("cage")

    plugins = Registry()
    for name, target, options in (
        ("plain", "plain", {}),
        ("switched", "switched", {}),
        ("even", "switched", {"parity": "even"}),
    ):
        plugins.found.append(Found("scorers", Plugin(name, f"theirs:{target}", "a test", options), "somebody 1.0"))
    monkeypatch.setattr("ag_scorers.recommended.registry", lambda: plugins)
    monkeypatch.setitem(sys.modules, "theirs", types.SimpleNamespace(plain=plain, switched=switched))
    for parity in Parity:
        parse_scorer("plain:strength=2", parity=parity)
        parse_scorer("switched", parity=parity)
        parse_scorer("even", parity=parity)
        parse_scorer("switched:parity=odd", parity=parity)
    assert made == [
        *(("plain", 2, {}), ("switched", False), ("switched", "even"), ("switched", "odd")),
        *(("plain", 2, {}), ("switched", "upstream"), ("switched", "even"), ("switched", "odd")),
    ]
