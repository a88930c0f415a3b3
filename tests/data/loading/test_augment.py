"""Random shifts, strands and mutations: their rates, and that they depend on seed and index alone."""

import numpy as np
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_data.augment import Augment
from ag_data.mutate import Event, Mutations, apply_events, mutate
from hypothesis import given
from hypothesis import strategies as st

WINDOW = Interval("chr1", 5000, 7048)


def codes_of(text):
    return np.array(["ACGTN".index(letter) for letter in text], np.uint8)


def test_shifts_and_strands_are_uniform():
    drawn = [Augment().vary(WINDOW, 3, index) for index in range(4000)]
    shifts = np.array([window.start - WINDOW.start for window in drawn])
    assert {window.width for window in drawn} == {WINDOW.width}
    assert (shifts.min(), shifts.max()) >= (-1024, 1000)
    assert -1024 <= shifts.min() < -1015
    assert 1015 < shifts.max() <= 1024
    # Standard errors: of the mean 592 / 63 = 9.4, of the share 0.008.
    assert abs(shifts.mean()) < 40
    reverse = np.array([window.negative_strand for window in drawn])
    assert abs(reverse.mean() - 0.5) < 0.035
    assert abs(np.corrcoef(shifts, reverse)[0, 1]) < 0.07
    assert {window.strand for window in drawn} == {"+", "-"}


def test_draws_depend_on_seed_and_index_alone():
    forwards = [Augment().vary(WINDOW, 1, index) for index in range(20)]
    assert [Augment().vary(WINDOW, 1, index) for index in reversed(range(20))] == forwards[::-1]
    assert [Augment().vary(WINDOW, 2, index) for index in range(20)] != forwards
    # The shift does not depend on how often windows are reversed.
    still = [Augment(reverse=0).vary(WINDOW, 1, index) for index in range(20)]
    assert [window.start for window in still] == [window.start for window in forwards]


@given(st.integers(0, 2**32), st.integers(0, 300), st.integers(0, 40), st.floats(0, 1), st.floats(0, 1e5))
def test_mutated_sequences_keep_their_length(seed, length, spare, share, events):
    codes = np.random.default_rng(seed).integers(0, 5, length + spare, np.uint8)
    before = codes.copy()
    changed = mutate(codes, np.random.default_rng(seed), Mutations(share, events), length)
    assert changed.shape == (length,)
    assert changed.dtype == np.uint8
    assert changed.max(initial=0) <= 4
    np.testing.assert_array_equal(codes, before)
    np.testing.assert_array_equal(changed, mutate(codes, np.random.default_rng(seed), Mutations(share, events), length))


def test_four_percent_become_one_of_the_three_others():
    codes = np.tile(codes_of("ACGTN"), 40_000)
    changed = mutate(codes, np.random.default_rng(0), Mutations(events=0))
    assert (changed[codes == 4] == 4).all()
    # Standard error of the share: sqrt(0.04 * 0.96 / 160,000) = 0.0005.
    assert abs((changed != codes).sum() / 160_000 - 0.04) < 0.0025
    for base in range(4):
        new = changed[(codes == base) & (changed != codes)]
        counts = np.bincount(new, minlength=5)
        assert counts[base] == counts[4] == 0
        # 533 each; six standard deviations are 113.
        assert (np.abs(np.delete(counts[:4], base) - 533) < 113).all()


def one_event(seed):
    """What one event does to a marked sequence: (kind, size), judged by the result alone."""
    codes = np.random.default_rng(99).integers(0, 4, 1200, np.uint8)
    draws = np.random.default_rng(seed)
    changed = mutate(codes, draws, Mutations(share=0, events=1000), 1000)
    differ = np.flatnonzero(changed != codes[:1000])
    if not len(differ):
        return None
    first, last = differ[0], differ[-1] + 1
    if (changed[last:] == codes[last:1000]).all() and last < 950:
        return "inversion", last - first
    for size in range(1, 21):
        if (changed[900 - size :] == codes[900 : 1000 + size]).all():
            return "deletion", size
        if (changed[900:] == codes[900 - size : 1000 - size]).all():
            return "insertion", size
    return "several", 0


def test_events_are_of_three_kinds_and_up_to_20_bp():
    # One event in 1,000 bp on average. Poisson: none in 37 % of cases, one in 37 %.
    found = [one_event(seed) for seed in range(600)]
    assert abs(found.count(None) / 600 - 0.37) < 0.12
    sizes = {kind: [size for x in found if x and x[0] == kind for size in x[1:]] for kind in ("deletion", "insertion")}
    for kind, values in sizes.items():
        assert len(values) > 60, kind
        assert min(values) >= 1
        assert max(values) == 20
        assert 8.5 < np.mean(values) < 12.5
    assert sum(bool(x) and x[0] == "inversion" for x in found) > 60


def test_events_worked_out_by_hand():
    kinds = [(2, "deletion", 3, ""), (3, "insertion", 2, "TT"), (7, "inversion", 4, "")]
    events = [Event(start, kind, size, codes_of(bases)) for start, kind, size, bases in kinds]
    # AA [CCG deleted] [TT inserted after it] GT [TACG inverted: CGTA] T; one base short of the 12 asked for: N.
    changed = apply_events(codes_of("AACCGGTTACGT"), events, 12)
    assert "".join("ACGTN"[code] for code in changed) == "AATTGTCGTATN"
    # What lies beyond the window is pulled in.
    assert len(apply_events(codes_of("AACCGGTTACGTACGT"), events, 12)) == 12
    assert apply_events(codes_of("AACCGGTTACGTA"), events, 12)[-1] == 0


@pytest.mark.parametrize("wrong", [{"share": 1.5}, {"events": -1}, {"longest": 0}])
def test_settings_are_checked(wrong):
    with pytest.raises(InputError, match="expected a share from 0 to 1"):
        Mutations(**wrong)
    with pytest.raises(InputError, match="a probability from 0 to 1"):
        Augment(reverse=2)
