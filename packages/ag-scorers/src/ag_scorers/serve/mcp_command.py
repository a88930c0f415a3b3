"""`agenome mcp`."""

import os
import pathlib
import signal
from typing import Annotated

import typer

from ag_scorers import options

INSTALL = 'pip install "ag-scorers[mcp]"'


def mcp(
    fasta: Annotated[pathlib.Path, typer.Option(help="reference genome, plain or bgzip")],
    gtf: options.Gtf = None,
    splice_sites: options.SpliceSites = None,
    polya: options.Polya = None,
    model: options.Model = "mini",
    organism: options.Organism = None,
    precision: options.Precision = "float32",
    calibration: Annotated[str, typer.Option(help="quantile table: auto (the model's own), none or a file")] = "auto",
    max_window: Annotated[int, typer.Option(help="bp of an interval")] = 1 << 17,
    timeout: Annotated[float, typer.Option(help="seconds for a call")] = 600.0,
    quiet: options.Quiet = False,
) -> None:
    """Lets an assistant ask a model, by the Model Context Protocol over stdin and stdout (docs/serving.md)."""
    from ag_core.errors import InputError
    from ag_core.precision import Precision
    from rich.console import Console

    from ag_scorers.serve.backend import open_backend
    from ag_scorers.serve.settings import Settings

    if precision not in list(Precision):
        raise InputError(f"precision {precision!r}: expected one of {', '.join(Precision)}")
    try:
        from ag_scorers.serve.mcp_front import make_server
    except ImportError as error:
        raise InputError(f"this command needs {error.name}: {INSTALL}") from error

    settings = Settings(max_window=max_window, timeout=timeout, queue=8)
    backend = open_backend(
        fasta,
        settings,
        gtf=gtf,
        splice_sites=splice_sites,
        polya=polya,
        model=model,
        precision=precision,
        organism=organism,
        calibration=calibration,
    )
    given = {"fasta": fasta, "gtf": gtf, "splice-sites": splice_sites, "polya": polya, "model": model}
    server = make_server(backend, {name: str(value) for name, value in given.items() if value is not None})
    console = Console(stderr=True, quiet=quiet)
    console.print(f"{backend.checkpoint.spec.name} on stdin and stdout; ends with its input", highlight=False)
    # Whoever reads from stdin cannot be interrupted; nothing is written, so nothing is left half done.
    before = signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    try:
        server.run("stdio")
    finally:
        signal.signal(signal.SIGINT, before)
        backend.close()
