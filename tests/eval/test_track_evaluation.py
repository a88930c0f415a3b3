"""Evaluations of genome tracks from YAML, end to end on stores whose right answer is known."""

import contextlib
import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
import yaml
from ag_core.checkpoint import HeadSpec, ModelSpec, load, outline, save
from ag_core.cli import run as cli
from ag_core.config import PRESETS
from ag_core.errors import InputError
from ag_core.interfaces import AbstractSource
from ag_core.plugins import registry
from ag_core.schema import track_table
from ag_core.sequence import encode, one_hot
from ag_data import open_genome
from ag_data.modality_job import ModalityJob
from ag_data.parts import Part
from ag_data.store_writer import StoreWriter
from ag_eval.results import check_results
from ag_eval.tracks.evaluation import TrackEvaluation
from ag_eval.tracks.settings import FOLDER, METRICS, read_settings

NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
WINDOW, LENGTH, MAP = 2048, 16 * 2048, 16_384
BOTH = ["+", "+", "+", "-", "-", "-"]
SIGNALS = {
    "atac": (1, ["a", "b"], [".", "."]),
    "dnase": (1, ["a", "b"], [".", "."]),
    "procap": (1, ["a", "b", "a", "b"], ["+", "+", "-", "-"]),
    "cage": (1, ["a", "b", "a", "b"], ["+", "+", "-", "-"]),
    "rna_seq": (1, ["a", "b", "c"] * 2, BOTH),
    "chip_tf": (128, ["a", "b"], [".", "."]),
    "chip_histone": (128, ["a"], ["."]),
}
SITES = ["donor", "acceptor", "donor", "acceptor", "padding"]
ROOM = 8


class InMemory(AbstractSource):
    """`values` by chromosome: arrays, or tables of junctions."""

    def __init__(self, layout, resolution, table, values):
        self.layout, self.resolution, self._table, self.values = layout, resolution, table, values
        self.offsets = values.shape[1] if layout == "contacts" else None

    def tracks(self):
        return self._table

    def chromosomes(self):
        return {"chr1": None}

    def read(self, interval):
        if self.layout == "junctions":
            return self.values
        return self.values[interval.start // self.resolution : -(-interval.end // self.resolution)]


def write_store(path, genome, modalities, organism="human", build="hg38"):
    """{modality: (layout, resolution, track columns, values)} on chr1."""
    with contextlib.closing(StoreWriter(path, path.name)) as writer, ThreadPoolExecutor(1) as pool:
        for modality, (layout, resolution, columns, values) in modalities.items():
            table = track_table({**columns, "source_digest": [modality] * len(columns["name"])})
            part = Part(modality, InMemory(layout, resolution, table, values), table, {"chr1": "chr1"}, "missing", "-")
            ModalityJob(writer, modality, [part], {"chr1": LENGTH}, None, {}, pool, None).run()
        contigs = {name: {"length": n, "digest": genome.digest(name)} for name, n in genome.lengths.items()}
        root = {"organism": organism, "build": build, "contigs": contigs, "modalities": list(modalities)}
        writer.commit(root)
    return path


@eqx.filter_jit
def predict(model, codes, modalities, given=None):
    organism = jnp.zeros(len(codes), jnp.int32)
    found = model(one_hot(codes), organism, modalities=modalities, given=given)
    return {name: jax.vmap(model.heads[name].output)(found[name]) for name in modalities}


def place_sites(random):
    """Of each window: donors and acceptors on + and -, in the order of transcription, [window, 4, site]."""
    places = np.sort(
        np.stack([random.choice(np.arange(20, WINDOW - 20), 2 * ROOM, replace=False) for _ in range(2 * 16)]), axis=1
    ).reshape(16, 2, 2 * ROOM)
    plus, minus = places[:, 0], places[:, 1]
    # Donors mostly lie before acceptors, so that most pairs are possible.
    return np.stack([plus[:, :ROOM], plus[:, ROOM:], minus[:, ROOM:], minus[:, :ROOM]], axis=1).astype(np.int32)


def junction_table(sites, counts):
    """Introns between the sites of all windows, with their counts [window, donor, acceptor, strand, track]."""
    rows = []
    for window, (own, reads) in enumerate(zip(sites, counts, strict=True)):
        for strand in (0, 1):
            for d in range(ROOM):
                for a in range(ROOM):
                    low, high = sorted((int(own[2 * strand, d]), int(own[2 * strand + 1, a])))
                    start = window * WINDOW + low + 1
                    rows.append((start, window * WINDOW + high, "+-"[strand], reads[d, a, strand]))
    rows = sorted((row for row in rows if row[3].any()), key=lambda row: row[:3])
    starts, ends, strands, reads = zip(*rows, strict=True)
    coords = {"start": list(starts), "end": list(ends), "strand": np.array(strands, object)}
    return xr.Dataset(
        {"count": (("junction", "track"), np.array(reads, np.float32))},
        coords={key: ("junction", column) for key, column in coords.items()},
    )


def band(maps):
    """The upper band of maps that lie end to end, [bin, offset, track]; pairs of two maps are not measured."""
    bins = maps.shape[1]
    values = np.full((len(maps) * bins, bins, maps.shape[3]), np.nan, np.float32)
    for number, one in enumerate(maps):
        for row in range(bins):
            values[number * bins + row, : bins - row] = one[row, row:]
    return values


def write_genes(path):
    """A gene of two exons in each window, on alternating strands; one is cut off at the end of the region."""
    lines = []
    for number in range(15):
        start = number * WINDOW + 200
        exons = [(start, start + 150), (start + 300, start + 700)]
        if number == 13:
            exons[1] = (14 * WINDOW - 100, 14 * WINDOW + 100)
        for first, last in exons:
            lines.append(
                f'chr1\tx\texon\t{first + 1}\t{last}\t.\t{"+-"[number % 2]}\t.\tgene_id "g{number}"; '
                f'transcript_id "t{number}";'
            )
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory, randomise):
    """A genome, a model with all heads, a store of what the model says, and one of the same out of place."""
    folder, random = tmp_path_factory.mktemp("tracks"), np.random.default_rng(0)
    bases = {"chr1": "".join(random.choice(list("ACGT"), LENGTH)), "chr2": "ACGT" * WINDOW}
    fasta = folder / "genome.fa"
    fasta.write_text("".join(f">{name}\n{text}\n" for name, text in bases.items()))
    columns = {name: {"name": names, "strand": strands} for name, (_, names, strands) in SIGNALS.items()}
    columns["splice_sites"] = {"name": SITES, "strand": ["+", "+", "-", "-", "."]}
    columns["splice_site_usage"] = {"name": ["x", "y"] * 2, "strand": ["+", "+", "-", "-"]}
    columns["splice_junctions"] = {"name": ["x", "y"], "strand": [".", "."]}
    columns["contact_maps"] = {"name": ["one", "two"], "strand": [".", "."], "biosample_name": ["H1-hESC", "HFF"]}
    options = {"splice_junctions": {"sites": 32, "hidden": 8}}
    heads = {name: HeadSpec(name, (track_table(own),), options.get(name, {})) for name, own in columns.items()}
    backbone = dataclasses.replace(PRESETS["tiny"], organisms=1, blocks=1)
    spec = ModelSpec("toy", backbone, heads, ("human",), WINDOW, "CC0-1.0")
    save(folder / "model", randomise(outline(spec)), spec)
    checkpoint = load(folder / "model")
    model, codes = checkpoint.model, encode(bases["chr1"])
    tiles = codes.reshape(-1, WINDOW)
    along = [*SIGNALS, "splice_sites", "splice_site_usage"]
    said = {name: np.asarray(x, np.float32) for name, x in predict(model, tiles, along).items()}
    sites = place_sites(random)
    given = {"splice_junctions": {"splice_site_positions": jnp.asarray(sites)}}
    counts = np.asarray(predict(model, tiles, ["splice_junctions"], given)["splice_junctions"], np.float32)
    counts = counts.reshape(16, ROOM, ROOM, 2, 2)
    maps = np.asarray(predict(model, codes.reshape(-1, MAP), ["contact_maps"])["contact_maps"], np.float32)
    # What a track has less of than this is not seen.
    bar = np.quantile(counts, 0.6, axis=(0, 1, 2, 3))
    own, other = {}, {}
    for name, (resolution, _, _) in SIGNALS.items():
        values = said[name].reshape(-1, said[name].shape[-1])
        own[name] = ("signal", resolution, columns[name], values)
        # Strands differ in level, so that for stranded tracks out of place is not enough.
        turned = np.roll(values, 3 * WINDOW // resolution + 37, axis=0)
        other[name] = (*own[name][:3], values.max() - values if name in ("rna_seq", "procap") else turned)
    best = said["splice_sites"].reshape(-1, 5)[:, :4]
    classes = best >= np.sort(best[: 14 * WINDOW], axis=0)[-24]
    kinds = {key: column[:4] for key, column in columns["splice_sites"].items()}
    own["splice_sites"] = ("classes", 1, kinds, classes)
    other["splice_sites"] = ("classes", 1, kinds, np.roll(classes, 37, axis=0))
    usage = np.where(random.random((LENGTH, 1)) < 0.02, said["splice_site_usage"].reshape(LENGTH, -1), np.nan)
    own["splice_site_usage"] = ("usage", 1, columns["splice_site_usage"], usage)
    shuffled = usage.copy()
    there = np.flatnonzero(~np.isnan(usage[:, 0]))
    shuffled[there] = usage[random.permutation(there)]
    other["splice_site_usage"] = ("usage", 1, columns["splice_site_usage"], shuffled)
    seen = np.where(counts > bar, counts, 0)
    mixed = random.permutation(counts.reshape(-1, 2)).reshape(counts.shape)
    own["splice_junctions"] = ("junctions", 1, columns["splice_junctions"], junction_table(sites, seen))
    other["splice_junctions"] = (
        "junctions",
        1,
        columns["splice_junctions"],
        junction_table(sites, np.where(mixed > bar, mixed, 0)),
    )
    own["contact_maps"] = ("contacts", 2048, columns["contact_maps"], band(maps))
    other["contact_maps"] = ("contacts", 2048, columns["contact_maps"], band(maps[:, ::-1, ::-1]))
    genome = open_genome(fasta)
    middles = [number * WINDOW + WINDOW // 2 - 1 for number in range(15)]
    peaks = folder / "peaks.bed"
    peaks.write_text("".join(f"chr1\t{middle - 100}\t{middle + 100}\n" for middle in middles))
    # All pairs of sites, so that ratios are those of the model.
    whole = {"splice_junctions": (*own["splice_junctions"][:3], junction_table(sites, counts))}
    return {
        "model": checkpoint,
        "genome": genome,
        "fasta": fasta,
        "own": write_store(folder / "own.zarr", genome, own),
        "other": write_store(folder / "other.zarr", genome, other),
        "whole": write_store(folder / "whole.zarr", genome, whole),
        "gtf": write_genes(folder / "genes.gtf"),
        "peaks": peaks,
        "modalities": own,
        "folder": folder,
    }


def run(world, name, store="own", repeats=20, options=None, **changes):
    own = read_settings(name)
    data = {"store": world[store], "fasta": world["fasta"], "region": "chr1:1-28,672"}
    data |= {need: world[need] for need in own.needs}
    options = dict(options or {})
    if own.measure.startswith("contact"):
        data["region"], options["length"] = "chr1", MAP
    benchmark = TrackEvaluation(file=name, repeats=repeats, **options)
    return check_results(benchmark.run(world["model"], data | changes))


def value(results, metric, group=None, model="toy", of="value"):
    kept = (results["metric"].values == metric) & (results["model"].values == model)
    if group is not None:
        kept &= results["group"].values == group
    return float(results[of].values[kept][0])


# One of each kind; the others take longer together.
QUICK = (
    "splice_site_classification_gtf",
    "splice_junction_classification",
    "splice_junction_counts",
    "splice_junction_ratios",
    "rna_seq_coverage",
    "gene_expression",
    "procap_profile",
    "contact_maps",
)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_what_the_model_says_itself_is_right_and_out_of_place_it_is_not(world, name):
    own = read_settings(name)
    results = run(world, name, "whole" if own.measure == "junction_ratios" else "own")
    assert results["metric"].values[0] == own.metric
    found = value(results, own.metric)
    low, high = (value(results, own.metric, of=limit) for limit in ("low", "high"))
    wrong = value(run(world, name, "other", repeats=0), own.metric)
    if own.metric == "jensen_shannon":  # the store rounds to float16
        assert found < 0.02
        assert wrong > 0.2
    else:
        assert found == pytest.approx(1, abs=2e-3)
        assert wrong < 0.6
    assert low <= found + 1e-9
    assert high >= found - 1e-9


def test_a_shift_by_one_base_ruins_tracks_and_shapes_but_hardly_totals(world):
    layout, resolution, columns, values = world["modalities"]["dnase"]
    shifted = {"dnase": (layout, resolution, columns, np.roll(values, 1, axis=0))}
    world["shifted"] = write_store(world["folder"] / "shifted.zarr", world["genome"], shifted)
    results = run(world, "dnase_profile", "shifted", repeats=0)
    plain = run(world, "dnase_profile", repeats=0)
    names = ("jensen_shannon", "pearson", "pearson_log_counts")
    distance, track, totals = (value(results, name) for name in names)
    assert distance > value(plain, "jensen_shannon") + 0.05
    assert 1 - track > 1e-3
    assert 1 - totals < 1e-2 * (1 - track)
    assert results.attrs["peaks"] == 14
    # Of a flat profile the mean of the others is near.
    flat, mean = (value(results, "jensen_shannon", "a", who) for who in ("flat", "mean_profile"))
    assert 0 < mean < flat + 0.05


def test_expression_is_the_mean_over_exons_on_the_gene_s_strand(world):
    results = run(world, "gene_expression")
    assert (results.attrs["genes"], results.attrs["genes_cut_off"]) == (13, 1)
    signal = world["modalities"]["rna_seq"][3].astype(np.float64)
    expected = []
    for number in range(13):
        start = number * WINDOW + 200
        bases = np.r_[start : start + 150, start + 300 : start + 700]
        expected.append(np.log1p(signal[bases][:, 3 * (number % 2) : 3 * (number % 2) + 3].mean(axis=0)))
    np.testing.assert_allclose(results["target"].values, np.ravel(expected), rtol=1e-4)
    assert results["predictor"].values.tolist() == ["toy", "gc_content"]
    np.testing.assert_allclose(results["score"].values[0], results["target"].values, rtol=1e-4)


def test_baselines_departures_and_unmatched_tracks_are_said(world):
    columns = {"name": ["a", "elsewhere"], "strand": [".", "."]}
    values = world["modalities"]["dnase"][3]
    coarse = values.reshape(-1, 64, 2).sum(axis=1)
    world["coarse"] = write_store(
        world["folder"] / "coarse.zarr", world["genome"], {"dnase": ("signal", 64, columns, coarse)}, build="hg19"
    )
    results = run(world, "borzoi_accessibility", "coarse")
    assert value(results, "pearson", "a") == pytest.approx(1, abs=1e-4)
    assert abs(value(results, "pearson", "a", "gc_content")) < 0.9
    assert results.attrs["tracks_only_model"] == "b (.)"
    assert results.attrs["tracks_only_store"] == "elsewhere (.)"
    for said in (
        "the store has no atac",
        "on hg19, not on GRCh38",
        "windows of 2,048 bp, not of 524,288",
        "bins of 64 bp, not of 32",
    ):
        assert said in results.attrs["departures"]
    assert results.attrs["resolution"] == "dnase 64"
    assert results.attrs["held_out"] == "chr1:1-28,672"


def test_windows_of_a_bed_file_count_by_label_and_only_as_far_as_they_reach(world, tmp_path):
    bed = tmp_path / "windows.bed"
    bed.write_text("chr1\t0\t4096\tfold0\nchr1\t8816\t9616\tfold1\nchr1\t12288\t18432\tfold1\n")
    results = run(world, "rna_seq_coverage", windows=bed, repeats=0)
    # 800 bases of a window around the short one, and three windows.
    assert results.attrs["values_compared"] == 6 * (800 + 3 * WINDOW)
    assert value(results, "pearson") == pytest.approx(1, abs=1e-4)
    assert run(world, "rna_seq_coverage", windows=bed, repeats=0, options={"split": "fold0"}).attrs["windows"] == 2
    with pytest.raises(InputError, match="labelled fold0, fold1, none labelled fold9"):
        run(world, "rna_seq_coverage", windows=bed, options={"split": "fold9"})


def test_raw_sums_are_the_reference_s_and_have_no_intervals(world):
    plain = run(world, "rna_seq_coverage_log1p", "other")
    raw = run(world, "rna_seq_coverage_log1p", "other", options={"float32_raw_sums": True})
    assert value(raw, "pearson") == pytest.approx(value(plain, "pearson"), abs=1e-3)
    assert np.isnan(value(raw, "pearson", of="low"))
    assert not np.isnan(value(plain, "pearson", of="low"))


@pytest.mark.parametrize(("seen", "windows"), [("flag", 14), ("mask", 10)])
def test_windows_seen_in_training_are_counted_or_left_out(world, seen, windows):
    spec = dataclasses.replace(world["model"].spec, trained_on={"GRCh38": ("chr1:5,000-9,000", "chr1:20,481-20,482")})
    trained = {**world, "model": dataclasses.replace(world["model"], spec=spec)}
    results = run(trained, "rna_seq_coverage", options={"seen": seen})
    assert results.attrs["windows"] == windows
    assert results.attrs["seen"] == (4 if seen == "flag" else 0)
    groups = results["group"].values.tolist()
    assert ("mean of tracks, not seen in training" in groups) == (seen == "flag")
    if seen == "flag":
        masked = run(trained, "rna_seq_coverage", "other", repeats=0, options={"seen": "mask"})
        flagged = run(trained, "rna_seq_coverage", "other", repeats=0)
        one, two = value(flagged, "pearson", "mean of tracks, not seen in training"), value(masked, "pearson")
        assert one == pytest.approx(two, rel=1e-9)
        assert one != value(flagged, "pearson")


def test_one_class_only_is_not_defined_and_said(world):
    layout, resolution, columns, classes = world["modalities"]["splice_sites"]
    classes = classes & [True, True, True, False]
    world["no acceptors"] = write_store(
        world["folder"] / "few.zarr", world["genome"], {"splice_sites": (layout, resolution, columns, classes)}
    )
    results = run(world, "splice_site_classification_gtf", "no acceptors", repeats=5)
    assert np.isnan(value(results, "auprc", "acceptor -"))
    assert results.attrs["undefined"] == "acceptor -"
    assert value(results, "auprc", "mean of classes") == pytest.approx(1)
    chance = value(results, "auprc", "donor +", "random")
    assert 0 < chance < 0.01
    assert value(results, "auprc", "donor +", "gt_ag") < 0.1


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("rna_seq_coverage", {"build": "hg18"}, "made on hg18; rna_seq_coverage takes GRCh38 or GRCh37"),
        ("rna_seq_coverage", {"organism": "mouse"}, "is of mouse, rna_seq_coverage asks for human"),
        ("atac_profile", {}, "has rna_seq, atac_profile asks for atac"),
        ("rna_seq_coverage", {"region": "chr2"}, "nothing measured of rna_seq in any of 4 windows, from chr2:1-2,048"),
        ("rna_seq_coverage", {"region": None}, "what is held out"),
        ("rna_seq_coverage", {"region": "chr9"}, "chr9"),
        ("rna_seq_coverage", {"names": ["x", "y", "z"] * 2}, r"rna_seq tracks \(x .* is in the model's table \(a "),
        ("rna_seq_coverage", {"select": "K562"}, "none of its rna_seq tracks fits 'K562'"),
        ("rna_seq_coverage", {"layout": "usage"}, "splice_junction_counts reads junctions"),
    ],
)
def test_what_does_not_fit_is_refused(world, tmp_path, name, change, message):
    layout, resolution, columns, values = world["modalities"]["rna_seq"]
    columns = {**columns, "name": change.get("names", columns["name"])}
    about = {key: change[key] for key in ("organism", "build") if key in change}
    store = write_store(
        tmp_path / "s.zarr", world["genome"], {"rna_seq": (layout, resolution, columns, values)}, **about
    )
    content = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    if "select" in change:
        content["data"]["select"] = change["select"]
    if "layout" in change:
        content |= {"name": "splice_junction_counts", "measure": "junction_counts", "metric": "pearson"}
    file = tmp_path / "own.yaml"
    file.write_text(yaml.safe_dump(content))
    data = {"store": store, "fasta": world["fasta"], "region": "chr1", "peaks": world["peaks"]}
    data |= {key: change[key] for key in ("region",) if key in change}
    with pytest.raises(InputError, match=message):
        TrackEvaluation(file=file, repeats=0).run(world["model"], data)


def test_a_model_without_the_head_and_another_genome_are_refused(world, tmp_path):
    bare = dataclasses.replace(world["model"].spec, heads={"cage": world["model"].spec.heads["cage"]})
    model = dataclasses.replace(world["model"], spec=bare)
    data = {"store": world["own"], "fasta": world["fasta"], "region": "chr1"}
    with pytest.raises(InputError, match="model 'toy' predicts cage, not rna_seq"):
        TrackEvaluation(file="rna_seq_coverage").run(model, data)
    other = tmp_path / "other.fa"
    other.write_text(f">chr1\n{'A' * LENGTH}\n>chr2\n{'ACGT' * WINDOW}\n")
    with pytest.raises(InputError, match="was made on another genome"):
        TrackEvaluation(file="rna_seq_coverage").run(world["model"], data | {"fasta": other})


@pytest.mark.parametrize("name", NAMES)
def test_files_are_whole(name):
    own = read_settings(name)
    assert own.name == name
    assert own.metric in METRICS[own.measure]
    assert own.split.text
    assert own.traps
    assert registry().get("benchmarks", name).summary == own.title
    benchmark = registry().create("benchmarks", name)
    assert benchmark.citation == own.data.source
    assert benchmark.higher_is_better == (own.metric != "jensen_shannon")


def test_all_rows_of_the_paper_s_table_are_there():
    assert sorted(int(read_settings(name).number[1:]) for name in NAMES) == list(range(1, 25))


def test_a_store_is_measured_by_command(world, capsys):
    command = ["eval", "splice_site_usage", "--store", str(world["own"]), "--fasta", str(world["fasta"])]
    command += ["--model", str(world["folder"] / "model"), "--json"]
    assert cli(command) == 2
    assert "give --region or --windows" in capsys.readouterr().err
    assert cli([*command, "--region", "chr1:1-8,192"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cases"][0]["value"] == pytest.approx(1, abs=2e-3)
    assert found["attributes"]["windows"] == 4


def test_mistakes_in_a_file_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no_such cannot be read .*; there are atac_profile"):
        read_settings("no_such")
    content = yaml.safe_load((FOLDER / "dnase_profile.yaml").read_text())
    file = tmp_path / "own.yaml"
    for change, message in (
        ({"metric": "auprc"}, "profile has no metric auprc; it has jensen_shannon"),
        ({"middle": None}, "windows around peaks need middle"),
        ({"cells": ["a", "b"]}, "contact_differences needs cells"),
        ({"measure": "prfile"}, "measure: Input should be 'coverage'"),
    ):
        file.write_text(yaml.safe_dump(content | change))
        with pytest.raises(InputError, match=message):
            read_settings(file)
