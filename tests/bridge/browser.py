"""A real browser without a window: Chromium and its driver, from Debian's packages."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import SessionNotCreatedException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from testbed import debian

PROGRAMS = {"chromium": "chromium", "chromedriver": "chromium-driver"}
# Of a busy machine; only what fails waits so long.
_PATIENCE = 180
_TRIES = 4


class Browser:
    """What a test sees and does."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        self.driver.get(url)

    def all(self, selector: str) -> list[WebElement]:
        """What is there and can be seen."""
        return [each for each in self.driver.find_elements(By.CSS_SELECTOR, selector) if each.is_displayed()]

    def one(self, selector: str) -> WebElement:
        (found,) = self.all(selector)
        return found

    def text(self, selector: str = "body") -> str:
        return str(self.driver.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def rows(self, section: str) -> list[list[str]]:
        """The cells of a section's table."""
        script = "return [...document.querySelectorAll(arguments[0] + ' tbody tr')].map(r => [...r.cells].map(c => c.innerText.trim()))"
        return [list(map(str, row)) for row in self.driver.execute_script(script, f"#{section}")]

    def until(self, what: str, holds: Callable[[], object]) -> None:
        WebDriverWait(self.driver, _PATIENCE, 0.1).until(lambda _: holds(), f"never: {what}; {self.text()}")

    def enter(self, token: str) -> None:
        self.until("a token is asked for", lambda: self.all("#token"))
        self.one("#token").send_keys(token)
        self.one("#enter button").click()

    def complaints(self) -> list[str]:
        """What the console says, of errors."""
        entries: list[Any] = self.driver.get_log("browser")
        return [str(each["message"]) for each in entries if each["level"] in ("SEVERE", "WARNING")]

    def picture(self, path: Path) -> None:
        self.driver.save_screenshot(str(path))


@contextmanager
def browser(width: int = 1280, height: int = 900) -> Iterator[Browser]:
    """One with nothing remembered.

    Raises:
        UnavailableError: There is none, and it cannot be installed.
    """
    debian.need(PROGRAMS)
    options = Options()
    options.binary_location = debian.program("chromium")
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", f"--window-size={width},{height}"):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # Loopback is not asked of a proxy that the environment may have.
    options.add_argument("--no-proxy-server")
    driver = _started(options)
    try:
        yield Browser(driver)
    finally:
        driver.quit()


def _started(options: Options) -> webdriver.Chrome:
    # The driver gives a browser a minute to start, which on a busy machine may not be enough at first.
    for _ in range(_TRIES):
        with contextlib.suppress(SessionNotCreatedException):
            return webdriver.Chrome(options=options, service=Service(debian.program("chromedriver")))
    return webdriver.Chrome(options=options, service=Service(debian.program("chromedriver")))
