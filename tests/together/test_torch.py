"""tangermeme calls our model, our scorers read a torch model, and tangermeme reads our attributions."""

import numpy as np
import pytest

LENGTH = 2048


@pytest.fixture(scope="module")
def wrapped():
    """Our model as a torch module, [batch, 4, position] to [batch, track]: mean DNase over the middle 512 bp."""
    import torch
    from ag_scorers import as_function

    function = as_function("mini", ["dnase"], channels_first=True)

    class Suite(torch.nn.Module):
        def forward(self, dna):
            return torch.from_numpy(function(dna.numpy())["dnase"][:, :, 768:1280].mean(axis=2))

    return Suite(), function


@pytest.fixture(scope="module")
def sequence(promoter):
    import torch

    return torch.from_numpy(np.ascontiguousarray(promoter.swapaxes(1, 2)))


def test_predict(wrapped, sequence):
    from tangermeme.predict import predict

    model, function = wrapped
    found = predict(model, sequence.repeat(3, 1, 1), batch_size=2, device="cpu")
    assert tuple(found.shape) == (3, function.tables["dnase"].sizes["track"])
    direct = function(sequence.numpy())["dnase"][0, :, 768:1280].mean(axis=1)
    np.testing.assert_allclose(found[0], direct, rtol=1e-4)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-4)


def test_substitution_effect(wrapped, sequence):
    """tangermeme's REF and ALT are ours."""
    import torch
    from tangermeme.variant_effect import substitution_effect

    model, _ = wrapped
    base = int(sequence[0, :, 1000].argmax())
    other = (base + 1) % 4
    before, after = substitution_effect(model, sequence, torch.tensor([[0, 1000, other]]), device="cpu")
    changed = sequence.clone()
    changed[0, :, 1000] = torch.eye(4)[other]
    np.testing.assert_allclose(before, model(sequence), rtol=1e-4)
    np.testing.assert_allclose(after, model(changed), rtol=1e-4)
    assert float((after - before).abs().max()) > 1e-6


def test_saturation_mutagenesis(wrapped, sequence):
    """All substitutions of 4 bp: as many columns, 0 nowhere but at the base that is there."""
    from tangermeme.saturation_mutagenesis import saturation_mutagenesis

    model, _ = wrapped
    before, after = saturation_mutagenesis(
        model, sequence, start=1000, end=1004, batch_size=4, raw_outputs=True, device="cpu", fast=False
    )
    effects = (after - before[:, None, None]).abs().amax(dim=-1)[0]
    assert tuple(effects.shape) == (4, 4)
    there = sequence[0, :, 1000:1004].bool()
    assert float(effects[there].max()) < 1e-5
    assert float(effects[~there].min()) > 1e-7


def test_gradients_do_not_pass(wrapped, sequence):
    """What the pages say: rules and gradients of torch end at our network."""
    from tangermeme.deep_lift_shap import deep_lift_shap
    from tangermeme.saliency import saliency

    for method in (saliency, deep_lift_shap):
        with pytest.raises(RuntimeError, match="requires grad"):
            method(wrapped[0], sequence, device="cpu")


@pytest.fixture(scope="module")
def net():
    """A small torch model of two CAGE tracks at 1 bp, one for each strand."""
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv1d(4, 8, 9, padding="same"), torch.nn.ReLU(), torch.nn.Conv1d(8, 2, 1), torch.nn.Softplus()
    )


def test_our_scorers_on_a_torch_model(net, genome):
    """`center_mask` through DLPack is what torch itself makes of the two alleles."""
    import torch
    from ag_core import Interval, Variant, track_table
    from ag_core.sequence import encode
    from ag_data import Fasta
    from ag_scorers import CallableEngine, CallableModel, CenterMaskScorer

    tables = {"cage": track_table({"name": ["net", "net"], "strand": ["+", "-"]})}
    seen = []

    def call(dna):
        seen.append(type(dna))
        return {"cage": net(dna.swapaxes(1, 2)).swapaxes(1, 2)}

    model = CallableModel(call, tables, resolutions={"cage": 1}, window=LENGTH, convert=torch.from_dlpack)
    fasta = Fasta(genome["fasta"])
    engine = CallableEngine(model, fasta, {"near": CenterMaskScorer("cage", 501, "diff_log2_sum")})
    (result,) = engine.score(Variant("chr20", 44_355_804, "C", "T"))

    start = 44_355_803 - LENGTH // 2 + 1
    codes = encode(fasta.fetch(Interval("chr20", start, start + LENGTH)))
    both = np.stack([codes, codes])
    both[1, 44_355_803 - start] = 3
    with torch.no_grad():
        dna = torch.from_numpy(np.eye(4, dtype=np.float32)[both])
        tracks = net(dna.swapaxes(1, 2)).numpy()
    middle = 44_355_803 - start
    sums = tracks[:, :, middle - 250 : middle + 251].sum(axis=2)
    assert seen == [torch.Tensor]
    assert np.abs(result.values).max() > 0
    np.testing.assert_allclose(result.values[0], np.log2(1 + sums[1]) - np.log2(1 + sums[0]), rtol=1e-3, atol=1e-6)


def test_tangermeme_reads_our_attributions(genome, tmp_path):
    import ag_scorers
    from ag_scorers.attribution import read_examples
    from tangermeme.seqlet import recursive_seqlets

    path = tmp_path / "promoter.npz"
    ag_scorers.write_attributions(
        [path], "dnase[HepG2] @ region", region="chr20:44,355,601-44,356,100", fasta=genome["fasta"]
    )
    contributions = read_examples(path).contributions.sum(axis=2)
    assert contributions.shape == (1, 500)
    seqlets = recursive_seqlets(contributions)
    assert {"example_idx", "start", "end", "attribution"} <= set(seqlets)
    for row in seqlets.itertuples():
        mine = contributions[int(row.example_idx), int(row.start) : int(row.end)].sum()
        assert row.attribution == pytest.approx(mine, rel=1e-4)
