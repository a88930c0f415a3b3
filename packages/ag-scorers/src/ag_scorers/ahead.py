"""Makes the next value in another thread while the last one is used: the host gets ready while the device computes."""

import itertools
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(values: Iterator[T]) -> Iterator[T]:
    """The same values in the same order; what making one raises is raised where it would have come.

    At most one value is made too early. Closing this iterator waits for it.
    """
    with ThreadPoolExecutor(1, "ag-ahead") as pool:

        def make() -> Future[list[T]]:
            return pool.submit(lambda: list(itertools.islice(values, 1)))

        made = make()
        while value := made.result():
            made = make()
            yield value[0]
