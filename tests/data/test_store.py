"""Track stores: what is written is read, whole or not at all."""

import json
import os
import pathlib
import pickle
import signal
import subprocess
import sys

import numpy as np
import pybigtools
import pytest
import xarray as xr
import yaml
from ag_core import cli
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_data.ingest import import_tracks
from ag_data.manifest import make_manifest, read_manifest
from ag_data.store import open_store, work_folder
from ag_data.zarr_layout import lock

LENGTHS = {"chr1": 70_001, "chr2": 33_000}


def write_bigwig(path, values):
    """One entry for each run of a chromosome's values."""

    def entries():
        for name, column in values.items():
            edges = np.flatnonzero(np.diff(column, prepend=np.nan, append=np.nan))
            for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
                if column[start]:
                    yield name, start, end, float(column[start])

    pybigtools.open(str(path), "w").write({name: len(column) for name, column in values.items()}, entries())
    return path


@pytest.fixture
def world(tmp_path, write_fasta):
    """A genome, signal of three bigWigs with few values, and a manifest of two modalities."""
    random = np.random.default_rng(0)
    write_fasta({name: "".join(random.choice(list("ACGT"), n)) for name, n in LENGTHS.items()})
    files = {}
    for stem in ("plus", "minus", "chip", "late"):
        files[stem] = {
            name: (random.poisson(0.2, n) * random.integers(1, 5, n)).astype(np.float32) for name, n in LENGTHS.items()
        }
        write_bigwig(tmp_path / f"{stem}.bw", files[stem])
    content = {
        "genome": "genome.fa",
        "organism": "human",
        "build": "made up",
        "tracks": [
            {"path": {"+": "plus.bw", "-": "minus.bw"}, "modality": "cage", "name": "CAGE", "biosample_name": "K562"},
            {"path": "chip.bw", "modality": "chip_tf", "name": "CTCF", "transcription_factor": "CTCF"},
        ],
    }
    (tmp_path / "manifest.yaml").write_text(yaml.safe_dump(content))
    return tmp_path, files, content


@pytest.fixture
def store(world):
    folder, _, _ = world
    import_tracks(read_manifest(folder / "manifest.yaml"), folder / "store.zarr")
    return open_store(folder / "store.zarr")


def test_what_is_written_is_read(world, store):
    _, files, _ = world
    assert store.modalities == ("cage", "chip_tf")
    assert store.chromosomes == LENGTHS
    cage = np.stack([files["plus"]["chr1"], files["minus"]["chr1"]], axis=1)
    read = store.read("cage", Interval("chr1", 0, LENGTHS["chr1"]))
    assert read.dtype == np.float16
    np.testing.assert_array_equal(read, cage)
    np.testing.assert_array_equal(store.read("cage", Interval("1", 500, 900), [1]), cage[500:900, 1:])
    # Bins are sums; the last of chr1 has 70,001 mod 128 = 113 bases.
    chip = np.add.reduceat(files["chip"]["chr1"], np.arange(0, LENGTHS["chr1"], 128))
    np.testing.assert_array_equal(store.read("chip_tf", Interval("chr1", 0, 547 * 128))[:, 0], chip)


def test_beyond_the_ends_nothing_was_measured(store):
    read = store.read("cage", Interval("chr2", -10, LENGTHS["chr2"] + 7))
    assert np.isnan(read[:10]).all()
    assert np.isnan(read[-7:]).all()
    assert not np.isnan(read[10:-7]).any()
    assert np.isnan(store.read("cage", Interval("chr2", 10**6, 10**6 + 5))).all()
    with pytest.raises(InputError, match="knows no chromosome 'chr9'"):
        store.read("cage", Interval("chr9", 0, 5))
    with pytest.raises(ValueError, match="off the grid of chip_tf"):
        store.read("chip_tf", Interval("chr1", 5, 133))


def test_tables_carry_the_manifest_and_the_means(world, store):
    _, files, _ = world
    table = store.tracks("cage")
    assert list(table["strand"].values) == ["+", "-"]
    assert list(table["biosample_name"].values) == ["K562"] * 2
    both = [np.concatenate(list(files[stem].values())) for stem in ("plus", "minus")]
    mean = np.mean([values[values > 0].mean() for values in both])
    np.testing.assert_allclose(table["nonzero_mean"].values, mean, rtol=1e-6)
    counted = store.statistics("cage").sel(contig="chr2")
    np.testing.assert_allclose(counted["total"].values, [files[stem]["chr2"].sum() for stem in ("plus", "minus")])
    assert counted["missing"].values.tolist() == [0, 0]


def test_it_is_plain_xarray(store):
    tree = xr.open_datatree(store.path, engine="zarr", consolidated=False)
    assert tree["cage/chr1/signal"].dims == ("position", "track")
    dataset = store.dataset("chip_tf", "chr2")
    assert str(dataset["transcription_factor"].values[0]) == "CTCF"
    assert dataset.attrs["resolution"] == 128
    again = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(
        again.read("chip_tf", Interval("chr2", 0, 1280)), store.read("chip_tf", Interval("chr2", 0, 1280))
    )


def add(world, **changes):
    folder, _, content = world
    entry = {"path": "late.bw", "modality": "chip_tf", "name": "late", **changes}
    return make_manifest({**content, "tracks": [*content["tracks"], entry]}, folder=folder)


def contents(path):
    """Every file of a store and its bytes."""
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_tracks_are_added_and_the_others_stay(world, store):
    _, files, _ = world
    before = contents(store.path / "cage")
    done = import_tracks(add(world), store.path)
    assert dict(done.added) == {"chip_tf": 1}
    assert done.unchanged == 3
    grown = open_store(store.path)
    assert list(grown.tracks("chip_tf")["name"].values) == ["CTCF", "late"]
    sums = [np.add.reduceat(files[stem]["chr1"], np.arange(0, LENGTHS["chr1"], 128)) for stem in ("chip", "late")]
    np.testing.assert_array_equal(grown.read("chip_tf", Interval("chr1", 0, 547 * 128)), np.stack(sums, axis=1))
    assert contents(store.path / "cage") == before
    assert not work_folder(store.path).exists()
    assert import_tracks(add(world), store.path).added == {}


def test_a_track_of_the_same_name_is_replaced_only_if_told(world, store):
    other = add(world, name="CTCF")
    other = other.model_copy(update={"tracks": [other.tracks[0], other.tracks[2]]})
    with pytest.raises(InputError, match=r"'CTCF' \(\.\) is in the store already.*--replace"):
        import_tracks(other, store.path)
    import_tracks(other, store.path, replace=True)
    assert list(open_store(store.path).tracks("chip_tf")["source"].values) == ["late.bw"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"organism": "mouse"}, "is of human, the manifest of mouse"),
        ({"chromosomes": ["chr1"]}, "share their chromosomes"),
        ({"genome": "other.fa"}, "made on another genome: its chr1 has 70,001 bp"),
    ],
)
def test_what_does_not_belong_is_refused_and_the_store_stays(world, store, write_fasta, change, message):
    write_fasta({name: "A" * n for name, n in LENGTHS.items()}, "other.fa")
    before = contents(store.path)
    with pytest.raises(InputError, match=message):
        import_tracks(add(world).model_copy(update=change), store.path)
    assert contents(store.path) == before


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"path": "none.bw"}, r"none.bw \(cage\) does not exist"),
        ({"path": "plus.bw", "options": {"scal": 2}}, "has no option 'scal': did you mean 'scale'"),
        ({"path": "plus.xyz"}, "does not tell its format"),
        ({"path": "plus.bw", "strand": "+"}, r"1 tracks on '\+' but 0 on '-'"),
        ({"path": "plus.bw", "strnd": {"a": 1}}, "column 'strnd' must be text or a number"),
        ({"path": "plus.bw", "modality": "Cage"}, "modality: string should match"),
        ({"path": "huge.bw"}, "does not fit float16.*dtype: float32"),
        ({"path": "short.bw"}, "another assembly: its chr1 has 70,000 bp, that of the genome 70,001"),
        ({"path": "alone.bw"}, "lacks chr2 .*absent: zero"),
        ({"path": "strange.bw"}, "has none of the chromosomes chr1, chr2; its own are scaffold_1"),
    ],
)
def test_bad_entries(world, entry, message):
    folder, _files, content = world
    ones = {name: np.ones(n, np.float32) for name, n in LENGTHS.items()}
    write_bigwig(folder / "huge.bw", {**ones, "chr2": ones["chr2"] * 70_000})
    write_bigwig(folder / "short.bw", {**ones, "chr1": ones["chr1"][:-1]})
    write_bigwig(folder / "alone.bw", {"chr1": ones["chr1"]})
    write_bigwig(folder / "strange.bw", {"scaffold_1": ones["chr1"]})
    with pytest.raises(InputError, match=message):
        import_tracks(
            make_manifest({**content, "tracks": [{"modality": "cage", **entry}]}, folder=folder), folder / "new.zarr"
        )
    assert not (folder / "new.zarr").exists()


@pytest.mark.parametrize(("absent", "expected"), [("zero", 0.0), ("missing", np.nan)])
def test_an_absent_chromosome_means_what_is_said(world, absent, expected):
    folder, _, content = world
    write_bigwig(folder / "alone.bw", {"chr1": np.ones(LENGTHS["chr1"], np.float32)})
    entry = {"path": "alone.bw", "modality": "cage", "absent": absent}
    import_tracks(make_manifest({**content, "tracks": [entry]}, folder=folder), folder / "new.zarr")
    read = open_store(folder / "new.zarr").read("cage", Interval("chr2", 0, 100))
    np.testing.assert_array_equal(read, np.full((100, 1), expected, np.float16))


def test_unknown_keys_of_a_manifest_are_named(tmp_path):
    (tmp_path / "m.yaml").write_text("genome: a.fa\norganism: human\ntrack: []\n")
    with pytest.raises(InputError, match=r"track: extra inputs are not permitted.*did you mean 'tracks'"):
        read_manifest(tmp_path / "m.yaml")
    (tmp_path / "m.yaml").write_text("genome: [")
    with pytest.raises(InputError, match="is not YAML"):
        read_manifest(tmp_path / "m.yaml")


def test_a_table_of_targets_is_a_manifest(world, capsys):
    folder, files, _ = world
    lines = ["\tidentifier\tfile\tclip\tclip_soft\tscale\tsum_stat\tstrand_pair\tdescription"]
    for row, (sign, file, pair) in enumerate([("+", "plus", 1), ("-", "minus", 0)]):
        lines.append(f"{row}\tENC1{sign}\t{file}.bw\t384\t64\t1.0\tsum_sqrt\t{pair}\tCAGE:K562")
    (folder / "targets.txt").write_text("\n".join(lines) + "\n")
    command = ["tracks", "import", str(folder / "targets.txt"), "-o", str(folder / "t.zarr"), "--organism", "human"]
    assert cli.run([*command, "--genome", str(folder / "genome.fa")]) == 0
    made = open_store(folder / "t.zarr")
    assert made.tracks("cage")["strand"].values.tolist() == ["+", "-"]
    read = made.read("cage", Interval("chr2", 0, LENGTHS["chr2"]))
    np.testing.assert_array_equal(read[:, 1], files["minus"]["chr2"])
    assert cli.run(["tracks", "import", str(folder / "targets.txt"), "-o", str(folder / "u.zarr")]) == 2
    assert "genome: field required; organism: field required" in capsys.readouterr().err


def test_stores_that_cannot_be_read(world, store, tmp_path):
    with pytest.raises(InputError, match="is no track store; expected a folder made by"):
        open_store(tmp_path / "none.zarr")
    meta = store.path / "zarr.json"
    good = json.loads(meta.read_text())
    for changes, message in [
        ({"format": 99}, "has format 99, this ag-data reads up to 1: upgrade"),
        ({"complete": False}, "run the same import again"),
        ({"schema": "other"}, "not one of tracks"),
    ]:
        meta.write_text(json.dumps({**good, "attributes": {**good["attributes"], **changes}}))
        with pytest.raises(InputError, match=message):
            open_store(store.path)
    meta.write_text("{")
    with pytest.raises(InputError, match=r"zarr.json is not readable"):
        open_store(store.path)


def test_two_writers_do_not_meet(world):
    folder, _, _ = world
    work = work_folder(folder / "store.zarr")
    work.mkdir()
    unlock = lock(work / "lock")
    with pytest.raises(InputError, match="is in use: another run writes"):
        import_tracks(read_manifest(folder / "manifest.yaml"), folder / "store.zarr")
    unlock()
    import_tracks(read_manifest(folder / "manifest.yaml"), folder / "store.zarr")


class Stop(Exception):
    """An interruption."""


@pytest.mark.parametrize("after", range(1, 8))
def test_an_interrupted_import_goes_on(world, store, after):
    """Wherever it stops, the store is as it was, and the next run makes of it what an uninterrupted one does."""
    folder, _, content = world
    manifest, other, calls = add(world), folder / "other.zarr", 0

    def stop(what, done, total):
        nonlocal calls
        calls += 1
        if calls == after:
            raise Stop

    before = contents(store.path)
    try:
        import_tracks(manifest, store.path, progress=stop)
    except Stop:
        assert contents(store.path) == before
    import_tracks(manifest, store.path)
    import_tracks(make_manifest(content, folder=folder), other)
    import_tracks(manifest, other)
    assert contents(store.path).keys() == contents(other).keys()
    whole = Interval("chr1", 0, 547 * 128)
    np.testing.assert_array_equal(
        open_store(store.path).read("chip_tf", whole), open_store(other).read("chip_tf", whole)
    )


def test_a_killed_move_is_finished_by_the_next_run(world, store, monkeypatch):
    moves = []
    rename = os.rename

    def fail(source, target):
        moves.append(target)
        if len(moves) == 2:
            raise Stop
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(Stop):
        import_tracks(add(world), store.path)
    monkeypatch.undo()
    with pytest.raises(InputError, match="run the same import again"):
        open_store(store.path)
    assert import_tracks(add(world), store.path).added == {}
    assert open_store(store.path).tracks("chip_tf").sizes["track"] == 2


@pytest.mark.slow
def test_a_killed_process_leaves_no_store(world):
    folder, _, _ = world
    script = (
        "import time, pathlib, sys\n"
        "from ag_data.ingest import import_tracks\nfrom ag_data.manifest import read_manifest\n"
        "def slow(what, done, total):\n    print('at', done, flush=True)\n    time.sleep(done and 60)\n"
        "import_tracks(read_manifest(sys.argv[1]), pathlib.Path(sys.argv[2]), progress=slow)\n"
    )
    command = [sys.executable, "-c", script, str(folder / "manifest.yaml"), str(folder / "store.zarr")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert any(line != "at 0\n" for line in process.stdout)
        process.send_signal(signal.SIGKILL)
    with pytest.raises(InputError, match="an import was interrupted"):
        open_store(folder / "store.zarr")
    import_tracks(read_manifest(folder / "manifest.yaml"), folder / "store.zarr")
    assert open_store(folder / "store.zarr").modalities == ("cage", "chip_tf")


def test_a_full_disk_is_explained(world, store, monkeypatch):
    before = contents(store.path)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ag_data.store_writer.sync", full)
    with pytest.raises(InputError, match=r"no space left.*the store is as it was"):
        import_tracks(add(world), store.path)
    assert contents(store.path) == before


def test_the_command_line(world, capsys):
    folder, _, _ = world
    manifest, path = str(folder / "manifest.yaml"), str(folder / "cli.zarr")
    assert cli.run(["tracks", "import", manifest, "-o", path, "--plan", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert [(row["modality"], row["strand"]) for row in planned] == [("cage", "+"), ("cage", "-"), ("chip_tf", ".")]
    assert not pathlib.Path(path).exists()
    assert cli.run(["tracks", "import", manifest, "-o", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["added"] == {"cage": 2, "chip_tf": 1}
    assert cli.run(["tracks", "info", path, "cage", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["strand"] for row in rows] == ["+", "-"]
    assert all(0.1 < row["nonzero"] < 0.3 for row in rows)
    assert cli.run(["tracks", "info", path]) == 0
    assert "chip_tf" in capsys.readouterr().out
    assert cli.run(["tracks", "info", str(folder)]) == 2
    assert "is no track store" in capsys.readouterr().err
