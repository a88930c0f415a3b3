"""Scoring on a Dask cluster of real processes, of which some die, stop, are slow, have a full disk or lack a file."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest
from ag_core.errors import InputError
from ag_scorers.cluster.clients import open_cluster
from ag_scorers.cluster.pace import AHEAD
from ag_scorers.cluster.placement import FAILURES
from cluster_processes import Cluster, can_mount, fill, inside, slowed, wait_until

SCORER = "center_mask:modality=chip_tf"
SHARD = 8
SHARDS = 8
SUMMARY = re.compile(
    r"(\d+) shards, handed out (\d+) times; (\d+) failed on workers, (\d+) copied to idle ones, (\d+) workers left out"
)


@pytest.fixture(scope="module")
def vcf(world):
    return world.vcf("cluster.vcf", *(f"{position} = {world.other(position)}" for position in range(4201, 4261)))


def command(world, vcf, out, *more):
    files = ["--fasta", str(world.fasta), "--model", str(world.model), "--scorer", SCORER]
    return ["score", str(vcf), *files, "--shard-size", str(SHARD), "-o", str(out), *more]


@pytest.fixture(scope="module")
def alone(world, vcf, tmp_path_factory):
    """What one process makes of it, with as many devices as a worker has: the last digits depend on these."""
    out = tmp_path_factory.mktemp("alone") / "scores.tsv"
    subprocess.run([sys.executable, "-m", "ag_core.cli", *command(world, vcf, out, "--keep-shards", "-q")], check=True)
    return out


@pytest.fixture(scope="module")
def table():
    """What each fault came to; printed, and kept in the file that AG_FAULT_TABLE names."""
    rows = []
    yield rows
    print(*(json.dumps(row) for row in rows), sep="\n")
    if path := os.environ.get("AG_FAULT_TABLE"):
        pathlib.Path(path).write_text("\n".join(map(json.dumps, rows)) + "\n")


@pytest.fixture
def cluster(tmp_path):
    made = Cluster(tmp_path)
    yield made
    made.end()


class Run:
    """`agenome score --cluster` as a process."""

    def __init__(self, world, vcf, cluster, out):
        self.out, self.cluster, self.begun = out, cluster, time.monotonic()
        self.log = out.with_suffix(".log")
        with self.log.open("w") as log:
            arguments = command(world, vcf, out, "--cluster", cluster.address, "--keep-shards")
            self.process = subprocess.Popen([sys.executable, "-m", "ag_core.cli", *arguments], stderr=log)

    @property
    def shards(self) -> pathlib.Path:
        return self.out.with_name(f"{self.out.name}.run") / "shards"

    def wait_for_shards(self, count: int) -> None:
        wait_until(lambda: len(list(self.shards.glob("*.json"))) >= count, f"{count} shards")

    def end(self) -> tuple[int, str]:
        """Exit code, and what it told on one line."""
        try:
            code = self.process.wait(timeout=240)
        finally:
            self.process.kill()
        return code, " ".join(self.log.read_text().split())

    def check(self, alone, table, fault: str) -> dict:
        """The outputs are those of one process, and each shard is there once. Returns the row of the table."""
        code, text = self.end()
        assert code == 0, text
        seconds = time.monotonic() - self.begun
        assert self.out.read_bytes() == alone.read_bytes()
        kept = sorted(self.shards.glob("*.arrow"))
        assert [path.name for path in kept] == [f"{number:05d}.arrow" for number in range(SHARDS)]
        theirs = alone.with_name("scores.tsv.run") / "shards"
        assert [path.read_bytes() for path in kept] == [(theirs / path.name).read_bytes() for path in kept]
        states = [state for _, _, state in self.cluster.tasks()]
        done, _, failed, copies, left_out = map(int, SUMMARY.search(text).groups())
        row = {
            "fault": fault, "shards": done, "begun": states.count("executing"),
            "done twice": states.count("memory") - failed - done, "failed": failed, "copies": copies,
            "left out": left_out, "equal": True, "seconds": round(seconds, 1),
        }  # fmt: skip
        table.append(row)
        return row


@pytest.mark.slow
@pytest.mark.parametrize("what", ["nothing", "a worker dies", "a worker stops for a while", "the scheduler dies"])
def test_whatever_happens_the_output_is_that_of_one_process(world, vcf, alone, cluster, table, tmp_path, what):
    scheduler, first, _ = cluster.scheduler(), cluster.worker(), cluster.worker()
    run = Run(world, vcf, cluster, tmp_path / "scores.tsv")
    try:
        run.wait_for_shards(2)
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
    finally:
        row = run.check(alone, table, what)
    assert row["failed"] == row["left out"] == 0
    if what == "nothing":
        assert row["done twice"] <= row["copies"]


@pytest.mark.slow
def test_a_slow_worker_does_not_keep_the_others_waiting(world, vcf, alone, cluster, table, tmp_path):
    cluster.scheduler(), cluster.worker()
    slow = cluster.worker()
    run = Run(world, vcf, cluster, tmp_path / "scores.tsv")
    wait_until(lambda: any(pid == slow.pid for pid, _, _ in cluster.tasks()), "work for the worker")
    with slowed(slow):
        run.check(alone, table, "a worker has 5 % of the time")
    theirs = [state for pid, _, state in cluster.tasks() if pid == slow.pid]
    assert theirs.count("memory") < SHARDS / 2


needs_mounts = pytest.mark.skipif(not can_mount(), reason="needs file systems of its own: unshare --mount")


def start_on_small_disks(cluster, tmp_path, count):
    """Workers with a temporary folder of 128 kB each."""
    folders = [tmp_path / f"tmp{number}" for number in range(count)]
    for folder in folders:
        folder.mkdir()
    workers = [cluster.worker_with_mount(folder, "128k", TMPDIR=str(folder)) for folder in folders]
    return [(worker, folder, inside(worker, folder)) for worker, folder in zip(workers, folders, strict=True)]


@pytest.mark.slow
@needs_mounts
def test_a_worker_with_a_full_disk_is_left_out(world, vcf, alone, cluster, table, tmp_path):
    cluster.scheduler(), cluster.worker()
    ((worker, folder, disk),) = start_on_small_disks(cluster, tmp_path, 1)
    wait_until(lambda: "Registered to" in (tmp_path / "process-2.log").read_text(), "the worker is there")
    run = Run(world, vcf, cluster, tmp_path / "scores.tsv")
    wait_until(lambda: any(pid == worker.pid for pid, _, _ in cluster.tasks()), "work for the worker")
    fill(disk)
    row = run.check(alone, table, "a worker's disk is full")
    text = " ".join(run.log.read_text().split())
    assert re.search(rf"worker tcp://\S+ on \S+: no space left in its temporary folder {folder}.*TMPDIR=DIR", text)
    # What it has been handed already when it is left out may fail as well.
    assert 1 <= row["failed"] <= FAILURES + AHEAD


@pytest.mark.slow
@needs_mounts
def test_a_run_whose_workers_all_have_a_full_disk_fails_and_goes_on(world, vcf, alone, cluster, table, tmp_path):
    cluster.scheduler()
    disks = start_on_small_disks(cluster, tmp_path, 2)
    run = Run(world, vcf, cluster, tmp_path / "scores.tsv")
    run.wait_for_shards(2)
    ballast = [fill(disk) for _, _, disk in disks]
    code, text = run.end()
    assert code == 1
    assert re.search(r"failed: RuntimeError: no worker is left that can score: .*no space left", text)
    assert "the same command goes on" in text
    assert all(str(folder) in text for _, folder, _ in disks)
    kept = len(list(run.shards.glob("*.json")))
    assert 2 <= kept < SHARDS
    before = len(cluster.tasks())
    for path in ballast:
        path.unlink()
    again = Run(world, vcf, cluster, tmp_path / "scores.tsv")
    code, text = again.end()
    assert code == 0
    assert f"going on with {kept} of {SHARDS} shards" in text
    assert again.out.read_bytes() == alone.read_bytes()
    states = [state for _, _, state in cluster.tasks()]
    assert states[before:].count("memory") >= SHARDS - kept
    seconds = round(time.monotonic() - run.begun, 1)
    failed = states.count("memory") - SHARDS
    table.append({
        "fault": "all disks are full; then the same command again", "shards": SHARDS,
        "begun": states.count("executing"), "done twice": 0, "failed": failed, "copies": 0, "left out": 2,
        "equal": True, "seconds": seconds,
    })  # fmt: skip


@pytest.mark.slow
@needs_mounts
def test_a_worker_that_lacks_the_model_is_refused_by_name(world, vcf, alone, cluster, table, tmp_path):
    cluster.scheduler()
    cluster.worker_with_mount(world.model, "8k")
    run = Run(world, vcf, cluster, tmp_path / "scores.tsv")
    code, text = run.end()
    assert code == 2
    missing = f"{world.model}/"
    assert re.search(rf"no worker is left that can score: worker tcp://\S+ on \S+: {missing}\S+ is not there", text)
    cluster.worker()
    row = Run(world, vcf, cluster, tmp_path / "scores.tsv").check(alone, table, "a worker lacks the model")
    assert row["left out"] == 1


@pytest.mark.slow
def test_processes_of_this_machine(world, vcf, alone, tmp_path):
    out = tmp_path / "scores.tsv"
    arguments = command(world, vcf, out, "--local-cluster", "2", "-q")
    subprocess.run([sys.executable, "-m", "ag_core.cli", *arguments], check=True)
    assert out.read_bytes() == alone.read_bytes()
    assert not out.with_name("scores.tsv.run").exists()


def test_what_is_no_cluster(tmp_path):
    def attempt(address=None, local=None, slurm=None):
        with open_cluster(address, local, slurm):
            pass

    with pytest.raises(InputError, match="give one of --cluster, --local-cluster and --slurm"):
        attempt("tcp://127.0.0.1:1", 2)
    with pytest.raises(InputError, match="expected a number of processes"):
        attempt(local=0)
