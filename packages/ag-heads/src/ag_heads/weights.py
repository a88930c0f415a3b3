"""Where the checkpoints are that travel inside this distribution."""

import pathlib


def mini() -> pathlib.Path:
    """The folder of the embedded model."""
    return pathlib.Path(__file__).parent / "checkpoints" / "mini"
