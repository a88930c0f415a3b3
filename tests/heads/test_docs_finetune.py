"""The commands of docs/training.md for somebody's bigWig run as they stand there."""

import os
import pathlib
import re
import subprocess
import sys

import pandas as pd
import pytest

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "training.md"


@pytest.mark.slow
def test_a_bigwig_becomes_a_model_that_scores(shared, tmp_path):
    mark = f"<!-- executed by tests/heads/{pathlib.Path(__file__).name} -->"
    (block,) = re.findall(rf"{mark}\n```bash\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len([line for line in block.splitlines() if line.startswith("agenome")]) < 10
    here = pathlib.Path(sys.executable).parent
    environment = os.environ | {"AG_DATA": str(shared.absolute()), "PATH": f"{here}{os.pathsep}{os.environ['PATH']}"}
    # What tests set for speed of compilation makes training slow.
    environment.pop("XLA_FLAGS", None)
    subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=tmp_path, env=environment, check=True)
    scores = pd.read_csv(tmp_path / "scores.tsv", sep="\t", comment="#")
    assert len(scores) == 1
    assert scores.filter(like="raw").notna().all(axis=None)
