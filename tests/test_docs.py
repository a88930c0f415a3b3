"""The documentation follows the code: hooks, commands, scorers, statuses and links."""

import pathlib
import re

import pytest
from ag_core import hookspecs
from ag_core.plugins import registry

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
HOOKS = sorted(name for name, value in vars(hookspecs).items() if hasattr(value, f"{hookspecs.PROJECT}_spec"))


def read(page: str) -> str:
    return (DOCS / page).read_text()


def test_there_are_hooks():
    assert len(HOOKS) >= 6


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_explained_with_an_example(hook):
    sections = re.split(r"^## ", read("plugins.md"), flags=re.MULTILINE)
    (section,) = [text for text in sections if text.startswith(f"`{hook}`")]
    examples = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    assert any(f"def {hook}():" in example for example in examples), f"no example of {hook} in docs/plugins.md"
    for example in examples:
        compile(example, hook, "exec")


def test_every_command_is_mentioned():
    text = "\n".join(page.read_text() for page in PAGES)
    missing = [name for name in registry().names("commands") if f"agenome {name}" not in text]
    assert not missing


def test_every_scorer_is_explained():
    scorers = [found for found in registry().found if found.kind == "scorers"]
    ours = {found.plugin.name for found in scorers if found.provider.startswith("ag-scorers ")}
    assert ours
    assert not [name for name in ours if f"`{name}`" not in read("scoring.md")]


def test_every_status_is_explained():
    from ag_data import Status

    assert not [status for status in Status if f"`{status.value}`" not in read("scoring.md")]


def test_every_page_is_reachable():
    index = read("index.md")
    others = [page.stem for page in PAGES if page.stem != "index"]
    assert not [name for name in others if not re.search(rf"^{name}$", index, re.MULTILINE)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_in_the_docs_exist(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} points at {target}"
    for target in re.findall(r"```\{literalinclude\} (\S+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} includes {target}"


def test_the_pages_on_data_run(tmp_path, monkeypatch):
    """The Python of docs/data-layout.md, then of docs/loading.md, in one namespace and an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AG_CACHE_DIR", str(tmp_path / "cache"))
    namespace: dict[str, object] = {}
    for page in ("data-layout.md", "loading.md"):
        blocks = re.findall(r"```python\n(.*?)```", read(page), flags=re.DOTALL)
        assert len(blocks) >= 4
        for block in blocks:
            exec(compile(block, page, "exec"), namespace)
