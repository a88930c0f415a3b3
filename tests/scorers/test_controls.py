"""Controls of a variant, how far out it is among them, and what kind of effect variants have."""

import ag_scorers
import numpy as np
import pandas as pd
import pytest
from ag_core.cli import run
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_data.fasta import Fasta
from ag_scorers.controls.comparison import compare
from ag_scorers.controls.matched import matched_controls
from ag_scorers.controls.mechanism import mechanisms
from ag_scorers.controls.picture import plot_comparison

SCORERS = ("center_mask:modality=chip_tf", "gene_mask_lfc:modality=rna_seq")
AT = 4300


def insertion(world, bases="GATTACA"):
    base = world.genome[AT - 1]
    return Variant("chr1", AT, base, base + bases)


def test_controls_are_of_one_kind(world):
    fetch = Fasta(world.fasta).fetch
    inserted = matched_controls(insertion(world), fetch, 20)
    assert len({str(one) for one in inserted}) == 20
    assert all(sorted(one.alternate_bases[1:]) == sorted("GATTACA") for one in inserted)
    assert all(one.position == AT and one.reference_bases == world.genome[AT - 1] for one in inserted)
    assert insertion(world) not in inserted
    assert inserted == matched_controls(insertion(world), fetch, 20)
    assert inserted != matched_controls(insertion(world), fetch, 20, seed=1)
    gone = Variant("chr1", AT, world.genome[AT - 1 : AT + 4], world.genome[AT - 1])
    for one in (*matched_controls(gone, fetch, 20, distance=60), gone):
        assert (len(one.reference_bases), len(one.alternate_bases)) == (5, 1)
        assert one.reference_bases == world.genome[one.start : one.end]
        assert abs(one.start - gone.start) < 70
    single = Variant("chr1", AT, world.genome[AT - 1], world.other(AT))
    for one in matched_controls(single, fetch, 20, distance=60):
        assert one.is_snv
        assert one.reference_bases == world.genome[one.start]
    # Two other orders are all there are.
    assert len(matched_controls(insertion(world, "AAC"), fetch, 20)) == 2
    with pytest.raises(InputError, match="no controls: its bases have no other order"):
        matched_controls(insertion(world, "AA"), fetch)


@pytest.fixture(scope="module")
def engine(world):
    return ag_scorers.open_engine(
        Fasta(world.fasta), gtf=world.gtf, model=str(world.model), scorers=SCORERS, partial=False
    )


def test_how_far_out_a_variant_is(world, engine):
    variant = insertion(world)
    single = Variant("chr1", AT + 20, world.genome[AT + 19], world.other(AT + 20))
    controls = {one: matched_controls(one, engine.fasta.fetch, 6, distance=60) for one in (variant, single)}
    tree = compare(engine, controls)
    assert tree["control"].values.tolist() == 2 * [False, *[True] * 6]
    assert tree["group"].values.tolist() == [0] * 7 + [1] * 7
    interval = Interval.from_region(tree.attrs["interval"])
    for number, (key, data) in enumerate(tree.children.items()):
        for group, (one, own) in enumerate(controls.items()):
            scores = [engine.score(each, interval)[number].values[0] for each in (one, *own)]
            np.testing.assert_allclose(data["score"][7 * group : 7 * group + 7], scores, rtol=1e-4, atol=1e-6)
            spread = np.std(scores[1:], axis=0, ddof=1)
            spread[~(spread > 0)] = np.nan  # on a track where controls do nothing, nothing can be told
            assert (spread > 0).any()
            expected = (scores[0] - np.mean(scores[1:], axis=0)) / spread
            np.testing.assert_allclose(data["deviation"][7 * group], expected, rtol=1e-2, atol=1e-3, err_msg=key)
            middle = np.median(scores[1:], axis=0)
            far = np.abs(scores[1:] - middle) >= np.abs(scores[0] - middle)
            known = np.isfinite(scores[0])
            np.testing.assert_allclose(data["beyond"][7 * group][known], ((far.sum(axis=0) + 1) / 7)[known], rtol=1e-6)
    figure = plot_comparison(tree)
    (axes, _) = figure.axes
    assert len(axes.get_yticklabels()) == 14
    bold = [text.get_text() for text in axes.get_yticklabels() if text.get_weight() == "bold"]
    assert sorted(bold) == sorted([str(variant), str(single)])
    with pytest.raises(InputError, match="has 3 controls; expected 5 or more"):
        compare(engine, {variant: controls[variant][:3]})
    with pytest.raises(InputError, match="is not inside"):
        compare(engine, {variant: [*controls[variant], Variant("chr1", 15_000, "A", "C")]})


def scores(**tails):
    """A table of scores with a row for each value, by output and variant."""
    rows = [(f"chr1:{number}:A>C", output, tail) for output, column in tails.items() for number, tail in column]
    return pd.DataFrame(rows, columns=["variant", "output", "tail"])


def test_kinds_of_effects():
    table = scores(
        DNASE=[(1, 4.0), (2, 0.1), (3, 4.0), (4, 0.1), (5, 0.1)],
        CHIP_TF=[(1, 0.1), (2, 0.2), (3, 0.1), (4, 0.1), (5, 0.1)],
        RNA_SEQ=[(1, 0.1), (2, 4.0), (3, 4.0), (4, 0.1), (5, 0.1)],
        SPLICE_SITES=[(1, 4.0), (2, 0.1), (3, 0.1), (4, 0.1), (5, 4.0)],
    )
    found = mechanisms(table)
    kinds = ["local regulation", "expression only", "multimodal", "none", "splicing only"]
    assert found["mechanism"].tolist() == kinds
    assert found["splices"].tolist() == [True, False, False, False, True]
    # 1 is what Bonferroni asks of two local tracks.
    assert found["local"][0] == pytest.approx(4 / -np.log10(0.005))
    # A background in which one in a hundred exceeds 5 asks for more.
    many = range(100, 1100)
    usual = {output: [(n, 6.0 if n % 90 == 0 else 1.0) for n in many] for output in table["output"].unique()}
    assert set(mechanisms(table, scores(**usual))["mechanism"]) == {"none"}
    low = {output: [(n, 3.0 if n % 200 == 0 else 1.0) for n in many] for output in table["output"].unique()}
    assert mechanisms(table, scores(**low))["mechanism"].tolist() == kinds
    with pytest.raises(InputError, match="the scores lack tail"):
        mechanisms(table.drop(columns="tail"))
    with pytest.raises(InputError, match="5 variants in the background"):
        mechanisms(table, table)
    with pytest.raises(InputError, match="the background has no scores of expression"):
        mechanisms(table, scores(**{name: column for name, column in low.items() if name != "RNA_SEQ"}))


def test_commands(world, tmp_path, capsys):
    files = ["--fasta", str(world.fasta), "--model", str(world.model), "--scorer", SCORERS[0]]
    out, picture = tmp_path / "controls.tsv", tmp_path / "map.svg"
    more = ["--count", "6", "-o", str(out), "--picture", str(picture)]
    assert run(["controls", str(insertion(world)), *files, *more]) == 0
    table = pd.read_csv(out, sep="\t")
    assert len(table) == 7 * 2
    assert picture.read_text().startswith("<?xml")
    wrong = Variant("chr1", AT, world.other(AT), "A")
    assert run(["controls", str(wrong), *files, *more]) == 2
    assert "the genome has" in capsys.readouterr().err
    scores(DNASE=[(1, 4.0)]).to_csv(tmp_path / "scores.tsv", sep="\t", index=False)
    assert run(["mechanism", str(tmp_path / "scores.tsv"), "-o", str(tmp_path / "kinds.tsv"), "--json"]) == 0
    assert '"local regulation": 1' in capsys.readouterr().out
    assert run(["mechanism", str(out), "-o", str(tmp_path / "kinds.tsv")]) == 2
    assert "cannot be read as scores with tails" in capsys.readouterr().err
