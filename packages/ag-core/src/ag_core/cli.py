"""`agenome`: sub-commands come from plugins and are imported only when called.

Exit codes: 0 done, 1 failed, 2 refused input, 130 interrupted.
"""

import itertools
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from ag_core._version import __version__
from ag_core.cache import keep_compiled
from ag_core.errors import InputError
from ag_core.plugins import PluginNotFoundError, registry

HELP = ("-h", "--help")
INTERRUPTED = 130


def usage() -> str:
    """The list of commands with their summaries; imports no target."""
    found = sorted((f.plugin.name, f.plugin.summary) for f in registry().found if f.kind == "commands")
    width = max((len(name) for name, _ in found), default=0)
    commands = "\n".join(f"  {name:<{width}}  {summary}" for name, summary in found)
    return (
        "usage: agenome COMMAND ...\n\nPredict what a stretch of DNA does, and what a variant changes.\n\n"
        f"commands:\n{commands}\n\n'agenome COMMAND --help' says more; 'agenome --version' tells the version"
    )


def resolve(arguments: list[str]) -> tuple[str, list[str]]:
    """The command that the leading words name, the longest name first, and the arguments after it.

    Words that only begin longer names ("model" of "model import") are a command too: the list of these.
    """
    names = registry().names("commands")
    words = list(itertools.takewhile(lambda word: not word.startswith("-"), arguments))
    for count in range(len(words), 0, -1):
        name = " ".join(words[:count])
        if name in names or any(other.startswith(f"{name} ") for other in names):
            return name, arguments[count:]
    return arguments[0], arguments[1:]


def _nothing() -> None: ...


def _single(name: str, target: Callable[..., Any], summary: str | None = None) -> Any:
    import typer

    app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False)
    app.command(name, help=summary)(target)
    return typer.main.get_command(app)


def command(name: str) -> Any:
    """The (click) command called `name`, its target imported. Raises PluginNotFoundError.

    A group also lists what other plugins put below it. `resolve` finds these before the group is asked to run them:
    there they only have to show their summaries.
    """
    import typer

    below = [f.plugin for f in registry().found if f.kind == "commands" and f.plugin.name.startswith(f"{name} ")]
    if below and name not in registry().names("commands"):
        target = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)
        target.callback()(_nothing)
    else:
        target = registry().load("commands", name)
    if not isinstance(target, typer.Typer):
        return _single(name, target)
    group: Any = typer.main.get_command(target)
    for plugin in sorted(below, key=lambda plugin: plugin.name):
        word = plugin.name.removeprefix(f"{name} ")
        group.add_command(_single(word, _nothing, plugin.summary), word)
    return group


def call(name: str, arguments: list[str]) -> int:
    """Runs one command with its arguments and returns its exit code."""
    from typer.exceptions import Abort, TyperException

    found = command(name)
    try:
        result = found.main(arguments, prog_name=f"agenome {name}", standalone_mode=False)
    except Abort:
        raise KeyboardInterrupt from None
    except TyperException as error:  # a usage error knows how to show itself
        show = getattr(error, "show", None)
        show() if show else print(f"error: {error}", file=sys.stderr)
        return 2
    if result == INTERRUPTED:  # typer answers Ctrl-C with this code and no word
        raise KeyboardInterrupt
    return result if isinstance(result, int) else 0


def run(arguments: list[str] | None = None) -> int:
    """Runs a command line and returns its exit code; messages for people go to stderr."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if not arguments or arguments[0] in HELP:
            print(usage())
            return 0 if arguments else 2
        if arguments[0] == "--version":
            print(f"agenome {__version__}")
            return 0
        return call(*resolve(arguments))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except (InputError, PluginNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Exception as error:
        if os.environ.get("AG_DEBUG") == "1":
            traceback.print_exc()
        print(f"failed: {type(error).__name__}: {error} (AG_DEBUG=1 shows where)", file=sys.stderr)
        return 1


def main() -> None:
    """Entry point of the `agenome` script."""
    keep_compiled()
    sys.exit(run())


if __name__ == "__main__":
    main()
