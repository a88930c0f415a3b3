"""Laws that every variant scorer keeps; `check_scorer` tries all of them."""

import pathlib
import pickle
import tempfile
from collections.abc import Sequence

import jax
import numpy as np
from ag_core.interfaces import AbstractScorer
from ag_core.schema import check_tracks, is_padding

from ag_scorers.kit.mirror_law import mirror_image
from ag_scorers.kit.row_laws import ROW_LAWS
from ag_scorers.kit.scorer_subject import Bench, ScorerSubject, run_batch
from ag_scorers.kit.verdicts import (
    Broken,
    Law,
    NotApplicable,
    Verdict,
    judge,
    require,
    require_close,
    require_tables,
)
from ag_scorers.recommended import parse_scorer

# Shapes of masks that the kit's variants may need: one for few items, one for more, and one for good measure.
SHAPES = 3
# Largest score of equal alleles: compilers may sum the two in different orders.
ROUNDING = 1e-5


def names_itself(subject: ScorerSubject) -> str:
    """`name` is a text, the same each time, and what the command line makes of `text` has it too."""
    name = subject.scorer.name
    require(isinstance(name, str) and bool(name.strip()), f"name is {name!r}, expected a text")
    if subject.text is None:
        return f"{name}; made in Python, so no text to read back"
    again = [scorer.name for scorer in parse_scorer(subject.text, subject.scorer.modalities)]
    require(name in again, f"{subject.text!r} is read as {', '.join(again)}, not as {name}")
    return name


def pickles(subject: ScorerSubject) -> str | None:
    """A copy through pickle has the same name and scores the same; its item tables travel too."""
    probe = subject.probes[0]
    copy = pickle.loads(pickle.dumps(subject.scorer))
    require(copy.name == subject.scorer.name, f"the copy is called {copy.name}")
    other = ScorerSubject(copy, subject.bench)
    pickle.dumps(subject.score(probe))
    require_close(other.score(probe)[0], subject.score(probe)[0], "a pickled copy", rtol=0, atol=0)


def repeats_itself(subject: ScorerSubject) -> str | None:
    """The same variants in another order give the same items and scores: nothing is kept from call to call."""
    first = [subject.score(probe) for probe in subject.probes]
    for _ in range(2):
        for probe, (values, table) in reversed(list(zip(subject.probes, first, strict=True))):
            again, other = subject.score(probe, probe.ref, probe.alt)
            require_tables(other, table, f"{probe.name}, once more")
            require_close(again, values, f"{probe.name}, once more", rtol=1e-6, atol=0)


def fits_the_schema(subject: ScorerSubject) -> str:
    """Scores are floats [item, track], the item table has a row for each, the track table one for each track."""
    tracks = check_tracks(subject.tracks)
    require(not is_padding(tracks).any(), "the track table has padding")
    total = 0
    for probe in subject.probes:
        values, table = subject.score(probe)
        require(values.ndim == 2 and values.dtype.kind == "f", f"{probe.name}: {values.dtype} {values.shape}")
        width = tracks.sizes["track"]
        require(values.shape[1] == width, f"{probe.name}: scores of {values.shape[1]} tracks, the table has {width}")
        for name, column in table.items():
            require(len(column) == len(values), f"{probe.name}: {len(values)} items, but {len(column)} of {name}")
        strands = set(table.get("gene_strand", ()))
        require(strands <= {"+", "-"}, f"{probe.name}: gene_strand is one of {sorted(map(str, strands))}")
        rows = list(zip(*table.values(), strict=True)) if table else [()] * len(values)
        require(len(set(rows)) == len(rows), f"{probe.name}: two items have the same coordinates")
        total += len(values)
    require(total > 0, "no probe has an item")
    return f"{total} items of {len(subject.probes)} variants, {tracks.sizes['track']} tracks"


def scores_are_finite(subject: ScorerSubject) -> str | None:
    """No infinity; NaN only where a track is on the strand opposite to the item's gene."""
    for probe in subject.probes:
        values, table = subject.score(probe)
        require(not np.isinf(values).any(), f"{probe.name}: infinite")
        wrong = np.isnan(values) & ~subject.other_strand(table)
        require(not wrong.any(), f"{probe.name}: NaN for a track that is not on the other strand of the gene")


def equal_alleles(subject: ScorerSubject) -> str | None:
    """REF=ALT gives 0 (but for rounding), or for a level the level: what `alleles` says of either."""
    levels = 0
    for probe in subject.probes:
        if probe.variant.size_change:
            continue  # equal predictions, but moved ones
        values = subject.score(probe, probe.ref, probe.ref)[0]
        if np.nanmax(np.abs(values), initial=0) > ROUNDING:
            if not subject.is_level(probe):
                raise Broken(
                    f"{probe.name}: {np.nanmax(np.abs(values)):.6g} for equal alleles, expected 0 (or, of an unsigned "
                    "level, what `alleles` says)"
                )
            levels += 1
    return "a level" if levels else None


def sign_is_declared(subject: ScorerSubject) -> str | None:
    """Swapped alleles give -s if `signed`, and do not if not."""
    turned = []
    for probe in subject.snvs:
        values, swapped = subject.score(probe)[0], subject.score(probe, probe.alt, probe.ref)[0]
        if subject.scorer.signed:
            require_close(swapped, -values, f"{probe.name}, alleles swapped")
        elif values.shape == swapped.shape and np.nanmax(np.abs(values), initial=0) > 1e-4:
            turned.append(np.allclose(swapped, -values, rtol=1e-4, atol=1e-6, equal_nan=True))
    require(not turned or not all(turned), "swapped alleles give -s, but `signed` says that there is no sign")


def more_is_positive(subject: ScorerSubject) -> str | None:
    """A signed score is ALT against REF: nowhere negative where ALT is larger everywhere."""
    if not subject.scorer.signed:
        raise NotApplicable("unsigned")
    for probe in subject.snvs:
        more = jax.tree.map(lambda x: x * 1.5 + 0.1 if x.dtype.kind == "f" else x, dict(probe.ref))
        values = subject.score(probe, probe.ref, more)[0]
        low = np.nanmin(values, initial=0)
        require(low >= -1e-5, f"{probe.name}: {low:.6g} where ALT is larger than REF everywhere")


def sees_changes(subject: ScorerSubject) -> str | None:
    """Some variant scores something else than equal alleles do."""
    for probe in subject.probes:
        values, equal = subject.score(probe)[0], subject.score(probe, probe.ref, probe.ref)[0]
        if values.shape != equal.shape:
            return
        with np.errstate(invalid="ignore"):
            change = values - equal
        if np.nanmax(np.abs(change), initial=0) > 0:
            return
    raise Broken("all variants score what equal alleles do")


def alleles_match(subject: ScorerSubject) -> str | None:
    """What `alleles` says has the shape of the scores, and swaps when the alleles do; a level lies between them."""
    for probe in subject.snvs:
        pair = subject.alleles(probe, probe.ref, probe.alt)
        if pair is None:
            raise NotApplicable("it says nothing of single alleles")
        swapped, values = subject.alleles(probe, probe.alt, probe.ref), subject.score(probe)[0]
        assert swapped is not None
        for one, other in zip(pair, reversed(swapped), strict=True):
            require(one.shape == values.shape, f"{probe.name}: alleles of shape {one.shape}, scores {values.shape}")
            require_close(other, one, f"{probe.name}, alleles swapped")
        if subject.is_level(probe) and np.nanmax(np.abs(values), initial=0) > 0:
            low, high = np.minimum(*pair), np.maximum(*pair)
            slack = 1e-5 * np.abs(high) + 1e-6
            inside = np.isnan(values) | ((values >= low - slack) & (values <= high + slack))
            require(inside.all(), f"{probe.name}: a level outside of what it says of the alleles")


def batches_do_not_matter(subject: ScorerSubject) -> str | None:
    """Several variants at once score as each alone, to rounding."""
    groups: dict[object, list[int]] = {}
    items = [subject.items(probe) for probe in subject.probes]
    for number, each in enumerate(items):
        groups.setdefault(str(jax.tree.map(np.shape, each.masks)), []).append(number)
    for numbers in groups.values():
        chosen = [subject.probes[number] for number in numbers]

        def stack(trees: Sequence[object]) -> object:
            return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)

        ref, alt = (stack([subject.pick(getattr(one, side)) for one in chosen]) for side in ("ref", "alt"))
        masks = stack([items[number].masks for number in numbers])
        together = run_batch(subject.scorer, subject.heads, ref, alt, subject.slots, masks)  # pyright: ignore
        together = jax.tree.map(np.asarray, together)
        for place, probe in enumerate(chosen):
            raw = jax.tree.map(lambda x, place=place: x[place], together)
            values = subject.finish(raw, items[numbers[place]])[0]
            require_close(values, subject.score(probe)[0], f"{probe.name}, with {len(chosen) - 1} others")


def few_shapes_of_masks(subject: ScorerSubject) -> str:
    """Masks have few shapes, wherever in the window a variant lies: else each compiles a program of its own."""
    shapes = set()
    for probe in subject.probes:
        leaves = jax.tree.leaves(subject.items(probe).masks)
        shapes.add(str([(np.shape(leaf), str(np.asarray(leaf).dtype)) for leaf in leaves]))
    require(
        len(shapes) <= SHAPES, f"{len(shapes)} shapes for {len(subject.probes)} variants: {'; '.join(sorted(shapes))}"
    )
    return f"{len(shapes)} for {len(subject.probes)} variants"


def padding_is_ignored(subject: ScorerSubject) -> str | None:
    """What is predicted in padding slots changes no score."""
    for probe in subject.snvs:
        changed = []
        for size, side in ((1e3, probe.ref), (5e2, probe.alt)):
            new = {}
            for modality, found in subject.pick(side).items():
                padding = is_padding(subject.bench.world.checkpoint.spec.tracks(modality))

                def fill(x: np.ndarray, padding: np.ndarray = padding, size: float = size) -> np.ndarray:
                    if x.dtype.kind != "f" or x.shape[-1] % len(padding):
                        return x
                    x = x.reshape(*x.shape[:-1], -1, len(padding)).copy()
                    x[..., padding] = size
                    return x.reshape(*x.shape[:-2], -1)

                new[modality] = jax.tree.map(fill, found)
            changed.append(new)
        require_close(subject.score(probe, *changed)[0], subject.score(probe)[0], f"{probe.name}, padding changed")


LAWS: tuple[Law[ScorerSubject], ...] = (
    names_itself,
    fits_the_schema,
    scores_are_finite,
    equal_alleles,
    sign_is_declared,
    more_is_positive,
    sees_changes,
    alleles_match,
    mirror_image,
    padding_is_ignored,
    batches_do_not_matter,
    few_shapes_of_masks,
    repeats_itself,
    pickles,
    *ROW_LAWS,
)


def check_scorer(scorer: AbstractScorer, bench: Bench | None = None, *, text: str | None = None) -> list[Verdict]:
    """The verdicts of all laws on a scorer, on the kit's tiny model; `bench` can serve several scorers.

    Raises InputError when it needs a resource or a modality that the kit does not have.
    """
    if bench is not None:
        return judge(LAWS, ScorerSubject(scorer, bench, text))
    with tempfile.TemporaryDirectory() as folder:
        made = Bench(pathlib.Path(folder), tuple(scorer.modalities))
        return judge(LAWS, ScorerSubject(scorer, made, text))
