"""Which workers get shards, and what a run on many comes to: cases worked out by hand, and sums that hold."""

import json
import math

import numpy as np
import pytest
from ag_core.errors import InputError
from ag_scorers.cluster.placement import ATTEMPTS, FAILURES, Placement
from ag_scorers.cluster.simulation import Failures, Times, main, read_times, simulate
from ag_scorers.cluster.worker import Fault

OFTEN = Failures(mtbf=300.0, silent=0.5, timeout=100.0, restart=60.0)
UNEVEN = Times(variant=0.1, shard=2.0, spread=0.3, slow=0.1, slowdown=3.0, start=30.0, keep=0.05)


def fault(worker, lasting=False):
    return Fault(worker, "host", "no space left", lasting)


def placement(*live):
    made = Placement("what is done is kept")
    made.live = set(live)
    return made


def test_rounds_of_equal_shards_take_what_one_can_count():
    # 10 shards on 3 workers are 3 rounds of 3 s and the last shard, which has 5 variants instead of 10.
    run = simulate(95, 10, 3, Times(variant=0.2, shard=1.0, start=7.0))
    assert run.makespan == pytest.approx(7 + 3 * 3 + 2)
    np.testing.assert_allclose(run.spans, [3.0] * 9 + [2.0])
    assert (run.done, run.losses, run.copies, run.lost, run.twice) == (10, 0, 0, 0, 0)
    assert run.efficiency == pytest.approx(29 / (3 * 18))


def test_the_process_that_keeps_shards_is_a_queue_of_one():
    # 8 workers bring 8 shards at once, each second; each takes half a second to keep.
    run = simulate(80, 1, 8, Times(variant=1.0, keep=0.4, keep_variant=0.1))
    assert run.makespan == pytest.approx(1 + 80 * 0.5)


def test_a_slow_worker_is_overtaken_by_a_copy():
    # Of two workers one takes 10 s for a shard, the other 1 s: it does the other three, waits until the slow one has
    # been at it for 3 s (SLOW * AHEAD - 1 medians), and is done a second later.
    times = Times(variant=1.0, slow=0.5, slowdown=10.0)
    run = simulate(4, 1, 2, times)
    assert run.makespan == pytest.approx(4, abs=1e-3)
    assert run.copies == 1
    assert run.twice == pytest.approx(4, abs=1e-3)  # of the slow one, in vain
    assert simulate(4, 1, 2, times, copy=False).makespan == 10


def test_a_loss_costs_what_was_done_and_is_handed_out_again():
    # Each worker lasts 10 s on average, a shard takes 1 s: about a tenth of the attempts fail.
    run = simulate(4000, 1, 4, Times(variant=1.0), Failures(mtbf=10.0, silent=0.0, restart=0.0), copy=False)
    attempts = 4000 + run.losses
    chance = 1 - math.exp(-0.1)
    assert abs(run.losses - chance * attempts) < 5 * math.sqrt(attempts * chance)
    assert run.lost == pytest.approx(run.losses * 0.49, rel=0.1)  # a little less than half of the shard
    assert run.makespan == pytest.approx((4000 + run.lost) / 4, rel=0.002)


def test_a_silent_loss_is_seen_when_the_time_is_over():
    # One worker, so nobody copies: each loss keeps its shard away for the timeout.
    failures = Failures(mtbf=50.0, silent=1.0, timeout=1000.0, restart=5.0)
    run = simulate(60, 1, 1, Times(variant=1.0), failures)
    assert run.losses > 0
    last = simulate(1, 1, 1, Times(variant=1.0), Failures(mtbf=0.5, silent=1.0, timeout=1000.0), seed=3)
    assert last.losses > 0
    assert last.makespan == pytest.approx(1 + last.lost + 1000 * last.losses)


@pytest.mark.parametrize("seed", range(5))
def test_every_shard_is_kept_once_and_no_time_comes_from_nowhere(seed):
    run = simulate(20_000, 256, 20, UNEVEN, OFTEN, seed=seed)
    assert run.done == math.ceil(20_000 / 256) == np.isfinite(run.spans).sum()
    assert run.useful == pytest.approx(run.spans.sum())
    assert run.losses > 0
    starts = 20 * UNEVEN.start
    assert run.useful + run.lost + run.twice + starts <= 20 * run.makespan * (1 + 1e-9)
    assert run.makespan >= max(run.useful / 20, run.done * UNEVEN.keep)
    assert 0 < run.tail < run.makespan


def test_without_trouble_nearly_all_time_is_of_use():
    assert simulate(200_000, 256, 10, Times(variant=1.0)).efficiency > 0.98


def test_equal_seeds_are_equal_runs():
    def outcome(seed):
        run = simulate(5000, 64, 7, UNEVEN, OFTEN, seed=seed)
        return run.makespan, run.lost, run.losses, run.copies

    assert outcome(1) == outcome(1) != outcome(2)


def test_copies_shorten_the_tail_and_losses_lengthen_the_run():
    def mean(failures, copy):
        return np.mean(
            [simulate(20_000, 256, 20, UNEVEN, failures, copy=copy, seed=seed).makespan for seed in range(5)]
        )

    assert mean(Failures(), True) < mean(Failures(), False)
    assert mean(Failures(), True) < mean(OFTEN, True)


def test_measured_times_are_those_of_the_manifests(tmp_path, capsys):
    for number, (calls, seconds) in enumerate([(100, 90.0), (100, 10.0), (100, 20.0), (50, 15.0)]):
        (tmp_path / f"{number:05d}.json").write_text(json.dumps({"calls": calls, "seconds": seconds}))
    assert read_times(tmp_path)[0] == pytest.approx(0.375)
    each, ratios = read_times(tmp_path, skip=1)  # the first one compiled
    assert each == pytest.approx(0.2)
    np.testing.assert_allclose(ratios, [0.5, 1.0, 1.5])
    run = simulate(1000, 10, 3, Times(variant=each, measured=ratios))
    assert set(np.round(run.spans, 9)) == {1.0, 2.0, 3.0}
    main(["--variants", "1000", "--workers", "3", "--sizes", "10", "--mtbf-hours", "inf", "--shards", str(tmp_path)])
    assert "1,000 variants, 3 workers, 0.2 s a variant" in capsys.readouterr().out
    with pytest.raises(ValueError, match="has no manifests"):
        read_times(tmp_path / "nothing")
    with pytest.raises(ValueError, match="expected at least 1 of each"):
        simulate(0, 1, 1)


def test_a_shard_goes_where_it_has_not_failed_yet():
    desk = placement("a", "b")
    assert desk.allowed(0) is None
    assert "shard 0 goes to another worker" in desk.blame(0, fault("a"))
    assert desk.allowed(0) == ["b"]
    assert desk.allowed(1) is None
    desk.blame(0, fault("b"))
    assert desk.allowed(0) == ["a", "b"]  # everywhere: again, then
    desk.live = set()
    assert desk.allowed(0) is None  # nobody is there: whoever comes


def test_a_worker_is_left_out_after_failures_in_a_row_and_comes_back_when_it_succeeds():
    desk = placement("a", "b")
    for number in range(FAILURES - 1):
        desk.blame(number, fault("a"))
    desk.praise("a")
    for number in range(FAILURES - 1):
        assert "left out" not in desk.blame(10 + number, fault("a"))
    assert "left out after 3 failures" in desk.blame(20, fault("a"))
    assert desk.usable() == {"b"}
    assert desk.allowed(99) == ["b"]
    desk.praise("a")
    assert desk.usable() == {"a", "b"}


def test_what_lasts_ends_it_at_once_and_says_whose_fault_it_is():
    desk = placement("a")
    assert "a worker is left out: worker a on host" in desk.blame(0, fault("a", lasting=True))
    with pytest.raises(InputError, match="no worker is left that can score: worker a on host: no space left; what"):
        desk.allowed(0)
    desk.live = {"a", "b"}
    assert desk.allowed(0) == ["b"]
    for number in range(FAILURES):
        desk.blame(number, fault("b"))
    with pytest.raises(RuntimeError, match="no worker is left"):
        desk.allowed(5)
    desk.live = set()
    assert desk.allowed(5) is None  # those that come may be others


def test_a_shard_that_fails_on_all_workers_ends_the_run():
    desk = placement(*"abcdefgh")
    for worker in "abcdefgh"[: ATTEMPTS - 1]:
        desk.blame(7, fault(worker))
    with pytest.raises(RuntimeError, match=f"shard 7 has failed {ATTEMPTS} times"):
        desk.blame(7, fault("h"))
