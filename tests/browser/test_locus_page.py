"""The page of `agenome browse`, driven in a real browser: predictions of the embedded model at the HNF4A promoter."""

import functools
import http.server
import pathlib
import threading
import time
from xml.etree import ElementTree as xml

import pybigtools
import pytest
from ag_scorers import write_predictions
from ag_scorers.browser import browse

try:
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.select import Select
except ImportError:  # the fixture `page` says so
    Keys = Select = None

pytestmark = pytest.mark.browser
DATA = pathlib.Path(__file__).parents[2] / "examples" / "data"
FASTA, GTF, VCF = (DATA / f"HNF4A.{name}" for name in ("hg38.fa.gz", "hg38.gtf.gz", "mpra.vcf.gz"))
LAPTOP, PHONE = (1280, 800), (390, 844)
ALLELES = 3  # REF, ALT and their difference


@pytest.fixture(scope="session")
def predictions(tmp_path_factory):
    path = tmp_path_factory.mktemp("predictions") / "variant.zarr"
    wanted = {"outputs": ["chip_tf", "cage"], "tracks": "HepG2 & (CTCF | HNF4A | FOXA1) | name=CNhs10752"}
    write_predictions([path], variant="chr20:44355804:C>T", window=16_384, fasta=FASTA, gtf=GTF, **wanted)
    return path


@pytest.fixture(scope="session")
def locus_page(predictions, tmp_path_factory):
    """The page in one file."""
    path = tmp_path_factory.mktemp("pages") / "locus.html"
    browse(predictions, path, fasta=FASTA, gtf=GTF, vcf=VCF, title="HNF4A promoter, chr20:44355804:C>T")
    return path


@pytest.fixture(params=[LAPTOP, PHONE], ids=["laptop", "phone"])
def shown(request, page, locus_page):
    """The page, drawn, at both sizes; nothing may go wrong or out while it is used."""
    shown = page(locus_page, *request.param)
    settle(shown)
    if request.param == PHONE:
        shown.find("summary").click()
    yield shown
    assert shown.console_errors() == []
    assert shown.requests() == [locus_page.as_uri()]
    assert not shown.overflows()


def settle(shown):
    """Waits until all is drawn."""
    shown.wait(lambda driver: driver.execute_script("return document.body.dataset.ready") == "yes")
    return shown


def count(shown):
    """Tracks of predictions that are drawn."""
    return int(shown.driver.execute_script("return document.body.dataset.shown"))


def drawn(shown):
    """Names of all tracks that igv.js draws."""
    script = 'return [...document.getElementById("igv").shadowRoot.querySelectorAll(".igv-track-label")]'
    return shown.driver.execute_script(f"{script}.map((label) => label.textContent)")


def rows(shown):
    """Names of the rows that the list shows."""
    return [row.text for row in shown.find_all("#list .row .label") if row.is_displayed()]


def locus(shown):
    return shown.find("#locus").get_property("value")


def width(shown):
    start, end = locus(shown).replace(",", "").split(":")[1].split("-")
    return int(end) - int(start) + 1


def test_it_draws_the_tracks(shown):
    names = drawn(shown)
    assert {"genes", "variants"} < set(names)
    assert sum("REF" in name for name in names) > 2
    assert count(shown) == len([name for name in names if "HepG2" in name or "CAGE" in name or "CNhs" in name])
    assert shown.find("#status").text == ""
    inked = """return [...document.getElementById("igv").shadowRoot.querySelectorAll(".igv-viewport canvas")]
      .filter((canvas) => canvas.width && canvas.height)
      .map((canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data)
      .filter((pixels) => pixels.some((value) => value > 0))
      .length"""
    assert shown.driver.execute_script(inked) >= count(shown)
    shown.driver.execute_script("window.scrollTo(0, 0)")
    shown.shot(f"locus-{shown.driver.execute_script('return innerWidth')}")


def test_the_list_can_be_filtered_and_ticked(shown):
    everything = rows(shown)
    box = shown.find("#filter")
    box.send_keys("hepg2 ctcf")
    assert rows(shown) == ["HepG2 CTCF"]
    shown.shot(f"filter-{shown.driver.execute_script('return innerWidth')}")
    before, tick = count(shown), shown.find("#list .row:not([hidden]) input")
    change = -ALLELES if tick.is_selected() else ALLELES
    tick.click()
    shown.wait(lambda _: count(shown) == before + change)
    assert any("HepG2 CTCF" in name for name in drawn(shown)) == (change > 0)
    tick.click()
    shown.wait(lambda _: count(shown) == before)
    box.send_keys(Keys.CONTROL, "a")
    box.send_keys("no such track")
    assert rows(shown) == []
    assert shown.find("#nothing").is_displayed()
    box.send_keys(Keys.CONTROL, "a", Keys.BACKSPACE)
    assert rows(shown) == everything
    shown.find("#none").click()
    shown.wait(lambda _: count(shown) == 0)
    shown.find("#all").click()
    shown.wait(lambda _: count(shown) == len(everything) * ALLELES)
    assert f"{len(everything)} of {len(everything)} shown" in shown.find("summary").text


def test_alleles_can_be_left_out(shown):
    before = count(shown)
    for box in shown.find_all("#alleles input")[:2]:
        box.click()
    shown.wait(lambda _: count(shown) == before // ALLELES)
    assert not any(name.startswith(("REF ", "ALT ")) for name in drawn(shown))


def test_it_goes_where_it_is_told(shown):
    whole = locus(shown)
    assert whole == "chr20:44,347,613-44,363,996"
    shown.find("#zoom-in").click()
    shown.wait(lambda _: width(shown) == 16_384 // 2)
    shown.find("#zoom-out").click()
    shown.wait(lambda _: width(shown) == 16_384)
    box = shown.find("#locus")

    def go(text):
        box.send_keys(Keys.CONTROL, "a")
        box.send_keys(text, Keys.ENTER)

    go("20:44355770-44355840")
    shown.wait(lambda _: locus(shown) == "chr20:44,355,770-44,355,840")
    go("hnf4a")
    shown.wait(lambda _: 70_000 < width(shown) < 100_000)
    shown.find("#whole").click()
    shown.wait(lambda _: locus(shown) == whole)
    for wrong, said in (
        ("nowhere", "Cannot find"),
        ("chr20:44,460,999", "chr20 has 44,460,684 bp"),
        ("chr7:1-2", "Can"),
    ):
        go(wrong)
        shown.wait(lambda _, said=said: said in shown.find("#status").text)
    go("chr20:44355770-44355840")
    shown.wait(lambda _: shown.find("#status").text == "")


def test_axes_can_be_shared(shown):
    script = """const root = document.getElementById("igv").shadowRoot;
      return [...root.querySelectorAll(".igv-axis-column canvas")].map((canvas) => canvas.toDataURL()).join()"""
    axes = []
    for choice in ("limits", "shared", "view"):
        Select(shown.find("#scale")).select_by_value(choice)
        shown.wait(lambda d: not axes or d.execute_script(script) != axes[-1])
        axes.append(shown.driver.execute_script(script))
    assert len(set(axes)) == 3


def test_tracks_and_sessions_can_be_saved(shown, predictions):
    link = next(
        link for link in shown.find_all("#list .files a") if link.get_attribute("download").startswith("ALT-REF")
    )
    name = link.get_attribute("download")
    shown.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", link)
    link.click()
    shown.download(name)
    with pybigtools.open(str(shown.downloads / name)) as file:
        assert file.info()["summary"]["basesCovered"] == 16_384
    box = shown.find("#locus")
    box.send_keys(Keys.CONTROL, "a")
    box.send_keys("chr20:44355770-44355840", Keys.ENTER)
    shown.wait(lambda _: locus(shown) == "chr20:44,355,770-44,355,840")
    shown.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", shown.find("#session"))
    shown.find("#session").click()
    session = xml.fromstring(shown.download("session.xml"))
    assert session.get("locus") == "chr20:44,355,770-44,355,840"
    assert name in [one.get("path") for one in session.iter("Resource")]


def test_a_folder_works_with_a_server_that_knows_no_ranges(page, predictions, tmp_path):
    browse(predictions, tmp_path / "site", fasta=FASTA, gtf=GTF)
    handler = functools.partial(_Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        home = f"http://127.0.0.1:{server.server_address[1]}/"
        shown = settle(page(home, *LAPTOP))
        assert count(shown) > 2
        assert "genes" in drawn(shown)
        time.sleep(0.5)
        assert {url.startswith(home) for url in shown.requests()} == {True}
        assert shown.console_errors() == []
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        """Nothing on the terminal."""
