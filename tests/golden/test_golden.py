"""One test for each golden file: `pytest tests/golden --golden DIR`.

What no code answers to is an explicit xfail: `-rx` lists all that is missing (nothing, at present).
"""

import json
from collections.abc import Callable, Mapping

import api_checks
import full_checks
import genome_checks
import head_checks
import loss_checks
import pytest
import scorer_checks
import trunk_checks
from golden_file import Golden

CHECKS: Mapping[str, Mapping[str, Callable[[Golden], None]]] = {
    "modules": trunk_checks.CHECKS | head_checks.CHECKS | loss_checks.CHECKS | genome_checks.CHECKS,
    "scorers": scorer_checks.CHECKS | genome_checks.SCORER_CHECKS,
    "small_model_api": api_checks.CHECKS,
    "full_model": full_checks.CHECKS,
    "small_model": head_checks.MODEL_CHECKS | loss_checks.MODEL_CHECKS,
}


def find_check(folder: str, stem: str) -> Callable[[Golden], None] | None:
    checks = CHECKS.get(folder, {})
    stem = stem.removeprefix("native_")
    # Longest prefix wins, so that held-out files with other suffixes find their check too.
    matches = [prefix for prefix in checks if stem == prefix or stem.startswith(prefix)]
    return checks[max(matches, key=len)] if matches else None


def test_golden(golden_file):
    folder, stem = golden_file
    check = find_check(folder.name, stem)
    if check is None:
        pytest.xfail(f"no code answers to {folder.name}/{stem} yet")
    check(Golden.load(folder, stem))


def test_scoring_vectors(scoring_block):
    path, block = scoring_block
    blocks = json.loads(path.read_text())
    checks = scorer_checks.SCORING_CHECKS | genome_checks.SCORING_CHECKS
    if block not in checks:
        pytest.xfail(f"no code answers to block {block!r} of {path.name} yet")
    checks[block](blocks)
