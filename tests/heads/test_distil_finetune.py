"""Students learn from teachers, and new heads from a trained network, by command."""

import dataclasses
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import planted
import pytest
import yaml
from ag_core.checkpoint import load, save
from ag_core.cli import run
from ag_core.errors import InputError
from ag_core.model import Model
from ag_heads.deltas import write_delta
from ag_heads.recipes.assemble import make_model, make_spec
from ag_heads.recipes.feeds import Data
from ag_heads.recipes.journal import read_journal
from ag_heads.recipes.settings_file import check_settings
from ag_heads.recipes.teachers import CheckpointTeacher, FunctionTeacher, check_teachers, make_targets


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return planted.plant(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def teacher(folder, tmp_path_factory):
    """The folder of a model as it is before training."""
    settings, out = check_settings(planted.recipe(), folder=folder), tmp_path_factory.mktemp("teacher")
    data = Data(settings)
    spec = make_spec(settings, data)
    save(out, make_model(settings, data, spec), spec)
    return out


@pytest.mark.slow
def test_a_student_learns_from_its_teachers_and_is_validated_on_measurements(folder, teacher, tmp_path, capsys):
    recipe = planted.recipe(steps=4)
    recipe["name"] = "student"
    recipe["distil"] = {"teachers": ["nobody"], "mutations": {"share": 0.04}}
    path = folder / "student.yaml"
    path.write_text(yaml.safe_dump(recipe))
    arguments = ["distil", str(path), "-o", str(tmp_path), "--teacher", str(teacher), "--json"]
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out)["step"] == 4
    records = read_journal(tmp_path / "journal.jsonl")
    assert {record["kind"] for record in records} == {"train", "valid"}
    assert all(np.isfinite(record["chip_tf/loss"]) for record in records)
    assert load(tmp_path / "model").spec.name == "student"


def test_what_a_teacher_predicts_is_what_its_student_is_taught(teacher):
    one = CheckpointTeacher(str(teacher))
    codes = np.random.default_rng(0).integers(0, 4, (2, 2048), np.uint8)
    batch = {"codes": codes, "organism": np.zeros(2, np.int32)}
    heads = one.model.heads
    targets = make_targets(heads, [one, one], ["chip_tf"], batch)
    output = one(codes, batch["organism"])["chip_tf"]["predictions_128bp"]
    np.testing.assert_allclose(targets["chip_tf"]["signal"], output, rtol=1e-6)

    def double(codes, organism):
        return {"chip_tf": 2 * np.asarray(output)}

    other = FunctionTeacher("double", "CC0-1.0", one.organisms, one.tables, double)
    both = make_targets(heads, [one, other], ["chip_tf"], batch)
    np.testing.assert_allclose(both["chip_tf"]["signal"], 1.5 * output, rtol=1e-6)

    def short(codes, organism):
        return {"chip_tf": np.asarray(output)[:, :4]}

    wrong = FunctionTeacher("short", "CC0-1.0", one.organisms, one.tables, short)
    with pytest.raises(InputError, match=r"teachers planted, short give signal of shapes \(2, 16, 1\), \(2, 4, 1\)"):
        make_targets(heads, [one, wrong], ["chip_tf"], batch)


def test_a_teacher_whose_licence_forbids_it_is_refused(teacher, tmp_path):
    loaded = load(teacher)
    save(tmp_path, loaded.model, dataclasses.replace(loaded.spec, licence="LicenseRef-AlphaGenome-non-commercial"))
    with pytest.raises(InputError, match="terms forbid to train other models"):
        check_teachers([CheckpointTeacher(str(tmp_path))], ["chip_tf"])
    with pytest.raises(InputError, match="'planted' does not predict cage"):
        check_teachers([CheckpointTeacher(str(teacher))], ["cage"])


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--adapter", "lora", "--rank", "2"], ["--unfreeze", "0.1"]])
def test_a_new_head_on_a_trained_network(folder, teacher, tmp_path, options):
    arguments = ["finetune", "--start", str(teacher), "--genome", str(folder / "genome.fa")]
    arguments += ["--store", str(folder / "store.zarr"), "--valid", "chr2", "--steps", "3", "-o", str(tmp_path)]
    assert run([*arguments, *options]) == 0
    base, tuned = load(teacher), load(tmp_path / "model")
    backbones = [jax.tree.leaves(eqx.filter(each.model.backbone, eqx.is_array)) for each in (base, tuned)]
    heads = [each.model.heads["chip_tf"].linears[128].weight for each in (base, tuned)]
    assert tuned.spec.licence == base.spec.licence
    assert (tmp_path / "delta/delta.json").exists()
    same = [bool(np.array_equal(one, other)) for one, other in zip(*backbones, strict=True)]
    if not options:
        assert all(same)
    elif "lora" in options:  # queries, keys, values and outputs of one block
        assert same.count(False) == 4
    else:
        assert same.count(False) > 50
    assert not np.array_equal(*heads)


def test_a_delta_and_its_base_make_the_model(teacher, tmp_path, capsys):
    base = load(teacher)
    moved = eqx.tree_at(lambda model: model.heads["chip_tf"].linears[128].bias, base.model, replace_fn=lambda x: x + 1)
    spec = dataclasses.replace(base.spec, name="moved")
    size = write_delta(tmp_path / "delta", str(teacher), moved, spec)
    assert size == 4  # one track
    assert run(["model", "apply", str(tmp_path / "delta"), "--base", str(teacher), "-o", str(tmp_path / "whole")]) == 0
    whole = load(tmp_path / "whole")
    assert whole.spec.name == "moved"
    for one, other in zip(*(jax.tree.leaves(eqx.filter(m, eqx.is_array)) for m in (whole.model, moved)), strict=True):
        np.testing.assert_array_equal(one, other)
    apply = ["model", "apply", str(tmp_path / "delta"), "-o", str(tmp_path / "x"), "--base"]
    assert run([*apply, str(tmp_path / "whole")]) == 2
    assert "was made from 'planted' with the digest" in capsys.readouterr().err
    (tmp_path / "delta/delta.safetensors").write_bytes(b"")
    assert run([*apply, str(teacher)]) == 2
    assert "missing or damaged" in capsys.readouterr().err


@pytest.mark.slow
def test_heads_of_several_labs_stand_on_one_backbone(teacher, tmp_path, capsys):
    """One pass predicts for each lab what its own model does; what cannot be put together is refused."""
    base = load(teacher)
    head, spec = base.model.heads["chip_tf"], base.spec.heads["chip_tf"]

    def tuned(lab, by, backbone=base.model.backbone):
        own = eqx.tree_at(lambda h: h.linears[128].bias, head, replace_fn=lambda x: x + by)
        model, described = Model(backbone, {lab: own}), dataclasses.replace(base.spec, name=lab, heads={lab: spec})
        write_delta(tmp_path / lab, str(teacher), model, described)
        return model

    models = {"one": tuned("one", 0.5), "two": tuned("two", 1.0)}
    apply = ["model", "apply", str(tmp_path / "one"), str(tmp_path / "two"), "--base", str(teacher)]
    assert run([*apply, "-o", str(tmp_path / "both")]) == 0
    both = load(tmp_path / "both")
    assert (both.spec.name, list(both.spec.heads)) == ("one+two", ["one", "two"])
    dna = jax.nn.one_hot(np.random.default_rng(0).integers(0, 4, (1, 2048)), 4)
    predict = eqx.filter_jit(lambda model: model(dna, jnp.zeros(1, jnp.int32)))
    together = predict(both.model)
    for lab, model in models.items():
        for one, other in zip(*map(jax.tree.leaves, (together[lab], predict(model)[lab])), strict=True):
            np.testing.assert_array_equal(one, other)
    tuned("three", 0.0, jax.tree.map(lambda x: x + 1 if eqx.is_inexact_array(x) else x, base.model.backbone))
    assert run([*apply, str(tmp_path / "three"), "-o", str(tmp_path / "x")]) == 2
    assert "three changes the backbone" in capsys.readouterr().err
    assert run([*apply, str(tmp_path / "two"), "-o", str(tmp_path / "x")]) == 2
    assert "an earlier delta has a head 'two', too" in capsys.readouterr().err


@pytest.mark.slow
def test_what_a_fine_tune_cannot_do_is_said(folder, teacher, tmp_path, capsys):
    store = ["--store", str(folder / "store.zarr"), "-o", str(tmp_path / "x")]
    genome = ["--genome", str(folder / "genome.fa")]
    assert run(["finetune", "--start", str(teacher), *store]) == 2
    assert "give --genome and --store" in capsys.readouterr().err
    assert run(["finetune", "--start", str(teacher), *genome, *store, "--adapter", "lorra"]) == 2
    assert "adapter.kind: input should be 'lora'" in capsys.readouterr().err
    assert run(["finetune", "--start", str(teacher), *genome, *store, "--set", "optimiser.groups={heads.x: 1}"]) == 2
    assert "no trained array's name starts with heads.x" in capsys.readouterr().err
