"""`sbatch` and `scancel` that run job scripts as processes of this machine; for tests where there is no Slurm.

A job is a process group of its own, and its number that of the process. `AG_TEST_JOBS` names the folder of the scripts
and logs; a partition called `missing` is refused, as Slurm does.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys


def install(folder: pathlib.Path) -> None:
    """Makes the two programs in a folder that is to lead PATH."""
    folder.mkdir()
    for name in ("sbatch", "scancel"):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" {name} "$@"\n')
        program.chmod(0o755)


def sbatch(script: str) -> int:
    if re.search(r"^#SBATCH -p missing$", pathlib.Path(script).read_text(), re.MULTILINE):
        print("sbatch: error: invalid partition specified: missing", file=sys.stderr)
        return 1
    jobs = pathlib.Path(os.environ["AG_TEST_JOBS"])
    kept = jobs / f"{len(list(jobs.glob('*.sh')))}.sh"  # the caller removes its own as soon as this is over
    shutil.copy(script, kept)
    with kept.with_suffix(".log").open("w") as log:
        job = subprocess.Popen(
            ["bash", str(kept)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    kept.with_suffix(".id").write_text(str(job.pid))
    print(f"Submitted batch job {job.pid}")
    return 0


def scancel(job: str) -> int:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(int(job), signal.SIGTERM)
    return 0


if __name__ == "__main__":
    sys.exit({"sbatch": sbatch, "scancel": scancel}[sys.argv[1]](sys.argv[2]))
