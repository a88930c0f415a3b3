"""Public names that import their module on first use, so that a package's table of contents costs nothing."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(
    package: str, modules: Mapping[str, str], *present: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package (PEP 562).

    `modules` maps public names to the submodule that has them; `present` names what the package itself holds.
    """
    names = sorted([*modules, *present])

    def __getattr__(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(names)}")
        return getattr(importlib.import_module(f"{package}.{modules[name]}"), name)

    return __getattr__, lambda: names, names
