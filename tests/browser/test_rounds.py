"""The page of rounds: what is in doubt, a plan, the draw; wide and narrow, light and dark."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from annotation.models import Study
from annotation.services.estimates import estimate_request, estimate_run
from tests.annotation.factories import rate_study
from tests.browser.researcher import log_in, look

pytestmark = pytest.mark.browser


def test_a_round_is_planned_and_drawn(
    open_page: Callable[..., Page], study: Study, live_server: Any
) -> None:
    rate_study(study)
    estimate_run(run=estimate_request(study=study, aggregation="bragg", enqueue=False))
    page = open_page()
    log_in(page, live_server.url, study.owner.username)
    page.goto(f"{live_server.url}/studies/{study.slug}/")
    assert look(page, "round-study-page") == []
    panel = page.get_by_role("region", name="Next round")
    panel.get_by_label("Draws a pair").fill("12")
    panel.get_by_label("Only where half the interval is above").fill("0.02")
    panel.get_by_role("button", name="Look at the round").click()
    expect(page.get_by_role("heading", name="Round 2, not drawn yet")).to_be_visible()
    assert look(page, "round-plan") == []
    assert study.sampling_rounds.count() == 1
    page.get_by_role("button", name="Draw round 2").click()
    expect(page.get_by_text("Round 2 is drawn")).to_be_visible()
    assert look(page, "round-list") == []
    assert study.sampling_rounds.get(number=2).n_draws == 12
