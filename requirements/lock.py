"""Renews the lock files: every distribution that an environment has, at one version, with the digests of its files.

    hatch run lint:lock                  # the newest versions that fit, of all
    hatch run lint:lock --keep           # only what no longer fits is changed
    hatch run lint:lock --only default

Hatch has locks of its own (`hatch env lock`), but these name the folder of this repository where they were made, and
hold for one Python and system alone. These are for Python 3.11 to 3.13 on every system, and leave the packages of this
repository out: install those without dependencies, after the lock.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import tomllib

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent
PYTHON = "3.11"  # the oldest
# What hatch itself adds to the environment of tests.
OF_HATCH_TEST = ("coverage-enable-subprocess", "coverage[toml]", "pytest", "pytest-mock", "pytest-randomly",
                 "pytest-rerunfailures", "pytest-xdist[psutil]")  # fmt: skip
ENVIRONMENTS = {"default": "default", "hatch-test": "test", "docs": "docs"}  # and the names of their files


def members(environment: dict) -> list[pathlib.Path]:
    """Folders of the packages of this repository that an environment has."""
    return sorted(
        path
        for pattern in environment["workspace"]["members"]
        for path in ROOT.glob(pattern)
        if (path / "pyproject.toml").is_file()
    )


def requirements(name: str) -> list[str]:
    """What an environment of hatch.toml asks for, the packages of this repository left out."""
    environments = tomllib.loads((ROOT / "hatch.toml").read_text())["envs"]
    own, default = environments[name], environments["default"]
    folders = members(own if "workspace" in own else default)
    projects = [tomllib.loads((folder / "pyproject.toml").read_text())["project"] for folder in folders]
    ours = {project["name"] for project in projects}
    found = [*OF_HATCH_TEST] if name == "hatch-test" else [*default.get("extra-dependencies", ())]
    found += own.get("extra-dependencies", ())
    found += [one for project in projects for one in project.get("dependencies", ())]
    return sorted({one for one in found if _name(one) not in ours})


def _name(requirement: str) -> str:
    end = next((at for at, sign in enumerate(requirement) if sign not in _NAME), len(requirement))
    return requirement[:end]


_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def lock(name: str, keep: bool) -> int:
    """Writes the lock of an environment; the exit code of uv."""
    target = HERE / f"{ENVIRONMENTS[name]}.lock"
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, f"{name}.in")
        source.write_text("\n".join(requirements(name)) + "\n")
        command = [sys.executable, "-m", "uv", "pip", "compile", source.name, "--universal", "--generate-hashes"]
        command += ["--python-version", PYTHON, "--no-annotate", "--no-header", "--quiet", "--output-file", str(target)]
        command += [] if keep else ["--upgrade"]
        return subprocess.run(command, cwd=folder, check=False).returncode


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="keep the versions that still fit")
    parser.add_argument("--only", choices=list(ENVIRONMENTS), action="append", help="environment, may be repeated")
    options = parser.parse_args()
    return max(lock(name, options.keep) for name in options.only or ENVIRONMENTS)


if __name__ == "__main__":
    sys.exit(main())
