"""The paper's fifty evaluations as a table in Markdown, from their files: `python -m ag_eval.evaluation_table`."""

import pathlib
from typing import Any

import yaml

from ag_eval.suites.settings import read_suite

FOLDER = pathlib.Path(__file__).parent
# What was measured on real data, see docs/real-data; the others run on generated data in the tests.
REAL = (
    "splice_site_classification_gtf",
    "splice_site_usage",
    "borzoi_rna_seq",
    "borzoi_cage",
    "borzoi_accessibility",
    "borzoi_chip",
    "contact_maps",
    "mfass_splicing",
)


def make_table() -> str:
    """A line for each evaluation of the suite `paper`, in its order."""
    head = ("", "name", "asks", "metric", "AlphaGenome", "others", "status")
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head))]
    for entry in read_suite(FOLDER / "suites" / "paper.yaml").benchmarks:
        content = _read(entry.benchmark)
        metric, published = content.get("metric", "auprc"), content.get("published", {})
        published = {name: each for name, each in published.items() if each.get("metric") in (None, metric)}
        ours = {name: figure for name, figure in published.items() if name.startswith("AlphaGenome")}
        others = [f"{name} {figure['value']:g}" for name, figure in published.items() if name not in ours]
        others += [f"{gain['over']} ({gain['value']:+.1%})" for gain in content.get("gains", [])]
        others += [name for name in content.get("compared", []) if not any(name in each for each in others)]
        cells = (
            content["number"] + (" R" if content.get("reconstructed") else ""),
            f"`{entry.benchmark}`",
            content["title"],
            metric,
            ", ".join(f"{figure['value']:.3g}" for figure in ours.values()),
            ", ".join(others),
            "real data" if entry.benchmark in REAL else _status(content),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _status(content: dict[str, Any]) -> str:
    closed = any(word in str(content["data"]["licence"]) for word in ("controlled", "restrict"))
    return "generated data; real data are restricted" if closed else "generated data; real data to be fetched"


def _read(name: str) -> dict[str, Any]:
    (path,) = FOLDER.glob(f"*/evaluations/{name}.yaml")
    content = yaml.safe_load(path.read_text())
    return content.get("variants") or content.get("links") or content if "title" not in content else content


if __name__ == "__main__":
    print(make_table(), end="")
