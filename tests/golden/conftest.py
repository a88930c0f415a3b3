"""Finds the golden files: those bundled here, or a whole folder given by --golden."""

import json
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))

SCORING = "golden_scoring.json"
BUNDLED = HERE / "bundled"
SHARED = HERE.parents[2] / "shared" / "golden" / "open"
# Of whole models with all heads, a minute of two cores each; `--golden DIR` runs them too.
LONG = {
    "small_model/loss_and_gradients",
    "small_model/forward",
    "small_model_api/api",
    "full_model/forward",
    "modules/loss_heads_real_segment",
}


def golden_files(root: pathlib.Path) -> list[tuple[pathlib.Path, str]]:
    return [(path.parent, path.stem) for path in sorted(root.glob("*/*.json")) if path.stem not in ("index", "inputs")]


def scoring_blocks(root: pathlib.Path) -> list[tuple[pathlib.Path, str]]:
    """Blocks of golden_scoring.json, which lies in the folder or beside it."""
    path = next((p for p in (root / SCORING, root.parent / SCORING) if p.exists()), None)
    if path is None:
        return []
    return [(path, block) for block in json.loads(path.read_text()) if not block.startswith("_")]


def pytest_generate_tests(metafunc):
    chosen = metafunc.config.getoption("--golden")
    root = pathlib.Path(chosen) if chosen else SHARED if SHARED.exists() else BUNDLED
    if "scoring_block" in metafunc.fixturenames:
        blocks = scoring_blocks(root)
        metafunc.parametrize("scoring_block", blocks, ids=[block for _, block in blocks])
    if "golden_file" in metafunc.fixturenames:
        files = golden_files(root)
        if not files:
            raise ValueError(f"no golden files below {root}: expected FOLDER/NAME.json beside FOLDER/NAME.npz")
        names = [f"{folder.name}/{stem}" for folder, stem in files]
        slow = [[pytest.mark.slow] if name in LONG and not chosen else [] for name in names]
        cases = [pytest.param(file, marks=marks) for file, marks in zip(files, slow, strict=True)]
        metafunc.parametrize("golden_file", cases, ids=names)
