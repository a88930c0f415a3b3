"""Draws every kind of picture from predictions of the embedded model for the HNF4A locus, and writes docs/gallery.md.

    [AG_DATA=folder] hatch run gallery [FOLDER] [--svg]

FOLDER (docs by default) gets gallery.md and images/gallery. Each function of `PICTURES` is one picture: its text is
the caption, its body is the code shown below it.
"""

import functools
import inspect
import io
import os
import pathlib
import tempfile
import textwrap
from collections.abc import Callable
from typing import Annotated, Any

import ag_scorers
import numpy as np
import typer
import xarray as xr
from ag_core import Interval, Variant
from ag_core.sequence import reverse_complement
from ag_data import Annotation, Fasta, read_gtf
from ag_data.plot import (
    AlleleLogos,
    ContactMaps,
    ContactMapsDiff,
    Difference,
    IntervalAnnotation,
    Mutations,
    OverlaidTracks,
    Sashimi,
    SeqLogo,
    Tracks,
    TranscriptAnnotation,
    VariantAnnotation,
    as_signal,
    draw_allele_logos,
    draw_annotation,
    draw_contact_difference,
    draw_contacts,
    draw_sites,
    draw_track,
    plot,
)
from ag_scorers import as_letters
from eleven_outputs import GENES, GENOME, untrained
from matplotlib.figure import Figure
from PIL import Image

ROOT = pathlib.Path(__file__).parents[1]


class Data:
    """What the pictures show; everything is predicted when it is first asked for."""

    promoter = Interval("chr20", 44_355_100, 44_356_500, name="promoter")
    motif = Interval("chr20", 44_355_628, 44_355_664)
    # The substitution with the largest effect in the reporter assay of examples/data.
    snv = Variant("chr20", 44_355_644, "C", "A")

    def __init__(self):
        self.fasta, self.genes = Fasta(GENOME), read_gtf(GENES)
        self.notes: dict[str, str] = {}  # more text for a picture

    def deletion(self, position: int, size: int) -> Variant:
        """`size` bases after the one at a 1-based position are gone."""
        bases = self.fasta.fetch(Interval("chr20", position - 1, position + size))
        return Variant("chr20", position, bases, bases[0])

    def insertion(self, position: int, size: int) -> Variant:
        """The `size` bases after the one at a 1-based position are there twice."""
        gone = self.deletion(position, size)
        return Variant("chr20", position, gone.alternate_bases, gone.reference_bases)

    @functools.cached_property
    def locus(self) -> xr.DataTree:
        """16 kb around the promoter."""
        region = "chr20:44,347,600-44,363,983"
        return ag_scorers.predict(region=region, fasta=GENOME, outputs=["dnase", "cage"])

    @functools.cached_property
    def exons(self) -> xr.DataTree:
        """16 kb with several exons."""
        return ag_scorers.predict(region="chr20:44,406,001-44,422,384", fasta=GENOME, outputs=["splice_sites"])

    @functools.cached_property
    def inversion(self) -> Variant:
        """10 kb in the middle of the example's sequence, turned round."""
        bases = self.fasta.fetch(Interval("chr20", 44_395_147, 44_405_147))
        return Variant("chr20", 44_395_148, bases, reverse_complement(bases))

    @functools.cached_property
    def maps(self) -> dict[str, xr.Dataset]:
        """Contacts of 131 kb, with and without the inversion."""
        return self.alleles(self.inversion, "contact_maps", window=131_072)

    @functools.cached_property
    def junctions(self) -> tuple[xr.Dataset, Annotation, Interval]:
        """Junctions, genes and a view: measured ones if AG_DATA has them.

        Otherwise they are of a model that nobody trained, since the embedded one predicts none.
        """
        if folder := os.environ.get("AG_DATA"):
            self.notes["junctions"] = "Reads of the cell line HCC1395 across introns of CHEK2 and HSCB (hg19)."
            tracks = pathlib.Path(folder) / "hg19_tracks"
            genes = read_gtf(tracks / "chrX_20_22" / "gencode_lift37.exons.chr22.gtf.gz")
            found = read_junctions(tracks / "chr22" / "HCC1395_RNAseq_junctions.chr22.bed", "HCC1395")
            return found, genes, Interval("chr22", 29_083_000, 29_154_000)
        self.notes["junctions"] = "The model is untrained: this is what the output is, not what HNF4A does."
        with tempfile.TemporaryDirectory() as folder:
            options = {"model": untrained(pathlib.Path(folder)), "outputs": ["splice_junctions"], "window": 65_536}
            tree = ag_scorers.predict(region="chr20:44,398,000-44,439,000", fasta=GENOME, gtf=GENES, **options)
        return tree["splice_junctions"].to_dataset(), self.genes, Interval("chr20", 44_399_000, 44_438_000)

    def alleles(self, variant: Variant, modality: str = "dnase", **options: Any) -> dict[str, xr.Dataset]:
        """REF and ALT, each in its own coordinates."""
        tree = ag_scorers.predict(variant=str(variant), fasta=GENOME, outputs=[modality], **options)
        return {allele: tree[f"{modality}/{allele}"].to_dataset() for allele in ("REF", "ALT")}

    @functools.cache  # noqa: B019 (one object lives as long as the program)
    def mutagenesis(self, variant: Variant | None = None) -> xr.Dataset:
        """What each substitution of `motif`, of ALT if there is a variant, does to DNase (log2)."""
        gone = max(0, -variant.size_change) if variant else 0
        span = Interval(self.motif.chromosome, self.motif.start, self.motif.end + gone)
        options = {"scorers": ["DNASE"], "tracks": "fetal", "window": 4096, "background": variant}
        tree = ag_scorers.mutagenise(span, fasta=GENOME, **options)
        return tree["DNASE"].to_dataset().isel(track=0, position=slice(self.motif.width))


def read_junctions(path: pathlib.Path, name: str) -> xr.Dataset:
    """Junctions of a BED file of regtools: its blocks are the exons beside an intron, its score the reads."""
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    left, right = ([int(row[10].split(",")[side]) for row in rows] for side in (0, 1))
    columns = {
        "start": np.array([int(row[1]) + size for row, size in zip(rows, left, strict=True)]),
        "end": np.array([int(row[2]) - size for row, size in zip(rows, right, strict=True)]),
        "strand": np.array([row[5] for row in rows], object),
    }
    counts = np.array([[float(row[4])] for row in rows])
    coords = {key: ("junction", column) for key, column in columns.items()} | {"name": ("track", [name])}
    return xr.Dataset({"count": (("junction", "track"), counts)}, coords=coords)


def coding_parts(data: Data, place: Interval) -> dict[str, np.ndarray]:
    """The longest open reading frame (300 bp or more) of each transcript, since the example's GTF has exons alone."""
    found = {}
    for gene in dict.fromkeys(data.genes.genes_in(place)["gene_id"]):
        exons = data.genes.exons_of(gene)
        for name in dict.fromkeys(exons["transcript_id"]):
            own = exons["transcript_id"] == name
            spans = sorted(zip(exons["start"][own].tolist(), exons["end"][own].tolist(), strict=True))
            bases = "".join(data.fasta.fetch(Interval(place.chromosome, *span)) for span in spans)
            places = np.concatenate([np.arange(*span) for span in spans])
            if exons["strand"][own][0] == "-":
                bases, places = reverse_complement(bases), places[::-1]
            start, end = longest_frame(bases)
            if end - start < 300:  # not translated, as far as this can tell
                continue
            inside = np.sort(places[start:end])
            found[str(name)] = np.array(
                [(max(a, inside[0]), min(b, inside[-1] + 1)) for a, b in spans if a <= inside[-1] and b > inside[0]]
            )
    return found


def longest_frame(bases: str) -> tuple[int, int]:
    """[start, end) of the longest ATG ... stop."""
    best = (0, 0)
    for frame in range(3):
        start = None
        for i in range(frame, len(bases) - 2, 3):
            codon = bases[i : i + 3]
            if start is None and codon == "ATG":
                start = i
            elif start is not None and codon in ("TAA", "TAG", "TGA"):
                best, start = max(best, (start, i + 3), key=lambda span: span[1] - span[0]), None
    return best


def tracks(data: Data) -> Figure:
    """**Tracks.** One row each, as a line or filled; `top` chooses those with the largest values."""
    view = data.promoter
    return plot(
        [
            Tracks(data.locus["dnase"], top=2, track_height=0.7, ylabel_template="{biosample_name}"),
            Tracks(
                data.locus["cage"], top=2, track_height=0.7, filled=True, ylabel_template="{biosample_name} ({strand})"
            ),
            TranscriptAnnotation(data.genes),
        ],
        view,
        fig_width=9,
        annotations=[IntervalAnnotation([data.motif], labels=["a stretch that is looked at below"])],
        title="Predicted DNase and CAGE at the promoter of HNF4A",
    )


def strands(data: Data) -> Figure:
    """**Both strands in one row.** The reverse strand hangs down."""
    cage = as_signal(data.locus["cage"])
    names = cage["name"].values
    pair = cage.isel(track=np.flatnonzero(names == names[0]))
    axes = draw_track(pair.assign_attrs(unit="reads"), data.promoter)
    return axes.figure


def transcripts(data: Data) -> Figure:
    """**Transcripts.** Exons are boxes, thick where translated (`read_coding` reads that from a full GTF file)."""
    view = Interval("chr20", 44_400_000, 44_437_000)
    axes = draw_annotation(data.genes, view, every_transcript=True, coding=coding_parts(data, view))
    return axes.figure


def overlay(data: Data) -> Figure:
    """**REF and ALT over each other, and ALT - REF.** Components are combined at will."""
    alleles = data.alleles(data.snv)
    return plot(
        [
            OverlaidTracks(alleles, top=2, track_height=0.8, ylabel_template="{biosample_name}"),
            Difference(alleles, top=2, ylabel_template="ALT \N{MINUS SIGN} REF, {biosample_name}"),
        ],
        data.snv.reference_interval.resize(400),
        fig_width=9,
        annotations=[VariantAnnotation([data.snv], alpha=0.3)],
    )


def deletion(data: Data) -> Figure:
    """**A deletion.** ALT is moved to REF's positions: what is gone is a gap, and the rest lines up."""
    alleles = data.alleles(data.deletion(44_355_600, 120))
    rows = [OverlaidTracks(alleles, top=1, ylabel_template="{biosample_name}"), Difference(alleles, top=1)]
    return plot(rows, data.promoter, fig_width=9, title="120 bp of the promoter deleted")


def insertion(data: Data) -> Figure:
    """**An insertion.** Its place is marked, and has the largest value of the inserted bases."""
    alleles = data.alleles(data.insertion(44_355_600, 120))
    rows = [OverlaidTracks(alleles, top=1, ylabel_template="{biosample_name}"), Difference(alleles, top=1)]
    return plot(rows, data.promoter, fig_width=9, title="120 bp of the promoter doubled")


def splice_sites(data: Data) -> Figure:
    """**Splice sites** as stems, those of the reverse strand hanging down; less likely ones are left out."""
    sites = as_signal(data.exons["splice_sites"])
    likely = sites.where(sites > 0.1, 0.0).assign_attrs(unit="probability")
    return draw_sites(likely, Interval("chr20", 44_406_000, 44_422_384)).figure


def junctions(data: Data) -> Figure:
    """**Sashimi.** Arcs are introns, one row for each strand; the numbers of a row sum up to 10."""
    found, genes, view = data.junctions
    return plot(
        [Sashimi(found, fig_height=1.4), TranscriptAnnotation(genes, every_transcript=False)],
        view,
        fig_width=9,
    )


def contacts(data: Data) -> Figure:
    """**Contact maps as triangles**, and the difference of two: 10 kb are turned round in ALT."""
    ref, alt = data.maps["REF"], data.maps["ALT"]
    style = {"square": False, "track_height": 3.2, "vmin": None}
    place = data.inversion.reference_interval
    return plot(
        [
            ContactMaps(ref, ylabel_template="REF", **style),
            ContactMapsDiff(alt, ref=ref, ylabel_template="ALT \N{MINUS SIGN} REF", **style),
            TranscriptAnnotation(data.genes, every_transcript=False),
        ],
        Interval("chr20", 44_340_000, 44_450_000),
        fig_width=9,
        annotations=[IntervalAnnotation([place], labels=["inverted"])],
    )


def square(data: Data) -> Figure:
    """**Contact maps as squares**, and their difference."""
    ref, alt = (as_signal(data.maps[allele]).isel(track=0) for allele in ("REF", "ALT"))
    view = Interval("chr20", 44_340_000, 44_450_000)
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    for axes, title in zip(figure.subplots(1, 2), ("REF", "ALT \N{MINUS SIGN} REF"), strict=True):
        if title == "REF":
            draw_contacts(ref, view, axes, square=True)
        else:
            draw_contact_difference(ref, alt, view, axes, square=True)
        axes.set_title(title)
        axes.locator_params(axis="x", nbins=4)
        figure.colorbar(axes.collections[0], shrink=0.8)
    return figure


def mutations(data: Data) -> Figure:
    """**Saturation mutagenesis.** The effect of every substitution on DNase, and what each base contributes."""
    found = data.mutagenesis()
    bases = "".join(found["reference"].values)
    return plot(
        [
            SeqLogo(as_letters(found), data.motif, fig_height=1.1, ylabel="minus the mean effect"),
            Mutations(found["effect"].values, data.motif, bases, ylabel="log2 of ALT / REF"),
        ],
        data.motif,
        fig_width=9,
        annotations=[VariantAnnotation([data.snv], alpha=0.3)],
    )


def logos(data: Data) -> Figure:
    """**REF above ALT through a deletion** of 4 bp: the letters of both have one scale and stay below each other."""
    variant = data.deletion(44_355_641, 4)
    scores = [as_letters(data.mutagenesis(one)) for one in (None, variant)]
    above, _ = draw_allele_logos(*scores, data.motif, variant)
    return above.figure


def inserted_logos(data: Data) -> Figure:
    """**REF above ALT through an insertion** of 4 bp. REF has a gap there; the axis keeps the genome's positions."""
    variant = data.insertion(44_355_641, 4)
    scores = [as_letters(data.mutagenesis(one)) for one in (None, variant)]
    above, _ = draw_allele_logos(*scores, data.motif, variant)
    return above.figure


def all_together(data: Data) -> Figure:
    """**All together, over one axis.** Inserted letters share the room of the base before them."""
    variant = data.insertion(44_355_641, 4)
    ref, alt = (as_letters(data.mutagenesis(one)) for one in (None, variant))
    alleles = data.alleles(variant)
    return plot(
        [
            OverlaidTracks(alleles, top=1, ylabel_template="{biosample_name}"),
            Difference(alleles, top=1),
            AlleleLogos(ref, alt, data.motif, variant),
        ],
        data.motif,
        fig_width=9,
    )


PICTURES: tuple[Callable[[Data], Figure], ...] = (
    tracks, strands, transcripts, overlay, deletion, insertion, splice_sites, junctions, contacts, square, mutations,
    logos, inserted_logos, all_together,
)  # fmt: skip

HEAD = """# Gallery

Every kind of picture, drawn by [examples/gallery.py](../examples/gallery.py) from predictions of the embedded model for
the HNF4A locus (`hatch run gallery`; `--svg` for vector graphics). The model is small, and its values are modest: the
pictures show how to look at predictions, not how the promoter works.

Names and defaults of the components follow the official `plot_components`; its `TrackData` and `JunctionData` can be
given, too. Every `draw_` function takes axes (`ax=`) or makes them, and returns them. x is the 1-based position.
Pictures of measured data are in [Pictures of track stores](track-pictures.md). The embedded model has no junctions: the
sashimi plot shows measured ones where `AG_DATA` names a folder with the data of [hg19.yaml](manifests/hg19.yaml).

```python
import numpy as np
from ag_core import Interval, Variant
from ag_data.plot import *
from ag_scorers import as_letters
from matplotlib.figure import Figure
```

`data` holds what `ag_scorers.predict` returned (`data.locus`, a tree; `data.alleles(variant)`, two datasets) and an
annotation (`data.genes`), `data.mutagenesis` what `ag_scorers.mutagenise` did. `coding_parts` is a short function of
the script.
"""


def code_of(picture: Callable[..., Any]) -> str:
    """The body of a function without its text."""
    lines = inspect.getsource(picture).splitlines()
    body = textwrap.dedent("\n".join(lines[2:]))
    return body.replace("\nreturn ", "\nfigure = ")


def save_small(figure: Figure, path: pathlib.Path, dpi: int = 100) -> None:
    """Writes a PNG of 256 colours, a third of the size."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi)
    image = Image.open(buffer).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    image.save(path, optimize=True)


def main(
    folder: Annotated[pathlib.Path, typer.Argument(help="where gallery.md goes")] = ROOT / "docs",
    svg: Annotated[bool, typer.Option("--svg", help="also write vector graphics")] = False,
    only: Annotated[list[str] | None, typer.Option(help="names of pictures; the page is left as it is")] = None,
) -> None:
    """Draws the pictures and writes the page."""
    images = folder / "images" / "gallery"
    images.mkdir(parents=True, exist_ok=True)
    data, parts = Data(), [HEAD]
    for picture in PICTURES:
        name = picture.__name__
        if only and name not in only:
            continue
        figure = picture(data)
        save_small(figure, images / f"{name}.png")
        if svg:
            figure.savefig(images / f"{name}.svg")
        print(images / f"{name}.png")
        caption = " ".join(filter(None, (inspect.getdoc(picture), data.notes.get(name))))
        parts.append(f"{caption}\n\n![{name}](images/gallery/{name}.png)\n\n```python\n{code_of(picture)}\n```\n")
    if not only:
        (folder / "gallery.md").write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
