"""docs/faq.md and docs/comparison.md: every thread is answered, links lead somewhere, commands and names exist."""

import functools
import importlib.util
import pathlib
import re
import shlex

import ag_scorers
import pytest
from ag_core import cli
from ag_core.plugins import registry

DOCS = pathlib.Path(__file__).parents[1] / "docs"
PAGES = ("faq.md", "comparison.md", "one-environment.md")
# The 25 complaints of users that were collected, each with its threads; then those that came close behind.
THREADS = """
google-deepmind/alphagenome#12
google-deepmind/alphagenome#32
google-deepmind/alphagenome#23
google-deepmind/alphagenome#20
google-deepmind/alphagenome#51
google-deepmind/alphagenome_research#23
google-deepmind/alphagenome_research#26
genomicsxai/alphagenome-pytorch#50
genomicsxai/alphagenome-pytorch#45
genomicsxai/alphagenome-pytorch#57 genomicsxai/alphagenome-pytorch#55
genomicsxai/alphagenome_ft#7
genomicsxai/alphagenome_ft#8
Illumina/SpliceAI#108
Illumina/SpliceAI#156 Illumina/SpliceAI#9 Illumina/SpliceAI#18 SACGF/variantgrid#1755 SACGF/variantgrid#720
Illumina/SpliceAI#48
Illumina/SpliceAI#99
Illumina/SpliceAI#101 Illumina/SpliceAI#29 Illumina/SpliceAI#23 Illumina/SpliceAI#5
broadinstitute/SpliceAI-lookup#9 broadinstitute/SpliceAI-lookup#135 Illumina/SpliceAI#152
calico/borzoi#34
calico/borzoi#25
Genentech/gReLU#40 Genentech/gReLU#92 aertslab/CREsted#192
lucidrains/enformer-pytorch#44 lucidrains/enformer-pytorch#49 lucidrains/enformer-pytorch#16
mcvickerlab/GenVarLoader#153
jmschrei/tangermeme#3 jmschrei/tangermeme#49 Genentech/gReLU#56 Genentech/gReLU#6
Clinical-Genomics/scout#6544 kundajelab/chrombpnet#120
"""
COMPLAINTS = [line.split() for line in THREADS.split("\n") if line]
_THREAD = re.compile(r"[\w.-]+/[\w.-]+#\d+")
_COMMAND = re.compile(r"(?<!`)`(agenome [^`]+)`(?!`)")
_LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")


def read(page):
    return (DOCS / page).read_text()


def entries():
    """Answers of faq.md by the words of their headings."""
    parts = re.split(r"^###? (.+)$", read("faq.md"), flags=re.MULTILINE)
    return {title: body for title, body in zip(parts[1::2], parts[2::2], strict=True) if title != "Close behind"}


def slug(heading):
    """The anchor of a heading, as GitHub and MyST make it."""
    words = re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


@functools.cache
def anchors(page):
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)}


def commands():
    """Every `agenome ...` of the pages that says more than a name, and those names."""
    found = [(page, text) for page in PAGES for text in _COMMAND.findall(read(page).replace("\n", " "))]
    return sorted(set(found))


def test_the_list_is_whole():
    assert len(COMPLAINTS) == 25
    assert len(commands()) > 40


@pytest.mark.parametrize("threads", COMPLAINTS, ids=lambda threads: threads[0])
def test_every_complaint_has_one_answer(threads):
    answers = [body for body in entries().values() if threads[0] in _THREAD.findall(body)]
    assert len(answers) == 1
    assert set(threads) <= set(_THREAD.findall(answers[0]))


@pytest.mark.parametrize("title", entries())
def test_an_answer_has_a_thread_a_call_and_a_link(title):
    body = entries()[title]
    source, answer = re.split(r"\.\*\s", body.strip(), maxsplit=1)
    assert title.endswith("?")
    assert source.startswith("*")
    assert "`" in answer
    assert _LINK.search(answer)
    # Code and links hold dots that end no sentence.
    prose = re.sub(r"`[^`]*`|\([^)]*\)", "x", answer)
    assert 2 <= len(re.findall(r"[.?](?=\s|$|\*)", prose)) <= 6


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_pages_and_headings(page):
    links = _LINK.findall(read(page))
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        target = (DOCS / path).resolve() if path else DOCS / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), f"{page}: no heading for {link}"


@pytest.mark.parametrize(("page", "text"), commands(), ids=lambda text: text)
def test_commands_parse(page, text):
    """The command line takes it: such a command is there, with these options and values of their type."""
    from typer.exceptions import TyperException

    name, arguments = cli.resolve(shlex.split(text)[1:])
    command, context = cli.command(name), None
    if not arguments:
        return  # the name alone, in running text
    try:
        while not context or hasattr(command, "commands"):
            context = command.make_context(name, list(arguments), parent=context)
            if not hasattr(command, "commands"):
                break
            name, command, arguments = command.resolve_command(context, arguments)
    except TyperException as error:
        message = error.format_message()
        # In running text a command may leave out what it needs, never have what it does not know.
        assert message.startswith("Missing"), f"{page}: {text}: {message}"


def test_a_wrong_option_is_seen():
    with pytest.raises(AssertionError, match="No such option"):
        test_commands_parse("a page", "agenome score in.vcf --fasta ref.fa --no-such-option")
    with pytest.raises(AssertionError, match="No such command"):
        test_commands_parse("a page", "agenome model no-such-command x")


@pytest.mark.parametrize("page", PAGES)
def test_benchmarks_peers_and_functions_exist(page):
    text = read(page)
    named = re.findall(r"agenome eval (?!run|compare|list)(\w+) ", text)
    assert not set(named) - set(registry().names("benchmarks"))
    assert not set(re.findall(r"--peer (\w+)", text)) - set(registry().names("peers"))
    for name in re.findall(r"`ag_scorers\.(\w+)", text):
        assert name in ag_scorers.__all__ or importlib.util.find_spec(f"ag_scorers.{name}"), name
    for folder in re.findall(r"`(tests/[\w/]+(?:\.py)?)`", text):
        assert (DOCS.parent / folder).exists(), folder
