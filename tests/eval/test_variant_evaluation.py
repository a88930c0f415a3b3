"""Evaluations of variant effects from YAML: tables read and checked, scores combined, metrics as described."""

import dataclasses
import gzip
import json

import numpy as np
import pandas as pd
import pytest
import yaml
from ag_core.checkpoint import HeadSpec, ModelSpec, load, outline, save
from ag_core.cli import run as cli
from ag_core.config import PRESETS
from ag_core.errors import InputError
from ag_core.plugins import registry
from ag_core.schema import track_table
from ag_data import Fasta
from ag_eval.benchmark_run import run_benchmark
from ag_eval.metrics import auroc
from ag_eval.variants.row_metrics import measure, measure_predictions, weighted_mean
from ag_eval.variants.settings import FOLDER, read_evaluation
from ag_eval.variants.table import check_table, read_table
from ag_scorers import score

LENGTH, VARIANTS = 12_000, 24
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
COLUMNS = {"chromosome": "chrom", "position": "pos", "reference": "ref", "alternate": "alt", "target": "beta"}


def evaluation(folder, **changes):
    data = {"assembly": "GRCh38", "columns": COLUMNS, "source": "planted", "licence": "CC0-1.0", "obtain": "plant it"}
    content = {
        "name": "planted",
        "number": "B0",
        "title": "planted effects",
        "modality": "TF binding",
        "data": data | changes.pop("data", {}),
        "score": ["CHIP_TF"],
        "metric": "pearson",
    }
    path = folder / "planted.yaml"
    path.write_text(yaml.safe_dump(content | changes))
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory, randomise):
    """A genome, a model, variants, and the model's own scores of these, found by `ag_scorers.score`."""
    folder, random = tmp_path_factory.mktemp("evaluation"), np.random.default_rng(0)
    genome = "".join(random.choice(list("ACGT"), LENGTH))
    fasta, model, vcf = folder / "genome.fa", folder / "model", folder / "variants.vcf"
    fasta.write_text(f">chr1\n{genome}\n")
    table = track_table({"name": ["a", "b", "padding"], "strand": [".", ".", "."]})
    backbone = dataclasses.replace(PRESETS["tiny"], organisms=1)
    spec = ModelSpec("toy", backbone, {"chip_tf": HeadSpec("chip_tf", (table,))}, ("human",), 2048, "CC0-1.0")
    save(model, randomise(outline(spec)), spec)
    rows = []
    for place in np.sort(random.choice(np.arange(3000, 9000), VARIANTS, replace=False)).tolist():
        ref = genome[place - 1]
        rows.append(("chr1", place, ref, random.choice([base for base in "ACGT" if base != ref])))
    lines = [f"{chrom}\t{pos}\t.\t{ref}\t{alt}\t.\t.\t." for chrom, pos, ref, alt in rows]
    vcf.write_text("\n".join(["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO", *lines]) + "\n")
    found = score(vcf, fasta=fasta, model=model, scorers=["CHIP_TF"])["CHIP_TF"]["score"].values
    frame = pd.DataFrame(rows, columns=["chrom", "pos", "ref", "alt"])
    return folder, fasta, model, frame.assign(beta=found.mean(axis=1), size=abs(found).mean(axis=1))


def run(world, table, file, **options):
    folder, fasta, model, _ = world
    path = folder / "table.tsv"
    table.to_csv(path, sep="\t", index=False)
    return run_benchmark("variant_table", load(model), {"table": path, "fasta": fasta}, file=file, **options)


def value(results, model="toy"):
    return float(results["value"][results["model"].values == model][0])


def test_scores_are_those_of_the_engine_whichever_way_round_alleles_are(world):
    table = world[3].copy()
    path = evaluation(world[0], data={"alleles": "either order"})
    results = run(world, table, path, repeats=20)
    assert value(results) == pytest.approx(1)
    assert results.attrs["statuses"] == f"scored {VARIANTS}"
    turned = table.copy()
    turned.loc[::2, ["ref", "alt"]] = table.loc[::2, ["alt", "ref"]].to_numpy()
    turned.loc[::2, "beta"] *= -1
    results = run(world, turned, path, repeats=0)
    assert value(results) == pytest.approx(1)
    assert results.attrs["turned"] == VARIANTS // 2


def test_classes_sizes_and_rows_that_do_not_fit(world):
    table = world[3].assign(beta=np.where(world[3]["size"] > world[3]["size"].median(), "yes", "no"))
    labels = {"positive": ["yes"], "negative": ["no"]}
    path = evaluation(world[0], data={"labels": labels}, metric="auroc", over="mean_abs", size=True)
    wrong = table.copy()
    wrong.loc[0, "ref"] = next(b for b in "ACGT" if b not in table.loc[0, ["ref", "alt"]].tolist())
    wrong.loc[1, "chrom"] = "chr9"
    results = run(world, wrong, path, repeats=0)
    assert value(results) == pytest.approx(1)
    assert results.attrs["counted"] == VARIANTS - 2
    assert results.attrs["statuses"] == f"ref_mismatch 1, scored {VARIANTS - 2}, unknown_contig 1"
    one_class = run(world, table.assign(beta="yes"), path, repeats=0)
    assert np.isnan(value(one_class))


def test_a_planted_leak_is_caught(world):
    """A model that saw some of the rows, and would be better on these, is measured on the others by themselves."""
    table, loaded = world[3].copy(), load(world[2])
    known = (table["pos"] <= 6000).to_numpy()
    table.loc[~known, "beta"] *= np.where(np.arange((~known).sum()) % 2, -1, 1)
    (world[0] / "leak.tsv").write_text(table.to_csv(sep="\t", index=False))
    data = {"table": world[0] / "leak.tsv", "fasta": world[1]}
    trained = dataclasses.replace(loaded, spec=dataclasses.replace(loaded.spec, trained_on={"GRCh38": ("1:1-6,000",)}))
    results = {
        seen: run_benchmark("variant_table", trained, data, file=evaluation(world[0]), repeats=0, seen=seen)
        for seen in ("flag", "mask")
    }
    flagged, masked = results["flag"], results["mask"]
    assert flagged.attrs["seen"] == masked.attrs["seen"] == known.sum()
    own = flagged["value"][flagged["model"].values == "toy"]
    own = dict(zip(own["group"].values, own.values, strict=True))
    assert own["not seen in training"] == pytest.approx(value(masked))
    assert own["not seen in training"] < own["planted effects"] - 0.05
    assert masked.attrs["counted"] == (~known).sum()
    assert np.isnan(masked["score"].sel(predictor="toy").values[known]).all()
    assert flagged.attrs["seen_note"] == ""
    other = dataclasses.replace(loaded, spec=dataclasses.replace(loaded.spec, trained_on={"hg19": ("chr1:1-6,000",)}))
    found = run_benchmark("variant_table", other, data, file=evaluation(world[0]), repeats=0)
    assert found.attrs["seen_note"] == "regions of hg19 were not compared: give a chain from hg38 to it"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="alt"), "has no column alt; it has chrom, pos, ref, beta"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "1 rows occur more than once, such as chr1:"),
        (lambda t: t.assign(beta=["high", *t["beta"][1:]]), "the effect 'high' is no number"),
        (lambda t: t.assign(alt=["NA", *t["alt"][1:]]), "1 rows lack chromosome, position or an allele, first row 1"),
        (lambda t: t.assign(chrom="chr9"), r"no row of the table can be scored on .*\(unknown_contig\)"),
        (lambda t: t.assign(ref=t["alt"], alt=t["ref"]), "the table is GRCh38: give that genome"),
    ],
)
def test_tables_that_do_not_fit_are_refused(world, change, message):
    with pytest.raises(InputError, match=message):
        run(world, change(world[3][["chrom", "pos", "ref", "alt", "beta"]].copy()), evaluation(world[0]))


def test_labels_and_digests_are_checked(world, tmp_path):
    manifest = read_evaluation(
        evaluation(tmp_path, data={"labels": {"positive": [1], "negative": [-1]}, "digest": "0" * 64}, metric="auprc")
    ).data
    path = tmp_path / "table.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write("chrom,pos,ref,alt,beta\nchr1,5,A,C,1\nchr1,6,A,C,0\n")
    with pytest.raises(InputError, match="expected 000000000000: plant it"):
        read_table(path, manifest)
    with pytest.raises(InputError, match="1 labels such as 0 are neither positive"):
        read_table(path, manifest.model_copy(update={"digest": None}))
    with pytest.raises(InputError, match=r"expected \.parquet"):
        read_table(tmp_path / "table.xlsx", manifest)


def test_only_rows_that_are_used_count(tmp_path):
    manifest = read_evaluation(evaluation(tmp_path, data={"columns": COLUMNS | {"used": "keep"}})).data
    table = pd.DataFrame({"chrom": "chr1", "pos": range(1, 4), "ref": "A", "alt": "C", "beta": 1.0})
    table.assign(keep=["True", "False", None]).to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", manifest)["position"].tolist() == [1]


def test_deletions_may_be_written_with_a_dash(world):
    _, fasta, _, frame = world
    manifest = read_evaluation(evaluation(world[0])).data
    rows = frame.iloc[:1].assign(alt="-")[["chrom", "pos", "ref", "alt", "beta"]]
    rows = rows.set_axis(["chromosome", "position", "reference", "alternate", "target"], axis=1)
    table = check_table(rows, manifest, Fasta(fasta))
    assert table.calls[0].variant.alternate_bases == ""


def test_means_over_tissues_count_rows_and_leave_out_single_classes():
    x = np.array([1.0, 0, 1, 0, 1, 1, 0])
    y = np.array([3.0, 2, 1, 2, 5, 6, 9])
    tissues = np.array(["a", "a", "a", "a", "b", "b", "c"])
    assert weighted_mean(auroc, x, y, np.ones(7), tissues, True) == auroc(x[:4], y[:4])
    own = read_evaluation("eqtl_variant_sign")
    rows = pd.DataFrame({"target": [1.0, 0, 1, 0, 1, 0], "tissue": list("aaaabb")})
    scores = np.array([3.0, 2, 1, 2.5, 1, 2])
    expected = (4 * auroc(rows["target"][:4].to_numpy(), scores[:4]) + 2 * 0) / 6
    estimate, counted = measure(rows, scores, own, np.arange(6), 0)
    assert (estimate.value, counted) == (pytest.approx(expected), 6)


def test_pairs_are_drawn_one_of_each_class():
    own = read_evaluation("paqtl_variant_causality")
    rows = pd.DataFrame({"target": [1.0, 0, 0, 1, 0, 1], "pair": list("aaabbc")})
    scores = np.array([5.0, 1, 2, 4, 3, -9])
    estimate, _ = measure(rows, scores, own, np.arange(6), 0)
    assert estimate.value == 1
    # The single of pair c has no partner, and takes no part.
    assert estimate.low == estimate.high == 1


def test_published_predictions_are_measured(tmp_path):
    path = evaluation(tmp_path, data={"columns": COLUMNS | {"prediction": "guess"}})
    table = pd.DataFrame({"chrom": "chr1", "pos": range(1, 9), "ref": "A", "alt": "C", "beta": np.arange(8.0)})
    table.assign(guess=-table["beta"]).to_feather(tmp_path / "p.feather")
    estimate, counted = measure_predictions(tmp_path / "p.feather", read_evaluation(path))
    assert (estimate.value, counted) == (pytest.approx(-1), 8)
    with pytest.raises(InputError, match="name no prediction"):
        measure_predictions(tmp_path / "p.feather", read_evaluation(evaluation(tmp_path)))


@pytest.mark.parametrize("name", NAMES)
def test_files_are_whole_and_offered(name):
    own = read_evaluation(name)
    assert own.name == name
    plugin = registry().get("benchmarks", name)
    assert plugin.summary == own.title
    assert registry().create("benchmarks", name).citation == own.data.source


def test_mistakes_in_a_file_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no_such cannot be read .*; there are bqtl_spi1_causality"):
        read_evaluation("no_such")
    with pytest.raises(InputError, match="metric: Input should be 'auprc'"):
        read_evaluation(evaluation(tmp_path, metric="auprcc"))
    with pytest.raises(InputError, match=r"auprc needs data\.labels"):
        read_evaluation(evaluation(tmp_path, metric="auprc"))


def test_a_table_is_measured_by_command(world, capsys):
    folder, fasta, model, frame = world
    frame.to_parquet(folder / "mine.parquet")
    command = ["eval", "variant_table", "--table", str(folder / "mine.parquet"), "--fasta", str(fasta)]
    assert cli(command) == 2
    assert "give --file" in capsys.readouterr().err
    assert cli([*command, "--file", str(evaluation(folder)), "--model", str(model), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cases"][0]["value"] == pytest.approx(1)
    assert found["attributes"]["citation"] == "planted"
