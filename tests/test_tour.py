"""The notebook of the documentation runs from the first cell to the last, and shows what it says."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

TOUR = pathlib.Path(__file__).parents[1] / "docs" / "tour.ipynb"
# In a process of its own, with the flags and warnings of a user.
RUN = """
import json, sys
cells = json.loads(sys.stdin.read())
space = {"__name__": "tour"}
for number, cell in enumerate(cells):
    exec(compile(cell, f"cell {number}", "exec"), space)
"""


@pytest.mark.slow
def test_the_tour_runs(tmp_path):
    notebook = json.loads(TOUR.read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 8
    # The flags of the tests make compilation fast and models slow.
    environment = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    command, texts = [sys.executable, "-c", RUN], json.dumps(cells)
    done = subprocess.run(command, input=texts, cwd=TOUR.parent, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "replaces G by A" in done.stdout
    assert "Spearman:" in done.stdout


def test_the_tour_has_its_outputs():
    notebook = json.loads(TOUR.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in code)
    pictures = [out for cell in code for out in cell["outputs"] if "image/png" in out.get("data", {})]
    assert len(pictures) == 4
    assert TOUR.stat().st_size < 1_000_000
