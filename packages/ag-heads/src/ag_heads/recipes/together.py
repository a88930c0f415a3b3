"""Programs that several processes start together.

The first collective waits half a minute for the others at most, and one process may compile longer than another.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax

# Milliseconds; what ends a run whose other processes are lost is its watchdog.
PATIENCE = 3_600_000


class Together:
    """A function under `eqx.filter_jit` that is compiled by all processes before any of them runs it.

    The first argument decides what is compiled anew: its shapes.
    """

    def __init__(self, function: Any, name: str):
        self._function, self._name = function, name
        self._programs: dict[Any, Callable[..., Any]] = {}

    def __call__(self, batch: Any, *others: Any) -> Any:
        if jax.process_count() == 1:
            return self._function(batch, *others)
        key = tuple((leaf.shape, str(leaf.dtype)) for leaf in jax.tree.leaves(eqx.filter(batch, eqx.is_array)))
        if key not in self._programs:
            program = self._function.lower(batch, *others).compile()
            self._wait(f"{self._name} {len(self._programs)}")
            self._programs[key] = program
        return self._programs[key](batch, *others)

    @staticmethod
    def _wait(name: str) -> None:
        from orbax.checkpoint import multihost

        wait = multihost.get_barrier_sync_fn(processes=set(range(jax.process_count())))
        assert wait is not None  # there are several processes
        wait(key=f"agenome: {name} is compiled", timeout_ms=PATIENCE)
