"""`agenome serve`."""

import json
import pathlib
import signal
import threading
from typing import Annotated

import typer

from ag_scorers import options

INSTALL = 'pip install "ag-scorers[serve]"'


def serve(
    fasta: Annotated[pathlib.Path, typer.Option(help="reference genome, plain or bgzip")],
    port: Annotated[int, typer.Option(help="of gRPC; 0 takes a free one")] = 50051,
    http_port: Annotated[int | None, typer.Option(help="of HTTP (JSON, Arrow, /metrics); default: no HTTP")] = None,
    host: Annotated[str, typer.Option(help="address to listen on; default: this machine only")] = "127.0.0.1",
    insecure: Annotated[bool, typer.Option("--insecure", help="plain text, without TLS")] = False,
    tls_key: Annotated[pathlib.Path | None, typer.Option(help="private key, PEM")] = None,
    tls_cert: Annotated[pathlib.Path | None, typer.Option(help="certificate chain, PEM")] = None,
    keys: Annotated[
        pathlib.Path | None, typer.Option(help="file of API keys: NAME KEY [BP_A_MINUTE] on each line")
    ] = None,
    open_to_all: Annotated[
        bool, typer.Option("--open-to-all", help="listen beyond this machine although there are no keys")
    ] = False,
    gtf: options.Gtf = None,
    splice_sites: options.SpliceSites = None,
    polya: options.Polya = None,
    model: options.Model = "mini",
    model_version: Annotated[str, typer.Option(help="further name that clients may ask for, such as ALL_FOLDS")] = "",
    organism: options.Organism = None,
    precision: options.Precision = "float32",
    calibration: Annotated[str, typer.Option(help="quantile table: auto (the model's own), none or a file")] = "auto",
    max_window: Annotated[int, typer.Option(help="bp of a sequence or interval")] = 1 << 20,
    quota: Annotated[int, typer.Option(help="bp a minute for each key; 0 for no bound")] = 0,
    memory: Annotated[float, typer.Option(help="GB for all answers that are being made or sent")] = 8.0,
    queue: Annotated[int, typer.Option(help="requests that may wait for a device")] = 128,
    connections: Annotated[int, typer.Option(help="requests handled at a time, waiting ones included")] = 128,
    batch: Annotated[int, typer.Option(help="requests of equal shape computed together")] = 1,
    devices: Annotated[int, typer.Option(help="devices to use, a copy of the model on each")] = 1,
    timeout: Annotated[float, typer.Option(help="seconds for a request")] = 600.0,
    grace: Annotated[float, typer.Option(help="seconds for running requests at shutdown")] = 30.0,
    strict: Annotated[
        bool, typer.Option("--strict", help="refuse what the model cannot do, where that part would be empty")
    ] = False,
    json_: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Serves a model over gRPC, for the official client, and HTTP; ends on Ctrl-C or SIGTERM (docs/serving.md)."""
    from ag_core.errors import InputError
    from ag_core.precision import Precision
    from rich.console import Console

    from ag_scorers.serve.settings import Settings

    if precision not in list(Precision):
        raise InputError(f"precision {precision!r}: expected one of {', '.join(Precision)}")
    certificate = None
    if tls_key is not None and tls_cert is not None:
        certificate = tls_key, tls_cert
    elif tls_key is not None or tls_cert is not None:
        raise InputError("TLS needs both --tls-key and --tls-cert")
    if (certificate is None) != insecure:
        raise InputError("give either --tls-key and --tls-cert, or --insecure for plain text")
    try:
        from ag_scorers.serve.backend import open_backend
        from ag_scorers.serve.limits import readable_by_others
        from ag_scorers.serve.server import Server

        if http_port is not None:
            import ag_scorers.serve.http_front  # noqa: F401 (to be told now what is missing)
    except ImportError as error:
        raise InputError(f"the server needs {error.name}: {INSTALL}") from error

    size = int(memory * 1e9)
    settings = Settings(
        host=host,
        port=port,
        http_port=http_port,
        open_to_all=open_to_all,
        max_window=max_window,
        max_bytes=min(size, Settings.max_bytes),
        memory=size,
        queue=queue,
        pending=max(queue // 2, 1),
        connections=connections,
        timeout=timeout,
        grace=grace,
        quota=quota,
        batch=batch,
        devices=devices,
        strict=strict,
    )
    console = Console(stderr=True, quiet=quiet)
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
        version=model_version,
    )
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with Server(backend, keys=keys, certificate=certificate) as server:
            about = {"host": host, "port": server.port, "model": backend.checkpoint.spec.name}
            about |= {"http_port": server.http.port} if server.http else {}
            if json_:
                print(json.dumps(about), flush=True)
            shown = f", HTTP on {server.http.port}" if server.http else ""
            console.print(f"{about['model']} on {host}, gRPC on {server.port}{shown}; Ctrl-C ends", highlight=False)
            for secret in (keys, tls_key):
                if secret is not None and readable_by_others(secret):
                    console.print(f"{secret} can be read by others on this machine: chmod 600", highlight=False)
            if insecure and not settings.local and keys is not None:
                console.print("keys travel in plain text: anybody on the way can read them", highlight=False)
            stop.wait()
            console.print(f"stopping; running requests have {grace:g} s", highlight=False)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
