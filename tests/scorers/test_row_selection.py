import dataclasses

import numpy as np
import pytest
from ag_core.errors import InputError
from ag_core.schema import track_table
from ag_data.variants import Call
from ag_scorers.center_mask import CenterMaskScorer
from ag_scorers.results import Result, ScorerResult
from ag_scorers.row_selection import RowSelection, TrackFilter
from ag_scorers.tidy import Tidy
from hypothesis import given, settings
from hypothesis import strategies as st

NAN = np.nan
TISSUES = ("liver", "lung", "liver", "brain")
TRACKS = track_table({"name": list("abcd"), "strand": ["+", "-", ".", "."], "tissue": TISSUES})
PLAIN = track_table({"name": ["x"], "strand": ["."]})
CALL = Call(0, 0, "chr1", 10, "A", "C")


def scores(values, tracks=TRACKS, key="ATAC", **more):
    values = np.array(values, np.float32).reshape(-1, tracks.sizes["track"])
    return ScorerResult(key, CenterMaskScorer("atac"), values, {}, tracks, **more)


TEMPLATES = [scores([]), scores([], PLAIN, "X")]


def rows(part, **options):
    templates = [dataclasses.replace(part, values=part.values[:0], quantiles=None, tails=None, ref=None)]
    table = Tidy(templates, ("quantile",), RowSelection(templates, **options)).table([Result(CALL, (part,))])
    return [(row["track"], row.get("track_set"), row["score"]) for row in table.to_pylist()]


def test_top():
    part = scores([1, -3, NAN, 2])
    assert rows(part, top=2) == [("b", None, -3), ("d", None, 2)]
    assert rows(part, top=4) == [("a", None, 1), ("b", None, -3), ("d", None, 2)]
    # By quantile first; the one without a quantile comes last, one without a score never.
    calibrated = dataclasses.replace(part, quantiles=np.array([[-0.9, 0.1, 1, NAN]], np.float32))
    assert rows(calibrated, top=1) == [("a", None, 1)]
    assert rows(calibrated, top=2) == [("a", None, 1), ("b", None, -3)]
    # Saturated quantiles: the tail says which is farther out.
    tied = dataclasses.replace(part, quantiles=np.array([[1, -1, NAN, 1]], np.float32))
    assert rows(tied, top=1) == [("b", None, -3)]
    tailed = dataclasses.replace(tied, tails=np.array([[3, 4, NAN, 6]], np.float32))
    assert rows(tailed, top=1) == [("d", None, 2)]


def test_sets():
    sets = {"liver": "liver", "not liver": "!liver", "minus": "strand=-"}
    part = scores([[1, -3, -2, 2], [NAN, NAN, 5, NAN], [NAN] * 4])
    expected = [("c", "liver", -2), ("b", "not liver", -3), ("b", "minus", -3), ("c", "liver", 5)]
    assert rows(part, track_sets=sets) == expected
    # The allele keeps a row when no set has a number.
    assert rows(scores([NAN, 1, NAN, 1]), track_sets={"liver": "liver"}) == [(None, None, None)]


def test_filter():
    cut = TrackFilter(TEMPLATES, "liver")
    assert [(one.key, one.tracks["name"].values.tolist()) for one in cut.templates] == [("ATAC", ["a", "c"])]
    more = {"quantiles": np.array([[0.1, 0.2, 0.3, 0.4]], np.float32)}
    (left,) = cut(Result(CALL, (scores([1, 2, 3, 4], **more), scores([5], PLAIN, "X")))).scores
    assert left.values.tolist() == [[1, 3]]
    np.testing.assert_array_equal(left.quantiles, np.float32([[0.1, 0.3]]))
    assert left.ref is None
    assert left.tracks is cut.templates[0].tracks


def test_refusals():
    with pytest.raises(InputError, match="top must be at least 1, got 0"):
        RowSelection(TEMPLATES, top=0)
    with pytest.raises(InputError, match="give one of them"):
        RowSelection(TEMPLATES, top=1, track_sets={"a": "liver"})
    with pytest.raises(InputError, match="track set 'k': no track that was scored fits 'kidney'"):
        RowSelection(TEMPLATES, track_sets={"l": "liver", "k": "kidney"})
    with pytest.raises(InputError, match="track set 'k': unknown field 'organ' in the track query"):
        RowSelection(TEMPLATES, track_sets={"k": "organ=kidney"})
    with pytest.raises(InputError, match="no track that was scored fits 'kidney', so there is nothing to write"):
        TrackFilter(TEMPLATES, "kidney")
    # A field that one table lacks is empty there, not unknown.
    assert TrackFilter(TEMPLATES, "tissue!=liver").templates[1].key == "X"


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**31), st.integers(1, 5), st.booleans(), st.booleans())
def test_as_sorting_does(seed, top, calibrated, tailed):
    """Against plain sorting, with many ties and gaps; `top=1` is the set of all tracks."""
    random = np.random.default_rng(seed)
    arrays = random.integers(-2, 3, (3, 3, 4)).astype(np.float32)
    arrays[random.random(arrays.shape) < 0.2] = NAN
    values, quantiles, tails = arrays
    part = scores(values, quantiles=quantiles if calibrated else None, tails=tails if calibrated and tailed else None)
    keys = [array for array in (part.quantiles, part.tails, values) if array is not None]

    def size(item, track):
        return [-1 if np.isnan(key[item, track]) else abs(key[item, track]) for key in keys]

    expected = []
    for item in range(3):
        numbers = [track for track in range(4) if not np.isnan(values[item, track])]
        best = sorted(numbers, key=lambda track: size(item, track), reverse=True)[:top]
        expected += [(item, track) for track in sorted(best)]
    selection = RowSelection(TEMPLATES, top=top)
    item, track, _ = selection.pick(part, np.ones(values.shape, bool))
    assert list(zip(item.tolist(), track.tolist(), strict=True)) == expected
    if top == 1:
        item, track, _ = RowSelection(TEMPLATES, track_sets={"all": ""}).pick(part, np.ones(values.shape, bool))
        assert list(zip(item.tolist(), track.tolist(), strict=True)) == expected
