"""Commands of the core: `agenome plugins` and `agenome model`."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ag_core.plugins import KINDS, registry


def plugins(json_: Annotated[bool, typer.Option("--json", help="machine-readable, on stdout")] = False) -> None:
    """Lists plugins, the distribution each comes from, and what failed and why."""
    known = registry()
    if json_:
        found = [
            {
                "kind": f.kind,
                "name": f.plugin.name,
                "provider": f.provider,
                "target": f.plugin.target,
                "summary": f.plugin.summary,
            }
            for f in known.found
        ]
        failures = [{"entry_point": f.entry_point, "provider": f.provider, "error": f.error} for f in known.failures]
        print(json.dumps({"plugins": found, "failures": failures}, indent=1))
        return
    console = Console()
    table = Table("kind", "name", "provider", "summary", box=None, header_style="bold")
    for kind in KINDS:
        for found in sorted((f for f in known.found if f.kind == kind), key=lambda f: f.plugin.name):
            table.add_row(kind, found.plugin.name, found.provider, found.plugin.summary)
    console.print(table)
    for failure in known.failures:
        console.print(
            f"[red]failed[/red] {failure.entry_point} of {failure.provider}: {failure.error}", highlight=False
        )


model = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@model.callback()
def _model() -> None:
    """Looks into checkpoints, imports and exports them."""


@model.command()
def info(
    name: Annotated[str, typer.Argument(help="a named model or a checkpoint folder")] = "mini",
    json_: Annotated[bool, typer.Option("--json", help="machine-readable, on stdout")] = False,
) -> None:
    """Checks a checkpoint against its digest and says what is in it."""
    from ag_core.checkpoint import load
    from ag_core.schema import is_padding
    from ag_core.training import count_parameters

    checkpoint = load(name)
    spec = checkpoint.spec
    summary = {
        "name": spec.name,
        "digest": checkpoint.digest,
        "licence": spec.licence,
        "organisms": list(spec.organisms),
        "window": spec.window,
        "parameters": count_parameters(checkpoint.model),
        "backbone": spec.backbone.to_dict(),
        "heads": {
            modality: {
                "plugin": head.plugin,
                "resolution": min(checkpoint.model.heads[modality].resolutions),
                "tracks": [int((~is_padding(table)).sum()) for table in head.tracks],
            }
            for modality, head in spec.heads.items()
        },
        "notes": spec.notes,
    }
    if json_:
        print(json.dumps(summary, indent=1))
        return
    console = Console()
    console.print(
        f"[bold]{spec.name}[/bold]  {summary['parameters']:,} parameters, licence {spec.licence}", highlight=False
    )
    console.print(f"digest     {checkpoint.digest}", highlight=False)
    console.print(f"organisms  {', '.join(spec.organisms)}", highlight=False)
    console.print(f"window     {spec.window:,} bp", highlight=False)
    table = Table("head", "plugin", "resolution", "tracks", box=None, header_style="bold")
    for modality, head in summary["heads"].items():
        table.add_row(modality, head["plugin"], f"{head['resolution']} bp", " / ".join(map(str, head["tracks"])))
    console.print(table)
    if spec.notes:
        console.print(spec.notes, highlight=False)
