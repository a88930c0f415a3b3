"""Every code block of README.md and docs is run, page by page, or says in the page why not.

hatch test tests/docs -m slow        # all pages that take longer
hatch test tests/docs -m slow -k serving
"""

import collections
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from doc_blocks import REASONS, ROOT, SHELL, blocks, marks, pages, parse
from doc_programs import provide
from doc_settings import SETTINGS, Setting


def of(page: str) -> Setting:
    return SETTINGS.get(page, Setting())


RUNNABLE = [page for page in pages() if any(block.skipped is None for block in blocks(page))]


CASES = [
    pytest.param(page, id=page.removeprefix("docs/").removesuffix(".md"), marks=[pytest.mark.slow] * of(page).slow)
    for page in RUNNABLE
]


def run_blocks(runs, folder, environment, before="", root=ROOT) -> subprocess.CompletedProcess:
    task = {"blocks": [dataclasses.asdict(block) for block in runs], "before": before, "root": str(root)}
    command = [sys.executable, "-W", "error:::__main__", str(pathlib.Path(__file__).parent / "doc_driver.py")]
    return subprocess.run(command, input=json.dumps(task), cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def environment(tmp_path, request):
    """That of a user who has installed the packages: without the flags of the tests."""
    kept = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "PYTEST_CURRENT_TEST")}
    kept |= provide(tmp_path) | {"AG_CACHE_DIR": str(tmp_path / "cache"), "MPLBACKEND": "agg"}
    if (cache := getattr(request.config, "cache", None)) is not None:
        # Pages compile the same programs, most of which take less than the second that jax thinks worth keeping.
        kept["JAX_COMPILATION_CACHE_DIR"] = str(cache.mkdir("jax-docs"))
        kept["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    return kept


@pytest.mark.parametrize("page", CASES)
def test_page_runs(page, tmp_path, environment, request, monkeypatch):
    setting, folder = of(page), tmp_path / "page"
    if setting.shared:
        environment["AG_DATA"] = str(request.getfixturevalue("shared").absolute())
        monkeypatch.setenv("AG_DATA", environment["AG_DATA"])  # for what makes the files
    folder.mkdir()
    setting.files(folder)
    runs = [block for name in (*setting.after, page) for block in blocks(name) if block.skipped is None]
    done = run_blocks(runs, folder, environment | setting.environment, setting.before)
    assert done.returncode == 0, done.stderr[-6000:]  # its end says where
    shutil.rmtree(folder)  # some hold hundreds of megabytes


def test_every_block_is_run_or_says_why():
    wrong = []
    for page in pages():
        found = blocks(page)
        for block in found:
            if block.skipped is not None and block.skipped not in REASONS:
                wrong.append(f"{block}: {block.skipped!r} is none of the reasons {sorted(REASONS)}")
            if block.run and not _known(block):
                wrong.append(f"{block}: 'run: {block.run}' is no mark of {block.language}")
        stated = collections.Counter(marks((ROOT / page).read_text()))
        of_blocks = ((("run", b.run), ("not run", b.skipped), ("file", b.file)) for b in found)
        used = collections.Counter(mark for three in of_blocks for mark in three)
        wrong += [f"{page}: {mark} stands above no block" for mark in stated - used]
    assert not wrong, "\n".join(wrong)


def _known(block) -> bool:
    if block.language in SHELL:
        return block.run == "background" or block.run.removeprefix("exit ").isdigit()
    return block.run == "alone"


def test_settings_are_of_pages():
    assert set(SETTINGS) <= set(RUNNABLE)


def test_blocks_are_found_as_they_stand():
    text = """Text.

<!-- not run: downloads -->
```bash
curl x
```

- item

  ```python
  a = 1

  b = 2
  ```

````text
```python
shown, not run
```
````

```console
$ echo a \\
> b
a b
```
"""
    first, second, third = parse(text, "page.md")
    assert (first.skipped, first.line, first.code) == ("downloads", 5, "curl x")
    assert (second.line, second.code, second.run, second.skipped) == (11, "a = 1\n\nb = 2", None, None)
    assert third.code == "echo a \\\nb\n"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("```python\nx = 1\n```\n\n```python\nassert x == 1\nassert x == 2\n```\n", "block 2 (python), line 6"),
        ("```bash\ntrue\n\nfalse | true\n```\n", "block 1 (bash), line 2"),
        ("<!-- run: exit 2 -->\n```bash\nexit 1\n```\n", "exit status 1, expected 2"),
        ("<!-- run: background -->\n```bash\npython -c '' --port 9\n```\n", "no server listens"),
    ],
)
def test_failures_say_where(text, where, tmp_path, environment):
    (tmp_path / "page.md").write_text(text)
    done = run_blocks(parse(text, "page.md"), tmp_path, environment, root=tmp_path)
    assert done.returncode == 1
    assert where in done.stderr
    if "assert x == 2" in text:
        assert 'page.md", line 7' in done.stderr
    if "false" in text:
        assert "failed: line 4\n" in done.stderr
