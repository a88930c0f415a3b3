"""Directions of effect from credible sets: thresholds, votes weighted by PIP, shares, tables."""

import numpy as np
import pandas as pd
import pytest
import yaml
from ag_core.errors import InputError
from ag_core.genome import Variant
from ag_data import Fasta
from ag_eval.directions.credible_sets import resolve, resolved_shares
from ag_eval.directions.evaluation import GwasDirection
from ag_eval.directions.settings import FOLDER, read_direction
from ag_scorers import open_engine

COLUMNS = {"chromosome": "chrom", "position": "pos", "reference": "ref", "alternate": "alt", "target": "beta"}
BASES = ["chrom", "pos", "ref", "alt"]


def votes(*rows):
    return pd.DataFrame(rows, columns=["set", "row", "gene", "pip", "effect", "score"])


def test_votes_are_weighted_by_pip():
    table = votes(
        ("s", 0, "A", 0.5, 1.0, 2.0),  # more expression, more of the trait
        ("s", 1, "A", 0.2, 1.0, -3.0),
        ("s", 2, "A", 0.1, -1.0, -0.1),  # too small a score
        ("s", 1, "B", 0.2, 1.0, -2.5),
        ("t", 3, "A", 0.3, 1.0, 2.0),
        ("t", 4, "A", 0.3, 1.0, -2.0),  # as heavy, the other way
        ("u", 5, "A", 0.9, 1.0, np.nan),
        ("v", 6, "A", 0.9, 0.0, 5.0),  # no effect has no direction
    )
    found = resolve(table, 1.0).set_index(["set", "gene"])
    assert found["direction"].to_dict() == {("s", "A"): 1, ("s", "B"): -1, ("t", "A"): 0}
    assert found["weight"].tolist() == pytest.approx([0.7, 0.2, 0.6])
    assert found["agreement"].tolist() == pytest.approx([0.3 / 0.7, 1, 0])
    assert found["variants"].tolist() == [2, 1, 2]
    assert found["lead"].tolist() == [0, 1, 3]
    shares = resolved_shares(table, pd.Index(list("stuvw"), name="set"), 1.0)
    assert shares["resolved"].tolist() == [1, 0, 0, 0, 0]
    # Variant 1 counts once, though it is called for two genes.
    assert shares["by_pip"].tolist() == pytest.approx([0.7, 0, 0, 0, 0])
    assert resolve(table, float("nan")).empty
    assert resolved_shares(table, pd.Index(list("st")), float("nan"))["resolved"].sum() == 0


def write(folder, **changes):
    words = {"source": "planted", "licence": "CC0-1.0", "obtain": "plant it", "assembly": "GRCh38"}
    table = words | {"columns": COLUMNS, "alleles": "either order"}
    content = {
        "name": "planted",
        "number": "none",
        "title": "planted directions",
        "sets": {"table": table, "set": "set", "pip": "pip"} | changes.pop("sets", {}),
        "eqtls": table | {"columns": COLUMNS | {"gene": "gene"}} | changes.pop("eqtls", {}),
        "score": ["RNA_SEQ"],
        "accuracies": [0.8, 1.0],
    }
    path = folder / "directions.yaml"
    path.write_text(yaml.safe_dump(content | changes))
    return path


@pytest.fixture(scope="module")
def scored(small_world):
    """Variants near two genes with the mean score over tracks of that gene, found by the engine itself."""
    random, genome, rows = np.random.default_rng(11), small_world.genome, []
    engine = open_engine(Fasta(small_world.fasta), model=small_world.folder, gtf=small_world.gtf, scorers=["RNA_SEQ"])
    for gene, tss in (("ENSG01", 4000), ("ENSG03", 11000)):
        for at in np.sort(random.choice(np.arange(tss - 600, tss + 600), 20, replace=False)).tolist():
            variant = Variant("chr1", at, genome[at - 1], random.choice(sorted(set("ACGT") - {genome[at - 1]})))
            (result,) = engine.score(variant)
            (own,) = (row for row, name in enumerate(result.table["gene_id"]) if name == f"{gene}.1")
            score = float(np.nanmean(np.asarray(result.values, np.float64)[own]))
            rows.append((*[getattr(variant, f) for f in ("chromosome", "position")], *alleles(variant), gene, score))
    return pd.DataFrame(rows, columns=[*BASES, "gene", "score"])


def alleles(variant):
    return variant.reference_bases, variant.alternate_bases


def run(world, sets, eqtls, file, **options):
    paths = file.with_name("sets.tsv"), file.with_name("eqtls.tsv")
    for table, path in zip((sets, eqtls), paths, strict=True):
        table.to_csv(path, sep="\t", index=False)
    data = {"table": paths[0], "eqtls": paths[1], "fasta": world.fasta, "gtf": world.gtf}
    benchmark = GwasDirection(file=file, **options)
    return benchmark, data, benchmark.run(world.model, data)


def planted(scored):
    """eQTLs that agree with the scores but for the five smallest, and four sets of four variants of the first gene."""
    size = scored["score"].abs()
    small = size <= np.sort(size)[4]
    eqtls = scored.assign(beta=np.where(small, -1, 1) * np.sign(scored["score"]) * 0.5)
    sets = scored[:16].assign(set=np.repeat(list("abcd"), 4), pip=np.tile([0.5, 0.2, 0.2, 0.1], 4))
    # Sets a and b: more expression, more of the trait; c and d the other way round.
    sets["beta"] = np.sign(sets["score"]) * np.repeat([1, 1, -1, -1], 4)
    return sets.drop(columns=["gene", "score"]), eqtls.drop(columns="score"), small


def figure(results, metric):
    return float(results["value"].values[results["metric"].values == metric][0])


def turn(table, every):
    """Some rows with alleles and effects the other way round."""
    table = table.reset_index(drop=True)
    table.loc[::every, ["ref", "alt"]] = table.loc[::every, ["alt", "ref"]].to_numpy()
    table.loc[::every, "beta"] *= -1
    return table


def test_sets_are_resolved_with_thresholds_of_eqtls(small_world, scored, tmp_path):
    sets, eqtls, small = planted(scored)
    file = write(tmp_path)
    benchmark, data, results = run(small_world, sets, eqtls, file, repeats=50)
    # 35 of 40 are right: at 80 % all are called, without mistakes the 35 largest.
    assert figure(results, "recall_80") == 1
    assert figure(results, "recall_100") == pytest.approx(35 / 40)
    called = ~small[:16]
    assert figure(results, "resolved_80") == 1
    assert figure(results, "resolved_by_pip_80") == pytest.approx(1)
    assert figure(results, "resolved_by_pip_100") == pytest.approx(float((sets["pip"] * called).sum() / 4))
    assert figure(results, "resolved_100") == called.groupby(sets["set"]).any().mean()
    directions = benchmark.directions(small_world.model, data)
    first = directions[directions["gene"] == "ENSG01"].set_index("set")
    assert first["direction"].to_dict() == {"a": 1, "b": 1, "c": -1, "d": -1}
    assert first["agreement"].tolist() == pytest.approx([1] * 4)
    # Rows the other way round than the genome say the same.
    _, _, turned = run(small_world, turn(sets, 2), turn(eqtls, 3), file, repeats=0)
    assert turned["value"].values == pytest.approx(results["value"].values)
    assert (turned.attrs["turned"], turned.attrs["turned_eqtls"]) == (8, 14)


def test_effects_may_be_of_either_allele_and_of_one_gene(small_world, scored, tmp_path):
    sets, eqtls, _ = planted(scored)
    table = yaml.safe_load(write(tmp_path).read_text())["sets"]["table"] | {"columns": COLUMNS | {"gene": "gene"}}
    file = write(tmp_path, sets={"table": table, "effect_allele": "of"}, genes="own")
    sets = sets.assign(gene="ENSG01", of=sets["alt"])
    sets.loc[sets.index[::2], "of"] = sets["ref"]
    sets.loc[sets.index[::2], "beta"] *= -1
    lost = pd.DataFrame([("chr9", 5, "A", "C", "z", 0.9, 1.0, "ENSG01", "C")])
    lost.columns = [*BASES, "set", "pip", "beta", "gene", "of"]
    benchmark, data, results = run(small_world, pd.concat([sets, lost]), eqtls, file, repeats=0)
    # A set that cannot be scored stays among all sets.
    assert figure(results, "resolved_80") == pytest.approx(4 / 5)
    assert "sets: unknown_contig 1" in results.attrs["statuses"]
    assert benchmark.directions(small_world.model, data)["direction"].tolist() == [1, 1, -1, -1]
    with pytest.raises(InputError, match="1 effect alleles are neither allele, first row 1: N"):
        run(small_world, sets.assign(of=["N", *sets["of"][1:]]), eqtls, file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, e: (s.drop(columns="pip"), e), r"sets\.tsv has no column pip"),
        (lambda s, e: (s, e.drop(columns="gene")), r"eqtls\.tsv has no column gene"),
        (lambda s, e: (pd.concat([s, s[:1]]), e), "1 rows occur more than once"),
        (lambda s, e: (s.assign(set=[None, *s["set"][1:]]), e), "1 rows name no set, first row 1"),
        (lambda s, e: (s.assign(pip=s["pip"] + 0.6), e), "4 PIPs are not within 0 to 1, such as that of set a"),
        (lambda s, e: (s.assign(pip=0.4), e), "PIPs of set a add up to 1.600"),
        (lambda s, e: (s, e.assign(gene="ENSG77")), "no variant has a score for its gene"),
    ],
)
def test_tables_that_do_not_fit_are_refused(small_world, scored, tmp_path, change, message):
    sets, eqtls, _ = planted(scored)
    with pytest.raises(InputError, match=message):
        run(small_world, *change(sets, eqtls), write(tmp_path))


def test_files_are_whole_and_mistakes_named(tmp_path):
    for path in FOLDER.glob("*.yaml"):
        assert read_direction(path.stem).name == path.stem
        assert GwasDirection(file=path.stem).citation.startswith("GWAS credible sets")
    with pytest.raises(InputError, match=r"eqtls\.columns lack gene"):
        read_direction(write(tmp_path, eqtls={"columns": COLUMNS}))
    with pytest.raises(InputError, match=r"expected above 0\.5, at most 1"):
        read_direction(write(tmp_path, accuracies=[0.4]))
