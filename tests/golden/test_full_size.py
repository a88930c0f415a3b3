"""The way of the published weights at full size: an Orbax tree of 1.8 GB in, predictions, and out again.

Not part of the default run: `pytest tests/golden/test_full_size.py -m full_size [--golden DIR]`; two minutes, 6 GB.
"""

import json
import pathlib
import subprocess
import sys

import full_checks
import numpy as np
import orbax.checkpoint as ocp
import pytest
from ag_core.checkpoint import fill, open_checkpoint, outline
from ag_core.cli import run
from ag_heads.orbax_files import OrbaxTree
from golden_file import Golden

SHARED = pathlib.Path(__file__).parents[3] / "shared" / "golden" / "open"


@pytest.fixture
def golden(pytestconfig):
    folder = pathlib.Path(pytestconfig.getoption("--golden") or SHARED) / "full_model"
    if not folder.exists():
        pytest.fail(f"{folder} does not exist: say --golden DIR, with DIR/full_model")
    return Golden.load(folder, "forward")


def write_recipe(folder, recipe):
    parts = ({}, {})
    for path, array in recipe.items():
        module, _, name = path.rpartition("/")
        parts[int(name == "var_ema")].setdefault(module, {})[name] = array
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder, parts)


PEAK = """
import resource, sys
import ag_core.checkpoint
ag_core.checkpoint.load("mini")  # whatever it imports and compiles
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
checkpoint = ag_core.checkpoint.load(sys.argv[1], precision=sys.argv[2])
print((peak() - before) / sum(leaf.nbytes for leaf in ag_core.checkpoint.array_names(checkpoint.model).values()))
"""


@pytest.mark.full_size
def test_import_predict_export(golden, tmp_path, capsys):
    tree, imported, exported = tmp_path / "tree", tmp_path / "imported", tmp_path / "exported"
    recipe = full_checks.RecipeTree(golden)
    write_recipe(tree, recipe)
    assert run(["model", "import", str(tree), "-o", str(imported), "--json"]) == 0
    capsys.readouterr()
    assert run(["model", "info", str(imported), "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["parameters"] == 450_452_613
    assert info["heads"]["rna_seq"]["tracks"] == [667, 173]

    # Loading holds hardly more than the arrays: in a process of its own, whose peak nothing else has set.
    for precision, limit in (("float32", 1.15), ("bfloat16", 1.3)):
        command = [sys.executable, "-c", PEAK, str(imported), precision]
        ratio = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        assert ratio < limit, f"loading as {precision} takes {ratio:.2f} times the arrays"

    # The golden keeps fewer splice sites: the same arrays under another description.
    with open_checkpoint(imported) as (_, _, arrays):
        model = fill(outline(full_checks.full_spec(golden)), arrays)
    full_checks.compare(golden, model)
    del model

    assert run(["model", "export", str(imported), "-o", str(exported)]) == 0
    found = OrbaxTree(exported)
    assert found.shapes == OrbaxTree(tree).shapes
    for path, array in recipe.items():
        np.testing.assert_array_equal(found.read(path), array, err_msg=path)
