"""Links between elements and genes: windows, gradients, elements taken away, tables and figures."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import yaml
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.sequence import encode, one_hot
from ag_data import Fasta, read_gtf
from ag_eval.links.attribution import LinkScorer, LinkStatus, Pair, _attribution, _log_mean
from ag_eval.links.evaluation import LinkEvaluation
from ag_eval.links.settings import FOLDER, LinkScore, read_links_file
from ag_eval.links.table import NEAREST, baselines
from ag_eval.predict import predict
from ag_eval.supervised.evaluation import SupervisedEvaluation

GRADIENT = {"method": "gradient", "modality": "rna_seq", "spread": 50}
COLUMNS = {"chromosome": "chrom", "start": "start", "end": "end", "tss": "tss", "gene": "gene", "target": "hit"}
TSS = {"ENSG01": 4000, "ENSG02": 7999, "ENSG03": 11000, "ENSG04": 14999}


def scorer(world, genes=True, **settings):
    annotation = read_gtf(world.gtf) if genes else None
    return LinkScorer(world.model, Fasta(world.fasta), LinkScore.model_validate(GRADIENT | settings), annotation)


def pair(start, end, gene="ENSG01", chromosome="chr1"):
    return Pair(Interval(chromosome, start, end), TSS[gene], gene)


def test_windows_hold_element_and_start_of_the_gene(small_world):
    own = scorer(small_world, reach=100)
    place = own.place(pair(3000, 3200))
    # Outer ends are 3000 and 4101, their middle is that of the window.
    assert place.window == Interval("chr1", 3551 - 1024, 3551 + 1024)
    inside = np.flatnonzero(place.bins) + place.window.start
    assert (inside[0], inside[-1] + 1) == (3900, 4101)
    assert place.bins.sum() == pytest.approx(1)
    # A gene on '+' is read from its own strand and from unstranded tracks.
    assert place.tracks.tolist() == [0.5, 0, 0.5]
    assert own.place(Pair(Interval("chr1", 3000, 3200), 4000, "unknown")).tracks == pytest.approx(1 / 3)
    exons = scorer(small_world, signal="exons").place(pair(3000, 3200))
    assert (np.flatnonzero(exons.bins) + exons.window.start).tolist() == [*range(4000, 4200), *range(4500, 4525)]
    # 2,048 bp from the element's start to the end of the signal fit, one more does not.
    assert own.place(pair(4101 - 2048, 2200)) != LinkStatus.OUT_OF_REACH
    assert own.place(pair(4101 - 2049, 2200)) == LinkStatus.OUT_OF_REACH
    assert own.place(pair(3000, 3200, chromosome="chr2")) == LinkStatus.UNKNOWN_CONTIG
    assert own.place(Pair(Interval("chr1", 19_900, 20_100), 19_500, "ENSG04")) == LinkStatus.NO_SEQUENCE
    known = scorer(small_world, signal="exons")
    assert known.place(Pair(Interval("chr1", 3000, 3200), 4000, "ENSG99")) == LinkStatus.UNKNOWN_GENE
    assert known.place(pair(5000, 5200, "ENSG02")._replace(tss=6000)) == LinkStatus.NO_SIGNAL
    value, status = own.score(pair(0, 100))
    assert np.isnan(value)
    assert status == LinkStatus.OUT_OF_REACH


def test_gradients_are_those_of_the_signal(small_world):
    own = scorer(small_world)
    place = own.place(pair(3000, 3200))
    codes = encode(small_world.genome[place.window.start : place.window.end])
    found = np.asarray(_attribution(small_world.model.model, codes, *own._read(place)))

    @jax.jit
    def signal(dna):
        return _log_mean(dna, small_world.model.model, *own._read(place))

    dna, part = one_hot(codes), slice(400, 700)
    change = jnp.zeros_like(dna).at[part].set(dna[part]) * 0.01
    expected = float(signal(dna + change) - signal(dna - change)) / 0.02
    assert found[part].sum() == pytest.approx(expected, rel=0.02)
    size = np.abs(found)
    middle = 3099.5 - place.window.start
    near = np.exp(-(((np.arange(2048) - middle) / 50) ** 2) / 2)
    assert own.score(pair(3000, 3200))[0] == pytest.approx((near @ size) / near.sum() / size.mean(), rel=1e-4)
    plain = scorer(small_world, normalise=False).score(pair(3000, 3200))[0]
    assert plain == pytest.approx((near @ size) / near.sum(), rel=1e-4)


def test_padding_among_the_tracks_counts_for_nothing(small_world):
    """Its constants are NaN, in gradients too."""
    whole, own = scorer(small_world), small_world.model
    head = own.spec.heads["rna_seq"]
    last = np.arange(head.tracks[0].sizes["track"]) == head.tracks[0].sizes["track"] - 1
    tables = tuple(table.assign(name=table["name"].where(~last, "padding").astype(str)) for table in head.tracks)
    spec = dataclasses.replace(own.spec, heads={**own.spec.heads, "rna_seq": dataclasses.replace(head, tracks=tables)})
    means = own.model.heads["rna_seq"].means.value.at[:, -1].set(jnp.nan)
    model = eqx.tree_at(lambda each: each.heads["rna_seq"].means.value, own.model, means)
    padded = LinkScorer(dataclasses.replace(own, model=model, spec=spec), whole.fasta, whole.settings, whole.genes)
    assert padded.chosen.tolist() == (~last).tolist()
    whole.chosen = padded.chosen
    assert padded.score(pair(3000, 3200)) == whole.score(pair(3000, 3200))
    assert padded.score(pair(3000, 3200))[1] == LinkStatus.SCORED


@pytest.mark.slow
def test_an_element_taken_away_is_the_loss_of_the_genes_signal(small_world):
    genome, element = small_world.genome, pair(3000, 3200)
    place = scorer(small_world).place(element)
    a, b = place.window.start, place.window.end

    def log_mean(sequence):
        output = next(predict(small_world.model, "rna_seq", [sequence]))
        return np.log(1e-3 + place.bins @ output @ place.tracks)

    whole = log_mean(genome[a:b])
    hidden = log_mean(genome[a:3000] + "N" * 200 + genome[3200:b])
    cut = log_mean(genome[a - 200 : 3000] + genome[3200:b])
    assert scorer(small_world, method="mask").score(element)[0] == pytest.approx(whole - hidden, abs=1e-4)
    assert scorer(small_world, method="delete").score(element)[0] == pytest.approx(whole - cut, abs=1e-4)
    assert abs(whole - hidden) > 1e-3
    # Right of the gene the other side moves up.
    behind = pair(8600, 8700, "ENSG02")
    place = scorer(small_world).place(behind)
    a, b = place.window.start, place.window.end
    gone = log_mean(genome[a:8600] + genome[8700 : b + 100])
    lost = log_mean(genome[a:b]) - gone
    assert scorer(small_world, method="delete").score(behind)[0] == pytest.approx(lost, abs=1e-4)
    once = scorer(small_world, method="shuffle").score(element)[0]
    assert once == scorer(small_world, method="shuffle").score(element)[0] != 0


def test_what_does_not_go_together_is_refused(small_world):
    with pytest.raises(InputError, match="predicts chip_tf, rna_seq, not cage"):
        scorer(small_world, modality="cage")
    with pytest.raises(InputError, match="no rna_seq track of model 'toy' matches 'brain'"):
        scorer(small_world, tracks="brain")
    with pytest.raises(InputError, match="needs an annotation; give --gtf"):
        scorer(small_world, genes=False, signal="exons")


def declared(**changes):
    data = {"assembly": "GRCh38", "columns": COLUMNS, "labels": {"positive": [True], "negative": [False]}}
    data |= {"source": "planted", "licence": "CC0-1.0", "obtain": "plant it"} | changes.pop("data", {})
    links = {
        "name": "planted",
        "number": "B0",
        "title": "planted links",
        "data": data,
        "scores": {"gradient": GRADIENT},
    }
    return links | changes


@pytest.fixture(scope="module")
def pairs(small_world):
    """Ten elements near each gene and one too far away; the four that the model ranks highest are the links."""
    random, rows = np.random.default_rng(7), []
    for gene, tss in TSS.items():
        for place in np.sort(random.choice(np.arange(-1300, 1300, 100), 10, replace=False)).tolist():
            rows.append(("chr1", tss + place, tss + place + 60, tss, gene))
        rows.append(("chr1", tss - 3000, tss - 2900, tss, gene))
    own = scorer(small_world)
    found = [own.score(Pair(Interval(*row[:3]), row[3], row[4]))[0] for row in rows]
    table = pd.DataFrame(rows, columns=["chrom", "start", "end", "tss", "gene"])
    return table.assign(own=found, hit=np.array(found) >= np.sort(np.array(found)[~np.isnan(found)])[-12])


def run(world, table, content, folder, benchmark=LinkEvaluation, **options):
    path, file = folder / "pairs.tsv", folder / "links.yaml"
    table.to_csv(path, sep="\t", index=False)
    file.write_text(yaml.safe_dump(content))
    data = {"table": path, "fasta": world.fasta, "gtf": world.gtf}
    return benchmark(file=file, **options).run(world.model, data)


def value(results, model, group):
    names, groups = results["model"].values, results["group"].values
    chosen = [model == name and f"; {group}" in text for name, text in zip(names, groups, strict=True)]
    assert sum(chosen) == 1
    return float(results["value"].values[chosen][0])


def test_planted_links_come_first_and_those_out_of_reach_last(small_world, pairs, tmp_path):
    table = pairs.copy()
    results = run(small_world, table, declared(), tmp_path, repeats=50)
    assert value(results, "toy, gradient", "in reach, 12 of 40") == 1
    assert value(results, "toy, gradient", "all pairs, 12 of 44") == 1
    assert value(results, "random", "in reach") == pytest.approx(12 / 40)
    assert value(results, "distance", "in reach") < 1
    assert results.attrs["statuses"] == "out_of_reach 4, scored 40"
    # A link out of reach is found last, with all the others out of reach: recall goes 12/13, 13/13.
    table.loc[10, "hit"] = True
    results = run(small_world, table, declared(), tmp_path, repeats=0)
    assert value(results, "toy, gradient", "in reach, 12 of 40") == 1
    assert value(results, "toy, gradient", "all pairs, 13 of 44") == pytest.approx(12 / 13 + 13 / 44 / 13)
    assert results.attrs["positives"] - results.attrs["positives_in_reach"] == 1
    one = run(small_world, table.assign(hit=False), declared(), tmp_path, repeats=0)
    assert np.isnan(value(one, "toy, gradient", "in reach, 0 of 40"))


def test_baselines():
    rows = pd.DataFrame({"distance": [500, 50_000, 50_000], "activity 0": [4.0, 4, -1], "activity 1": [9.0, 9, 9]})
    rows["peer rival"] = [0.5, None, "x"]
    found = baselines(rows)
    assert found["distance"].tolist() == [-500, -50_000, -50_000]
    assert found["abc_like"][:2] == pytest.approx([6, 6 * NEAREST / 50_000])
    assert np.isnan(found["abc_like"][2])
    assert np.isnan(found["rival"]).tolist() == [False, True, True]
    assert baselines(rows.assign(contact=[1.0, 2, 3]))["abc_like"][1] == pytest.approx(12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="tss"), "has no column tss; it has chrom, start, end, gene"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "1 pairs occur more than once, such as chr1:"),
        (lambda t: t.assign(hit=["maybe", *t["hit"][1:]]), "1 labels such as maybe are neither positive"),
        (lambda t: t.assign(end=t["start"]), "is empty; correct it"),
        (lambda t: t.assign(start=["here", *t["start"][1:]]), "start 'here' is no position"),
        (lambda t: t.assign(gene=[None, *t["gene"][1:]]), "1 rows lack gene, first row 1"),
        (lambda t: t.assign(chrom="chr9"), r"no pair within the model's reach lies on .*unknown_contig"),
        (lambda t: t.iloc[:0], "has no row that is used"),
    ],
)
def test_tables_that_do_not_fit_are_refused(small_world, pairs, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        run(small_world, change(pairs.drop(columns="own").copy()), declared(), tmp_path)


def test_the_models_score_helps_to_learn_links(small_world, pairs, tmp_path):
    table = pairs.assign(hit=pairs["own"].fillna(0) > pairs["own"].median())
    table["size"] = np.random.default_rng(0).random(len(table))
    content = {
        "links": declared(data={"features": {"size": "size"}}),
        "estimator": "logistic",
        "sets": {"table": ["table"], "both": ["table", "model"]},
        "groups": {"by": "gene"},
        "folds": 4,
    }
    results = run(small_world, table, content, tmp_path, SupervisedEvaluation, repeats=20)
    found = dict(zip(results["model"].values.tolist(), results["value"].values.tolist(), strict=True))
    assert found["toy, logistic, both (2)"] > 0.9 > found["toy, logistic, table (1)"]
    assert results.attrs["counted"] == 44
    content["folds"] = 5
    with pytest.raises(InputError, match="44 rows lie in 4 groups, 5 folds of logistic need 5"):
        run(small_world, table, content, tmp_path, SupervisedEvaluation)


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_files_are_whole(name):
    own = read_links_file(name)
    assert own.name == name
    assert own.reconstructed
    assert LinkEvaluation(file=name).citation == own.data.source


def test_mistakes_in_a_file_are_named(tmp_path):
    path = tmp_path / "links.yaml"
    path.write_text(yaml.safe_dump(declared(scores={})))
    with pytest.raises(InputError, match="scores name none"):
        read_links_file(path)
    path.write_text(yaml.safe_dump(declared(blocks="group")))
    with pytest.raises(InputError, match=r"data\.columns lack group"):
        read_links_file(path)
    with pytest.raises(InputError, match="there are enhancer_gene_linking"):
        read_links_file("no_such")
