"""Motifs in MEME's text format, and a few well-known ones to compare with."""

import os
import pathlib
from collections.abc import Mapping

import numpy as np
from ag_core.errors import InputError
from jaxtyping import Float

Motifs = Mapping[str, Float[np.ndarray, "position 4"]]
CONSENSUS = pathlib.Path(__file__).with_name("consensus.meme")
_HEADER = (
    "MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\nBackground letter frequencies\nA 0.25 C 0.25 G 0.25 T 0.25\n"
)


def consensus_motifs() -> dict[str, Float[np.ndarray, "position 4"]]:
    """The bundled motifs, made from consensus sequences of the literature; rough, and only of well-known factors."""
    return read_meme(CONSENSUS)


def read_meme(path: str | os.PathLike[str]) -> dict[str, Float[np.ndarray, "position 4"]]:
    """Probabilities of A, C, G, T at each position, by name, of a MEME file (version 4 or 5, plain text).

    A name is the motif's identifier and, where it has one, its alternate name. Raises InputError with the line.
    """
    path = pathlib.Path(path)
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a MEME file ({error}); give a text file of motifs") from error
    if not any(line.startswith("MEME version") for line in lines):
        raise InputError(f"{path} is no MEME file: no line begins with 'MEME version'; convert it (meme suite)")
    motifs: dict[str, np.ndarray] = {}
    name, rows, reading = "", [], False
    for number, line in enumerate([*lines, ""], 1):
        words = line.split()
        if words[:1] == ["MOTIF"]:
            name, reading = " ".join(words[1:]), False
            if not name or name in motifs:
                raise InputError(
                    f"{path}, line {number}: the motif's name is {'missing' if not name else 'there twice'}"
                )
        elif line.startswith("letter-probability matrix"):
            rows, reading = [], True
        elif reading:
            try:
                values = [float(word) for word in words]
            except ValueError:
                values = []
            if len(values) == 4:
                rows.append(values)
                continue
            reading = False
            motifs[name] = _checked(rows, f"{path}, line {number}: motif {name!r}")
    if not motifs:
        raise InputError(f"{path} has no motif; expected MOTIF lines, each with a letter-probability matrix")
    return motifs


def _checked(rows: list[list[float]], what: str) -> Float[np.ndarray, "position 4"]:
    matrix = np.array(rows, np.float64).reshape(-1, 4)
    if not len(matrix) or (matrix < 0).any() or (np.abs(matrix.sum(axis=1) - 1) > 0.02).any():
        raise InputError(f"{what}: expected rows of four probabilities that sum to 1")
    return matrix / matrix.sum(axis=1, keepdims=True)


def write_meme(path: str | os.PathLike[str], motifs: Motifs, comment: str = "") -> None:
    """Writes motifs; `comment` goes into the header, line by line."""
    parts = [_HEADER, *(f"# {line}\n" for line in comment.splitlines())]
    for name, matrix in motifs.items():
        rows = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in matrix)
        parts.append(
            f"\nMOTIF {name}\nletter-probability matrix: alength= 4 w= {len(matrix)} nsites= 20 E= 0\n{rows}\n"
        )
    pathlib.Path(path).write_text("".join(parts))
