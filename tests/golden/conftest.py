"""Finds the golden files: those bundled here, or a whole folder given by --golden."""

import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))

BUNDLED = HERE / "bundled"
SHARED = HERE.parents[2] / "shared" / "golden" / "open"


def golden_files(root: pathlib.Path) -> list[tuple[pathlib.Path, str]]:
    return [
        (path.parent, path.stem) for path in sorted(root.glob("*/*.json")) if path.stem not in ("index", "inputs")
    ]


def pytest_generate_tests(metafunc):
    if "golden_file" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--golden")
        root = pathlib.Path(chosen) if chosen else SHARED if SHARED.exists() else BUNDLED
        files = golden_files(root)
        if not files:
            raise ValueError(f"no golden files below {root}: expected FOLDER/NAME.json beside FOLDER/NAME.npz")
        metafunc.parametrize("golden_file", files, ids=[f"{folder.name}/{stem}" for folder, stem in files])
