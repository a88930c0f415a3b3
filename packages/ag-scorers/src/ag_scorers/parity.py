"""The switch `parity`: are known defects of the reference mended, or repeated? docs/scoring.md says which ones.

Scorers, the engine and the commands take the same two words, and `open_engine` hands one of them to all.
"""

import enum

from ag_core.errors import InputError


class Parity(enum.StrEnum):
    """What to do where the reference errs (spec/scoring.md 1.12)."""

    FIXED = "fixed"  # the right thing
    UPSTREAM = "upstream"  # as the reference does


def read_parity(value: Parity | str | bool) -> Parity:
    """A `Parity` from its word; True and False stand for upstream and fixed. Raises InputError for anything else."""
    if isinstance(value, bool):
        return Parity.UPSTREAM if value else Parity.FIXED
    if value not in list(Parity):
        raise InputError(
            f"parity {value!r}: expected {Parity.FIXED} (known defects of the reference are mended) or "
            f"{Parity.UPSTREAM} (they are repeated)"
        )
    return Parity(value)
