"""YAML from files and command lines, with one refusal for whatever is wrong with it.

Only plain data: no tag makes an object. A few lines of YAML can stand for an endless or an enormous text (an alias in
itself, aliases of aliases), so what they stand for is counted.
"""

import itertools
import os
import pathlib
import re
from typing import Any

import yaml
from ag_core.errors import InputError

# Values that a document may stand for, aliases counted as often as they occur.
MOST = 1_000_000
DEEPEST = 200  # brackets within brackets


def read_yaml(path: str | os.PathLike[str], what: str) -> tuple[Any, str]:
    """What a file holds, and its text. `what` names it in messages. Raises InputError, also where `parse_yaml` does."""
    path = pathlib.Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{what} {path} cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{what} {path} is not YAML: {error}; write it in UTF-8") from error
    return parse_yaml(text, f"{what} {path}"), text


def parse_yaml(text: str, what: str) -> Any:
    """What a text holds. Raises InputError for what is no YAML, nested too deep, or stands for too much."""
    if _depth(text) > DEEPEST:  # which takes the parser the square of it
        raise InputError(f"{what} is nested too deep; write it flatter")
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        _count(node, {})  # before anything is made of it: merge keys (<<) are copied
        return None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        raise InputError(f"{what} is not YAML: {error}") from error
    except RecursionError as error:
        raise InputError(f"{what} is nested too deep, or within itself; write it flatter") from error
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        # Of dates, numbers and tags that look like one and are none: 2024-13-45.
        raise InputError(f"{what} holds a value that YAML cannot read ({error}); put it in quotes") from error
    finally:
        if loader is not None:
            loader.dispose()


def _depth(text: str) -> int:
    """Brackets within brackets, wherever they stand."""
    steps = (1 if sign in "[{" else -1 for sign in re.findall(r"[\[\]{}]", text))
    return max(itertools.accumulate(steps), default=0)


def _count(node: yaml.Node | None, known: dict[int, int]) -> int:
    """Values that a node stands for, itself included; `known` are those of the nodes that were counted."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) in known:
        if known[id(node)] < 0:
            raise RecursionError
        return known[id(node)]
    known[id(node)] = -1
    parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    known[id(node)] = count = 1 + sum(_count(part, known) for part in parts)
    if count > MOST:
        raise ValueError(f"aliases that stand for more than {MOST:,} values")
    return count
