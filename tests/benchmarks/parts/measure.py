"""Time, memory and what stood around them. Linux only: peak memory is read from /proc."""

import importlib.metadata
import os
import pathlib
import platform
import time
from collections.abc import Callable
from typing import Any

GB = 1e9


def say(text: str) -> None:
    """Prints at once, so that a long run shows where it is."""
    print(text, flush=True)


def bench(what: str, measured: float, goal: float | str) -> None:
    """A line that a program can read: what was measured, the value, the goal."""
    say(f"BENCH {what} {measured:.4g} {goal}")


def resident(field: str = "VmHWM") -> float:
    """Resident memory of this process in bytes: the highest ever (VmHWM) or now (VmRSS)."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return 1024.0 * int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {field}")


def reset_peak() -> bool:
    """Lets VmHWM start again from what is resident now; False where the kernel forbids it."""
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def machine(*packages: str) -> str:
    """Processor, cores and versions in one line."""
    model = platform.processor() or platform.machine()
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return f"{model}, {len(os.sched_getaffinity(0))} cores; python {platform.python_version()}, {versions}"


def busy() -> str:
    """A warning when other jobs keep more than half a core busy, else nothing; ask before the work starts."""
    load = os.getloadavg()[0]
    if load < 0.5:
        return ""
    return f"NOTE: the machine was busy at the start (load {load:.1f}): these figures are not to be quoted"


def seconds(call: Callable[[], Any], repeats: int = 1) -> list[float]:
    """Wall time of each call; `call` must wait for its own result, which is dropped before the next."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times
