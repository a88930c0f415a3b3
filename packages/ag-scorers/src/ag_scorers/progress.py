"""A progress bar on stderr with variants per second and time left; silent when stderr is not a terminal."""

from collections.abc import Iterable, Iterator
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


def track_progress(values: Iterable[T], total: int, console: Console) -> Iterator[T]:
    """Yields `values`, showing how far things are."""
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn())
    disable = console.quiet or not console.is_terminal
    with Progress(*columns, console=console, disable=disable) as progress:
        task = progress.add_task("scoring", total=total)
        for value in values:
            yield value
            progress.advance(task)
