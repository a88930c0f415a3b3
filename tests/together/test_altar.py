"""altar (Python 3.12 and later) scores with our model: its own conformance suites, its driver, and equal numbers.

`hatch run altar:check` runs this; in environments without altar it is skipped.
"""

import asyncio
import logging
import pathlib

import numpy as np
import pytest

pytest.importorskip("altar")

from ag_core import Variant, load
from ag_data import Call, Fasta, Status
from ag_scorers import calibrate_result, load_calibration, open_engine
from ag_scorers.adapters_altar import DETAILS, AgenomePlugin, AgenomeRunInputs, AgenomeRuntime
from altar.execution import PathResolver
from altar.models import ScoringRequest, VariantKey, get_model_plugin, sha256_file
from altar.scoring import run_scoring
from altar.testing import InlineScorerContract, InMemoryDetailStore, InMemoryScoreStore, ModelPluginContract

DATA = pathlib.Path(__file__).parents[2] / "examples" / "data"
FASTA, GTF = DATA / "HNF4A.hg38.fa.gz", DATA / "HNF4A.hg38.gtf.gz"
SCORERS = ("DNASE", "RNA_SEQ")
VARIANTS = ("chr20:44355804:C:T", "chr20:44355780:G:GCGATC", "chr20:44355637:G:A")


def resource(path):
    return {"uri": str(path), "digest": sha256_file(path)}


def request(*variants, digest=None, **more):
    plugin = AgenomePlugin()
    model = {"uri": "mini", "digest": f"sha256:{digest or load('mini').digest}"}
    configuration = {"model": model, "annotation": resource(GTF), "scorers": SCORERS} | more
    template = ScoringRequest(
        job_id="job",
        model_id="mini",
        configuration=plugin.parse_configuration(configuration),
        run_inputs=AgenomeRunInputs.model_validate({"genome_build": "hg38", "genome": resource(FASTA)}),
        resolver=PathResolver(""),
        output=plugin.default_output,
    )
    return plugin.with_run_variants(template, [VariantKey.require_canonical(one) for one in variants])


def execute(scoring_request):
    plugin = AgenomePlugin()
    return asyncio.run(plugin.execute_inline(plugin.build_scoring_plan(scoring_request), AgenomeRuntime(2)))


class TestResults(ModelPluginContract):
    @pytest.fixture
    def plugin(self):
        return AgenomePlugin()


class TestInline(InlineScorerContract):
    @pytest.fixture
    def plugin(self):
        return AgenomePlugin()

    @pytest.fixture
    def scoring_request(self):
        return request(*VARIANTS[:2])


def test_altar_finds_it():
    """By the entry point of ag-scorers."""
    assert isinstance(get_model_plugin("AGENOME"), AgenomePlugin)


def test_the_numbers_are_ours():
    found = execute(request(*VARIANTS))
    engine = open_engine(Fasta(FASTA), gtf=GTF, scorers=SCORERS)
    calibration = load_calibration("auto", engine)
    for number, (text, primary) in enumerate(zip(VARIANTS, found.primary_rows, strict=True)):
        chromosome, position, ref, alt = text.split(":")
        variant = Variant(chromosome, int(position), ref, alt)
        call = Call(number, 0, chromosome, int(position), ref, alt, "", Status.SCORED, variant)
        (result,) = engine.run([call])
        scores = calibrate_result(result, calibration).scores
        mine = np.concatenate([one.values[~np.isnan(one.values)] for one in scores])
        rows = [row for row in found.details[0].rows if row["variant_id"] == text]
        np.testing.assert_allclose([row["score"] for row in rows], mine, rtol=1e-3, atol=1e-5)
        assert primary["n_scores"] == len(rows) == len(mine) > 40
        # The strongest, by quantile.
        largest = max(np.nanmax(np.abs(one.quantiles)) for one in scores)
        assert abs(primary["top_quantile"]) == pytest.approx(largest, abs=2e-3)
        assert primary["top_scorer"] in {row["scorer"] for row in rows}


def test_altars_driver_stores_the_scores(caplog):
    """A variant that does not fit the genome has no row, is counted by altar and told in the log."""
    store, details = InMemoryScoreStore(), InMemoryDetailStore()
    wrong = "chr20:44355804:G:T"
    with caplog.at_level(logging.WARNING):
        run = asyncio.run(
            run_scoring(
                AgenomePlugin(),
                request(VARIANTS[0], wrong),
                model_name="mini",
                score_store=store,
                detail_store=details,
            )
        )
    assert run.added == 1
    assert run.variants_without_rows == 1
    assert [one.name for one in run.details] == [DETAILS]
    assert f"cannot score {wrong}: ref_mismatch the genome has chr20:44355804:C" in caplog.text


def test_what_is_refused(tmp_path):
    with pytest.raises(Exception, match="none of 1 variants can be scored: 1 ref_mismatch"):
        execute(request("chr20:44355804:G:T"))
    with pytest.raises(Exception, match=r"has the digest sha256:.*`agenome model info` prints it"):
        execute(request(VARIANTS[0], digest="0" * 64))
    with pytest.raises(ValueError, match="require sha256 digests"):
        request(VARIANTS[0], model={"uri": "mini"})
    other = tmp_path / "genes.gtf"
    other.write_text("")
    with pytest.raises(Exception, match=r"genes.gtf"):
        execute(request(VARIANTS[0], annotation={"uri": str(other), "digest": f"sha256:{'0' * 64}"}))
