"""What the last steps said of themselves; a step that was not finite ends the run."""

import math
import pathlib
import time
from typing import Any

import jax
import numpy as np
from ag_core import training
from ag_core.checkpoint import array_name
from ag_core.errors import InputError


class Recent:
    """Reports of the last steps. Raises InputError for one that was not finite, with its batch kept in a file."""

    def __init__(self):
        self._reports: list[tuple[str, training.Report]] = []
        self._pending: tuple[int, str, Any, training.Report] | None = None
        self._since = time.monotonic()

    def add(self, number: int, feed: str, batch: Any, report: training.Report, out: pathlib.Path) -> None:
        self._settle(out)
        self._pending = (number, feed, batch, report)

    def means(self, out: pathlib.Path) -> dict[str, float]:
        """Means over the steps since the last call, and seconds a step took."""
        self._settle(out)
        sums: dict[str, list[float]] = {}
        for feed, report in self._reports:
            values = {"loss": report.loss, "gradient_norm": report.gradient_norm}
            values |= {key: part for key, part in report.parts.items() if key.endswith("/loss")}
            values[f"loss/{feed}"] = report.loss
            for key, value in values.items():
                sums.setdefault(key, []).append(float(value))
        now = time.monotonic()
        spent, count = now - self._since, len(self._reports)
        self._reports, self._since = [], now
        return {key: math.fsum(values) / len(values) for key, values in sums.items()} | {"seconds": spent / count}

    def _settle(self, out: pathlib.Path) -> None:
        if self._pending is None:
            return
        number, feed, batch, report = self._pending
        self._pending = None
        if not bool(report.finite):
            kept = out / f"bad_batch_{number + 1}.npz"
            flat, _ = jax.tree_util.tree_flatten_with_path(batch)
            arrays: Any = {array_name(path): np.asarray(x) for path, x in flat}
            np.savez(kept, **arrays)
            parts = ", ".join(f"{key} {float(x):.4g}" for key, x in report.parts.items() if key.endswith("/loss"))
            raise InputError(
                f"step {number + 1:,}: loss {float(report.loss):.4g}, gradient norm {float(report.gradient_norm):.4g} "
                f"({parts}); the weights are those before it, its batch is {kept}. A lower learning rate, a longer "
                "warm-up or a look at the batch may help; starting again goes on from the last checkpoint"
            )
        self._reports.append((feed, report))
