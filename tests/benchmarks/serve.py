"""Official clients against the server with the embedded model: errors, memory, latency, and what the server costs.

AG_OFFICIAL_CLIENT_PYTHON names the interpreter that has `alphagenome`. Clients run in processes of their own, each with
several clients in threads; the same variants are then scored by direct calls of the engine, one after the other.
"""

import argparse
import inspect
import json
import os
import pathlib
import subprocess
import time

import numpy as np
from ag_core.genome import Variant
from ag_scorers.engine import Engine
from ag_scorers.recommended import parse_scorer
from ag_scorers.serve.backend import open_backend
from ag_scorers.serve.server import Server
from ag_scorers.serve.settings import Settings
from parts.measure import GB, bench, busy, machine, resident, say

DATA = pathlib.Path(__file__).parents[2] / "examples" / "data"
CENTRE, WINDOW, KEY = 44355804, 16384, "DNASE"
PROCESSES = 4


def drive(port, clients, seconds, seed):
    """Runs under the other interpreter, as text, so it imports what it needs."""
    import concurrent.futures
    import json
    import random
    import time

    import grpc
    from alphagenome.data import genome
    from alphagenome.models import dna_client, variant_scorers

    scorer = variant_scorers.RECOMMENDED_VARIANT_SCORERS["DNASE"]

    def run(number):
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)])
        client, chosen = dna_client.DnaClient(channel=channel), random.Random(1000 * seed + number)
        times, errors, end = [], [], time.monotonic() + seconds
        while time.monotonic() < end:
            variant = genome.Variant("chr20", 44355804 + chosen.randrange(-2000, 2000), "A", "C")
            begun = time.perf_counter()
            try:
                client.score_variant(variant.reference_interval.resize(16384), variant, [scorer])
            except Exception as error:
                errors.append(repr(error)[:300])
            times.append(time.perf_counter() - begun)
        return times, errors

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(run, range(clients)))
    print(json.dumps({"times": [t for times, _ in found for t in times], "errors": [e for _, es in found for e in es]}))


def load(python: str, port: int, clients: int, seconds: float) -> tuple[list[float], list[str]]:
    """Times and errors of all requests."""
    each = max(clients // PROCESSES, 1)
    text = inspect.getsource(drive)
    calls = [f"{text}\ndrive({port}, {each}, {seconds}, {seed})" for seed in range(min(PROCESSES, clients))]
    running = [subprocess.Popen([python, "-W", "ignore", "-c", c], stdout=subprocess.PIPE, text=True) for c in calls]
    outputs = [json.loads(process.communicate()[0].splitlines()[-1]) for process in running]
    return [t for one in outputs for t in one["times"]], [e for one in outputs for e in one["errors"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="8 clients for 10 s")
    parser.add_argument("--batch", type=int, default=1, help="requests computed together")
    options = parser.parse_args()
    python = os.environ.get("AG_OFFICIAL_CLIENT_PYTHON")
    if not python:
        raise SystemExit("set AG_OFFICIAL_CLIENT_PYTHON to an interpreter that has alphagenome==0.10.0")
    clients, seconds = (8, 10.0) if options.quick else (32, 60.0)
    print(busy(), machine("jax", "grpcio", "ag-scorers"), sep="\n")
    backend = open_backend(
        DATA / "HNF4A.hg38.fa.gz", Settings(port=0, batch=options.batch), gtf=DATA / "HNF4A.hg38.gtf.gz"
    )
    scorers = {one.name: one for one in parse_scorer(KEY)}
    engine = Engine(backend.checkpoint, backend.fasta, scorers, resources=backend.kit.resources, window=WINDOW)
    with Server(backend) as server:
        load(python, server.port, min(clients, 4), 3.0)  # programs are compiled
        # Direct calls of what the server calls, while it rests.
        engine.score(Variant("chr20", CENTRE, "C", "T"))
        places = np.random.default_rng(0).integers(CENTRE - 2000, CENTRE + 2000, 10_000)
        begun, direct = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds / 4:
            engine.score(Variant("chr20", int(places[direct]), "A", "C"))
            direct += 1
        direct_rate = direct / (time.perf_counter() - begun)
        before = resident("VmRSS")
        times, errors = load(python, server.port, clients, seconds / 2)
        middle = resident("VmRSS")
        more_times, more_errors = load(python, server.port, clients, seconds / 2)
        after = resident("VmRSS")
    times, errors = times + more_times, errors + more_errors
    rate = len(times) / (seconds + 2 * float(np.median(times)))  # the last request of each half ends after its time
    say(f"{clients} clients, {seconds:.0f} s: {len(times):,} requests; direct {direct_rate:.2f}/s")
    say(f"memory {before / GB:.2f}, {middle / GB:.2f}, {after / GB:.2f} GB")
    for error in sorted(set(errors))[:5]:
        say(error)
    bench("serve_errors", len(errors), 0)
    bench("serve_memory_growth_ratio", after / middle, 1.05)
    bench("serve_p50_s", float(np.quantile(times, 0.5)), "none")
    bench("serve_p99_s", float(np.quantile(times, 0.99)), "none")
    bench("serve_requests_per_s", rate, "none")
    bench("serve_overhead_ratio", direct_rate / rate, 1.15)


if __name__ == "__main__":
    main()
