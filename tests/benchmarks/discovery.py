"""How long does a fresh process need to know all plugins? Compared with importing jax, which it must not do."""

import argparse
import statistics
import subprocess
import sys

GOAL = 0.2
CASES = {
    "python alone": "pass",
    "import ag_core": "import ag_core",
    "discovery": "from ag_core.plugins import registry, KINDS; [registry().names(kind) for kind in KINDS]",
    "import jax": "import jax",
}
TIMED = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def seconds(statements: str) -> float:
    """Time of `statements` in a fresh interpreter, without its own start."""
    command = [sys.executable, "-c", TIMED.format(statements)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 repeats instead of 11")
    repeats = 3 if parser.parse_args().quick else 11
    medians = {}
    for name, statements in CASES.items():
        seconds(statements)  # once to fill the page cache and write .pyc files
        times = [seconds(statements) for _ in range(repeats)]
        medians[name] = statistics.median(times)
        print(f"{name:16} {medians[name]:8.4f} s   (fastest {min(times):.4f}, slowest {max(times):.4f})")
    print(f"discovery takes {medians['discovery'] / medians['import jax']:.0%} of the time of importing jax")
    print(f"BENCH plugin_discovery_seconds {medians['discovery']:.4f} {GOAL}")


if __name__ == "__main__":
    main()
