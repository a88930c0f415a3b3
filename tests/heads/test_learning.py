"""Every head learns what is planted for it, and finds it in sequences that it has not seen."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from learn import GROUPS


@pytest.mark.slow
@pytest.mark.parametrize("group", list(GROUPS))
def test_every_head_learns_its_signal(group):
    here = pathlib.Path(__file__).parent
    # Without the options of the tests, which make compilation fast and training slow.
    environment = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"} | {"PYTHONPATH": str(here)}
    command = [sys.executable, here / "learn.py", group]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout)
    assert set(found) == set(GROUPS[group].weights)
    assert not {name: value for name, value in found.items() if not value > 0.9}
