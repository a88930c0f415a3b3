"""Predictions in a browser in one call: what `agenome browse` and Python users share."""

import os
import pathlib
import tempfile
from collections.abc import Iterable

from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_data.contigs import match_contig
from ag_data.export.bigwig import TABLE

from ag_scorers.browser import companions
from ag_scorers.browser.collection import Collection, collect
from ag_scorers.browser.hub import HUB, write_hub
from ag_scorers.browser.page import IGV, INDEX, write_page, write_site
from ag_scorers.browser.session import tracks_folder, write_session

PAGES = (".html", ".htm")
_Path = str | os.PathLike[str]


def browse(
    predictions: _Path,
    output: _Path | None = None,
    *,
    hub: _Path | None = None,
    session: _Path | None = None,
    outputs: Iterable[str] = (),
    tracks: str = "",
    region: str | None = None,
    fasta: _Path | None = None,
    gtf: _Path | None = None,
    vcf: _Path | None = None,
    assembly: str = "",
    title: str | None = None,
    email: str = "nobody@example.org",
    force: bool = False,
) -> list[str]:
    """Shows predictions (a .zarr, or a folder of bigWigs of `agenome predict`) and returns what was written.

    - `output`: NAME.html, one file with everything in it, or a folder for a web server.
    - `hub`: a folder with a UCSC track hub; `session`: an .xml of IGV desktop, with a folder of tracks beside it.
    - `outputs` (modalities) and `tracks` (a query) choose at most 50 tracks; `region` (text, 1-based) is shown first.
    - `fasta`, `gtf`, `vcf`: bases, genes and variants to show with them, cut to the regions of the predictions.
    - `assembly`: UCSC's name of the genome; known for human (hg38) and mouse (mm10). `email` goes into the hub.

    Raises InputError.
    """
    source = pathlib.Path(predictions)
    page, hub, session = (None if path is None else pathlib.Path(path) for path in (output, hub, session))
    _check(source, page, hub, session, force)
    title = title or source.stem
    with tempfile.TemporaryDirectory(prefix="ag-browse-") as scratch:
        folder = pathlib.Path(scratch, "files")
        collection = collect(source, folder, outputs=outputs, tracks=tracks, assembly=assembly)
        locus = _locus(region, collection)
        companions.write_bases(fasta, collection.regions, collection.lengths, folder)
        genes = {} if gtf is None else companions.write_genes(gtf, collection.regions, folder)
        companions.write_variants(vcf, collection.variants, collection.regions, collection.lengths, folder)
        written: list[pathlib.Path] = []
        if page is not None:
            write = write_page if page.suffix.lower() in PAGES else write_site
            written.append(write(collection, page, title=title, locus=locus, genes=genes))
        if session is not None:
            genome = collection.assembly or (str(pathlib.Path(fasta).resolve()) if fasta else "")
            if not genome:
                raise InputError("a session of IGV needs a genome; give --assembly, such as hg38, or --fasta")
            written += write_session(collection, session, locus, genome)
        if hub is not None:
            written.append(write_hub(collection, hub, title=title, email=email))
    return [str(path) for path in written]


def _check(
    source: pathlib.Path,
    page: pathlib.Path | None,
    hub: pathlib.Path | None,
    session: pathlib.Path | None,
    force: bool,
) -> None:
    """What can be found out before anything is read."""
    if not (source / "zarr.json").is_file() and not (source / TABLE).is_file():
        raise InputError(
            f"{source} holds no predictions; expected a .zarr or a folder of bigWigs, made by `agenome predict -o`"
        )
    places = [(page, (INDEX, IGV)), (hub, (HUB,)), (session, ())]
    places.append((None if session is None else tracks_folder(session), ()))
    given = [path for path, _ in places if path is not None]
    if not given:
        raise InputError("nothing to write; give -o NAME.html or a folder, --hub FOLDER, or --session NAME.xml")
    if len({path.absolute() for path in [source, *given]}) <= len(given):
        raise InputError("two outputs have the same name, or that of the predictions; choose different ones")
    if page is not None and page.suffix and page.suffix.lower() not in PAGES:
        raise InputError(f"{page}: expected NAME.html, or a name without suffix for a folder")
    if session is not None and session.suffix.lower() != ".xml":
        raise InputError(f"{session}: a session of IGV must be called NAME.xml")
    for path, marks in places:
        if path is None or not path.exists():
            continue
        if not force:
            raise InputError(f"{path} exists; choose another name, or replace it with --force")
        is_file = path.suffix.lower() in (*PAGES, ".xml")
        ours = path.is_file() if is_file else path.is_dir() and all((path / mark).is_file() for mark in marks)
        if not ours:
            raise InputError(
                f"{path} exists and was not made by this command: it will not be replaced; remove it first"
            )


def _locus(region: str | None, collection: Collection) -> str:
    """What is in view at first, as 1-based text."""
    if region is None:
        return collection.regions[0].region
    try:
        place = Interval.from_region(region)
    except ValueError as error:
        raise InputError(f"--region: {error}") from error
    if (name := match_contig(place.chromosome, collection.lengths)) is None:
        known = ", ".join(collection.lengths)
        raise InputError(f"--region {region}: the predictions are on {known}; choose a region there")
    return Interval(name, place.start, place.end).region
