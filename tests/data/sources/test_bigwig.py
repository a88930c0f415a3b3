import numpy as np
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.plugins import registry
from ag_data.sources.bigwig import BigWigSource

ENTRIES = [
    ("chr1", 2, 4, -1.5),
    ("chr1", 4, 5, -2.0),
    ("chr1", 9, 11, -4.0),
    ("chr2", 0, 3, 1.0),
    ("chr3", 49, 50, 1.0),
]
LENGTHS = {"chr1": 11, "chr2": 3, "chr3": 50}


@pytest.fixture
def path(write_bigwig):
    return write_bigwig(ENTRIES, LENGTHS)


def test_bins_hold_sums(path):
    source = registry().create("sources", "bigwig", str(path), resolution=4)
    assert source.chromosomes() == LENGTHS
    assert source.read(Interval("chr1", 0, 11))[:, 0].tolist() == [-3.0, -2.0, -8.0]
    assert source.read(Interval("chr1", 8, 11))[:, 0].tolist() == [-8.0]
    assert source.read(Interval("chr3", 0, 49)).dtype == np.float32
    assert not source.read(Interval("chr3", 0, 49)).any()
    tracks = source.tracks()
    assert (tracks["name"].item(), tracks["strand"].item()) == ("signal", ".")


def test_scale_and_gaps(path):
    flipped = BigWigSource(path, scale=-2).read(Interval("chr1", 0, 11))[:, 0]
    assert not np.signbit(flipped).any()
    assert flipped.tolist() == [0, 0, 3, 3, 4, 0, 0, 0, 0, 8, 8]
    assert BigWigSource(path, scale="absolute", resolution=11).read(Interval("chr1", 0, 11)).item() == 13
    holes = BigWigSource(path, gaps="missing").read(Interval("chr1", 0, 11))[:, 0]
    assert np.flatnonzero(np.isfinite(holes)).tolist() == [2, 3, 4, 9, 10]
    # A bin with a hole in it is no sum over its bases.
    coarse = BigWigSource(path, gaps="missing", resolution=3).read(Interval("chr1", 0, 11))[:, 0]
    np.testing.assert_array_equal(coarse, [np.nan, np.nan, np.nan, -8])


def test_facts(path):
    facts = BigWigSource(path, scale=-1).facts()
    assert (facts["sum"], facts["basesCovered"], facts["scale"]) == (-9, 9, -1)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.97, 0.999])
def test_truncated_file(write_bigwig, tmp_path, share):
    whole = write_bigwig(
        [("chr1", i, i + 1, float(i % 97)) for i in range(0, 60_000, 2)], {"chr1": 60_000}
    ).read_bytes()
    path = tmp_path / "cut.bw"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=r"cut\.bw is damaged or truncated .* again"):
        BigWigSource(path)


def test_files_that_are_something_else(tmp_path, write_bam):
    with pytest.raises(InputError, match="is not a bigWig file"):
        BigWigSource(write_bam([(0, "10M", 0)]))
    (tmp_path / "text.bw").write_text("chr1\t0\t5\t1\n")
    with pytest.raises(InputError, match="is not a bigWig file"):
        BigWigSource(tmp_path / "text.bw")
    with pytest.raises(InputError, match="does not exist"):
        BigWigSource(tmp_path / "none.bw")


def test_infinite_values(write_bigwig):
    path = write_bigwig([("chr1", 5, 6, float("inf"))], {"chr1": 10})
    with pytest.raises(InputError, match="infinite value at chr1:5"):
        BigWigSource(path).read(Interval("chr1", 0, 10))


@pytest.mark.parametrize(
    "options", [{"scale": 0}, {"scale": "log"}, {"gaps": "nan"}, {"resolution": 0}, {"resolution": 2.0}]
)
def test_options_are_checked(path, options):
    with pytest.raises(InputError, match=f"{next(iter(options))} is .*; expected"):
        BigWigSource(path, **options)


@pytest.mark.real_data
def test_transcription_starts_where_cages_say(shared):
    """GRO-cap of K562 at stranded RAMPAGE peaks of chr22; the file of the '-' strand is negative."""
    from ag_data.sources.peaks import PeaksSource

    whole = Interval("chr22", 0, 51_304_566)
    starts = PeaksSource(shared / "hg19_tracks/chrX_20_22/RAMPAGE_ENCBS047RNA_rep1.narrowPeak.gz", stranded=True).read(
        whole
    )
    for strand, name, scale in ((0, "pl", 1), (1, "mn", -1)):
        signal = BigWigSource(shared / f"hg19_tracks/chr22/PINTS_{name}.chr22.bw", scale=scale).read(whole)[:, 0]
        assert signal.min() >= 0
        own, other = (signal[starts[:, which] > 0].mean() for which in (strand, 1 - strand))
        assert own > 5 * other
        assert own > 10 * signal[~starts.any(axis=1)].mean()
