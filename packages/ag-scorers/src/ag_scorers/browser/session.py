"""A session of IGV desktop (XML): tracks with the colours and axes of the page."""

import pathlib
import shutil
from xml.etree import ElementTree as xml

from ag_data.cache import replacing

from ag_scorers.browser import companions
from ag_scorers.browser.collection import Collection
from ag_scorers.browser.looks import color_below, color_of, limits_of, rgb, same_axis, title_of


def session_text(
    collection: Collection, locus: str, genome: str, *, prefix: str = "", extras: tuple[str, ...] = ()
) -> str:
    """The session as text. Paths of files begin with `prefix`, and are relative to the session's own place.

    `locus` is 1-based text, `genome` an id that IGV knows or the path of a FASTA file; `extras` are further files.
    """
    root = xml.Element("Session", genome=genome, locus=locus, version="8", hasGeneTrack="true", hasSequenceTrack="true")
    resources = xml.SubElement(root, "Resources")
    files = [*(signal.file for signal in collection.signals), *(arcs.file for arcs in collection.arcs), *extras]
    for file in files:
        xml.SubElement(resources, "Resource", path=prefix + file)
    rows = collection.rows()
    panel = xml.SubElement(root, "Panel", name="DataPanel", height="800", width="1200")
    for signal in collection.signals:
        low, high = limits_of(same_axis(signal, rows[signal.row]))
        looks = {
            "id": prefix + signal.file,
            "name": title_of(signal),
            "color": rgb(color_of(signal.modality, signal.allele)),
            "altColor": rgb(color_below(signal.modality, signal.allele)),
            "autoScale": "false",
            "renderer": "BAR_CHART",
            "windowFunction": "mean",
            "height": "50",
            "visible": "true",
        }
        track = xml.SubElement(panel, "Track", looks)
        axis = {
            "minimum": f"{low:g}",
            "baseline": "0.0",
            "maximum": f"{high:g}",
            "type": "LINEAR",
            "drawBaseline": "true",
        }
        xml.SubElement(track, "DataRange", axis)
    for arcs in collection.arcs:
        name = " ".join(filter(None, ("junctions", arcs.label, arcs.allele)))
        xml.SubElement(panel, "Track", id=prefix + arcs.file, name=name, height="60", visible="true")
    features = xml.SubElement(root, "Panel", name="FeaturePanel", height="120", width="1200")
    xml.SubElement(features, "Track", id="Reference sequence", name="Reference sequence", visible="true")
    for file in extras:
        xml.SubElement(features, "Track", id=prefix + file, name=file.partition(".")[0], visible="true")
    xml.indent(root)
    return xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def write_session(collection: Collection, path: pathlib.Path, locus: str, genome: str) -> list[pathlib.Path]:
    """Writes `path` and, beside it, a folder `<stem>_tracks` with its files; both appear when they are complete."""
    folder = tracks_folder(path)
    with replacing(path, folder) as (scratch, tracks):
        tracks.mkdir()
        for file in (*(s.file for s in collection.signals), *(a.file for a in collection.arcs)):
            shutil.copyfile(collection.folder / file, tracks / file)
        extras = tuple(n for n in (companions.GENES, companions.VARIANTS) if (collection.folder / n).is_file())
        for file in extras:
            shutil.copyfile(collection.folder / file, tracks / file)
            shutil.copyfile(collection.folder / f"{file}.tbi", tracks / f"{file}.tbi")
        scratch.write_text(session_text(collection, locus, genome, prefix=f"{folder.name}/", extras=extras))
        if folder.exists():
            folder.rename(scratch.with_name("replaced"))  # goes away with the scratch folder
    return [path, folder]


def tracks_folder(path: pathlib.Path) -> pathlib.Path:
    """Where the files of a session lie."""
    return path.with_name(f"{path.stem}_tracks")
