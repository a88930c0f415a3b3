"""Haplotypes scored jointly and allele by allele, in Python and by `agenome haplotypes`."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_data.fasta import Fasta
from ag_scorers.haplotype_commands import haplotypes
from ag_scorers.haplotypes import score_haplotype
from ag_scorers.scoring import open_engine
from typer.testing import CliRunner

SCORERS = (
    "center_mask:modality=rna_seq,width=none,aggregation=DIFF_LOG2_SUM",
    "center_mask:modality=rna_seq,aggregation=ACTIVE_SUM",
    "gene_mask_lfc:modality=rna_seq",
)
OF_ALLELES = {"chromosome", "block", "haplotype", "start", "end", "alleles", "variants", "left_out", "status"}


@pytest.fixture(scope="module")
def engine(world):
    # In full, so that one compiled program serves all variants.
    return open_engine(Fasta(world.fasta), gtf=world.gtf, model=str(world.model), scorers=SCORERS, partial=False)


def snv(world, position):
    return Variant("chr1", position, world.genome[position - 1], world.other(position))


def test_one_allele_is_scored_as_ever(engine, world):
    ref = world.genome[4299:4302]
    variant = Variant("chr1", 4300, ref, world.other(4300) + ref[1] + world.other(4302))
    found = score_haplotype(engine, [variant])
    assert (found.interval, found.replacement) == (engine.interval(variant), variant)
    for one, expected in zip(found.scores, engine.score(variant), strict=True):
        np.testing.assert_array_equal(one.joint, expected.values)
        np.testing.assert_array_equal(one.alone, expected.values)
        assert not np.nan_to_num(one.remainder).any()


def test_joint_and_alone_are_scores_of_realised_replacements(engine, world):
    variants = [snv(world, 4500), snv(world, 4450), snv(world, 4601)]
    interval = Interval("chr1", 2048, 6144)
    found = score_haplotype(engine, variants, interval)
    assert [one.position for one in found.variants] == [4450, 4500, 4601]
    whole = world.genome[4449:4601]
    first, second, third = (one.alternate_bases for one in found.variants)
    everything = first + whole[1:50] + second + whole[51:151] + third
    assert found.replacement == Variant("chr1", 4450, whole, everything)
    expected = engine.score(found.replacement, interval)
    single = engine.score(Variant("chr1", 4450, whole, whole[:50] + second + whole[51:]), interval)
    for number, one in enumerate(found.scores):
        np.testing.assert_array_equal(one.joint, expected[number].values)
        np.testing.assert_array_equal(one.each[1], single[number].values)
        together = one.each.sum(axis=0) if one.scorer.signed else one.each.max(axis=0)
        np.testing.assert_array_equal(one.remainder, one.joint - together)
        assert one.joint.shape == (len(next(iter(one.table.values()), [0])), one.tracks.sizes["track"])
    assert [one.scorer.signed for one in found.scores] == [True, False, True]
    assert found.scores[2].table["gene_name"].tolist() == ["ONE"]
    # The model is not linear, so there is something to tell.
    assert np.nanmax(np.abs(found.scores[0].remainder)) > 1e-6


@pytest.mark.parametrize(
    ("positions", "interval", "message"),
    [
        ([], None, "got variants on none"),
        ([4300, 4300], None, "overlap, so one haplotype cannot have both"),
        ([3000, 7500], None, "beyond the interval"),
        ([4300], Interval("chr1", 0, 4096), "beyond the interval chr1:1-4,096"),
    ],
)
def test_what_cannot_be_scored(engine, world, positions, interval, message):
    with pytest.raises(InputError, match=message):
        score_haplotype(engine, [snv(world, position) for position in positions], interval)


def run(world, vcf, *arguments):
    """`agenome haplotypes` by itself, so that the test does not need it among the plugins."""
    app = typer.Typer()
    app.command()(haplotypes)
    options = ["--fasta", str(world.fasta), "--gtf", str(world.gtf), "--model", str(world.model), "--quiet"]
    scorers = [word for scorer in SCORERS for word in ("--scorer", scorer)]
    return CliRunner().invoke(app, [str(vcf), *options, *scorers, *map(str, arguments)], catch_exceptions=True)


@pytest.fixture(scope="module")
def vcf(world, tmp_path_factory):
    path = tmp_path_factory.mktemp("phased") / "in.vcf"
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=chr1,length=20000>"]
    lines.append('##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">')
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tANNA")
    for position, genotype in (
        (4300, "0|1"),
        (4400, "1|1"),
        (4450, "0/1"),
        (4500, "1|0"),
        (9700, "0|0"),
        (9800, "0|1"),
        (9900, "0|1"),
    ):
        lines.append(
            f"chr1\t{position}\t.\t{world.genome[position - 1]}\t{world.other(position)}\t.\t.\t.\tGT\t{genotype}"
        )
    lines.append(f"chr1\t9950\t.\t{world.genome[9949:9954]}\t{world.genome[9949]}\t.\t.\t.\tGT\t1|0")
    lines.append(f"chr1\t9952\t.\t{world.genome[9951]}\t{world.other(9952)}\t.\t.\t.\tGT\t1|0")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_command_writes_every_copy_once(world, vcf, engine, tmp_path):
    out = tmp_path / "out.parquet"
    done = run(world, vcf, "-o", out, "--sample", "ANNA", "--max-span", 500, "--json")
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["alleles"] == 9
    assert summary["statuses"] == {"overlap": 2, "scored": 6, "unphased": 1}
    table = pq.read_table(out).to_pandas()
    assert set(table.columns) >= OF_ALLELES | {"gene", "scorer", "track", "joint", "alone", "remainder"}
    copies = table.drop_duplicates(["block", "haplotype", "variants", "status"])
    assert copies.groupby("status", observed=True)["alleles"].sum().to_dict() == summary["statuses"]
    scored = table[table["status"] == "scored"]
    shown = {key: rows["variants"].iloc[0].split() for key, rows in scored.groupby(["block", "haplotype"])}
    variants = {position: snv(world, position) for position in (4300, 4400, 4500, 9800, 9900)}
    expected = {(0, 1): (4400, 4500), (0, 2): (4300, 4400), (1, 2): (9800, 9900)}
    assert shown == {key: [str(variants[position]) for position in those] for key, those in expected.items()}
    assert scored[scored["block"] == 0]["left_out"].unique().tolist() == [1, 0]  # 4450 lies between 4400 and 4500
    np.testing.assert_allclose(scored["joint"] - scored["alone"], scored["remainder"], rtol=1e-4, atol=1e-6)
    ours = score_haplotype(engine, [variants[4300], variants[4400]])
    rows = scored[(scored["block"] == 0) & (scored["haplotype"] == 2)]
    first = rows[rows["scorer"] == ours.scores[0].scorer.name]
    np.testing.assert_allclose(first["joint"], ours.scores[0].joint[0], rtol=1e-3, atol=1e-5)
    refused = table[table["status"] != "scored"]
    assert len(refused) == 2
    assert refused["joint"].isna().all()
    assert refused.set_index("status")["detail"].str.contains("overlap|no telling").all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sample", "ANNE"), "no sample 'ANNE'; choose one with --sample, such as ANNA"),
        (("--max-span", 5000), "expected 1 to 2,048 bp"),
        (("-o", "out.tsv"), "ends in .parquet"),
    ],
)
def test_what_the_command_refuses(world, vcf, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = run(world, vcf, "-o", "out.parquet", *arguments)
    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)
    assert list(tmp_path.iterdir()) == []
