"""Runs the blocks of a page in the current folder: python doc_driver.py < TASK. One process for each page.

TASK is JSON: `blocks`, `before` (Python that gives the page's namespace what its text takes as given), `root`.
Python blocks share a namespace. A shell block is a bash script under `set -euo pipefail`.
Errors name lines of the page.
"""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request

SHELL = "set -euo pipefail; trap 'echo \"failed: line $LINENO\" >&2' ERR"
_PORT = re.compile(r"(?:--port |--http-port |http\.server )(\d+)")


class Failed(Exception):
    """A block that did not do what its page says."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def move_ports(blocks: list[dict]) -> None:
    """Ports that servers of the page name become free ones, wherever the page has them; 0 is any free one already."""
    named = {port for block in blocks if block["language"] != "python" for port in _PORT.findall(block["code"])} - {"0"}
    free = {port: str(free_port()) for port in named}
    for block in blocks:
        for port in named:
            block["code"] = re.sub(rf"\b{port}\b", free[port], block["code"])


def script(block: dict) -> str:
    """A file whose lines have the numbers that they have in the page."""
    path = pathlib.Path(f".block-{block['number']}.sh")
    lead = [SHELL] + [""] * (block["line"] - 2)
    path.write_text("\n".join([*lead, block["code"], ""]))
    return str(path)


def run_shell(block: dict) -> None:
    wanted = int(block["run"].removeprefix("exit ")) if block["run"] else 0
    done = subprocess.run(["bash", script(block)], stdin=subprocess.DEVNULL)
    if done.returncode != wanted:
        raise Failed(f"exit status {done.returncode}, expected {wanted}")


def run_python(block: dict, space: dict, root: str) -> None:
    # Blank lines before it, and the page as its file: a traceback shows the page.
    code = "\n" * (block["line"] - 1) + block["code"]
    exec(compile(code, os.path.join(root, block["page"]), "exec"), space)


def run_alone(block: dict) -> None:
    done = subprocess.run([sys.executable, "-c", block["code"]])
    if done.returncode:
        raise Failed(f"exit status {done.returncode}")


def answers(port: str) -> bool:
    """Whether the server listens and, if it speaks HTTP, is well."""
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", int(port)), 1):
        return True
    return False


def healthy(port: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return answer.status == 200
    except urllib.error.HTTPError as error:
        return error.code == 404  # a server of files
    except OSError:
        return False


def start(block: dict, wait: float = 300) -> subprocess.Popen:
    """Starts a server and waits until all of its ports listen, and /health of the last one is well."""
    server = subprocess.Popen(["bash", script(block)], stdin=subprocess.DEVNULL, start_new_session=True)
    ports, end = _PORT.findall(block["code"]), time.monotonic() + wait
    while not (ports and all(map(answers, ports)) and healthy(ports[-1])):
        if server.poll() is not None or time.monotonic() > end or not ports:
            stop(server)
            raise Failed(f"no server listens on {ports}")
        time.sleep(0.2)
    return server


def stop(server: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        raise Failed("the server did not end on SIGTERM") from None


def run(task: dict) -> None:
    space: dict[str, object] = {"__name__": "__main__"}
    blocks, servers = task["blocks"], []
    move_ports(blocks)
    exec(compile(task["before"], "what the page takes as given", "exec"), space)
    try:
        for block in blocks:
            where = "{page}, block {number} ({language}), line {line}".format_map(block)
            print(f"--- {where}", file=sys.stderr, flush=True)
            began = time.monotonic()
            try:
                if block["file"]:
                    pathlib.Path(block["file"]).write_text(block["code"] + "\n")
                elif block["run"] == "background":
                    servers.append(start(block))
                elif block["run"] == "alone":
                    run_alone(block)
                elif block["language"] == "python":
                    run_python(block, space, task["root"])
                else:
                    run_shell(block)
            except (Exception, SystemExit) as error:
                if not isinstance(error, Failed):
                    traceback.print_exc()
                raise Failed(f"{where} failed: {error}") from error
            print(f"    {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
    finally:
        for server in servers:
            stop(server)


if __name__ == "__main__":
    try:
        run(json.load(sys.stdin))
    except Failed as error:
        sys.exit(str(error))
