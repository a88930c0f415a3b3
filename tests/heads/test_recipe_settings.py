"""Settings of a training run: what is wrong is named with its line, and what cannot work is refused before anything."""

import pathlib

import pytest
from ag_core.errors import InputError
from ag_heads.recipes.settings_file import read_settings

GOOD = """\
name: toy
model:
  backbone: tiny
  window: 4096
  organisms: [human, mouse]
  heads:
    cage: {weight: 2, options: {target_resolution: 32}}
data:
  main:
    batch: 4
    streams:
      own:
        organism: human
        genome: genome.fa
        stores: [store.zarr]
        split:
          hold_out: {valid: [chr2]}
optimiser:
  steps: 10
"""


def read(tmp_path, text, **overrides):
    path = tmp_path / "toy.yaml"
    path.write_text(text)
    return read_settings(path, overrides)


def test_what_is_given_and_what_goes_without_saying(tmp_path, monkeypatch):
    monkeypatch.setenv("PLACE", "there")
    settings = read(tmp_path, GOOD, **{"optimiser.steps": 20, "run.keep": 5})
    assert settings.optimiser.steps == 20
    assert settings.run.keep == 5
    assert settings.model.config.organisms == 2
    assert settings.model.heads["cage"].weight == 2
    assert settings.locate("store.zarr") == tmp_path / "store.zarr"
    assert settings.locate("$PLACE/x") == tmp_path / "there/x"
    with pytest.raises(InputError, match="no such variable"):
        settings.locate("$NOWHERE/x")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps: 10", "stesp: 10", r"line 19: optimiser.stesp: no such key; did you mean 'steps'\?"),
        ("batch: 4", "batch: none", r"line 10: data.main.batch: input should be a valid integer"),
        ("weight: 2", "weihgt: 2", r"line 7: model.heads.cage.weihgt: .*did you mean 'weight'"),
        ("backbone: tiny", "backbone: huge", r"line 2: model: no backbone 'huge'; there are full, mini, tiny"),
        ("window: 4096", "window: 5000", "multiple of 2,048 bp, got 5,000; try 4,096"),
        ("organism: human", "organism: fly", "knows human, mouse, not 'fly'"),
        ("        split:\n          hold_out: {valid: [chr2]}\n", "", r"line 12: data.main.streams.own.split: field"),
        ("hold_out: {valid: [chr2]}", "version: FOLD_0", "exactly one of hold_out, labels and folds"),
        ("batch: 4", "{batch: 4", "is not YAML"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(InputError, match=message):
        read(tmp_path, GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"numerics.seq": 8}, "4,096 bp cannot be split over seq=8 devices"),
        ({"numerics.data": 3}, "a batch of 4 cannot be split over data=3"),
        ({"numerics.accumulate": 8}, "accumulate=8 parts; choose a multiple of 8"),
        ({"data.main.modalities": ["atac"]}, "the model has no head atac"),
    ],
)
def test_what_does_not_divide_is_said_before_compiling(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, GOOD, **change)


def test_the_recipes_that_are_shipped_are_right():
    import ag_heads.recipes

    shipped = sorted(pathlib.Path(ag_heads.recipes.__file__).parent.glob("*/*.yaml"))
    recipes = [path for path in shipped if path.read_text().startswith("#") and "\nmodel:" in path.read_text()]
    assert recipes
    for path in recipes:
        read_settings(path)
