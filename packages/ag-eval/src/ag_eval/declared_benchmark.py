"""What all benchmarks have in common that a YAML file describes: without the file they say that they need one."""

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ag_core.interfaces import AbstractBenchmark

Settings = TypeVar("Settings")


class AbstractDeclaredBenchmark(AbstractBenchmark):
    """Citation, licence and how to get the data are those of the file's manifests."""

    citation = licence = obtain = "what the file says"

    def take(
        self,
        file: str | os.PathLike[str] | None,
        read: Callable[[str | os.PathLike[str]], Settings],
        manifests: Callable[[Settings], Sequence[Any]],
    ) -> Settings | None:
        """What the file says, None where none is given. Raises InputError for one that cannot be read."""
        if file is None:
            self.needs = (*self.needs, "file")
            return None
        settings = read(file)
        self.citation, self.licence, self.obtain = (
            "; ".join(dict.fromkeys(str(getattr(each, key)) for each in manifests(settings)))
            for key in ("source", "licence", "obtain")
        )
        return settings
