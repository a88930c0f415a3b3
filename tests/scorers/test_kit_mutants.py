"""The kit's laws on our own scorers, and on mutants of these: what is broken on purpose must be found."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ag_core.interfaces import AbstractScorer, Items
from ag_scorers.center_mask import CenterMaskScorer, Window
from ag_scorers.composite import CompositeSplicingScorer
from ag_scorers.contact_map import ContactMapScorer
from ag_scorers.gene_mask import GeneMaskActiveScorer, GeneMaskLFCScorer, GeneMasks
from ag_scorers.junctions import SpliceJunctionScorer
from ag_scorers.kit import check_engine, check_scorer, failures
from ag_scorers.kit.scorer_laws import equal_alleles
from ag_scorers.kit.scorer_subject import Bench, ScorerSubject
from ag_scorers.kit.verdicts import judge
from ag_scorers.polyadenylation import PolyadenylationScorer
from ag_scorers.splicing import GeneMaskSplicingScorer

MODALITIES = ("cage", "chip_tf", "rna_seq", "contact_maps", "splice_sites", "splice_site_usage", "splice_junctions")
# Text of every kind of scorer, at 1 and 128 bp, with every way of summing up.
TEXTS = (
    *(f"center_mask:modality=chip_tf,width=501,aggregation={name}" for name in ("diff_mean", "diff_sum_log2")),
    *(f"center_mask:modality=chip_tf,width=2001,aggregation={name}" for name in ("l2_diff_log1p", "active_mean")),
    *(f"center_mask:modality=cage,width=501,aggregation={name}" for name in ("diff_sum", "diff_log2_sum")),
    *(f"center_mask:modality=cage,width=none,aggregation={name}" for name in ("l2_diff", "active_sum")),
    "gene_mask_lfc:modality=rna_seq",
    "gene_mask_active:modality=rna_seq",
    "gene_mask_splicing:modality=splice_sites",
    "gene_mask_splicing:modality=splice_site_usage,width=101",
    "splice_junction",
    "composite_splicing",
    "polyadenylation",
    "contact_map",
    "max_abs_diff:modality=chip_tf",
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("kit"), MODALITIES)


def made(text):
    from ag_scorers.recommended import parse_scorer

    (scorer,) = parse_scorer(text)
    return scorer


QUICK = (TEXTS[0], "gene_mask_lfc:modality=rna_seq")


@pytest.mark.parametrize("text", [pytest.param(one, marks=() if one in QUICK else pytest.mark.slow) for one in TEXTS])
def test_our_scorers_keep_the_laws(text, bench):
    verdicts = check_scorer(made(text), bench, text=text)
    assert failures(verdicts) == []
    assert sum(verdict.passed is True for verdict in verdicts) >= 11


@pytest.mark.slow
def test_our_scorers_keep_the_laws_of_the_engine(bench):
    verdicts = check_engine({text: made(text) for text in TEXTS}, bench)
    assert {text: failures(found) for text, found in verdicts.items()} == {text: [] for text in TEXTS}
    assert sum(one.passed is True for found in verdicts.values() for one in found) > 5 * len(TEXTS)


class SignLost(CenterMaskScorer):
    def score(self, ref, alt, masks):
        return jnp.abs(super().score(ref, alt, masks))


class SignDenied(CenterMaskScorer):
    signed = False


class AllelesMixedUp(GeneMaskLFCScorer):
    def score(self, ref, alt, masks):
        return -super().score(ref, alt, masks)


class ReferenceOnly(CenterMaskScorer):
    def score(self, ref, alt, masks):
        return super().score(ref, ref, masks)


class AlternateOnly(GeneMaskActiveScorer):
    def score(self, ref, alt, masks):
        return super().score(ref, alt, masks) + super().score(alt, alt, masks)


class WindowOffByOne(CenterMaskScorer):
    def items(self, interval, variant, resolution, resources):
        items = super().items(interval, variant, resolution, resources)
        most = interval.width // resolution - len(items.masks.valid)
        return items._replace(masks=items.masks._replace(start=np.minimum(items.masks.start + 1, most)))


class ExonsOffByOne(GeneMaskLFCScorer):
    def items(self, interval, variant, resolution, resources):
        items = super().items(interval, variant, resolution, resources)
        return items._replace(masks=items.masks._replace(exons=np.roll(items.masks.exons, 1, axis=0)))


class ReadsMoreThanItsSpans(CenterMaskScorer):
    def score(self, ref, alt, masks):
        return super().score(ref, alt, masks) + 0.01 * (jnp.max(alt) - jnp.max(ref))


class SpansTooNarrow(GeneMaskLFCScorer):
    def spans(self, items):
        return [(start, end - 1) for start, end in super().spans(items)]


class RestrictDropsRows(GeneMaskSplicingScorer):
    def restrict(self, masks, layouts):
        restricted = super().restrict(masks, layouts)
        bodies = np.array(restricted.bodies)
        bodies[: len(bodies) // 2] = False
        return restricted._replace(bodies=bodies)


class RestrictForgotten(CenterMaskScorer):
    def restrict(self, masks, layouts):
        return masks


class NotAligned(GeneMaskLFCScorer):
    def score(self, ref, alt, masks):
        still = masks.alignment._replace(shift=0 * masks.alignment.shift) if hasattr(masks.alignment, "shift") else None
        return super().score(ref, alt, masks if still is None else GeneMasks(masks.exons, still))


class AlignedTheOtherWay(GeneMaskSplicingScorer):
    def score(self, ref, alt, masks):
        moves = masks.alignment
        if not hasattr(moves, "shift"):
            return super().score(ref, alt, masks)
        return super().score(ref, alt, masks._replace(alignment=moves._replace(shift=-moves.shift)))


class StrandIgnored(PolyadenylationScorer):
    def items(self, interval, variant, resolution, resources):
        items = super().items(interval, variant, resolution, resources)
        plus = np.where(items.masks.valid, np.maximum(items.masks.start - 399, 0), items.masks.start)
        minus = np.asarray(items.table["gene_strand"] == "-")
        start = items.masks.start.copy()
        start[: len(minus)] = np.where(minus[:, None], plus[: len(minus)], start[: len(minus)])
        return items._replace(masks=items.masks._replace(start=start))


class WrongStrandBlanked(GeneMaskLFCScorer):
    def finish(self, scores, items, tracks):
        return np.where(tracks["strand"].values[None] == "-", np.float32(np.nan), scores)


class PaddingCounted(CenterMaskScorer):
    def read(self, heads, predictions, tracks):
        return heads[self.modality].output(predictions[self.modality])


class PaddingInTheMean(ContactMapScorer):
    def read(self, heads, predictions, tracks):
        whole = heads[self.modality].output(predictions[self.modality])
        return whole[..., tracks[self.modality]] - whole.mean(axis=-1, keepdims=True)


class KeepsState(CenterMaskScorer):
    calls = itertools.count()

    def items(self, interval, variant, resolution, resources):
        items = super().items(interval, variant, resolution, resources)
        most = interval.width // resolution - len(items.masks.valid)
        return items._replace(masks=items.masks._replace(start=np.asarray(next(self.calls) % most, np.int32)))


class RemembersTheFirstWindow(GeneMaskLFCScorer):
    cache = {}

    def items(self, interval, variant, resolution, resources):
        key = interval.chromosome, variant.reference_bases
        return self.cache.setdefault(key, super().items(interval, variant, resolution, resources))


class NotANumber(CenterMaskScorer):
    def score(self, ref, alt, masks):
        scores = super().score(ref, alt, masks)
        return jnp.where(masks.valid.all(), scores, jnp.nan * scores)


class Infinite(GeneMaskLFCScorer):
    def score(self, ref, alt, masks):
        return super().score(ref, alt, masks) / (masks.exons.sum() > 0).astype(jnp.float32) / 0.0


class TooManyItems(GeneMaskActiveScorer):
    def rows(self, scores, items, tables):
        values, table = super().rows(scores, items, tables)
        return np.concatenate([values, values[:1]]), table


class PaddedGenesKept(GeneMaskActiveScorer):
    def rows(self, scores, items, tables):
        return scores, items.table


class ItemsTwice(GeneMaskSplicingScorer):
    def rows(self, scores, items, tables):
        values, table = super().rows(scores, items, tables)
        return values.repeat(2, axis=0), {name: np.repeat(column, 2) for name, column in table.items()}


class Unpicklable(CenterMaskScorer):
    def __reduce__(self):
        return (lambda: None), ()


class AnyOrder(GeneMaskLFCScorer):
    random = np.random.default_rng(0)

    def rows(self, scores, items, tables):
        values, table = super().rows(scores, items, tables)
        order = self.random.permutation(len(values))
        return values[order], {name: np.asarray(column)[order] for name, column in table.items()}


class MasksOfAnyShape(CenterMaskScorer):
    def items(self, interval, variant, resolution, resources):
        masks = super().items(interval, variant, resolution, resources).masks
        return Items(Window(masks.start, masks.valid[masks.valid]), {})


class DependsOnTheBatch(CenterMaskScorer):
    def score(self, ref, alt, masks):
        import jax.core

        batched = isinstance(ref, jax.core.Tracer) and type(ref).__name__ == "BatchTracer"
        return super().score(ref, alt, masks) * (1.5 if batched else 1.0)


class NameOfAnother(CenterMaskScorer):
    @property
    def name(self):
        return f"Other({self.width})"


class TracksOfAnother(CompositeSplicingScorer):
    def tracks(self, tables):
        return tables["splice_sites"]


class DuplicatedGene(SpliceJunctionScorer):
    def rows(self, scores, items, tables):
        values, table = super().rows(scores, items, tables)
        return values, {**table, "junction_end": table["junction_end"][:-1]}


CENTRE, FINE = {"modality": "chip_tf"}, {"modality": "cage"}
GENES = {"modality": "rna_seq"}
MUTANTS = (
    (SignLost, FINE),
    (SignDenied, FINE),
    (AllelesMixedUp, GENES),
    (ReferenceOnly, CENTRE),
    (AlternateOnly, GENES),
    (WindowOffByOne, FINE),
    (ExonsOffByOne, GENES),
    (ReadsMoreThanItsSpans, FINE),
    (SpansTooNarrow, GENES),
    (RestrictDropsRows, {"modality": "splice_site_usage"}),
    (RestrictForgotten, CENTRE),
    (NotAligned, GENES),
    (AlignedTheOtherWay, {"modality": "splice_sites"}),
    (StrandIgnored, GENES),
    (WrongStrandBlanked, GENES),
    (PaddingCounted, CENTRE),
    (PaddingInTheMean, {"modality": "contact_maps"}),
    (KeepsState, FINE),
    (RemembersTheFirstWindow, GENES),
    (NotANumber, FINE),
    (Infinite, GENES),
    (TooManyItems, GENES),
    (PaddedGenesKept, GENES),
    (ItemsTwice, {"modality": "splice_sites"}),
    (Unpicklable, CENTRE),
    (AnyOrder, GENES),
    (MasksOfAnyShape, FINE),
    (DependsOnTheBatch, CENTRE),
    (TracksOfAnother, {}),
    (DuplicatedGene, {}),
)


@pytest.mark.slow
def test_mutants_are_killed(bench, capsys):
    rows, alive = [], []
    for kind, options in MUTANTS:
        scorer: AbstractScorer = kind(**options)
        verdicts = check_scorer(scorer, bench)
        killers = [verdict.name for verdict in verdicts if verdict.passed is False]
        # A mutant is a class of this module, so that it pickles like its original: only the mutation may kill it.
        rows.append(f"{kind.__name__:24} {kind.__mro__[1].__name__:24} {', '.join(killers) or 'ALIVE'}")
        alive += [] if killers else [kind.__name__]
    with capsys.disabled():
        print("\n" + "\n".join(rows))
    assert len(MUTANTS) >= 15
    assert alive == []


@pytest.mark.parametrize(("bias", "kept"), [(1e-4, False), (1e-6, True)])
def test_equal_alleles_score_nothing_but_rounding(bench, bias, kept):
    class Biased(CenterMaskScorer):
        def score(self, ref, alt, masks):
            return super().score(ref, alt, masks) + bias

    (verdict,) = judge([equal_alleles], ScorerSubject(Biased(**CENTRE), bench))
    assert verdict.passed is kept


def test_a_name_must_be_read_back(bench):
    scorer = NameOfAnother(**CENTRE)
    verdicts = {one.name: one for one in check_scorer(scorer, bench, text="center_mask:modality=chip_tf")}
    assert verdicts["names itself"].passed is False
    assert "not as Other(501)" in verdicts["names itself"].detail
    assert jax.device_count() > 1
    assert verdicts["devices do not matter"].passed
