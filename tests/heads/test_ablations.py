"""A suite of ablations: runs, ensembles and students are made, measured on the same windows, and drawn."""

import json
import pathlib
import subprocess
import sys

import planted
import pytest
import yaml

RUN = pathlib.Path(__file__).parents[2] / "examples" / "ablations" / "run.py"


def suite(folder: pathlib.Path, **changes) -> pathlib.Path:
    (folder / "recipe.yaml").write_text(yaml.safe_dump(planted.recipe()))
    content = {
        "base": "recipe.yaml",
        "change": {"optimiser.steps": 4},
        "measure": {"lengths": [2048]},
        "runs": {
            "base": {},
            "seed 1": {"set": {"seed": 1}},
            "mean of 2": {"ensemble": ["base", "seed 1"]},
            "student": {"teachers": ["base", "seed 1"], "mutations": {"share": 0.04}},
        },
        "panels": {
            "Ensemble and student": {"runs": ["base", "mean of 2", "student"]},
            "Length": {"runs": ["base"], "lengths": [2048, 4096]},
        },
    }
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump(content | changes))
    return path


@pytest.mark.slow
def test_a_suite_is_run_measured_and_drawn(tmp_path):
    path, out = suite(planted.plant(tmp_path)), tmp_path / "out"
    command = [sys.executable, str(RUN), str(path), "-o", str(out)]
    subprocess.run(command, check=True)
    figures = json.loads((out / "figures.json").read_text())
    at = [f"{name} @ 2048" for name in ("base", "seed 1", "mean of 2", "student")]
    assert set(figures) == {*at, "base @ 4096"}
    assert all(-1 <= own["chip_tf"] <= 1 for own in figures.values())
    assert len({own["chip_tf"] for own in figures.values()}) == len(figures)
    assert (out / "panels.png").stat().st_size > 1000


@pytest.mark.slow
def test_an_unknown_run_is_named(tmp_path):
    path = suite(tmp_path, panels={"Length": {"runs": ["bas"]}})
    found = subprocess.run([sys.executable, str(RUN), str(path), "-o", str(tmp_path)], capture_output=True, text=True)
    assert found.returncode != 0
    assert "no run is called bas" in found.stderr


def test_what_one_run_changes_is_not_changed_for_the_next(tmp_path):
    sys.path.insert(0, str(RUN.parent))
    try:
        import run as ablations
    finally:
        sys.path.remove(str(RUN.parent))
    heads = {"chip_tf": {"options": {}}}
    runs = {"base": {}, "coarse": {"set": {"model.heads.chip_tf.options": {"resolutions": [256]}}}}
    path = suite(planted.plant(tmp_path), change={"model.heads": heads}, runs=runs, panels={})
    read = ablations.read_suite(path)
    options = [
        ablations.settings_of(read, tmp_path, read.runs[name], {}).model.heads["chip_tf"].options
        for name in ("base", "coarse", "base")
    ]
    assert options == [{}, {"resolutions": [256]}, {}]
    mutated, plain = (
        ablations.settings_of(
            read, tmp_path, ablations.Run(teachers=["base"], mutations=mutations), {"base": tmp_path}
        ).distil.mutations
        for mutations in ({"share": 0.1}, None)
    )
    assert (mutated.share, plain) == (0.1, None)
