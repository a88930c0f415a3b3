"""Scoring with a model that has all eleven heads: every recommended scorer, from files, and laws of what comes out."""

import jax
import numpy as np
import pyarrow.parquet as pq
import pytest
from ag_core.cli import run
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_data.fasta import Fasta
from ag_data.variants import check_calls, read_variants
from ag_scorers import engine as engine_module
from ag_scorers import evaluation as evaluation_module
from ag_scorers.alleles import predict_alleles
from ag_scorers.parity import Parity
from ag_scorers.recommended import RECOMMENDED, recommended
from ag_scorers.scoring import open_engine

SITE = 5520  # near a donor of P1, inside M1 as well
RECOMMENDED_MODALITIES = sorted({options["modality"] for _, options in RECOMMENDED.values()})


SCORERS = ("recommended", "composite_splicing")


@pytest.fixture(scope="session")
def polya(eleven):
    return eleven.polya()


def open_all(world, polya, scorers=SCORERS, **options):
    """An engine with every recommended scorer and the composite one; all of them share compiled programs."""
    options = {"batch_size": 1, "model": str(world.model), "scorers": scorers} | options
    return open_engine(Fasta(world.fasta), gtf=world.gtf, polya=polya, **options)


@pytest.fixture(scope="session")
def opened(eleven, polya):
    return open_all(eleven, polya)


def variants_of(world):
    base = world.genome[SITE - 1]
    return {
        "snv": Variant("chr1", SITE, base, world.other(SITE)),
        "insertion": Variant("chr1", SITE, base, base + "GATTA"),
        "deletion": Variant("chr1", SITE, world.genome[SITE - 1 : SITE + 5], base),
    }


def by_key(results):
    return {result.key: result for result in results}


@pytest.mark.slow
def test_all_nineteen_from_the_command_line(eleven, polya, tmp_path):
    output = tmp_path / "scores.parquet"
    records = [
        f"{SITE} = {eleven.other(SITE)}",
        f"{SITE} = {eleven.genome[SITE - 1]}GA",
        "2500 = " + eleven.other(2500),
    ]
    arguments = ["score", str(eleven.vcf("eleven.vcf", *records)), "--fasta", str(eleven.fasta), "-q"]
    arguments += ["--gtf", str(eleven.gtf), "--polya", str(polya), "--model", str(eleven.model), "-o", str(output)]
    arguments += ["--batch-size", "1", "--scorer", "recommended", "--scorer", "composite_splicing"]
    assert run(arguments) == 0
    rows = pq.read_table(output).to_pylist()
    assert {row["status"] for row in rows} == {"scored"}
    expected = {scorer.name for scorer in recommended(RECOMMENDED_MODALITIES).values()}
    assert len(expected) == 19
    expected.add("CompositeSplicingScorer()")
    near = [row for row in rows if row["variant"].startswith(f"chr1:{SITE}:")]
    assert {row["scorer"] for row in near} == expected
    assert not [row for row in near if row["score"] is None]
    junctions = [row for row in near if row["scorer"] == "SpliceJunctionScorer()"]
    assert {row["gene"] for row in junctions} == {"P1.2", "M1.3"}
    for row in junctions:
        low, high = {"P1.2": (4000, 9000), "M1.3": (4200, 8900)}[row["gene"]]
        assert low < row["junction_start"] < row["junction_end"] < high
        assert row["track"] in ("liver", "blood")
    sites = [row for row in near if row["scorer"] == "PolyadenylationScorer()"]
    assert {row["item"] for row in sites} >= {'{"num_pas": 3, "min_pas_var_distance": 80}'}
    # No gene at 2500: there is nothing to say about splicing, and nothing is invented.
    far = {row["scorer"] for row in rows if row["variant"].startswith("chr1:2500:")}
    assert not far & {
        "SpliceJunctionScorer()",
        "PolyadenylationScorer()",
        *(n for n in expected if "MaskSplicing" in n),
    }


def test_equal_alleles_change_nothing(opened, eleven):
    base = eleven.genome[SITE - 1]
    results = by_key(opened.score(Variant("chr1", SITE, base, base)))
    assert list(results)[:19] == list(RECOMMENDED)
    for key, result in results.items():
        assert result.values.size, key
        if not key.endswith("_ACTIVE"):
            assert np.nanmax(np.abs(result.values)) == 0, key
    actives = [result for key, result in results.items() if key.endswith("_ACTIVE")]
    assert all(np.nanmax(result.values) > 0 for result in actives)


@pytest.mark.slow
def test_changes_are_seen_and_batches_do_not_matter(opened, eleven, polya):
    other = open_all(eleven, polya, batch_size=3)
    one = variants_of(eleven)
    records = [f"{v.position} {v.reference_bases} {v.alternate_bases}" for v in one.values()]
    calls = list(check_calls(read_variants(eleven.vcf("three.vcf", *records)), other.fasta, 2048))
    batch = list(other.run(calls))
    for variant, result in zip(one.values(), batch, strict=True):
        assert result.call.status.value == "scored", result.call.detail
        alone = by_key(opened.score(variant))
        for got in result.scores:
            want = alone[got.key]
            assert {key: list(column) for key, column in got.table.items()} == {
                key: list(column) for key, column in want.table.items()
            }, got.key
            np.testing.assert_allclose(got.values, want.values, rtol=2e-3, atol=2e-5, err_msg=got.key)
            assert np.nanmax(np.abs(got.values)) > 0, got.key


@pytest.mark.slow
def test_composite_is_the_sum_of_its_parts(opened, eleven):
    for variant in variants_of(eleven).values():
        results = by_key(opened.score(variant))
        best = {
            key: np.nanmax(results[key].values) for key in ("SPLICE_SITES", "SPLICE_SITE_USAGE", "SPLICE_JUNCTIONS")
        }
        want = best["SPLICE_SITES"] + best["SPLICE_SITE_USAGE"] + best["SPLICE_JUNCTIONS"] / 5
        (got,) = results["CompositeSplicingScorer()"].values.ravel()
        assert got == pytest.approx(want, rel=1e-5)
    nowhere = by_key(opened.score(Variant("chr1", 2500, eleven.genome[2499], eleven.other(2500))))
    assert nowhere["CompositeSplicingScorer()"].values.tolist() == [[0]]
    for key in ("SPLICE_SITES", "SPLICE_SITE_USAGE", "SPLICE_JUNCTIONS", "POLYADENYLATION"):
        assert nowhere[key].values.shape == (0, opened.tables[RECOMMENDED[key][1]["modality"]].sizes["track"]), key


@pytest.mark.slow
def test_one_program_and_no_junction_matrix_comes_back(eleven, polya, monkeypatch):
    # Scorers that no other test has together, so that nothing is compiled yet.
    scorers = ("SPLICE_JUNCTIONS", "POLYADENYLATION", "gene_mask_splicing:modality=splice_sites,width=1001")
    engine, traces, sent = open_all(eleven, polya, scorers, partial=False), [], []

    def traced(*arguments, **options):
        traces.append(1)
        return predict_alleles(*arguments, **options)

    compute = engine_module.score_everywhere
    monkeypatch.setattr(evaluation_module, "predict_alleles", traced)
    monkeypatch.setattr(
        engine_module, "score_everywhere", lambda *arguments: sent.append(compute(*arguments)) or sent[-1]
    )
    for variant in variants_of(eleven).values():
        engine.score(variant)
    assert len(traces) == 1
    tissues, genes = 2, 4
    assert max(leaf.size for leaf in jax.tree.leaves(sent[0][0].scores)) <= genes * tissues**2


@pytest.mark.slow
def test_minus_strand_equals_the_mirrored_genome(eleven, mirrored, polya):
    """Scores on '-' are those of the other strand of a mirrored world, junctions and site masks included."""
    here, there = open_all(eleven, polya), open_all(mirrored, mirrored.polya(len(eleven.genome)))
    window = Interval("chr1", 5120, 9216, "-")
    other = eleven.other(SITE)
    forward = by_key(here.score(Variant("chr1", SITE, eleven.genome[SITE - 1], other), window))
    complement, length = dict(zip("ACGT", "TGCA", strict=True)), len(eleven.genome)
    variant = Variant("chr1", length + 1 - SITE, complement[eleven.genome[SITE - 1]], complement[other])
    mirror = by_key(there.score(variant, Interval("chr1", length - 9216, length - 5120)))
    compared = 0
    for key, got in forward.items():
        if key.startswith(("DNASE", "CHIP")):
            continue  # cut sites move by one base, and a window of an even number of bins has no middle
        want = mirror[key]
        strands = got.tracks["strand"].values
        partners = np.arange(len(strands))
        partners[strands == "+"], partners[strands == "-"] = (
            np.flatnonzero(strands == "-"),
            np.flatnonzero(strands == "+"),
        )
        rows = {identity(want, row, mirror=length): want.values[row][partners] for row in range(len(want.values))}
        assert set(rows) == {identity(got, row) for row in range(len(got.values))}, key
        for row in range(len(got.values)):
            np.testing.assert_allclose(got.values[row], rows[identity(got, row)], rtol=2e-3, atol=2e-5, err_msg=key)
            compared += 1
    assert compared >= 14
    assert len(forward["SPLICE_JUNCTIONS"].values) >= 2


def identity(result, row, mirror=0):
    """What an item is about, in the coordinates of the world."""
    if "gene_id" not in result.table:
        return ()
    place = [int(result.table[name][row]) for name in ("junction_start", "junction_end") if name in result.table]
    return result.table["gene_id"][row], *(sorted(mirror - one for one in place) if mirror else place)


@pytest.mark.slow
def test_parity_on_the_minus_strand_differs_where_the_reference_errs(eleven, polya):
    """spec/scoring.md 1.12, items 1 and 2: junction sites, and genes at indels; nowhere else."""
    engines = [open_all(eleven, polya, partial=False) for _ in range(2)]
    engines[1].parity = Parity.UPSTREAM  # of the engine alone: no scorer's setting differs
    # Genes fill one half of the window, so that mirrored they fill the other.
    window = Interval("chr1", 2048, 6144, "-")
    for name, variant in variants_of(eleven).items():
        fixed, parity = (by_key(engine.score(variant, window)) for engine in engines)
        differ = {
            key
            for key in fixed
            if fixed[key].values.shape != parity[key].values.shape
            or not np.array_equal(fixed[key].values, parity[key].values, equal_nan=True)
        }
        of_genes = {"RNA_SEQ", "RNA_SEQ_ACTIVE", "SPLICE_SITES", "SPLICE_SITE_USAGE", "POLYADENYLATION"}
        assert differ <= {"SPLICE_JUNCTIONS", "CompositeSplicingScorer()"} | (set() if name == "snv" else of_genes), (
            name
        )
        assert "SPLICE_JUNCTIONS" in differ
        assert name == "snv" or {"SPLICE_SITES", "SPLICE_SITE_USAGE"} <= differ


REFUSED = {
    "no sites": (["--scorer", "polyadenylation"], "--polya"),
    "an interval scorer": (["--scorer", "interval_gene_mask:modality=rna_seq"], "score_interval"),
    "a window over junctions": (["--scorer", "center_mask:modality=splice_junctions"], "splice_junctions"),
    "genes in contact maps": (["--scorer", "gene_mask_lfc:modality=contact_maps"], "2048 bp"),
    "unknown width": (["--scorer", "gene_mask_splicing:modality=splice_sites,width=7"], "width 7"),
    "splice sites that are none": (["--splice-sites", "GTF"], "expected a name that ends in"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_any_work(case, eleven, tmp_path, capsys):
    more, message = REFUSED[case]
    more = [str(eleven.gtf) if one == "GTF" else one for one in more]
    vcf = eleven.vcf("refused.vcf", f"{SITE} = {eleven.other(SITE)}")
    arguments = ["score", str(vcf), "--fasta", str(eleven.fasta), "--gtf", str(eleven.gtf), "-q", *more]
    assert run([*arguments, "--model", str(eleven.model), "-o", str(tmp_path / "never.parquet")]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_junction_scorer_needs_genes(eleven):
    with pytest.raises(InputError, match=r"scorer SPLICE_JUNCTIONS needs an annotation \(--gtf\)"):
        open_engine(Fasta(eleven.fasta), model=str(eleven.model), scorers=("SPLICE_JUNCTIONS",))


def test_tracks_by_cell_leave_out_what_has_no_cell(eleven):
    scorers = ("SPLICE_JUNCTIONS", "SPLICE_SITES", "RNA_SEQ")
    options = {"gtf": eleven.gtf, "model": str(eleven.model), "scorers": scorers}
    engine = open_engine(Fasta(eleven.fasta), tracks="biosample_name=HepG2", **options)
    assert list(engine.scorers) == ["SPLICE_JUNCTIONS", "RNA_SEQ"]
    assert list(engine.tables["splice_junctions"]["name"].values) == ["liver"]
