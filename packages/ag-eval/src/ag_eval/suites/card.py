"""A result card: what was measured, of which model, on which data, with which versions; the same bytes each time.

Figures have six significant digits, which is more than they are worth, and what differs between machines is beyond.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from ag_core.checkpoint import Checkpoint

from ag_eval.results import to_json
from ag_eval.suites.paired_tests import Paired
from ag_eval.suites.run import PACKAGES, Outcome
from ag_eval.suites.settings import SuiteSettings

DIGITS = 6


def make_card(
    settings: SuiteSettings, model: Checkpoint, outcomes: Sequence[Outcome], tests: Sequence[Paired]
) -> dict[str, Any]:
    """Plain data; nothing in it depends on when or where it is made."""
    content = settings.model_dump(mode="json")
    return {
        "suite": {"name": settings.name, "title": settings.title, "sha256": _digest(content)},
        "model": {
            "name": model.spec.name,
            "digest": model.digest,
            "trained_on": "not known" if model.spec.trained_on is None else sorted(model.spec.trained_on),
        },
        "versions": {name: version(name) for name in (*PACKAGES, "jax", "numpy")},
        "benchmarks": [_entry(outcome) for outcome in outcomes],
        "comparisons": [
            {
                "benchmark": test.benchmark,
                "metric": test.metric,
                "better": test.one,
                "than": test.other,
                **{name: _rounded(getattr(test.found.estimate, name)) for name in ("value", "low", "high")},
                "p": _rounded(test.found.p),
                "q": _rounded(test.q),
            }
            for test in tests
        ],
    }


def card_text(card: dict[str, Any]) -> str:
    """As it is written, ending in a line break."""
    return json.dumps(card, indent=1, sort_keys=True, allow_nan=False) + "\n"


def _entry(outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = {"name": outcome.name, "status": outcome.status, "note": outcome.note}
    found["data"] = {key: dict(value) for key, value in sorted(outcome.data.items())}
    if outcome.results is not None:
        found |= _plain(to_json(outcome.results))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return _rounded(value) if isinstance(value, float) else value


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.{DIGITS}g}")


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
