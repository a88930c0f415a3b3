"""A folder holds one run: its settings are kept, and others refused."""

import json
import pathlib
from collections.abc import Iterator
from typing import Any

from ag_core.errors import InputError

from ag_heads.recipes.settings import Settings


def check_same(settings: Settings, path: pathlib.Path, *, write: bool) -> None:
    """Refuses a folder of another run; how often it logs and saves may change."""
    now = settings.model_dump(mode="json")
    if path.exists():
        before = json.loads(path.read_text())
        apart = [
            f"{key} was {old!r}, now {new!r}"
            for key, old, new in _differences({**before, "run": None}, {**now, "run": None})
        ]
        if apart:
            raise InputError(
                f"{path.parent} holds a run of other settings: {'; '.join(apart[:5])}; choose another folder, or start "
                "from its model (model.start)"
            )
    if write:
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(now, indent=1))
        temporary.replace(path)


def _differences(before: Any, now: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in {**before, **now}:
            yield from _differences(before.get(key), now.get(key), f"{place}.{key}" if place else key)
    elif before != now:
        yield place, before, now
