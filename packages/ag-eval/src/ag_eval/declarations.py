"""Evaluations as YAML files of any kind: read, and checked against what a file of that kind must say."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar

import pydantic
from ag_core.errors import InputError
from ag_data.yaml_file import read_yaml


class Strict(pydantic.BaseModel):
    """Refuses what it does not know; does not change."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class TableManifest(Strict):
    """A table: its columns by what they mean (the `needed` ones at least), where it comes from and how to get it.

    `peers`: columns of others' predictions. `digest`: sha256 of the file, where one version is meant.
    """

    needed: ClassVar[tuple[str, ...]] = ()

    assembly: Literal["GRCh37", "GRCh38"]
    columns: Mapping[Any, str]
    peers: dict[str, str] = {}
    source: str
    licence: str
    obtain: str
    digest: str | None = None

    @pydantic.model_validator(mode="after")
    def _complete(self):
        if missing := [role for role in self.needed if role not in self.columns]:
            raise ValueError(f"columns lack {', '.join(missing)}")
        return self


Kind = TypeVar("Kind", bound=pydantic.BaseModel)


def read_declaration(
    name: str | os.PathLike[str], kind: type[Kind], folder: pathlib.Path, what: str = "evaluation"
) -> Kind:
    """One of `folder` by name, or any by path. Raises InputError for what cannot be read or has mistakes."""
    path = pathlib.Path(name)
    if not path.suffix:
        path = folder / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(each.stem for each in folder.glob("*.yaml")))
        raise InputError(f"{what} {name} cannot be read (no such file); there are {known}")
    content, _ = read_yaml(path, what)
    try:
        return kind.model_validate(content)
    except pydantic.ValidationError as error:
        wrong = [f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}" for each in error.errors()]
        raise InputError(f"{what} {path}: {'; '.join(wrong)}") from error
