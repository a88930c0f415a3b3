"""A run of a suite as pages: report.md with pictures beside it, report.html in one file, card.json, results.parquet."""

import base64
import html
import pathlib
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from ag_core.checkpoint import Checkpoint
from markdown_it import MarkdownIt
from matplotlib.figure import Figure

from ag_eval.results import to_table, write_results
from ag_eval.rows import cases_only
from ag_eval.suites import pictures
from ag_eval.suites.card import card_text, make_card
from ag_eval.suites.paired_tests import Paired, against_others
from ag_eval.suites.run import Outcome
from ag_eval.suites.settings import SuiteSettings

# Rows of a table in the text; the rest is in results.parquet.
MOST_ROWS = 16
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}
table{border-collapse:collapse;font-size:13px;margin:1rem 0;display:block;overflow-x:auto}
td,th{border-bottom:1px solid #ddd;padding:.25rem .6rem;text-align:left;vertical-align:top}
th{border-bottom:2px solid #999}img{max-width:100%}code{background:#f4f4f4;padding:0 .2em}"""


def write_report(
    settings: SuiteSettings, model: Checkpoint, outcomes: Sequence[Outcome], out: pathlib.Path, command: str = ""
) -> dict[str, Any]:
    """Writes all of it, and returns the card."""
    done = {outcome.name: outcome.results for outcome in outcomes if outcome.results is not None}
    tests = against_others(done.items())
    card = make_card(settings, model, outcomes, tests)
    (out / "card.json").write_text(card_text(card))
    if done:
        # The name of the entry, so that one benchmark with two data stays two.
        named = [
            cases_only(each).drop_attrs().assign_coords(benchmark=("case", np.full(each.sizes["case"], name, object)))
            for name, each in done.items()
        ]
        write_results(xr.concat(named, "case"), out / "results.parquet")
    shown = _draw(done, out / "figures")
    text = _markdown(settings, model, outcomes, tests, shown, command)
    (out / "report.md").write_text(text)
    (out / "report.html").write_text(to_html(text, settings.title or settings.name, out))
    return card


def _draw(done: Mapping[str, xr.Dataset], folder: pathlib.Path) -> dict[str, list[str]]:
    """Names of the pictures of each benchmark; those of all together under ''."""
    folder.mkdir(parents=True, exist_ok=True)
    shown: dict[str, list[str]] = {}

    def keep(owner: str, kind: str, figure: Figure | None) -> None:
        if figure is not None:
            name = f"{owner or 'all'}_{kind}.png"
            figure.savefig(folder / name, dpi=150, metadata={"Software": None})
            shown.setdefault(owner, []).append(name)

    keep("", "gains", pictures.draw_gains(done))
    for name, results in done.items():
        keep(name, "intervals", pictures.draw_intervals(results))
        keep(name, "violins", pictures.draw_violins(results))
        keep(name, "rows", pictures.draw_rows(results))
    return shown


def _markdown(
    settings: SuiteSettings,
    model: Checkpoint,
    outcomes: Sequence[Outcome],
    tests: Sequence[Paired],
    shown: Mapping[str, Sequence[str]],
    command: str,
) -> str:
    parts = [f"# {settings.title or settings.name}", f"Model `{model.spec.name}` (digest `{model.digest[:12]}`)."]
    if command:
        parts.append(f"```\n{command}\n```")
    parts += [_overview(outcomes), *_pictures(shown.get("", ()))]
    if tests:
        parts += ["## Against the others, on the same rows", _tests(tests)]
    for outcome in outcomes:
        parts.append(f"## {outcome.name}")
        if outcome.results is None:
            parts.append(f"{outcome.status.capitalize()}: {outcome.note}")
            continue
        parts += [_about(outcome.results), _cases(outcome.results), *_pictures(shown.get(outcome.name, ()))]
    return "\n\n".join(parts) + "\n"


def _overview(outcomes: Sequence[Outcome]) -> str:
    rows = []
    for outcome in outcomes:
        if outcome.results is None:
            rows.append((outcome.name, outcome.status, "", "", "", outcome.note))
            continue
        table: Any = to_table(outcome.results)
        ours = outcome.results.attrs.get("model", "")
        metric, group = table["metric"].iloc[0], table["group"].iloc[0]
        first = table[(table["metric"] == metric) & (table["group"] == group)]
        # A model that is asked in several ways has one name for each: "mini, by gradient".
        is_ours = (first["model"] == ours) | first["model"].str.startswith(f"{ours}, ")
        higher = outcome.results.attrs.get("higher_is_better", True) not in (False, "False")
        own, best = (_best(first[chosen], higher) for chosen in (is_ours, ~is_ours))
        rows.append(
            (
                outcome.name,
                outcome.status,
                f"{metric}, {group}",
                "" if own is None else f"{own['model'].removeprefix(ours).removeprefix(', ')} {_figure(own)}".strip(),
                "" if best is None else f"{best['model']} {_figure(best)}",
                _flags(outcome.results),
            )
        )
    return _table(("benchmark", "status", "metric", "model", "best other that was run", "note"), rows)


def _best(rows: Any, higher: bool) -> Any:
    """The row with the best value, None where none has one."""
    known = rows[rows["value"].notna()]
    if not len(known):
        return None
    return known.loc[known["value"].idxmax() if higher else known["value"].idxmin()]


def _flags(results: xr.Dataset) -> str:
    attrs, notes = results.attrs, []
    if int(attrs.get("seen", 0)):
        how = "left out" if str(attrs.get("masked")) == "True" else "among them"
        notes.append(f"{int(attrs['seen']):,} seen in training, {how}")
    return "; ".join([*notes, *([str(attrs["seen_note"])] if attrs.get("seen_note") else [])])


def _tests(tests: Sequence[Paired]) -> str:
    rows = [
        (
            test.benchmark,
            test.metric,
            f"{test.one} less {test.other}",
            f"{test.found.estimate.value:+.3f} ({test.found.estimate.low:+.3f} to {test.found.estimate.high:+.3f})",
            f"{test.found.p:.3g}",
            f"{test.q:.3g}",
        )
        for test in tests
    ]
    return _table(("benchmark", "metric", "difference", "95 % interval", "p", "q"), rows)


def _about(results: xr.Dataset) -> str:
    told = (
        "citation",
        "licence",
        "number",
        "split",
        "rows",
        "counted",
        "statuses",
        "of_peers",
        "seen",
        "seen_note",
        "traps",
    )
    return "\n".join(f"- {name.replace('_', ' ')}: {results.attrs[name]}" for name in told if results.attrs.get(name))


def _cases(results: xr.Dataset) -> str:
    table: Any = to_table(results)
    rows = [(row["metric"], row["group"], row["model"], _figure(row)) for _, row in table.head(MOST_ROWS).iterrows()]
    text = _table(("metric", "group", "model", "value (95 % interval)"), rows)
    return text + (f"\n\nand {len(table) - MOST_ROWS:,} more in results.parquet" if len(table) > MOST_ROWS else "")


def _figure(row: Any) -> str:
    if np.isnan(row["value"]):
        return "not defined"
    return f"{row['value']:.3f}" + ("" if np.isnan(row["low"]) else f" ({row['low']:.3f} to {row['high']:.3f})")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in lines
    )


def _pictures(names: Sequence[str]) -> list[str]:
    return [f"![{name.removesuffix('.png').replace('_', ' ')}](figures/{name})" for name in names]


def to_html(text: str, title: str, folder: pathlib.Path) -> str:
    """Markdown as one page, with the pictures it names (relative to `folder`) inside."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)

    figures = {f"figures/{path.name}": path for path in (folder / "figures").glob("*.png")}

    def inside(match: re.Match[str]) -> str:
        path = figures.get(urllib.parse.unquote(html.unescape(match[1])))
        if path is None:  # a name in the results that looks like a picture must not fetch another file
            return 'src=""'
        picture = base64.b64encode(path.read_bytes()).decode()
        return f'src="data:image/png;base64,{picture}"'

    body = re.sub(r'src="([^"]*)"', inside, body)
    head = (
        f"<meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>{html.escape(title)}</title>"
    )
    return f"<!doctype html><html lang='en'><head>{head}<style>{STYLE}</style></head><body>{body}</body></html>\n"
