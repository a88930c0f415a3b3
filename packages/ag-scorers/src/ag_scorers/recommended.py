"""The recommended scorers, and scorers written as text on a command line."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from ag_core.errors import InputError
from ag_core.interfaces import AbstractIntervalScorer, AbstractScorer
from ag_core.plugins import PluginNotFoundError, registry

from ag_scorers.parity import Parity, read_parity


def _center(modality: str, width: int = 501, aggregation: str = "diff_log2_sum") -> tuple[str, dict[str, Any]]:
    return "center_mask", {"modality": modality, "width": width, "aggregation": aggregation}


RECOMMENDED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "ATAC": _center("atac"),
    "CONTACT_MAPS": ("contact_map", {"modality": "contact_maps"}),
    "DNASE": _center("dnase"),
    "CHIP_TF": _center("chip_tf"),
    "CHIP_HISTONE": _center("chip_histone", 2001),
    "CAGE": _center("cage"),
    "PROCAP": _center("procap"),
    "RNA_SEQ": ("gene_mask_lfc", {"modality": "rna_seq"}),
    "RNA_SEQ_ACTIVE": ("gene_mask_active", {"modality": "rna_seq"}),
    "SPLICE_SITES": ("gene_mask_splicing", {"modality": "splice_sites"}),
    "SPLICE_SITE_USAGE": ("gene_mask_splicing", {"modality": "splice_site_usage"}),
    "SPLICE_JUNCTIONS": ("splice_junction", {"modality": "splice_junctions"}),
    "POLYADENYLATION": ("polyadenylation", {"modality": "rna_seq"}),
    "ATAC_ACTIVE": _center("atac", aggregation="active_sum"),
    "DNASE_ACTIVE": _center("dnase", aggregation="active_sum"),
    "CHIP_TF_ACTIVE": _center("chip_tf", aggregation="active_sum"),
    "CHIP_HISTONE_ACTIVE": _center("chip_histone", 2001, "active_sum"),
    "CAGE_ACTIVE": _center("cage", aggregation="active_sum"),
    "PROCAP_ACTIVE": _center("procap", aggregation="active_sum"),
}
"""The recommended scorers: key -> plugin name and its options, in the reference's order (spec/scoring.md 2.9)."""
# For intervals, without a variant (spec/scoring.md 3.1).
RECOMMENDED_INTERVAL: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "RNA_SEQ": ("interval_gene_mask", {"modality": "rna_seq", "width": 200001, "aggregation": "mean"}),
}
HUMAN, HUMAN_ONLY = "human", ("POLYADENYLATION",)


def create_scorer(name: str, options: Mapping[str, Any], parity: Parity | str | bool = Parity.FIXED) -> Any:
    """The scorer of a plugin. Upstream `parity` is handed to one that has a setting of that name, unless it is given.

    So a scorer that knows nothing of the reference, as most of third parties, is made as ever.
    """
    given = {**registry().get("scorers", name).options, **options}
    if read_parity(parity) is Parity.UPSTREAM and "parity" not in given:
        settings = inspect.signature(registry().load("scorers", name)).parameters
        given |= {"parity": Parity.UPSTREAM} if "parity" in settings else {}
    return registry().create("scorers", name, **given)


def recommended(
    modalities: Iterable[str], organism: str = HUMAN, *, parity: Parity | str | bool = Parity.FIXED
) -> dict[str, AbstractScorer]:
    """The recommended scorers of the modalities that a model has (lower-case names), in the reference's order.

    With all eleven modalities 19 for human, and 18 for any other organism. `parity`: see `ag_scorers.parity`.
    """
    available = {modality.lower() for modality in modalities}
    return {
        key: create_scorer(plugin, options, parity)
        for key, (plugin, options) in RECOMMENDED.items()
        if options["modality"] in available and (organism == HUMAN or key not in HUMAN_ONLY)
    }


def parse_scorer(
    text: str, modalities: Iterable[str] = (), *, parity: Parity | str | bool = Parity.FIXED
) -> list[AbstractScorer]:
    """Scorers from text: a key of `RECOMMENDED`, or a plugin's name with options.

    - `CHIP_TF` (in any case): the recommended scorer of that key;
    - `center_mask:modality=chip_tf,width=501,aggregation=diff_log2_sum`: a plugin with options;
    - `center_mask` or `center_mask:width=2001`: where the constructor needs a modality and none is given, one
      scorer for each of `modalities`.

    Values read as None (`none`), truth values, numbers, or else as text. `parity` is that of scorers whose text does
    not give one. Raises `PluginNotFoundError` for an unknown name and `InputError` for options that the scorer refuses.
    """
    name, _, settings = text.strip().partition(":")
    if not settings and name.upper() in RECOMMENDED and name not in registry().names("scorers"):
        plugin, options = RECOMMENDED[name.upper()]
        return [create_scorer(plugin, options, parity)]
    try:
        target = registry().load("scorers", name)
    except PluginNotFoundError as error:
        raise PluginNotFoundError(f"{error}; recommended scorers: {', '.join(RECOMMENDED)}") from None

    if isinstance(target, type) and issubclass(target, AbstractIntervalScorer):
        raise InputError(f"scorer {text!r} scores intervals, not variants; use ag_scorers.score_interval")
    options = _parse_options(text, settings)
    given = {**registry().get("scorers", name).options, **options}
    missing = _check_options(text, target, given)
    if missing == ["modality"]:
        choices = [{"modality": modality, **options} for modality in modalities]
        missing = [] if choices else missing
    else:
        choices = [options]
    if missing:
        raise InputError(f"scorer {text!r} lacks {', '.join(missing)}; write {name}:{missing[0]}=...")
    try:
        return [create_scorer(name, choice, parity) for choice in choices]
    except ValueError as error:
        raise InputError(f"scorer {text!r}: {error}") from error


def _parse_options(text: str, settings: str) -> dict[str, Any]:
    options = {}
    for setting in filter(None, settings.split(",")):
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not (key and equals and value):
            raise InputError(f"scorer {text!r}: cannot read {setting!r}; expected name:option=value,option=value")
        if key in options:
            raise InputError(f"scorer {text!r}: option {key!r} is given twice")
        options[key] = parse_value(value)
    return options


def parse_value(text: str) -> Any:
    """None, a truth value or a number where a text reads as one, or else the text."""
    words = {"none": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _check_options(text: str, target: Any, given: Mapping[str, Any]) -> list[str]:
    """Names of required options not given; InputError for an option that the constructor does not know."""
    parameters = inspect.signature(target).parameters.values()
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    known = [p.name for p in named]
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
    unknown = [key for key in given if key not in known]
    if unknown and not open_ended:
        raise InputError(
            f"scorer {text!r}: no option {unknown[0]!r}; known: {', '.join(known) or 'none, it takes no options'}"
        )
    return [p.name for p in named if p.default is p.empty and p.name not in given]
