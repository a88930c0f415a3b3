"""The reference names everything that is public, and has something to say about it."""

import importlib
import re
import sys

import pytest
from doc_blocks import DOCS

sys.path.insert(0, str(DOCS))

from sphinx_reference import description, expand, groups, readable, to_rst

PAGES = sorted((DOCS / "reference").glob("*.md"))
# Packages by the page that is to hold all of their names.
PACKAGES = {package: page for page in PAGES for package in re.findall(r"<!-- names of ([\w.]+) -->", page.read_text())}
HERE = {"__version__"}


def public(package: str) -> set[str]:
    return set(importlib.import_module(package).__all__) - HERE


def test_all_packages_have_a_page():
    assert {"ag_core", "ag_data", "ag_heads", "ag_scorers", "ag_eval"} <= PACKAGES.keys()
    assert {"ag_scorers.kit", "ag_scorers.serve", "ag_data.plot"} <= PACKAGES.keys()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_described(package):
    text = expand(PACKAGES[package].read_text())
    listed = {name for names in groups(package).values() for name in names}
    here, above = (importlib.import_module(name) for name in (package, package.split(".")[0]))
    for name in public(package) - listed:  # on the page of the whole package
        assert above is not here
        assert getattr(above, name) is getattr(here, name)
    for name in listed:
        assert re.search(rf"^\.\. (py:|auto)\w+:: {re.escape(package)}\.(\w+\.)?{name}$", text, re.MULTILINE), name
    assert not [name for name in public(package) if not description(package, name)]


def test_every_command_has_its_options():
    from ag_core.plugins import registry

    text = expand((DOCS / "reference" / "commands.md").read_text())
    for name in registry().names("commands"):
        assert f"\n## `agenome {name}`\n" in text
    assert "* `--fasta <path>`: reference genome" in text


def test_pages_of_the_reference_are_reachable():
    index = (DOCS / "reference" / "index.md").read_text()
    assert not [page.stem for page in PAGES if page.stem != "index" and f"\n{page.stem}\n" not in index]


@pytest.mark.parametrize(
    ("annotation", "shown"),
    [
        ("(ref: jaxtyping.Float[Array, 'position track']) -> int", "(ref: Array[float, position, track]) -> int"),
        ('(a: Float[ndarray, ""])', "(a: ndarray[float])"),
        (
            "(a: Int[jax.Array | numpy.ndarray, '*batch in'])",
            "(a: Array[int, *batch, in_] | ndarray[int, *batch, in_])",
        ),
        ("(a: ~typing.Any = <factory>)", "(a: ~typing.Any = ...)"),
    ],
)
def test_arrays_are_readable(annotation, shown):
    assert readable(annotation) == shown


def test_docstrings_become_restructured_text():
    lines = ["`a b` and `name`s, *x and |y|, trailing_.", "", "- `two", "  lines`: 2 * 3"]
    assert "\n".join(to_rst(lines)) == (
        "``a b`` and :py:obj:`name`\\ s, \\*x and \\|y\\|, trailing\\_.\n\n- ``two lines``: 2 * 3"
    )
    assert to_rst([":class:`Other`"]) == [":class:`Other`"]
