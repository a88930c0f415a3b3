import json
import shutil

import equinox as eqx
import jax
import numpy as np
import pytest
import safetensors.numpy
from ag_core import checkpoint
from ag_core.checkpoint import ARRAY_FILE, SPEC_FILE, HeadSpec, ModelSpec, load, outline, save
from ag_core.config import PRESETS
from ag_core.errors import InputError
from ag_core.precision import Precision
from ag_core.schema import track_table


def tables(count):
    names = [*(f"track {i}" for i in range(count)), "padding"]
    columns = {"name": names, "strand": ["."] * (count + 1), "nonzero_mean": [0.5] * count + [np.nan]}
    return tuple(track_table(columns | {"assay": [f"{organism} assay", *[""] * count]}) for organism in ("a", "b"))


@pytest.fixture(scope="module")
def spec():
    return ModelSpec(
        name="toy",
        backbone=PRESETS["tiny"],
        heads={
            "chip_tf": HeadSpec("chip_tf", tables(3)),
            "starts": HeadSpec("cage", tables(2), {"modality": "starts", "resolutions": (128,)}),
        },
        organisms=("human", "mouse"),
        window=4096,
        licence="Apache-2.0",
        notes="for tests",
    )


@pytest.fixture(scope="module")
def model(spec, randomise):
    return randomise(outline(spec))


@pytest.fixture(scope="module")
def saved(spec, model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    save(folder, model, spec)
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def arrays(model):
    return jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))


def rewrite(folder, change):
    """Changes the description and signs it again, as a wrong tool would."""
    path = folder / SPEC_FILE
    data = json.loads(path.read_text())
    change(data)
    data["digest"] = checkpoint._digest(data, folder / ARRAY_FILE)
    path.write_text(json.dumps(data))


def test_round_trip(saved, spec, model):
    loaded = load(saved)
    jax.tree.map(np.testing.assert_array_equal, loaded.model, model)
    assert jax.tree.structure(loaded.model) == jax.tree.structure(model)
    assert loaded.model.heads["starts"].modality == "starts"
    assert np.isnan(loaded.model.heads["chip_tf"].means.value[0, -1])
    assert loaded.spec.organism("mouse") == 1
    for modality, head in spec.heads.items():
        for ours, theirs in zip(head.tracks, loaded.spec.heads[modality].tracks, strict=True):
            assert ours.equals(theirs)
    with pytest.raises(InputError, match="model 'toy' knows human, mouse, not 'yeast'"):
        loaded.spec.organism("yeast")


def test_half_the_size_is_rounded_once(saved, spec, model, tmp_path):
    save(tmp_path, model, spec, half=True)
    sizes = [(folder / ARRAY_FILE).stat().st_size for folder in (tmp_path, saved)]
    assert sizes[0] < 0.65 * sizes[1]  # names and vectors keep their size
    loaded = load(tmp_path).model
    for ours, theirs in zip(arrays(loaded), arrays(model), strict=True):
        assert ours.dtype == theirs.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, 2**-11, 2**-25)
    large = jax.tree.map(lambda leaf: leaf * 1e6 if eqx.is_array(leaf) else leaf, model)
    save(tmp_path, large, spec, half=True)
    jax.tree.map(np.testing.assert_array_equal, arrays(load(tmp_path).model.backbone), arrays(large.backbone))


def test_digest_depends_on_content_alone(saved, spec, model, tmp_path):
    loaded = load(saved)
    assert save(tmp_path / "again", model, spec) == loaded.digest
    assert save(tmp_path / "resaved", loaded.model, loaded.spec) == loaded.digest


def test_outline_draws_nothing_but_has_the_constants(spec):
    shapes = outline(spec)
    assert isinstance(shapes.backbone.encoder.stem.conv.weight, jax.ShapeDtypeStruct)
    np.testing.assert_array_equal(shapes.heads["chip_tf"].real.value, [[True] * 3 + [False]] * 2)


def test_bfloat16_casts_parameters_but_not_constants(saved, model):
    low = load(saved, precision="bfloat16").model
    assert low.precision is Precision.BFLOAT16
    assert low.heads["chip_tf"].means.value.dtype == np.float32
    weight = model.backbone.encoder.stem.conv.weight
    np.testing.assert_array_equal(low.backbone.encoder.stem.conv.weight, weight.astype("bfloat16"))
    with pytest.raises(ValueError, match="float8"):
        load(saved, precision="float8")


def test_flipped_byte_in_the_arrays(copy):
    path = copy / ARRAY_FILE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors: content does not match the digest in model\.json"):
        load(copy)


def test_changed_description(copy):
    path = copy / SPEC_FILE
    path.write_text(path.read_text().replace('"track 1"', '"track 7"', 1))
    with pytest.raises(InputError, match="does not match the digest"):
        load(copy)


def test_arrays_of_another_checkpoint(copy, spec, randomise, tmp_path):
    save(tmp_path / "other", randomise(outline(spec), seed=1), spec)
    shutil.copy(tmp_path / "other" / ARRAY_FILE, copy)
    with pytest.raises(InputError, match="damaged, or from another checkpoint"):
        load(copy)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (SPEC_FILE, r"no model\.json; is this a checkpoint folder"),
        (ARRAY_FILE, r"no model\.safetensors beside model\.json"),
    ],
)
def test_missing_file(copy, name, message):
    (copy / name).unlink()
    with pytest.raises(InputError, match=message):
        load(copy)


@pytest.mark.parametrize("name", [SPEC_FILE, ARRAY_FILE])
def test_truncated_file(copy, name):
    path = copy / name
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=f"{name}: .*; fetch"):
        load(copy)


def test_truncated_before_it_was_signed(copy):
    path = copy / ARRAY_FILE
    path.write_bytes(path.read_bytes()[:-10])
    rewrite(copy, lambda data: None)
    with pytest.raises(InputError, match=r"model\.safetensors: not a safetensors file"):
        load(copy)


@pytest.mark.parametrize("content", ["[]", '{"format": 1}', '{"format": 1, "heads": []}', "\x00\x01", '"text"'])
def test_description_of_something_else(copy, content):
    (copy / SPEC_FILE).write_text(content)
    with pytest.raises(InputError, match=r"model\.json: damaged or not a model description"):
        load(copy)


def test_newer_format(copy):
    rewrite(copy, lambda data: data.update(format=2))
    message = r"model\.json: written in format 2, this ag-core reads up to 1: upgrade"
    with pytest.raises(InputError, match=message) as error:
        load(copy)
    assert "damaged" not in str(error.value)


def test_head_that_is_not_installed(copy):
    rewrite(copy, lambda data: data["heads"]["chip_tf"].update(plugin="chip_ft"))
    with pytest.raises(InputError, match=r"'toy' needs a head that is not installed: .* did you mean 'chip_tf'"):
        load(copy)


def test_arrays_that_do_not_fit(copy):
    rewrite(copy, lambda data: data["backbone"].update(pair_size=9))
    with pytest.raises(InputError, match=r"is \(.*\), expected \(.* and \d+ more") as error:
        load(copy)
    assert str(copy / ARRAY_FILE) in str(error.value)

    def grow(data):
        data["backbone"].update(pair_size=8)
        data["heads"]["other"] = data["heads"].pop("starts")

    rewrite(copy, grow)
    with pytest.raises(InputError, match=r"missing: heads\.other.*unexpected: heads\.starts"):
        load(copy)


def test_unknown_model(tmp_path):
    with pytest.raises(InputError, match=r"mimi: neither a checkpoint folder nor a named .* did you mean 'mini'"):
        load("mimi")
    with pytest.raises(InputError, match="is this a checkpoint folder"):
        load(tmp_path)


def test_interrupted_save_leaves_the_old_arrays(copy, spec, model, monkeypatch):
    before = load(copy).digest
    monkeypatch.setattr(type(copy), "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        save(copy, model, spec)
    assert load(copy).digest == before


def test_interrupted_write_leaves_no_litter_and_nothing_that_opens(spec, model, monkeypatch, tmp_path):
    for interrupted in ("write_arrays", "sync", "_digest"):
        folder = tmp_path / interrupted
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, interrupted, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                save(folder, model, spec)
        assert list(folder.iterdir()) == []
        with pytest.raises(InputError, match="is this a checkpoint folder"):
            load(folder)


def write_file(folder, change):
    """Changes the arrays and signs them again, as a diverged training run or a wrong tool would."""
    path = folder / ARRAY_FILE
    arrays = safetensors.numpy.load_file(path)
    change(arrays)
    safetensors.numpy.save_file(arrays, path)
    rewrite(folder, lambda data: None)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_arrays_that_are_not_finite(copy, value):
    def spoil(arrays):
        arrays["heads.chip_tf.linears.128.bias"].flat[2:5] = value

    write_file(copy, spoil)
    for precision in Precision:
        with pytest.raises(InputError, match=r"safetensors: heads\.chip_tf\.linears\.128\.bias holds 3 of 8 values"):
            load(copy, precision=precision)


def test_arrays_of_another_type(copy):
    def narrow(arrays):
        arrays["heads.chip_tf.linears.128.bias"] = arrays["heads.chip_tf.linears.128.bias"].astype(np.int16)

    write_file(copy, narrow)
    with pytest.raises(InputError, match=r"chip_tf\.linears\.128\.bias is stored as I16, expected F32 or F16"):
        load(copy)


def drop_track(data):
    for table in data["heads"]["chip_tf"]["tracks"]:
        for column in table.values():
            column.pop()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_track, r"chip_tf\.linears\.128\.bias is \(2, 4\), expected \(2, 3\)"),
        (lambda data: data["heads"]["chip_tf"]["tracks"].pop(), "chip_tf has 1 track tables, expected one for each of"),
        (lambda data: data["heads"]["chip_tf"]["tracks"][1]["name"].pop(), "track columns differ in length"),
        (lambda data: data["heads"]["starts"]["options"].update(colour=1), "head 'starts' does not take its desc.*col"),
        (lambda data: data["heads"]["starts"]["tracks"][0]["nonzero_mean"].__setitem__(0, 0.0), "nonzero_mean 0.0"),
        (lambda data: data["organisms"].append("yeast"), r"backbone for 2 organisms, but 3 named"),
        (lambda data: data.update(window=5000), "window: .* positive multiple of 2,048 bp, got 5,000"),
    ],
)
def test_descriptions_that_do_not_fit_the_arrays(copy, change, message):
    rewrite(copy, change)
    with pytest.raises(InputError, match=message) as error:
        load(copy)
    assert str(copy) in str(error.value)


def test_unknown_output(spec):
    with pytest.raises(InputError, match="model 'toy' predicts chip_tf, starts, not 'atac'"):
        spec.tracks("atac")
    assert spec.tracks("starts", 1).attrs == {"modality": "starts"}


def test_embedded_model_keeps_its_digest():
    """Written by an earlier version, so reading it proves that the digest is still the same function."""
    assert load("mini").digest == json.loads((checkpoint.find("mini") / SPEC_FILE).read_text())["digest"]
