"""What the tests of the researcher's pages do in the browser."""

import os
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

#: A folder for screenshots of every page that is looked at; nothing is written without it.
SHOTS = os.environ.get("NEURONJURY_SHOTS", "")


def log_in(page: Page, server: str, username: str) -> None:
    page.goto(f"{server}/accounts/login/")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill("password")
    page.get_by_role("button", name="Log in").press("Enter")
    page.wait_for_url(f"{server}/")


def violations(page: Page) -> list[str]:
    """What axe finds: the rule, and the first place where it is broken."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in found]


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def overflow(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    assert page.viewport_size is not None
    # a phone's window grows with a page that is too wide, its screen does not
    return page.evaluate("document.documentElement.scrollWidth") - page.viewport_size["width"]
