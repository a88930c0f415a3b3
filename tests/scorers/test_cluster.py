"""Scoring on a Dask cluster of real processes: workers that die, stop or are slow, a scheduler that is started anew."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
from ag_core.errors import InputError
from ag_scorers.cluster.clients import open_cluster

SCORER = "center_mask:modality=chip_tf"
SHARD = 8


@pytest.fixture(scope="module")
def vcf(world):
    return world.vcf("cluster.vcf", *(f"{position} = {world.other(position)}" for position in range(4201, 4261)))


def command(world, vcf, out, *more):
    files = ["--fasta", str(world.fasta), "--model", str(world.model), "--scorer", SCORER, "-q"]
    return ["score", str(vcf), *files, "--shard-size", str(SHARD), "-o", str(out), *more]


@pytest.fixture(scope="module")
def alone(world, vcf, tmp_path_factory):
    """What one process makes of it, with as many devices as a worker has: the last digits depend on these."""
    out = tmp_path_factory.mktemp("alone") / "scores.tsv"
    subprocess.run([sys.executable, "-m", "ag_core.cli", *command(world, vcf, out)], check=True)
    return out.read_text()


class Cluster:
    """`dask scheduler` and `dask worker` as processes of this test, ended by their ids."""

    def __init__(self, folder: pathlib.Path):
        self.folder, self.processes = folder, []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"

    def start(self, name: str, *arguments: str) -> subprocess.Popen:
        with (self.folder / f"{name}-{len(self.processes)}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", name, *arguments], stdout=log, stderr=log, cwd=self.folder,
                env={**os.environ, "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "30s"}, start_new_session=True,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def scheduler(self) -> subprocess.Popen:
        return self.start("scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard")

    def worker(self) -> subprocess.Popen:
        return self.start("worker", self.address, "--nthreads", "1", "--no-dashboard", "--no-nanny")

    def end(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def cluster(tmp_path):
    made = Cluster(tmp_path)
    yield made
    made.end()


def start_run(world, vcf, out, address):
    arguments = command(world, vcf, out, "--cluster", address, "--keep-shards")
    return subprocess.Popen([sys.executable, "-m", "ag_core.cli", *arguments])


def wait_for_shards(out: pathlib.Path, count: int, patience: float = 240) -> None:
    shards, end = out.with_name(f"{out.name}.run") / "shards", time.monotonic() + patience
    while len(list(shards.glob("*.json")) if shards.is_dir() else []) < count:
        assert time.monotonic() < end, f"there are not {count} shards after {patience} s"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["nothing", "a worker dies", "a worker stops for a while", "the scheduler dies"])
def test_whatever_happens_the_output_is_that_of_one_process(world, vcf, alone, cluster, tmp_path, what):
    scheduler, first, _ = cluster.scheduler(), cluster.worker(), cluster.worker()
    out = tmp_path / "scores.tsv"
    scoring = start_run(world, vcf, out, cluster.address)
    try:
        wait_for_shards(out, 2)
        if what == "a worker dies":
            os.killpg(first.pid, signal.SIGKILL)
        elif what == "a worker stops for a while":
            os.killpg(first.pid, signal.SIGSTOP)
            time.sleep(5)
            os.killpg(first.pid, signal.SIGCONT)
        elif what == "the scheduler dies":
            os.killpg(scheduler.pid, signal.SIGKILL)
            time.sleep(2)
            cluster.scheduler()
            cluster.worker()
        assert scoring.wait(timeout=240) == 0
    finally:
        scoring.kill()
    assert out.read_text() == alone
    shards = sorted(path.name for path in (tmp_path / "scores.tsv.run" / "shards").glob("*.arrow"))
    assert shards == [f"{number:05d}.arrow" for number in range(8)]


@pytest.mark.slow
def test_processes_of_this_machine(world, vcf, alone, tmp_path):
    out = tmp_path / "scores.tsv"
    arguments = command(world, vcf, out, "--local-cluster", "2")
    subprocess.run([sys.executable, "-m", "ag_core.cli", *arguments], check=True)
    assert out.read_text() == alone
    assert not out.with_name("scores.tsv.run").exists()


def test_what_is_no_cluster(tmp_path):
    def attempt(address=None, local=None, slurm=None):
        with open_cluster(address, local, slurm):
            pass

    with pytest.raises(InputError, match="give one of --cluster, --local-cluster and --slurm"):
        attempt("tcp://127.0.0.1:1", 2)
    with pytest.raises(InputError, match="expected a number of processes"):
        attempt(local=0)
    settings = tmp_path / "slurm.yaml"
    settings.write_text("cores: 1\n")
    expected = "dask-jobqueue" if not shutil.which("sbatch") else "jobs: a number"
    with pytest.raises(InputError, match=f"{expected}|jobs: a number"):
        attempt(slurm=settings)
