"""The picture of all predictions of a place: what is drawn is what is in the tree."""

import numpy as np
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.schema import track_table
from ag_data.export import Block, MemoryWriter
from ag_data.plot import draw_arcs, draw_contact_map, plot_outputs
from matplotlib.figure import Figure
from matplotlib.patches import Arc, StepPatch

STRANDED = track_table({"name": ["one", "one", "two"], "strand": ["+", "-", "."]})
PLAIN = track_table({"name": ["map"], "strand": ["."]})
REGION = Interval("chr1", 0, 8192)
SHAPES = {"cage": (8192, 3), "chip_tf": (64, 3), "contact_maps": (4, 4, 1), "splice_junctions": (2, 1)}


@pytest.fixture
def tree():
    tables = {"cage": STRANDED, "chip_tf": STRANDED, "contact_maps": PLAIN, "splice_junctions": PLAIN}
    writer = MemoryWriter(tables, {"chromosomes": {"chr1": 10_000}})
    random = np.random.default_rng(0)
    for modality, shape in SHAPES.items():
        resolution = {"chip_tf": 128, "contact_maps": 2048}.get(modality, 1)
        attrs = {"interval": str(REGION), "region": str(REGION), "resolution": resolution}
        dims = ("position", "position_2")[: len(shape) - 1]
        variable, coords = "prediction", {}
        if modality == "splice_junctions":
            dims, variable = ("junction",), "count"
            coords = {
                "start": np.array([100, 4000]),
                "end": np.array([900, 9000]),
                "strand": np.array(["+", "-"], object),
            }
        block = Block(modality, variable, (*dims, "track"), shape, attrs, coords)
        writer.create("", block)[:] = random.random(shape)
    return writer.tree()


def drawn(figure, label):
    (axes,) = [axes for axes in figure.axes if axes.get_label() == label]
    return axes, [patch.get_data() for patch in axes.patches if isinstance(patch, StepPatch)]


def test_each_name_of_each_modality_has_a_panel(tree):
    figure = plot_outputs(tree, most=2)
    labels = [axes.get_label() for axes in figure.axes]
    expected = ["cage one", "cage two", "chip_tf one", "chip_tf two", "contact_maps map", "splice_junctions map"]
    assert [label for label in labels if label in expected] == expected
    assert "cage two" not in [axes.get_label() for axes in plot_outputs(tree, most=1).axes]


def test_strands_are_mirrored_and_bins_lie_where_they_belong(tree):
    view = Interval("chr1", 128, 1024)
    _, (plus, minus) = drawn(plot_outputs(tree, view=view), "chip_tf one")
    values = tree["chip_tf"]["prediction"].values
    np.testing.assert_allclose(plus.values, values[1:8, 0])
    np.testing.assert_allclose(minus.values, -values[1:8, 1])
    np.testing.assert_allclose(plus.edges, 128.5 + 128 * np.arange(8))


def test_pooling_keeps_the_largest_value(tree):
    values = tree["cage"]["prediction"].values
    values[5001, 0] = 77.0
    axes, (plus, _) = drawn(plot_outputs(tree), "cage one")
    assert len(plus.values) < 4100
    (step,) = np.flatnonzero(plus.values == 77.0)
    assert plus.edges[step] <= 5001.5 < plus.edges[step + 1]
    assert axes.get_ylim()[1] >= 77


def test_the_triangle_has_each_pair_once_above_its_middle():
    axes = Figure().add_subplot()
    values = np.arange(16.0).reshape(4, 4) + np.arange(16.0).reshape(4, 4).T
    pixels = draw_contact_map(axes, values, REGION, 2048)
    centers = [path.vertices[:4].mean(axis=0) for path in pixels.get_paths()]
    found = {(round(x - 0.5), round(y)): value for (x, y), value in zip(centers, pixels.get_array(), strict=True)}
    assert len(found) == 10
    assert found[1024, 0] == values[0, 0]
    assert found[4096, 3 * 2048] == values[0, 3]
    with pytest.raises(ValueError, match="4 x 4 values"):
        draw_contact_map(axes, values[:3, :3], REGION, 2048)


def test_arcs_are_the_strongest_junctions_in_view():
    axes = Figure().add_subplot()
    starts, ends = np.array([100, 200, 300, 5000]), np.array([900, 700, 800, 9000])
    strands, counts = np.array(["+", "-", "+", "+"], object), np.array([3.0, 2.0, 1.0, 9.0])
    assert draw_arcs(axes, starts, ends, strands, counts, REGION, most=2) == 2
    arcs = [patch for patch in axes.patches if isinstance(patch, Arc)]
    assert sorted(arc.center[0] - arc.width / 2 for arc in arcs) == [100.5, 200.5]
    assert {arc.theta1 for arc in arcs} == {0, 180}
    assert [text.get_text() for text in axes.texts] == ["3", "2"]


def test_a_place_or_view_that_is_not_there_is_refused(tree):
    with pytest.raises(InputError, match="no predictions of place 'ALT'"):
        plot_outputs(tree, place_name="ALT")
    with pytest.raises(InputError, match="not within"):
        plot_outputs(tree, view=Interval("chr1", 8000, 9000))
