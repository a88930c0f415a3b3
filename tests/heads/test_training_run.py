"""Training runs from a YAML file: resumed bit for bit, refused where they do not fit, stopped when they go wrong."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import equinox as eqx
import jax
import numpy as np
import planted
import pytest
import yaml
from ag_core.checkpoint import load
from ag_core.errors import InputError
from ag_heads.recipes.assemble import make_model
from ag_heads.recipes.feeds import Data
from ag_heads.recipes.journal import read_journal
from ag_heads.recipes.loop import train
from ag_heads.recipes.settings_file import check_settings, read_settings
from ag_heads.recipes.snapshots import Snapshots
from eleven import eleven_heads_spec


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return planted.plant(tmp_path_factory.mktemp("planted"))


def settings_of(folder, **changes):
    return check_settings(planted.recipe(**changes), folder=folder)


def arrays_of(model):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array))]


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """A run from start to end."""
    out = tmp_path_factory.mktemp("whole")
    outcome = train(settings_of(folder), out)
    assert outcome.finished
    return out


@pytest.mark.slow
def test_a_run_leaves_a_model_records_and_curves(whole):
    records = read_journal(whole / "journal.jsonl")
    assert [record["step"] for record in records if record["kind"] == "train"] == list(range(1, 9))
    assert [record["step"] for record in records if record["kind"] == "valid"] == [4, 8]
    assert all(np.isfinite(record["chip_tf/loss"]) for record in records)
    assert (whole / "curves.png").stat().st_size > 1000
    loaded = load(whole / "model")
    assert loaded.spec.name == "planted"
    assert loaded.spec.trained_on == {"toy": ("chr1:1-120,000",)}
    assert loaded.spec.heads["chip_tf"].tracks[0]["name"].values.tolist() == ["planted"]
    assert loaded.model.backbone.tower.blocks[0].mlp.norm.inference


@pytest.mark.slow
def test_after_a_kill_it_goes_on_bit_for_bit(folder, whole, tmp_path):
    """SIGKILL somewhere in the middle, from the command line; then the same command again."""
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(planted.recipe()))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "ag_core.cli", "train", str(path), "-o", str(out)]
    cache = str(jax.config.jax_compilation_cache_dir or "")
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "8", "JAX_COMPILATION_CACHE_DIR": cache}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + 300
    while process.poll() is None and len(read_journal(out / "journal.jsonl")) < 4:
        assert time.monotonic() < give_up
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = len(read_journal(out / "journal.jsonl"))
    train(read_settings(path), out)
    assert first < 10
    records, expected = (read_journal(each / "journal.jsonl") for each in (out, whole))
    assert [record["loss"] for record in records] == [record["loss"] for record in expected]
    for one, other in zip(arrays_of(load(out / "model").model), arrays_of(load(whole / "model").model), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_a_finished_run_is_left_as_it_is_and_other_settings_are_refused(folder, whole):
    before = (whole / "journal.jsonl").read_text()
    assert train(settings_of(folder), whole).finished
    assert (whole / "journal.jsonl").read_text() == before
    with pytest.raises(InputError, match=r"holds a run of other settings: optimiser\.steps was 8, now 9"):
        train(settings_of(folder, steps=9), whole)


@pytest.mark.slow
def test_a_checkpoint_of_another_architecture_is_refused(folder, whole, tmp_path):
    other = settings_of(folder, model=planted.recipe()["model"] | {"backbone": "mini"})
    (tmp_path / "checkpoints").symlink_to(whole / "checkpoints")
    with pytest.raises(InputError, match="step 8: the checkpoint is of another architecture"):
        train(other, tmp_path)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_the_run_with_its_batch(folder, tmp_path):
    wild = settings_of(folder, optimiser={"steps": 8, "learning_rate": 1e30, "warmup": 0, "clip": None})
    with pytest.raises(InputError, match=r"step \d: loss .*its batch is .*bad_batch_\d.npz"):
        train(wild, tmp_path)
    (path,) = tmp_path.glob("bad_batch_*.npz")
    with np.load(path) as batch:
        assert batch["codes"].shape == (4, 2048)
        assert "targets.chip_tf.signal" in batch


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"backbone": "tiny", "window": 2048, "heads": {"atac": {}}}}, "model.heads.atac: no store has it"),
        ({"optimiser": {"groups": {"heads.atac": 0.1}}}, "no trained array's name starts with heads.atac"),
        ({"adapter": {"kind": "lora", "places": "x"}}, "adapter: .*no layer of the right type is called 'x'"),
    ],
)
def test_what_does_not_fit_is_refused(folder, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        train(settings_of(folder, **changes), tmp_path)
    assert not (tmp_path / "settings.json").exists()  # the folder is free for corrected ones


def test_junctions_without_their_sites_are_refused(folder):
    spec = eleven_heads_spec()
    spec = dataclasses.replace(spec, heads={"splice_junctions": spec.heads["splice_junctions"]})
    with pytest.raises(InputError, match=r"no head 'splice_sites'.* add it to model\.heads"):
        make_model(settings_of(folder), Data(settings_of(folder)), spec)


def test_a_split_that_leaks_is_refused(folder, tmp_path):
    rows = ["chr1\t0\t8000\ttrain", "chr1\t7000\t12000\tvalid", "chr2\t0\t9000\ttrain"]
    (tmp_path / "windows.bed").write_text("\n".join(rows) + "\n")
    from ag_heads.recipes.splits import check_leaks

    recipe = planted.recipe()
    recipe["data"]["main"]["streams"]["own"]["split"] = {"labels": str(tmp_path / "windows.bed")}
    source = Data(check_settings(recipe, folder=folder)).sources["main"]["own"]
    assert source.split["train"]["Chromosome"].tolist() == ["chr2"]  # overlapping ones are dropped
    import ag_data.regions as regions

    source.split["train"] = regions.regions_table([("chr1", 0, 8000, "train")])
    with pytest.raises(InputError, match=r"the split leaks, 1 pairs .* chr1:1-8,000 with chr1:7,001-12,000"):
        check_leaks("data", source)


def test_a_hanging_run_ends_itself(tmp_path):
    code = (
        "import time\nfrom ag_heads.recipes.watchdog import Watchdog\n"
        "with Watchdog(0.2) as dog:\n    dog.beat('step 7')\n    time.sleep(30)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 75
    assert "waiting for step 7" in done.stderr
    assert "Current thread" in done.stderr or "Thread 0x" in done.stderr


@pytest.mark.slow
def test_states_restore_on_another_number_of_devices(folder, whole):
    from ag_core import training
    from ag_core.mesh import make_mesh
    from ag_heads.recipes.assemble import (
        chosen_arrays,
        hold_norms,
        learning_rates,
        make_model,
        make_optimiser,
        make_spec,
    )

    settings = settings_of(folder)
    data = Data(settings)
    model = make_model(settings, data, make_spec(settings, data))
    chosen = chosen_arrays(model, settings)
    optimiser = make_optimiser(settings.optimiser, learning_rates(model, chosen, {}))
    like = training.start(hold_norms(model, chosen), optimiser, chosen=chosen, average=True)
    with Snapshots(whole / "checkpoints") as snapshots:
        alone, about = snapshots.restore(like)
        spread, _ = snapshots.restore(like, make_mesh(2, 4))
    assert json.dumps(about["data"])
    assert len(jax.tree.leaves(eqx.filter(spread.model, eqx.is_array))[0].sharding.device_set) == 8
    for one, other in zip(arrays_of(alone), arrays_of(spread), strict=True):
        np.testing.assert_array_equal(one, other)
