"""Pages in headless Chromium (Debian's chromium and chromium-driver).

    def test_a_page(page):
        shown = page("/tmp/report.html", 390, 844)
        shown.driver.find_element("id", "filter").send_keys("CTCF")
        assert shown.console_errors() == []

Where there is no Chromium, tests are skipped; with AG_NEED_BROWSER=1, as `hatch run browser` sets it, they fail.
AG_SCREENSHOTS=DIR keeps the pictures of `shot`.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import time
from collections.abc import Callable
from typing import Any

import pytest

LAPTOP, PHONE = (1280, 800), (390, 844)
# No start page, no update, no sync: what the browser asks for is what the page asks for.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-device-scale-factor=1",
)
PATIENCE = 60  # seconds; machines may be busy


@dataclasses.dataclass
class Page:
    """One page in one browser; `driver` is selenium's, `downloads` the folder where files arrive."""

    driver: Any
    downloads: pathlib.Path
    pictures: pathlib.Path
    _log: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def wait(self, ready: Callable[[Any], Any], patience: float = PATIENCE) -> Any:
        """What `ready(driver)` gives as soon as it is true."""
        from selenium.webdriver.support.wait import WebDriverWait

        return WebDriverWait(self.driver, patience, poll_frequency=0.1).until(ready)

    def find(self, selector: str) -> Any:
        """The first element that a CSS selector finds."""
        return self.driver.find_element("css selector", selector)

    def find_all(self, selector: str) -> list[Any]:
        """All elements that a CSS selector finds."""
        return self.driver.find_elements("css selector", selector)

    def console_errors(self) -> list[str]:
        """What the console says that is an error, since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def requests(self) -> list[str]:
        """Addresses that the page has asked for, without those that carry their data (data:, blob:)."""
        for entry in self.driver.get_log("performance"):
            self._log.append(json.loads(entry["message"])["message"])
        asked = [m["params"]["request"]["url"] for m in self._log if m["method"] == "Network.requestWillBeSent"]
        return [url for url in asked if not url.startswith(("data:", "blob:", "chrome:", "chrome-untrusted:"))]

    def shot(self, name: str) -> pathlib.Path:
        """Saves a picture of what is in view."""
        self.pictures.mkdir(parents=True, exist_ok=True)
        path = self.pictures / f"{name}.png"
        path.write_bytes(self.driver.get_screenshot_as_png())
        return path

    def download(self, name: str, patience: float = PATIENCE) -> bytes:
        """A file that the page was made to save, when it is there."""
        path, end = self.downloads / name, time.monotonic() + patience
        while not path.is_file() or any(self.downloads.glob("*.crdownload")):
            assert time.monotonic() < end, f"{name} did not arrive; there are {os.listdir(self.downloads)}"
            time.sleep(0.1)
        return path.read_bytes()

    def overflows(self) -> bool:
        """Whether the page is wider than the window."""
        return self.driver.execute_script(
            "return document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )


def _missing() -> str:
    """What is not there that these tests need."""
    lost = [program for program in ("chromium", "chromedriver") if shutil.which(program) is None]
    try:
        import selenium  # noqa: F401
    except ImportError:
        lost.append("selenium")
    return ", ".join(lost)


@pytest.fixture(scope="session")
def chromium():
    """Paths of the browser and of its driver."""
    if lost := _missing():
        why = f"{lost} not found; apt-get install chromium chromium-driver, pip install selenium"
        pytest.fail(why) if os.environ.get("AG_NEED_BROWSER") == "1" else pytest.skip(why)
    return shutil.which("chromium"), shutil.which("chromedriver")


@pytest.fixture
def page(chromium, tmp_path):
    """`page(path_or_url, width, height)` opens a page in a browser of its own and returns a `Page`."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    opened = []

    def open_page(path_or_url: str | os.PathLike[str], width: int = LAPTOP[0], height: int = LAPTOP[1]) -> Page:
        home = tmp_path / f"browser{len(opened)}"
        downloads = home / "downloads"
        downloads.mkdir(parents=True)
        options = webdriver.ChromeOptions()
        options.binary_location = chromium[0]
        for flag in (*FLAGS, f"--user-data-dir={home / 'profile'}", f"--window-size={max(width, 500)},{height}"):
            options.add_argument(flag)
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(chromium[1]))
        opened.append(driver)
        driver.set_page_load_timeout(PATIENCE)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.execute_cdp_cmd("Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
        url = str(path_or_url)
        driver.get(url if "://" in url else pathlib.Path(url).absolute().as_uri())
        return Page(driver, downloads, pathlib.Path(os.environ.get("AG_SCREENSHOTS", tmp_path / "pictures")))

    yield open_page
    for driver in opened:
        driver.quit()
