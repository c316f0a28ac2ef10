"""What the tests of the researcher's pages do in the browser."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import PHONE, WIDE
from tests.browser.contrast import poor_contrast

#: A folder for screenshots of every page that is looked at; nothing is written without it.
SHOTS = os.environ.get("NEURONJURY_SHOTS", "")


def log_in(page: Page, server: str, username: str) -> None:
    page.goto(f"{server}/accounts/login/")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill("password")
    page.get_by_role("button", name="Log in").press("Enter")
    page.wait_for_url(f"{server}/")


def looks(open_page: Callable[..., Page], server: str, username: str) -> dict[str, Page]:
    """A wide window and a phone, logged in once, that let axe in.

    Axe runs as an injected script, which the policy rightly forbids everywhere else.
    """
    wide = open_page(bypass_csp=True, **WIDE)
    log_in(wide, server, username)
    known = wide.context.storage_state()
    return {"wide": wide, "phone": open_page(bypass_csp=True, storage_state=known, **PHONE)}


def scheme_set(page: Page, scheme: Any) -> None:
    """Turn the page light or dark, without colours that fade: they are of neither scheme."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")


def violations(page: Page) -> list[str]:
    """What axe finds: the rule, and the first place where it is broken; and poor contrast."""
    options = {"resultTypes": ["violations"], "rules": {"color-contrast": {"enabled": False}}}
    found: list[dict[str, Any]] = Axe().run(page, options=options).response["violations"]
    broken = [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in found]
    return broken + poor_contrast(page)


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def look(page: Page, name: str, *, both: bool = False) -> list[str]:
    """What axe finds on a page as it stands, narrow in dark, and wide in light too where asked.

    One page serves for all looks: a login and a page for each is most of what a test takes. It
    must fit either way.
    """
    found: list[str] = []
    for width, scheme, by_axe in (
        (1280, "light", both),
        (1280, "dark", False),
        (390, "light", False),
        (390, "dark", True),
    ):
        if not (by_axe or SHOTS):
            continue
        page.set_viewport_size({"width": width, "height": 844})
        # without motion: colours that fade into each other are of neither scheme
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        shoot(page, f"{name}-{width}-{scheme}")
        assert overflow(page) <= 0, f"{name} at {width}"
        if by_axe:
            found += [f"{name} {width} {scheme}: {problem}" for problem in violations(page)]
    return found


def overflow(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    assert page.viewport_size is not None
    # a phone's window grows with a page that is too wide, its screen does not
    return page.evaluate("document.documentElement.scrollWidth") - page.viewport_size["width"]
