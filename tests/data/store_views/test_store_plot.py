"""Pictures of stores: what is drawn is what is stored, where it is, and nothing where nothing was measured."""

import io
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from ag_core import cli
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_data.annotation import Annotation
from ag_data.plot import (
    draw_annotation,
    draw_contacts,
    draw_sashimi,
    draw_sites,
    draw_track,
    plot_store,
    read_window,
    save,
    windows,
)
from ag_data.plot.windows import pool_bins
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, StepPatch

LENGTHS = {"chr1": 8_200, "chr2": 4_000}
VIEW = Interval("chr1", 1000, 2000)


@pytest.fixture(scope="module")
def store(make_store):
    """All layouts. chr2 has RNA only; RNA of strand '+' was not measured on [1200, 1300) of chr1."""
    random = np.random.default_rng(0)
    length, Values = LENGTHS["chr1"], make_store.values
    rna = {name: random.poisson(2, (size, 3)).astype(np.float32) for name, size in LENGTHS.items()}
    rna["chr1"][1200:1300, 0] = np.nan
    usage, sites = np.zeros((length, 2), np.float32), np.zeros((length, 4), bool)
    usage[[1099, 1500], 0], usage[1700, 1], usage[1750, 1] = (0.25, 1.0), 0.5, np.nan
    sites[1099, 0] = sites[1500, 1] = sites[1700, 2] = True
    maps = random.normal(size=(5, 4, 1)).astype(np.float16)
    pairs = make_store.junctions([500, 1100, 1100, 1600], [1500, 1500, 1800, 1700], "+++-", [[9.0], [4], [1], [2]])
    strands = {"name": ["a", "a", "b"], "strand": ["+", "-", "."], "biosample_name": ["K562", "K562", "liver"]}
    return make_store(
        LENGTHS,
        rna_seq=Values(rna, **strands),
        chip_tf=Values({"chr1": random.gamma(2, 3, (65, 9)).astype(np.float32)}, resolution=128),
        splice_site_usage=Values({"chr1": usage}, "usage", name=["a", "a"], strand=["+", "-"]),
        splice_sites=Values({"chr1": sites}, "classes", name=["donor", "acceptor"] * 2, strand=list("++--")),
        contact_maps=Values({"chr1": maps}, "contacts", 2048, name=["map"]),
        splice_junctions=Values({"chr1": pairs}, "junctions", name=["SJ"], biosample_name=["K562"]),
    )


@pytest.fixture
def annotation():
    rows = [("chr1", 900, 1100, "+", "exon", "G1", "ONE", "T1"), ("chr1", 1500, 1600, "+", "exon", "G1", "ONE", "T1")]
    names = ["Chromosome", "Start", "End", "Strand", "Feature", "gene_id", "gene_name", "transcript_id"]
    return Annotation(pd.DataFrame(rows, columns=names))


def panel(figure, label):
    (axes,) = [axes for axes in figure.axes if axes.get_label() == label]
    return axes


def steps(axes):
    return {patch.get_label(): patch.get_data() for patch in axes.patches if isinstance(patch, StepPatch)}


def shades(axes):
    """(left, right, bottom, top) of what is marked as not measured."""
    bars = [c for c in axes.collections if isinstance(c, PolyCollection) and c.get_label() == "not measured"]
    boxes = [path.get_extents() for bar in bars for path in bar.get_paths()]
    return [(box.x0, box.x1, box.y0, box.y1) for box in boxes]


# Windows


def test_a_window_has_the_bins_that_the_view_touches(store):
    window = read_window(store, "chip_tf", Interval("chr1", 1000, 1030, "-"), np.array([3, 1]))
    assert window["start"].values.tolist() == [896, 1024]
    assert window["end"].values.tolist() == [1024, 1152]
    assert window["name"].values.tolist() == ["track 3", "track 1"]
    expected = store.read("chip_tf", Interval("chr1", 896, 1152), [3, 1])
    np.testing.assert_array_equal(window["signal"].values, expected)
    assert window["signal"].attrs["unit"] == "sum over the bin"


@pytest.mark.parametrize("pool", ["largest", "mean"])
@pytest.mark.parametrize("budget", [1 << 26, 3000])
def test_pooled_bins_do_not_depend_on_blocks(store, monkeypatch, pool, budget):
    monkeypatch.setattr(windows, "_BYTES", budget)
    view = Interval("chr1", 100, 7_103)
    window = read_window(store, "rna_seq", view, steps=1000, pool=pool)
    whole = store.read("rna_seq", view).astype(np.float64)
    assert window.attrs["pooled"] == 8
    assert window["end"].values[-1] == view.end
    parts = [whole[first : first + 8] for first in range(0, len(whole), 8)]
    function = np.nanmax if pool == "largest" else np.nanmean
    for row, part in zip(window["signal"].values, parts, strict=True):
        for value, column in zip(row, part.T, strict=True):
            expected = np.nan if np.isnan(column).all() else function(column)
            np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert np.isnan(window["signal"].values).any()


@given(st.lists(st.sampled_from([0.0, 1.0, -3.0, 2.0, np.nan]), min_size=1, max_size=20), st.integers(1, 6))
def test_pooling_keeps_extremes_and_gaps(values, group):
    pooled = pool_bins(np.array(values)[:, None], group)[:, 0]
    for step, first in zip(pooled, range(0, len(values), group), strict=True):
        known = [value for value in values[first : first + group] if not np.isnan(value)]
        assert np.isnan(step) if not known else (step in known and abs(step) == max(map(abs, known)))


def test_sites_are_few_rows(store):
    window = read_window(store, "splice_site_usage", Interval("chr1", 1000, 8_400))
    # Beyond the chromosome's end nothing was measured: one stretch.
    assert window["start"].values.tolist() == [1099, 1500, 1700, 1750, 8200]
    assert window["end"].values.tolist() == [1100, 1501, 1701, 1751, 8400]
    assert window["signal"].sel(track=0).values.tolist()[:4] == [0.25, 1, 0, 0]
    assert np.isnan(window["signal"].values[-1]).all()


@pytest.mark.parametrize("budget", [1 << 26, 30])
def test_large_maps_are_means_of_squares(store, monkeypatch, budget):
    monkeypatch.setattr(windows, "MOST_PIXELS", 3)
    monkeypatch.setattr(windows, "_BYTES", budget)
    window = read_window(store, "contact_maps", Interval("chr1", 0, 8_200))
    band = store.read("contact_maps", Interval("chr1", 0, 5 * 2048)).astype(np.float64)[..., 0]
    pooled = window["signal"].values[..., 0]
    for row in range(3):
        for column in range(row, 3):
            pairs = [(i, j) for i in range(5) for j in range(i, 5) if (i // 2, j // 2) == (row, column)]
            inside = [band[i, j - i] for i, j in pairs if j - i < band.shape[1]]
            expected = np.nanmean(inside) if np.isfinite(inside).any() else np.nan
            np.testing.assert_allclose(pooled[row, column - row], expected)
    assert window["start"].values.tolist() == [0, 4096, 8192]


# Parts


def test_signal_is_mirrored_and_gaps_are_not_zeros(store):
    window = read_window(store, "rna_seq", VIEW, np.array([0, 1]))
    axes = draw_track(window["signal"], VIEW)
    values = store.read("rna_seq", VIEW)
    drawn = steps(axes)
    np.testing.assert_array_equal(drawn["+"].values, values[:, 0])
    np.testing.assert_array_equal(drawn["-"].values, -values[:, 1])
    np.testing.assert_array_equal(drawn["+"].edges, 1000.5 + np.arange(1001))
    assert np.isnan(drawn["+"].values[200:300]).all()
    ((left, right, bottom, top),) = shades(axes)
    assert (left, right, bottom) == (1200.5, 1300.5, 0)
    assert top == axes.get_ylim()[1]
    assert axes.get_xlim() == (1000.5, 2000.5)
    assert axes.get_ylabel() == "coverage"


def test_negative_values_of_the_minus_strand_hang_down_once():
    coords = {"start": ("position", [0, 1]), "end": ("position", [1, 2]), "strand": ("track", ["-"])}
    for values in ([[2.0], [0.0]], [[-2.0], [0.0]]):
        axes = draw_track(xr.DataArray(values, dims=("position", "track"), coords=coords), Interval("c", 0, 2))
        assert steps(axes)["-"].values.tolist() == [-2, 0]
        assert [label.get_text() for label in axes.get_yticklabels()] == ["2", "0"]


def test_what_was_never_measured_says_so(store):
    axes = draw_track(read_window(store, "chip_tf", Interval("chr2", 0, 1280), np.array([0]))["signal"], VIEW)
    assert [text.get_text() for text in axes.texts] == ["not measured"]
    assert len(shades(axes)) == 1


def test_sites_are_stems_at_their_bases(store):
    window = read_window(store, "splice_site_usage", Interval("chr1", 1000, 8_400))
    axes = draw_sites(window["signal"], Interval("chr1", 1000, 8_400))
    stems = [c.get_segments() for c in axes.collections if isinstance(c, LineCollection)]
    # 1-based positions; usage of '-' hangs down.
    assert [[segment.tolist() for segment in track] for track in stems] == [
        [[[1100, 0], [1100, 0.25]], [[1501, 0], [1501, 1]]],
        [[[1701, 0], [1701, -0.5]]],
    ]
    rings = [line for line in axes.get_lines() if line.get_label() == "not measured"]
    assert [line.get_xdata().tolist() for line in rings] == [[], [1751]]
    assert [(left, right) for left, right, _, _ in shades(axes)] == [(8200.5, 8400.5)] * 2


def test_kinds_of_sites_have_colours_and_a_key(store):
    axes = draw_sites(read_window(store, "splice_sites", VIEW)["signal"], VIEW)
    stems = {tuple(segment[1]): tuple(c.get_color()[0]) for c in axes.collections for segment in c.get_segments()}
    assert [x for x, _ in stems] == [1100, 1501, 1701]
    donor, acceptor, other = stems.values()
    assert donor == other != acceptor
    assert [text.get_text() for text in axes.texts] == ["donor", "acceptor"]


def test_arcs_stand_on_the_coverage_beside_their_intron(store):
    coverage = read_window(store, "rna_seq", VIEW, np.array([0, 1]))["signal"]
    junctions = read_window(store, "splice_junctions", VIEW).isel(track=0)
    axes = draw_sashimi(junctions, VIEW, coverage=coverage)
    values = store.read("rna_seq", Interval("chr1", 0, LENGTHS["chr1"]))
    ends = {}
    for patch in axes.patches:
        if isinstance(patch, PathPatch) and not isinstance(patch, StepPatch):
            points = patch.get_path().vertices
            # A cubic curve at one half.
            apex = points[0, 1] / 8 + 3 * (points[1, 1] + points[2, 1]) / 8 + points[3, 1] / 8
            ends[tuple(points[[0, 3], 0])] = (points[0, 1], points[3, 1], apex, patch.get_linewidth())
    # [500, 1500) hangs out of view.
    assert ends.keys() == {(1100.5, 1500.5), (1100.5, 1800.5), (1600.5, 1700.5)}
    left, right, apex, strong = ends[1100.5, 1500.5]
    assert (left, right) == (values[1099, 0], values[1500, 0])
    assert apex > max(left, right)
    assert strong > ends[1100.5, 1800.5][3]
    left, right, apex, _ = ends[1600.5, 1700.5]
    assert (left, right) == (-values[1599, 1], -values[1700, 1])
    assert apex < min(left, right)
    assert {text.get_text() for text in axes.texts} == {"4", "1", "2"}
    low, high = axes.get_ylim()
    assert all(low < text.get_position()[1] < high for text in axes.texts)
    only = draw_sashimi(junctions, VIEW, most=1)
    assert [text.get_text() for text in only.texts] == ["4"]
    assert len(draw_sashimi(junctions, VIEW, least=2).texts) == 1


@pytest.mark.parametrize("square", [False, True])
def test_maps_show_each_pair_where_it_is(store, square):
    view = Interval("chr1", 0, 5 * 2048)
    contacts = read_window(store, "contact_maps", view)["signal"].isel(track=0)
    axes = draw_contacts(contacts, view, square=square, limit=2.0)
    pixels = axes.collections[0]
    values = contacts.values
    if square:
        table = pixels.get_array()
        assert table.shape == (5, 5)
        np.testing.assert_array_equal(table, table.T)
        np.testing.assert_array_equal(table[1].filled(np.nan)[1:], values[1])
        assert table.mask[0, 4] == np.isnan(values[0]).all() or table.mask[0, 4]
    else:
        middles = [tuple(path.vertices[:4].mean(axis=0)) for path in pixels.get_paths()]
        drawn = dict(zip(middles, pixels.get_array().filled(np.nan), strict=True))
        assert len(drawn) == 14  # the corner is missing
        assert drawn[0.5 + 1.5 * 2048, 0] == values[1, 0]
        assert drawn[0.5 + 2.5 * 2048, 2 * 2048] == values[1, 2]
        assert axes.get_ylim() == (0, 4 * 2048)
    assert (pixels.norm.vmin, pixels.norm.vcenter, pixels.norm.vmax) == (-2, 0, 2)


def test_values_that_are_never_negative_start_from_zero():
    coords = {"start": ("position", [0, 2048]), "end": ("position", [2048, 4096])}
    counts = xr.DataArray([[4.0, 1.0], [5.0, np.nan]], dims=("position", "offset"), coords=coords)
    view = Interval("chr1", 0, 4096)
    assert draw_contacts(counts, view).collections[0].norm.vmin == 0
    log = draw_contacts(counts.assign_attrs(unit="log observed/expected"), view).collections[0]
    assert log.norm.vmin == -log.norm.vmax


def test_parts_go_into_given_axes(store, annotation):
    figure = Figure(figsize=(8, 8))
    top, middle, below, last = figure.subplots(4)
    assert draw_track(read_window(store, "rna_seq", VIEW, np.array([2]))["signal"], VIEW, top) is top
    junctions = read_window(store, "splice_junctions", VIEW).isel(track=0)
    assert draw_sashimi(junctions, VIEW, ax=middle) is middle
    assert draw_sites(read_window(store, "splice_sites", VIEW)["signal"], VIEW, below) is below
    assert draw_annotation(annotation, VIEW, last) is last
    assert last.texts[0].get_text() == "ONE →"
    assert all(axes.get_xlim() == (1000.5, 2000.5) for axes in figure.axes)
    assert draw_annotation(annotation, VIEW).get_xlim() == (1000.5, 2000.5)


# Figures


def test_every_kind_of_data_has_its_panel(store, annotation):
    figure = plot_store(store, VIEW, annotation=annotation)
    labels = [axes.get_label() for axes in figure.axes if axes.get_label() != "color bar"]
    chips = [f"chip_tf track {number}" for number in range(6)]
    assert labels == [
        "contact_maps map", "rna_seq b", *chips, "splice_junctions SJ", "splice_site_usage a", "splice_sites ", "genes",
    ]  # fmt: skip
    # Coverage of the same biosample lies under the junctions.
    assert set(steps(panel(figure, "splice_junctions SJ"))) == {"+", "-"}
    texts = [text.get_text() for text in figure.texts]
    assert "and 3 more: choose tracks" in texts
    assert texts.count("sum over 128 bp") == 1
    assert {"human made up", "chr1:1,001-2,000, 1,000 bp"} <= set(texts)
    figure.savefig(io.BytesIO())
    ticks = [label.get_text() for label in figure.axes[-1].get_xticklabels()]
    assert "1,200" in ticks


def test_modalities_and_tracks_are_chosen(store):
    figure = plot_store(store, VIEW, modalities=["chip_tf", "rna_seq"], tracks='b or "track 8"', title="mine")
    assert [axes.get_label() for axes in figure.axes] == ["chip_tf track 8", "rna_seq b"]
    assert "mine" in [text.get_text() for text in figure.texts]
    # Only some modalities have this column.
    liver = plot_store(store, VIEW, tracks="biosample_name=liver")
    assert [axes.get_label() for axes in liver.axes] == ["rna_seq b"]


def test_modalities_that_a_chromosome_lacks_are_left_out_unless_named(store):
    view = Interval("chr2", 0, 1280)
    assert [axes.get_label() for axes in plot_store(store, view).axes] == ["rna_seq a", "rna_seq b"]
    (axes,) = plot_store(store, view, modalities=["chip_tf"], most=1).axes
    assert [text.get_text() for text in axes.texts] == ["not measured"]


def test_a_shared_scale_is_the_largest_value(store):
    figure = plot_store(store, VIEW, modalities=["chip_tf"], share_y=True)
    largest = store.read("chip_tf", Interval("chr1", 896, 2048))[:, :6].max()
    np.testing.assert_allclose([axes.get_ylim() for axes in figure.axes], [(0, 1.05 * largest)] * 6, rtol=1e-6)


@pytest.mark.parametrize(
    ("region", "options", "message"),
    [
        (("chr9", 0, 10), {}, "knows no chromosome 'chr9'; it has chr1, chr2"),
        (("chr1", 9000, 9100), {}, r"nothing to draw in chr1:9,001-9,100: chr1 has 8,200 bp"),
        (("chr1", 10, 10), {}, "nothing to draw"),
        (("chr1", 0, 10), {"modalities": ["cage"]}, "has no 'cage'; it has rna_seq"),
        (("chr1", 0, 10), {"tracks": "GATA1"}, "no track of contact_maps.* fits 'GATA1'"),
        (("chr1", 0, 10), {"tracks": "tissue=liver"}, "unknown field 'tissue'"),
        (("chr1", 0, 10), {"pool": "min"}, "pool 'min': expected one of largest, mean"),
    ],
)
def test_bad_requests(store, region, options, message):
    with pytest.raises(InputError, match=message):
        plot_store(store, Interval(*region), **options)


def test_bad_arrays(store):
    contacts, junctions = (read_window(store, name, VIEW) for name in ("contact_maps", "splice_junctions"))
    with pytest.raises(ValueError, match="choose one track"):
        draw_contacts(contacts["signal"], VIEW)
    with pytest.raises(ValueError, match="junctions of 1 tracks; choose one"):
        draw_sashimi(junctions, VIEW)
    with pytest.raises(ValueError, match=r"tracks on \., \.; expected one on each strand"):
        draw_track(read_window(store, "chip_tf", VIEW, np.array([0, 1]))["signal"], VIEW)


def test_a_picture_is_whole_or_not_there(store, tmp_path, monkeypatch):
    figure = plot_store(store, VIEW, modalities=["rna_seq"])
    for name in ("a.png", "a.svg", "a.pdf"):
        assert save(figure, tmp_path / name).stat().st_size > 5_000
    with pytest.raises(InputError, match=r"a.docx: cannot tell the format; use one of \.eps"):
        save(figure, tmp_path / "a.docx")
    before = (tmp_path / "a.png").read_bytes()
    monkeypatch.setattr(Figure, "savefig", lambda self, path, dpi: path.write_bytes(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png", "a.svg"]


def test_nothing_global_changes(store, annotation):
    before, settings = "matplotlib.pyplot" in sys.modules, matplotlib.rcParams.copy()
    plot_store(store, VIEW, annotation=annotation).savefig(io.BytesIO())
    assert ("matplotlib.pyplot" in sys.modules) == before
    assert dict.__eq__(matplotlib.rcParams, settings)


def test_the_command_line(store, tmp_path, capsys):
    picture = tmp_path / "region.png"
    assert cli.run(["tracks", "plot", str(store.path), "chr1:1,001-2,000", "-o", str(picture), "--tracks", "b"]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert cli.run(["tracks", "plot", str(store.path), "chr9:1-10", "-o", str(picture)]) == 2
    assert "knows no chromosome" in capsys.readouterr().err
