"""Folds, blacklists and samplers: who may see what, and in which order."""

import gzip

import numpy as np
import pandas as pd
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_data.annotation import Annotation
from ag_data.blacklist import Blacklist, read_blacklist
from ag_data.draws import BLOCK, Turns
from ag_data.folds import (
    FOLDS,
    VERSIONS,
    drop_overlaps,
    find_leaks,
    hold_out,
    read_folds,
    split_blocks,
    split_folds,
    split_labels,
)
from ag_data.regions import Regions, read_peaks, read_regions, regions_table, resize_windows, tile
from ag_data.sampling import Anywhere, ByGene, ByPeak, Mix, Tiled, Uniform
from hypothesis import given, settings
from hypothesis import strategies as st

place = st.tuples(st.sampled_from(["chr1", "1", "chr2"]), st.integers(0, 60), st.integers(1, 30)).map(
    lambda x: (x[0], x[1], x[1] + x[2], "")
)
places = st.lists(place, min_size=1, max_size=12)


def table(*rows):
    return regions_table((name, start, end, "") for name, start, end in rows)


def bases(regions):
    return {(name.removeprefix("chr"), x) for name, start, end, _ in regions for x in range(start, end)}


def rows_of(regions):
    return list(regions[["Chromosome", "Start", "End"]].itertuples(index=False, name=None))


@given(places, places)
def test_regions_are_sets_of_bases(own, other):
    regions, windows = Regions(regions_table(own)), regions_table(other)
    known = bases(own)
    assert regions.size == len(known)
    inside = [bases([row]) & known for row in other]
    np.testing.assert_array_equal(regions.count(windows), [len(each) for each in inside])
    np.testing.assert_array_equal(regions.overlap(windows), [bool(each) for each in inside])
    whole = [bases([(name, max(start - 2, 0), end + 2, "")]) for name, start, end, _ in other]
    wide = [start >= 2 and each <= known for (_, start, _, _), each in zip(other, whole, strict=True)]
    np.testing.assert_array_equal(regions.contain(windows, 2), wide)
    for name, start, end, _ in other:
        mask = regions.mask(Interval(name, start - 5, end))
        assert [(name.removeprefix("chr"), x) in known for x in range(start - 5, end)] == mask.tolist()
    lengths = {"chr1": 70, "chr2": 50}
    rest = bases(regions.rest(lengths).itertuples(index=False))
    assert rest == {(name[3:], x) for name, length in lengths.items() for x in range(length)} - known


@given(st.integers(-50, 50), st.integers(1, 40), st.integers(1, 40))
def test_windows_are_resized_as_intervals_are(start, width, length):
    row = resize_windows(table(("chr1", start, start + width)), length).iloc[0]
    resized = Interval("chr1", start, start + width).resize(length)
    assert (row["Start"], row["End"]) == (resized.start, resized.end)


@given(places, places, st.integers(0, 4))
def test_nothing_leaks_from_what_is_left(train, held_out, margin):
    train, held_out = regions_table(train), regions_table(held_out)
    leaks = find_leaks(train, held_out, margin)
    wide = [bases([(n, s - margin, e + margin, "")]) for n, s, e, _ in train.itertuples(index=False)]
    shared = [len(a & bases([b])) for a in wide for b in held_out.itertuples(index=False)]
    assert sorted(leaks["Bases"]) == sorted(count for count in shared if count)
    kept = drop_overlaps(train, held_out, margin)
    assert not len(find_leaks(kept, held_out, margin))
    assert len(kept) + len(leaks.drop_duplicates(["Chromosome", "Start", "End"])) >= len(train.drop_duplicates())


@pytest.fixture
def folds(tmp_path):
    """Eight neighbouring folds of three windows each, 100 bp long and 100 bp apart."""
    rows = [f"chr1\t{i * 100}\t{(i + 1) * 100}\tfold{i // 3}\n" for i in range(24)]
    path = tmp_path / "sequences.bed.gz"
    path.write_bytes(gzip.compress("".join(rows).encode()))
    return read_folds(path)


@pytest.mark.parametrize("version", VERSIONS)
def test_versions_are_those_of_the_specification(folds, version):
    split = split_folds(folds, version, margin=0)
    valid, test = {"FOLD_0": "01", "FOLD_1": "34", "FOLD_2": "25", "FOLD_3": "67", "ALL_FOLDS": "01"}[version]
    assert set(split["valid"]["Label"]) == {f"fold{valid}"}
    assert set(split["test"]["Label"]) == {f"fold{test}"}
    held = set() if version == "ALL_FOLDS" else {f"fold{valid}", f"fold{test}"}
    assert set(split["train"]["Label"]) == set(FOLDS) - held
    assert len(split["train"]) == 24 - 3 * len(held)


def test_wider_windows_do_not_reach_across_folds(folds):
    # Windows of 200 bp reach 50 bp into both neighbours: those at a border to a held-out fold have to go.
    split = split_folds(folds, "fold_1", length=200, margin=0)
    assert rows_of(split["train"].iloc[[0]]) == [("chr1", -50, 150)]
    # Folds 3 and 4 are windows 9 to 14; their neighbours are 8 and 15.
    assert len(split["train"]) == 18 - 2
    assert len(split["valid"]) == len(split["test"]) == 3
    # With a shift of 51 bp, a window that reaches 50 bp would come within 100 + 51 > 150 bp.
    assert len(split_folds(folds, "FOLD_1", length=200, margin=51)["train"]) == 18 - 4
    other = split_folds(folds, "FOLD_1", length=200, margin=0, drop="held_out")
    assert (len(other["train"]), len(other["valid"]), len(other["test"])) == (18, 2, 2)
    leaky = split_folds(folds, "FOLD_1", length=200, drop=None)
    leaks = find_leaks(leaky["train"], pd.concat([leaky["valid"], leaky["test"]]))
    assert rows_of(leaks) == [("chr1", 750, 950), ("chr1", 1450, 1650)]
    assert leaks["Bases"].tolist() == [100, 100]


def test_blocks_keep_their_set():
    lengths = {"chr1": 240_000_000, "chr2": 100_000_001}
    split = split_blocks(lengths, block=1_000_000, seed=3)
    sizes = {name: Regions(part).size for name, part in split.items()}
    assert sum(sizes.values()) == sum(lengths.values())
    assert all(not Regions(split[a]).overlap(split[b]).any() for a, b in [("train", "valid"), ("valid", "test")])
    # 341 blocks: the standard deviation of a share of 0.1 is 0.016.
    assert abs(sizes["valid"] / sum(sizes.values()) - 0.1) < 0.05
    alone = split_blocks({"2": lengths["chr2"]}, block=1_000_000, seed=3)
    on_chr2 = split["test"].loc[split["test"]["Chromosome"] == "chr2", ["Start", "End"]]
    assert alone["test"][["Start", "End"]].values.tolist() == on_chr2.values.tolist()
    assert split_blocks(lengths, block=1_000_000, seed=4)["test"].shape != split["test"].shape


def test_places_are_held_out():
    lengths = {"chr20": 1000, "chr22": 500}
    split = hold_out(lengths, test=["22", "chr20:401-600"], valid=[Interval("chr20", 0, 100)])
    assert rows_of(split["test"]) == [("chr22", 0, 500), ("chr20", 400, 600)]
    assert rows_of(split["train"]) == [("chr20", 100, 400), ("chr20", 600, 1000)]
    with pytest.raises(InputError, match="validation and for test overlap"):
        hold_out(lengths, test=["chr20:401-600"], valid=["chr20"])
    with pytest.raises(InputError, match="chr20 has 1,000 bp"):
        hold_out(lengths, test=["chr20:401-1,001"])
    with pytest.raises(InputError, match="or a chromosome: chr20"):
        hold_out(lengths, test=["chr21"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\t5\t5\n", "line 1: .* is no region"),
        ("#header\ntrack x\nchr1\t1\t2\nchr1 a b\n", "line 4"),
        ("chr1\t-1\t5\n", "line 1"),
        ("# nothing\n", "has no regions"),
    ],
)
def test_bad_files_are_refused(tmp_path, text, message):
    (tmp_path / "x.bed").write_text(text)
    with pytest.raises(InputError, match=message):
        read_regions(tmp_path / "x.bed")


def test_bad_folds_are_refused(tmp_path, folds):
    (tmp_path / "x.bed").write_text("chr1\t1\t2\tfold0\nchr1\t2\t3\n")
    with pytest.raises(InputError, match="chr1:2-3 has no label"):
        read_folds(tmp_path / "x.bed")
    with pytest.raises(InputError, match="expected one of FOLD_0"):
        split_folds(folds, "FOLD_7")
    with pytest.raises(InputError, match="labelled train; expected fold0"):
        split_folds(folds.assign(Label="train"), "FOLD_0")
    with pytest.raises(InputError, match="drop='both'"):
        split_labels(folds, drop="both")


def test_a_blacklist_takes_windows_and_positions(tmp_path):
    (tmp_path / "b.bed").write_text("1\t10\t20\tHigh Signal Region\nchr1\t15\t25\n")
    blacklist = read_blacklist(tmp_path / "b.bed")
    windows = table(("chr1", 0, 30), ("chr1", 0, 12), ("chr2", 10, 20), ("chr1", -8, 12))
    np.testing.assert_allclose(blacklist.share(windows), [0.5, 2 / 12, 0, 0.1])
    assert rows_of(blacklist.drop(windows)) == [("chr2", 10, 20), ("chr1", -8, 12)]
    assert np.flatnonzero(blacklist.mask(Interval("chr1", 8, 14, "-"))).tolist() == [2, 3, 4, 5]
    with pytest.raises(InputError, match="ends at 5, not after its start"):
        Blacklist(table(("chr1", 7, 5)))


@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=6), st.integers(0, 5), st.integers(0, 2))
@settings(max_examples=25)
def test_turns_are_exact_and_without_gaps(weights, seed, block):
    turns = Turns(weights)
    drawn = [turns.at(seed, index) for index in range(block * BLOCK, (block + 1) * BLOCK)]
    for part, weight in enumerate(weights):
        own = [turn for which, turn in drawn if which == part]
        assert own == list(range(block * len(own), (block + 1) * len(own)))
        assert len(own) == max(1, len(own))
        if weight / sum(weights) > 0.01:
            assert abs(len(own) - BLOCK * weight / sum(weights)) <= len(weights)
    with pytest.raises(InputError, match="expected positive numbers"):
        Turns([1, 0])


def test_an_epoch_is_a_permutation():
    windows = table(*(("chr1", 10 * i, 10 * i + 10) for i in range(50)))
    sampler = Uniform(windows)
    epochs = [[sampler.draw(7, epoch * 50 + i) for i in range(50)] for epoch in range(2)]
    everything = sorted(Interval("chr1", 10 * i, 10 * i + 10) for i in range(50))
    assert sorted(epochs[0]) == sorted(epochs[1]) == everything
    assert everything != epochs[0] != epochs[1]
    # A function of seed and index: other draws, and another sampler of the same windows, change nothing.
    assert [Uniform(windows).draw(7, i) for i in (49, 3, 99)] == [epochs[0][49], epochs[0][3], epochs[1][49]]
    assert [sampler.draw(8, i) for i in range(50)] != epochs[0]


@pytest.fixture(scope="module")
def genome(make_genome):
    """chr1: 1,000 bp, N from 200 to 600; chr2: 300 bp."""
    random = np.random.default_rng(0)
    bases = "".join(random.choice(list("ACGT"), 1000))
    return make_genome({"chr1": bases[:200] + "N" * 400 + bases[600:], "chr2": bases[:300]})


def test_unknown_bases_are_avoided(genome):
    tiles = Tiled(table(("chr1", 0, 1000), ("chr2", 0, 299)), 100, genome=genome)
    # Of chr2's 299 bases two tiles fit; what lies between 200 and 600 on chr1 is unknown.
    starts = [0, 100, 600, 700, 800, 900]
    assert [tiles.draw(0, i).start for i in range(tiles.size)] == [*starts, 0, 100]
    assert tiles.draw(0, tiles.size) == tiles.draw(5, 0)
    sampler = Anywhere(table(("chr1", 0, 1000)), 100, genome=genome, margin=10, max_unknown=0.2)
    drawn = [sampler.draw(1, i) for i in range(300)]
    assert min(window.start for window in drawn) >= 10
    assert max(window.end for window in drawn) <= 990
    assert all((genome.codes(window) > 3).mean() <= 0.2 for window in drawn)
    assert any(window.end > 200 > window.start for window in drawn)
    with pytest.raises(InputError, match="all have more than 50% unknown"):
        Anywhere(table(("chr1", 210, 590)), 100, genome=genome, margin=0).draw(0, 0)
    with pytest.raises(InputError, match="no window of 100 bp fits"):
        Anywhere(table(("chr1", 0, 119)), 100, margin=10)
    with pytest.raises(InputError, match="no windows left"):
        Uniform(table(("chr1", 210, 590)), genome=genome)


def test_starts_are_uniform_over_regions():
    sampler = Anywhere(table(("chr1", 0, 12), ("chr2", 5, 17), ("chr1", 100, 103)), 3, margin=0)
    # 10 starts on each of the two long regions, one on the short one.
    drawn = [(window.chromosome, window.start) for window in (sampler.draw(0, i) for i in range(4200))]
    expected = [("chr1", x) for x in [*range(10), 100]] + [("chr2", x) for x in range(5, 15)]
    counts = {key: drawn.count(key) for key in expected}
    assert sum(counts.values()) == len(drawn)
    # 200 each; six standard deviations are 83.
    assert min(counts.values()) > 117
    assert max(counts.values()) < 283


def test_genes_and_peaks_are_centred(genome):
    rows = [
        ("chr1", 700, 720, "+", "exon", "g1"),
        ("chr1", 700, 760, "-", "exon", "g2"),
        ("chr2", 2, 9, "+", "exon", "g3"),
    ]
    columns = ["Chromosome", "Start", "End", "Strand", "Feature", "gene_id"]
    annotation = Annotation(pd.DataFrame(rows, columns=columns).assign(gene_type="protein_coding"))
    sampler = ByGene(annotation, 50, genome=genome, within=table(("chr1", 600, 1000), ("chr2", 0, 300)), margin=4)
    # TSS at base 700, and at the last base of g2; g3 is too near to the chromosome's start.
    assert rows_of(sampler.windows) == [("chr1", 676, 726), ("chr1", 735, 785)]
    bodies = ByGene(annotation, 50, genome=genome, at="body")
    assert rows_of(bodies.windows)[:2] == [("chr1", 685, 735), ("chr1", 705, 755)]
    peaks = table(("chr1", 700, 720)).assign(Summit=4)
    assert ByPeak(peaks, 2).draw(0, 0) == Interval("chr1", 704, 706)
    jittered = [ByPeak(peaks, 2, jitter=3).draw(0, i).start for i in range(60)]
    assert set(jittered) == set(range(701, 708))


def test_peaks_have_summits(tmp_path):
    path = tmp_path / "x.narrowPeak"
    path.write_text("chr1\t10\t40\ta\t0\t.\t1.5\t-1\t2\t4\nchr1\t10\t41\tb\t0\t.\t1.5\t-1\t2\t-1\n")
    peaks = read_peaks(path)
    assert peaks["Summit"].tolist() == [4, 15]
    assert ByPeak(peaks, 2).windows["Start"].tolist() == [14, 25]
    path.write_text("chr1\t10\t40\ta\t0\t.\t1.5\t-1\t2\t30\n")
    with pytest.raises(InputError, match=r"chr1:10-40 has the summit '30'"):
        read_peaks(path)
    path.write_text("chr1\t10\t40\n")
    assert read_peaks(path)["Summit"].tolist() == [15]


def test_a_mix_goes_through_epochs_of_its_parts():
    few, many = (Uniform(table(*((name, i, i + 5) for i in range(count)))) for name, count in (("1", 3), ("2", 40)))
    mix = Mix([(few, 1), (many, 3)])
    drawn = [mix.draw(0, i) for i in range(BLOCK)]
    counts = pd.Series([window.chromosome for window in drawn]).value_counts()
    assert counts.to_dict() == {"2": 750, "1": 250}
    on_many = [window.start for window in drawn if window.chromosome == "2"]
    assert all(sorted(on_many[i : i + 40]) == list(range(40)) for i in range(0, 720, 40))
    assert mix.chromosomes() == ("1", "2")
    assert mix.fingerprint() != Mix([(few, 1), (many, 4)]).fingerprint() != Mix([(few, 1), (few, 4)]).fingerprint()


@pytest.mark.real_data
def test_published_windows_do_not_leak(shared):
    windows = read_folds(shared / "borzoi_tiny" / "hg38" / "sequences.bed")
    split = split_labels(windows, length=131_072)
    assert (len(split["valid"]), len(windows)) == (10, 55)
    assert set(split["train"]["End"] - split["train"]["Start"]) == {131_072}
    held = pd.concat([split["valid"], split["test"]])
    assert not len(find_leaks(split["train"], held, 1024))


def test_tiles_are_steps():
    assert rows_of(tile(table(("chr1", 3, 12)), 4, 2)) == [("chr1", 3, 7), ("chr1", 5, 9), ("chr1", 7, 11)]
