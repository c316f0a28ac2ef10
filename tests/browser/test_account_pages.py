"""Login, its limit, the change of the password, error pages: looked at, and by axe."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.annotation.factories import make_user
from tests.browser.conftest import PHONE, WIDE
from tests.browser.researcher import log_in, overflow, shoot, violations

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NEW = "a long and unusual phrase"


@pytest.mark.parametrize(
    ("scheme", "view"), [("light", WIDE), ("dark", PHONE)], ids=["light-wide", "dark-phone"]
)
def test_account_pages(
    open_page: Callable[..., Page], live_server, settings, scheme: str, view: dict
) -> None:
    user = make_user()
    settings.NEURONJURY_THROTTLES = {**settings.NEURONJURY_THROTTLES, "login": (2, 150)}
    # axe is put into the page, which the content security policy forbids to anybody else
    page = open_page(bypass_csp=True, color_scheme=scheme, **view)
    page.expected += ["404", "429"]  # type: ignore[attr-defined]
    found: list[str] = []

    def look(name: str) -> None:
        found.extend(f"{name}: {text}" for text in violations(page))
        if overflow(page) > 0:
            found.append(f"{name}: wider than the window")
        shoot(page, f"{name}-{scheme}")

    page.goto(f"{live_server.url}/accounts/login/")
    look("login")
    log_in(page, live_server.url, user.username)
    page.goto(f"{live_server.url}/accounts/password_change/")
    look("password")
    page.get_by_label("Present password").fill("password")
    for label in ("New password", "New password, again"):
        page.get_by_label(label, exact=True).fill("short")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_text("too short")).to_be_visible()
    look("password-refused")
    page.get_by_label("Present password").fill("password")
    for label in ("New password", "New password, again"):
        page.get_by_label(label, exact=True).fill(NEW)
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_role("heading")).to_have_text("The password is changed")
    look("password-changed")
    page.goto(f"{live_server.url}/nothing/here/")
    expect(page.get_by_role("heading")).to_have_text("There is no page here")
    look("404")

    page.context.clear_cookies()
    page.goto(f"{live_server.url}/accounts/login/")
    for attempt in range(3):
        page.get_by_label("User name").fill(user.username)
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        if attempt == 0:
            expect(page.get_by_role("alert")).to_be_visible()
            look("login-wrong")
    expect(page.get_by_role("heading")).to_have_text("Too many tries")
    expect(page.get_by_text("Wait ")).to_be_visible()
    look("429")
    assert found == []
