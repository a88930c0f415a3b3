"""What made a set of scores, in digests: weights, reference bases, annotation, scorers and their settings, numerics.

They go into every output (its `provenance`), into the plan of a long run, and are what `agenome score verify` compares.
"""

import base64
import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from ag_core._version import __version__
from ag_data.cache import cache_path, replacing
from ag_data.fasta import Fasta

from ag_scorers.engine import Engine

_STEP = 1 << 24  # bases read at a time


def file_digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def contig_digests(fasta: Fasta, chromosomes: Iterable[str]) -> dict[str, str]:
    """Refget digests (GA4GH, `SQ.` + sha512t24u) of chromosomes, by name; kept in the cache folder.

    Of a chromosome that the file holds in pieces, the digest is that of the pieces, each with its place before it.
    """
    kept = cache_path(fasta.path, ".refget.json")
    try:
        known: dict[str, str] = json.loads(kept.read_text())
    except (OSError, ValueError):
        known = {}
    wanted = sorted(set(chromosomes))
    if missing := [name for name in wanted if name not in known]:
        known |= {name: _contig_digest(fasta, name) for name in missing}
        with replacing(kept) as (scratch,):
            scratch.write_text(json.dumps(known))
    return {name: known[name] for name in wanted}


def _contig_digest(fasta: Fasta, chromosome: str) -> str:
    hasher = hashlib.sha512()
    for start, end, record in fasta.pieces()[chromosome]:
        if chromosome in fasta.partial:
            hasher.update(f"{start}-{end}:".encode())
        for at in range(0, end - start, _STEP):
            hasher.update(fasta.read_record(record, at, min(at + _STEP, end - start)).encode())
    return f"SQ.{base64.urlsafe_b64encode(hasher.digest()[:24]).decode()}"


def numerics(engine: Engine) -> dict[str, str]:
    """What decides the last digits: precision, library and device."""
    import jax

    device = jax.devices()[0]
    return {
        "precision": str(engine.checkpoint.model.precision),
        "jax": jax.__version__,
        "backend": jax.default_backend(),
        "device": device.device_kind,
    }


def provenance(
    engine: Engine, chromosomes: Iterable[str] = (), asked: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """What made the scores, as text by name, for headers and attributes; the same for the same run.

    - `chromosomes`: those that variants lie on, in the FASTA's spelling; their bases get digests.
    - `asked`: what the engine was opened with (`ag_scorers.scoring.Settings.asked`): options as given, and files by
      their role, of which name and digest are kept.
    """
    spec = engine.checkpoint.spec
    facts = {
        "version": __version__,
        "model": spec.name,
        "model_digest": engine.checkpoint.digest,
        "precision": str(engine.checkpoint.model.precision),
        "organism": spec.organisms[engine.organism],
        "window": str(engine.window),
        "parity": str(engine.parity),
        "fasta": engine.fasta.path.name,
        "reference": contig_digests(engine.fasta, chromosomes),
        "scorers": {key: scorer.name for key, scorer in engine.scorers.items()},
        "numerics": numerics(engine),
    }
    for name, value in (asked or {}).items():
        if isinstance(value, pathlib.Path):
            value = {"name": value.name, "sha256": file_digest(value)}
        facts[name] = value
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in facts.items()}
