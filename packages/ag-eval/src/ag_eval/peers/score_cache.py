"""Scores of slow peers, kept between runs: a folder of parquet files for each peer and version, to be deleted at will.

A score is found by a digest of all it depends on: the sequences of both alleles with their context, and settings.
"""

import hashlib
import os
from collections.abc import Iterable

import pandas as pd
from ag_core.cache import cache_folder
from ag_core.errors import InputError


class ScoreCache:
    """Scores by digest. `save` writes what is new as another file, so runs beside each other lose nothing.

    Lies in `peers/NAME-VERSION` of the cache folder (`AG_CACHE_DIR`). Raises InputError for a damaged file.
    """

    def __init__(self, name: str, version: str):
        self.folder = cache_folder() / "peers" / f"{name}-{version}"
        self._known: dict[str, float] = {}
        self._new: dict[str, tuple[str, float]] = {}
        for path in sorted(self.folder.glob("*.parquet")):
            try:
                table = pd.read_parquet(path, columns=["digest", "score"])
            except (OSError, ValueError, KeyError) as error:
                raise InputError(f"kept scores {path} cannot be read ({error}); delete the file") from error
            self._known |= dict(zip(table["digest"], table["score"].astype(float), strict=True))

    def get(self, digest: str) -> float | None:
        """The score, None when it is not known."""
        return self._known.get(digest)

    def add(self, digest: str, variant: object, score: float) -> None:
        """Keeps a score; `variant` is for people who look into the file."""
        self._known[digest] = score
        self._new[digest] = str(variant), score

    def save(self) -> None:
        """Writes what was added since the last time. Raises InputError when it cannot."""
        if not self._new:
            return
        rows = [(variant, digest, score) for digest, (variant, score) in self._new.items()]
        table = pd.DataFrame(rows, columns=["variant", "digest", "score"])
        path = self.folder / f"{digest_of(self._new)[:16]}.parquet"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(f".{os.getpid()}.tmp")
            table.to_parquet(unfinished, index=False)
            unfinished.replace(path)
        except OSError as error:
            raise InputError(f"cannot keep scores in {self.folder} ({error}); set AG_CACHE_DIR") from error
        self._new = {}


def digest_of(parts: Iterable[object]) -> str:
    """sha256 of texts, each with its end marked."""
    total = hashlib.sha256()
    for part in parts:
        total.update(str(part).encode() + b"\0")
    return total.hexdigest()
