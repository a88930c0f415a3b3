"""The published weights: their tree in and out, what is refused, and where they come from."""

import gzip
import importlib
import json
import pathlib
import shutil
import sys

import huggingface_hub
import huggingface_hub.errors
import huggingface_hub.utils
import jax
import kagglehub
import kagglehub.exceptions
import numpy as np
import orbax.checkpoint as ocp
import pytest
import requests
from ag_core.checkpoint import SPEC_FILE, array_names, load, outline, save
from ag_core.cli import run
from ag_core.config import PRESETS
from ag_core.errors import InputError
from ag_core.model_spec import HeadSpec, ModelSpec
from ag_core.official import official_leaves
from ag_core.schema import track_table
from ag_heads import download, official, orbax_files
from ag_heads.official import MODALITIES, official_names, official_spec

TREE = pathlib.Path(__file__).parents[1] / "core" / "data" / "official_tree.json.gz"
ORGANISMS = ("human", "mouse")
KAGGLE_PAGE = "https://www.kaggle.com/models/google/alphagenome/jax/fold_1"
HF_PAGE = "https://huggingface.co/google/alphagenome-fold-1"


def table(modality):
    if modality == "splice_sites":
        return track_table({"name": ["donor", "acceptor", "donor", "acceptor", "Padding"], "strand": [*"++--."]})
    return track_table({"name": ["a", "a", "padding"], "strand": ["+", "-", "."]})


@pytest.fixture(scope="module")
def spec():
    """All eleven modalities on a tiny backbone."""
    options = {"splice_junctions": {"sites": 3, "hidden": 8}}
    heads = {name: HeadSpec(name, (table(name),) * 2, options.get(name, {})) for name in MODALITIES}
    return ModelSpec("small", PRESETS["tiny"], heads, ORGANISMS, 4096, "test", "as made")


@pytest.fixture(scope="module")
def checkpoint(spec, randomise, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    save(folder, randomise(outline(spec)), spec)
    return folder


def as_tree(model):
    """The model's arrays as the official pair of dicts, by the names that its layers have."""
    shapes = {path: shape for path, (_, shape) in official_names(model).items()}
    parts = ({}, {})
    for leaf, path in official_leaves(model, "alphagenome"):
        module, _, name = path.rpartition("/")
        part = parts[int(name == "var_ema")]
        part.setdefault(module, {})[name] = np.asarray(leaf).reshape(shapes[path])
    return parts


def write_orbax(folder, tree):
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder, tree)
    return folder


@pytest.fixture(scope="module")
def tree(checkpoint):
    return as_tree(load(checkpoint).model)


@pytest.fixture(scope="module")
def orbax_folder(tree, tmp_path_factory):
    return write_orbax(tmp_path_factory.mktemp("orbax") / "tree", tree)


@pytest.fixture
def copied(orbax_folder, tmp_path):
    return shutil.copytree(orbax_folder, tmp_path / "copied")


@pytest.fixture
def refuse(checkpoint, tmp_path, capsys):
    """Imports a folder, which must be refused and leave nothing that opens; returns the message."""

    def call(folder, *options):
        out = tmp_path / "refused"
        assert run(["model", "import", str(folder), "--like", str(checkpoint), "-o", str(out), *options]) == 2
        assert not (out / SPEC_FILE).exists()
        return capsys.readouterr().err

    return call


def test_official_model_is_the_published_tree():
    """Every name and shape of spec/model.md 4.2, and its totals."""
    model = outline(official_spec())
    with gzip.open(TREE) as file:
        published = {f"alphagenome/{path}": tuple(shape) for path, shape in json.load(file).items()}
    assert {path: shape for path, (_, shape) in official_names(model).items()} == published
    moments = [path for path in published if path.endswith("/var_ema")]
    assert (len(published) - len(moments), len(moments)) == (589, 81)
    assert sum(int(np.prod(published[path])) for path in moments) == 100_608
    assert sum(int(np.prod(shape)) for path, shape in published.items() if path not in moments) == 450_452_613
    spec = official_spec()
    assert [spec.heads[name].tracks[0].sizes["track"] for name in MODALITIES] == [
        *(256, 384, 128, 640, 768, 1664, 1152, 28, 5, 734, 367)
    ]


def same_arrays(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.slow
def test_import_then_export_is_bit_exact(checkpoint, orbax_folder, tree, tmp_path, capsys):
    out, back = tmp_path / "imported", tmp_path / "exported"
    command = ["model", "import", str(orbax_folder), "--like", str(checkpoint), "-o", str(out), "--name", "mine"]
    assert run([*command, "--licence", "CC0-1.0", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    ours, imported = load(checkpoint), load(out)
    same_arrays(imported.model, ours.model)
    assert imported.digest == made["digest"]
    assert (imported.spec.name, imported.spec.licence) == ("mine", "CC0-1.0")
    assert list(imported.spec.heads) == list(MODALITIES)

    assert run(["model", "export", str(out), "-o", str(back)]) == 0
    with ocp.StandardCheckpointer() as checkpointer:
        restored = checkpointer.restore(back)
        # With a target it is strict about names and shapes, as the published loader is.
        target = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), tree)
        same_arrays(checkpointer.restore(back, target), tree)
    assert jax.tree.structure(list(restored)) == jax.tree.structure(list(tree))
    same_arrays(list(restored), list(tree))
    assert run(["model", "info", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"] == sum(x.size for x in jax.tree.leaves(tree[0]))


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"use_ocdbt": False}, {"use_ocdbt": True, "use_zarr3": True}])
def test_other_layouts_of_orbax(checkpoint, tree, tmp_path, options):
    folder, out = tmp_path / "tree", tmp_path / "out"
    with ocp.PyTreeCheckpointer(**options) as checkpointer:
        checkpointer.save(folder, tree)
    assert run(["model", "import", str(folder), "--like", str(checkpoint), "-o", str(out)]) == 0
    same_arrays(load(out).model, load(checkpoint).model)


def test_the_embedded_model_survives_the_way_out_and_back(tmp_path):
    tree, out = tmp_path / "tree", tmp_path / "out"
    assert run(["model", "export", "mini", "-o", str(tree)]) == 0
    assert run(["model", "import", str(tree), "--like", "mini", "--name", "mini", "-o", str(out)]) == 0
    same_arrays(load(out).model, load("mini").model)


def test_export_refuses_what_has_no_place_and_what_is_there(checkpoint, tmp_path, capsys, monkeypatch):
    assert run(["model", "export", str(checkpoint), "-o", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
    monkeypatch.setattr("ag_heads.contacts.ContactMapsHead.official", {})
    assert run(["model", "export", str(checkpoint), "-o", str(tmp_path / "tree")]) == 2
    assert "heads.contact_maps.linear.weight has no place in the official tree" in capsys.readouterr().err
    assert not (tmp_path / "tree").exists()


def test_official_names_must_differ(spec):
    heads = {name: HeadSpec("cage", (table(name),) * 2, {"modality": name}) for name in ("a", "b")}
    model = outline(ModelSpec("twins", PRESETS["tiny"], heads, ORGANISMS, 4096, "test"))
    assert len(official_names(model)) == len(array_names(model))
    model.heads["b"] = model.heads["a"]
    with pytest.raises(ValueError, match=r"heads\.a\.\S+ and heads\.b\.\S+ would both be alphagenome/head/a/"):
        official_names(model)


BIAS = ("alphagenome/head/contact_maps/multi_organism_linear", "b")
QUERY = ("alphagenome/transformer_tower/mha_block/q_layer", "w")


def changed(tree, part, module, name, value):
    parts = [{m: dict(arrays) for m, arrays in p.items()} for p in tree]
    if value is None:
        del parts[part][module][name]
    else:
        parts[part].setdefault(module, {})[name] = value
    return tuple(parts)


@pytest.mark.parametrize(
    ("leaf", "change", "message"),
    [
        (BIAS, lambda a: None, "missing: alphagenome/head/contact_maps/multi_organism_linear/b"),
        (("alphagenome/head/mine", "w"), lambda a: np.zeros(3, np.float32), "unexpected: alphagenome/head/mine/w"),
        (QUERY, np.transpose, "q_layer/w is (16, 20), expected (20, 16)"),
        (BIAS, lambda a: np.squeeze(a[:1]), "multi_organism_linear/b is (3,), expected (2, 3)"),
        (BIAS, lambda a: np.where(a == a.max(), np.nan, a), "multi_organism_linear/b holds 1 of 6 values that are NaN"),
        (BIAS, lambda a: np.full_like(a, np.inf), "multi_organism_linear/b holds 6 of 6 values that are NaN or inf"),
        (BIAS, lambda a: a.astype(np.float16), "multi_organism_linear/b is stored as float16, expected float32"),
        (("alphagenome/x", "var_ema"), lambda a: np.zeros(3, np.float32), "x/var_ema is among the parameters"),
    ],
)
def test_trees_that_do_not_fit(tree, tmp_path, refuse, leaf, change, message):
    old = tree[0].get(leaf[0], {}).get(leaf[1])
    new = change(old)
    folder = write_orbax(tmp_path / "tree", changed(tree, 0, *leaf, new if new is None else np.ascontiguousarray(new)))
    said = refuse(folder)
    assert message in said
    assert str(folder) in said


def test_trees_of_another_form(tree, tmp_path, refuse, capsys):
    assert "is no part of a pair" in refuse(write_orbax(tmp_path / "one", tree[0]))
    assert "is no part of a pair" in refuse(write_orbax(tmp_path / "flat", {"params": {"w": np.zeros(2)}}))
    out = tmp_path / "out"
    assert run(["model", "import", str(write_orbax(tmp_path / "small", tree)), "-o", str(out)]) == 2
    assert "not the tree that this model needs (670 arrays)" in capsys.readouterr().err
    assert not out.exists()


def test_folders_that_are_none(orbax_folder, checkpoint, tmp_path, refuse):
    assert "no such folder" in refuse(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    assert "is a file" in refuse(tmp_path / "file")
    assert "no _METADATA in it; expected the folder of an Orbax checkpoint" in refuse(checkpoint)
    assert f"did you mean {orbax_folder}?" in refuse(orbax_folder.parent)
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(orbax_folder / "_METADATA", alone)
    assert "incomplete or damaged, fetch it again" in refuse(alone)
    for content in ("", "[]", '{"tree_metadata": 3}', '{"tree_metadata": {"x": {}}}', "\x00"):
        (alone / "_METADATA").write_text(content)
        assert str(alone / "_METADATA") in refuse(alone)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["removed", "truncated"])
def test_no_missing_piece_reads_as_zeros(orbax_folder, tree, tmp_path, how):
    """Whatever file is gone, reading refuses or does not need it; it never gives other numbers."""
    expected = {f"{module}/{name}": a for part in tree for module, names in part.items() for name, a in names.items()}
    refused = {}
    for i, file in enumerate(sorted(path for path in orbax_folder.rglob("*") if path.is_file())):
        folder = shutil.copytree(orbax_folder, tmp_path / str(i))
        victim = folder / file.relative_to(orbax_folder)
        if how == "removed":
            victim.unlink()
        else:
            victim.write_bytes(victim.read_bytes()[: victim.stat().st_size // 2])
        try:
            opened = orbax_files.OrbaxTree(folder)
            found = {path: opened.read(path) for path in opened.shapes}
        except InputError as error:
            refused[victim.relative_to(folder).parts[0]] = str(error)
        else:
            same_arrays(found, expected)
    assert {"_METADATA", "manifest.ocdbt", "d", "ocdbt.process_0"} <= set(refused)
    assert all(str(tmp_path) in message for message in refused.values())


@pytest.mark.slow
@pytest.mark.parametrize("at", ["read", "write"])
def test_interrupted_import_leaves_nothing(checkpoint, orbax_folder, tmp_path, monkeypatch, capsys, at):
    out = tmp_path / "out"
    command = ["model", "import", str(orbax_folder), "--like", str(checkpoint), "-o", str(out)]
    original, calls = orbax_files.OrbaxTree.read, []

    def stop(*arguments):
        calls.append(arguments)
        if at == "write" or len(calls) == 100:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(*((orbax_files.OrbaxTree, "read") if at == "read" else (pathlib.PosixPath, "replace")), stop)
        assert run(command) == 130
    assert calls
    assert not out.exists() or not list(out.iterdir())
    assert run(command) == 0
    same_arrays(load(out).model, load(checkpoint).model)
    capsys.readouterr()
    assert run(command) == 2
    assert "holds a checkpoint already" in capsys.readouterr().err


@pytest.mark.slow
def test_interrupted_export_leaves_no_folder(checkpoint, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    command = ["model", "export", str(checkpoint), "-o", str(tmp_path / "tree")]
    with monkeypatch.context() as patch:
        patch.setattr(ocp.StandardCheckpointHandler, "finalize", stop)
        assert run(command) == 130
    assert not (tmp_path / "tree").exists()
    assert run(command) == 0
    assert orbax_files.OrbaxTree(tmp_path / "tree").shapes


def response(status):
    made = requests.Response()
    made.status_code = status
    return made


def hugging_face_error(status, code):
    """What the library raises for an answer of the hub."""
    answer = huggingface_hub.errors.Response
    request = importlib.import_module(answer.__module__.partition(".")[0]).Request("GET", f"{HF_PAGE}/api/models/x")
    with pytest.raises(huggingface_hub.errors.HfHubHTTPError) as caught:
        huggingface_hub.utils.hf_raise_for_status(answer(status, headers={"X-Error-Code": code}, request=request))
    return caught.value


@pytest.mark.parametrize(
    ("source", "error", "expected"),
    [
        ("kaggle:fold_1", kagglehub.exceptions.KaggleApiHTTPError("403 no", response(403)), (KAGGLE_PAGE, "login()")),
        ("kaggle:fold-1", kagglehub.exceptions.UnauthenticatedError(), (KAGGLE_PAGE, "accept the terms")),
        (
            "kaggle:fold_1",
            requests.ConnectionError("no route"),
            ("cannot fetch google/alphagenome/jax/fold_1", "route"),
        ),
        ("kaggle:fold_1", kagglehub.exceptions.KaggleApiHTTPError("500", response(500)), ("cannot fetch", "500")),
        ("hf:fold_1", hugging_face_error(403, "GatedRepo"), (HF_PAGE, "hf auth login")),
        ("hf:fold-1", hugging_face_error(401, "RepoNotFound"), (HF_PAGE, "log in")),
        ("hf:fold_1", huggingface_hub.errors.LocalTokenNotFoundError("no token"), (HF_PAGE, "no token")),
        ("hf:fold_1", huggingface_hub.errors.OfflineModeIsEnabled("offline"), ("cannot fetch", "offline")),
    ],
)
def test_refused_downloads_say_what_to_do(refuse, monkeypatch, source, error, expected):
    def fail(handle):
        raise error

    monkeypatch.setattr(kagglehub, "model_download", fail)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    said = refuse(source)
    assert all(text in said for text in expected), said


@pytest.mark.parametrize(
    ("source", "library", "function", "handle", "name"),
    [
        (
            "kaggle:all-folds",
            "kagglehub",
            "model_download",
            "google/alphagenome/jax/all_folds",
            "alphagenome-all-folds",
        ),
        ("hf:fold_3", "huggingface_hub", "snapshot_download", "google/alphagenome-fold-3", "alphagenome-fold-3"),
    ],
)
def test_downloads(checkpoint, orbax_folder, tmp_path, monkeypatch, source, library, function, handle, name):
    asked = []

    def fetch(handle):
        asked.append(handle)
        return str(orbax_folder)

    monkeypatch.setattr(f"{library}.{function}", fetch)
    out = tmp_path / "out"
    assert run(["model", "import", source, "--like", str(checkpoint), "-o", str(out)]) == 0
    assert asked == [handle]
    made = load(out)
    assert made.spec.name == name
    assert handle in made.spec.notes


def test_unknown_version_and_missing_libraries(refuse, orbax_folder, monkeypatch):
    assert "no version 'fold_4'; there are all_folds, fold_0" in refuse("hf:fold_4")
    for library in ("kagglehub", "huggingface_hub", "tensorstore"):
        monkeypatch.setitem(sys.modules, library, None)
    assert 'pip install "ag-heads[kaggle]"' in refuse("kaggle:fold_0")
    assert 'pip install "ag-heads[hf]"' in refuse("hf:fold_0")
    assert 'pip install "ag-heads[official]"' in refuse(orbax_folder)


def test_default_licence_is_not_ours():
    assert "non-commercial" in official.LICENCE
    assert download.parse("some/path") is None
    assert download.parse("C:\\data") is None
