"""One test for each golden file: `pytest tests/golden --golden DIR`.

A file (or a part of one) that no code answers to yet is an explicit xfail, so that `-rx` lists what is missing.
"""

from collections.abc import Callable

import pytest
import trunk_checks
from golden_file import Golden

# Longest prefix wins, so that held-out files with other suffixes find their check too.
CHECKS: dict[str, dict[str, Callable[[Golden], None]]] = {"modules": dict(trunk_checks.CHECKS)}


def find_check(folder: str, stem: str) -> Callable[[Golden], None] | None:
    checks = CHECKS.get(folder, {})
    stem = stem.removeprefix("native_")
    matches = [prefix for prefix in checks if stem == prefix or stem.startswith(prefix)]
    return checks[max(matches, key=len)] if matches else None


def test_golden(golden_file):
    folder, stem = golden_file
    check = find_check(folder.name, stem)
    if check is None:
        pytest.xfail(f"no code answers to {folder.name}/{stem} yet")
    check(Golden.load(folder, stem))
