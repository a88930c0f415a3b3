"""A tiny model with all eleven heads for two organisms."""

import pathlib
import sys

import pytest
from ag_core.checkpoint import ModelSpec, outline

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from eleven import eleven_heads_spec


@pytest.fixture(scope="session")
def eleven_heads() -> ModelSpec:
    return eleven_heads_spec()


@pytest.fixture(scope="session")
def eleven_heads_model(eleven_heads, randomise):
    return randomise(outline(eleven_heads))
