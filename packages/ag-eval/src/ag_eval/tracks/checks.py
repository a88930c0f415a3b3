"""Does a store fit an evaluation and a model, and in what does a run differ from the published one?"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from ag_core.checkpoint import Checkpoint
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_data import TrackStore
from ag_data.assemblies import recognise, same_name

from ag_eval.predict import check_modality
from ag_eval.tracks.settings import TrackSettings
from ag_eval.tracks.windows import Matched


def check_store(own: TrackSettings, store: TrackStore) -> None:
    """Raises InputError for a store of another organism, or on an assembly that the evaluation does not take."""
    if store.organism != own.data.organism:
        raise InputError(f"{store.path} is of {store.organism}, {own.name} asks for {own.data.organism}")
    built = [store.build] if store.build else recognise(store.chromosomes)[:1]
    if built and not any(_same(built[0], name) for name in own.data.assemblies):
        raise InputError(
            f"{store.path} was made on {built[0]}; {own.name} takes {' or '.join(own.data.assemblies)}: give a store "
            "on one of these, or a file of yours that says `assemblies`"
        )


def _same(build: str, assembly: str) -> bool:
    # Some say both names: hg19 (GRCh37).
    return same_name(build) == same_name(assembly) or any(name in build for name in (assembly, same_name(assembly)))


def choose_modalities(own: TrackSettings, model: Checkpoint, store: TrackStore) -> tuple[list[str], list[str]]:
    """Those of the evaluation's modalities that model and store have, and what is lacking, in words.

    Raises InputError when there is none, or the model does not know the organism.
    """
    if own.data.organism not in model.spec.organisms:
        raise InputError(
            f"model {model.spec.name!r} knows {', '.join(model.spec.organisms)}, {own.name} asks for "
            f"{own.data.organism}; use another model"
        )
    chosen, without = [], []
    for modality in own.data.tracks:
        if own.data.head(modality) not in model.spec.heads:
            without.append(f"the model has no {own.data.head(modality)}")
        elif modality not in store.modalities:
            without.append(f"the store has no {modality}")
        else:
            chosen.append(modality)
    if not chosen:
        for modality in own.data.tracks:
            if modality in store.modalities or modality == own.data.tracks[-1]:
                check_modality(model, own.data.head(modality))
        raise InputError(
            f"{store.path} has {', '.join(store.modalities) or 'nothing'}, {own.name} asks for "
            f"{' or '.join(own.data.tracks)}: {own.data.obtain}"
        )
    return chosen, without


def departures(
    own: TrackSettings, store: TrackStore, matched: Sequence[Matched], length: int, without: Sequence[str]
) -> list[str]:
    """In what this run differs from the published evaluation, in words."""
    found = list(without)
    first = own.data.assemblies[0]
    if not _same(store.build, first):
        found.append(f"on {store.build or 'an assembly without a name'}, not on {first}")
    if own.length is not None and own.length != length:
        found.append(f"windows of {length:,} bp, not of {own.length:,}")
    for each in matched:
        if each.layout == "signal" and each.resolution != own.resolution:
            found.append(f"{each.modality} in bins of {each.resolution} bp, not of {own.resolution}")
        if each.only_model:
            found.append(f"{len(each.only_model)} {each.modality} tracks of the model are not in the store")
    return found


def describe_matches(matched: Sequence[Matched]) -> dict[str, Any]:
    """Attributes: how many tracks are compared, and the first of those that only one side has."""
    found: dict[str, Any] = {"tracks": sum(each.tracks.sizes["track"] for each in matched)}
    for side in ("only_model", "only_store"):
        names = [name for each in matched for name in getattr(each, side)]
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        found[f"tracks_{side}"] = shown
    return found


def describe_held_out(data: Mapping[str, Any], split: str | None) -> str:
    """What the data say is held out, by names of files without their folders."""
    said = []
    if data.get("windows") is not None:
        said.append(f"{pathlib.Path(data['windows']).name} {split or ''}".strip())
    elif region := data.get("region"):
        said.append(str(region) if isinstance(region, str | Interval) else ", ".join(map(str, region)))
    if data.get("peaks") is not None:
        said.append(pathlib.Path(data["peaks"]).name)
    return "; ".join(said)
