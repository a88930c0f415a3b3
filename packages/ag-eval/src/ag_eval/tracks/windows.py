"""What was measured in windows beside what a model predicts there: read as for training, batches of one shape."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from ag_core.checkpoint import Checkpoint
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.interfaces import Embeddings
from ag_core.model import Model
from ag_core.sequence import one_hot
from ag_data import Genome, Stream, TrackStore, Uniform, Wanted, select_tracks
from ag_data.batches import Batches
from ag_data.layouts.slots import place_tracks, track_keys
from ag_data.regions import Regions, regions_table
from jaxtyping import Array, Float, Int, UInt8

from ag_eval.held_out import mask_outside
from ag_eval.predict import check_modality, output_resolution
from ag_eval.tracks.settings import LAYOUTS, TrackSettings

# Bases predicted together, as far as windows are shorter.
TOGETHER = 65_536


class Window(NamedTuple):
    """A window with something measured in it.

    - `number`: which of all windows; windows are drawn again as a whole.
    - `target`: as `ag_data.layouts` has it, NaN where nothing was measured or the split does not reach.
    - `guess`: the head's output for the same tracks, summed up to the bins of a signal.
    """

    number: int
    interval: Interval
    codes: UInt8[np.ndarray, " position"]
    target: Mapping[str, np.ndarray]
    guess: Float[np.ndarray, "..."]


@dataclasses.dataclass(frozen=True, eq=False)
class Matched:
    """Tracks of one modality that both model and store have, by name and strand.

    - `tracks`: their table, with all columns of the store's, in the order of the model's.
    - `slots`: their places in the model's table. `resolution`: bins of the comparison, in bp.
    - `only_model`, `only_store`: names of those that the other lacks.
    """

    modality: str
    head: str
    layout: str
    organism: int
    tracks: xr.Dataset
    slots: Int[np.ndarray, " track"]
    resolution: int
    only_model: tuple[str, ...]
    only_store: tuple[str, ...]


def match_tracks(model: Checkpoint, store: TrackStore, own: TrackSettings, modality: str) -> Matched:
    """Raises InputError when the model lacks the head, no track is in both, or bins do not fit together."""
    head = own.data.head(modality)
    check_modality(model, head)
    if store.layout(modality) not in LAYOUTS[own.measure]:
        raise InputError(
            f"{store.path}: {modality} has the layout {store.layout(modality)!r}, {own.name} reads "
            f"{' or '.join(LAYOUTS[own.measure])}; import it as such"
        )
    layout, organism = store.layout(modality), model.spec.organisms.index(own.data.organism)
    table, there = model.spec.heads[head].tracks[organism], store.tracks(modality)
    if missing := [column for column in own.data.columns if column not in there]:
        raise InputError(f"{store.path}: the table of {modality} has no {', '.join(missing)}; import it with these")
    if layout == "classes":  # by their order, not by name
        count = min(4, there.sizes["track"])
        names = there.isel(track=slice(count))
        return Matched(modality, head, layout, organism, names, np.arange(count), 1, (), ())
    part = place_tracks(store, modality, table)
    assert part is not None
    chosen = select_tracks(there.assign_attrs(modality=modality), own.data.select)[part.columns]
    if not chosen.any():
        raise InputError(f"{store.path}: none of its {modality} tracks fits {own.data.select!r}; correct data.select")
    order = np.argsort(part.slots[chosen])
    columns, slots = part.columns[chosen][order], part.slots[chosen][order]
    keys, others = track_keys(table), track_keys(there)
    both = {keys[slot] for slot in part.slots}
    return Matched(
        modality,
        head,
        layout,
        organism,
        there.isel(track=columns).assign_coords(track=np.arange(len(columns))),
        slots,
        _resolution(model, store, own, modality),
        tuple(f"{name} ({strand})" for name, strand in keys if (name, strand) not in both and name != "padding"),
        tuple(f"{name} ({strand})" for name, strand in others if (name, strand) not in both),
    )


def _resolution(model: Checkpoint, store: TrackStore, own: TrackSettings, modality: str) -> int:
    predicted, stored = output_resolution(model, own.data.head(modality)), store.resolution(modality)
    if store.layout(modality) != "signal":
        return predicted
    wanted = max(own.resolution, predicted, stored)
    if wanted % predicted or wanted % stored:
        raise InputError(
            f"{modality} comes in bins of {stored} bp, predictions in {predicted} bp; neither makes up {wanted} bp: "
            "import it at another resolution"
        )
    return wanted


def predict_windows(
    model: Checkpoint,
    matched: Matched,
    genome: Genome,
    store: TrackStore,
    windows: Sequence[Interval],
    inside: Regions | None = None,
) -> Iterator[Window | None]:
    """Each window in order; None for those without anything measured, which are not predicted.

    Raises InputError when the store is of another genome.
    """
    length = windows[0].width
    table = regions_table((each.chromosome, each.start, each.end, "") for each in windows)
    own = matched.tracks if matched.layout != "classes" else None
    wanted = Wanted(None if own is None else [own] * (matched.organism + 1), matched.resolution)
    stream = Stream(genome, store, Uniform(table, margin=0, max_unknown=1.0), matched.organism)
    batches = Batches([stream], length, {matched.modality: wanted})
    size, waiting = min(max(TOGETHER // length, 1), len(windows)), []
    for number, interval in enumerate(windows):
        row = batches.allocate(1)
        batches.fill(row, 0, 0, interval)
        target = {name: array[0] for name, array in row["targets"][matched.modality].items()}
        _blank(target, mask_outside(inside, interval, matched.resolution))
        waiting.append((number, interval, row["codes"][0], target if _measured(target) else None))
        if sum(each[-1] is not None for each in waiting) == size:
            yield from _predicted(model, matched, waiting, size)
            waiting = []
    yield from _predicted(model, matched, waiting, size)


def _blank(target: Mapping[str, np.ndarray], outside: np.ndarray | None) -> None:
    """Makes what is outside the split look as if it was not measured."""
    if outside is None:
        return
    for name, array in target.items():
        if name in ("signal", "usage"):
            array[outside] = np.nan
        elif name == "classes":
            array[outside] = False
        elif name == "contacts":
            array[outside], array[:, outside] = np.nan, np.nan
    if "counts" in target:
        sites, half = target["splice_site_positions"], target["counts"].shape[-1] // 2
        for strand in (0, 1):
            hidden = [(row >= 0) & outside[row] for row in sites[2 * strand : 2 * strand + 2]]
            own = target["counts"][..., strand * half : (strand + 1) * half]
            own[hidden[0]], own[:, hidden[1]] = np.nan, np.nan


def _measured(target: Mapping[str, np.ndarray]) -> bool:
    if "classes" in target:
        return bool(target["classes"].any())
    if "counts" in target:
        return bool(np.nansum(target["counts"]) > 0)
    return not all(np.isnan(array).all() for name, array in target.items() if name != "measured")


def _predicted(model: Checkpoint, matched: Matched, waiting: list[Any], size: int) -> Iterator[Window | None]:
    full = [each for each in waiting if each[-1] is not None]
    guesses: Iterator[np.ndarray] = iter(())
    if full:
        rows = [full[min(place, len(full) - 1)] for place in range(size)]
        given = None
        if "splice_site_positions" in full[0][-1]:
            sites = np.stack([row[-1]["splice_site_positions"] for row in rows])
            given = {matched.head: {"splice_site_positions": jnp.asarray(sites)}}
        codes = np.stack([row[2] for row in rows])
        organism = jnp.full(size, matched.organism, jnp.int32)
        group, slots = 1, matched.slots
        if matched.layout == "signal":
            group = max(matched.resolution // output_resolution(model, matched.head), 1)
        if matched.layout == "junctions":  # tracks on +, then on -
            half = model.spec.heads[matched.head].tracks[matched.organism].sizes["track"]
            slots = np.concatenate([slots, slots + half])
        own = model.model
        reads = frozenset(resolution for name in own.order([matched.head]) for resolution in own.heads[name].reads)
        embeddings = _embed(own, codes, organism, reads)
        guesses = iter(np.asarray(_output(own, embeddings, organism, matched.head, slots, group, given), np.float32))
    for number, interval, codes, target in waiting:
        yield None if target is None else Window(number, interval, codes, target, next(guesses))


# Two programs, so that heads which read the same embeddings share the large one.
@eqx.filter_jit
def _embed(model: Model, codes: np.ndarray, organism: Array, resolutions: frozenset[int]) -> Embeddings:
    return model.backbone(one_hot(codes).astype(model.dtype), organism, resolutions=resolutions)


@eqx.filter_jit
def _output(
    model: Model, embeddings: Embeddings, organism: Array, head: str, slots: np.ndarray, group: int, given: Any
) -> Array:
    predictions = model.predict(embeddings, organism, modalities=[head], given=given)
    output = jax.vmap(model.heads[head].output)(predictions[head])[..., slots].astype(jnp.float32)
    if group == 1:
        return output
    batch, length, tracks = output.shape
    return output.reshape(batch, length // group, group, tracks).sum(axis=2)
