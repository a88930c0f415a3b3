"""VCF files that are not as they should be: what is wrong, and what can be mended. The table of contents."""

from ag_core.lazy import lazy_names

_NAMES = {
    # What is wrong
    "examine_vcf": "doctor",
    "Problem": "problems",
    "VcfReport": "problems",
    # What can be mended
    "repair_calls": "repair",
    "write_repaired": "writer",
    # Symbolic alleles
    "Event": "symbolic",
    "read_event": "symbolic",
    "realise": "symbolic",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
