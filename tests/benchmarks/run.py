"""Runs a benchmark by name: `hatch run bench NAME [--quick]`. Without a name, lists what there is."""

import ast
import pathlib
import runpy
import sys

FOLDER = pathlib.Path(__file__).parent
BENCHMARKS = {
    path.stem.replace("_", "-"): path
    for path in sorted(FOLDER.glob("*.py"))
    if not path.stem.startswith(("run", "test_"))
}


def main() -> int:
    name = sys.argv[1].removesuffix(".py") if len(sys.argv) > 1 else None
    if name in BENCHMARKS:
        sys.argv = [str(BENCHMARKS[name]), *sys.argv[2:]]
        runpy.run_path(str(BENCHMARKS[name]), run_name="__main__")
        return 0
    if name not in (None, "-h", "--help"):
        print(f"no benchmark {name!r}", file=sys.stderr)
    for known, path in BENCHMARKS.items():
        print(f"{known:16} {(ast.get_docstring(ast.parse(path.read_text())) or '').splitlines()[0]}", file=sys.stderr)
    return 0 if name in (None, "-h", "--help") else 2


if __name__ == "__main__":
    sys.exit(main())
