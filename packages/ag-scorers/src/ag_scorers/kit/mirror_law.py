"""The law of the mirror image: what a scorer says of one strand it says of the other."""

import jax
import jax.numpy as jnp
import numpy as np
from ag_core.interfaces import Predictions
from ag_core.schema import strand_partners
from jaxtyping import Float

from ag_scorers.kit.scorer_subject import Alleles, ScorerSubject
from ag_scorers.kit.verdicts import Broken, NotApplicable, require


def mirror_image(subject: ScorerSubject) -> str | None:
    """The reverse complement of everything (genome, genes, predictions) has the same scores, strands swapped.

    A window of an even number of rows has no middle, so that its mirror image reads one row more at one end and one
    less at the other: then both are shown predictions that are 0 outside of what both read.
    """
    remark = None
    for probe in subject.snvs:
        here, there = subject.items(probe), subject.items(probe, subject.bench.world.mirror)
        ref, alt = (subject.pick(side) for side in (probe.ref, probe.alt))
        try:
            own, other = subject.spans(here), subject.spans(there)[::-1]
        except NotApplicable:
            own = other = np.ones(subject.rows, bool)
        if not np.array_equal(own, other):
            near = [np.convolve(rows, [1, 1, 1], "same") > 0 for rows in (own, other)]
            apart = (own & ~near[1]) | (other & ~near[0])
            require(not apart.any(), f"{probe.name}: the mirror image reads other rows than this")
            remark = "its windows have no middle: compared where both strands read"
            both = own & other

            def hide(x: np.ndarray, resolution: int, both: np.ndarray = both) -> np.ndarray:
                shown = both if len(x) == len(both) else np.zeros(len(x), bool)
                return np.where(shown.reshape(-1, *(1,) * (x.ndim - 1)), x, np.zeros((), x.dtype))

            ref, alt = subject.change_rows(ref, hide), subject.change_rows(alt, hide)
        turned = [_turn(subject, side) for side in (ref, alt)]
        values = subject.finish(subject.raw(ref, alt, here.masks), here)[0]
        mirrored = subject.finish(subject.raw(turned[0], turned[1], there.masks), there)[0]
        require_mirrored(subject, mirrored, values, f"{probe.name}, reverse complement")
    return remark


def _turn(subject: ScorerSubject, side: Alleles) -> dict[str, Predictions]:
    """Predictions as the mirror image has them."""
    width, turned = subject.probes[0].interval.width, {}
    for name, predictions in side.items():
        head, given = subject.heads[name], jax.tree.map(jnp.asarray, dict(predictions))
        turned[name] = jax.tree.map(np.asarray, head.reverse_complement(given, jnp.array(0), width))
    return turned


def _partners(subject: ScorerSubject) -> np.ndarray:
    """Where each track's scores are in the mirror image: with its partner, if the head swaps strands."""
    probe, modality = subject.probes[0], subject.scorer.modality
    head, tracks = subject.heads.get(modality), subject.tracks
    partners, same = strand_partners(tracks), np.arange(tracks.sizes["track"])
    if head is None or np.array_equal(partners, same):
        return same
    predictions = jax.tree.map(jnp.asarray, probe.ref[modality])
    turned = head.output(head.reverse_complement(predictions, jnp.array(0), probe.interval.width))
    slots = subject.slots[modality]
    shown, plain = (np.asarray(x)[..., slots] for x in (turned, head.output(predictions)))
    return partners if np.allclose(shown, plain[::-1][..., partners], rtol=1e-4, equal_nan=True) else same


def require_mirrored(
    subject: ScorerSubject,
    got: Float[np.ndarray, "item track"],
    want: Float[np.ndarray, "item track"],
    where: str,
) -> None:
    """Raises Broken unless `got`, of the mirror image, has the scores `want`; its items come in another order."""
    left = list(got[:, _partners(subject)])
    require(len(left) == len(want), f"{where}: {len(left)} items, expected {len(want)}")
    for number, row in enumerate(want):
        close = [np.allclose(one, row, rtol=5e-4, atol=1e-5, equal_nan=True) for one in left]
        if not any(close):
            raise Broken(f"{where}: no item of the mirror image scores {np.round(row, 5).tolist()}, as item {number}")
        left.pop(close.index(True))
