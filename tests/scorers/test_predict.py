"""`agenome predict` and `ag_scorers.predict`, with a small random model that has all eleven heads."""

import dataclasses
import json
import pathlib
import shutil

import ag_scorers
import cooler
import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pybigtools
import pysam
import pytest
from ag_core.checkpoint import HeadSpec, ModelSpec, load, outline, save
from ag_core.cli import run
from ag_core.config import PRESETS
from ag_core.errors import InputError
from ag_core.schema import track_table
from ag_core.sequence import encode, one_hot, reverse_complement
from ag_data.export import MemoryWriter, leaves, open_predictions, summary
from ag_data.export.tree import interval_of
from ag_scorers.predictor import api
from ag_scorers.predictor.line_up import line_up

WINDOW = 6144
REGION = "chr1:5,001-8,000"
SETTINGS = {"splice_junctions": {"sites": 6, "threshold": 0.0, "hidden": 4}}


def _table(*rows):
    names, strands = zip(*rows, strict=True)
    cells = ["K562" if number % 2 else "HepG2" for number in range(len(rows))]
    real = [1.0 if name != "padding" else np.nan for name in names]
    return track_table({"name": names, "strand": strands, "biosample_name": cells, "nonzero_mean": real})


STRANDED = _table(("a", "+"), ("b", "+"), ("a", "-"), ("b", "-"), ("padding", "."))
PLAIN = _table(("c", "."), ("d", "."), ("padding", "."))
SITES = _table(("donor", "+"), ("acceptor", "+"), ("donor", "-"), ("acceptor", "-"), ("Padding", "."))
TABLES = dict.fromkeys(("procap", "cage", "rna_seq", "splice_site_usage"), STRANDED)
TABLES |= dict.fromkeys(("atac", "dnase", "chip_tf", "chip_histone", "contact_maps", "splice_junctions"), PLAIN)
TABLES |= {"splice_sites": SITES}
TRACKS = set(TABLES) - {"contact_maps", "splice_junctions"}


@pytest.fixture(scope="module")
def files(world, tmp_path_factory, randomise):
    """Paths: model with all heads, genome, genes, and the genome's reverse complement."""
    folder = tmp_path_factory.mktemp("predict")
    spec = ModelSpec(
        name="eleven",
        backbone=dataclasses.replace(PRESETS["tiny"], organisms=1),
        heads={name: HeadSpec(name, (table,), SETTINGS.get(name, {})) for name, table in TABLES.items()},
        organisms=("human",),
        window=WINDOW,
        licence="CC0-1.0",
    )
    save(folder / "model", randomise(outline(spec)), spec)
    turned = folder / "turned.fa"
    turned.write_text(f">chr1\n{reverse_complement(world.genome)}\n")
    return {"model": folder / "model", "fasta": world.fasta, "gtf": world.gtf, "turned": turned}


@pytest.fixture(scope="module")
def options(files):
    return {"model": files["model"], "fasta": files["fasta"]}


@pytest.fixture(scope="module")
def tree(options):
    return ag_scorers.predict(region=REGION, **options)


def command(files, *arguments):
    known = ["predict", "--model", str(files["model"]), "--fasta", str(files["fasta"]), "--quiet"]
    return [*known, *map(str, arguments)]


@eqx.filter_jit
def _run(model, dna):
    return model(dna, jnp.zeros(1, jnp.int32))


def whole(files, genome, window):
    """The model's own answer, not streamed."""
    model = load(files["model"]).model
    found = _run(model, one_hot(encode(genome[window.start : window.end])[None]))
    return {name: np.asarray(model.heads[name].output({k: v[0] for k, v in p.items()})) for name, p in found.items()}, {
        k: np.asarray(v[0]) for k, v in found["splice_junctions"].items()
    }


def _close(modality):
    # Usage is rounded to float16, where neighbours are 1/1024 apart.
    return {"rtol": 2e-3, "atol": 1e-5} if modality == "splice_site_usage" else {"rtol": 2e-4, "atol": 1e-5}


def same(left, right):
    """Two trees have the same values, coordinates and attributes."""
    assert left.attrs == {**right.attrs, **{k: left.attrs[k] for k in ("format", "complete") if k in left.attrs}}
    found = {(m, p): d for m, p, d in leaves(right)}
    for modality, place, dataset in leaves(left):
        other = found.pop((modality, place))
        assert dataset.attrs == other.attrs
        assert set(dataset.variables) == set(other.variables)
        for name in dataset.variables:
            ours, theirs = dataset[name], other[name]
            assert ours.dims == theirs.dims
            if ours.dtype.kind in "fb" or ours.dtype.kind == "i":
                np.testing.assert_array_equal(ours.values, theirs.values)
            else:
                assert ours.values.tolist() == theirs.values.tolist()
    assert not found


@pytest.mark.slow
def test_predictions_are_those_of_the_model_cut_to_the_region(tree, files, world):
    assert set(tree.children) == set(TABLES)
    window = interval_of(tree["cage"].to_dataset(), "window")
    outputs, _ = whole(files, world.genome, window)
    for modality in set(TABLES) - {"splice_junctions"}:
        dataset = tree[modality].to_dataset()
        interval = interval_of(dataset)
        resolution = dataset.attrs["resolution"]
        assert interval.start <= 5000 < interval.start + resolution
        assert interval.end - resolution < 8000 <= interval.end
        bins = slice((interval.start - window.start) // resolution, (interval.end - window.start) // resolution)
        expected = outputs[modality][bins]
        expected = expected[:, bins] if modality == "contact_maps" else expected
        real = np.flatnonzero(TABLES[modality]["name"].str.lower().values != "padding")
        np.testing.assert_allclose(dataset["prediction"].values, expected[..., real], **_close(modality))
        assert dataset["name"].values.tolist() == TABLES[modality]["name"].values[real].tolist()


@pytest.mark.slow
def test_junctions_are_pairs_of_sites_in_order(tree, files, world):
    junctions = tree["splice_junctions"].to_dataset()
    window = interval_of(junctions, "window")
    _, raw = whole(files, world.genome, window)
    expected = {}
    for block, (strand, donors, acceptors) in enumerate((("+", 0, 1), ("-", 2, 3))):
        for i, donor in enumerate(raw["splice_site_positions"][donors]):
            for j, acceptor in enumerate(raw["splice_site_positions"][acceptors]):
                low, high = (donor, acceptor) if strand == "+" else (acceptor, donor)
                start, end = low + 1 + window.start, high + window.start
                if min(donor, acceptor) >= 0 and start < end and start < 8000 and end > 5000:
                    counts = raw["predictions"][i, j, [block * 3, block * 3 + 1]]
                    expected[start, end, strand, donor + window.start, acceptor + window.start] = counts
    keys = zip(
        *(junctions[key].values.tolist() for key in ("start", "end", "strand", "donor", "acceptor")), strict=True
    )
    found = dict(zip(keys, junctions["count"].values, strict=True))
    assert len(expected) > 5
    assert found.keys() == expected.keys()
    for key, counts in expected.items():
        np.testing.assert_allclose(found[key], counts, rtol=1e-4)


@pytest.mark.slow
def test_the_minus_strand_is_the_plus_strand_of_the_turned_genome(files, options):
    length = 20_000
    minus = ag_scorers.predict(region="chr1:6145-12288:-", **options)
    plus = ag_scorers.predict(
        region=f"chr1:{length - 12288 + 1}-{length - 6144}", model=files["model"], fasta=files["turned"]
    )
    for modality, _, dataset in leaves(minus):
        if modality == "splice_junctions":
            there = plus[modality].to_dataset()
            turned = {
                (length - end, length - start, "+-"[strand == "+"]): counts
                for start, end, strand, counts in zip(
                    *(there[key].values.tolist() for key in ("start", "end", "strand")),
                    there["count"].values,
                    strict=True,
                )
            }
            assert turned
            for start, end, strand, counts in zip(
                *(dataset[key].values.tolist() for key in ("start", "end", "strand")),
                dataset["count"].values,
                strict=True,
            ):
                np.testing.assert_allclose(counts, turned.pop((start, end, strand)), rtol=1e-4)
            assert not turned
            continue
        values, there = dataset["prediction"].values, plus[modality]["prediction"].values
        there = there[::-1, ::-1] if modality == "contact_maps" else there[::-1]
        if values.shape[-1] == 4:  # '+' and '-' of two tracks
            there = there[..., [2, 3, 0, 1]]
        if modality == "dnase":  # cut sites lie at a base's left edge
            values, there = values[1:], there[:-1]
        np.testing.assert_allclose(values, there, err_msg=modality, **_close(modality))


def test_every_format_gives_back_the_prediction(tree, files, tmp_path, capsys):
    names = ("all.zarr", "tracks", "some.bedpe.gz", "maps.cool")
    outputs = [argument for name in names for argument in ("-o", tmp_path / name)]
    assert run(command(files, "--region", REGION, "--json", *outputs)) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["modalities"]["rna_seq"] == 4
    assert report["places"] == 1
    same(open_predictions(tmp_path / "all.zarr"), tree)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "some.bedpe.gz.tbi"])

    table = json.loads((tmp_path / "tracks" / "tracks.json").read_text())
    assert {about["modality"] for about in table.values()} == TRACKS
    for name, about in table.items():
        dataset = tree[about["modality"]].to_dataset()
        track = int(np.flatnonzero((dataset["name"] == about["name"]) & (dataset["strand"] == about["strand"]))[0])
        signal = np.repeat(dataset["prediction"].values[:, track], dataset.attrs["resolution"])
        start = 5000 - interval_of(dataset).start
        with pybigtools.open(str(tmp_path / "tracks" / name)) as file:
            values = file.values("chr1", 0, 20_000, fillna=np.nan)
        np.testing.assert_array_equal(values[5000:8000].astype(np.float32), signal[start : start + 3000])
        assert np.isnan(values[:5000]).all()
        assert np.isnan(values[8000:]).all()

    junctions = tree["splice_junctions"].to_dataset()
    assert junctions.sizes["junction"] > 5
    bedpe = pd.read_csv(tmp_path / "some.bedpe.gz", sep="\t", compression="gzip")
    order = np.lexsort((junctions["end"].values, junctions["start"].values))
    np.testing.assert_array_equal(bedpe["end1"], junctions["start"].values[order])
    np.testing.assert_array_equal(bedpe["start2"], junctions["end"].values[order])
    assert bedpe["strand1"].tolist() == junctions["strand"].values[order].tolist()
    np.testing.assert_array_equal(bedpe[["c", "d"]].to_numpy("float32"), junctions["count"].values[order])
    with pysam.TabixFile(str(tmp_path / "some.bedpe.gz")) as file:
        assert len(list(file.fetch("chr1", 0, 20_000))) == len(bedpe)

    maps = tree["contact_maps"].to_dataset()
    interval = interval_of(maps)
    for track, name in enumerate("cd"):
        cool = cooler.Cooler(f"{tmp_path / 'maps.cool'}::/{name}")
        assert cool.binsize == 2048
        matrix = cool.matrix(balance=False).fetch(f"chr1:{interval.start}-{interval.end}")
        upper = np.triu_indices(len(matrix))
        np.testing.assert_array_equal(matrix.astype("f4")[upper], maps["prediction"].values[..., track][upper])
        np.testing.assert_array_equal(matrix, matrix.T)


@pytest.mark.slow
def test_a_variant_has_both_alleles_between_the_same_sites(files, options, world):
    base = world.genome[7999]
    chosen = {"outputs": ["cage", "splice_junctions"], **options}
    snv = ag_scorers.predict(variant=f"chr1:8000:{base}>{world.other(8000)}", **chosen)
    ref, alt = (snv[f"splice_junctions/{allele}"].to_dataset() for allele in ("REF", "ALT"))
    for key in ("start", "end", "strand"):
        assert ref[key].values.tolist() == alt[key].values.tolist()
    assert np.abs(ref["count"].values - alt["count"].values).max() > 0
    assert np.abs(snv["cage/REF"]["prediction"].values - snv["cage/ALT"]["prediction"].values).max() > 0
    outputs, _ = whole(files, world.genome, interval_of(ref, "window"))
    np.testing.assert_allclose(snv["cage/REF"]["prediction"].values, outputs["cage"][:, :4], rtol=2e-4, atol=1e-5)


@pytest.mark.slow
def test_an_indel_is_aligned_when_asked_and_only_then_on_the_genome(files, options, world, tmp_path):
    base = world.genome[7999]
    variant = f"chr1:8000:{base}>{base}ACG"
    loose = ag_scorers.predict(variant=variant, outputs=["cage"], **options)
    close = ag_scorers.predict(variant=variant, outputs=["cage"], align="reference", **options)
    before, after = (tree["cage/ALT"]["prediction"].values for tree in (loose, close))
    at = 8000 - interval_of(loose["cage/ALT"].to_dataset()).start
    np.testing.assert_array_equal(before[: at - 1], after[: at - 1])
    np.testing.assert_array_equal(after[at - 1], before[at - 1 : at + 3].max(axis=0))
    np.testing.assert_array_equal(before[at + 3 :], after[at:-3])
    # The same from coordinates, also from a file.
    store = tmp_path / "loose.zarr"
    api.write_predictions([store], variant=variant, outputs=["cage"], **options)
    for tree in (loose, open_predictions(store)):
        ref, alt = (tree["cage/REF"].to_dataset(), tree["cage/ALT"].to_dataset())
        assert alt["ref_position"].values[at - 2 : at + 5].tolist() == [7998, 7999, -1, -1, -1, 8000, 8001]
        _, lined = line_up(ref, alt, fill=0)
        np.testing.assert_array_equal(lined["prediction"].values, after)
    np.testing.assert_array_equal(close["cage/ALT"]["ref_position"].values, ref["ref_position"].values)
    shutil.rmtree(store)
    with pytest.raises(InputError, match="--align reference"):
        api.write_predictions([tmp_path / "bw"], variant=variant, outputs=["cage"], **options)
    assert list(tmp_path.iterdir()) == []
    api.write_predictions([tmp_path / "bw"], variant=variant, outputs=["cage"], align="reference", **options)
    assert len(list((tmp_path / "bw").glob("ALT.cage.*.bw"))) == 4


def test_the_ends_of_a_chromosome_are_the_ends_of_its_files(files, options, tmp_path, world):
    base = world.genome[99]
    api.write_predictions(
        [tmp_path / "x.zarr", tmp_path / "x"],
        variant=f"chr1:100:{base}>{world.other(100)}",
        outputs=["atac"],
        **options,
    )
    dataset = open_predictions(tmp_path / "x.zarr")["atac/REF"].to_dataset()
    assert interval_of(dataset).start == 100 - WINDOW // 2
    with pybigtools.open(str(tmp_path / "x" / "REF.atac.c.bw")) as file:
        values = file.values("chr1", 0, 20_000, fillna=np.nan)
    inside = dataset["prediction"].values[-interval_of(dataset).start :, 0]
    np.testing.assert_array_equal(values[: len(inside)].astype("f4"), inside)
    assert np.isnan(values[len(inside) :]).all()


@pytest.mark.slow
def test_loose_sequences_are_predicted_as_regions_are(files, options, world, tmp_path):
    fasta = tmp_path / "loose.fa"
    fasta.write_text(f">s/1\n{world.genome[6144:12288]}\n")
    loose = ag_scorers.predict(sequences=fasta, model=files["model"], tracks="name=a | name=c")
    place = ag_scorers.predict(region="chr1:6145-12288", tracks="name=a | name=c", **options)
    assert loose.attrs["chromosomes"] == {"s/1": 6144}
    assert "splice_sites" not in loose.children
    for modality in ("cage", "contact_maps", "splice_junctions"):
        there, here = place[modality].to_dataset(), loose[modality]["s_1"].to_dataset()
        assert interval_of(here).chromosome == "s/1"
        variable = "count" if modality == "splice_junctions" else "prediction"
        np.testing.assert_array_equal(here[variable].values, there[variable].values)


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_stopped(files, options, tmp_path, monkeypatch):
    bed, out = tmp_path / "r.bed", tmp_path / "out.zarr"
    bed.write_text("chr1\t0\t300\tone\nchr1\t6000\t6300\ttwo\nchr1\t9000\t9900\tthree\n")
    chosen = {"bed": bed, "outputs": ["chip_tf", "splice_junctions"], **options}
    expected = ag_scorers.predict(**chosen)
    seen = []
    original = api.Predictor._predict

    def predict(self, place, writer, advance):
        seen.append(place.name)
        if place.name == "three" and seen.count("three") == 1:
            writer.create(place.name, self._block("chip_tf", place))[0:1] = np.ones((1, 2), np.float32)
            raise KeyboardInterrupt
        original(self, place, writer, advance)

    monkeypatch.setattr(api.Predictor, "_predict", predict)
    with pytest.raises(KeyboardInterrupt):
        api.write_predictions([out], **chosen)
    with pytest.raises(InputError, match="run the same command again"):
        open_predictions(out)
    with pytest.raises(InputError, match="no zarr store"):
        open_predictions(tmp_path / "out.zarr.partial")
    with pytest.raises(InputError, match="not finished"):
        open_predictions(tmp_path / "out.zarr.partial" / "store")
    api.write_predictions([out], **chosen)
    assert seen == ["one", "two", "three", "three"]
    same(open_predictions(out), expected)
    # Other settings are another run.
    api.write_predictions([out], force=True, **{**chosen, "tracks": "c"})
    assert len(seen) == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.zarr", "r.bed"]
    assert len(summary(open_predictions(out))) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--region", "chr9:1-100", "-o", "x.zarr"], "no chromosome 'chr9'"),
        (["--region", "chr1:1-100", "-o", "x.zarr", "--window", "5000"], "multiple of 2,048"),
        (["--region", "chr1:1-100", "-o", "x.txt"], "cannot tell the format"),
        (["--region", "chr1:1-100", "-o", "there.zarr"], "exists"),
        (["--region", "chr1:1-100", "-o", "there.zarr", "--force"], "will not be replaced"),
        (["--region", "chr1:1-100", "-o", "file/x.zarr"], "cannot write"),
        (["--region", "chr1:1-100", "-o", "x.zarr", "--outputs", "hi_c"], "does not predict hi_c"),
        (["--region", "chr1:1-100", "-o", "x.zarr", "--tracks", "liver"], "matches 'liver'"),
        (["--region", "chr1:1-100", "-o", "x.zarr", "--organism", "mouse"], "knows human, not 'mouse'"),
        (["--region", "chr1:1-100", "-o", "x.cool", "--outputs", "cage"], "x.cool holds maps"),
        (["--region", "chr1:1-100", "-o", "x.cool", "--outputs", "cage,contact_maps"], "no output can hold cage"),
        (["--region", "chr1:1-100", "-o", "x.bw", "--outputs", "cage"], "there are 4; give a folder"),
        (["--region", "chr1:1-100", "-o", "x.mcool"], "there are 2"),
        (["--region", "chr1:1-100", "-o", "x.zarr", "--dtype", "int8"], "expected one of float32, float16"),
        (["--gene", "ONE", "-o", "x.zarr"], "--gtf"),
        (["-o", "x.zarr"], "got none"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(files, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.zarr").mkdir()
    pathlib.Path("file").touch()
    assert run(command(files, *arguments)) == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "there.zarr"]


def test_the_plan_says_what_would_be_written(tree, files, tmp_path, capsys):
    out = tmp_path / "x.zarr"
    assert run(command(files, "--region", REGION, "-o", out, "--plan", "--json")) == 0
    plan = json.loads(capsys.readouterr().out)
    assert not out.exists()
    shapes = {row["modality"]: tuple(row["shape"]) for row in plan["arrays"]}
    for modality, _, dataset in leaves(tree):
        if modality == "splice_junctions":
            assert shapes[modality] == (None, 2)
        else:
            assert shapes[modality] == dataset["prediction"].shape
    assert plan["bytes"] == sum(d["prediction"].nbytes for _, _, d in leaves(tree) if "prediction" in d)
    assert run(command(files, "--region", REGION, "-o", out, "--plan")) == 0
    assert "3,000 position x 4 track" in capsys.readouterr().out


def test_progress_ends_at_the_end(options):
    plan = api.prepare(region=REGION, outputs=["cage", "chip_tf", "contact_maps"], **options)
    seen = []
    plan.predictor.run(plan.places, MemoryWriter(plan.predictor.tables, {}), seen.append)
    assert len(seen) >= 3
    assert sum(seen) == pytest.approx(plan.bases)


def test_half_precision_is_refused_where_it_would_overflow(files, options, tmp_path, monkeypatch):
    chosen = {"region": REGION, "outputs": ["cage"], **options}
    api.write_predictions([tmp_path / "half.zarr"], dtype="float16", **chosen)
    full, half = ag_scorers.predict(**chosen), open_predictions(tmp_path / "half.zarr")
    assert half["cage"]["prediction"].dtype == np.float16
    np.testing.assert_array_equal(half["cage"]["prediction"].values, full["cage"]["prediction"].values.astype("f2"))
    original = api.Predictor._put
    monkeypatch.setattr(
        api.Predictor,
        "_put",
        lambda self, target, name, place, start, found: original(
            self, target, name, place, start, {key: 1e6 * value for key, value in found.items()}
        ),
    )
    with pytest.raises(InputError, match="does not fit float16"):
        api.write_predictions([tmp_path / "large.zarr"], dtype="float16", **chosen)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half.zarr"]
