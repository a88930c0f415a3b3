"""The data doctor: what is wrong with tracks, before a model learns it. This file is the table of contents."""

from ag_core.lazy import lazy_names

_NAMES = {
    "examine": "examination",
    "examine_signals": "examination",
    # What it says
    "Finding": "findings",
    "Report": "findings",
    "write_report": "findings",
    # What checks look at
    "Sample": "signals",
    "Signals": "signals",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
