"""What no release may have: code that runs what it reads, paths that lead elsewhere, pages that run what they show."""

import ast
import contextlib
import json
import pathlib
import re

import pytest
from ag_core.cli import run
from ag_core.errors import InputError

ROOT = pathlib.Path(__file__).parents[1]
SOURCES = sorted(ROOT.glob("packages/*/src/**/*.py"))

# What runs or makes objects of bytes, by module; `eval` and `exec` are names of their own.
FORBIDDEN = {
    "pickle", "cPickle", "_pickle", "marshal", "shelve", "joblib", "dill", "cloudpickle", "torch", "jsonpickle",
}  # fmt: skip
CALLS = {"eval", "exec", "compile", "__import__", "mktemp", "system", "popen"}
UNSAFE_YAML = {"load", "load_all", "full_load", "full_load_all", "unsafe_load", "unsafe_load_all"}
UNPACK = {"extractall", "extract", "unpack_archive"}

# (file, what is found): why it is all right.
EXCEPTIONS = {
    ("ag_scorers/kit/scorer_laws.py", "import pickle"): "a law of scorers: a copy of an object of this process",
    ("ag_scorers/kit/scorer_laws.py", "pickle.loads"): "of bytes that the line itself has made",
}


def _found(tree: ast.AST) -> list[str]:
    """What is suspicious in a module."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [f"import {name.name}" for name in node.names if name.name.partition(".")[0] in FORBIDDEN]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in FORBIDDEN:
            found.append(f"import {node.module}")
        elif isinstance(node, ast.Call):
            found += _call(node)
    return found


def _call(node: ast.Call) -> list[str]:
    options = {keyword.arg: keyword.value for keyword in node.keywords}

    def is_true(name: str) -> bool:
        value = options.get(name)
        return value is not None and not (isinstance(value, ast.Constant) and value.value is False)

    found = [f"{name}=..." for name in ("shell", "allow_pickle", "trust_remote_code") if is_true(name)]
    if isinstance(node.func, ast.Name):
        return found + [node.func.id] * (node.func.id in CALLS)
    if not isinstance(node.func, ast.Attribute):
        return found
    name, owner = node.func.attr, ast.unparse(node.func.value)
    if owner == "yaml" and name in UNSAFE_YAML and "SafeLoader" not in ast.unparse(node):
        found.append(f"yaml.{name}")
    if owner == "pickle" and name in ("load", "loads", "Unpickler"):
        found.append(f"pickle.{name}")
    if owner in ("os", "tempfile", "builtins", "commands") and name in CALLS:
        found.append(f"{owner}.{name}")
    if name in UNPACK:
        found.append(name)
    if owner in ("pd", "pandas") and name in ("read_pickle", "eval", "read_hdf"):
        found.append(f"{owner}.{name}")
    return found


def test_nothing_runs_what_it_reads():
    assert len(SOURCES) > 300
    found = set()
    for path in SOURCES:
        name = path.relative_to(next(p for p in path.parents if p.name == "src")).as_posix()
        found |= {(name, what) for what in _found(ast.parse(path.read_text(encoding="utf-8")))}
    assert found == set(EXCEPTIONS)


@pytest.mark.parametrize(
    "text",
    [
        "import pickle", "from joblib import load", "import torch.hub", "eval(x)", "exec(x)", "yaml.load(x)",
        "yaml.load(x, Loader=yaml.FullLoader)", "np.load(p, allow_pickle=True)", "np.load(p, allow_pickle=flag)",
        "subprocess.run(c, shell=True)", "tempfile.mktemp()", "os.system(c)", "tar.extractall(p)",
        "shutil.unpack_archive(a)", "pd.read_pickle(p)", "pickle.loads(b)",
    ],
)  # fmt: skip
def test_the_scan_sees(text):
    assert _found(ast.parse(text))


@pytest.mark.parametrize(
    "text",
    ["yaml.safe_load(x)", "yaml.compose(x, Loader=yaml.SafeLoader)", "np.load(p)", "re.compile(p)", "file.load(x)"],
)
def test_the_scan_lets_pass(text):
    assert not _found(ast.parse(text))


# YAML


def test_yaml_makes_no_objects(tmp_path):
    from ag_data.yaml_file import parse_yaml, read_yaml

    mark = tmp_path / "mark"
    (tmp_path / "a.yaml").write_text(f'!!python/object/apply:pathlib.Path.touch ["{mark}"]')
    with pytest.raises(InputError, match=r"a\.yaml is not YAML: could not determine a constructor"):
        read_yaml(tmp_path / "a.yaml", "settings")
    assert not mark.exists()
    with pytest.raises(InputError, match="x is nested too deep"):
        parse_yaml("[" * 5000, "x")
    with pytest.raises(InputError, match="within itself"):
        parse_yaml("&a [*a]", "x")
    with pytest.raises(InputError, match=r"cannot read .*; put it in quotes"):
        parse_yaml("when: 2024-13-45", "x")
    (tmp_path / "b.yaml").write_bytes(b"a: \xa4")
    with pytest.raises(InputError, match=r"b.yaml is not YAML: .*UTF-8"):
        read_yaml(tmp_path / "b.yaml", "suite")
    assert parse_yaml("a: &x [1, 2]\nb: *x\nc: 2024-01-02 03:04:05", "x")["b"] == [1, 2]


def test_a_few_lines_of_yaml_cannot_stand_for_a_billion_values():
    from ag_data.yaml_file import parse_yaml

    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(InputError, match="aliases that stand for more than 1,000,000 values"):
        parse_yaml("\n".join(lines), "manifest m.yaml")
    lines = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 12))]
    with pytest.raises(InputError, match="aliases that stand for more than 1,000,000 values"):
        parse_yaml("\n".join(lines), "manifest m.yaml")  # what some versions of PyYAML merge for ever


@pytest.mark.parametrize("kind", ["manifest", "train", "suite", "evaluation"])
def test_every_yaml_file_is_read_by_this(kind, tmp_path):
    from ag_data.manifest import read_manifest
    from ag_eval.suites.settings import read_suite
    from ag_eval.variants.settings import read_evaluation
    from ag_heads.recipes.settings_file import read_settings

    path = tmp_path / "a.yaml"
    path.write_text("a: &a [*a]")
    read = {"manifest": read_manifest, "train": read_settings, "suite": read_suite, "evaluation": read_evaluation}[kind]
    with pytest.raises(InputError, match=r"a.yaml is nested too deep"):
        read(path)


def test_no_other_module_reads_yaml():
    """Slurm's options, say, whose command needs a cluster. The exception reads files of its own package."""
    reads = {path.name for path in SOURCES if re.search(r"yaml\.(safe_)?load|SafeLoader\(", path.read_text())}
    assert reads == {"yaml_file.py", "evaluation_table.py"}


# Paths


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "..", "a/b", "a\\b", "", "A", "x;y", "$(id)", "con\n"])
def test_a_plugin_is_written_where_it_is_asked_for(name, tmp_path):
    from ag_scorers.kit.package import write_package

    with pytest.raises(InputError, match="expected lower-case words"):
        write_package(name, "scorer", tmp_path / "a" / "b")
    assert not list(tmp_path.rglob("*"))


EVIL = "../../../evil"


def _genome(folder: pathlib.Path, *names: str) -> pathlib.Path:
    path = folder / "genome.fa"
    path.write_text("".join(f">{name}\n{'ACGTTGCA' * 512}\n" for name in names))
    return path


def test_no_chromosome_leads_out_of_a_store(tmp_path):
    """Groups of a store are folders: the name of a chromosome is one."""
    home = tmp_path / "a" / "b" / "c" / "d"
    home.mkdir(parents=True)
    _genome(home, "chr1", EVIL)
    (home / "x.bedgraph").write_text(f"chr1\t0\t1000\t1\n{EVIL}\t0\t1000\t2\n")
    lines = ["genome: genome.fa", "organism: human", "build: hg38", f"chromosomes: [chr1, '{EVIL}']"]
    lines += ["tracks:", "  - {path: x.bedgraph, modality: dnase, strand: '.'}"]
    (home / "m.yaml").write_text("\n".join(lines))
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(home)}
    assert run(["tracks", "import", str(home / "m.yaml"), "-o", str(home / "store.zarr")]) == 2
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(home)} == before
    assert not (home / "store.zarr").exists()


def test_names_of_places_are_no_paths(tmp_path):
    from ag_data.fasta import Fasta
    from ag_scorers.predictor.places import Windows, gather_places

    fasta = Fasta(_genome(tmp_path, "chr1", EVIL, "a/b"))
    bed = tmp_path / "x.bed"
    bed.write_text(f"{EVIL}\t100\t200\na/b\t300\t400\nchr1\t5\t9\t../../up\nchr1\t15\t19\t/etc/passwd\n")
    names = [place.name for place in gather_places(Windows(2048), fasta=fasta, bed=bed)]
    assert len(set(names)) == 4
    for name in names:
        assert pathlib.PurePosixPath(name).parts == (name,)
        assert not name.startswith(".")


def test_files_of_tracks_stay_in_their_folder():
    from ag_data.export.tree import file_name

    for label in (EVIL, "/etc/passwd", "a/../b", "x\0y", "..\\x", "a b (+)"):
        assert re.fullmatch(r"[A-Za-z0-9.+_-]*", file_name(label))
        assert "/" not in f"dnase.{file_name(label)}.bw"


def test_a_folder_of_bigwigs_names_its_own_files_only(tmp_path):
    from ag_data.export.bigwig import TABLE
    from ag_scorers.browser.collection import collect

    (tmp_path / "in").mkdir()
    (tmp_path / "secret.bw").write_bytes(b"x")
    about = {"modality": "dnase", "name": "a", "strand": ".", "allele": ""}
    (tmp_path / "in" / TABLE).write_text(json.dumps({"../secret.bw": about}))
    with pytest.raises(InputError, match=r"'../secret.bw', which is not in its folder"):
        collect(tmp_path / "in", tmp_path / "out" / "deep")
    assert not (tmp_path / "out").exists()


def test_shards_of_a_run_are_numbers(tmp_path):
    """A manifest that names a file elsewhere is not believed."""
    from ag_scorers.digests import file_digest
    from ag_scorers.shards import RunFolder

    folder = RunFolder(tmp_path / "run", {}, ())
    folder.close()
    (tmp_path / "x.arrow").write_bytes(b"x")
    told = {"calls": 1, "first": [0, 0], "last": [0, 0], "statuses": {}, "bytes": 1, "seconds": 0.1}
    told |= {"shard": "../../x", "sha256": file_digest(tmp_path / "x.arrow")}
    (tmp_path / "run" / "shards" / "00000.json").write_text(json.dumps(told))
    folder = RunFolder(tmp_path / "run", {}, ())
    folder.close()
    assert folder.manifests == {}


def test_labels_of_a_suite_are_no_paths(tmp_path):
    from ag_eval.suites.settings import read_suite

    path = tmp_path / "s.yaml"
    path.write_text("name: s\nbenchmarks: [{benchmark: x, label: ../../evil}]")
    with pytest.raises(InputError, match="is no label"):
        read_suite(path)


# Pages


def test_a_report_of_benchmarks_shows_its_own_pictures_only(tmp_path):
    from ag_eval.suites.report import to_html

    (tmp_path / "out" / "figures").mkdir(parents=True)
    (tmp_path / "out" / "figures" / "a_rows.png").write_bytes(b"picture")
    (tmp_path / "secret.png").write_bytes(b"secret")
    text = (
        "![a](figures/a_rows.png) ![b](figures/../../secret.png) ![c](https://example.org/x.png) "
        "<script>alert(1)</script> [x](javascript:alert(1))"
    )
    page = to_html(text, "<b>", tmp_path / "out")
    assert re.findall(r'src="([^"]*)"', page) == ["data:image/png;base64,cGljdHVyZQ==", "", ""]
    for bad in ("<script>", "<b>", 'href="javascript', "c2VjcmV0", 'src="https:'):
        assert bad not in page


# Weights


def test_every_flipped_byte_of_a_checkpoint_is_seen(tmp_path):
    """Of the arrays and of what is said of them; digests are compared before anything is read."""
    import numpy as np
    from ag_core.checkpoint import find, open_checkpoint

    source = find("mini")
    for name in ("model.safetensors", "model.json"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    with open_checkpoint(tmp_path):
        pass
    draws = np.random.default_rng(0)
    for name in ("model.safetensors", "model.json"):
        whole = (tmp_path / name).read_bytes()
        places = draws.integers(0, len(whole), 6)
        for place in places:
            changed = bytearray(whole)
            changed[place] ^= 1
            (tmp_path / name).write_bytes(changed)
            with pytest.raises(InputError, match=re.escape(str(tmp_path))), open_checkpoint(tmp_path):
                pass
        (tmp_path / name).write_bytes(whole)


# Stores


@pytest.mark.filterwarnings("ignore:Object at .* is not recognized")  # what is of format 2
def test_no_codec_of_an_older_store_runs_code(tmp_path, monkeypatch):
    """Format 2 of zarr has a codec that unpickles: where the suite reads stores of others, only format 3 is opened."""
    import pickle

    import zarr
    from ag_data.export.zarr_store import open_predictions
    from ag_data.store import STATISTICS, open_store
    from ag_scorers.scored_files import sample_rows
    from numcodecs import pickles

    monkeypatch.setattr(pickles, "ALLOW_UNSAFE_PICKLE_DECODE", True, raising=False)  # as older versions are
    mark = tmp_path / "mark"

    class Evil:
        def __reduce__(self):
            return pathlib.Path.touch, (mark,)

    def poison(group, attributes):
        about = {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "compressor": None, "fill_value": None}
        about |= {"order": "C", "filters": [{"id": "vlen-utf8"}, {"id": "pickle", "protocol": 5}]}
        for name in ("track", "name", "status", "variant", "prediction", *STATISTICS):
            (group / name).mkdir(parents=True)
            (group / name / ".zarray").write_text(json.dumps(about))
            (group / name / ".zattrs").write_text(json.dumps({"_ARRAY_DIMENSIONS": ["track"]}))
            (group / name / "0").write_bytes(pickle.dumps(Evil()))
        (group / ".zgroup").write_text('{"zarr_format": 2}')
        (group / ".zattrs").write_text(json.dumps(attributes))

    poison(tmp_path / "bare", {})
    with contextlib.suppress(Exception):  # what the codec made is no text
        zarr.open_group(tmp_path / "bare", mode="r")["name"][:]
    assert mark.exists()  # what is guarded against
    mark.unlink()

    store = {"schema": "ag-tracks", "format": 1, "complete": True, "organism": "human", "build": "hg38"}
    store |= {"modalities": ["dnase"], "contigs": {"chr1": {"length": 9}}}
    predictions = {"format": 1, "complete": True, "chromosomes": {"chr1": 9}, "organism": "human"}
    about = {"layout": "signal", "resolution": 1, "tracks": 1, "contigs": ["chr1"], "dtype": "float32"}
    for name, attributes in {"store": store, "predictions": predictions}.items():
        zarr.create_group(tmp_path / f"{name}.zarr", attributes=attributes, zarr_format=3)
        poison(tmp_path / f"{name}.zarr" / "dnase", about)
    poison(tmp_path / "scores.zarr", {"model_digest": "0", "requested": "[]", "reference": "x"})
    with pytest.raises(InputError, match=r"store\.zarr/dnase is missing or damaged"):
        open_store(tmp_path / "store.zarr").statistics("dnase")
    with pytest.raises(InputError, match=r"scores\.zarr cannot be read \(No group found"):
        sample_rows(tmp_path / "scores.zarr", 3, 0)
    assert not list(open_predictions(tmp_path / "predictions.zarr").children)
    assert not mark.exists()
