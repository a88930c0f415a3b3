"""Programs of the pages that the tests have in another form: `hatch run`, and `pip install -e` of what a page wrote.

python doc_programs.py SITE DIR leaves in SITE, a folder on the path of Python, what an installer leaves of the package
in DIR: metadata and a link to the sources. Nothing is fetched, and the environment of the tests stays as it is.
"""

import os
import pathlib
import sys
import tomllib

_HATCH = """#!/bin/sh
[ "$1" = run ] && shift && exec "$@"
echo "only hatch run" >&2
exit 1
"""
_PIP = """#!/bin/sh
[ "$1 $2" = "install -e" ] && [ $# = 3 ] && exec "{python}" "{here}" "{site}" "$3"
echo "only pip install -e DIR; mark the block as not run" >&2
exit 1
"""


def provide(folder: pathlib.Path) -> dict[str, str]:
    """Writes the programs into a folder; returns what of the environment leads to them and to what they install."""
    programs, site = folder / "programs", folder / "site"
    programs.mkdir(), site.mkdir()
    pip = _PIP.format(python=sys.executable, here=pathlib.Path(__file__).resolve(), site=site)
    for name, text in {"hatch": _HATCH, "pip": pip}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    path = [str(programs), str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]
    return {"PATH": os.pathsep.join(path), "PYTHONPATH": str(site)}


def install(site: pathlib.Path, root: pathlib.Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    lines = [line for group, entries in groups for line in (f"[{group}]", *(f"{k} = {v}" for k, v in entries.items()))]
    (info / "entry_points.txt").write_text("\n".join([*lines, ""]))
    for source in (root / "src").iterdir():
        (site / source.name).symlink_to(source.resolve())


if __name__ == "__main__":
    # "./gc_window[test]": what the extra asks for is in the environment of the tests.
    install(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2].split("[")[0]))
