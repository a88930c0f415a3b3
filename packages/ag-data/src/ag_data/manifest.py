"""A manifest: which files become which tracks of a store. YAML, or a Borzoi table of targets.

Paths are relative to the manifest. Every key of a track that is not explained here is a column of the track table.
"""

import difflib
import os
import pathlib
from collections.abc import Mapping
from typing import Any, Literal

import pydantic
from ag_core.errors import InputError

from ag_data.yaml_file import read_yaml

# What a file's name tells about its format; others name their `source`.
SUFFIXES = {
    ".bw": "bigwig",
    ".bigwig": "bigwig",
    ".bedgraph": "bedgraph",
    ".bdg": "bedgraph",
    ".narrowpeak": "peaks",
    ".broadpeak": "peaks",
    ".bed": "peaks",
    ".bam": "bam",
    ".cram": "bam",
    ".fragments.tsv": "fragments",
    ".bedpe": "fragments",
    ".tagalign": "fragments",
    "sj.out.tab": "junctions",
    ".gtf": "splice_sites",
    ".cool": "cool",
    ".mcool": "cool",
    ".hic": "hic",
    ".tfr": "borzoi",
    ".tfrecord": "alphagenome",
}
_PACKED = (".gz", ".bgz", ".bz2")
Path = str | list[str]


class Track(pydantic.BaseModel):
    """One entry: a file (or the two files of a stranded pair, or several that belong together) and its metadata."""

    model_config = pydantic.ConfigDict(extra="allow")

    # A mapping {"+": ..., "-": ...} gives the files of both strands of one experiment.
    path: Path | dict[Literal["+", "-", "."], Path]
    modality: str = pydantic.Field(pattern=r"^[a-z][a-z0-9_]*$")
    # Name of a plugin (`agenome plugins sources`); by default what the suffix says.
    source: str | None = None
    # Base pairs in a bin, for sources that let one choose; by default that of the modality.
    resolution: int | None = pydantic.Field(default=None, gt=0)
    # By default what the file says.
    name: str | None = None
    strand: Literal["+", "-", "."] | None = None
    # What a chromosome means that the file does not have; by default as for the whole manifest.
    absent: Literal["error", "missing", "zero"] | None = None
    # Whether chromosomes whose length is not the genome's are refused; `ignore` for files known to fit all the same.
    lengths: Literal["check", "ignore"] = "check"
    options: dict[str, Any] = {}

    @property
    def columns(self) -> dict[str, str | float | int | bool]:
        """Further columns of the track table."""
        return dict(self.model_extra or {})

    @pydantic.model_validator(mode="after")
    def _check(self):
        for key, value in self.columns.items():
            if not isinstance(value, str | int | float | bool):
                raise ValueError(f"column {key!r} must be text or a number, got {value!r}")
        return self


class Modality(pydantic.BaseModel):
    """What holds for all tracks of a modality, where it differs from `ag_data.assays`."""

    model_config = pydantic.ConfigDict(extra="forbid")

    dtype: Literal["float16", "float32"] | None = None
    unit: str | None = None
    left_edge: bool | None = None


class Manifest(pydantic.BaseModel):
    """What a store is made of; see the module."""

    model_config = pydantic.ConfigDict(extra="forbid")

    # FASTA, .2bit or a folder made by `agenome genome import`; a list where chromosomes lie in several files.
    genome: str | list[str]
    organism: str
    # Name of the assembly; only told to readers, the chromosomes' digests are what is compared.
    build: str = ""
    # Genes, by which the doctor checks strands.
    annotation: str | None = None
    # By default the main chromosomes of the genome.
    chromosomes: list[str] | None = pydantic.Field(default=None, min_length=1)
    absent: Literal["error", "missing", "zero"] = "error"
    # A Borzoi table of targets, whose rows are further tracks.
    targets: str | None = None
    modalities: dict[str, Modality] = {}
    tracks: list[Track] = []

    # Where relative paths start.
    folder: pathlib.Path = pydantic.Field(default=pathlib.Path(), exclude=True)

    @property
    def genome_files(self) -> list[pathlib.Path]:
        """Where the genome is."""
        return [self.locate(path) for path in ([self.genome] if isinstance(self.genome, str) else self.genome)]

    def locate(self, path: str) -> pathlib.Path:
        """The file a path of this manifest means; `~` and `$VARIABLES` are replaced."""
        found = os.path.expandvars(os.path.expanduser(path))
        if "$" in found and not (self.folder / found).exists():
            raise InputError(f"{path}: the environment has no such variable; set it, or write the path out")
        return self.folder / found

    def locate_option(self, value: str) -> str:
        """An option of a source: located if it is a file, otherwise as it is."""
        found = os.path.expandvars(os.path.expanduser(value))
        return str(self.folder / found) if (self.folder / found).is_file() else found


def read_manifest(path: str | os.PathLike[str], **overrides: Any) -> Manifest:
    """Reads a manifest; `overrides` replace what it says at the top (genome, organism, ...).

    A file ending in .txt is a Borzoi table of targets; `genome` and `organism` then have to be given. Raises InputError
    for a file that is missing or not YAML, and for unknown or wrong keys, naming each.
    """
    path = pathlib.Path(path)
    content = {"targets": path.name} if path.suffix == ".txt" else read_yaml(path, "manifest")[0]
    if not isinstance(content, dict):
        raise InputError(f"manifest {path} holds {type(content).__name__}; expected keys such as genome and tracks")
    # What is given by the caller is relative to where the caller is.
    given = {key: value for key, value in overrides.items() if value is not None}
    for key in ("genome", "annotation"):
        if key in given:
            given[key] = str(pathlib.Path(given[key]).absolute())
    return make_manifest({**content, **given}, folder=path.parent, what=f"manifest {path}")


def make_manifest(
    content: Mapping[str, Any], *, folder: str | os.PathLike[str] = ".", what: str = "manifest"
) -> Manifest:
    """A checked manifest from what a YAML file would hold. Raises InputError naming every wrong key."""
    try:
        manifest = Manifest.model_validate(dict(content)).model_copy(update={"folder": pathlib.Path(folder)})
        if manifest.targets is not None:
            manifest = manifest.model_copy(update={"tracks": [*manifest.tracks, *_targets(manifest)]})
    except pydantic.ValidationError as error:
        raise InputError(f"{what}: {_explain(error)}") from error
    if not manifest.tracks:
        raise InputError(f"{what} names no tracks; add entries under `tracks:`")
    return manifest


def source_name(track: Track) -> str:
    """The plugin that reads an entry's file. Raises InputError when the suffix tells nothing."""
    if track.source is not None:
        return track.source
    path = next(iter(track.path.values())) if isinstance(track.path, dict) else track.path
    name = (path if isinstance(path, str) else path[0]).lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.endswith(suffix):
            return SUFFIXES[suffix]
    raise InputError(f"the suffix of {path} does not tell its format; add `source:` (agenome plugins lists them)")


def _targets(manifest: Manifest) -> list[Track]:
    from ag_data.targets_table import manifest_entries

    assert manifest.targets is not None
    return [Track.model_validate(entry) for entry in manifest_entries(manifest.locate(manifest.targets))]


def _explain(error: pydantic.ValidationError) -> str:
    """All that is wrong, in one line each, with the closest known key."""
    lines = []
    for wrong in error.errors():
        place = ".".join(str(part) for part in wrong["loc"]) or "the manifest"
        hint = ""
        if wrong["type"] == "extra_forbidden":
            known = Modality.model_fields if wrong["loc"][0] == "modalities" else Manifest.model_fields
            close = difflib.get_close_matches(str(wrong["loc"][-1]), known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
        given = "" if wrong["type"] == "missing" else f", got {str(wrong['input'])[:60]!r}"
        lines.append(f"{place}: {wrong['msg'].lower()}{given}{hint}")
    return "; ".join(lines)
