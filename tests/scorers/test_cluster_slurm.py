"""`agenome score --slurm` through dask-jobqueue, with a stand-in for Slurm that runs job scripts as processes here."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest
import slurm_stand_in
from ag_core.errors import InputError
from cluster_processes import wait_until

pytest.importorskip("dask_jobqueue")

SETTINGS = """
jobs: {jobs}
wait: 120
queue: {queue}
walltime: "01:00:00"
cores: 1
processes: 1
memory: 4GB
job_extra_directives: ["--gres=gpu:1"]
interface: lo
"""


@pytest.fixture
def slurm(tmp_path):
    """The environment of a process that finds the stand-in, and the folder of the jobs."""
    slurm_stand_in.install(tmp_path / "bin")
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    found = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "AG_TEST_JOBS": str(jobs)}
    yield os.environ | found | {"DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT": "1s"}, jobs
    for job in numbers(jobs):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job, signal.SIGKILL)


def numbers(jobs):
    return [int(path.read_text() or 0) for path in sorted(jobs.glob("*.id"))]


def alive(job):
    try:
        os.killpg(job, 0)
    except ProcessLookupError:
        return False
    return True


def score(world, vcf, out, *more):
    files = ["--fasta", str(world.fasta), "--model", str(world.model), "--scorer", "center_mask:modality=chip_tf"]
    return [sys.executable, "-m", "ag_core.cli", "score", str(vcf), *files, "--shard-size", "8", "-o", str(out), *more]


def settings(tmp_path, **given):
    path = tmp_path / "slurm.yaml"
    path.write_text(SETTINGS.format(**given))
    return str(path)


@pytest.mark.slow
def test_jobs_score_and_one_that_ends_too_soon_is_sent_anew(world, tmp_path, slurm):
    environment, jobs = slurm
    vcf = world.vcf("slurm.vcf", *(f"{position} = {world.other(position)}" for position in range(4201, 4261)))
    alone, out, log = tmp_path / "alone.tsv", tmp_path / "scores.tsv", tmp_path / "run.log"
    subprocess.run(score(world, vcf, alone, "-q"), check=True)
    command = score(world, vcf, out, "--keep-shards", "--slurm", settings(tmp_path, jobs=1, queue="gpu"))
    with log.open("w") as file:
        run = subprocess.Popen(command, env=environment, stderr=file, cwd=tmp_path)
    try:
        shards = tmp_path / "scores.tsv.run" / "shards"
        wait_until(lambda: len(list(shards.glob("*.json"))) >= 2 or run.poll() is not None, "two shards")
        (first,) = numbers(jobs)
        os.killpg(first, signal.SIGKILL)  # worker, nanny and shell, as at the end of the wall time
        code = run.wait(timeout=240)
    finally:
        run.kill()
    assert code == 0, log.read_text() + "".join(path.read_text() for path in jobs.glob("*.log"))
    assert out.read_bytes() == alone.read_bytes()
    assert len(numbers(jobs)) == 2
    script = (jobs / "0.sh").read_text()
    assert "#SBATCH -p gpu\n" in script
    assert "#SBATCH --gres=gpu:1\n" in script
    wait_until(lambda: not any(map(alive, numbers(jobs))), "all jobs are cancelled", 30)


@pytest.mark.slow
def test_what_sbatch_refuses_is_told(world, tmp_path, slurm):
    environment, jobs = slurm
    vcf = world.vcf("slurm.vcf", f"4201 = {world.other(4201)}")
    command = score(world, vcf, tmp_path / "scores.tsv", "--slurm", settings(tmp_path, jobs=2, queue="missing"))
    run = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 2, run.stderr
    assert "jobs could not be submitted" in run.stderr
    assert "invalid partition specified: missing" in " ".join(run.stderr.split())
    assert not numbers(jobs)


# A SLURMCluster that refuses its options is thrown away half-made.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("queue: gpu\n", "and jobs: a number"),
        ("jobs: yes\n", "and jobs: a number"),
        ("jobs: 2\nwait: soon\n", "wait is 'soon', expected seconds"),
        ("jobs: 2\ncores: 1\n", "memory"),
        ("jobs: 2\ncores: 1\nmemory: 1GB\ncoffee: black\n", "coffee"),
    ],
)
def test_settings_that_are_refused(tmp_path, text, match):
    from ag_scorers.cluster.clients import open_cluster

    path = tmp_path / "slurm.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=match), open_cluster(None, None, path):
        pass
