"""What a training run is made of; `settings_file.read_settings` reads it from a YAML file.

Paths are relative to the file; `~` and `$VARIABLES` are replaced.
"""

import os
import pathlib
from collections.abc import Sequence
from typing import Any, Literal

import pydantic
from ag_core.config import PRESETS, BackboneConfig, check_length
from ag_core.errors import InputError


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Split(_Strict):
    """What of a genome is learnt from. Exactly one of `hold_out`, `labels` and `folds`.

    - `hold_out`: chromosomes or regions (1-based, as people write them) for `valid` and `test`; the rest is trained on.
    - `labels`: a BED file whose column 4 says train, valid or test.
    - `folds`: Borzoi's list of windows, with the version (FOLD_0 ... FOLD_3, ALL_FOLDS).
    - `exclude`: places that `labels` and `folds` leave out of all three (with `hold_out`, name them for the test).
    """

    hold_out: dict[Literal["valid", "test"], list[str]] | None = None
    labels: str | None = None
    folds: str | None = None
    version: str = "FOLD_0"
    exclude: list[str] = []

    @pydantic.model_validator(mode="after")
    def _one(self):
        if sum(choice is not None for choice in (self.hold_out, self.labels, self.folds)) != 1:
            raise ValueError("expected exactly one of hold_out, labels and folds")
        if self.hold_out is not None and self.exclude:
            raise ValueError("exclude goes with labels and folds; with hold_out, name these places under test")
        return self


class Windows(_Strict):
    """One way to draw windows; several are mixed by their `share`.

    `anywhere`: at random; `genes`: around the genes of `file` (GTF), at their `tss` or `body`; `peaks`: around the
    peaks of `file` (BED, narrowPeak).
    """

    draw: Literal["anywhere", "genes", "peaks"] = "anywhere"
    share: float = pydantic.Field(default=1.0, gt=0)
    file: str | list[str] | None = None
    at: Literal["tss", "body"] = "body"
    # By default half a window.
    jitter: int | None = pydantic.Field(default=None, ge=0)
    max_unknown: float = pydantic.Field(default=0.5, ge=0, le=1)

    @pydantic.model_validator(mode="after")
    def _needs(self):
        if (self.draw == "anywhere") != (self.file is None):
            raise ValueError("genes and peaks need `file`, anywhere has none")
        return self


class StreamSettings(_Strict):
    """A genome with what was measured on it. `share` of the examples come from it.

    `assembly`: by default what the stores say.
    """

    organism: str
    genome: str | list[str]
    assembly: str | None = None
    stores: list[str]
    split: Split
    windows: list[Windows] = [Windows()]
    share: float = pydantic.Field(default=1.0, gt=0)
    blacklist: str | None = None
    # Annotated splice sites that junction targets have room for.
    sites: str | None = None
    # Most windows that are looked at in each validation.
    valid: int = pydantic.Field(default=64, ge=1)


class AugmentSettings(_Strict):
    """See `ag_data.augment.Augment`."""

    shift: int = pydantic.Field(default=1024, ge=0)
    reverse: float = pydantic.Field(default=0.5, ge=0, le=1)


class Feed(_Strict):
    """Batches of one length. A run may have several feeds, which take turns by their `share` of steps."""

    length: int | None = None
    batch: int = pydantic.Field(default=8, ge=1)
    modalities: list[str] | None = None
    streams: dict[str, StreamSettings] = pydantic.Field(min_length=1)
    augment: AugmentSettings = AugmentSettings()
    share: float = pydantic.Field(default=1.0, gt=0)


class HeadSettings(_Strict):
    """How a head is made: its plugin (default: named as the modality), options, and its weight in the loss."""

    plugin: str | None = None
    options: dict[str, Any] = {}
    weight: float | None = pydantic.Field(default=None, ge=0)
    # Rows of splice sites in targets of junctions.
    sites: int | None = pydantic.Field(default=None, ge=1)


class ModelSettings(_Strict):
    """The network: a preset or sizes, or a checkpoint to go on from (`start`)."""

    backbone: str | dict[str, int] = "mini"
    window: int = 16_384
    organisms: list[str] = ["human"]
    licence: str = "unknown"
    notes: str = ""
    heads: dict[str, HeadSettings] = pydantic.Field(min_length=1)
    # A named model or a folder whose backbone is taken over.
    start: str | None = None

    @property
    def config(self) -> BackboneConfig:
        """Sizes of the backbone."""
        organisms = len(self.organisms)
        if isinstance(self.backbone, str):
            return BackboneConfig(**{**PRESETS[self.backbone].to_dict(), "organisms": organisms})
        return BackboneConfig(**{**PRESETS["mini"].to_dict(), **self.backbone, "organisms": organisms})

    @pydantic.model_validator(mode="after")
    def _check(self):
        if isinstance(self.backbone, str) and self.backbone not in PRESETS:
            raise ValueError(f"no backbone {self.backbone!r}; there are {', '.join(PRESETS)}, or give its sizes")
        try:
            _ = self.config
            check_length(self.window)
        except TypeError as error:
            raise ValueError(str(error)) from error
        return self


class OptimiserSettings(_Strict):
    """AdamW with warm-up, `hold` steps at the peak, then half a cosine down to `final` of it.

    `groups` scales the learning rate of arrays whose name (as in the checkpoint) starts with a key; 0 freezes them.
    """

    learning_rate: float = pydantic.Field(default=1e-3, gt=0)
    steps: int = pydantic.Field(default=1000, ge=1)
    warmup: int = pydantic.Field(default=100, ge=0)
    hold: int = pydantic.Field(default=0, ge=0)
    final: float = pydantic.Field(default=0.0, ge=0, le=1)
    weight_decay: float = pydantic.Field(default=0.01, ge=0)
    beta1: float = pydantic.Field(default=0.9, ge=0, lt=1)
    beta2: float = pydantic.Field(default=0.999, ge=0, lt=1)
    clip: float | None = pydantic.Field(default=1.0, gt=0)
    groups: dict[str, float] = {}


class MutationSettings(_Strict):
    """See `ag_data.mutate.Mutations`."""

    share: float = pydantic.Field(default=0.04, ge=0, le=1)
    events: float = pydantic.Field(default=1.0, ge=0)
    longest: int = pydantic.Field(default=20, ge=1)


class DistilSettings(_Strict):
    """Learning from other models instead of measurements; validation is on what was measured, where stores are given.

    `each`: "cycle" asks one teacher a step, in turns; "mean" asks all and takes the mean.
    """

    teachers: list[str] = pydantic.Field(min_length=1)
    each: Literal["cycle", "mean"] = "cycle"
    mutations: MutationSettings | None = MutationSettings()


class AdapterSettings(_Strict):
    """Additions to a frozen network (`ag_heads.adapters`): with one, only these and the heads are trained.

    They are merged when the model is saved, so Houlsby's, which cannot be, are for Python alone.
    """

    kind: Literal["lora", "locon", "ia3"]
    rank: int = pydantic.Field(default=8, ge=1)
    scale: float = 1.0
    # Regular expression for names of layers; by default the usual ones of the kind.
    places: str | None = None


class NumericsSettings(_Strict):
    """How a step is computed."""

    precision: Literal["float32", "bfloat16"] = "float32"
    accumulate: int = pydantic.Field(default=1, ge=1)
    remat: bool = False
    dropout: float = pydantic.Field(default=0.0, ge=0, lt=1)
    # Decay of the average of weights, which is what is saved; null keeps none.
    average: float | None = pydantic.Field(default=0.999, ge=0, lt=1)
    # Devices along the axes of the mesh; one device without a mesh if both are 1.
    data: int = pydantic.Field(default=1, ge=1)
    seq: int = pydantic.Field(default=1, ge=1)


class RunSettings(_Strict):
    """Logs, validation and checkpoints."""

    log_every: int = pydantic.Field(default=20, ge=1)
    validate_every: int = pydantic.Field(default=500, ge=1)
    checkpoint_every: int = pydantic.Field(default=500, ge=1)
    keep: int = pydantic.Field(default=2, ge=1)
    threads: int = pydantic.Field(default=2, ge=1)
    # Seconds without a step after which a run ends itself; null for never.
    watchdog: float | None = pydantic.Field(default=None, gt=0)
    wandb: str | None = None
    tensorboard: bool = False


class Settings(_Strict):
    """A training run; see the module."""

    name: str
    seed: int = pydantic.Field(default=0, ge=0)
    model: ModelSettings
    data: dict[str, Feed] = pydantic.Field(min_length=1)
    optimiser: OptimiserSettings = OptimiserSettings()
    numerics: NumericsSettings = NumericsSettings()
    run: RunSettings = RunSettings()
    distil: DistilSettings | None = None
    adapter: AdapterSettings | None = None
    # Where relative paths start.
    folder: pathlib.Path = pydantic.Field(default=pathlib.Path(), exclude=True)

    def locate(self, path: str) -> pathlib.Path:
        """The file that a path of the settings means."""
        found = os.path.expandvars(os.path.expanduser(path))
        if "$" in found:
            raise InputError(f"{path}: the environment has no such variable; set it, or write the path out")
        return self.folder / found

    def named(self, name: str) -> str:
        """A named model as it is, the folder of a checkpoint located."""
        return str(self.locate(name)) if "/" in name or "$" in name or (self.folder / name).is_dir() else name

    def locate_all(self, paths: str | Sequence[str]) -> list[pathlib.Path]:
        """As `locate`, of one path or several."""
        return [self.locate(path) for path in ([paths] if isinstance(paths, str) else paths)]

    @pydantic.model_validator(mode="after")
    def _fits(self):
        seq = self.numerics.seq
        for name, feed in self.data.items():
            length = feed.length or self.model.window
            check_length(length)
            if length % (2048 * seq):
                raise ValueError(f"data.{name}: {length:,} bp cannot be split over seq={seq} devices in bins of 2,048")
            parts = self.numerics.data * self.numerics.accumulate
            if feed.batch % parts:
                raise ValueError(
                    f"data.{name}: a batch of {feed.batch} cannot be split over data={self.numerics.data} devices and "
                    f"accumulate={self.numerics.accumulate} parts; choose a multiple of {parts}"
                )
            for stream, own in feed.streams.items():
                if own.organism not in self.model.organisms:
                    raise ValueError(
                        f"data.{name}.streams.{stream}: the model knows {', '.join(self.model.organisms)}, not "
                        f"{own.organism!r}"
                    )
            if unknown := set(feed.modalities or ()) - set(self.model.heads):
                raise ValueError(f"data.{name}: the model has no head {', '.join(sorted(unknown))}")
        return self
