import io

import numpy as np
import pandas as pd
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.schema import track_table
from ag_data.annotation import Annotation
from ag_data.plot import GeneModel, Panel, choose_panels, gene_models, plot_variant
from ag_data.plot.transcripts import place
from matplotlib.collections import PolyCollection
from matplotlib.patches import StepPatch

INTERVAL = Interval("chr1", 1000, 2024)
VARIANT = Variant("chr1", 1501, "A", "C")
COLUMNS = ["Chromosome", "Start", "End", "Strand", "Feature", "gene_id", "gene_name", "transcript_id"]


@pytest.fixture
def panels():
    random = np.random.default_rng(0)
    ref = random.random((8, 2))
    alt = ref + np.array([[0.0, 0, 0, 1, -1, 0, 0, 0], [0, 0, 0, 0, 0, 0, 3, 0]]).T
    return [Panel("one", 128, ref[:, 0], alt[:, 0]), Panel("two", 128, ref[:, 1], alt[:, 1])]


@pytest.fixture
def annotation():
    rows = [
        ("chr1", 900, 1100, "+", "exon", "G1", "FIRST", "T1"),
        ("chr1", 1050, 1200, "+", "exon", "G1", "FIRST", "T2"),
        ("chr1", 1400, 1420, "+", "exon", "G1", "FIRST", "T2"),
        ("chr1", 1900, 1950, "-", "exon", "G2", "", "T3"),
        ("chr1", 5000, 5100, "+", "exon", "G3", "ELSEWHERE", "T4"),
    ]
    return Annotation(pd.DataFrame(rows, columns=COLUMNS))


def stairs(axes):
    return {patch.get_label(): patch.get_data() for patch in axes.patches if isinstance(patch, StepPatch)}


def boxes(axes):
    found = [c for c in axes.collections if isinstance(c, PolyCollection)]
    return sorted(tuple(p.get_extents().intervalx) for c in found for p in c.get_paths())


def test_two_axes_for_each_panel_and_one_for_genes(panels, annotation):
    figure = plot_variant(INTERVAL, VARIANT, panels, annotation)
    assert [axes.get_label() for axes in figure.axes] == [
        "one",
        "one difference",
        "two",
        "two difference",
        "genes",
    ]
    assert len(plot_variant(INTERVAL, VARIANT, panels).axes) == 4
    for axes in figure.axes:
        assert axes.get_xlim() == (1000.5, 2024.5)


def test_curves_are_the_panels_arrays_at_their_positions(panels):
    figure = plot_variant(INTERVAL, VARIANT, panels)
    for panel, axes in zip(panels, figure.axes[::2], strict=True):
        drawn = stairs(axes)
        np.testing.assert_array_equal(drawn["REF"].values, panel.ref)
        np.testing.assert_array_equal(drawn["ALT"].values, panel.alt)
        np.testing.assert_array_equal(drawn["REF"].edges, 1000.5 + 128 * np.arange(9))
    gain, loss = (patch.get_data().values for patch in figure.axes[1].patches)
    np.testing.assert_allclose(gain + loss, panels[0].alt - panels[0].ref)
    assert gain.min() == 0
    assert loss.max() == 0


def test_the_variant_is_marked_and_named(panels):
    figure = plot_variant(INTERVAL, Variant("chr1", 1501, "ACG", "A"), panels)
    line = figure.axes[0].get_lines()[0]
    assert line.get_xdata() == [1501, 1501]
    assert any(text.get_text() == "chr1:1501:ACG>A" for text in figure.texts)
    assert any("chr1:1,001-2,024" in text.get_text() for text in figure.texts)
    outside = plot_variant(INTERVAL, Variant("chr1", 3000, "A", "C"), panels)
    assert not outside.axes[0].get_lines()


def test_ticks_have_thousands_separators(panels):
    figure = plot_variant(Interval("chr1", 1_000_000, 1_001_024), VARIANT, panels)
    figure.savefig(io.BytesIO())
    labels = [label.get_text() for label in figure.axes[-1].get_xticklabels()]
    assert "1,000,400" in labels


def test_gene_boxes_are_at_merged_exons(panels, annotation):
    axes = plot_variant(INTERVAL, VARIANT, panels, annotation).axes[-1]
    assert boxes(axes) == [(900.5, 1200.5), (1400.5, 1420.5), (1900.5, 1950.5)]
    assert {text.get_text() for text in axes.texts} == {"FIRST →", "G2 ←"}


def test_every_transcript_has_a_row_and_a_gene_its_name_once(annotation, panels):
    models = gene_models(annotation, INTERVAL, every_transcript=True)
    assert [(model.name, model.start, model.end) for model in models] == [
        ("FIRST", 900, 1100),
        ("", 1050, 1420),
        ("G2", 1900, 1950),
    ]
    assert place(models, INTERVAL, 600) == [0, 1, 0]
    assert len(boxes(plot_variant(INTERVAL, VARIANT, panels, annotation, every_transcript=True).axes[-1])) == 4


def test_genes_never_overlap_and_the_shortest_give_way():
    models = [GeneModel(f"GENE{i}", "+", np.array([[0, 100 + i]])) for i in range(5)]
    assert place(models, Interval("chr1", 0, 1000), 500, rows=3) == [None, None, 2, 1, 0]
    # Names need room, too: 10 bp are 5 points here.
    near = [GeneModel("A_VERY_LONG_NAME", "+", np.array([[0, 10]])), GeneModel("B", "+", np.array([[30, 40]]))]
    assert set(place(near, Interval("chr1", 0, 1000), 500)) == {0, 1}


def test_dense_genes_are_limited_and_counted(panels):
    rows = [("chr1", 1000, 2000 - i, "+", "exon", f"G{i}", f"N{i}", f"T{i}") for i in range(30)]
    annotation = Annotation(pd.DataFrame(rows, columns=COLUMNS))
    axes = plot_variant(INTERVAL, VARIANT, panels, annotation).axes[-1]
    assert len(boxes(axes)) == 12
    assert axes.texts[-1].get_text() == "and 18 shorter genes without room"


def test_a_view_shows_a_part(panels):
    figure = plot_variant(INTERVAL, VARIANT, panels, view=Interval("chr1", 1300, 1600))
    drawn = stairs(figure.axes[0])["REF"]
    np.testing.assert_array_equal(drawn.values, panels[0].ref[2:5])
    assert drawn.edges[0] == 1256.5
    assert figure.axes[0].get_xlim() == (1300.5, 1600.5)


def test_many_positions_are_pooled_to_their_extremes():
    ref = np.zeros(10_001)
    ref[4321] = 5.0
    panel = Panel("long", 1, ref, ref - np.eye(1, 10_001, 77)[0])
    figure = plot_variant(Interval("chr1", 0, 10_001), VARIANT, [panel])
    drawn = stairs(figure.axes[0])["REF"]
    assert len(drawn.values) == 3334
    assert drawn.values.max() == 5
    assert drawn.edges[-1] == 10_001.5
    assert figure.axes[1].patches[1].get_data().values[25] == -1


@pytest.mark.filterwarnings("error")
def test_gaps_and_flat_tracks_can_be_drawn():
    gap = np.array([1, np.nan, 2, 3, 4, 5, 6, 7.0])
    panels = [Panel("gap", 128, gap, gap), Panel("flat", 128, np.zeros(8), np.zeros(8))]
    figure = plot_variant(INTERVAL, VARIANT, panels, share_y=True)
    figure.savefig(io.BytesIO())
    assert figure.axes[0].get_ylim() == figure.axes[2].get_ylim()
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["0"]


def test_pyplot_is_not_used(panels):
    import sys

    before = "matplotlib.pyplot" in sys.modules
    plot_variant(INTERVAL, VARIANT, panels).savefig(io.BytesIO())
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_panels_are_chosen_by_words_and_change():
    tracks = track_table({"name": ["a CTCF", "b CTCF", "c", "c", "padding"], "strand": [".", ".", "+", "-", "."]})
    ref = np.zeros((4, 5))
    alt = ref + np.array([1, 2, 0.5, -3, 9])
    assert [p.title for p in choose_panels(ref, alt, tracks, 128)] == ["c (-)", "b CTCF", "a CTCF", "c (+)"]
    chosen = choose_panels(ref, alt, tracks, 128, "CTCF", limit=1)
    assert [p.title for p in chosen] == ["b CTCF"]
    np.testing.assert_array_equal(chosen[0].alt, alt[:, 1])
    with pytest.raises(InputError, match=r"no track fits 'GATA1' among 5; use a wider query"):
        choose_panels(ref, alt, tracks, 128, "GATA1")


def test_unusable_input_is_refused(panels):
    with pytest.raises(InputError, match=r"0 panels; expected 1 to 50"):
        plot_variant(INTERVAL, VARIANT, [])
    with pytest.raises(InputError, match=r"51 panels; expected 1 to 50: use `choose_panels`"):
        plot_variant(INTERVAL, VARIANT, panels[:1] * 51)
    with pytest.raises(InputError, match=r"view chr1:0-10:\. is not within"):
        plot_variant(INTERVAL, VARIANT, panels, view=Interval("chr1", 0, 10))
    with pytest.raises(ValueError, match=r"panel 'x' has REF \(3,\) and ALT \(8,\); expected \(8,\)"):
        plot_variant(INTERVAL, VARIANT, [Panel("x", 128, np.zeros(3), np.zeros(8))])
