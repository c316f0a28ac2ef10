"""The researcher's page in a real browser: it changes while somebody rates."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from annotation.models import EstimateRun, RunStatus, Study
from annotation.services.estimates import estimate_run
from tests.annotation.factories import rate_study
from tests.browser.conftest import PHONE
from tests.browser.journey import begin, enhanced

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


def log_in(page: Page, server: str, study: Study) -> None:
    page.goto(f"{server}/studies/{study.slug}/")
    page.get_by_label("User name").fill(study.owner.username)
    page.get_by_label("Password").fill("password")
    page.get_by_role("button", name="Log in").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(study.title)


def run_queued() -> None:
    """Do the work of the background worker."""
    for run in EstimateRun.objects.filter(status=RunStatus.QUEUED):
        assert estimate_run(run=run).status == RunStatus.FINISHED


def test_the_page_changes_while_somebody_rates(open_page: Open, live_server, study: Study) -> None:
    desk = open_page()
    log_in(desk, live_server.url, study)
    expect(desk.get_by_text("It starts with the first ratings.")).to_be_visible()
    link = desk.get_by_role("textbox", name="Link for raters").input_value()
    assert link == f"{live_server.url}/r/handwriting/"

    phone = open_page(**PHONE)
    begin(phone, live_server.url)
    enhanced(phone)
    for _ in range(14):
        phone.locator(".item.current .answer.present").tap()
    phone.locator(".item.current .answer.absent").tap()
    phone.locator("#submit-task").tap()
    expect(phone.locator(".ask-side")).to_contain_text("task 2")

    expect(desk.locator("#live-progress dd").first).to_have_text("15")
    expect(desk.locator("#live-raters-line")).to_have_text("1 rater, 1 task handed in")
    expect(desk.locator("#live-raters tbody tr")).to_have_count(0)  # not asked for while folded
    desk.locator("summary", has_text="Raters").click()
    expect(desk.locator("#live-raters tbody tr")).to_have_count(1)
    expect(desk.get_by_text("A new run, asked for")).to_be_visible()
    run_queued()
    expect(desk.locator("#live-leaderboard tbody tr").first).to_be_visible()
    expect(desk.get_by_text("from 15 ratings")).to_be_visible()
    expect(desk.locator("#live-state")).to_have_text("live")


def test_a_new_estimate_replaces_the_old_one(open_page: Open, live_server, study: Study) -> None:
    rate_study(study, max_tasks=3)
    run_queued()
    desk = open_page()
    log_in(desk, live_server.url, study)
    before = desk.locator("#live-leaderboard tbody").inner_text()
    rate_study(study)
    desk.get_by_role("button", name="Recompute").click()
    run_queued()
    n_ratings = study.items.count() * study.redundancy
    expect(desk.get_by_text(f"from {n_ratings} ratings")).to_be_visible()
    assert desk.locator("#live-leaderboard tbody").inner_text() != before


def test_losing_the_server_is_said_and_healed(open_page: Open, live_server, study: Study) -> None:
    desk = open_page()
    desk.expected.append("ERR_INTERNET_DISCONNECTED")
    log_in(desk, live_server.url, study)
    desk.context.set_offline(True)
    expect(desk.locator("#live-state")).to_contain_text("connection lost")
    desk.context.set_offline(False)
    expect(desk.locator("#live-state")).to_have_text("live", timeout=15_000)


def test_tabs_and_filter_work_without_script(open_page: Open, live_server, study: Study) -> None:
    rate_study(study, max_tasks=4)
    run_queued()
    desk = open_page(java_script_enabled=False)
    log_in(desk, live_server.url, study)
    desk.get_by_role("combobox", name="Method").select_option(label="Bad")
    desk.get_by_role("button", name="Filter").click()
    names = desk.locator("#live-explanations .name").all_inner_texts()
    assert set(names) == {"Bad"}
    desk.locator("summary", has_text="Raters").click()
    desk.get_by_role("link", name="Show the table of raters").click()
    expect(desk.locator("#live-raters tbody tr").first).to_be_visible()
    desk.get_by_role("link", name="Majority vote").click()
    expect(desk.get_by_text("Nothing computed yet with Majority vote.")).to_be_visible()
