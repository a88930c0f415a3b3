"""The reference of names and commands, made from docstrings: a Sphinx extension.

Pages below docs/reference say what they hold by a comment, which becomes text when the page is read:

    <!-- names of ag_core -->       all public names of a package, in the groups of its table of contents
    <!-- members of ag_core.hookspecs: ag_heads -->  some names of a module
    <!-- commands -->               all commands of `agenome`, from their own help

Docstrings are Markdown of a simple kind, autodoc wants reStructuredText; here one becomes the other.
"""

import ast
import enum
import importlib
import inspect
import itertools
import keyword
import pathlib
import re
import textwrap
from collections.abc import Iterator
from typing import Any

_PLACEHOLDER = re.compile(r"^<!-- (names of|members of|commands)(?: ([\w.]+)(?:: (.+))?)? -->$", re.MULTILINE)
_ENTRY = re.compile(r'^    (?:# (?P<group>.+)|"(?P<name>\w+)": "[\w.]+",)$')


def groups(package: str) -> dict[str, list[str]]:
    """The public names of a package by the comments in its `__init__.py`, in its order; "" before the first comment."""
    here, top = (importlib.import_module(name) for name in (package, package.split(".")[0]))
    found, group = {}, ""
    for entry in filter(None, map(_ENTRY.match, pathlib.Path(str(here.__file__)).read_text().splitlines())):
        group, name = entry["group"] or group, entry["name"]
        # What the whole package exports too is described there.
        if name and (here is top or getattr(here, name) is not getattr(top, name, None)):
            found.setdefault(group, []).append(name)
    return found


def expand(text: str) -> str:
    """A page with its comments replaced."""
    return _PLACEHOLDER.sub(_replacement, text)


def _replacement(match: re.Match[str]) -> str:
    kind, module, names = match.groups()
    if kind == "commands":
        return commands()
    if kind == "members of":
        return _directives(module, names.split(", "))
    level = re.findall(r"^#+(?= )", match.string[: match.start()], re.MULTILINE)[-1] + "#"
    found = groups(module).items()
    return "\n\n".join((f"{level} {group}\n\n" if group else "") + _directives(module, some) for group, some in found)


def _directives(module: str, names: list[str]) -> str:
    lines = [line for name in names for line in _directive(module, name)]
    return "\n".join(["```{eval-rst}", *lines, "```"])


def _home(module: str, name: str) -> str:
    """The module that a public name comes from."""
    names = getattr(importlib.import_module(module), "_NAMES", {})
    return f"{module}.{names[name]}" if name in names else module


def _directive(module: str, name: str) -> Iterator[str]:
    target = getattr(importlib.import_module(_home(module, name)), name)
    if inspect.ismodule(getattr(importlib.import_module(module), name)):
        module = _home(module, name)  # of a module's own name autodoc would take the module
    if not callable(target):
        yield f".. py:data:: {module}.{name}\n"
        yield textwrap.indent("\n".join(to_rst(description(module, name).splitlines())), "   ")
    elif not inspect.isclass(target):
        yield f".. autofunction:: {module}.{name}"
    elif issubclass(target, BaseException):
        yield f".. autoexception:: {module}.{name}"
    else:
        yield f".. autoclass:: {module}.{name}"
        yield "   :members:\n   :special-members: __call__\n   :member-order: bysource"
        if issubclass(target, enum.Enum):
            yield "   :undoc-members:"
    yield ""


def description(module: str, name: str) -> str:
    """What the reference says about a public name: its own docstring; of a value, the text right after it. Or ''."""
    home = importlib.import_module(_home(module, name))
    target = getattr(home, name)
    if callable(target):
        text = vars(target).get("__doc__") if inspect.isclass(target) else target.__doc__
        return inspect.cleandoc(text or "")
    for value, text in itertools.pairwise(ast.parse(inspect.getsource(home)).body):
        is_it = isinstance(value, ast.Assign | ast.AnnAssign) and any(
            isinstance(part, ast.Name) and part.id == name for part in ast.walk(value)
        )
        if is_it and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            return inspect.cleandoc(str(text.value.value))
    return ""


def commands() -> str:
    """Markdown of all commands, from the help that they print."""
    from ag_core.cli import command
    from ag_core.plugins import registry
    from typer.cli import get_docs_for_click

    names, parts = sorted(registry().names("commands")), []
    for name in names:
        found: Any = command(name)
        for other in names:  # a command of another plugin has a section of its own
            if other.startswith(f"{name} "):
                getattr(found, "commands", {}).pop(other.removeprefix(f"{name} "), None)
        context = found.context_class(found, info_name=f"agenome {name}")
        text = get_docs_for_click(obj=found, ctx=context, name=f"agenome {name}")
        parts.append(re.sub(r"^(#+) ", r"\1# ", text, flags=re.MULTILINE))
    return "\n\n".join(parts)


# An annotation of jaxtyping as Sphinx spells it: Float[Array, 'position track'].
_ARRAY = re.compile(
    r"~?(?:jaxtyping\.)?(?P<kind>[A-Z]\w+)\[(?P<type>[\w. |]+), (?P<quote>['\"])(?P<axes>.*?)(?P=quote)\]"
)
_KINDS = {"Float": "float", "Float32": "float32", "Int": "int", "UInt8": "uint8", "Bool": "bool"}


def readable(annotations: str) -> str:
    """Array annotations as `Array[float, position, track]`, or `ndarray[...]` of numpy's; no axes: a scalar.

    Defaults that are no Python (`<factory>`) become `...`: a signature with them would not be read as one.
    """

    def array(match: re.Match[str]) -> str:
        axes = [f"{axis}_" if keyword.iskeyword(axis) else axis for axis in match["axes"].split()]
        types = [part.rsplit(".", 1)[-1] for part in match["type"].split(" | ")]
        return " | ".join(f"{one}[{', '.join([_KINDS.get(match['kind'], match['kind']), *axes])}]" for one in types)

    return _ARRAY.sub(array, re.sub(r"<[^<>]*>", "...", annotations))


def _process_signature(app, what, name, obj, options, signature, returned):
    return signature and readable(signature), returned and readable(returned)


_CODE = re.compile(r"(``?)([^`]+?)\1")
_NAME = re.compile(r"[A-Za-z_][\w.]*(\(\))?")


def to_rst(lines: list[str]) -> list[str]:
    """A docstring's Markdown as reStructuredText: code, names that link to what they name, lists, plain signs."""
    text = "\n".join(lines)  # code may go on in the next line
    if re.search(r":\w+:`", text):  # of another package, and written for Sphinx
        return lines
    parts, end = [], 0
    for code in _CODE.finditer(text):
        parts.append(_escaped(text[end : code.start()]))
        inside = re.sub(r"\s+", " ", code[2])
        parts.append(f":py:obj:`{inside}`" if _NAME.fullmatch(inside) else f"``{inside}``")
        end = code.end()
        if text[end : end + 1].isalnum():  # `Scorer`s
            parts.append("\\ ")
    return "".join([*parts, _escaped(text[end:])]).split("\n")


def _escaped(text: str) -> str:
    return re.sub(r"\*(?=\S)|\||(?<=\w)_(?!\w)", r"\\\g<0>", text)


def _process_docstring(app, what, name, obj, options, lines):
    lines[:] = to_rst(lines)


def _process_source(app, page, content):
    content[0] = expand(content[0])


def setup(app):
    """Called by Sphinx."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("source-read", _process_source)
    app.connect("autodoc-process-docstring", _process_docstring)
    app.connect("autodoc-process-signature", _process_signature)
    return {"parallel_read_safe": True}
