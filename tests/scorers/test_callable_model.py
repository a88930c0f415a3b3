"""Scorers on the predictions of a function whose scores are known by hand, and our model as a function."""

import numpy as np
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.schema import track_table
from ag_data.fasta import Fasta
from ag_data.variants import Call, Status
from ag_scorers import CallableEngine, CallableModel, as_function
from ag_scorers.center_mask import CenterMaskScorer
from ag_scorers.contact_map import ContactMapScorer
from ag_scorers.gene_mask import GeneMaskLFCScorer
from ag_scorers.scoring import open_engine, open_resources

WINDOW, SITE = 2048, 5300
TRACKS = track_table({"name": ["g", "g", "padding", "at"], "strand": ["+", "-", ".", "."]})


def count_bases(dna):
    """Track 0: whether a base is G; 1: C (G of the other strand); 2: padding; 3: A or T."""
    return {"cage": np.stack([dna[..., 2], dna[..., 1], np.full(dna.shape[:2], np.nan), dna[..., 0] + dna[..., 3]], -1)}


def make_model(function=count_bases, **options):
    return CallableModel(function, {"cage": TRACKS}, resolutions={"cage": 1}, window=WINDOW, **options)


@pytest.fixture
def fasta(world):
    return Fasta(world.fasta)


def change(world, ref_to_alt):
    """The first SNV after SITE with these bases."""
    start = world.genome.index(ref_to_alt[0], SITE)
    return Variant("chr1", start + 1, *ref_to_alt)


SUM = {"sum": CenterMaskScorer("cage", 501, "diff_sum")}


def test_scores_known_by_hand(world, fasta):
    engine = CallableEngine(make_model(), fasta, SUM)
    (result,) = engine.score(change(world, "AG"))
    np.testing.assert_array_equal(result.values, [[1, 0, -1]])
    assert list(result.tracks["name"].values) == ["g", "g", "at"]
    assert result.tracks.attrs["modality"] == "cage"
    assert result.key == "sum"
    (result,) = engine.score(change(world, "CT"))
    np.testing.assert_array_equal(result.values, [[0, -1, 1]])


def test_a_gene_scorer_aligns_indels(world, fasta):
    resources = open_resources(world.gtf)
    engine = CallableEngine(make_model(), fasta, {"lfc": GeneMaskLFCScorer("cage")}, resources=resources)
    first = world.genome[4199]
    (result,) = engine.score(Variant("chr1", 4200, first, first + "G"))
    assert list(result.table["gene_id"]) == ["G1.1"]
    mean = world.genome[4000:4400].count("G") / 400
    # One row holds the larger of two bases: a G more, unless there was one already.
    more = (first != "G") / 400
    assert result.values[0, 0] == pytest.approx(np.log(0.001 + mean + more) - np.log(0.001 + mean), rel=1e-4)
    assert np.isnan(result.values[0, 1])


def test_minus_strand_is_turned_back(world, fasta):
    engine = CallableEngine(make_model(), fasta, SUM)
    variant = change(world, "AG")
    window = engine.interval(variant)
    forward, minus = (
        engine.score(variant, Interval("chr1", window.start, window.end, strand))[0] for strand in ("+", "-")
    )
    np.testing.assert_array_equal(minus.values, forward.values)


class Exported:
    """A tensor of another library: DLPack, and nothing else."""

    def __init__(self, values):
        self.values = values

    def detach(self):
        return self

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


def test_tensors_of_another_library(world, fasta):
    seen = []

    def foreign(dna):
        seen.append(type(dna))
        found = count_bases(np.from_dlpack(dna.values))["cage"]
        return {"cage": Exported(np.ascontiguousarray(found))}

    model = make_model(foreign, convert=Exported)
    (result,) = CallableEngine(model, fasta, SUM).score(change(world, "AG"))
    assert seen == [Exported]
    np.testing.assert_array_equal(result.values, [[1, 0, -1]])


def test_maps(world, fasta):
    def pairs(dna):
        high = dna[..., 2].reshape(len(dna), -1, 512).sum(axis=2)
        return {"contact_maps": (high[:, :, None] + high[:, None])[..., None]}

    table = track_table({"name": ["hic"], "strand": ["."]})
    model = CallableModel(pairs, {"contact_maps": table}, resolutions={"contact_maps": 512}, window=WINDOW)
    (result,) = CallableEngine(model, fasta, {"map": ContactMapScorer()}).score(change(world, "AG"))
    # One G more in the bin: 2 on the diagonal, 1 with each of the three other bins.
    np.testing.assert_allclose(result.values, [[5 / 4]])


def test_a_failed_call_does_not_stop_the_others(world, fasta):
    variants = [change(world, "AG"), change(world, "CT")]
    calls = [
        Call(number, 0, one.chromosome, one.position, one.reference_bases, one.alternate_bases, "", Status.SCORED, one)
        for number, one in enumerate(variants)
    ]
    numbers = iter(range(9))

    def moody(dna):
        return count_bases(dna if next(numbers) else dna * np.nan)

    bad, good = CallableEngine(make_model(moody), fasta, SUM).run(calls)
    assert (bad.call.status, good.call.status) == (Status.FAILED, Status.SCORED)
    assert "NaN or infinity where sum reads" in bad.call.detail
    np.testing.assert_array_equal(good.scores[0].values, [[0, -1, 1]])


def test_what_does_not_go_together(world, fasta):
    with pytest.raises(InputError, match="track tables of cage, resolutions of rna_seq; expected the same"):
        CallableModel(count_bases, {"cage": TRACKS}, resolutions={"rna_seq": 1}, window=WINDOW)
    with pytest.raises(InputError, match="window of 2048 bp is no multiple of cage's 3 bp"):
        CallableModel(count_bases, {"cage": TRACKS}, resolutions={"cage": 3}, window=WINDOW)
    odd = track_table({"name": ["g"], "strand": ["+"]})
    with pytest.raises(InputError, match="tracks of cage: 1 tracks on '\\+' but 0 on '-'"):
        CallableModel(count_bases, {"cage": odd}, resolutions={"cage": 1}, window=WINDOW)
    with pytest.raises(InputError, match="scorer x reads chip_tf, but callable predicts cage"):
        CallableEngine(make_model(), fasta, {"x": CenterMaskScorer("chip_tf")})
    with pytest.raises(InputError, match="scorer x needs genes; give it in resources"):
        CallableEngine(make_model(), fasta, {"x": GeneMaskLFCScorer("cage")})
    short = CallableEngine(make_model(lambda dna: {"cage": count_bases(dna)["cage"][:, :9]}), fasta, SUM)
    with pytest.raises(ValueError, match=r"returned cage of shape \(2, 9, 4\); expected \(2, 2048, 4\)"):
        short.score(change(world, "AG"))
    other = CallableEngine(make_model(lambda dna: {"atac": dna}), fasta, SUM)
    with pytest.raises(ValueError, match="callable returned atac, but no cage"):
        other.score(change(world, "AG"))


def test_there_and_back(world, fasta):
    """Our model as a function, wrapped as a callable model, scores as the engine does."""
    function = as_function(str(world.model))
    assert function.resolutions == {"chip_tf": 128, "rna_seq": 1}
    model = CallableModel(function, function.tables, resolutions=function.resolutions, window=function.window)
    scorers = {"tf": CenterMaskScorer("chip_tf"), "rna": CenterMaskScorer("rna_seq", 2001)}
    engine = open_engine(fasta, model=str(world.model), scorers=["chip_tf"], partial=False)
    engine = type(engine)(engine.checkpoint, fasta, scorers, partial=False)
    variant = change(world, "AG")
    own, others = engine.score(variant), CallableEngine(model, fasta, scorers).score(variant)
    for mine, other in zip(own, others, strict=True):
        assert np.abs(mine.values).max() > 0
        np.testing.assert_allclose(other.values, mine.values, rtol=2e-3, atol=2e-5)


def test_function_with_channels_first(world):
    function = as_function(str(world.model), ["chip_tf"], tracks="CTCF")
    turned = as_function(str(world.model), ["chip_tf"], tracks="CTCF", channels_first=True)
    dna = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (1, 2048))]
    (values,), (other,) = function(dna).values(), turned(dna.swapaxes(1, 2)).values()
    assert values.shape == (1, 16, 1)
    assert isinstance(values, np.ndarray)
    np.testing.assert_array_equal(other, values.swapaxes(1, 2))
    with pytest.raises(ValueError, match=r"DNA of shape \(1, 2048, 4\); expected \[batch, 4, position\]"):
        turned(dna)
    with pytest.raises(InputError, match="cannot return dnase as an array; this model has chip_tf, rna_seq"):
        as_function(str(world.model), ["dnase"])
