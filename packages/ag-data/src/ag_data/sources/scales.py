"""Counts per million reads, and what had to be counted for them once."""

import json
import math
import pathlib
from collections.abc import Callable
from typing import Any

from ag_core.errors import InputError

from ag_data.cache import cache_path, replacing

PER_MILLION = ("cpm", "rpm")


def check_count_scale(scale: object) -> float | str:
    """`scale` if it is "none", "cpm", "rpm" or a positive number. Raises InputError otherwise."""
    if isinstance(scale, str) and scale in ("none", *PER_MILLION):
        return scale
    if isinstance(scale, int | float) and not isinstance(scale, bool) and math.isfinite(scale) and scale > 0:
        return float(scale)
    raise InputError(f"scale is {scale!r}; expected none, cpm, rpm (both: per million reads counted) or a number")


def count_factor(scale: float | str, counted: Callable[[], int], label: str) -> float:
    """What counts are multiplied by; `counted` is asked only where it is needed."""
    if scale not in PER_MILLION:
        return 1.0 if scale == "none" else float(scale)
    number = counted()
    if not number:
        raise InputError(f"{label}: no read passes the filters, so nothing can be scaled to a million; check them")
    return 1e6 / number


def remember(path: pathlib.Path, suffix: str, count: Callable[[], Any]) -> Any:
    """What `count` finds in a file, as JSON; kept in the cache folder until the file changes."""
    place = cache_path(path, suffix)
    if place.exists():
        return json.loads(place.read_text())
    found = count()
    try:
        with replacing(place) as (scratch,):
            scratch.write_text(json.dumps(found))
    except OSError:  # no place to keep it: it will be counted again
        pass
    return found
