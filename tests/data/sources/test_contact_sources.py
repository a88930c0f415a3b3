"""Contact maps: what is expected, how maps get onto the grid, and the three kinds of files."""

import cooler
import hictkpy
import numpy as np
import pandas as pd
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.plugins import registry
from ag_data.sources.contacts import GRID
from ag_data.sources.cool import CoolSource, choose_resolution
from ag_data.sources.expected import expected_by_distance
from ag_data.sources.hic import HicSource
from ag_data.sources.pixels import PixelsSource
from hypothesis import given, settings
from hypothesis import strategies as st

EXACT = {"pseudo": 0.0, "smooth": 0, "min_coverage": 0.0}


def bins_of(lengths, size):
    parts = []
    for name, length in lengths.items():
        start = np.arange(0, length, size)
        parts.append(pd.DataFrame({"chrom": name, "start": start, "end": np.minimum(start + size, length)}))
    return pd.concat(parts, ignore_index=True)


def pixels_of(matrix, offset=0):
    row, column = np.nonzero(np.triu(matrix))
    return pd.DataFrame({"bin1_id": row + offset, "bin2_id": column + offset, "count": matrix[row, column]})


def write_cool(path, matrix, size, length, weights=None, others=None):
    """One chromosome after a small one; `others` are pixels between the two."""
    bins = bins_of({"chrA": 3 * size, "chrB": length}, size)
    if weights is not None:
        bins["weight"] = np.append([1.0, 1.0, 1.0], weights)
    pixels = pixels_of(matrix, 3)
    if others is not None:
        pixels = pd.concat([others, pixels], ignore_index=True)
    kind = {"count": np.float64 if matrix.dtype.kind == "f" else np.int32}
    cooler.create_cooler(str(path), bins, pixels, dtypes=kind, mode="a" if "::" in str(path) else "w", ordered=True)
    return path


def random_counts(bins, seed, most=40):
    random = np.random.default_rng(seed)
    return np.triu(random.poisson(most / (1 + np.abs(np.subtract.outer(np.arange(bins), np.arange(bins))))))


def read_all(source, length, chromosome="chrB", bins=512):
    starts = range(0, length, bins * GRID)
    return np.concatenate([source.read(Interval(chromosome, at, min(at + bins * GRID, length))) for at in starts])


def on_grid(matrix, size, length):
    """Sums on the grid by the definition: both ends of a contact lie anywhere in their bins."""
    start = np.arange(len(matrix)) * size
    end = np.minimum(start + size, length)
    edges = np.append(np.arange(0, length, GRID), length)
    overlap = np.minimum(end[:, None], edges[None, 1:]) - np.maximum(start[:, None], edges[None, :-1])
    share = np.maximum(overlap, 0) / (end - start)[:, None]
    ordered = share.T @ np.triu(matrix) @ share
    return np.triu(ordered) + np.triu(ordered.T, 1)


def ratios(sums, area, offsets):
    """Log observed/expected by the definition, without pseudo counts."""
    n = len(sums)
    wanted = np.full((n, offsets), np.nan)
    for k in range(min(n, offsets)):
        i = np.arange(n - k)
        pairs = area[i] * area[i + k]
        total = sums[i, i + k].sum()
        if total:
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = np.log(sums[i, i + k] / pairs / (total / pairs.sum()))
            wanted[i, k] = np.where(np.isfinite(ratio), ratio, np.nan)
    return wanted


@given(st.integers(0, 10**6), st.integers(2, 40), st.sampled_from([0, 5, 50, 10**9]))
@settings(max_examples=60)
def test_expected_keeps_sums(seed, count, fewest):
    random = np.random.default_rng(seed)
    pairs = np.arange(count, 0, -1) * 3.0
    contacts = random.poisson(200.0 / (1 + np.arange(count)) ** 1.5).astype(float)
    sums = contacts * 0.01
    expected = expected_by_distance(sums, pairs, contacts, fewest)
    if not contacts.any():
        assert np.isnan(expected).all()
        return
    known = np.isfinite(expected)
    assert known[np.argmax(contacts > 0) :].all()
    assert not known[: np.argmax(contacts > 0)].any()
    np.testing.assert_allclose((expected * pairs)[known].sum(), sums.sum(), rtol=1e-9)
    if fewest == 10**9:  # one pool: the mean of all
        np.testing.assert_allclose(expected[known], sums.sum() / pairs[known].sum(), rtol=1e-9)


def test_expected_is_exact_where_there_is_enough_and_falls_as_a_power_where_not():
    distance = np.arange(64)
    pairs = np.full(64, 1000.0)
    rate = np.where(distance > 0, np.maximum(distance, 1.0) ** -1.0, 2.0)
    exact = expected_by_distance(rate * pairs, pairs, rate * 1000, fewest=10)
    np.testing.assert_allclose(exact, rate)
    pooled = expected_by_distance(rate * pairs, pairs, rate * 1000, fewest=100)
    np.testing.assert_allclose(pooled[:11], rate[:11])
    assert (np.diff(pooled[12:55]) < 0).all()  # the tail, pools of up to seven diagonals
    np.testing.assert_allclose(pooled[12:55], rate[12:55], rtol=0.08)


@pytest.mark.parametrize(("size", "length"), [(512, 40_000), (1000, 41_300), (2000, 50_000), (2048, 60_000)])
def test_fine_maps_are_shared_out_over_the_grid(tmp_path, size, length):
    matrix = random_counts(-(-length // size), seed=size)
    source = CoolSource(write_cool(tmp_path / "a.cool", matrix, size, length), resolution=size, offsets=12, **EXACT)
    values = read_all(source, length)
    sums = on_grid(matrix, size, length)
    assert values.shape == (-(-length // GRID), 12, 1)
    assert values.dtype == np.float32
    np.testing.assert_allclose(sums.sum(), matrix.sum())  # no contact lost
    # Every bin is covered here, so a cell's area is its length.
    area = np.diff(np.append(np.arange(0, length, GRID), length)) / GRID
    np.testing.assert_allclose(values[..., 0], ratios(sums, area, 12), atol=2e-6)
    assert source.facts()["placed"] == "contacts shared out by area"


def test_coarse_maps_are_read_at_the_centres_of_grid_bins(tmp_path):
    size, length = 10_000, 203_000
    matrix = random_counts(21, seed=5)
    source = CoolSource(write_cool(tmp_path / "a.cool", matrix, size, length), offsets=40, **EXACT)
    values = read_all(source, length, bins=32)[..., 0]
    last = np.full(21, 1.0)
    last[-1] = 0.3  # 3,000 of 10,000 bp
    native = ratios(matrix, last, 21)
    for i, k in [(0, 0), (0, 39), (4, 0), (4, 1), (50, 3), (90, 9), (98, 1), (99, 0)]:
        # Centres i * 2048 + 1024; the last grid bin's centre, 203,776, is pulled back onto the chromosome.
        a, b = (min(each * GRID + 1024, length - 1) // size for each in (i, i + k))
        expected = native[a, b - a] if i + k < 100 else np.nan
        np.testing.assert_allclose(values[i, k], expected, atol=1e-6)
    assert np.isnan(values[99, 1:]).all()
    assert source.facts()["native_resolution"] == 10_000


@given(st.sampled_from([512, 1000, 1024, 5000]), st.integers(1, 30), st.integers(0, 99))
@settings(max_examples=8, deadline=None)
def test_blocks_do_not_matter(tmp_path_factory, size, bins, seed):
    length = 120_700
    path = tmp_path_factory.mktemp("map") / "a.cool"
    write_cool(path, random_counts(-(-length // size), seed), size, length)
    source = CoolSource(path, offsets=20)
    np.testing.assert_array_equal(read_all(source, length, bins=bins), read_all(source, length))


def test_decay_and_bias_are_removed(tmp_path):
    """counts = bias(i) bias(j) f(distance): balanced by 1/bias, every value is log 1."""
    random, count, size = np.random.default_rng(0), 60, 1024
    bias = random.uniform(0.5, 2, count)
    distance = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    matrix = np.outer(bias, bias) * 1000 / (1 + distance)
    weights = 1 / bias
    weights[30:32] = np.nan  # exactly grid bin 15
    path = write_cool(tmp_path / "a.cool", np.triu(matrix), size, count * size, weights)
    values = read_all(CoolSource(path, offsets=8), count * size)[..., 0]
    rows = np.arange(30)
    masked = (rows[:, None] == 15) | (rows[:, None] + np.arange(8) == 15) | (rows[:, None] + np.arange(8) >= 30)
    assert np.isnan(values[masked]).all()
    # Pairs of neighbours within a grid bin differ a little in distance, in the same way everywhere.
    np.testing.assert_allclose(values[~masked], 0, atol=1e-6)
    raw = read_all(CoolSource(path, offsets=8, balance=False), count * size)[..., 0]
    assert np.nanstd(raw) > 0.2


def test_bins_with_little_coverage_are_masked(tmp_path):
    matrix = random_counts(50, seed=2, most=300)
    matrix[20], matrix[:, 20] = 0, 0
    matrix[20, 21] = 1
    path = write_cool(tmp_path / "a.cool", matrix, 2048, 50 * 2048)
    values = read_all(CoolSource(path, offsets=4), 50 * 2048)[..., 0]
    assert np.isnan(values[20]).all()
    assert np.isnan(values[[19, 18, 17], [1, 2, 3]]).all()
    assert np.isfinite(values[:17]).all()
    facts = CoolSource(path, offsets=4, min_coverage=0.0)
    read_all(facts, 50 * 2048)
    assert facts.facts()["chromosomes"]["chrB"]["masked_bins"] == 0


def test_three_kinds_of_files_say_the_same(tmp_path):
    size, length = 5000, 300_000
    matrix = random_counts(60, seed=9)
    trans = pd.DataFrame({"bin1_id": [0, 1], "bin2_id": [5, 9], "count": [7, 8]})
    wanted = read_all(CoolSource(write_cool(tmp_path / "a.cool", matrix, size, length, others=trans)), length)
    pixels = pd.concat([trans, pixels_of(matrix, 3)], ignore_index=True)
    with hictkpy.hic.FileWriter(tmp_path / "a.hic", {"chrA": 3 * size, "chrB": length}, size) as file:
        file.add_pixels(pixels)
    np.testing.assert_array_equal(read_all(HicSource(tmp_path / "a.hic"), length), wanted)

    bins = bins_of({"chrA": 3 * size, "chrB": length}, size)
    table = pd.DataFrame(
        {f"{name}{side}": bins[name].to_numpy()[pixels[f"bin{side}_id"]] for side in (1, 2) for name in bins}
    ).assign(count=pixels["count"])
    table.to_parquet(tmp_path / "a.parquet")
    table.sample(frac=1, random_state=0).to_csv(tmp_path / "a.tsv.gz", sep="\t", index=False)
    table.to_csv(tmp_path / "bare.tsv", sep="\t", index=False, header=False)
    for name in ("a.parquet", "a.tsv.gz", "bare.tsv"):
        source = PixelsSource(tmp_path / name)
        np.testing.assert_array_equal(read_all(source, length), wanted)
        assert source.facts()["pairs_of_two_chromosomes"] == 2

    single = pixels_of(matrix)
    arrays = {"bin1": single["bin1_id"], "bin2": single["bin2_id"], "count": single["count"]}
    np.savez(tmp_path / "pairs.npz", **arrays, binsize=size, chrom="chrB")
    np.savez(
        tmp_path / "matrix.npz",
        matrix=matrix + np.triu(matrix, 1).T,
        pos=np.arange(60) * size,
        binsize=size,
        chrom="chrB",
    )
    for name in ("pairs.npz", "matrix.npz"):
        np.testing.assert_array_equal(read_all(PixelsSource(tmp_path / name), length), wanted)


def test_resolutions_of_mcool(tmp_path):
    path, length = tmp_path / "a.mcool", 80_000
    for size in (500, 1000, 2000, 5000):
        write_cool(f"{path}::/resolutions/{size}", random_counts(length // size, size), size, length)
    assert registry().create("sources", "cool", path).native == 1000
    assert CoolSource(path, resolution=5000).native == 5000
    assert CoolSource(f"{path}::/resolutions/2000").native == 2000
    assert dict(CoolSource(path).chromosomes()) == {"chrA": 3000, "chrB": length}
    assert [choose_resolution(sizes) for sizes in ([5000, 10000], [128, 256, 1000], [1500, 4000])] == [5000, 256, 1500]
    with pytest.raises(InputError, match="no resolution of 4,000 bp; it has 500, 1000, 2000, 5000"):
        CoolSource(path, resolution=4000)
    with pytest.raises(InputError, match="has no weights 'KR'"):
        CoolSource(path, balance="KR")
    with pytest.raises(InputError, match="has no weights 'weight'"):
        CoolSource(path, balance=True)
    with pytest.raises(InputError, match="expected offsets of at least 1"):
        CoolSource(path, offsets=0)


def test_files_that_are_refused(tmp_path):
    good = tmp_path / "a.hic"
    with hictkpy.hic.FileWriter(good, {"chrA": 50_000}, 5000) as file:
        file.add_pixels(pixels_of(random_counts(10, 1)))
    with pytest.raises(InputError, match="no normalisation 'KR' at 5,000 bp; it has none"):
        HicSource(good, balance="KR")
    with pytest.raises(InputError, match="neither KR nor SCALE"):
        HicSource(good, balance=True)
    with pytest.raises(InputError, match="no resolution of 1,000 bp; it has 5000"):
        HicSource(good, resolution=1000)
    (tmp_path / "cut.hic").write_bytes(good.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"cut.hic cannot be read"):
        HicSource(tmp_path / "cut.hic").read(Interval("chrA", 0, 50_000))
    (tmp_path / "text.hic").write_text("chr1\t0\n")
    with pytest.raises(InputError, match=r"is no .hic file"):
        HicSource(tmp_path / "text.hic")
    with pytest.raises(InputError, match="cannot be read as a cooler"):
        CoolSource(tmp_path / "text.hic")
    with pytest.raises(InputError, match="does not exist"):
        CoolSource(tmp_path / "none.cool")


REFUSED = {
    "negative": ("chr1\t0\t10\tchr1\t10\t20\t-4\n", r"entry 1 has the count -4"),
    "twice": ("chr1\t0\t10\tchr1\t10\t20\t4\nchr1\t10\t20\tchr1\t0\t10\t4\n", "bins 0 and 1 of chr1 occur twice"),
    "grid": ("chr1\t0\t10\tchr1\t10\t20\t4\nchr1\t3\t13\tchr1\t20\t30\t4\n", "entry 2 does not lie on a grid of 10"),
    "number": ("chr1\t0\tx\tchr1\t10\t20\t4\n", "entry 1 is not made of numbers"),
    "columns": ("chrom1\tstart1\nchr1\t0\n", "no column end1, chrom2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_tables_that_are_refused(tmp_path, case):
    text, message = REFUSED[case]
    (tmp_path / "a.tsv").write_text(text)
    with pytest.raises(InputError, match=message):
        PixelsSource(tmp_path / "a.tsv")


def test_arrays_that_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", bin1=[0], bin2=[1])
    with pytest.raises(InputError, match="expected binsize, chrom, and either"):
        PixelsSource(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", matrix=np.triu(np.ones((3, 3))), pos=np.arange(3), binsize=1, chrom="c")
    with pytest.raises(InputError, match="a symmetric matrix"):
        PixelsSource(tmp_path / "b.npz")
    (tmp_path / "c.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-40])
    with pytest.raises(InputError, match=r"c.npz cannot be read"):
        PixelsSource(tmp_path / "c.npz")


REAL = {
    "hg19_tracks/chr20/hic_GM12878rep_chr20_25kb_counts.npz": (PixelsSource, "chr20", 63_025_520, 25_000),
    "hg19_tracks/chr22/hic_GM12878prim_chr22_50kb_counts.npz": (PixelsSource, "chr22", 51_304_566, 50_000),
    "yeast/HiC_yeast.10kb.cool": (CoolSource, "chrIV", 1_531_932, 10_000),
    "hg19_tracks/chr22/test_chr22.hic": (HicSource, "22", 51_304_566, 5000),
}


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_real_maps(name, shared):
    kind, chromosome, length, native = REAL[name]
    source = kind(shared / name)
    values = read_all(source, length, chromosome)[..., 0].astype(np.float64)
    assert source.native == native
    expected = source._chromosome.expected
    assert np.mean(np.diff(expected) < 0) > 0.75  # contacts fall off with distance
    assert expected[0] > 20 * expected[-1]
    # Observed over expected is 1 on average at every distance (of sparse maps, at about every distance).
    for first, last in ((0, 1), (40, 60), (180, 220), (380, 420)):
        assert np.nanmean(np.exp(values[:, first:last])) == pytest.approx(1, abs=0.03)
