"""Takes a picture of a page as a browser shows it: `python docs/screenshots.py PAGE OUT.png`.

Options: [--width 1200] [--height 900] [--dark]. PAGE is an HTML file or a URL; height 0 takes the whole page. Needs
selenium, Chromium and its driver (Debian: chromium, chromium-driver).
"""

import argparse
import base64
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import visibility_of_element_located
from selenium.webdriver.support.ui import WebDriverWait

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
STATE = (
    "return [document.readyState, performance.getEntriesByType('resource').length, "
    "document.body && document.body.innerHTML.length]"
)


def take(
    page: str,
    out: Path,
    width: int = 1200,
    height: int = 900,
    dark: bool = False,
    wait: str | None = None,
    click: str | None = None,
) -> None:
    """Writes `page` to `out` as PNG, once nothing has been loaded or changed for two seconds.

    Args:
        page: A file or a URL.
        out: The file that is written.
        width: CSS pixels.
        height: CSS pixels; 0 takes the whole page.
        dark: Whether the page is shown as on a dark desktop.
        wait: CSS selector of an element that must be visible first.
        click: CSS selector of an element that is then clicked.
    """
    with tempfile.TemporaryDirectory() as profile:
        options = Options()
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        try:
            screen = {"width": width, "height": height or 900, "deviceScaleFactor": 1, "mobile": False}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
            browser.get(page if "://" in page else Path(page).resolve().as_uri())
            if wait:
                WebDriverWait(browser, 60).until(visibility_of_element_located((By.CSS_SELECTOR, wait)))
            settle(browser)
            if click:
                browser.find_element(By.CSS_SELECTOR, click).click()
                settle(browser)
            shot = browser.execute_cdp_cmd(
                "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": height == 0}
            )
            out.write_bytes(base64.b64decode(shot["data"]))
        finally:
            browser.quit()


def settle(browser: webdriver.Chrome, quiet: float = 2.0, longest: float = 60.0) -> None:
    """Returns once the page is loaded and has not changed for `quiet` seconds, or after `longest`.

    Some pages never rest.
    """
    end = time.monotonic() + longest
    before, since = None, time.monotonic()
    while time.monotonic() < end:
        now = browser.execute_script(STATE)
        if now != before or now[0] != "complete":
            before, since = now, time.monotonic()
        elif time.monotonic() - since >= quiet:
            return
        time.sleep(0.2)


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("page")
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=1200)
    parser.add_argument("--height", type=int, default=900, help="0: the whole page")
    parser.add_argument("--dark", action="store_true", help="as a reader with a dark desktop sees it")
    parser.add_argument("--wait", help="CSS selector of an element that must be visible first")
    parser.add_argument(
        "--click", help="CSS selector of an element to click before, like a panel's button that closes it"
    )
    asked = parser.parse_args()
    take(asked.page, asked.out, asked.width, asked.height, asked.dark, asked.wait, asked.click)


if __name__ == "__main__":
    main()
