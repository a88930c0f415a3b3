"""A scorer with all that its laws need: variants, predictions of the tiny model, and ways to score them."""

import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.interfaces import AbstractScorer, Items, Predictions
from jaxtyping import Array, Bool, Float, PyTree

from ag_scorers.jobs import has_rows
from ag_scorers.kit.probes import Probe, make_probes
from ag_scorers.kit.verdicts import NotApplicable
from ag_scorers.kit.world import Land, World, make_world
from ag_scorers.selection import choose_tracks

Alleles = Mapping[str, Predictions]
Scored = tuple[Float[np.ndarray, "item track"], Mapping[str, np.ndarray]]


@eqx.filter_jit
def run_score(
    scorer: AbstractScorer, heads: Any, ref: Alleles, alt: Alleles, slots: Any, masks: PyTree[Array]
) -> PyTree[Array]:
    """What the engine does with one variant and one scorer."""
    return scorer.score(scorer.read(heads, ref, slots), scorer.read(heads, alt, slots), masks)


@eqx.filter_jit
def run_alleles(
    scorer: AbstractScorer, heads: Any, ref: Alleles, alt: Alleles, slots: Any, masks: PyTree[Array]
) -> PyTree[Array] | None:
    """As `run_score`, of what is compared."""
    return scorer.alleles(scorer.read(heads, ref, slots), scorer.read(heads, alt, slots), masks)


@eqx.filter_jit
def run_batch(
    scorer: AbstractScorer, heads: Any, ref: Alleles, alt: Alleles, slots: Any, masks: PyTree[Array]
) -> PyTree[Array]:
    """As `run_score`, of several variants at once (leading axis)."""

    def one(ref: Alleles, alt: Alleles, masks: PyTree[Array]) -> PyTree[Array]:
        return scorer.score(scorer.read(heads, ref, slots), scorer.read(heads, alt, slots), masks)

    return jax.vmap(one)(ref, alt, masks)


class Bench:
    """A world and its probes, for scorers that read some of `modalities`; its files go to `folder`."""

    def __init__(self, folder: pathlib.Path, modalities: tuple[str, ...]):
        self.world: World = make_world(folder, modalities)
        self.probes = make_probes(self.world, modalities)
        self.slots, self.tables = choose_tracks(self.world.checkpoint.spec, 0)


class ScorerSubject:
    """A scorer on a bench. `text` is what a command line would call it, where there is such a text.

    Raises InputError when it needs a resource that the kit has not, or a modality that the bench has not.
    """

    def __init__(self, scorer: AbstractScorer, bench: Bench, text: str | None = None):
        self.scorer, self.bench, self.text = scorer, bench, text
        self.heads = bench.world.model.heads
        known = bench.world.here.resources
        if missing := [name for name in scorer.requires if name not in known]:
            raise InputError(f"{scorer.name} needs the resource {missing[0]!r}; the kit has {', '.join(known)}")
        if missing := [name for name in scorer.modalities if name not in self.heads]:
            raise InputError(f"{scorer.name} reads {missing[0]!r}; the kit's model predicts {', '.join(self.heads)}")
        self.slots = {name: bench.slots[name] for name in scorer.modalities}
        self._known: dict[str, tuple[Items, Scored]] = {}

    @property
    def probes(self) -> list[Probe]:
        """All variants."""
        return self.bench.probes

    @property
    def snvs(self) -> list[Probe]:
        """Those that change one base well inside the window."""
        return [probe for probe in self.probes if probe.name.startswith("SNV") and "at the" not in probe.name]

    def resolution(self, modality: str) -> int:
        """Bp per row of a modality's output."""
        return min(self.heads[modality].resolutions)

    @property
    def rows(self) -> int:
        """Rows of the window that masks are about."""
        return self.probes[0].interval.width // self.resolution(self.scorer.modalities[0])

    def items(self, probe: Probe, land: Land | None = None) -> Items:
        """The items of a probe, or of its mirror image in the mirror land."""
        interval, variant = (probe.interval, probe.variant) if land is None else probe.mirrored
        resources = (land or self.bench.world.here).resources
        return self.scorer.items(interval, variant, self.resolution(self.scorer.modalities[0]), resources)

    def pick(self, predictions: Alleles) -> Alleles:
        """The modalities that the scorer reads."""
        return {name: predictions[name] for name in self.scorer.modalities}

    def raw(self, ref: Alleles, alt: Alleles, masks: PyTree[Any], scorer: AbstractScorer | None = None) -> PyTree[Any]:
        """What `score` returns, padding included."""
        given = self.heads, self.pick(ref), self.pick(alt), self.slots, masks
        return jax.tree.map(np.asarray, run_score(scorer or self.scorer, *given))

    def finish(self, raw: PyTree[Any], items: Items) -> Scored:
        """Final scores and their table."""
        return self.scorer.rows(raw, items, self.bench.tables)

    def score(self, probe: Probe, ref: Alleles | None = None, alt: Alleles | None = None) -> Scored:
        """Final scores of a probe, with other predictions where these are given."""
        if ref is None and alt is None and probe.name in self._known:
            return self._known[probe.name][1]
        items = self.items(probe)
        raw = self.raw(probe.ref if ref is None else ref, probe.alt if alt is None else alt, items.masks)
        scored = self.finish(raw, items)
        if ref is None and alt is None:
            self._known[probe.name] = items, scored
        return scored

    def alleles(self, probe: Probe, ref: Alleles, alt: Alleles) -> list[Float[np.ndarray, "item track"]] | None:
        """What the scorer says of either allele, finished; None where it says nothing."""
        items = self.items(probe)
        found = run_alleles(self.scorer, self.heads, self.pick(ref), self.pick(alt), self.slots, items.masks)
        if found is None:
            return None
        table = self.bench.tables[self.scorer.modality]
        return [self.scorer.finish(np.asarray(one)[: items.count], items, table) for one in found]

    def is_level(self, probe: Probe) -> bool:
        """Whether scores are a level, not a change: of equal alleles the score is what it says of either."""
        if self.scorer.signed:
            return False
        pair, scores = self.alleles(probe, probe.ref, probe.ref), self.score(probe, probe.ref, probe.ref)[0]
        return pair is not None and all(
            one.shape == scores.shape and np.allclose(one, scores, rtol=1e-5, equal_nan=True) for one in pair
        )

    @property
    def tracks(self) -> xr.Dataset:
        """Table of the scored tracks."""
        return self.scorer.tracks(self.bench.tables)

    def other_strand(self, table: Mapping[str, Any]) -> Bool[np.ndarray, "item track"]:
        """Where a track is on the strand opposite to the item's gene."""
        strands = self.tracks["strand"].values[None]
        if "gene_strand" not in table:
            return np.zeros((1, strands.size), bool)
        gene = np.asarray(table["gene_strand"], object)[:, None]
        return (gene != strands) & (strands != ".")

    def spans(self, items: Items) -> Bool[np.ndarray, " row"]:
        """Rows that the scorer says it reads. Raises NotApplicable for one that says nothing."""
        declared = self.scorer.spans(items)
        if declared is None:
            raise NotApplicable("it declares no spans, so everything is computed for it")
        read = np.zeros(self.rows, bool)
        for start, end in declared:
            read[max(start, 0) : max(end, 0)] = True
        return read

    def row_leaves(self, predictions: Alleles) -> Iterator[tuple[str, str, int]]:
        """Modality, name and resolution of the arrays that have rows along the sequence."""
        width = self.probes[0].interval.width
        for modality in self.scorer.modalities:
            head = self.heads[modality]
            if has_rows(head):
                for name, values in predictions[modality].items():
                    for resolution in head.resolutions:
                        if values.shape[0] == width // resolution:
                            yield modality, name, resolution

    def change_rows(
        self, predictions: Alleles, change: Callable[[np.ndarray, int], np.ndarray]
    ) -> dict[str, Predictions]:
        """Predictions with `change(rows, resolution)` in place of every array that has rows."""
        changed: dict[str, Predictions] = {name: dict(found) for name, found in self.pick(predictions).items()}
        for modality, name, resolution in self.row_leaves(predictions):
            changed[modality][name] = change(np.asarray(predictions[modality][name]), resolution)  # pyright: ignore
        return changed
