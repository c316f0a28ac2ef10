"""Tokens and the API's reference in a real browser: made and shown once, by axe, on a phone too."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from annotation.models import ApiToken
from annotation.services.tokens import token_digest
from tests.annotation.factories import make_user
from tests.annotation.factories_api import make_token
from tests.browser.conftest import PHONE, WIDE
from tests.browser.researcher import log_in, looks, overflow, scheme_set, shoot, violations

Open = Callable[..., Page]


def looked_at(page: Page, name: str) -> list[str]:
    """What axe finds, poor contrast, and whether the page is wider than its window."""
    shoot(page, name)
    too_wide = ["too wide"] if overflow(page) > 0 else []
    return [f"{name} {text}" for text in violations(page) + too_wide]


def test_axe_finds_nothing(open_page: Open, live_server, transactional_db: None) -> None:
    user = make_user("ada")
    for number, (name, scopes) in enumerate(
        [("weekly report", ["read"]), ("launches from the cluster", ["read", "write", "pay"])]
    ):
        token, _ = make_token(user, *scopes, name=name)
        if number:
            ApiToken.objects.filter(pk=token.pk).update(expires_at=token.created_at)
    found = []
    for device, page in looks(open_page, live_server.url, "ada").items():
        scheme_set(page, {"wide": "light", "phone": "dark"}[device])
        page.goto(f"{live_server.url}/tokens/")
        found += looked_at(page, f"tokens-{device}")
        page.goto(f"{live_server.url}/api/docs/")
        page.locator("#studies_create summary").click()
        page.evaluate("document.getElementById('studies_create').scrollIntoView()")
        found += looked_at(page, f"docs-{device}")
    assert found == []


def test_a_token_is_made_and_revoked(open_page: Open, live_server, transactional_db: None) -> None:
    make_user("ada")
    page = open_page()
    log_in(page, live_server.url, "ada")
    page.goto(f"{live_server.url}/tokens/")
    page.get_by_label("Name").fill("notebook")
    page.get_by_label(re.compile("create, change")).check()
    page.get_by_role("button", name="Make the token").click()
    shown = page.get_by_role("textbox", name="New token")
    expect(shown).to_be_visible()
    shoot(page, "tokens-made")
    token = ApiToken.objects.get()
    assert token.digest == token_digest(shown.input_value())
    assert token.scopes == ["read", "write"]
    page.goto(f"{live_server.url}/tokens/")
    expect(page.get_by_role("textbox", name="New token")).to_have_count(0)
    page.get_by_role("button", name="Revoke notebook").click()
    expect(page.get_by_text("The token notebook is revoked.")).to_be_visible()
    token.refresh_from_db()
    assert token.revoked_at is not None


@pytest.mark.parametrize("look", [WIDE, PHONE])
def test_the_reference_leads_everywhere(
    open_page: Open, live_server, transactional_db: None, look: dict[str, Any]
) -> None:
    make_user("ada")
    page = open_page(**look)
    log_in(page, live_server.url, "ada")
    page.goto(f"{live_server.url}/api/docs/")
    page.locator("#studies_create summary").click()
    page.locator("#studies_create").get_by_role("link", name="StudyInput").first.click()
    expect(page.locator("#schema-StudyInputRequest, #schema-StudyInput").first).to_be_in_viewport()
