"""Which bases a model's output rests on, and the motifs they form. This file is the table of contents."""

from ag_core.lazy import lazy_names

_NAMES = {
    # Whole runs
    "attribute": "api",
    "write_attributions": "files",
    # Targets
    "parse_target": "parser",
    "bind": "target",
    "PythonTarget": "target",
    # Methods
    "Forward": "forward",
    "input_x_gradient": "gradients",
    "integrated_gradients": "integrated",
    "shuffle_dinucleotides": "shuffle",
    # Motifs
    "Examples": "examples",
    "gather_examples": "examples",
    "read_examples": "examples",
    "find_seqlets": "motifs",
    "find_patterns": "motifs",
    "compare_motifs": "motifs",
    "read_meme": "meme",
    "write_meme": "meme",
    "consensus_motifs": "meme",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
