"""The code blocks of a page and their marks.

A mark is a comment on the line directly above a fence. It shows neither on GitHub nor in the built book:

    <!-- not run: REASON -->    one of REASONS
    <!-- run: background -->    a server: waited for until it listens, stopped at the end of the page
    <!-- run: alone -->         Python that wants a process of its own
    <!-- run: exit N -->        the command is to end with N
    <!-- file: NAME -->         any block: it becomes this file of the page's folder
"""

import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]
DOCS = ROOT / "docs"
SHELL = ("bash", "sh", "shell", "console")
LANGUAGES = ("python", *SHELL)

REASONS = {
    "installs packages": "pip, hatch and uv from an index, environments that hatch makes",
    "downloads": "weights, data or accounts on the internet",
    "needs a cluster": "Slurm, a Dask scheduler elsewhere, several hosts",
    "needs an accelerator": "GPUs or TPUs",
    "needs other software": "programs and packages that the environment of the tests does not have",
    "needs large data": "data sets of others which no test has",
    "takes hours": "training from the beginning, evaluations of everything",
}

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}|~{3,})\s*(?P<info>[^`]*)$")
_MARK = re.compile(r"^\s*<!-- (?P<verb>not run|run|file): (?P<what>.*?) -->\s*$")


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block; `number` counts the blocks of a page from 1, `line` is its first line of code in the page."""

    page: str
    number: int
    line: int
    language: str
    code: str
    run: str | None = None
    skipped: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        return f"{self.page}, block {self.number} ({self.language}), line {self.line}"


def pages() -> list[str]:
    """README.md and all pages below docs, but for what is built and the example package, which has its own tests."""
    found = [page.relative_to(ROOT) for page in sorted(DOCS.rglob("*.md"))]
    return ["README.md", *(str(page) for page in found if page.parts[1] not in ("_build", "example-plugin"))]


def blocks(page: str) -> list[Block]:
    """The blocks of a page (a path from the repository's root) in the languages that are run."""
    return parse((ROOT / page).read_text(), page)


def parse(text: str, page: str) -> list[Block]:
    found, above, fence, body = [], "", None, []
    for line, content in enumerate(text.splitlines(), 1):
        match = _FENCE.match(content)
        if fence is None:
            if match:
                fence, start, body, mark = match, line + 1, [], _MARK.match(above)
        elif match and match["ticks"].startswith(fence["ticks"]) and not match["info"]:
            language = (fence["info"].split() or [""])[0]
            marks = {mark["verb"]: mark["what"]} if mark else {}
            if language in LANGUAGES or "file" in marks:
                code = "\n".join(part.removeprefix(fence["indent"]) for part in body)
                code = typed(code) if language == "console" else code
                of_mark = (marks.get(verb) for verb in ("run", "not run", "file"))
                found.append(Block(page, len(found) + 1, start, language, code, *of_mark))
            elif mark:
                raise ValueError(f"{page}, line {line}: a mark above a block that is never run")
            fence = None
        else:
            body.append(content)
        above = content
    if fence is not None:
        raise ValueError(f"{page}: the block in line {start} has no end")
    return found


def typed(session: str) -> str:
    """What was typed after the prompts `$` and `>` of a session; its output becomes empty lines."""
    return "\n".join(line[2:] if line.startswith(("$ ", "> ")) else "" for line in session.splitlines())


def marks(text: str) -> list[tuple[str, str]]:
    """All marks of a page, also those that stand above no block."""
    return [(m["verb"], m["what"]) for m in map(_MARK.match, text.splitlines()) if m]
