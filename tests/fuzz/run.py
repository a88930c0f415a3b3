"""Fuzzes every reader of the suite.

    python tests/fuzz/run.py --minutes 30 --out FOLDER [--only NAME ...] [--seed N] [--list]

Each reader gets an equal share of the time, in a process of its own. Findings are written to FOLDER, shortened, with
their traceback; a table of all readers is printed and written as table.md. Exit code 1 when there are findings.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))

PATIENCE = 30.0  # seconds that one input may hold up a process, which then is ended


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="of all readers together")
    parser.add_argument("--only", action="append", help="name of a reader, may be repeated")
    parser.add_argument("--out", type=pathlib.Path, help="folder of findings")
    parser.add_argument("--seed", type=int, default=None, help="of the inputs; by default another one in each run")
    parser.add_argument("--list", action="store_true", help="names of all readers")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=10.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    from subjects import SUBJECTS

    if options.list:
        print("\n".join(SUBJECTS))
        return 0
    if options.out is None:
        parser.error("--out is needed")
    if unknown := set(options.only or ()) - set(SUBJECTS):
        parser.error(f"no reader {', '.join(unknown)}; there are {', '.join(SUBJECTS)}")
    if options.worker:
        return _work(SUBJECTS[options.worker], options)
    seed = int(time.time()) if options.seed is None else options.seed
    names = options.only or list(SUBJECTS)
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in names:
        rows.append((name, *_run(name, options.minutes * 60 / len(names), seed, options.out)))
        print(*rows[-1], flush=True)
    lines = ["| reader | inputs | taken | findings |", "| --- | --- | --- | --- |"]
    lines += [f"| {name} | {done:,} | {taken:,} | {len(found)} |" for name, done, taken, found in rows]
    (options.out / "table.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    for name, _, _, found in rows:
        for key in found:
            print(f"{name}: {key}")
    return 1 if any(row[3] for row in rows) else 0


def _work(subject, options) -> int:
    from drive import drive

    known = {path.read_text().partition("\n")[0] for path in options.out.glob(f"{subject.name}-*.txt")}
    drive(subject, options.seconds, options.seed or 0, options.out / subject.name, known)
    for path in (options.out / subject.name).glob(f"{subject.name}-*"):
        shutil.move(path, options.out / path.name)
    return 0


def _run(name: str, seconds: float, seed: int, out: pathlib.Path) -> tuple[int, int, list[str]]:
    """Executions, inputs that were taken, and findings, of a reader in processes of its own."""
    executions = taken = 0
    found: list[str] = []
    end, attempt = time.monotonic() + seconds, 0
    while (left := end - time.monotonic()) > 1 or not attempt:
        place = out / name
        shutil.rmtree(place, ignore_errors=True)
        begun = time.monotonic()
        code = _process(name, max(left, 1), seed + 1000 * attempt, out)
        attempt += 1
        kept = place / f"{name}.json"
        if kept.exists():
            counts = json.loads(kept.read_text())
            executions, taken = executions + counts["executions"], taken + counts["taken"]
            found += counts["findings"]
        if code == 0:
            break
        current = place / "current.bin"
        if code in (1, 2) or not current.exists():  # the fuzzer itself failed
            return executions, taken, [*found, f"the fuzzer failed, see {place / 'log.txt'}"]
        key = f"{'Hang' if code is None else f'Crash, signal {-code}'}"
        for kept in place.glob(f"{name}-*"):
            shutil.move(kept, out / kept.name)
        shutil.copy(current, out / f"{name}-{key.replace(', ', '-').replace(' ', '')}-{attempt}.bin")
        if key not in found:
            found.append(key)
        if time.monotonic() - begun < 5 and attempt > 20:
            break
    return executions, taken, found


def _process(name: str, seconds: float, seed: int, out: pathlib.Path) -> int | None:
    """The exit code; None for a process that one input held up, or that did not end."""
    place = out / name
    place.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, "--worker", name, "--seconds", str(seconds), "--seed", str(seed)]
    with (place / "log.txt").open("w") as log:
        process = subprocess.Popen([*command, "--out", str(out)], stdout=log, stderr=log, env=_environment())
        begun = time.monotonic()
        while process.poll() is None:
            time.sleep(0.2)
            current = place / "current.bin"
            since = time.time() - current.stat().st_mtime if current.exists() else 0
            if since > PATIENCE or time.monotonic() - begun > seconds + 1000:
                process.kill()
                process.wait()
                return None
        return process.returncode


def _environment() -> dict[str, str]:
    return {**os.environ, "JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"}


if __name__ == "__main__":
    sys.exit(main())
