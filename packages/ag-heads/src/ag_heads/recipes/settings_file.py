"""Reads the settings of a run from a YAML file and names the line of every mistake."""

import difflib
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import pydantic
import yaml
from ag_core.errors import InputError
from ag_data.yaml_file import read_yaml

from ag_heads.recipes.settings import Settings


def read_settings(path: str | os.PathLike[str], overrides: Mapping[str, Any] | None = None) -> Settings:
    """Settings from a YAML file; `overrides` ("optimiser.steps": 10) replace what it says.

    Raises InputError that names file, line and closest known key for everything that is wrong.
    """
    path = pathlib.Path(path)
    content, text = read_yaml(path, "settings")
    if not isinstance(content, dict):
        raise InputError(f"settings {path} holds {type(content).__name__}; expected keys such as name, model, data")
    for key, value in (overrides or {}).items():
        replace_setting(content, key, value)
    return check_settings(content, what=str(path), folder=path.parent, nodes=yaml.compose(text, Loader=yaml.SafeLoader))


def check_settings(
    content: Mapping[str, Any],
    *,
    what: str = "settings",
    folder: str | os.PathLike[str] = ".",
    nodes: yaml.Node | None = None,
) -> Settings:
    """Settings from what a YAML file holds. Raises InputError as `read_settings`; lines come from its `nodes`."""
    try:
        return Settings.model_validate(content).model_copy(update={"folder": pathlib.Path(folder)})
    except pydantic.ValidationError as error:
        lines = []
        for wrong in error.errors():
            line = "" if nodes is None else f", line {_line(nodes, wrong['loc'])}"
            lines.append(f"{what}{line}: {_explain(wrong)}")
        raise InputError("\n".join(lines)) from error


def replace_setting(content: dict[str, Any], key: str, value: Any) -> None:
    """Sets `a.b.c` in nested mappings. Raises InputError where something else is on the way."""
    *parents, last = key.split(".")
    for parent in parents:
        content = content.setdefault(parent, {})
        if not isinstance(content, dict):
            raise InputError(f"{key}: {parent} is no mapping")
    content[last] = value


def _line(node: yaml.Node | None, place: Sequence[int | str]) -> int:
    """The line of the deepest node along `place` that is there."""
    line = 1
    for part in place:
        found = None
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is not None:
                line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            item: yaml.Node = node.value[part]
            found = node = item
            line = item.start_mark.line + 1
        if found is None:
            break
    return line


def _explain(wrong: Any) -> str:
    place = ".".join(str(part) for part in wrong["loc"]) or "the file"
    text = wrong["msg"].removeprefix("Value error, ")
    if wrong["type"] == "extra_forbidden":
        known = _known_keys(wrong["loc"][:-1])
        close = difflib.get_close_matches(str(wrong["loc"][-1]), known, n=1)
        return f"{place}: no such key; " + (f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}")
    given = "" if wrong["type"] in ("missing", "value_error") else f", got {str(wrong['input'])[:60]!r}"
    return f"{place}: {text[:1].lower()}{text[1:]}{given}"


def _known_keys(place: Sequence[int | str]) -> list[str]:
    """The keys of the model at `place`, found by following annotations."""
    model: Any = Settings
    for part in place:
        if isinstance(model, type) and issubclass(model, pydantic.BaseModel):
            field = model.model_fields.get(str(part))
            model = None if field is None else field.annotation
        else:
            model = next((arg for arg in reversed(get_args(model)) if isinstance(arg, type)), None)
    if isinstance(model, type) and issubclass(model, pydantic.BaseModel):
        return list(model.model_fields)
    return []
