"""`agenome score verify`."""

import json
import pathlib
from typing import Annotated

import typer


def verify(
    output: Annotated[pathlib.Path, typer.Argument(help="what `agenome score` wrote, in any format")],
    fasta: Annotated[pathlib.Path, typer.Option(help="reference genome, plain or bgzip")],
    count: Annotated[int, typer.Option("-k", "--count", min=1, help="rows to score again")] = 100,
    gtf: Annotated[pathlib.Path | None, typer.Option(help="gene annotation, if it was made with one")] = None,
    splice_sites: Annotated[pathlib.Path | None, typer.Option(help="table of splice sites, if so")] = None,
    polya: Annotated[pathlib.Path | None, typer.Option(help="polyadenylation sites, if so")] = None,
    model: Annotated[str | None, typer.Option(help="default: the one that the output names")] = None,
    seed: Annotated[int, typer.Option(help="other rows")] = 0,
    json_: Annotated[bool, typer.Option("--json", help="result as JSON on stdout")] = False,
) -> None:
    """Scores random rows of an output again and names the cause of any difference; exit code 1 if there is one."""
    import dataclasses

    from ag_scorers.verification import verify as verify_output

    found = verify_output(
        output, count, fasta=fasta, model=model, seed=seed, gtf=gtf, splice_sites=splice_sites, polya=polya
    )
    if json_:
        shown = {
            "rows": found.rows,
            "skipped": found.skipped,
            "causes": dict(found.causes),
            "changes": found.changes,
            "differences": [dataclasses.asdict(difference) for difference in found.differences],
        }
        print(json.dumps(shown, indent=1, default=str))
    else:
        for cause, words in found.changes.items():
            print(f"{cause}: {'; '.join(words)}")
        for one in found.differences[:10]:
            names = ("variant", "scorer", "gene", "track", "track_set")
            place = " ".join(str(one.row[name]) for name in names if one.row.get(name))
            print(f"{place}: {one.what} is {one.found}, expected {one.expected} ({one.cause})")
        skipped = f", {found.skipped} passed over (alleles not spelt out)" if found.skipped else ""
        causes = ", ".join(f"{cause} {number}" for cause, number in found.causes.most_common())
        verdict = f"{len(found.differences)} differ ({causes})" if causes else "all as before"
        print(f"{found.rows} rows scored again{skipped}: {verdict}")
    if found.differences:
        raise typer.Exit(1)
