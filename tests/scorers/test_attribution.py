"""Gradients and integrated gradients: against finite differences, completeness, the other strand, files, bad input."""

import json

import ag_scorers
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pybigtools
import pytest
import xarray as xr
from ag_core.checkpoint import load
from ag_core.cli import run
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.model import fold
from ag_core.precision import cast
from ag_core.sequence import encode
from ag_scorers.attribution.baselines import as_one_hot, make_baselines
from ag_scorers.attribution.examples import read_examples
from ag_scorers.attribution.forward import REVERSE, make_forward
from ag_scorers.attribution.gradients import values_and_gradients
from ag_scorers.attribution.integrated import integrated_gradients
from ag_scorers.attribution.parser import parse_target
from ag_scorers.attribution.reading import Scene
from ag_scorers.attribution.shuffle import shuffle_dinucleotides
from ag_scorers.attribution.target import bind

WINDOW = Interval("chr1", 4000, 4000 + 2048)
TARGETS = (
    "dnase @ chr1:4901-5100",
    "logmean(chip_tf[HNF4A] @ chr1:5001-5010)",
    "splice_junctions[liver] @ chr1:4801-5200:-",
)
REGION = "chr1:4,901-5,100"


@pytest.fixture(scope="module")
def checkpoint(eleven):
    return load(eleven.model)


def make(checkpoint, model=None, **options):
    scene = Scene(checkpoint, 0, WINDOW, WINDOW)
    bound = [bind(parse_target(text), scene) for text in TARGETS]
    return make_forward(
        fold(checkpoint.model) if model is None else model, bound, window=WINDOW, junctions=scene.junctions, **options
    )


@pytest.fixture(scope="module")
def forward(checkpoint):
    return make(checkpoint)


@pytest.fixture(scope="module")
def codes(eleven):
    codes = encode(eleven.genome[WINDOW.start : WINDOW.end])
    codes[:100] = 4  # unknown
    return codes


def test_gradients_are_those_of_finite_differences(checkpoint, codes):
    """In float64, along a random direction, for every target, as the other strand sees it."""
    with jax.enable_x64():
        model = cast(checkpoint.model, "float64")
        wide = make(checkpoint, model, strands=REVERSE)
        # Unknown bases are equal, and of equal bases any may be the largest.
        random = np.random.default_rng(0)
        known = np.where(codes == 4, random.integers(0, 4, len(codes)), codes)
        dna = jnp.asarray(as_one_hot(known), jnp.float64)
        direction = jnp.asarray(random.normal(size=dna.shape))
        value = eqx.filter_jit(lambda forward, x: forward(x))
        ((_, gradients),) = values_and_gradients(wide, np.asarray(dna)[None])
        step = 1e-6
        differences = (value(wide, dna + step * direction) - value(wide, dna - step * direction)) / (2 * step)
        found = np.einsum("tpb,pb->t", gradients[0], np.asarray(direction))
        assert gradients.dtype == np.float64
        np.testing.assert_allclose(found, differences, rtol=1e-4)
        assert (np.abs(found) > 1e-6).all()


def test_contributions_sum_to_the_difference(forward, codes):
    """Through attention, softmax, pooling and the logarithm, up to the tolerance; and at the sequence's bases only.

    A random model is rugged, so the baselines lie close by: two mixtures of the sequence with other ones.
    """
    dna = as_one_hot(codes)
    others = np.concatenate([make_baselines(codes, "uniform"), make_baselines(codes, "shuffled", count=1)])
    baselines = 0.9 * dna + 0.1 * others
    found = integrated_gradients(forward, dna, baselines, tolerance=0.03, most_steps=40)
    value = eqx.filter_jit(lambda forward, x: forward(x))
    difference = value(forward, dna) - np.mean([value(forward, one) for one in baselines], axis=0)
    assert found.reached
    np.testing.assert_allclose(found.value - found.baseline, difference, rtol=1e-3)
    np.testing.assert_allclose(found.error, found.contributions.sum(axis=(1, 2)) - difference, atol=2e-5)
    assert (np.abs(found.error) < 0.04 * np.abs(difference)).all()
    assert not found.contributions[:, dna == 0].any()
    np.testing.assert_allclose(found.contributions, found.hypothetical * dna, rtol=1e-3, atol=1e-7)
    assert not found.contributions[:, :100].any()  # nothing is known there


def test_baselines(codes):
    uniform, zeros, shuffled = (make_baselines(codes, kind, count=3) for kind in ("uniform", "zeros", "shuffled"))
    assert (uniform[0, 100:] == 0.25).all()
    assert not uniform[0, :100].any()
    assert not zeros.any()
    assert zeros.shape == (1, 2048, 4)
    assert shuffled.shape == (3, 2048, 4)
    np.testing.assert_array_equal(shuffled.sum(axis=1), np.repeat([as_one_hot(codes).sum(axis=0)], 3, axis=0))
    with pytest.raises(InputError, match="baseline 'noise': expected one of uniform, zeros, shuffled"):
        make_baselines(codes, "noise")


def test_what_is_missed_is_said(forward, codes):
    dna, baselines = as_one_hot(codes), make_baselines(codes, "zeros")
    found = integrated_gradients(forward, dna, baselines, tolerance=1e-6, most_steps=13)
    assert not found.reached
    assert found.steps == 13
    assert np.abs(found.error).max() > 0


def test_dinucleotides_stay_the_same(codes):
    shuffled = shuffle_dinucleotides(codes, np.random.default_rng(3))

    def count(x):
        return np.bincount(5 * x[:-1].astype(int) + x[1:], minlength=25)

    np.testing.assert_array_equal(count(shuffled), count(codes))
    assert 0.15 < (shuffled[100:] == codes[100:]).mean() < 0.4
    assert (shuffle_dinucleotides(codes, np.random.default_rng(3)) == shuffled).all()
    # Of the three paths with these ends and steps each comes as often as the others.
    small = np.array([0, 1, 0, 2, 0, 3], np.uint8)
    random = np.random.default_rng(0)
    drawn = ["".join(map(str, shuffle_dinucleotides(small, random))) for _ in range(600)]
    names, counts = np.unique(drawn, return_counts=True)
    assert set(names) == {"010203", "020103"}
    assert counts.min() > 240


@pytest.fixture(scope="module")
def options(eleven):
    return {"fasta": eleven.fasta, "gtf": eleven.gtf, "model": eleven.model, "window": 2048}


def test_the_other_strand_is_the_mirror_image(eleven, mirrored, options):
    """What '-' of the mirrored world says is what '+' of the world says, turned around."""
    length = len(eleven.genome)
    other = {**options, "fasta": mirrored.fasta, "gtf": mirrored.gtf}
    texts = "atac @ chr1:4901-5100", f"atac @ chr1:{length + 1 - 5100}-{length + 1 - 4901}"
    # A region as long as the window is taken as it is, so the windows are mirror images too.
    regions = f"chr1:3977-{3976 + 2048}", f"chr1:{length + 1 - 3976 - 2048}-{length + 1 - 3977}:-"
    here = ag_scorers.attribute(texts[0], region=regions[0], **options)
    there = ag_scorers.attribute(texts[1], region=regions[1], **other)
    assert float(here["value"]) == pytest.approx(float(there["value"]), rel=1e-4)
    for name in ("contribution", "hypothetical", "sequence"):
        expected = here[name].values[::-1, ::-1]
        np.testing.assert_allclose(there[name].values, expected, atol=1e-3 * np.abs(expected).max())


def test_a_tree_says_what_it_is_of(eleven, options):
    tree = ag_scorers.attribute("atac @ region", region=REGION, **options)
    assert tree["contribution"].dims == ("position", "base")
    assert tree["contribution"].shape == (200, 4)
    about = tree["contribution"].attrs
    assert about["interval"] == "chr1:4900-5100:."
    assert about["target"] == "atac @ region"
    assert about["model_digest"] == load(eleven.model).digest
    bases = "".join("ACGT"[row] for row in tree["sequence"].values.argmax(axis=1))
    assert bases == eleven.genome[4900:5100]
    np.testing.assert_allclose(tree["hypothetical"].values.sum(axis=1), 0, atol=1e-5)
    several = ag_scorers.attribute(["atac @ region", "dnase @ region"], region=REGION, **options)
    assert several["contribution"].dims == ("target", "position", "base")
    np.testing.assert_allclose(several["contribution"][0], tree["contribution"], rtol=1e-3, atol=1e-6)


def command(options, *arguments):
    known = [f"--{name}={value}" for name, value in options.items()]
    return ["attribute", "--quiet", *known, *map(str, arguments)]


def test_the_command_writes_both_alleles(eleven, options, tmp_path, capsys):
    base = eleven.genome[5000]
    outputs = [tmp_path / name for name in ("a.zarr", "a.npz", "a.parquet")]
    asked = [part for path in outputs for part in ("-o", path)]
    text = "atac @ chr1:4901-5100"
    arguments = command(options, "--target", text, "--variant", f"chr1:5001:{base}>{base}ACG", "--json", *asked)
    assert run(arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert [place["place"] for place in said["places"]] == ["REF", "ALT"]
    tree = xr.open_datatree(outputs[0], engine="zarr", consolidated=False)
    ref, alt = (tree[name].to_dataset() for name in ("REF", "ALT"))
    assert alt.attrs["variant"] == f"chr1:5001:{base}>{base}ACG"
    assert (alt["ref_position"].values == -1).sum() == 3
    assert ref["contribution"].attrs["target"] == text
    examples = read_examples(outputs[1])
    assert examples.names == ["REF", "ALT"]
    np.testing.assert_array_equal(examples.contributions[1], alt["contribution"].values)
    table = pd.read_parquet(outputs[2])
    assert len(table) == 2 * 2048
    assert set(table["base"]) == set("ACGT")
    assert float(table["contribution"].sum()) == pytest.approx(examples.contributions.sum(), rel=1e-3)
    assert run(arguments) == 2
    assert "exists" in capsys.readouterr().err


def test_genomic_files_hold_the_contribution_of_each_base(options, tmp_path):
    paths = [tmp_path / "a.bw", tmp_path / "a.bedgraph"]
    tree = ag_scorers.write_attributions(paths, "atac @ region", region=REGION, **options)
    expected = tree["contribution"].values.sum(axis=1)
    with pybigtools.open(str(paths[0])) as file:
        np.testing.assert_array_equal(file.values("chr1", 4900, 5100, fillna=None), expected)
    rows = pd.read_csv(paths[1], sep="\t", header=None)
    assert rows.iloc[0, :3].tolist() == ["chr1", 4900, 4901]
    np.testing.assert_allclose(rows[3], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "atac @ chr1:19001-19100"}, r"chr1:19,001-19,100 is not inside the window"),
        ({"target": "atak @ region"}, r"does not predict 'atak'; did you mean atac"),
        ({"target": "rna_seq @ gene P1", "gtf": None}, r"needs an annotation; give it with --gtf"),
        ({"target": []}, r"no target; give one"),
        ({"target": ["atac @ region", "atac @ region"]}, r"a target is given twice"),
        ({"method": "deeplift"}, r"method 'deeplift': expected one of input-x-gradient, integrated"),
        ({"baseline": "noise"}, r"baseline 'noise': expected one of uniform, zeros, shuffled"),
        ({"tolerance": 0.0}, r"tolerance must lie between 0 and 1"),
        ({"most_steps": 0}, r"most_steps must be at least 1, got 0"),
        ({"region": "chr1:5000-4000"}, r"cannot read the region"),
        ({"fasta": None}, r"--region needs the genome; give it with --fasta"),
        ({"output": ["a.txt"]}, r"cannot tell the format; use one of .zarr, .npz"),
        (
            {"output": ["a.bw"], "target": ["atac @ region", "dnase @ region"]},
            r"a.bw holds one target, but there are 2",
        ),
        ({"output": ["a.bw"], "region": None, "variant": "chr1:5001"}, r"cannot read the variant"),
    ],
)
def test_bad_input_is_refused(options, tmp_path, arguments, message):
    settings = {"region": REGION, **options, "target": "atac @ region", **arguments}
    output = [tmp_path / name for name in settings.pop("output", ["a.zarr"])]
    with pytest.raises(InputError, match=message):
        ag_scorers.write_attributions(output, settings.pop("target"), **settings)
    assert not list(tmp_path.iterdir())
