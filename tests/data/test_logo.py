"""Letters as tall as scores, heat maps of substitutions, and two alleles' logos base under base."""

import numpy as np
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_data.plot import draw_allele_logos, draw_logo, draw_mutations
from matplotlib.figure import Figure

PLACE = Interval("chr1", 100, 104)


def letters(axes):
    """Base -> (x0, x1, y0, y1) of each of its letters, rounded."""
    return {
        one.get_label(): [
            tuple(np.round([*path.get_extents().intervalx, *path.get_extents().intervaly], 6).tolist())
            for path in one.get_paths()
        ]
        for one in axes.collections
    }


def one_hot(text):
    return np.array([[float(base == letter) for base in "ACGT"] for letter in text])


def test_letters_are_stacked_by_size_and_negative_ones_hang_upright():
    scores = np.zeros((4, 4))
    scores[1] = [1, 3, -0.5, -2]
    axes = draw_logo(scores, PLACE)
    found = letters(axes)
    spans = {base: boxes[0][2:] for base, boxes in found.items()}
    assert spans == {"A": (0, 1), "C": (1, 4), "G": (-0.5, 0), "T": (-2.5, -0.5)}
    assert [len(boxes) for boxes in found.values()] == [1, 1, 1, 1]
    x0, x1 = found["A"][0][:2]
    # The base at 0-based 101 is centred on its 1-based position.
    assert (x0 + x1) / 2 == pytest.approx(102)
    assert 0.9 < x1 - x0 < 1
    assert axes.get_xlim() == (100.5, 104.5)
    assert axes.get_ylim()[0] < -2.5
    assert axes.get_ylim()[1] > 4


def middle_of_t(axes):
    """Where the bar of T lies within its box, from 0 at the bottom to 1."""
    (path,) = next(one for one in axes.collections if one.get_label() == "T").get_paths()
    low, high = path.get_extents().intervaly
    wide = np.ptp(path.vertices[:, 0])
    at_the_sides = path.vertices[np.abs(path.vertices[:, 0] - path.vertices[:, 0].mean()) > 0.4 * wide]
    return (at_the_sides[:, 1].mean() - low) / (high - low)


@pytest.mark.parametrize(("sign", "flip", "up"), [(1, False, True), (-1, False, True), (-1, True, False)])
def test_only_flip_turns_letters_upside_down(sign, flip, up):
    axes = draw_logo(sign * one_hot("T"), Interval("chr1", 0, 1), flip=flip)
    assert (middle_of_t(axes) > 0.5) == up


def test_a_view_shows_a_part_and_nothing_is_drawn_for_zero_and_nan():
    scores = one_hot("ACGT")
    scores[2, 2] = np.nan
    axes = draw_logo(scores, PLACE, view=Interval("chr1", 101, 104))
    assert {base: len(boxes) for base, boxes in letters(axes).items()} == {"A": 0, "C": 1, "G": 0, "T": 1}
    assert axes.get_xlim() == (101.5, 104.5)
    own = Figure().add_subplot()
    assert draw_logo(scores, PLACE, own) is own


def test_long_stretches_are_refused_as_letters_and_drawn_as_bars():
    long, scores = Interval("chr1", 0, 1200), np.tile([2.0, 1, -1, -3], (1200, 1))
    with pytest.raises(
        InputError, match=r"1,200 bp are too wide for letters.*up to 1,000 bp; choose a view, or style="
    ):
        draw_logo(scores, long)
    plus, minus = (patch.get_data() for patch in draw_logo(scores, long, style="bars").patches)
    np.testing.assert_array_equal(plus.values, np.full(1200, 3.0))
    np.testing.assert_array_equal(minus.values, np.full(1200, -4.0))


def test_mutations_are_blue_and_red_around_zero_with_the_reference_marked():
    effects = np.array([[np.nan, 1, -2, 0.5], [0.1, 0.2, np.nan, 0.3], [1, 1, 1, 1], [0, np.nan, np.nan, 0]])
    axes = draw_mutations(effects, PLACE)
    mesh = axes.collections[0]
    assert (mesh.norm.vmin, mesh.norm(0), mesh.norm.vmax) == (-2, 0.5, 2)
    assert mesh.get_array().shape == (4, 4)
    assert mesh.get_array()[2, 0] == -2
    assert mesh.get_array()[0, 0] == 0
    dots = axes.get_lines()[0].get_xydata().tolist()
    assert dots == [[101, 0], [102, 2]]
    assert mesh.get_array().mask.sum() == 2  # several unknown ones are no reference
    assert [label.get_text() for label in axes.get_yticklabels()] == list("ACGT")
    named = draw_mutations(np.nan_to_num(effects), PLACE, reference="TtNA").get_lines()[0].get_xydata().tolist()
    assert named == [[101, 3], [102, 3], [104, 0]]


def test_a_deletion_is_a_gap_in_the_alternate_logo():
    interval = Interval("chr1", 100, 108)
    # ALT lacks 102 and 103, so two more bases follow at its end.
    ref, alt = draw_allele_logos(one_hot("ACGTACGT"), one_hot("ACACGTCC"), interval, Variant("chr1", 102, "CGT", "C"))
    assert ref.get_ylim() == alt.get_ylim()
    assert ref.get_xlim() == alt.get_xlim() == (100.5, 108.5)
    centers = sorted(round((x0 + x1) / 2) for boxes in letters(alt).values() for x0, x1, *_ in boxes)
    assert centers == [101, 102, 105, 106, 107, 108]
    for base in "ACGT":
        same = [box for box in letters(ref)[base] if not 102.5 < box[0] < 104.5]
        assert same == letters(alt)[base]
    (gap,) = [patch for patch in alt.patches if patch.get_label() == "deleted"]
    assert gap.get_extents().transformed(alt.transData.inverted()).intervalx == pytest.approx([102.5, 104.5])


def test_an_insertion_opens_a_gap_in_the_reference_logo_or_shares_the_room_of_its_anchor():
    interval, variant = Interval("chr1", 100, 104), Variant("chr1", 102, "C", "CTT")
    scores = one_hot("ACGT"), one_hot("ACTT")  # GT of REF is pushed out of ALT
    ref, alt = draw_allele_logos(*scores, interval, variant)
    assert [round(box[0]) for box in letters(ref)["G"]] == [105]
    assert [round(box[0]) for box in letters(alt)["T"]] == [103, 104]
    assert ref.get_xlim() == (100.5, 106.5)
    label = ref.xaxis.get_major_formatter()
    assert [label(x) for x in (101, 102, 103, 104, 105)] == ["101", "102", "", "", "103"]

    ref, alt = draw_allele_logos(*scores, interval, variant, spread=False)
    assert [round(box[0]) for box in letters(ref)["G"]] == [103]
    edges = [box[0] for base in "CT" for box in letters(alt)[base]]
    np.testing.assert_allclose(edges, 101.5 + np.arange(3) / 3 + 0.01, atol=1e-4)
    assert any(patch.get_label() == "inserted" for patch in alt.patches)


def test_unusable_input_is_refused():
    with pytest.raises(ValueError, match=r"scores have shape \(3, 4\); expected \(4, 4\)"):
        draw_logo(np.zeros((3, 4)), PLACE)
    with pytest.raises(InputError, match=r"view chr1:0-10:\. is not within the scored interval"):
        draw_logo(np.zeros((4, 4)), PLACE, view=Interval("chr1", 0, 10))
    with pytest.raises(InputError, match=r"view chr1:101-101:\. is not within"):
        draw_mutations(np.zeros((4, 4)), PLACE, view=Interval("chr1", 101, 101))
    with pytest.raises(InputError, match=r"style 'lines': expected one of letters, bars"):
        draw_logo(np.zeros((4, 4)), PLACE, style="lines")
    with pytest.raises(ValueError, match=r"reference has 2 bases; chr1:100-104:\. has 4"):
        draw_mutations(np.zeros((4, 4)), PLACE, reference="AC")
