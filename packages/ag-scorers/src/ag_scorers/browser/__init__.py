"""Predictions in genome browsers: an igv.js page, an IGV session, a UCSC track hub."""

from ag_core.lazy import lazy_names

_NAMES = {
    "browse": "api",
    "collect": "collection",
    "write_page": "page",
    "write_site": "page",
    "write_session": "session",
    "write_hub": "hub",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
