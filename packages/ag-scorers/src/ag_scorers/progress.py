"""A progress bar on stderr with variants per second and time left; silent when stderr is not a terminal."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

T = TypeVar("T")


class _Speed(ProgressColumn):
    """Variants per second over the last seconds."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} variants/s", style="progress.data.speed")


@contextlib.contextmanager
def show_progress(what: str, total: int, console: Console, completed: int = 0) -> Iterator[Callable[[int], None]]:
    """A bar for the block of `with`, which gets a function to tell how many more are done."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn())
    disable = console.quiet or not console.is_terminal
    with Progress(*columns, console=console, disable=disable) as progress:
        task = progress.add_task(what, total=total, completed=completed)
        yield lambda count: progress.advance(task, count)


def track_progress(values: Iterable[T], total: int, console: Console, what: str = "scoring") -> Iterator[T]:
    """Yields `values`, showing how far things are."""
    with show_progress(what, total, console) as advance:
        for value in values:
            yield value
            advance(1)
