"""The page of `agenome report variant`, driven in a real browser: three variants of the HNF4A promoter."""

import pathlib

import pytest
from ag_core.cli import run

pytestmark = pytest.mark.browser
DATA = pathlib.Path(__file__).parents[2] / "examples" / "data"
FASTA, GTF = DATA / "HNF4A.hg38.fa.gz", DATA / "HNF4A.hg38.gtf.gz"
LAPTOP, PHONE = (1280, 800), (390, 844)
VARIANTS = ("chr20:44355520:C>T", "chr20:44355637:G>A", "chr20:44355746:G>A")


@pytest.fixture(scope="session")
def report_page(tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "report.html"
    files = ["--fasta", str(FASTA), "--gtf", str(GTF), "-o", str(path), "-q"]
    assert run(["report", "variant", *VARIANTS, *files, "--details", "1"]) == 0
    return path


@pytest.fixture(params=[LAPTOP, PHONE], ids=["laptop", "phone"])
def shown(request, page, report_page):
    shown = page(report_page, *request.param)
    yield shown
    assert shown.console_errors() == []
    assert shown.requests() == [report_page.as_uri()]
    assert not shown.overflows()


def variants(shown):
    """First cells of the rows in view."""
    return [
        row.find_element("css selector", "td").text
        for row in shown.find_all("#variants tbody tr")
        if row.is_displayed()
    ]


def test_rows_are_sorted(shown):
    assert variants(shown) == list(VARIANTS)
    heads = shown.find_all("#variants th")
    odds = next(number for number, head in enumerate(heads) if head.text.startswith("Odds"))
    heads[odds].find_element("css selector", "button").click()
    assert heads[odds].get_attribute("aria-sort") == "descending"
    cells = [row.find_elements("css selector", "td")[odds].text for row in shown.find_all("#variants tbody tr")]
    assert [float(cell) for cell in cells] == sorted(map(float, cells), reverse=True)
    heads[0].find_element("css selector", "button").click()
    assert variants(shown) == list(VARIANTS)
    heads[0].find_element("css selector", "button").click()
    assert variants(shown) == list(VARIANTS)[::-1]


def test_rows_are_filtered_and_downloaded(shown):
    box = shown.find("#filter")
    box.send_keys("exon 1")
    assert variants(shown) == [VARIANTS[2]]
    assert shown.find("#count").text == "1 of 3 variants"
    shown.find("#download").click()
    lines = shown.download("variants.tsv").decode().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["Variant", VARIANTS[2]]


def test_pictures_are_there_and_in_place(shown):
    images = shown.find_all("figure img")
    assert len(images) == 4
    for image in images:
        assert int(image.get_property("naturalWidth")) > 900
    shown.find("#variants a").click()
    top = shown.driver.execute_script("return document.querySelector('article').getBoundingClientRect().top")
    assert abs(top) < 5
    shown.shot(f"report-{shown.driver.execute_script('return innerWidth')}")
