"""In-silico mutagenesis: which changes, what they score on REF and on ALT backgrounds, contributions, resuming."""

import json

import ag_scorers
import numpy as np
import pyarrow.parquet as pq
import pytest
import xarray as xr
from ag_core.cli import run
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_scorers.mutagenesis import run as ism_run
from ag_scorers.mutagenesis.contributions import centred, ism_matrix
from ag_scorers.mutagenesis.mutations import deletions, ism_variants, shuffles
from ag_scorers.mutagenesis.saturation import Changes, prepare

SCORERS = ("center_mask:modality=chip_tf", "gene_mask_lfc:modality=rna_seq")
SPAN = Interval("chr1", 4290, 4300)


def options(world, **more):
    return {"fasta": world.fasta, "gtf": world.gtf, "model": str(world.model), "scorers": SCORERS, **more}


def child(tree, part):
    (key,) = [key for key in tree.children if part in key.lower()]
    return tree[key]


@pytest.fixture(scope="module")
def found(world):
    return ag_scorers.mutagenise(SPAN, **options(world))


def test_variants_in_order_and_unknown_bases():
    variants = ism_variants(Interval("chr2", 9, 11), "NC")
    assert [str(one) for one in variants] == [
        *(f"chr2:10:N>{base}" for base in "ACGT"),
        *(f"chr2:11:C>{base}" for base in "AGT"),
    ]
    assert len(ism_variants(Interval("chr2", 9, 11), "NC", skip_n=True)) == 3
    with pytest.raises(ValueError, match="2 bp, the sequence 3"):
        ism_variants(Interval("chr2", 9, 11), "NCA")


def test_deletions_and_shuffles():
    span = Interval("chr1", 100, 106)
    taken = list(deletions(span, "ACGTTA", 2, "G", step=2))
    assert [str(one.variant) for one in taken] == ["chr1:100:GAC>G", "chr1:102:CGT>C", "chr1:104:TTA>T"]
    assert [one.row for one in taken] == [0, 2, 4]
    mixed = list(shuffles(span, "AAAAAC", 3, repeats=4, seed=3))
    assert {one.row for one in mixed} == {3}  # the others have no other order
    assert all(sorted(one.variant.alternate_bases) == ["A", "A", "C"] for one in mixed)
    assert all(one.variant.alternate_bases != "AAC" for one in mixed)
    assert mixed == list(shuffles(span, "AAAAAC", 3, repeats=4, seed=3))


def test_matrix_is_centred_as_the_reference_does():
    variants = ism_variants(Interval("chr1", 5, 7), "AC")
    scores = [1.0, 2.0, 6.0, -1.0, 0.5, 2.0]
    whole = ism_matrix(scores, variants, multiply_by_sequence=False)
    np.testing.assert_allclose(whole, [[-3, -2, -1, 3], [-1.5, -0.5, 0, 1.5]])
    np.testing.assert_allclose(ism_matrix(scores, variants), [[-3, 0, 0, 0], [0, -0.5, 0, 0]])
    # Larger intervals need all of their bases; what is no SNV, or outside, does not count.
    padded = ism_matrix(scores, variants, Interval("chr1", 4, 7), require_fully_filled=False)
    np.testing.assert_allclose(padded, [[0] * 4, [-3, 0, 0, 0], [0, -0.5, 0, 0]])
    more = ism_matrix([*scores, 9.0, 9.0], [*variants, Variant("chr1", 6, "A", ""), Variant("chr2", 6, "A", "C")])
    np.testing.assert_array_equal(more, ism_matrix(scores, variants))
    with pytest.raises(ValueError, match="chr1:5 has scores of 0 substitutions; expected 3"):
        ism_matrix(scores, variants, Interval("chr1", 4, 7))
    four = [*variants[:3], Variant("chr1", 6, "C", "A")]
    with pytest.raises(ValueError, match="scores of 4 substitutions"):
        ism_matrix([1, 2, 3, 4], four, require_fully_filled=False)


def test_effects_are_scores_of_single_variants(world, found):
    work, _ = prepare(SPAN, partial=False, **options(world))
    base = world.genome[SPAN.start + 4]
    tf, genes = child(found, "chip_tf"), child(found, "rna_seq")
    for other in set("ACGT") - {base}:
        variant = Variant("chr1", SPAN.start + 5, base, other)
        expected = work.engine.score(variant, work.window)
        np.testing.assert_allclose(tf["effect"].sel(base=other)[4], expected[0].values[0], rtol=2e-4, atol=1e-6)
        np.testing.assert_allclose(genes["effect"].sel(base=other)[4], expected[1].values, rtol=2e-4, atol=1e-6)
    assert (tf["effect"].sel(base=base)[4] == 0).all()
    assert tf["position"].values.tolist() == list(range(SPAN.start, SPAN.end))
    assert "".join(tf["reference"].values) == world.genome[SPAN.start : SPAN.end]
    assert genes["gene_name"].values.tolist() == ["ONE"]
    mean = tf["effect"].sum("base") / 3
    np.testing.assert_allclose(tf["contribution"], -mean, rtol=1e-5, atol=1e-8)
    # The matrix of the reference, from the same scores.
    scores, variants = [], ism_variants(SPAN, world.genome[SPAN.start : SPAN.end])
    for variant in variants:
        row = tf["effect"].sel(base=variant.alternate_bases)[variant.start - SPAN.start]
        scores.append(float(row[0]))
    matrix = ism_matrix(scores, variants, multiply_by_sequence=False)
    np.testing.assert_allclose(centred(tf["effect"]).isel(track=0), matrix, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(tf["contribution"][:, 0], ism_matrix(scores, variants).sum(axis=1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("ref", "alt"), [("=", "other"), ("=", "=GATTACA"), ("=12", "=")])
def test_a_background_is_a_genome_with_alt_in_it(world, tmp_path, ref, alt):
    """As if FASTA and GTF were files in which the variant had been made; places are told in REF."""
    at = 4200  # in the first exon, left of the span
    size = 12 if ref == "=12" else 1
    ref = world.genome[at - 1 : at - 1 + size]
    alt = world.other(at) if alt == "other" else alt.replace("=", world.genome[at - 1])
    background = Variant("chr1", at, ref, alt)
    seen = ag_scorers.mutagenise(SPAN, background=str(background), **options(world))

    genome = world.genome[: at - 1] + alt + world.genome[at - 1 + size :]
    shift = len(alt) - size
    (tmp_path / "genome.fa").write_text(f">chr1\n{genome}\n")
    lines = []
    for line in world.gtf.read_text().splitlines():
        fields = line.split("\t")
        fields[3:5] = [str(int(value) + shift * (int(value) > at)) for value in fields[3:5]]
        lines.append("\t".join(fields))
    (tmp_path / "genes.gtf").write_text("\n".join(lines) + "\n")
    made = options(world) | {"fasta": tmp_path / "genome.fa", "gtf": tmp_path / "genes.gtf"}
    expected = ag_scorers.mutagenise(SPAN.shift(shift), **made)
    for key in seen.children:
        np.testing.assert_array_equal(seen[key]["effect"], expected[key]["effect"])
        assert seen[key]["position"].values.tolist() == list(range(SPAN.start, SPAN.end))
    assert seen.attrs["background"] == str(background)


def test_inserted_bases_are_mutated_too(world):
    background = Variant("chr1", SPAN.start + 3, world.genome[SPAN.start + 2], world.genome[SPAN.start + 2] + "GAT")
    tree = ag_scorers.mutagenise(SPAN, background=background, **options(world, scorers=SCORERS[:1]))
    data = child(tree, "chip_tf")
    assert "".join(data["reference"].values[3:6]) == "GAT"
    assert data["inserted"].values.tolist() == [0, 0, 0, 1, 2, 3, *[0] * 7]
    assert data["position"].values[2:7].tolist() == [SPAN.start + 2] * 4 + [SPAN.start + 3]
    assert np.isfinite(data["effect"]).all()


def test_deletions_and_shuffles_are_scored(world):
    small = options(world, scorers=SCORERS[:1])
    work, made_by = prepare(SPAN, changes=Changes("deletion", size=3, step=4), **small)
    effect = child(work.effects(work.run(work.calls()), made_by), "chip_tf")["effect"]
    assert effect.dims == ("position", "track")
    assert np.isfinite(effect[:, 0]).values.nonzero()[0].tolist() == [0, 4]
    ref = world.genome[SPAN.start + 3 : SPAN.start + 7]
    expected = work.engine.score(Variant("chr1", SPAN.start + 4, ref, ref[0]), work.window)
    np.testing.assert_allclose(effect[4], expected[0].values[0], rtol=1e-4, atol=1e-6)
    shuffled = ag_scorers.mutagenise(SPAN, changes=Changes("shuffle", size=5, step=5, repeats=2), **small)
    assert child(shuffled, "chip_tf")["effect"].dims == ("position", "repeat", "track")


def command(world, *more):
    files = ["--fasta", str(world.fasta), "--gtf", str(world.gtf), "--model", str(world.model)]
    return ["ism", "chr1:4291-4300", *files, *(part for text in SCORERS for part in ("--scorer", text)), *more]


def test_command_goes_on_after_an_interruption(world, found, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ism_run, "SHARD", 8)
    store, table = tmp_path / "effects.zarr", tmp_path / "scores.parquet"
    picture = tmp_path / "effects.svg"
    arguments = command(world, "-o", str(store), "-o", str(table), "--json", "--picture", str(picture))
    began, score = [], ag_scorers.Engine.run

    def interrupted(engine, calls, interval=None):
        began.append(1)
        if len(began) == 3:
            raise KeyboardInterrupt
        return score(engine, calls, interval)

    monkeypatch.setattr(ag_scorers.Engine, "run", interrupted)
    assert run(arguments) == 130
    assert not store.exists()
    assert "2 shards are kept" in capsys.readouterr().err
    assert run(arguments) == 0
    assert len(began) == 5  # 30 mutations in four shards, of which two were there
    assert json.loads(capsys.readouterr().out)["statuses"] == {"scored": 30}
    assert not (tmp_path / "effects.zarr.run").exists()
    assert "<svg" in picture.read_text()
    tree = xr.open_datatree(store, engine="zarr")
    for key, one in found.children.items():
        np.testing.assert_allclose(tree[key]["effect"], one["effect"], rtol=2e-4, atol=1e-6)
        assert tree[key]["reference"].values.tolist() == one["reference"].values.tolist()
    assert len(ag_scorers.plot_effects(tree).axes) == 3
    rows = pq.read_table(table).to_pandas()
    assert len(rows) == 30 * (2 + 2)  # two tracks of the gene are on its strand or on none
    # Another region in the same folder is another run.
    other = [argument.replace("4300", "4310") for argument in arguments]
    (tmp_path / "effects.zarr.run" / "shards").mkdir(parents=True)
    (tmp_path / "effects.zarr.run" / "plan.json").write_text(json.dumps({"format": 1, "span": "chr1:1-2"}))
    assert run(other) == 2
    assert "holds the shards of another run: span was chr1:1-2" in capsys.readouterr().err


def test_picture(found):
    (above, below, _) = ag_scorers.plot_effects(found).axes
    assert above.get_xlim() == below.get_xlim() == (SPAN.start + 0.5, SPAN.end + 0.5)
    assert below.xaxis.get_major_formatter()(SPAN.start + 3, 0) == f"{SPAN.start + 3:,}"
    with pytest.raises(InputError, match="no scorer 'NOTHING' among"):
        ag_scorers.plot_effects(found, "NOTHING")


@pytest.mark.parametrize(
    ("region", "more", "message"),
    [
        ("chr1:4291", {}, None),
        ("chr1:5-1", {}, "cannot read the region"),
        (Interval("chr1", 5, 5), {}, "has no bases; give a span of 1 bp or more"),
        ("chr1:4001-9000", {}, "5,000 bp, the window 4,096"),
        ("chr1:30001-30100", {}, "lies outside chr1"),
        ("chr7:1-20", {}, "no chromosome 'chr7'"),
        ("chr1:4291-4300", {"background": "chr1:xx"}, "background: cannot read the variant"),
        ("chr1:4291-4300", {"background": "chr1:9000:N>A"}, "the genome has . there, not N"),
        ("chr1:4291-4300", {"changes": ("deletion", 20)}, "stretches of 20 bp every 1 bp in a span of 10 bp"),
        ("chr1:4291-4300", {"changes": ("inversion", 2)}, "mutations by 'inversion': expected one of substitution"),
        ("chr1:4291-4300", {"changes": ("shuffle", 1)}, "has no other order"),
    ],
)
def test_what_cannot_be_mutated(world, region, more, message):
    def attempt():
        given = {**more, "changes": Changes(*more["changes"])} if "changes" in more else more
        prepare(region, **options(world, scorers=SCORERS[:1], **given))

    if message is None:
        attempt()
        return
    with pytest.raises(InputError, match=message):
        attempt()


def test_backgrounds_that_do_not_fit(world):
    far, cut = (Variant("chr1", at, world.genome[at - 1 : at + 3], "A") for at in (12_000, 4289))
    with pytest.raises(InputError, match="is not inside the window"):
        prepare(SPAN, background=far, **options(world))
    with pytest.raises(InputError, match="ends inside the background variant"):
        prepare(SPAN, background=cut, **options(world))
