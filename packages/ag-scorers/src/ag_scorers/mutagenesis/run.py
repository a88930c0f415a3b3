"""One run of `agenome ism`: in shards, so that an interruption costs no more than one, and into all outputs."""

import collections
import contextlib
import json
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ag_core.errors import InputError
from ag_data.disk import explain_full_disk
from ag_data.variants import Call, Status
from rich.console import Console

from ag_scorers.campaign import merge, read_results, run_shards
from ag_scorers.mutagenesis.saturation import Mutagenesis
from ag_scorers.mutagenesis.store import write_effects
from ag_scorers.outputs import open_writer
from ag_scorers.progress import show_progress
from ag_scorers.results import Result
from ag_scorers.shards import RunFolder

TABLES = (".parquet", ".tsv", ".tsv.gz")
STORE = ".zarr"
# Mutations that an interruption may cost.
SHARD = 256


def check_paths(paths: Sequence[pathlib.Path]) -> None:
    """Raises InputError for a path whose suffix tells no format."""
    for path in paths:
        if not path.name.endswith((STORE, *TABLES)):
            raise InputError(f"cannot write {path}: expected a name that ends in {', '.join((STORE, *TABLES))}")


def execute(
    work: Mutagenesis,
    paths: Sequence[pathlib.Path],
    made_by: Mapping[str, str],
    console: Console,
    picture: pathlib.Path | None = None,
) -> collections.Counter[str]:
    """Scores what is missing and writes everything; returns how many mutations have which status.

    The same call goes on with what an interrupted one left in `OUT.run`. Raises InputError when that folder is another
    run's, or the disk is full.
    """
    total, templates = len(work.mutations), work.engine.templates()
    plan = {"span": str(work.span), "mutations": total, "settings": {key: _read(text) for key, text in made_by.items()}}
    folder = RunFolder(paths[0].with_name(f"{paths[0].name}.run"), plan, templates)
    try:
        kept = sum(manifest.calls for manifest in folder.manifests.values())
        with show_progress("mutating", total, console, kept) as advance:

            def run(calls: Iterable[Call]) -> Iterator[Result]:
                for result in work.run(calls):
                    yield result
                    advance(1)

            run_shards(run, work.calls(), lambda calls: calls, folder, SHARD)
        with explain_full_disk(f"all shards are kept in {folder.folder}"):
            statuses = _write(work, paths, made_by, folder, picture)
        folder.remove()
        return statuses
    except KeyboardInterrupt:
        console.print(f"{len(folder.manifests)} shards are kept in {folder.folder}; the same command goes on")
        raise
    finally:
        folder.close()


def _write(
    work: Mutagenesis,
    paths: Sequence[pathlib.Path],
    made_by: Mapping[str, str],
    folder: RunFolder,
    picture: pathlib.Path | None,
) -> collections.Counter[str]:
    tables = [path for path in paths if path.name.endswith(TABLES)]
    templates = work.engine.templates()
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(open_writer(path, templates, provenance=made_by)) for path in tables]
        statuses, failed = merge(read_results(folder), writers, len(work.mutations))
    if statuses[Status.FAILED.value] == len(work.mutations) and failed is not None:
        raise RuntimeError(f"not one mutation could be scored; {failed.call}: {failed.call.detail}")
    stores = [path for path in paths if path.name.endswith(STORE)]
    if stores or picture is not None:
        tree = work.effects(read_results(folder), made_by)
        for path in stores:
            write_effects(tree, path)
        if picture is not None:
            from ag_scorers.mutagenesis.picture import plot_effects

            plot_effects(tree).savefig(picture, dpi=150)
    return statuses


def _read(text: str) -> object:
    return json.loads(text) if text.startswith(("{", "[")) else text
