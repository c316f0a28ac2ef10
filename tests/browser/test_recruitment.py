"""The recruitment page in a real browser: by axe, wide and phone, light and dark."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from annotation.models import PanelBonus, Recruitment
from annotation.services.bonuses import bonus_pay
from annotation.services.submissions import submissions_reconcile
from tests.annotation.factories_panels import arrive, complete, fake_prolific, make_published
from tests.browser.conftest import PHONE, WIDE
from tests.browser.researcher import log_in, overflow, shoot, violations

Open = Callable[..., Page]


@pytest.fixture
def published(transactional_db: None):
    """A study at the fake: one submission approved, one to approve, one that disagrees."""
    with fake_prolific() as server:
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
        yield row


def test_axe_finds_nothing(open_page: Open, live_server, published: Recruitment) -> None:
    found: list[str] = []
    for number, look in enumerate(
        {**shape, "color_scheme": scheme} for shape in (WIDE, PHONE) for scheme in ("light", "dark")
    ):
        page = open_page(bypass_csp=True, **look)
        log_in(page, live_server.url, published.study.owner.get_username())
        page.goto(f"{live_server.url}/studies/tigers/recruitment/")
        shoot(page, f"recruitment-{number}")
        found += violations(page)
        assert overflow(page) <= 0
        page.get_by_role("button", name="Approve…").click()
        page.get_by_role("heading", name="Approve submissions: 1").wait_for()
        shoot(page, f"recruitment-approve-{number}")
        found += violations(page)
    assert found == []


def test_places_are_added_by_hand(open_page: Open, live_server, published: Recruitment) -> None:
    page = open_page()
    log_in(page, live_server.url, published.study.owner.get_username())
    page.goto(f"{live_server.url}/studies/tigers/recruitment/")
    page.get_by_label("Places in all").fill("6")
    page.get_by_role("button", name="Add places…").click()
    page.get_by_role("button", name="Spend up to 2.00 GBP").click()
    assert page.get_by_text("There are 6 places now.").is_visible()
    published.refresh_from_db()
    assert published.places == 6
