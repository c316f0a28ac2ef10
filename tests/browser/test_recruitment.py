"""The recruitment page in a real browser: every step at Prolific, by axe, wide and narrow."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page

from annotation.models import PanelBonus, Recruitment
from annotation.recruitment.fake import FakeServer
from annotation.services.bonuses import bonus_pay
from annotation.services.prolific_states import panel_request_send
from annotation.services.submissions import submissions_reconcile
from tests.annotation.factories_panels import (
    arrive,
    complete,
    fake_prolific,
    make_published,
    make_recruitment,
)
from tests.browser.conftest import PHONE
from tests.browser.researcher import log_in, look, overflow, shoot, violations

Open = Callable[..., Page]


@pytest.fixture
def server(transactional_db: None) -> Iterator[FakeServer]:
    with fake_prolific() as started:
        yield started


@pytest.fixture
def published(server: FakeServer) -> Recruitment:
    """A study at the fake: one submission approved, one to approve, one that disagrees."""
    row = make_published(server, places=5, title="What is in the image?", slug="tigers")
    done, waits, lost = (server.fake.place_take(row.panel_study_id) for _ in range(3))
    for submission in (done, waits, lost):
        code = complete(row, arrive(row, submission))
        server.fake.submission_move(submission.id, "AWAITING REVIEW", code)
    server.fake.approve([done.id])
    server.fake.submission_move(lost.id, "TIMED-OUT")
    submissions_reconcile(recruitment=row)
    paid = row.submissions.select_related("recruitment__study", "recruitment__credential").get(
        submission_id=done.id
    )
    bonus_pay(submission=paid, amount_minor=50, key="one", actor=row.study.owner)
    PanelBonus.objects.create(
        submission=paid, amount_minor=20, key="two", state="uncertain", actor=row.study.owner
    )
    return row


def open_recruitment(open_page: Open, live_server, row: Recruitment, **look: object) -> Page:
    page = open_page(bypass_csp=True, **look)
    log_in(page, live_server.url, row.study.owner.get_username())
    page.goto(f"{live_server.url}/studies/{row.study.slug}/recruitment/")
    return page


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_submissions_are_decided(open_page: Open, live_server, server, published) -> None:
    page = open_recruitment(open_page, live_server, published)
    found = look(page, "recruitment", both=True)
    for button, title, name in (
        ("Approve…", "Approve submissions: 1", "approve"),
        ("Ask for return…", "Ask for a submission back", "return"),
        ("Stop…", "Stop the study at Prolific", "stop"),
        ("Reject…", "Reject a submission", "reject"),
    ):
        press(page, button)
        page.get_by_role("heading", name=title).wait_for()
        found += look(page, f"recruitment-{name}")
        if name != "reject":
            page.get_by_role("link", name="Cancel").click()
    # a reason that is too short is said where it was typed, and nobody is rejected
    reason = page.get_by_label("Reason")
    reason.evaluate("field => field.removeAttribute('minlength')")
    reason.fill("Too quick.")
    page.get_by_label("Category").select_option("LOW_EFFORT")
    press(page, "Reject it")
    page.get_by_text("at least 100 characters").first.wait_for()
    found += look(page, "recruitment-reject-again")
    assert found == []
    reason.fill("The same answer was given to every image, also where nothing was to be seen. " * 2)
    press(page, "Reject it")
    page.get_by_text("Prolific was asked to reject it.").wait_for()
    assert sorted(row.status for row in server.fake.submissions.values()) == [
        "APPROVED",
        "REJECTED",
        "TIMED-OUT",
    ]


def test_a_phone_shows_it_all(open_page: Open, live_server, published: Recruitment) -> None:
    page = open_recruitment(open_page, live_server, published, **PHONE)
    shoot(page, "recruitment-phone")
    assert overflow(page) <= 0
    page.get_by_label("Places in all").fill("6")
    press(page, "Add places…")
    page.get_by_role("heading", name="Add places").wait_for()
    shoot(page, "recruitment-places-phone")
    assert violations(page) == []
    press(page, "Spend up to 2.00 GBP")
    page.get_by_text("There are 6 places now.").wait_for()
    published.refresh_from_db()
    assert published.places == 6


def test_from_the_draft_to_the_end(open_page: Open, live_server, server: FakeServer) -> None:
    row = make_recruitment(title="What is in the image?", slug="tigers")
    page = open_recruitment(open_page, live_server, row)
    press(page, "Create the draft")
    page.get_by_text("The draft is at Prolific.").wait_for()
    server.fake.balance_minor = 500
    press(page, "Read the balance")
    page.get_by_text("Available at Prolific: 5.00 GBP.").wait_for()
    found = look(page, "recruitment-draft")
    press(page, "Publish…")
    page.get_by_text("The workspace had less than this").wait_for()
    found += look(page, "recruitment-publish-poor")
    server.fake.balance_minor = 100_00
    page.get_by_role("link", name="Cancel").click()
    press(page, "Read the balance")
    press(page, "Publish…")
    page.get_by_role("heading", name="Publish at Prolific").wait_for()
    found += look(page, "recruitment-publish", both=True)
    press(page, "Spend up to 6.00 GBP")
    page.get_by_text("Published: raters can take places.").wait_for()
    # closing the study here does not wait for Prolific; the page says how far that is
    page.goto(f"{live_server.url}/studies/tigers/")
    page.locator("summary", has_text="Close").click()
    press(page, "Close the study")
    page.get_by_text("Prolific is asked to do the same").wait_for()
    server.fail("transition", 403)
    assert "403" in panel_request_send(request=row.panel_request)
    page.goto(f"{live_server.url}/studies/tigers/recruitment/")
    page.get_by_text("but has not done so yet").wait_for()
    found += look(page, "recruitment-stopping")
    assert panel_request_send(request=row.panel_request) == ""
    page.reload()
    page.get_by_text("Stopped there when the study was closed here").wait_for()
    found += look(page, "recruitment-stopped")
    assert found == []
