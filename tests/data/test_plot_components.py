"""Figures of components: every input ends up at its positions, indels are lined up, bad input is refused."""

import dataclasses
import io
import types

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_data.annotation import Annotation
from ag_data.plot import (
    AlleleLogos,
    ContactMaps,
    ContactMapsDiff,
    Difference,
    EmptyComponent,
    IntervalAnnotation,
    Mutations,
    OverlaidTracks,
    Sashimi,
    SeqLogo,
    Tracks,
    TranscriptAnnotation,
    VariantAnnotation,
    draw_contact_difference,
    draw_overlay,
    plot,
    read_coding,
    to_reference,
)
from ag_data.plot.inputs import as_junctions, as_signal
from matplotlib.patches import PathPatch, StepPatch

VIEW = Interval("chr1", 100, 112)


@dataclasses.dataclass
class TrackData:
    """As another client has it."""

    values: np.ndarray
    metadata: pd.DataFrame
    resolution: int = 1
    interval: object = dataclasses.field(
        default_factory=lambda: types.SimpleNamespace(chromosome="chr1", start=100, end=112, strand="+")
    )


def tracks(values, strands="+-", **options):
    values = np.asarray(values, np.float32)
    strands = (strands * values.shape[-1])[: values.shape[-1]]
    names = [f"track {number}" for number in range(values.shape[-1])]
    return TrackData(values, pd.DataFrame({"name": names, "strand": list(strands)}), **options)


def prediction(values, name="prediction", **attrs):
    """A child of a tree of predictions."""
    values = np.asarray(values, np.float32)
    coords = {"name": ("track", ["one"] * values.shape[-1]), "strand": ("track", ["."] * values.shape[-1])}
    dims = ("position", "position_2", "track") if values.ndim == 3 else ("position", "track")
    attrs = {"interval": "chr1:100-112:+", "resolution": 12 // len(values), **attrs}
    return xr.Dataset({name: (dims, values)}, coords=coords, attrs=attrs)


def curves(axes):
    return {one.get_label(): one.get_data() for one in axes.patches if isinstance(one, StepPatch) and one.get_label()}


def marked(axes, label):
    """x limits of what is marked by a label."""
    found = [one for one in axes.patches if one.get_label() == label]
    return [one.get_extents().transformed(axes.transData.inverted()).intervalx.round(3).tolist() for one in found]


def test_rows_are_below_each_other_over_one_axis():
    figure = plot(
        [Tracks(tracks(np.eye(12, 2)), track_height=0.5), EmptyComponent(0.2), Tracks(prediction(np.ones((6, 1))))],
        VIEW,
        fig_width=8,
        title="A title",
    )
    figure.savefig(io.BytesIO(), format="svg")
    assert [axes.get_ylabel() for axes in figure.axes] == ["track 0:+", "track 1:-", "", "one:."]
    assert {axes.get_xlim() for axes in figure.axes} == {(100.5, 112.5)}
    tops = [axes.get_position().y1 for axes in figure.axes]
    assert tops == sorted(tops, reverse=True)
    heights = [axes.get_position().height * figure.get_figheight() for axes in figure.axes]
    np.testing.assert_allclose(heights, [0.5, 0.5, 0.2, 1.0])
    assert figure.axes[-1].get_xlabel() == "chr1:101-112, 12 bp"
    assert not any(axes.get_xlabel() for axes in figure.axes[:-1])
    (title,) = [text for text in figure.texts if text.get_text() == "A title"]
    assert title.get_window_extent().y0 > figure.axes[0].get_window_extent().y1


def test_all_kinds_of_input_are_the_same_picture():
    values = np.arange(12.0)[:, None]
    own = as_signal(prediction(values))
    for given in (tracks(values, "."), prediction(values), xr.DataTree(prediction(values)), own, own.isel(track=0)):
        (axes,) = plot([Tracks(given)], Interval("chr1", 104, 108)).axes
        data = curves(axes)["."]
        np.testing.assert_array_equal(data.values, [4, 5, 6, 7])
        np.testing.assert_array_equal(data.edges, 104.5 + np.arange(5))
    (axes,) = plot([Tracks(prediction(np.arange(3.0)[:, None]))], Interval("chr1", 105, 109)).axes
    np.testing.assert_array_equal(curves(axes)["."].edges, [104.5, 108.5, 112.5])


def test_tracks_share_a_scale_and_the_largest_can_be_chosen():
    data = tracks(np.eye(12, 3) * [1, 5, 2], "...")
    own = [axes.get_ylim()[1] for axes in plot([Tracks(data)], VIEW).axes]
    np.testing.assert_allclose(own, 1.05 * np.array([1, 5, 2]))
    shared = plot([Tracks(data, shared_y_scale=True, filled=True, ylabel_template="{name}")], VIEW).axes
    assert {axes.get_ylim()[1] for axes in shared} == {5.25}
    assert [axes.get_ylabel() for axes in plot([Tracks(data, top=2)], VIEW).axes] == ["track 1:.", "track 2:."]
    # Of what is in view.
    assert len(plot([Tracks(data, top=1)], Interval("chr1", 100, 101)).axes) == 1


def test_a_deletion_is_a_gap_and_the_rest_lines_up():
    ref = np.arange(12.0)[:, None]
    variant = Variant("chr1", 103, "CGT", "C")  # 103 and 104 (0-based) are gone
    alt = np.append(np.delete(ref, [3, 4]), [0, 0])[:, None]
    moved = to_reference(alt, VIEW, [variant])
    assert np.flatnonzero(np.isnan(moved)).tolist() == [3, 4]
    np.testing.assert_array_equal(moved[~np.isnan(moved)], ref[~np.isnan(moved)])
    overlay, difference = plot(
        [component({"REF": tracks(ref, "."), "ALT": tracks(alt, ".")}, variant=variant)
         for component in (OverlaidTracks, Difference)],
        VIEW,
    ).axes  # fmt: skip
    np.testing.assert_array_equal(curves(overlay)["ALT"].values, moved[:, 0])
    np.testing.assert_array_equal(curves(overlay)["REF"].values, ref[:, 0])
    assert marked(overlay, "deleted") == marked(difference, "deleted") == [[103.5, 105.5]]
    assert [text.get_text() for text in overlay.texts] == ["\N{MINUS SIGN}2 bp"]
    assert not any(np.nan_to_num(patch.get_data().values).any() for patch in difference.patches[:2])
    assert [text.get_text() for text in overlay.get_legend().get_texts()] == ["REF", "ALT"]


def test_an_insertion_is_pooled_to_its_largest_value_and_marked():
    # The worked examples of spec/scoring.md 1.9, with NaN for what ALT does not have.
    alt = np.arange(1.0, 13)[:, None]
    moved = to_reference(alt, VIEW, [Variant("chr1", 105, "A", "ATT")])[:, 0]
    np.testing.assert_array_equal(moved, [1, 2, 3, 4, 7, 8, 9, 10, 11, 12, np.nan, np.nan])
    moved = to_reference(alt, VIEW, [Variant("chr1", 105, "ATT", "A")])[:, 0]
    np.testing.assert_array_equal(moved, [1, 2, 3, 4, 5, np.nan, np.nan, 6, 7, 8, 9, 10])
    # A prediction says by itself where it lies.
    own = prediction(alt, frame="alternate", variant="chr1:105:A>ATT")
    (axes,) = plot([OverlaidTracks({"REF": prediction(alt), "ALT": own})], VIEW).axes
    assert curves(axes)["ALT"].values[4] == 7
    (wedge,) = marked(axes, "inserted")
    assert np.mean(wedge) == pytest.approx(105.5)
    same = prediction(alt, frame="reference", variant="chr1:105:A>ATT")
    (axes,) = plot([OverlaidTracks({"REF": prediction(alt), "ALT": same})], VIEW).axes
    np.testing.assert_array_equal(curves(axes)["ALT"].values, alt[:, 0])


def test_bins_get_the_bin_that_shares_most_bases():
    alt = np.array([[1.0], [2], [3], [4], [5], [6]])
    moved = to_reference(alt, VIEW, [Variant("chr1", 104, "A", "ATTTTT")], 2)[:, 0]
    np.testing.assert_array_equal(moved, [1, 4, 5, 6, np.nan, np.nan])
    gone = to_reference(alt, VIEW, [Variant("chr1", 102, "AGGGG", "A")], 2)[:, 0]
    np.testing.assert_array_equal(gone, [1, np.nan, np.nan, 2, 3, 4])
    with pytest.raises(ValueError, match=r"cannot align 5 values with chr1:100-112:\., 6 bins of 2 bp"):
        to_reference(alt[:5], VIEW, [Variant("chr1", 104, "A", "AT")], 2)


def test_the_tracks_that_differ_most_are_chosen():
    ref = np.ones((12, 3))
    alleles = {"REF": tracks(ref), "ALT": tracks(ref + np.array([0, -3, 1]))}
    (axes,) = plot([OverlaidTracks(alleles, top=1, legend_loc="", global_ylims=(0, 9))], VIEW).axes
    assert axes.get_ylabel() == "track 1:-"
    assert axes.get_ylim() == (0, 9)
    assert axes.get_legend() is None
    with pytest.raises(ValueError, match=r"a difference of REF: expected two alleles"):
        plot([Difference({"REF": tracks(ref)})], VIEW)


def test_maps_are_squares_or_triangles_and_their_difference_is_around_zero():
    values = np.add.outer(np.arange(4.0), np.arange(4.0))[..., None] / 8
    ref, alt = prediction(values), prediction(values + np.eye(4)[..., None])
    square, difference, triangle = plot(
        [
            ContactMaps(ref, track_height=2),
            ContactMapsDiff(alt, ref=ref, track_height=2),
            ContactMapsDiff(alt, ref=ref, track_height=2, square=False),
        ],
        VIEW,
    ).axes
    assert (square.collections[0].norm.vmin, square.collections[0].norm.vmax) == (-1, 2)
    np.testing.assert_allclose(square.collections[0].get_array(), values[..., 0])
    np.testing.assert_allclose(difference.collections[0].get_array(), np.eye(4))
    assert difference.collections[0].norm(0) == 0.5
    assert triangle.get_position().height == pytest.approx(square.get_position().height / 2)
    np.testing.assert_allclose(sorted(triangle.collections[0].get_array()), [0] * 6 + [1] * 4)
    assert len(square.child_axes) == 1
    maps = [as_signal(one).isel(track=0) for one in (ref, alt)]
    axes = draw_contact_difference(*maps, VIEW, square=True, limit=3.0)
    assert axes.collections[0].norm.vmax == 3
    with pytest.raises(ValueError, match=r"maps \(4, 4\) and \(2, 4\) are not of the same bins"):
        draw_contact_difference(maps[0], maps[1][:2].rename({"position_2": "offset"}), VIEW)


def test_junctions_of_each_strand_have_a_row_and_sum_up_to_ten():
    places = ((101, 105, "+"), (101, 109, "+"), (102, 104, "+"), (103, 110, "-"), (90, 108, "+"))
    introns = [types.SimpleNamespace(chromosome="chr1", start=a, end=b, strand=strand) for a, b, strand in places]
    data = types.SimpleNamespace(
        junctions=introns, values=np.array([[60.0], [39], [1], [7], [500]]), metadata=pd.DataFrame({"name": ["gut"]})
    )
    plus, minus = plot([Sashimi(data)], VIEW).axes
    assert (plus.get_ylabel(), minus.get_ylabel()) == ("gut (+)", "gut (-)")
    # 1 of 100 is less than 5 % of the largest; an intron that leaves the view is not shown.
    assert sorted(text.get_text() for text in plus.texts) == ["3.9", "6"]
    assert len([one for one in plus.patches if isinstance(one, PathPatch)]) == 2
    raw = Sashimi(data, normalize_values=False, interval_contained=False, filter_threshold=0, annotate_counts=False)
    assert len(plot([raw], VIEW).axes[0].patches) == 4
    assert not plot([raw], VIEW).axes[0].texts
    assert as_junctions(data).sizes == {"junction": 5, "track": 1}


def test_transcripts_have_thick_coding_parts(tmp_path):
    rows = [("chr1", 101, 104, "+", "exon", "G", "GENE", "T1"), ("chr1", 106, 110, "+", "exon", "G", "GENE", "T1")]
    columns = ["Chromosome", "Start", "End", "Strand", "Feature", "gene_id", "gene_name", "transcript_id"]
    annotation = Annotation(pd.DataFrame(rows, columns=columns))
    gtf = tmp_path / "genes.gtf"
    line = 'chr1\tx\t{}\t{}\t{}\t.\t+\t0\tgene_id "G"; transcript_id "T1";\n'
    gtf.write_text(
        "#!x\n" + line.format("exon", 102, 104) + line.format("CDS", 103, 104) + line.format("CDS", 900, 999)
    )
    coding = read_coding(gtf, VIEW)
    assert {name: parts.tolist() for name, parts in coding.items()} == {"T1": [[102, 104]]}
    foreign = types.SimpleNamespace(
        exons=[types.SimpleNamespace(chromosome="chr1", start=s, end=e) for s, e in ((101, 104), (106, 110))],
        cds=[types.SimpleNamespace(chromosome="chr1", start=102, end=104)], strand="+", info={"gene_name": "GENE"},
    )  # fmt: skip
    for component in (TranscriptAnnotation(annotation, coding=coding), TranscriptAnnotation([foreign, foreign])):
        axes = plot([component], VIEW).axes[0]
        boxes = {c.get_label(): [p.get_extents() for p in c.get_paths()] for c in axes.collections}
        assert [box.intervalx.tolist() for box in boxes["exons"]] == [[101.5, 104.5], [106.5, 110.5]]
        assert boxes["coding"][0].intervalx.tolist() == [102.5, 104.5]
        assert boxes["coding"][0].height > boxes["exons"][0].height
        assert [text.get_text() for text in axes.texts] == ["GENE →"]
    gtf.write_text(line.format("exon", 102, 104))
    with pytest.raises(InputError, match=r"genes.gtf has no rows of feature CDS"):
        read_coding(gtf)


def test_logos_and_mutations_are_rows():
    scores = np.random.default_rng(0).normal(size=(6, 4))
    place = types.SimpleNamespace(chromosome="chr1", start=102, end=108)
    variant = Variant("chr1", 104, "A", "AT")
    components = [SeqLogo(scores, place, ylabel="logo"), Mutations(scores, place, "ACGTAC", ylabel="ISM")]
    figure = plot([*components, AlleleLogos(scores, scores, place, variant)], VIEW)
    assert [axes.get_ylabel() for axes in figure.axes] == ["logo", "ISM", "REF", "ALT"]
    assert sum(len(one.get_paths()) for one in figure.axes[0].collections) == 24
    ordered = SeqLogo(scores[:, ::-1], place, alphabet="TGCA")
    for one, other in zip(figure.axes[0].collections, plot([ordered], VIEW).axes[0].collections, strict=True):
        np.testing.assert_allclose(one.get_paths()[0].vertices, other.get_paths()[0].vertices)
    with pytest.raises(InputError, match=r"alphabet 'ACGU': expected the letters ACGT"):
        plot([SeqLogo(scores, place, alphabet="ACGU")], VIEW)
    with pytest.raises(InputError, match=r"nothing to draw in chr1:10-20: scores cover chr1:103-108"):
        plot([SeqLogo(scores, place)], Interval("chr1", 9, 20))


def test_annotations_cross_all_rows_with_names_above_them():
    marks = [
        IntervalAnnotation([Interval("chr1", 90, 104, name="promoter"), Interval("chr2", 100, 104)], colors="red"),
        VariantAnnotation([Variant("chr1", 108, "A", "C")]),
    ]
    names, *rows = plot([Tracks(tracks(np.ones((12, 2))))], VIEW, annotations=marks).axes
    assert [text.get_text() for text in names.texts] == ["promoter", "chr1:108:A>C"]
    for axes in rows:
        assert marked(axes, "annotation") == [[100.5, 104.5], [107.5, 108.5]]
    assert not marked(names, "annotation")
    silent = IntervalAnnotation([Interval("chr1", 101, 104, name="x")], use_default_labels=False)
    assert len(plot([Tracks(tracks(np.ones((12, 2))))], VIEW, annotations=[silent]).axes) == 2
    with pytest.raises(ValueError, match=r"2 labels for 1 annotations; give one each"):
        plot([EmptyComponent()], VIEW, annotations=[dataclasses.replace(silent, labels=["a", "b"])])


def test_unusable_input_is_refused():
    ones = np.ones((12, 2))
    with pytest.raises(InputError, match=r"no components to plot; give at least one"):
        plot([], VIEW)
    with pytest.raises(InputError, match=r"interval chr1:100-100:\. is empty"):
        plot([EmptyComponent()], Interval("chr1", 100, 100))
    for elsewhere in (Interval("chr1", 200, 210), Interval("chr2", 100, 110)):
        with pytest.raises(InputError, match=r"nothing to draw in chr.*: the data cover chr1:101-112; choose"):
            plot([Tracks(tracks(ones))], elsewhere)
    with pytest.raises(InputError, match=r"51 tracks are more than the 50 .*choose some by isel.*top=10"):
        plot([Tracks(tracks(np.ones((12, 51))))], VIEW)
    with pytest.raises(InputError, match=r"label '\{tissue\}' cannot be filled in.*the tracks have name, strand"):
        plot([Tracks(tracks(ones), ylabel_template="{tissue}")], VIEW)
    with pytest.raises(InputError, match=r"do not say which interval they cover"):
        as_signal(tracks(ones, interval=None))
    with pytest.raises(InputError, match=r"12 bins of 2 bp do not cover chr1:100-112"):
        as_signal(tracks(ones, resolution=2))
    with pytest.raises(InputError, match=r"cannot draw a list; give an xarray"):
        as_signal([1, 2])
    with pytest.raises(InputError, match=r"found other in the data; expected prediction or signal"):
        as_signal(prediction(ones, name="other"))
    with pytest.raises(InputError, match=r"cannot draw junctions of a TrackData"):
        as_junctions(tracks(ones))
    with pytest.raises(ValueError, match=r"REF has .*; choose one track of signal by isel"):
        draw_overlay({"REF": tracks(ones)}, VIEW)
    with pytest.raises(InputError, match=r"maps have dimensions \('position', 'track'\)"):
        plot([ContactMaps(tracks(ones))], VIEW)
