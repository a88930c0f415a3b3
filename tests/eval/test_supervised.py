"""Supervised evaluations: nothing of a locus is learnt from and predicted at once, and what is real is learnt."""

import numpy as np
import pandas as pd
import pytest
import yaml
from ag_core.errors import InputError
from ag_core.genome import Variant
from ag_data import Fasta
from ag_eval.metrics import auroc, pearson
from ag_eval.supervised.evaluation import SupervisedEvaluation
from ag_eval.supervised.learning import group_rows, make_estimator, out_of_fold
from ag_eval.supervised.settings import FOLDER, read_supervised
from ag_scorers import open_engine
from threadpoolctl import threadpool_limits

LOCI, EACH, VARIANTS = 60, 8, 60
COLUMNS = {"chromosome": "chrom", "position": "pos", "reference": "ref", "alternate": "alt", "target": "beta"}


@pytest.fixture(autouse=True)
def _one_thread():
    # Threads that wait for each other on a busy machine take a hundred times as long.
    with threadpool_limits(1):
        yield


def loci(seed=0):
    """Rows with features that tell the locus apart, and nothing else."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(LOCI), EACH)
    mark = random.normal(size=(LOCI, 6))[groups] + 0.05 * random.normal(size=(LOCI * EACH, 6))
    return pd.DataFrame(mark).add_prefix("f"), groups, random


@pytest.mark.parametrize("estimator", ["random_forest", "boosting"])
def test_a_label_of_the_locus_cannot_be_learnt_across_loci(estimator):
    features, groups, random = loci()
    labels = random.permutation(np.arange(LOCI) % 2)[groups].astype(float)
    settings = {"n_estimators": 60} if estimator == "random_forest" else {"max_iter": 40, "min_samples_leaf": 3}
    leaking = out_of_fold(features, labels, np.arange(len(labels)), estimator, 5, settings)
    held = out_of_fold(features, labels, groups, estimator, 5, settings)
    assert auroc(labels, leaking) > 0.95
    assert 0.35 < auroc(labels, held) < 0.65


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(kind, marks=pytest.mark.slow) if "forest" in kind else kind
        for kind in ("random_forest", "boosting", "logistic", "lasso")
    ],
)
def test_what_holds_in_all_loci_is_learnt_with_gaps_in_the_features(estimator):
    features, groups, random = loci(1)
    signal = random.normal(size=len(groups))
    features["signal"] = signal + 0.2 * random.normal(size=len(groups))
    features.loc[::7, "f1"] = np.nan
    features["empty"] = np.nan
    target = signal if estimator == "lasso" else (signal > 0).astype(float)
    found = out_of_fold(features, target, groups, estimator)
    assert not np.isnan(found).any()
    assert (pearson if estimator == "lasso" else auroc)(target, found) > 0.9


def test_nothing_of_a_held_out_row_reaches_what_predicts_it():
    # Scaling and filling of gaps fitted on all rows would move with one huge value.
    features, groups, random = loci(2)
    target = random.normal(size=len(groups))
    before = out_of_fold(features, target, groups, "lasso", 5)
    spoilt, first = features.copy(), groups == 0
    spoilt.loc[first] = 1e6
    after = out_of_fold(spoilt, np.where(first, 1e6, target), groups, "lasso", 5)
    # Rows of the fold that holds locus 0 were predicted by the others alone.
    same = np.isclose(before, after) & ~first
    assert same.sum() == len(groups) / 5 - EACH


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.ones(LOCI * EACH)}, "only the class 1; logistic needs both"),
        ({"labels": np.full(LOCI * EACH, np.nan)}, "0 rows with features have no class"),
        ({"groups": np.arange(LOCI * EACH) % 4}, "lie in 4 groups, 5 folds of logistic need 5"),
        ({"features": pd.DataFrame(index=range(LOCI * EACH))}, "no feature to learn from"),
        ({"settings": {"depth": 3}}, "settings of logistic: .*'depth'"),
    ],
)
def test_what_cannot_be_learnt_is_refused(change, message):
    features, groups, random = loci()
    labels = (random.random(len(groups)) > 0.5).astype(float)
    given = {"features": features, "labels": labels, "groups": groups, "settings": {}} | change
    with pytest.raises(InputError, match=message):
        out_of_fold(given["features"], given["labels"], given["groups"], "logistic", 5, given["settings"])


def test_rows_without_features_or_target_take_no_part():
    features, groups, random = loci()
    target = random.normal(size=len(groups))
    features.loc[3], target[20] = np.nan, np.nan
    found = out_of_fold(features, target, groups, "lasso")
    assert np.flatnonzero(np.isnan(found)).tolist() == [3, 20]


def test_groups_of_rows():
    chromosomes = np.array(["chr1", "chr1", "chr2", "chr1", "chr1"], object)
    positions = np.array([100, 250, 260, 360, 900])
    by_locus = group_rows(chromosomes, positions, "locus", 150)
    # 100 and 250 are 150 apart, 250 and 360 are 110 apart, over the row of chr2 between them.
    assert len(set(by_locus)) == 4
    assert by_locus[1] == by_locus[3] != by_locus[0]
    assert len(set(group_rows(chromosomes, positions, "locus", 151))) == 3
    assert len(set(group_rows(chromosomes, positions, "block", 300))) == 4
    assert len(set(group_rows(chromosomes, positions, "chromosome", 1))) == 2
    with pytest.raises(InputError, match="1 rows have no gene, first row 2"):
        group_rows(chromosomes, positions, "gene", 1, np.array(["a", None, "b", "b", "b"], object))


def test_the_penalty_is_chosen_by_groups():
    groups = np.repeat(np.arange(4), 5)
    splits = make_estimator("lasso", groups).steps[-1][1].cv
    assert len(splits) == 4
    assert all(not set(groups[one]) & set(groups[other]) for one, other in splits)


def write(folder, **changes):
    data = {"assembly": "GRCh38", "columns": COLUMNS, "source": "planted", "licence": "CC0-1.0", "obtain": "plant it"}
    variants = {
        "name": "planted",
        "number": "B0",
        "title": "planted effects",
        "modality": "all",
        "data": data | changes.pop("data", {}),
        "score": ["CHIP_TF", "RNA_SEQ"],
        "metric": "pearson",
    }
    content = {
        "variants": variants | changes.pop("variants", {}),
        "estimator": "lasso",
        "features": {"by": "track", "over": ["mean"]},
        "groups": {"by": "block", "span": 1500},
    }
    path = folder / "planted.yaml"
    path.write_text(yaml.safe_dump(content | changes))
    return path


@pytest.fixture(scope="module")
def scored(small_world):
    """Variants, and the model's scores of both ChIP-seq tracks, found by the engine itself."""
    random, genome = np.random.default_rng(5), small_world.genome
    places = np.sort(random.choice(np.arange(3000, 16000), VARIANTS, replace=False)).tolist()
    rows = [("chr1", at, genome[at - 1], random.choice(sorted(set("ACGT") - {genome[at - 1]}))) for at in places]
    engine = open_engine(Fasta(small_world.fasta), model=small_world.folder, scorers=["CHIP_TF"])
    found = [engine.score(Variant(*row))[0].values[0] for row in rows]
    return pd.DataFrame(rows, columns=["chrom", "pos", "ref", "alt"]), np.array(found, np.float64)


def run(world, table, file, **options):
    path = file.with_name("table.tsv")
    table.to_csv(path, sep="\t", index=False)
    data = {"table": path, "fasta": world.fasta, "gtf": world.gtf}
    return SupervisedEvaluation(file=file, **options).run(world.model, data)


def figures(results):
    return dict(zip(results["model"].values.tolist(), results["value"].values.tolist(), strict=True))


@pytest.mark.slow
def test_effects_that_the_scores_explain_are_found_and_noise_is_not(small_world, scored, tmp_path):
    rows, values = scored
    scaled = values / values.std(axis=0)
    sets = {"all": [], "the wrong track": ["CHIP_TF a"]}
    results = run(
        small_world,
        # Twice the second track, and nothing of the first but what they share.
        rows.assign(beta=2 * scaled[:, 1]),
        write(tmp_path, sets=sets),
        repeats=50,
    )
    found = figures(results)
    everything = next(value for name, value in found.items() if name.startswith("toy, lasso, all ("))
    wrong = next(value for name, value in found.items() if "wrong track (1)" in name)
    assert everything > 0.95
    assert not wrong > everything - 0.05
    assert results.attrs["counted"] == VARIANTS
    assert results.attrs["groups"] == len({at // 1500 for at in rows["pos"]})
    assert "gc_change" in found
    noise = run(small_world, rows.assign(beta=np.random.default_rng(0).normal(size=VARIANTS)), write(tmp_path))
    own = noise.isel(case=0)
    # An undefined figure is what LASSO gives that keeps no feature.
    assert not float(own["low"]) > 0.3


def test_a_forest_in_each_tissue(small_world, scored, tmp_path):
    rows, values = scored
    size = np.abs(values).max(axis=1)
    table = pd.concat([rows.assign(tissue=tissue, beta=(size > np.median(size)).astype(int)) for tissue in ("x", "y")])
    few = rows[:6].assign(tissue="few", beta=[0, 1] * 3)
    file = write(
        tmp_path,
        data={"columns": COLUMNS | {"tissue": "tissue"}, "labels": {"positive": [1], "negative": [0]}},
        variants={"metric": "auroc", "size": True, "mean_over": "tissue"},
        estimator="random_forest",
        settings={"n_estimators": 50},
        features={"by": "scorer"},
        groups={"by": "locus", "span": 100},
        fit_each="tissue",
    )
    results = run(small_world, pd.concat([table, few]), file, repeats=20)
    assert float(results["value"][0]) > 0.9
    assert results.attrs["tissues_left_out"] == 1
    assert results.attrs["counted"] == 2 * VARIANTS
    with pytest.raises(InputError, match=r"nothing can be learnt in any of 1 tissues; .*5 folds"):
        run(small_world, few, file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="locus"), "has no column locus"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "1 rows occur more than once"),
        (lambda t: t.assign(locus=[None, *t["locus"][1:]]), "1 rows have no group, first row 1"),
        (lambda t: t.assign(beta=1), "only the class 1"),
        (lambda t: t.assign(locus="one"), "1 groups, 5 folds of logistic need 5"),
    ],
)
def test_tables_that_do_not_fit_are_refused(small_world, scored, tmp_path, change, message):
    rows = scored[0].assign(beta=[0, 1] * (VARIANTS // 2), locus=[str(n // 6) for n in range(VARIANTS)])
    file = write(
        tmp_path,
        data={"columns": COLUMNS | {"group": "locus"}, "labels": {"positive": [1], "negative": [0]}},
        variants={"metric": "auprc", "score": ["CHIP_TF"]},
        estimator="logistic",
        groups={"by": "group"},
    )
    with pytest.raises(InputError, match=message):
        run(small_world, change(rows), file)


def test_a_set_without_features_is_refused(small_world, scored, tmp_path):
    file = write(tmp_path, variants={"score": ["CHIP_TF"]}, sets={"open": ["DNASE"]})
    with pytest.raises(InputError, match="set 'open': no feature begins with DNASE; there are CHIP_TF a"):
        run(small_world, scored[0].assign(beta=1.5), file)


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_files_are_whole(name):
    file = read_supervised(name)
    assert file.table.name == name
    assert file.table.reconstructed
    assert SupervisedEvaluation(file=name).citation == file.table.data.source


def test_mistakes_in_a_file_are_named(tmp_path):
    labels = {"labels": {"positive": [1], "negative": [0]}}
    with pytest.raises(InputError, match="lasso does not give what auroc measures"):
        read_supervised(write(tmp_path, variants={"metric": "auroc"}, data=labels))
    with pytest.raises(InputError, match=r"data\.columns lack group"):
        read_supervised(write(tmp_path, groups={"by": "group"}))
    with pytest.raises(InputError, match="give either variants or links"):
        read_supervised(
            write(tmp_path, links=yaml.safe_load((FOLDER / "enhancer_gene_supervised.yaml").read_text())["links"])
        )
