"""Controls of a variant: changes of the same kind and length that were not selected. After the paper's TAL1 analysis.

An insertion is compared with the same bases in another order at its place, a deletion with deletions of the same length
around it, an SNV with SNVs around it, anything else with its ALT in another order.
"""

import itertools
from collections.abc import Callable

import numpy as np
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_data.personal import trim

# Draws for each control that is wanted, until there seem to be no more.
_TRIES = 50
BASES = "ACGT"


def matched_controls(
    variant: Variant, fetch: Callable[[Interval], str], count: int = 50, distance: int = 500, seed: int = 0
) -> list[Variant]:
    """Up to `count` different controls, none of them the variant; the same for the same seed.

    `fetch` gives the bases of the genome (0-based half-open), `distance` is how far off SNVs and deletions may lie
    in bp. Raises InputError where there is none (an insertion of one base, say, has no other order).
    """
    small = trim(variant)
    random = np.random.default_rng([seed, small.start, len(small.reference_bases), len(small.alternate_bases)])
    ref, alt = small.reference_bases, small.alternate_bases
    start = max(0, small.start - distance)
    around = Interval(small.chromosome, start, small.end + distance)
    if len(ref) == len(alt) == 1:
        drawn = _substitutions(around, fetch(around), random)
    elif ref and not alt:
        drawn = _deletions(around, fetch(around), len(ref), random)
    else:
        drawn = _reordered(variant, alt, random)
    found: dict[str, Variant] = {}
    for control in itertools.islice(drawn, _TRIES * count):
        if trim(control) != small:
            found.setdefault(str(trim(control)), control)
        if len(found) == count:
            break
    if not found:
        raise InputError(
            f"{variant} has no controls: its bases have no other order; compare it with SNVs around it instead"
        )
    return list(found.values())


def _substitutions(around: Interval, bases: str, random: np.random.Generator):
    while True:
        at = int(random.integers(len(bases)))
        if (base := bases[at]) in BASES:
            other = str(random.choice([one for one in BASES if one != base]))
            yield Variant(around.chromosome, around.start + at + 1, base, other)


def _deletions(around: Interval, bases: str, size: int, random: np.random.Generator):
    # The base before the deleted ones is its anchor.
    last = len(bases) - size - 1
    while last > 0:
        at = int(random.integers(last + 1))
        ref = bases[at : at + size + 1]
        if "N" not in ref:
            yield Variant(around.chromosome, around.start + at + 1, ref, ref[0])


def _reordered(variant: Variant, bases: str, random: np.random.Generator):
    if len(set(bases)) < 2:
        return
    at = variant.alternate_bases.index(bases)  # what is left of trimming keeps its place
    before, after = variant.alternate_bases[:at], variant.alternate_bases[at + len(bases) :]
    while True:
        other = "".join(random.permutation(list(bases)))
        yield Variant(variant.chromosome, variant.position, variant.reference_bases, before + other + after)
