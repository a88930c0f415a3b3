"""From wheels alone to a report with a scorer of one's own, as `stranger.py` does it."""

import json
import pathlib
import shutil
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_wheels_a_new_scorer_scores_and_a_report(tmp_path):
    if shutil.which("uv") is None:
        pytest.fail("uv makes the environment: pip install uv, or run by hatch, which brings it")
    command = [sys.executable, pathlib.Path(__file__).with_name("stranger.py"), tmp_path]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)
    assert found["variants"] == 200
    assert found["scorers"] == ["HaloScorer(modality=dnase)"]
    assert found["finite"] == found["rows"] > 200
    assert found["reported"] >= 1
