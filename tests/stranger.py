"""What somebody does who has only the wheels: install, write a scorer, score, report. Prints the seconds of each step.

`python tests/stranger.py [FOLDER]` makes wheels, and a fresh environment in FOLDER; `uv` must be on the path.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
DATA = ROOT / "examples" / "data"
# What `pip install ag-core ag-scorers` brings of ours.
PACKAGES = ("ag-core", "ag-data", "ag-heads", "ag-scorers")
# Runs in the new environment.
LOOK = """
import json
import pyarrow.compute as pc
import pyarrow.parquet as pq
table = pq.read_table("scores.parquet")
finite, scorers = pc.sum(pc.is_finite(table["score"])).as_py(), pc.unique(table["scorer"]).to_pylist()
variants = len(pc.unique(table["variant"]))
print(json.dumps({"rows": len(table), "finite": finite, "scorers": scorers, "variants": variants}))
"""


class Walk:
    """Steps in a folder; each must succeed."""

    def __init__(self, folder: pathlib.Path):
        self.folder, self.steps = folder, []
        # Nothing of the environment that this runs in.
        kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
        self.environment = {key: value for key, value in kept.items() if not key.startswith(("XLA_", "JAX_", "AG_"))}

    def step(self, name: str, *commands: list[str | os.PathLike]) -> str:
        """Runs commands in the folder; the last one's output."""
        begun = time.perf_counter()
        for command in commands:
            done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"{name}: {command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        self.steps.append((name, round(time.perf_counter() - begun, 1)))
        print(f"{name:<28} {self.steps[-1][1]:>7.1f} s", file=sys.stderr, flush=True)
        return done.stdout


def main(folder: pathlib.Path) -> dict:
    """All steps; their seconds, and what came of it."""
    walk, wheels, programs = Walk(folder), folder / "wheels", folder / "venv" / "bin"
    agenome, python = programs / "agenome", programs / "python"
    genome = ["--fasta", DATA / "HNF4A.hg38.fa.gz", "--gtf", DATA / "HNF4A.hg38.gtf.gz"]
    build = [["uv", "build", "--wheel", "--quiet", "-o", wheels, ROOT / "packages" / name] for name in PACKAGES]
    walk.step("make the wheels", *build)
    walk.step("fresh environment", ["uv", "venv", "--quiet", "-p", sys.executable, folder / "venv"])
    install = ["uv", "pip", "install", "--quiet", "--python", python]
    # By file: an index may have others of the same names.
    walk.step("install ag-core, ag-scorers", [*install, *sorted(wheels.glob("*.whl"))])
    walk.step("write a scorer", [agenome, "plugin", "new", "halo", "--kind", "scorer"])
    walk.step("install it", [*install, "-e", "./halo[test]"])
    walk.step("its own tests", [python, "-m", "pytest", "-q", "halo/tests"])
    walk.step("the laws", [agenome, "plugin", "test", "halo:modality=dnase"])
    score = [agenome, "score", DATA / "HNF4A.mpra.vcf.gz", *genome, "--scorer", "halo:modality=dnase"]
    walk.step("score 200 variants with it", [*score, "-o", "scores.parquet", "-o", "scores.tsv"])
    report = [agenome, "report", "variant", "chr20:44355804:C>T", *genome, "--scorer", "halo:modality=dnase"]
    walk.step("report", [*report, "--scorer", "CHIP_TF", "-o", "variant.html"])
    found = json.loads(walk.step("look", [python, "-c", LOOK]))
    page = (folder / "variant.html").read_text()
    return {
        "seconds": dict(walk.steps),
        "total": round(sum(s for _, s in walk.steps), 1),
        **found,
        "reported": page.count("HaloScorer"),
    }


if __name__ == "__main__":
    if len(sys.argv) > 1:
        pathlib.Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
        print(json.dumps(main(pathlib.Path(sys.argv[1]).resolve())))
    else:
        with tempfile.TemporaryDirectory() as made:
            print(json.dumps(main(pathlib.Path(made))))
