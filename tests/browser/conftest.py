"""A real Chromium against a live server. Every page is watched: a console error, a breach of the
content security policy or a failed request that the test did not provoke fails the test."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from annotation.models import Study
from tests.annotation.factories import make_study

# Playwright's sync API runs an event loop, in which Django would refuse to use the database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

SYSTEM_CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


def chromium_path(playwright: Playwright) -> str | None:
    """Prefer Playwright's own browser where it is installed, else the system's."""
    if Path(playwright.chromium.executable_path).exists():
        return None
    return next((path for path in SYSTEM_CHROMIUM if Path(path).exists()), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = chromium_path(playwright)
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page in a browser profile of its own; at the end, nothing may have gone wrong in it.

    ``page.expected`` lists words of console messages that the test provokes.
    """
    contexts: list[BrowserContext] = []
    problems: list[tuple[list[str], str]] = []

    def open_one(**options: Any) -> Page:
        context = browser.new_context(**{**WIDE, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        expected: list[str] = []
        page.expected = expected  # type: ignore[attr-defined]
        page.on(
            "console",
            lambda message: (
                message.type in {"error", "warning"} and problems.append((expected, message.text))
            ),
        )
        page.on("pageerror", lambda error: problems.append((expected, str(error))))
        return page

    yield open_one
    for context in contexts:
        context.close()
    unexpected = [
        text for expected, text in problems if not any(words in text for words in expected)
    ]
    assert unexpected == []


@pytest.fixture
def study(transactional_db: None) -> Study:
    return make_study(title="Handwriting", slug="handwriting", n_inputs=60)
