"""The server: a model behind gRPC (the official client works unchanged) and HTTP. Here is the table of contents."""

from ag_core.lazy import lazy_names

_NAMES = {
    "Backend": "backend",
    "open_backend": "backend",
    "Settings": "settings",
    "Server": "server",
    "MESSAGES": "protocol",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
