"""Steps that several journeys share."""

import time
from collections.abc import Callable

from django.db import OperationalError
from playwright.sync_api import Page, expect


def begin(
    page: Page,
    server: str,
    slug: str = "handwriting",
    question: str = "Does this image contain: concept",
) -> None:
    """Go from the rater link to the first task, with the keyboard and Enter where it matters."""
    page.goto(f"{server}/r/{slug}/")
    page.get_by_role("button", name="I agree, start").press("Enter")
    expect(page.get_by_role("heading", name="How it works")).to_be_visible()
    page.get_by_role("button", name="Show me the first task").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(question)


def enhanced(page: Page) -> None:
    """Wait until the task's script has taken over."""
    page.wait_for_selector("body.enhanced")


def saved(page: Page) -> None:
    """Wait until the server has acknowledged every answer."""
    expect(page.locator("#save-state")).to_have_attribute("data-state", "saved")


def n_marked(page: Page) -> int:
    """Count the items that the overview shows as answered."""
    return page.locator(".thumb[data-value]").count()


def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until something holds; the page's own waiting needs eval, which the policy forbids."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.05)


def write(change: Callable[[], object]) -> None:
    """Write to the database as soon as the server's last reads let go of it.

    SQLite in memory, which the live server shares with the test, refuses where a file would wait.
    """

    def written() -> bool:
        try:
            change()
        except OperationalError as error:
            if "locked" not in str(error):
                raise
            return False
        return True

    until(written)
