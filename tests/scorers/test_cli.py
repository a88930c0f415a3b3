"""`agenome score` end to end on a small genome with a random model, and everything it must refuse."""

import gzip
import json

import ag_scorers
import numpy as np
import pyarrow.parquet as pq
import pysam
import pytest
from ag_core.cli import run

PLACES = (5000, 6000, 9600, 12001)
# Whole windows need one program for all variants; partial evaluation, which compiles some, has tests of its own.
FEW_PROGRAMS = ("--full",)


def arguments(world, vcf, output, *more):
    files = ["--fasta", str(world.fasta), "--gtf", str(world.gtf), "--model", str(world.model)]
    return ["score", str(vcf), *files, "-o", str(output), "--quiet", *more, *FEW_PROGRAMS]


@pytest.fixture(scope="session")
def scored(world):
    """One run with three outputs over good and bad records."""
    records = [f"{p} = {world.other(p)}" for p in PLACES]
    base = world.genome[6999]
    records += [
        f"7000 = {world.other(7000)},{base}GATTACA,<DEL>,*",  # four ALTs
        f"7500 {world.genome[7499:7504]} {world.genome[7499]}",  # deletion
        f"8000 {world.other(8000)} {world.genome[7999]}",  # REF differs from the genome
        "8500 = .",
        "8600 = R",
        f"30000 A {'C'}",  # beyond the end
        "chr9 100 A C",
    ]
    vcf = world.vcf("in.vcf", *records)
    outputs = [world.folder / name for name in ("scores.parquet", "scores.tsv", "scores.vcf.gz")]
    more = [argument for output in outputs[1:] for argument in ("-o", str(output))]
    assert run(arguments(world, vcf, outputs[0], *more)) == 0
    return vcf, outputs


def test_every_alt_has_one_status_in_every_format(scored):
    _, (parquet, tsv, vcf) = scored
    expected = {
        "scored": 7,
        "symbolic": 1,
        "star": 1,
        "ref_mismatch": 1,
        "missing_alt": 1,
        "invalid_allele": 1,
        "outside": 1,
        "unknown_contig": 1,
    }
    rows = pq.read_table(parquet, columns=["variant", "record", "alt", "status"]).to_pylist()
    calls = {(row["record"], row["alt"]): row["status"] for row in rows}
    counts = {status: list(calls.values()).count(status) for status in expected}
    assert counts == expected, [r for r in pq.read_table(parquet).to_pylist() if r["status"] == "failed"]
    assert len(calls) == sum(expected.values())
    header, *lines = tsv.read_text().splitlines()
    columns = header.split("\t")
    from_tsv = {
        (int(row[columns.index("record")]), int(row[columns.index("alt")])): row[columns.index("status")]
        for row in (line.split("\t") for line in lines)
    }
    assert from_tsv == calls
    with pysam.VariantFile(str(vcf)) as file:
        statuses = [status for record in file for status in (record.info.get("AG_STATUS") or ["missing_alt"])]
    assert statuses.count("scored") == 7
    assert "ref_mismatch" in statuses


def test_columns_a_biologist_needs(scored):
    table = pq.read_table(scored[1][0])
    assert {"variant", "gene", "scorer", "output", "track", "biosample_name", "score"} <= set(table.column_names)
    rows = table.to_pylist()
    genes = {row["gene"] for row in rows if row["scorer"] and row["scorer"].startswith("GeneMaskLFC")}
    assert {"G1.1", "G2.1"} <= genes
    # A '+' gene is never scored on a '-' track.
    assert not [row for row in rows if row["gene"] == "G1.1" and row["track_strand"] == "-"]


def test_python_gives_the_same_numbers_in_three_lines(world, scored):
    tree = ag_scorers.score(scored[0], fasta=world.fasta, gtf=world.gtf, model=world.model, partial=False)
    scores = tree["CHIP_TF"]["score"]
    assert scores.dims == ("item", "track")
    table = pq.read_table(scored[1][0]).to_pylist()
    name = tree["CHIP_TF"].attrs["scorer"]
    for row in [row for row in table if row["scorer"] == name][:4]:
        item = list(tree["CHIP_TF"]["variant"].values).index(row["variant"])
        track = list(tree["CHIP_TF"]["name"].values).index(row["track"])
        assert float(scores[item, track]) == pytest.approx(row["score"], abs=1e-6)


def test_scores_are_not_all_alike(scored):
    rows = pq.read_table(scored[1][0]).to_pylist()
    values = [abs(row["score"]) for row in rows if row["score"] is not None and row["scorer"].startswith("Center")]
    assert np.median(values) > 1e-6


def test_swapping_alleles_flips_the_sign_and_equal_alleles_score_zero(world):
    position = 6000
    ref, alt = world.genome[position - 1], world.other(position)
    forward = ag_scorers.score(
        world.vcf("f.vcf", f"{position} {ref} {alt}", f"{position} {ref} {ref}"),
        fasta=world.fasta,
        gtf=world.gtf,
        model=world.model,
        partial=False,
    )
    swapped_genome = world.genome[: position - 1] + alt + world.genome[position:]
    fasta = world.folder / "swapped.fa"
    fasta.write_text(f">chr1\n{swapped_genome}\n")
    backward = ag_scorers.score(
        world.vcf("b.vcf", f"{position} {alt} {ref}"), fasta=fasta, gtf=world.gtf, model=world.model, partial=False
    )
    for key in ("CHIP_TF", "RNA_SEQ"):
        one, other = forward[key]["score"].values, backward[key]["score"].values
        items = len(other)
        np.testing.assert_allclose(one[:items], -other, atol=2e-6)
        np.testing.assert_array_equal(np.nan_to_num(one[items:]), 0)


@pytest.mark.slow
def test_batches_do_not_matter(world, scored, tmp_path):
    other = tmp_path / "again.parquet"
    assert run(arguments(world, scored[0], other, "--batch-size", "3")) == 0
    one, two = (pq.read_table(path).column("score").to_numpy() for path in (scored[1][0], other))
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_a_third_partys_scorer_needs_no_change_here(world, scored, tmp_path, capsys):
    output = tmp_path / "theirs.parquet"
    assert run(arguments(world, scored[0], output, "--scorer", "max_abs_diff:modality=chip_tf", "--json")) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["statuses"]["scored"] == 7
    rows = [row for row in pq.read_table(output).to_pylist() if row["status"] == "scored"]
    assert len(rows) == 7 * 2
    assert all(row["score"] >= 0 for row in rows)


def test_track_query_and_recommended_key(world, scored, tmp_path):
    output = tmp_path / "few.parquet"
    assert run(arguments(world, scored[0], output, "--tracks", "CTCF & K562", "--scorer", "chip_tf")) == 0
    assert {row["track"] for row in pq.read_table(output).to_pylist()} == {"CTCF", None}


@pytest.mark.slow
def test_bfloat16_runs_and_stays_close(world, scored, tmp_path):
    output = tmp_path / "low.parquet"
    assert run(arguments(world, scored[0], output, "--precision", "bfloat16", "--scorer", "chip_tf")) == 0
    low, all_scorers = (pq.read_table(path).to_pandas() for path in (output, scored[1][0]))
    high = all_scorers[all_scorers["scorer"].isin(set(low["scorer"].dropna())) | all_scorers["scorer"].isna()]
    one, two = (table["score"].to_numpy(np.float32) for table in (high, low))
    np.testing.assert_array_equal(np.isnan(one), np.isnan(two))
    # How far off single scores are is chance: the weights are random, and rounded to 8 bits.
    there = ~np.isnan(one)
    assert np.corrcoef(one[there], two[there])[0, 1] > 0.95
    assert np.abs(one - two)[there].max() < 0.3 * np.abs(one[there]).max()


def bad_fasta(world):
    return ["--fasta", str(world.folder / "nowhere.fa")]


def truncated_fasta(world):
    path = world.folder / "cut.fa.gz"
    path.write_bytes(gzip.compress(world.fasta.read_bytes())[:2000])
    return ["--fasta", str(path)]


def truncated_gtf(world):
    path = world.folder / "cut.gtf.gz"
    path.write_bytes(gzip.compress(world.gtf.read_bytes())[:150])
    return ["--gtf", str(path)]


def damaged_model(world):
    folder = world.folder / "damaged"
    folder.mkdir(exist_ok=True)
    (folder / "model.json").write_bytes((world.model / "model.json").read_bytes())
    content = bytearray((world.model / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(bytes(content))
    return ["--model", str(folder)]


REFUSED = {
    "missing fasta": (bad_fasta, "nowhere.fa"),
    "truncated fasta": (truncated_fasta, "cut.fa.gz"),
    "truncated gtf": (truncated_gtf, "cut.gtf.gz"),
    "missing gtf": (lambda w: ["--gtf", str(w.folder / "no.gtf")], "no.gtf"),
    "damaged model": (damaged_model, "digest"),
    "unknown model": (lambda w: ["--model", "mini2"], "did you mean 'mini'"),
    "odd window": (lambda w: ["--window", "5000"], "multiple of 2,048"),
    "unknown scorer": (lambda w: ["--scorer", "center_mas"], "did you mean 'center_mask'"),
    "scorer without its modality": (lambda w: ["--scorer", "ATAC"], "does not predict"),
    "gene scorer at 128 bp": (lambda w: ["--scorer", "gene_mask_lfc:modality=chip_tf"], "1 bp"),
    "no such track": (lambda w: ["--tracks", "unobtainium"], "no track"),
    "unknown organism": (lambda w: ["--organism", "mouse"], "human"),
    "unknown precision": (lambda w: ["--precision", "float8"], "bfloat16"),
    "unknown suffix": (lambda w: ["-o", str(w.folder / "scores.xlsx")], ".parquet"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_a_reason_and_nothing_written(case, world, scored, tmp_path, capsys):
    change, message = REFUSED[case]
    output = tmp_path / "never.parquet"
    assert run(arguments(world, scored[0], output, *change(world))) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_truncated_vcf_is_refused(world, scored, tmp_path, capsys):
    packed = tmp_path / "in.vcf.gz"
    pysam.tabix_compress(str(scored[0]), str(packed))
    packed.write_bytes(packed.read_bytes()[:-40])
    assert run(arguments(world, packed, tmp_path / "never.parquet")) == 2
    assert "in.vcf.gz" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.vcf.gz"]


def test_wrong_build_stops_with_the_likely_cause(world, tmp_path, capsys):
    # Positions written 0-based: REF fits one base further right.
    records = [f"{p - 1} {world.genome[p - 1]} {world.other(p)}" for p in range(5000, 5400, 10)]
    vcf = world.vcf("shifted.vcf", *records)
    assert run(arguments(world, vcf, tmp_path / "never.parquet")) == 2
    assert "0-based" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_empty_vcf_gives_an_empty_table(world, tmp_path):
    output = tmp_path / "empty.parquet"
    assert run(arguments(world, world.vcf("empty.vcf"), output)) == 0
    assert pq.read_table(output).num_rows == 0


def test_interruption_leaves_nothing_behind(world, scored, tmp_path, monkeypatch):
    def interrupt(self, batch):
        raise KeyboardInterrupt

    monkeypatch.setattr("ag_scorers.engine.Engine._begin", interrupt)
    assert run(arguments(world, scored[0], tmp_path / "never.parquet")) == 130
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("when", ["_begin", "_end"])  # a device may tell of it late
def test_a_variant_that_fails_does_not_take_others_along(world, scored, tmp_path, monkeypatch, when):
    from ag_scorers.engine import Engine

    compute = getattr(Engine, when)

    def fail_one(self, batch, *begun):
        if any(job.call.position == PLACES[1] for job in batch.jobs):
            raise MemoryError("planted")
        return compute(self, batch, *begun)

    monkeypatch.setattr(Engine, when, fail_one)
    output = tmp_path / "partly.parquet"
    assert run(arguments(world, scored[0], output)) == 0
    rows = pq.read_table(output).to_pylist()
    failed = {(row["variant"].split(":")[1], row["detail"]) for row in rows if row["status"] == "failed"}
    assert failed == {(str(PLACES[1]), "MemoryError: planted")}
    assert len({row["variant"] for row in rows if row["status"] == "scored"}) == 6
