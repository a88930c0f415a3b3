import dataclasses
import json
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import typer
from ag_core.checkpoint import Checkpoint, HeadSpec, ModelSpec, outline, save
from ag_core.config import PRESETS
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.plugins import registry
from ag_core.schema import track_table
from ag_data import Fasta
from ag_eval import run_benchmark
from ag_eval.benchmarks.chip_peaks import find_windows, near_summits
from ag_eval.commands import evaluate
from ag_eval.variants.measured import read_measured
from typer.testing import CliRunner

WINDOW, LENGTH = 2048, 20_000
TRACKS = track_table(
    {
        "name": ["HepG2 HNF4A", "K562 CTCF", "padding"],
        "strand": [".", ".", "."],
        "biosample_name": ["HepG2", "K562", ""],
        "transcription_factor": ["HNF4A", "CTCF", ""],
    }
)
SPEC = ModelSpec(
    name="toy",
    backbone=dataclasses.replace(PRESETS["tiny"], organisms=1),
    heads={"chip_tf": HeadSpec("chip_tf", (TRACKS,))},
    organisms=("human",),
    window=WINDOW,
    licence="test",
)
# Bins of 128 bp that hold nothing but G, the only ones in the genome: peaks of HNF4A.
PLANTED = [10, 37, 50, 90, 91, 120]


class CountingHead(eqx.Module):
    resolutions: ClassVar[tuple[int, ...]] = (128,)

    def output(self, predictions):
        return predictions["predictions_128bp"]


class CountingModel(eqx.Module):
    """Predicts the number of G in a bin for the first track, of T for the second."""

    heads: dict[str, CountingHead]

    def __call__(self, dna, organism, *, modalities):
        counts = dna.reshape(dna.shape[0], -1, 128, 4).sum(axis=2)
        tracks = jnp.stack([counts[..., 2], counts[..., 3], jnp.zeros_like(counts[..., 0])], axis=-1)
        return {name: {"predictions_128bp": tracks} for name in modalities}


class ToyCheckpoint(NamedTuple):
    """A checkpoint whose model is none of ag-core's."""

    model: Any
    spec: ModelSpec
    digest: str


@pytest.fixture
def counting():
    return ToyCheckpoint(CountingModel({"chip_tf": CountingHead()}), SPEC, "0" * 64)


@pytest.fixture(scope="module")
def tiny():
    """A real network with random weights; `build` would draw them properly, but compiles for long."""
    random = np.random.default_rng(0)

    def draw(leaf):
        drawn = isinstance(leaf, jax.ShapeDtypeStruct)
        return jnp.asarray(random.uniform(0.1, 0.3, leaf.shape), jnp.float32) if drawn else leaf

    return Checkpoint(jax.tree.map(draw, outline(SPEC)), SPEC, "1" * 64)


@pytest.fixture
def bases():
    letters = np.random.default_rng(0).choice(list("ACT"), LENGTH)
    for each in PLANTED:
        letters[128 * each : 128 * (each + 1)] = "G"
    letters[7_000:11_000] = "N"
    return "".join(letters)


@pytest.fixture
def fasta(tmp_path, bases):
    path = tmp_path / "genome.fa"
    path.write_text(f">chr22\n{bases}\n")
    return path


@pytest.fixture
def peaks(tmp_path):
    path = tmp_path / "peaks.tsv"
    starts = 128 * np.array(PLANTED) + 64 - 30
    table = pd.DataFrame({"chrom": "chr22", "start": starts, "end": starts + 60, "tf": "HNF4A", "cell": "HepG2"})
    table = table.assign(signalValue=1.0, qValue=1.0, summit=30)
    other = table.iloc[:2].assign(tf="CTCF", cell="K562", start=[2000, 15_000])
    pd.concat([table, other, table.assign(cell="unknown")]).to_csv(path, sep="\t", index=False)
    return path


@pytest.fixture
def vcf(tmp_path, bases):
    path = tmp_path / "effects.vcf"
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=chr22,length=20000>"]
    lines += [f'##INFO=<ID={key},Number=A,Type=Float,Description="x">' for key in ("MPRA_EFFECT", "MPRA_P")]
    lines.append("\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]))
    for i, position in enumerate(range(3000, 3060, 3)):
        # A G more is an effect; the size varies, so that there are ranks.
        ref = bases[position - 1]
        alt, effect, p = ("G", 1 + i / 100, 1e-9) if i % 2 else ("A" if ref != "A" else "C", 0.0, 0.9)
        info = f"MPRA_EFFECT={effect};MPRA_P={p}"
        lines.append("\t".join(["chr22", str(position), ".", ref, alt, ".", ".", info]))
    path.write_text("\n".join(lines) + "\n")
    return path


def value(results, **where):
    table = results.to_dataframe().reset_index(drop=True)
    for column, wanted in where.items():
        table = table[table[column] == wanted]
    assert len(table) == 1, table
    return table.iloc[0]


def test_a_perfect_predictor_finds_every_planted_peak(counting, fasta, peaks):
    results = run_benchmark("chip_peaks", counting, {"fasta": fasta, "peaks": peaks})
    for metric in ("auroc", "auprc"):
        row = value(results, metric=metric, group="HepG2 HNF4A", model="toy")
        assert (row["value"], row["low"], row["high"]) == (1, 1, 1)
    assert 0.5 < value(results, metric="auroc", group="HepG2 HNF4A", model="gc_content")["value"] < 1
    assert value(results, metric="auroc", group="K562 CTCF", model="toy")["value"] < 0.9
    # Bins 51 to 89 are within 512 bp of an N or on one; 100 bp from each chromosome end are not enough.
    prevalence = value(results, metric="auprc", group="HepG2 HNF4A", model="random")["value"]
    assert prevalence == pytest.approx(5 / results.attrs["bins"])
    assert results.attrs["tracks"] == 2
    assert value(results, metric="auroc", group="median of tracks", model="toy")["high"] == 1
    assert results.attrs["digest"] == "0" * 64
    assert "ENCODE" in results.attrs["citation"]


def test_windows_count_bins_with_known_surroundings(fasta):
    windows = list(find_windows(Interval("chr22", 1000, LENGTH), WINDOW, Fasta(fasta)))
    # Of the windows from 6144 and 8192 less than half is known.
    starts = [0, 2048, 4096, 10240, 12288, 14336, 16384, 18432]
    assert [window.interval.start for window in windows] == starts
    genome = Fasta(fasta).fetch(Interval("chr22", 0, LENGTH))
    for window in windows:
        inside = window.interval.truncate(LENGTH)
        assert window.sequence[: inside.width] == genome[inside.start : inside.end]
        for b, (counted, gc) in enumerate(zip(window.counted, window.gc, strict=True)):
            start = window.interval.start + 128 * b
            around = Fasta(fasta).fetch(Interval("chr22", start - 448, start + 576))
            assert counted == ("N" not in around and start >= 1000)
            assert gc == pytest.approx((around.count("G") + around.count("C")) / 1024)


def test_bins_are_positive_within_100_bp_of_a_summit():
    interval = Interval("chr1", 1280, 1280 + 1280)  # centres at 1344, 1472, 1600, ...

    def positives(*summits):
        return np.flatnonzero(near_summits(np.array(summits), interval)).tolist()

    assert positives(1344) == [0]
    assert positives(1444) == [0, 1]
    assert positives(1445) == [1]
    assert positives(1243) == []
    assert positives(1244) == [0]
    assert positives(1600, 1601, 2500) == [2, 9]
    assert positives() == []


def test_a_real_model_runs_through(tiny, fasta, peaks, vcf):
    data = {"fasta": fasta, "peaks": peaks, "region": "chr22:11,001-20,000", "vcf": vcf}
    each = {name: run_benchmark(name, tiny, data) for name in ("chip_peaks", "mpra_hnf4a")}
    assert each["chip_peaks"].attrs["region"] == "chr22:11,001-20,000"
    assert each["mpra_hnf4a"].attrs["variants"] == 20
    assert 0 <= value(each["mpra_hnf4a"], metric="auroc", group="chip_tf, 2 tracks", model="toy")["value"] <= 1


def test_signed_scores_agree_with_planted_effects(counting, fasta, vcf):
    results = run_benchmark("mpra_hnf4a", counting, {"fasta": fasta, "vcf": vcf})
    peer = value(results, metric="spearman", model="gc_change")
    own = value(results, metric="spearman", model="toy")
    assert own["value"] > 0.3
    assert own["low"] <= own["value"] <= own["high"]
    assert -1 <= peer["value"] <= 1
    assert results.attrs["licence"] == "CC BY 4.0"


def test_variants_must_fit_the_genome_and_have_the_fields(tmp_path, fasta, vcf):
    with pytest.raises(InputError, match=r"no INFO field OTHER at chr22:3000; it needs OTHER"):
        read_measured(vcf, Fasta(fasta), ["OTHER"])
    wrong = tmp_path / "wrong.fa"
    wrong.write_text(">chr22\n" + "G" * LENGTH + "\n")
    with pytest.raises(InputError, match=r"20 ref_mismatch of 20; the first is chr22:3000.*same assembly"):
        read_measured(vcf, Fasta(wrong), ["MPRA_EFFECT"])


def test_what_cannot_be_measured_is_refused(counting, fasta, peaks, tmp_path):
    run = {"fasta": fasta, "peaks": peaks}
    with pytest.raises(InputError, match=r"did you mean 'chip_peaks'\?"):
        run_benchmark("chip_peak", counting, run)
    with pytest.raises(InputError, match=r"chip_peaks needs peaks; give --peaks"):
        run_benchmark("chip_peaks", counting, {"fasta": fasta})
    with pytest.raises(InputError, match=r"predicts chip_tf, not atac"):
        run_benchmark("chip_peaks", counting, run, modality="atac")
    with pytest.raises(InputError, match=r"predicts chip_tf; mpra_hnf4a scores atac"):
        run_benchmark("mpra_hnf4a", counting, {"fasta": fasta, "vcf": "none"}, modalities=["atac"])
    with pytest.raises(InputError, match=r"no peaks in chr22:19,901-20,000 for any track"):
        run_benchmark("chip_peaks", counting, {**run, "region": "chr22:19,901-20,000"})
    with pytest.raises(InputError, match=r"region 'chr1' is no chromosome"):
        run_benchmark("chip_peaks", counting, {**run, "region": "chr1"})
    bad = tmp_path / "bad.tsv"
    bad.write_text("chrom\tstart\n")
    with pytest.raises(InputError, match=r"has no end, tf, cell, summit; expected the columns"):
        run_benchmark("chip_peaks", counting, {"fasta": fasta, "peaks": bad})


@pytest.fixture
def invoke():
    app = typer.Typer()
    app.command("eval")(registry().load("commands", "eval"))
    assert registry().load("commands", "eval") is evaluate
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def test_the_command_writes_data_to_stdout_and_tables_to_stderr(invoke, tiny, tmp_path, fasta, vcf):
    folder = tmp_path / "model"
    save(folder, tiny.model, SPEC)
    output = tmp_path / "out.json"
    result = invoke("mpra_hnf4a", "--model", folder, "--fasta", fasta, "--vcf", vcf, "-o", output, "--json")
    assert result.exit_code == 0
    data = json.loads(result.stdout)
    assert data == json.loads(output.read_text())
    assert {case["model"] for case in data["cases"]} == {"toy", "gc_change"}
    assert "spearman" in result.stderr


def test_the_command_lists_benchmarks_and_refuses_missing_data(invoke):
    result = invoke("--json")
    assert {"chip_peaks", "mpra_hnf4a"} <= {row["name"] for row in json.loads(result.stdout)}
    with pytest.raises(InputError, match=r"mpra_hnf4a needs fasta, vcf; give --fasta and --vcf"):
        invoke("mpra_hnf4a")
