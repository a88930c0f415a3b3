"""From a store's values to the targets that heads learn from: one module for each layout of `ag_data.store`."""

import importlib
from typing import Any

_CLASSES = {
    "signal": "Signal",
    "usage": "Usage",
    "classes": "Classes",
    "contacts": "Contacts",
    "junctions": "Junctions",
}


def find_layout(name: str) -> Any:
    """The class of a layout, an `ag_data.layouts.layout.AbstractLayout`. Raises LookupError for an unknown one."""
    if name not in _CLASSES:
        raise LookupError(f"no layout {name!r}; there are {', '.join(_CLASSES)}")
    return getattr(importlib.import_module(f"{__name__}.{name}"), _CLASSES[name])
