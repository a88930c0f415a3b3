"""Looks up what the lock files name among known vulnerabilities (pip-audit; OSV, else PyPI).

    hatch run lint:audit [--only default] [--service osv] [--path FOLDER]

Exit code 0: all were looked up and none is known to be vulnerable; 1: some are; 3: not all could be looked up, since no
service could be reached or the one that answered does not know them (a mirror of the index often does not). That
nothing was found then means nothing, so it is not called a success.
"""

import argparse
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
SERVICES = ("osv", "pypi")
UNKNOWN = 3


def audit(arguments: list[str], service: str) -> tuple[list[dict], str]:
    """What one service says of each distribution; an empty list, and why, where it says nothing."""
    command = [sys.executable, "-m", "pip_audit", "--vulnerability-service", service, "--format", "json"]
    command += ["--progress-spinner", "off", "--timeout", "10", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)["dependencies"], ""
    except (ValueError, KeyError):
        lines = done.stderr.strip().splitlines()
        return [], lines[-1][:300] if lines else f"pip-audit ended with {done.returncode}"


def judge(found: list[dict], why: str = "") -> tuple[int, list[str]]:
    """Exit code and lines to show."""
    known = [one for one in found if "skip_reason" not in one]
    lines = []
    for one in known:
        for bug in one["vulns"]:
            fixed = (
                f"; fixed in {', '.join(bug['fix_versions'])}" if bug.get("fix_versions") else "; no release mends it"
            )
            lines.append(f"{one['name']} {one['version']}: {bug['id']}{fixed}")
    if lines:
        return 1, lines
    if not found or len(known) < len(found):
        skipped = [one for one in found if "skip_reason" in one]
        reason = why or f"{skipped[0]['skip_reason']}" if skipped or why else "nothing to look up"
        return UNKNOWN, [f"NOT AUDITED: {len(found) - len(known)} of {len(found)} distributions ({reason})"]
    return 0, [f"{len(known)} distributions, none known to be vulnerable"]


def look_up(arguments: list[str], services: tuple[str, ...]) -> tuple[int, list[str]]:
    """The answer of the first service that knows everything, else of the last."""
    code, lines = UNKNOWN, ["NOT AUDITED: no service"]
    for service in services:
        code, lines = judge(*audit(arguments, service))
        lines = [f"{line} [{service}]" for line in lines]
        if code != UNKNOWN:
            break
    return code, lines


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    locks = {path.stem: path for path in sorted(HERE.glob("*.lock"))}
    parser.add_argument("--only", choices=list(locks), action="append", help="lock file, may be repeated")
    parser.add_argument("--service", choices=SERVICES, help="ask only this one")
    parser.add_argument("--path", help="look up what is installed in this folder (site-packages) instead")
    options = parser.parse_args()
    services = (options.service,) if options.service else SERVICES
    codes = []
    if options.path:
        work = {options.path: ["--path", options.path]}
    else:
        names = options.only or list(locks)
        work = {name: ["-r", str(locks[name]), "--disable-pip", "--require-hashes"] for name in names}
    for name, arguments in work.items():
        code, lines = look_up(arguments, services)
        codes.append(code)
        print("\n".join(f"{name}: {line}" for line in lines))
    return 1 if 1 in codes else max(codes)


if __name__ == "__main__":
    sys.exit(main())
