"""Laws about rows: which a scorer reads, where they lie, how an indel moves them, over how many devices they spread."""

from typing import Any

import jax
import numpy as np
from ag_core.config import TOKEN
from ag_core.layout import NOWHERE, Layout, merge
from jaxtyping import Int

from ag_scorers.align import Alignment, unaligned
from ag_scorers.jobs import has_rows
from ag_scorers.kit.scorer_subject import Alleles, ScorerSubject
from ag_scorers.kit.verdicts import Law, NotApplicable, require_close


def reads_its_spans_only(subject: ScorerSubject) -> str:
    """Predictions outside of `spans` may be anything."""
    read = 0
    for probe in subject.probes:
        own = subject.spans(subject.items(probe))
        changed = []
        for seed, side in enumerate((probe.ref, probe.alt)):
            random = np.random.default_rng(seed)

            def disturb(x: np.ndarray, resolution: int, own: np.ndarray = own, random: Any = random) -> np.ndarray:
                bins = own.reshape(len(x), -1).any(axis=1) if len(own) >= len(x) else own.repeat(len(x) // len(own))
                noise = random.uniform(1, 9, x.shape).astype(x.dtype)
                return np.where(bins.reshape(-1, *(1,) * (x.ndim - 1)), x, noise)

            changed.append(subject.change_rows(side, disturb))
        where = f"{probe.name}, rows outside of its spans changed"
        require_close(subject.score(probe, *changed)[0], subject.score(probe)[0], where)
        read = max(read, int(own.sum()))
    return f"at most {read} of {subject.rows} rows"


def part_is_enough(subject: ScorerSubject) -> str | None:
    """With the declared rows alone, in another order, `restrict` gives the same scores."""
    for probe in subject.probes:
        items = subject.items(probe)
        subject.spans(items)
        layouts, sides = {}, ({}, {})
        for modality in subject.scorer.modalities:
            if not has_rows(subject.heads[modality]):
                for side, found in zip(sides, (probe.ref, probe.alt), strict=True):
                    side[modality] = found[modality]
                continue
            tokens = _tokens(subject, modality, subject.scorer.spans(items) or ())
            resolution = subject.resolution(modality)
            layouts[modality] = Layout(probe.interval.width // resolution, _spread(tokens, resolution))
            for side, found in zip(sides, (probe.ref, probe.alt), strict=True):
                side[modality] = _take(subject, modality, found[modality], tokens)
        masks = subject.scorer.restrict(items.masks, layouts)
        values = subject.finish(subject.raw(*sides, masks), items)[0]
        require_close(values, subject.score(probe)[0], f"{probe.name}, from its spans alone", rtol=2e-4)


def _tokens(subject: ScorerSubject, modality: str, spans: Any) -> Int[np.ndarray, " token"]:
    """The tokens of 128 bp that hold the spans: stretches from right to left, with a gap before each."""
    resolution, total = subject.resolution(modality), subject.probes[0].interval.width // TOKEN
    rows = [(max(start, 0) * resolution // TOKEN, -(-end * resolution // TOKEN)) for start, end in spans if end > start]
    parts = [np.array([NOWHERE])]
    for start, end in reversed(merge(rows, total)):
        parts += [np.arange(start, end), np.array([NOWHERE])]
    return np.concatenate(parts)


def _spread(tokens: Int[np.ndarray, " token"], resolution: int) -> Int[np.ndarray, " row"]:
    """The rows of tokens."""
    size = TOKEN // resolution
    rows = tokens[:, None] * size + np.arange(size)
    return np.where(tokens[:, None] == NOWHERE, NOWHERE, rows).ravel()


def _take(subject: ScorerSubject, modality: str, found: Any, tokens: Int[np.ndarray, " token"]) -> dict[str, Any]:
    """Predictions of some tokens; gaps hold what nobody should read."""
    part = dict(found)
    for own, name, resolution in subject.row_leaves(dict(subject.probes[0].ref)):
        if own == modality:
            rows = _spread(tokens, resolution)
            values = np.asarray(found[name])[rows]
            values[rows == NOWHERE] = 77
            part[name] = values
    return part


def moves_with_indels(subject: ScorerSubject) -> str | None:
    """An indel that moves predictions along with the bases, and changes nothing else, scores as equal alleles do.

    For scorers whose masks say that ALT is aligned (`ag_scorers.Alignment`).
    """
    seen = 0
    for probe in subject.probes:
        items = subject.items(probe)
        masks = items.masks
        nodes = jax.tree.leaves(masks, is_leaf=lambda node: isinstance(node, Alignment))
        moves = next((node for node in nodes if isinstance(node, Alignment)), None)
        if moves is None:
            raise NotApplicable("its masks do not align the alleles")
        if not int(moves.shift):
            continue
        ref, alt = _moved(subject, probe.ref, int(moves.anchor), int(moves.shift))
        where = f"{probe.name} that only moves predictions"
        equal = subject.finish(subject.raw(ref, ref, unaligned(masks)), items)[0]
        require_close(subject.score(probe, ref, alt)[0], equal, where)
        seen += 1
    return None if seen else "no probe moved"


def _moved(subject: ScorerSubject, ref: Alleles, anchor: int, shift: int) -> tuple[Any, Any]:
    def before(x: np.ndarray, resolution: int) -> np.ndarray:
        if resolution != 1:
            return x
        x = x.copy()
        if shift > 0:
            x[len(x) - shift :] = 0  # what an insertion pushes out
        else:
            x[anchor + 1 : anchor + 1 - shift] = 0  # what a deletion takes away
        return x

    def after(x: np.ndarray, resolution: int) -> np.ndarray:
        if resolution != 1:
            return x
        if shift > 0:
            inserted = np.repeat(x[anchor : anchor + 1], shift, axis=0)
            return np.concatenate([x[: anchor + 1], inserted, x[anchor + 1 :]])[: len(x)]
        return np.concatenate([x[: anchor + 1], x[anchor + 1 - shift :], x[:-shift]])[: len(x)]

    return subject.change_rows(ref, before), subject.change_rows(ref, after)


def devices_do_not_matter(subject: ScorerSubject) -> str:
    """Predictions spread over several devices, along the sequence, score as on one."""
    devices = jax.devices()
    if len(devices) < 2:
        raise NotApplicable("there is one device")
    mesh = jax.sharding.Mesh(np.array(devices), ("rows",))
    probe = subject.probes[0]
    items = subject.items(probe)

    def spread(x: np.ndarray) -> Any:
        along = "rows" if x.ndim and x.shape[0] % len(devices) == 0 else None
        parts = jax.sharding.PartitionSpec(along) if along else jax.sharding.PartitionSpec()
        return jax.device_put(x, jax.sharding.NamedSharding(mesh, parts))

    ref, alt = (jax.tree.map(spread, subject.pick(side)) for side in (probe.ref, probe.alt))
    values = subject.finish(subject.raw(ref, alt, items.masks), items)[0]
    require_close(values, subject.score(probe)[0], f"{probe.name}, over {len(devices)} devices")
    return f"{len(devices)} devices"


ROW_LAWS: tuple[Law[ScorerSubject], ...] = (
    reads_its_spans_only,
    part_is_enough,
    moves_with_indels,
    devices_do_not_matter,
)
