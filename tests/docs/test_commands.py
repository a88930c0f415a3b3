"""Every `agenome` command of the pages has the options that it is given, also in blocks that are not run."""

import re
import shlex

import pytest
from ag_core import cli
from doc_blocks import SHELL, Block, blocks, pages

_ENDS = re.compile(r"[;|&<>()]+")


def commands(block: Block) -> list[tuple[int, list[str]]]:
    """The lines of a shell block that call `agenome`, continued ones joined, with the arguments of each call."""
    found, code = [], re.sub(r"\\\n\s*", " ", block.code)
    for line in code.splitlines():
        if re.match(r"[^#]*\bagenome ", line):
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words = list(lexer)
            for start in (i for i, word in enumerate(words) if word == "agenome"):
                ends = (i for i in range(start, len(words)) if _ENDS.fullmatch(words[i]))
                found.append((line, words[start + 1 : next(ends, len(words))]))
    return found


def parse(arguments: list[str]) -> None:
    """Raises for a command that there is not, and for options that it does not have."""
    name, rest = cli.resolve(arguments)
    found, path = cli.command(name), f"agenome {name}"
    while True:
        context = found.context_class(found, info_name=path)
        _, rest, _ = found.make_parser(context).parse_args(list(rest))
        if not hasattr(found, "commands") or not rest:
            return
        word, *rest = rest
        found, path = found.commands[word], f"{path} {word}"


CALLS = [
    pytest.param(arguments, id=f"{page}:{line[:60]}")
    for page in pages()
    for block in blocks(page)
    if block.language in SHELL
    for line, arguments in commands(block)
]


def test_commands_of_the_pages_are_as_the_pages_have_them():
    assert len(CALLS) > 80
    wrong = []
    for call in CALLS:
        try:
            parse(call.values[0])
        except Exception as error:
            wrong.append(f"{call.id}: {type(error).__name__}: {error}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "arguments",
    [["score", "in.vcf", "--fastaa", "x"], ["tracks", "exprt", "a"], ["model", "info", "--color"], ["no-such-command"]],
)
def test_what_is_wrong_is_noticed(arguments):
    with pytest.raises(Exception, match=r"fastaa|exprt|color|no-such-command"):
        parse(arguments)
