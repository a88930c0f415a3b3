"""What a law says about a plugin, and how a list of laws is run."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float
from rich.table import Table

Subject = TypeVar("Subject")
# A law returns a remark and raises `Broken`, or `NotApplicable`; any other exception breaks it too.
Law = Callable[[Subject], str | None]


class Broken(AssertionError):
    """The law does not hold; the message says where."""


class NotApplicable(Exception):
    """The law does not concern this plugin, or cannot be tried here; the message says why."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether a law holds (`passed`, None where it does not apply), and what there is to say about it."""

    name: str
    passed: bool | None
    detail: str = ""


def judge(laws: Iterable[Law[Subject]], subject: Subject) -> list[Verdict]:
    """The verdict of each law, by the name of its function; what a plugin raises breaks the law, not the run."""
    verdicts = []
    for law in laws:
        name = law.__name__.replace("_", " ")
        try:
            verdicts.append(Verdict(name, True, law(subject) or ""))
        except NotApplicable as reason:
            verdicts.append(Verdict(name, None, str(reason)))
        except Broken as broken:
            verdicts.append(Verdict(name, False, str(broken)))
        except Exception as error:  # a plugin may be anybody's
            text = str(error).strip().partition("\n")[0]
            verdicts.append(Verdict(name, False, f"{type(error).__name__}: {text}"))
    return verdicts


def failures(verdicts: Iterable[Verdict]) -> list[str]:
    """One line for each law that does not hold; empty when all is well."""
    return [f"{verdict.name}: {verdict.detail}" for verdict in verdicts if verdict.passed is False]


def require(holds: bool | np.bool_, message: str) -> None:
    """Raises Broken unless `holds`."""
    if not holds:
        raise Broken(message)


def require_close(
    got: Float[np.ndarray, "*any"],
    want: Float[np.ndarray, "*any"],
    where: str,
    rtol: float = 1e-4,
    atol: float = 1e-5,
) -> None:
    """Raises Broken unless the two are alike, NaN where the other is."""
    got, want = np.asarray(got), np.asarray(want)
    require(got.shape == want.shape, f"{where}: shape {got.shape}, expected {want.shape}")
    close = np.isclose(got, want, rtol=rtol, atol=atol, equal_nan=True)
    if not close.all():
        place = tuple(int(axis[0]) for axis in np.nonzero(~close))
        raise Broken(f"{where}: {got[place]:.6g} at {list(place)}, expected {want[place]:.6g}")


def require_tables(got: Mapping[str, Any], want: Mapping[str, Any], where: str) -> None:
    """Raises Broken unless two item tables are the same, in the same order."""
    require(list(got) == list(want), f"{where}: columns {list(got)}, expected {list(want)}")
    for name in got:
        same = list(got[name]) == list(want[name])
        require(same, f"{where}: {name} is {list(got[name])}, expected {list(want[name])}")


MARKS = {True: "[green]holds[/green]", False: "[red]broken[/red]", None: "[dim]passed over[/dim]"}


def show_verdicts(title: str, verdicts: Sequence[Verdict]) -> Table:
    """A table for people."""
    from rich.markup import escape

    table = Table("law", "", "detail", title=escape(title), box=None, header_style="bold", title_justify="left")
    for verdict in verdicts:
        table.add_row(verdict.name, MARKS[verdict.passed], escape(verdict.detail))
    return table
