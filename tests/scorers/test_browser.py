"""Pages, sessions and hubs of predictions, without a model and without a browser."""

import base64
import gzip
import html
import json
import pathlib
import re
from xml.etree import ElementTree as xml

import numpy as np
import pybigtools
import pytest
from ag_core.cli import run
from ag_core.errors import InputError
from ag_core.schema import track_table
from ag_data.export import Block, MemoryWriter, StoreWriter, write_bigwigs
from ag_scorers.browser import browse, page
from ag_scorers.browser.looks import round_up

DATA = pathlib.Path(__file__).parents[2] / "examples" / "data"
FASTA, GTF, VCF = (DATA / f"HNF4A.{name}" for name in ("hg38.fa.gz", "hg38.gtf.gz", "mpra.vcf.gz"))
START, BINS, LENGTH = 44_355_000, 1_024, 44_460_684
EVIL = "</script><img src=x onerror=alert(1)>&\"'"
TABLES = {
    "cage": track_table({"name": ["cell A", "cell A"], "strand": ["+", "-"], "biosample_name": ["liver", "liver"]}),
    "chip_tf": track_table({"name": ["HepG2 CTCF", EVIL], "strand": [".", "."]}),
    "splice_junctions": track_table({"name": ["liver"], "strand": ["."]}),
    "contact_maps": track_table({"name": ["Hi-C"], "strand": ["."]}),
}
ATTRS = {"model": "m", "organism": "human", "chromosomes": {"chr20": LENGTH}, "modalities": list(TABLES)}


def attributes(modality, resolution, **more):
    interval = f"chr20:{START}-{START + BINS}:."
    return {"interval": interval, "region": interval, "resolution": resolution, "modality": modality, **more}


def write(writer, place="", seed=0, **more):
    """Random values of all modalities at one place."""
    random = np.random.default_rng(seed)
    for modality, resolution in (("cage", 1), ("chip_tf", 128)):
        shape = (BINS // resolution, 2)
        block = Block(modality, "prediction", ("position", "track"), shape, attributes(modality, resolution, **more))
        writer.create(place, block)[:] = random.random(shape).astype(np.float32)
    more = attributes("splice_junctions", 1, **more)
    coords = {"start": np.array([START + 100, START + 10]), "end": np.array([START + 300, START + 700])}
    coords["strand"] = np.array(["+", "-"], object)
    block = Block("splice_junctions", "count", ("junction", "track"), (2, 1), more, coords)
    writer.create(place, block)[:] = np.array([[3.0], [1.0 + seed]], np.float32)
    more = {**more, "modality": "contact_maps", "resolution": 512}
    block = Block("contact_maps", "prediction", ("position", "position_2", "track"), (2, 2, 1), more)
    writer.create(place, block)[:] = np.zeros((2, 2, 1), np.float32)
    writer.close_place(place)
    return writer


def store(path, alleles=False, tables=TABLES):
    places = ["REF", "ALT"] if alleles else [""]
    writer = StoreWriter(path.with_name("work"), tables, {**ATTRS, "places": places}, fingerprint="")
    for seed, place in enumerate(places):
        more = {"variant": "chr20:44355804:C>T", "allele": place, "frame": "reference"} if alleles else {}
        write(writer, place, seed, **more)
    writer.finish().rename(path)
    writer.discard()
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return store(tmp_path_factory.mktemp("plain") / "plain.zarr")


@pytest.fixture(scope="module")
def variant(tmp_path_factory):
    return store(tmp_path_factory.mktemp("variant") / "variant.zarr", alleles=True)


def about_of(text):
    """What the script of a page knows."""
    return json.loads(re.search(r'<script id="about" type="application/json">(.*?)</script>', text, re.DOTALL)[1])


def data_of(text):
    """The files inside a page."""
    found = re.findall(r'<script type="text/plain" data-file="([^"]*)">([^<]*)</script>', text)
    return {html.unescape(name): base64.b64decode(content) for name, content in found}


def without_igv(text):
    """A page without the text of igv.js and the comment with its licence."""
    return re.sub(r"<!-- igv.js .*?-->", "", text.replace(page._inline(page._asset("igv.min.js")), ""), flags=re.DOTALL)


def test_a_page_holds_its_tracks_genes_variants_and_bases(variant, tmp_path):
    path = tmp_path / "one.html"
    assert browse(variant, path, fasta=FASTA, gtf=GTF, vcf=VCF, title="HNF4A") == [str(path)]
    text = path.read_text()
    about, data = about_of(text), data_of(text)
    labels = ["cell A (+)", "cell A (-)", "HepG2 CTCF", EVIL, "liver"]
    assert [row["label"] for row in about["rows"]] == labels
    assert [signal["allele"] for signal in about["rows"][0]["signals"]] == ["REF", "ALT", "ALT-REF"]
    assert [signal["allele"] for signal in about["rows"][4]["signals"]] == ["REF", "ALT"]
    named = {signal["file"] for row in about["rows"] for signal in row["signals"]}
    assert set(data) == named | {"bases.fa", "genes.bed.gz", "variants.vcf.gz"}
    assert data["bases.fa"].startswith(b">chr20:44355001-44356024 @len=44460684\n")
    assert about["locus"] == "chr20:44,355,001-44,356,024"
    assert about["genes"]["HNF4A"][0] == "chr20"
    assert about["variants"] == [["chr20", 44355803, 44355804, "chr20:44355804:C>T"]]
    for name in named:
        content = data[name]
        (tmp_path / "x.bw").write_bytes(content)
        if name.endswith(".bw"):
            with pybigtools.open(str(tmp_path / "x.bw")) as file:
                assert file.info()["summary"]["basesCovered"] == BINS
    arcs = data["REF.splice_junctions.liver.0.arcs.bed"].decode().splitlines()
    assert [line.split("\t")[1:3] for line in arcs] == [["44355010", "44355700"], ["44355100", "44355300"]]


def test_a_page_names_no_address_and_lets_nothing_out(variant, tmp_path):
    browse(variant, tmp_path / "one.html", fasta=FASTA, gtf=GTF)
    text = without_igv((tmp_path / "one.html").read_text())
    assert not re.search(r"https?://", text)
    assert "igv.min.js.map" not in (tmp_path / "one.html").read_text()
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])
    assert "default-src 'none'" in policy
    assert "connect-src data: blob:;" in policy
    assert len(re.findall(r"'sha256-[^']+'", policy)) == 2
    assert "script-src 'sha256" in policy


def test_names_from_users_do_no_harm(plain, tmp_path):
    browse(plain, tmp_path / "one.html", title=EVIL, session=tmp_path / "s.xml", hub=tmp_path / "hub")
    text = (tmp_path / "one.html").read_text()
    assert "<img src=x" not in text
    assert f"<title>{html.escape(EVIL, quote=True)}".replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in text
    names = [track.get("name") for track in xml.parse(tmp_path / "s.xml").iter("Track")]
    assert f"ChIP TF {EVIL}" in names
    for line in (tmp_path / "hub" / "hg38" / "trackDb.txt").read_text().splitlines():
        assert not line.startswith("track ") or re.fullmatch(r"track [A-Za-z]\w*", line)


def test_ref_and_alt_share_an_axis_and_differences_have_zero_in_the_middle(variant, tmp_path):
    browse(variant, tmp_path / "one.html", outputs=["cage"])
    for row in about_of((tmp_path / "one.html").read_text())["rows"]:
        ref, alt, change = row["signals"]
        assert ref["limits"] == alt["limits"] == [0, 1]
        assert change["limits"][0] == -change["limits"][1]
        assert change["color"] != change["below"]
    assert [round_up(value) for value in (0, 0.9, 1.2, 61, 0.0301)] == [1, 1, 1.5, 80, 0.04]


def test_differences_are_alt_minus_ref(variant, tmp_path):
    browse(variant, tmp_path / "site", outputs=["cage"], tracks="strand=+")
    values = {}
    for allele in ("REF", "ALT", "ALT-REF"):
        with pybigtools.open(str(tmp_path / "site" / f"{allele}.cage.cell_A_plus.bw")) as file:
            values[allele] = file.values("chr20", START, START + BINS, fillna=np.nan)
    np.testing.assert_allclose(values["ALT"] - values["REF"], values["ALT-REF"], atol=1e-6)


def test_a_folder_has_the_page_and_files_for_other_tools(plain, tmp_path):
    site = tmp_path / "site"
    browse(plain, site, fasta=FASTA, gtf=GTF, vcf=VCF)
    text = (site / "index.html").read_text()
    assert not re.search(r"https?://", without_igv(text))
    assert "connect-src 'self'" in html.unescape(text)
    assert data_of(text) == {}
    for row in about_of(text)["rows"]:
        assert all((site / signal["file"]).is_file() for signal in row["signals"])
    for name in ("igv.min.js", "page.js", "igv.LICENSE.txt", "session.xml", "genes.bed.gz.tbi", "variants.vcf.gz.tbi"):
        assert (site / name).is_file(), name
    paths = [one.get("path") for one in xml.parse(site / "session.xml").iter("Resource")]
    assert paths
    assert all((site / path).is_file() for path in paths)
    with pytest.raises(InputError, match="site exists; choose another name"):
        browse(plain, site)
    browse(plain, site, force=True)
    (site / "index.html").unlink()
    with pytest.raises(InputError, match="was not made by this command"):
        browse(plain, site, force=True)


def test_a_session_names_files_beside_it(variant, tmp_path):
    written = browse(variant, session=tmp_path / "s.xml", gtf=GTF, region="chr20:44,355,100-44,355,900")
    assert written == [str(tmp_path / "s.xml"), str(tmp_path / "s_tracks")]
    session = xml.parse(tmp_path / "s.xml").getroot()
    assert (session.get("genome"), session.get("locus")) == ("hg38", "chr20:44,355,100-44,355,900")
    resources = [one.get("path") for one in session.iter("Resource")]
    assert "s_tracks/genes.bed.gz" in resources
    assert all((tmp_path / path).is_file() for path in resources)
    tracks = {track.get("id"): track for track in session.iter("Track")}
    assert set(resources) <= set(tracks)
    axis = tracks["s_tracks/ALT-REF.cage.cell_A_plus.bw"].find("DataRange")
    assert float(axis.get("minimum")) == -float(axis.get("maximum"))


def stanzas(path):
    """Entries of a file of a hub."""
    return [dict(line.split(" ", 1) for line in part.splitlines()) for part in path.read_text().strip().split("\n\n")]


@pytest.mark.parametrize("alleles", [False, True])
def test_a_hub_is_whole(alleles, plain, variant, tmp_path):
    browse(variant if alleles else plain, hub=tmp_path / "hub", title="My predictions of a place", vcf=VCF)
    (hub,) = stanzas(tmp_path / "hub" / "hub.txt")
    assert set(hub) == {"hub", "shortLabel", "longLabel", "genomesFile", "email"}
    assert len(hub["shortLabel"]) <= 17
    (genome,) = stanzas(tmp_path / "hub" / hub["genomesFile"])
    assert genome["genome"] == "hg38"
    tracks = stanzas(tmp_path / "hub" / genome["trackDb"])
    names = [track["track"] for track in tracks]
    assert len(set(names)) == len(names)
    for number, track in enumerate(tracks):
        assert re.fullmatch(r"[A-Za-z]\w*", track["track"])
        assert len(track["shortLabel"]) <= 17
        assert len(track["longLabel"]) <= 76
        if "parent" in track:
            assert track["parent"].split()[0] in names[:number]
        if "bigDataUrl" in track:
            assert (tmp_path / "hub" / "hg38" / track["bigDataUrl"]).is_file()
            assert track["type"].split()[0] in ("bigWig", "bigBed", "vcfTabix")
        else:
            assert track.get("superTrack") or track.get("compositeTrack") or track.get("container") == "multiWig"
        for name in ("viewLimits", "color"):
            assert re.fullmatch(r"[-\d.e]+[:,][-\d.e,]+", track.get(name, "0:1"))
    composites = [track for track in tracks if "compositeTrack" in track]
    assert len(composites) == (4 if alleles else 0)
    (strands,) = [track for track in tracks if "container" in track] or [None]
    assert (strands is None) == alleles
    if not alleles:
        pair = [track for track in tracks if track.get("parent") == strands["track"]]
        assert [track.get("negateValues") for track in pair] == [None, "on"]
    big = next(track for track in tracks if track.get("type") == "bigBed 12")
    with pybigtools.open(str(tmp_path / "hub" / "hg38" / big["bigDataUrl"])) as file:
        first = next(iter(file.records("chr20")))
    assert first[:2] == (START + 9, START + 701)


def test_many_places_are_offered_by_name(tmp_path):
    writer = StoreWriter(
        tmp_path / "work", {"chip_tf": TABLES["chip_tf"]}, {**ATTRS, "places": ["a", "b"]}, fingerprint=""
    )
    for place, start in (("b", 128_000), ("a", 44_355_000 // 128 * 128)):
        region = f"chr20:{start}-{start + 256}:."
        attrs = {**attributes("chip_tf", 128), "interval": region, "region": region}
        writer.create(place, Block("chip_tf", "prediction", ("position", "track"), (2, 2), attrs))[:] = np.ones(
            (2, 2), "f4"
        )
        writer.close_place(place)
    path = writer.finish()
    browse(path, tmp_path / "one.html")
    text = (tmp_path / "one.html").read_text()
    places = ["chr20:44,354,945-44,355,200", "chr20:128,001-128,256"]
    assert sorted(place["name"] for place in about_of(text)["places"]) == sorted(places)
    assert all(f'<option value="{place}">' in text for place in places)
    assert data_of(text)["bases.fa"] == b">chr20:1-1 @len=44460684\nN\n"
    writer.discard()


def test_places_without_junctions_and_genes_are_shown(tmp_path, capfd):
    tables = {name: TABLES[name] for name in ("cage", "splice_junctions")}
    writer = StoreWriter(tmp_path / "work", tables, {**ATTRS, "places": [""]}, fingerprint="")
    block = Block("cage", "prediction", ("position", "track"), (BINS, 2), attributes("cage", 1))
    writer.create("", block)[:] = np.zeros((BINS, 2), np.float32)
    coords = {"start": np.zeros(0, int), "end": np.zeros(0, int), "strand": np.zeros(0, object)}
    more = attributes("splice_junctions", 1)
    writer.create("", Block("splice_junctions", "count", ("junction", "track"), (0, 1), more, coords))
    writer.close_place("")
    (tmp_path / "few.gtf").write_text('chr1\tx\texon\t1\t9\t.\t+\t.\tgene_id "g"; transcript_id "t";\n')
    browse(writer.finish(), tmp_path / "one.html", hub=tmp_path / "hub", gtf=tmp_path / "few.gtf")
    data = data_of((tmp_path / "one.html").read_text())
    assert data["splice_junctions.liver.0.arcs.bed"] == b""
    assert gzip.decompress(data["genes.bed.gz"]) == b""
    assert not [track for track in stanzas(tmp_path / "hub" / "hg38" / "trackDb.txt") if "junctions" in track["track"]]
    assert capfd.readouterr().out == ""
    writer.discard()


def test_a_folder_of_bigwigs_is_shown_too(tmp_path):
    tree = write(MemoryWriter(TABLES, ATTRS)).tree()
    write_bigwigs(tree, tmp_path / "tracks")
    with pytest.raises(InputError, match="a session of IGV needs a genome; give --assembly"):
        browse(tmp_path / "tracks", session=tmp_path / "s.xml")
    with pytest.raises(InputError, match="assembly '': a track hub needs UCSC's name"):
        browse(tmp_path / "tracks", hub=tmp_path / "hub")
    browse(tmp_path / "tracks", tmp_path / "one.html", tracks="CTCF", assembly="hg38")
    about = about_of((tmp_path / "one.html").read_text())
    assert [row["label"] for row in about["rows"]] == ["HepG2 CTCF"]
    assert about["locus"] == "chr20:44,355,001-44,356,024"


def test_what_cannot_be_shown_is_refused(plain, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"holds no predictions; expected a \.zarr or a folder"):
        browse(tmp_path, tmp_path / "one.html")
    with pytest.raises(InputError, match="nothing to write; give -o"):
        browse(plain)
    with pytest.raises(InputError, match=r"expected NAME\.html, or a name without suffix"):
        browse(plain, tmp_path / "one.pdf")
    with pytest.raises(InputError, match=r"must be called NAME\.xml"):
        browse(plain, session=tmp_path / "one.session")
    with pytest.raises(InputError, match="the same name"):
        browse(plain, tmp_path / "one", hub=tmp_path / "one")
    with pytest.raises(InputError, match=r"no tracks of contact_maps, rna_seq to show; the predictions have cage"):
        browse(plain, tmp_path / "one.html", outputs=["contact_maps", "RNA-seq"])
    with pytest.raises(InputError, match="fits 'K562'"):
        browse(plain, tmp_path / "one.html", tracks="K562")
    with pytest.raises(InputError, match="the predictions are on chr20"):
        browse(plain, tmp_path / "one.html", region="chr1:1-100")
    with pytest.raises(InputError, match="is no VCF file"):
        browse(plain, tmp_path / "one.html", vcf=GTF)
    monkeypatch.setattr("ag_scorers.browser.collection.MOST_TRACKS", 3)
    with pytest.raises(InputError, match=r"5 tracks \(2 of cage.*more than a page can show \(3\); choose some"):
        browse(plain, tmp_path / "one.html")
    monkeypatch.setattr("ag_scorers.browser.page.LARGEST", 1_000_000)
    with pytest.raises(InputError, match=r"browsers open 1 MB with ease.*give a folder: -o .*one$"):
        browse(plain, tmp_path / "one.html", outputs=["cage"])
    assert not (tmp_path / "one.html").exists()


def test_the_command(plain, tmp_path, capsys):
    assert run(["browse", str(plain), "-o", str(tmp_path / "one.html"), "--outputs", "cage", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] == [str(tmp_path / "one.html")]
    assert run(["browse", str(plain)]) == 2
    assert "nothing to write" in capsys.readouterr().err


def test_igv_has_its_licence_and_is_whole():
    text = page._asset("igv.min.js")
    assert "</script" not in text
    assert len(text) > 1_000_000
    assert "The MIT License" in page._asset("igv.LICENSE.txt")
