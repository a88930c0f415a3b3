"""What to say when a disk is full."""

import contextlib
import errno
from collections.abc import Iterator

from ag_core.errors import InputError


@contextlib.contextmanager
def explain_full_disk(kept: str) -> Iterator[None]:
    """Turns a disk without room into an InputError that says what is `kept` and what to do."""
    try:
        yield
    except OSError as error:  # arrow's errors have the number in their text alone
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) and "No space left" not in str(error):
            raise
        raise InputError(
            f"no space left on the disk ({error}); free some and run the same command again: {kept}"
        ) from error
