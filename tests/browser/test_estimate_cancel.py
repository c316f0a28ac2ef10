"""A run under way is cancelled with a button that the live poll brought."""

from collections.abc import Callable

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from annotation.models import EstimateRun, RunStatus, Study
from annotation.services.estimates import estimate_request
from tests.browser.journey import write
from tests.browser.researcher import log_in, look

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


def test_a_run_is_cancelled(open_page: Open, live_server, study: Study) -> None:
    # axe is put into the page, which the content security policy forbids to anybody else
    page = open_page(bypass_csp=True)
    log_in(page, live_server.url, study.owner.username)
    page.goto(f"{live_server.url}/studies/{study.slug}/?aggregation=bragg")
    button = page.get_by_role("button", name="Cancel this run")
    expect(button).to_be_hidden()
    write(lambda: estimate_request(study=study, aggregation="bragg", enqueue=False))
    write(
        lambda: EstimateRun.objects.update(
            status=RunStatus.RUNNING,
            started_at=timezone.now(),
            stage="aggregating 420 ratings",
            progress=0.4,
        )
    )
    expect(button).to_be_visible()  # without a reload
    assert look(page, "cancel") == []
    button.click()
    expect(page.get_by_text("The last run was cancelled")).to_be_visible()
    expect(button).to_be_hidden()
    assert EstimateRun.objects.get().status == RunStatus.CANCELLED
