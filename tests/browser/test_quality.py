"""The pages of a study's quality in Chromium: a decision taken, and nothing that axe objects to."""

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from annotation.models import Exclusion, Participation, Study
from annotation.services.attention import attention_due
from annotation.services.reviews import review_report
from tests.annotation.factories import make_participation, truthful
from tests.annotation.factories_quality import make_gold_study, rate_tasks, set_policy, wrong
from tests.browser.conftest import PHONE
from tests.browser.researcher import log_in, looks, overflow, scheme_set, violations


@pytest.fixture
def rated(transactional_db: None) -> tuple[Study, list[Participation]]:
    study = make_gold_study(redundancy=2, slug="quality")
    set_policy(study, attention_checks=2)
    raters = [make_participation(study), make_participation(study)]
    for participation, answer in zip(raters, (truthful(study), wrong(study)), strict=True):
        rate_tasks(participation, answer, 3)
    review_report(participation=raters[1], actor=study.owner, note="Look at the gold answers.")
    return study, raters


def test_a_rater_is_excluded_from_the_queue(
    live_server: Any,
    open_page: Callable[..., Page],
    rated: tuple[Study, list[Participation]],
) -> None:
    study, raters = rated
    page = open_page()
    log_in(page, live_server.url, study.owner.get_username())
    page.goto(live_server.url + reverse("researcher:study_quality", args=[study.slug]))
    pseudonym = str(raters[1].rater.public_id)[:8]
    page.get_by_label("Note").first.fill("All gold answers are wrong.")
    page.get_by_role("button", name=f"Exclude the ratings of {pseudonym}").click()
    expect(page.get_by_text("slots refill")).to_be_visible()
    expect(page.get_by_text("Nobody waits.")).to_be_visible()
    assert Exclusion.objects.get().note == "All gold answers are wrong."
    page.get_by_role("link", name=pseudonym).click()
    page.get_by_role("button", name="Lift the exclusion").click()
    expect(page.get_by_text("The exclusion is lifted")).to_be_visible()


def test_axe_finds_nothing(
    live_server: Any,
    open_page: Callable[..., Page],
    rated: tuple[Study, list[Participation]],
) -> None:
    study, raters = rated
    draft = make_gold_study(launched=False, slug="draft", owner=study.owner)
    addresses = [
        reverse("researcher:study_quality", args=[study.slug]),
        reverse("researcher:quality_policy", args=[study.slug]),
        reverse("researcher:quality_policy", args=[draft.slug]),
        reverse("researcher:quality_gold", args=[draft.slug]),
        reverse("researcher:quality_gold_suggest", args=[draft.slug])
        + "?source=prior&n_each=2&use=training",
        reverse("researcher:quality_rater", args=[study.slug, raters[1].public_id]),
        reverse("researcher:quality_rater_delete", args=[study.slug, raters[1].public_id]),
    ]
    found = []
    for device, page in looks(open_page, live_server.url, study.owner.get_username()).items():
        scheme_set(page, {"wide": "dark", "phone": "light"}[device])
        for address in addresses:
            page.goto(live_server.url + address)
            found += [f"{device} {address} {violation}" for violation in violations(page)]
            assert overflow(page) <= 0, (device, address)
    assert found == []


def test_the_attention_page_by_keyboard(
    live_server: Any,
    open_page: Callable[..., Page],
    rated: tuple[Study, list[Participation]],
) -> None:
    study, raters = rated
    check = attention_due(participation=raters[0])
    assert check is not None
    page = open_page(**PHONE, bypass_csp=True)
    page.goto(live_server.url + reverse("rater:entry", args=[study.slug]))
    cookie = next(one for one in page.context.cookies() if one["name"] == "csrftoken")
    assert cookie
    session = _session_of(study, raters[0])
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    page.goto(live_server.url + reverse("rater:attention", args=[study.slug]))
    label = check.get_expected_display().capitalize()
    expect(page.locator("strong", has_text=label)).to_be_visible()
    assert violations(page) == []
    page.get_by_label(label).check(force=True)
    page.get_by_role("button", name="Go on").press("Enter")
    page.wait_for_url("**/task/")
    check.refresh_from_db()
    assert check.value == check.expected


def _session_of(study: Study, participation: Participation) -> str:
    from django.contrib.sessions.backends.db import SessionStore

    session = SessionStore()
    session["participations"] = {study.slug: str(participation.public_id)}
    session.save()
    return str(session.session_key)
