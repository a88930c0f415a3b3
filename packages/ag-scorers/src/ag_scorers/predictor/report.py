"""What people see of a prediction: the plan before it, and progress during it."""

import contextlib
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from ag_scorers.predictor.api import Plan
from ag_scorers.predictor.runner import Advance

MOST_ROWS = 30


def count(plan: Plan, dtype: str = "float32") -> dict[str, Any]:
    """Numbers of places, modalities and tracks; bp read; bytes of a .zarr before compression, without junctions."""
    values = sum(row["bytes"] or 0 for row in plan.shapes()) // 4
    return {
        "places": len(plan.places),
        "modalities": {name: table.sizes["track"] for name, table in plan.predictor.tables.items()},
        "bases": plan.bases,
        "bytes": values * np.dtype(dtype).itemsize,
    }


def count_places(plan: Plan) -> str:
    """How much there is to do, for people."""
    number = len(plan.places)
    return f"{number:,} {'place' if number == 1 else 'places'}, {plan.bases:,} bp to read"


def describe(plan: Plan, paths: Sequence[pathlib.Path], dtype: str = "float32") -> Group:
    """The plan for people."""
    table = Table("modality", "place", "shape", "MB", "interval (0-based)", box=None, header_style="bold")
    rows = plan.shapes()
    for row in rows[:MOST_ROWS]:
        sizes = zip(row["shape"], row["dims"], strict=True)
        shape = " x ".join(f"{'?' if size is None else f'{size:,}'} {dim}" for size, dim in sizes)
        megabytes = "?" if row["bytes"] is None else f"{row['bytes'] / 1e6:,.2f}"
        table.add_row(row["modality"], row["place"] or "-", shape, megabytes, row["interval"])
    total, lines = count(plan, dtype), []
    if len(rows) > MOST_ROWS:
        lines.append(f"... and {len(rows) - MOST_ROWS:,} more")
    lines.append(
        f"{count_places(plan)}, {total['bytes'] / 1e6:,.2f} MB of {dtype} before compression -> "
        f"{', '.join(map(str, paths))}"
    )
    return Group(table, *lines)


@contextlib.contextmanager
def show_progress(bases: int, console: Console) -> Iterator[Advance]:
    """A bar on stderr over the bp to read; silent when stderr is not a terminal."""
    columns = (TextColumn("predicting"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=console.quiet or not console.is_terminal) as progress:
        task = progress.add_task("predicting", total=bases)
        yield lambda width: progress.advance(task, width)
