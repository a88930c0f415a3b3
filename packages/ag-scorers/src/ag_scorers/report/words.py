"""Effects in plain words, with their numbers."""

import math
from collections.abc import Mapping, Sequence

from ag_core.genome import Variant

from ag_scorers.report.strongest import Effect

WHAT: Mapping[str, str] = {
    "atac": "accessibility (ATAC)",
    "dnase": "accessibility (DNase)",
    "chip_tf": "binding of transcription factors",
    "chip_histone": "histone marks",
    "cage": "starts of transcription (CAGE)",
    "procap": "starts of transcription (PRO-cap)",
    "rna_seq": "expression",
    "splice_sites": "splice sites",
    "splice_site_usage": "usage of splice sites",
    "splice_junctions": "splice junctions",
    "contact_maps": "contacts",
}
# From which place among common variants on an effect is worth a sentence, or unusual.
NOTED, UNUSUAL = 0.95, 0.99
# Odds as -log10: beyond this, all of the background is exceeded, more or less.
_MOST_SAID = 4.0


def describe_change(variant: Variant) -> str:
    """What happens to the bases."""
    ref, alt = variant.reference_bases, variant.alternate_bases
    if len(ref) == len(alt) == 1:
        return f"replaces {ref} by {alt}"
    if variant.size_change > 0 and alt.startswith(ref):
        added = alt[len(ref) :]
        return f"inserts {len(added):,} bp ({_short(added)})"
    if variant.size_change < 0 and ref.startswith(alt):
        gone = ref[len(alt) :]
        return f"deletes {len(gone):,} bp ({_short(gone)})"
    return f"replaces {len(ref):,} bp ({_short(ref)}) by {len(alt):,} bp ({_short(alt)})"


def describe_effect(effect: Effect) -> str:
    """Such as "HNF4A in HepG2 falls by 21 % (log2 ratio -0.34), more extreme than 99.2 % of common variants"."""
    who = effect.about + (f" ({effect.strand})" if effect.strand in "+-" and effect.strand else "")
    if effect.gene:
        who = f"{effect.gene} in {who}"
    if effect.signed:
        natural = effect.modality == "rna_seq" and effect.key.startswith("RNA_SEQ")
        ratio = math.exp(effect.score) if natural else 2**effect.score
        verb = "rises" if effect.score > 0 else "falls"
        size = abs(ratio - 1)
        amount = f"by {_percent(size)}" if size < 1 else f"{ratio:.1f}-fold"
        unit = "log ratio" if natural else "log2 ratio"
        what = f"{verb} {amount} ({unit} {effect.score:+.2g})"
    else:
        levels = ""
        if effect.ref is not None and effect.alt is not None:
            levels = f", {_number(effect.ref)} to {_number(effect.alt)}"
        what = f"changes by {_number(effect.score)}{levels}"
    return f"{who} {what}{describe_rank(effect)}"


def describe_rank(effect: Effect) -> str:
    """How unusual, after a comma; nothing without a calibration."""
    if effect.tail is None:
        return ""
    if effect.tail >= _MOST_SAID:
        return ", more extreme than nearly all common variants"
    digits = 2 if effect.tail > 3 else 1 if effect.tail > 1 else 0
    return f", more extreme than {100 * (1 - 10**-effect.tail):.{digits}f} % of common variants"


def summary(
    variant: Variant, place: str, effects: Mapping[str, Sequence[Effect]], beyond: tuple[int, int], calibrated: bool
) -> list[str]:
    """The paragraph: what changes, where, what stands out, and how much of that chance would give."""
    sentences = [f"{variant.as_truncated_str(60)} {describe_change(variant)}{f', {place}' if place else ''}."]
    levels = _best_by_modality(effects)
    if not calibrated:
        sentences.append("There is no table of common variants for this model, so nothing says what is unusual.")
        sentences += [_sentence(m, effect) for m, effect in levels[:3]]
        return sentences
    limit = -math.log10(1 - NOTED)
    noted = [(modality, effect) for modality, effect in levels if (effect.tail or 0) >= limit]
    unusual = [one for one in noted if (one[1].tail or 0) >= -math.log10(1 - UNUSUAL)]
    exceeding, total = beyond
    if unusual:
        sentences += [_sentence(m, effect) for m, effect in unusual[:4]]
    elif noted:
        m, effect = noted[0]
        sentences.append(f"No effect is unusual; the strongest is on {WHAT.get(m, m)}: {describe_effect(effect)}.")
    else:
        sentences.append("Nothing stands out: on no kind of track does it do more than common variants usually do.")
    sentences.append(
        f"Of {total:,} scores {exceeding:,} are beyond 99 % of common variants; "
        f"of a variant like any other about {max(round(total / 100), 1):,} would be."
    )
    others = [WHAT.get(m, m) for m, effect in levels if (effect.tail or 0) < limit]
    if others and unusual:
        sentences.append(f"Nothing to tell of: {', '.join(others)}.")
    return sentences


def _best_by_modality(effects: Mapping[str, Sequence[Effect]]) -> list[tuple[str, Effect]]:
    """Of each modality its most unusual effect of a signed scorer, if it has one; the most unusual first."""
    best: dict[str, Effect] = {}
    for own in effects.values():
        effect = own[0]
        last = best.get(effect.modality)
        if last is None or (effect.signed, effect.unusual) > (last.signed, last.unusual):
            best[effect.modality] = effect
    return sorted(best.items(), key=lambda pair: -pair[1].unusual)


def _sentence(modality: str, effect: Effect) -> str:
    what = WHAT.get(modality, modality)
    return f"{what[0].upper()}{what[1:]}: {describe_effect(effect)}."


def _short(bases: str) -> str:
    return bases if len(bases) <= 12 else f"{bases[:6]}...{bases[-3:]}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"
