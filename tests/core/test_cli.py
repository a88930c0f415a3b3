"""The `agenome` command itself: listing, exit codes, where messages go."""

import json

import pytest
from ag_core import commands
from ag_core.cli import resolve, run
from ag_core.errors import InputError
from ag_core.hookspecs import Plugin
from ag_core.plugins import Found, registry


def test_usage_lists_every_command_with_its_summary(capsys):
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "score" in shown
    assert "list plugins" in shown


def test_no_arguments_is_a_usage_error(capsys):
    assert run([]) == 2


def test_unknown_command_and_unknown_option_are_refused_with_a_hint(capsys):
    assert run(["plugns"]) == 2
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


@pytest.fixture
def add(monkeypatch):
    """Adds commands to the registry."""

    def call(**targets):
        extra = [
            Found("commands", Plugin(name.replace("_", " "), target, f"what {name} does"), "test 1")
            for name, target in targets.items()
        ]
        monkeypatch.setattr(registry(), "found", [*registry().found, *extra])

    return call


def test_group_lists_its_own_commands_and_those_of_other_plugins(capsys):
    assert run(["model", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {word}  " in shown for word in ("info", "import", "export"))
    assert run(["model"]) == 2
    assert "import" in capsys.readouterr().err
    assert run(["model", "imprt"]) == 2
    assert "Did you mean 'import'" in capsys.readouterr().err


def test_longest_name_wins_and_leaves_the_rest_as_arguments(add, capsys):
    add(deep="ag_core.commands:model", deep_sea="ag_core.commands:plugins", deep_sea_fish="ag_core.commands:info")
    assert resolve(["deep", "sea", "fish", "--json"]) == ("deep sea fish", ["--json"])
    assert resolve(["deep", "sea", "x"]) == ("deep sea", ["x"])
    assert resolve(["deep", "--json", "sea"]) == ("deep", ["--json", "sea"])
    assert run(["deep", "sea", "--json"]) == 0
    assert "plugins" in json.loads(capsys.readouterr().out)
    assert run(["deep", "info", "mini", "--json"]) == 0  # the app's own
    assert json.loads(capsys.readouterr().out)["name"] == "mini"
    assert run(["deep", "sea", "fish", "nowhere"]) == 2
    assert "nowhere: neither a checkpoint folder" in capsys.readouterr().err


def test_words_that_only_begin_names_list_them(add, capsys):
    add(far_east="ag_core.commands:plugins", far_west="ag_core.commands:plugins")
    assert run(["far", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "what far_east does" in shown
    assert "west" in shown
    assert run(["far", "est"]) == 2
    assert run(["fa"]) == 2


def test_function_with_commands_below_it_stays_a_function(add, capsys):
    add(list="ag_core.commands:plugins", list_all="ag_core.commands:plugins")
    assert run(["list", "--json"]) == 0
    assert "plugins" in json.loads(capsys.readouterr().out)
