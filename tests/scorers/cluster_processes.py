"""A Dask cluster of real processes on loopback, with what befalls it: they are started and ended by their ids."""

import contextlib
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time

PRELOAD = pathlib.Path(__file__).with_name("cluster_log.py")


class Cluster:
    """`dask scheduler` and `dask worker`; `log` has what the workers began and finished."""

    def __init__(self, folder: pathlib.Path):
        self.folder, self.processes, self.log = folder, [], folder / "tasks.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"

    def start(self, *command: str, **environment: str) -> subprocess.Popen:
        with (self.folder / f"process-{len(self.processes)}.log").open("w") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True,
                env={**os.environ, "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "30s",
                     "AG_TEST_TASK_LOG": str(self.log), **environment},
            )  # fmt: skip
        self.processes.append(process)
        return process

    def scheduler(self) -> subprocess.Popen:
        arguments = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        return self.start(sys.executable, "-m", "dask", "scheduler", *arguments)

    def _worker_command(self) -> list[str]:
        arguments = ["--nthreads", "1", "--no-dashboard", "--no-nanny", "--preload", str(PRELOAD)]
        return [sys.executable, "-m", "dask", "worker", self.address, *arguments]

    def worker(self) -> subprocess.Popen:
        return self.start(*self._worker_command())

    def worker_with_mount(self, folder: pathlib.Path, size: str, **environment: str) -> subprocess.Popen:
        """A worker to which a file system in memory of its own lies over a folder; it goes with the process."""
        mount = f"mount -t tmpfs -o size={size} tmpfs {shlex.quote(str(folder))}"
        root = [] if os.geteuid() == 0 else ["--map-root-user"]
        line = f"{mount} && exec {shlex.join(self._worker_command())}"
        return self.start("unshare", *root, "--mount", "sh", "-c", line, **environment)

    def tasks(self) -> list[tuple[int, int, str]]:
        """Process, shard and state of each line of the log."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [(int(pid), int(shard), state) for _, pid, shard, state in map(str.split, lines)]

    def end(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def can_mount() -> bool:
    """Whether this account may mount a file system of its own."""
    root = [] if os.geteuid() == 0 else ["--map-root-user"]
    try:
        line = "mount -t tmpfs -o size=8k tmpfs /mnt"
        return subprocess.run(["unshare", *root, "--mount", "sh", "-c", line], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def slowed(process: subprocess.Popen, runs: float = 0.05, rests: float = 0.95):
    """Stops and continues a process, so that it gets a share of the time only."""
    over = threading.Event()

    def throttle():
        with contextlib.suppress(ProcessLookupError):
            while not over.is_set():
                os.killpg(process.pid, signal.SIGSTOP)
                over.wait(rests)
                os.killpg(process.pid, signal.SIGCONT)
                over.wait(runs)

    thread = threading.Thread(target=throttle)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def inside(process: subprocess.Popen, folder: pathlib.Path) -> pathlib.Path:
    """A folder as a process with mounts of its own sees it."""
    return pathlib.Path(f"/proc/{process.pid}/root{folder}")


def fill(folder: pathlib.Path) -> pathlib.Path:
    """Fills a small file system to the last byte with a file, and returns that."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return ballast


def wait_until(condition, what: str, patience: float = 240) -> None:
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"not after {patience:.0f} s: {what}"
        time.sleep(0.05)
