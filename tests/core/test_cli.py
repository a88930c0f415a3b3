"""The `agenome` command itself: listing, exit codes, where messages go."""

import json

import pytest
from ag_core import commands
from ag_core.cli import run
from ag_core.errors import InputError


def test_usage_lists_every_command_with_its_summary(capsys):
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "score" in shown
    assert "list plugins" in shown


def test_no_arguments_is_a_usage_error(capsys):
    assert run([]) == 2


def test_unknown_command_and_unknown_option_are_refused_with_a_hint(capsys):
    assert run(["plugin"]) == 2
    assert "did you mean 'plugins'" in capsys.readouterr().err
    assert run(["plugins", "--jsn"]) == 2
    assert "--jsn" in capsys.readouterr().err


def test_plugins_as_json_names_distributions(capsys):
    assert run(["plugins", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    providers = {entry["name"]: entry["provider"].split()[0] for entry in listed["plugins"]}
    assert providers["center_mask"] == "ag-scorers"
    assert providers["max_abs_diff"] == "ag-example-plugin"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("a.vcf: no"), 2, "error: a.vcf: no"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("oh"), 1, "ZeroDivisionError: oh"),
    ],
)
def test_exit_codes(monkeypatch, capsys, error, code, message):
    def fail(json_: bool = False) -> None:
        raise error

    monkeypatch.setattr(commands, "plugins", fail)
    assert run(["plugins"]) == code
    assert message in capsys.readouterr().err


def test_help_of_a_command_prints_and_succeeds(capsys):
    assert run(["score", "--help"]) == 0
    assert "--fasta" in capsys.readouterr().out
