"""The report as a file on a phone: no table is cut off."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from annotation.models import Study
from annotation.reports import study_report
from annotation.services.estimates import estimate_request, estimate_run
from tests.annotation.factories import rate_study
from tests.browser.conftest import PHONE
from tests.browser.researcher import overflow, shoot

pytestmark = pytest.mark.browser


def test_how_it_was_made_is_whole_on_a_phone(
    open_page: Callable[..., Page], study: Study, tmp_path: Path
) -> None:
    rate_study(study, max_tasks=4)
    run = estimate_run(run=estimate_request(study=study, aggregation="bragg", enqueue=False))
    html = study_report(study=study, runs=[run])
    assert "importance_weighted" not in html.rsplit("How it was made", 1)[1]
    assert "Importance weights alone" in html
    path = tmp_path / "report.html"
    path.write_text(html, encoding="utf-8")
    page = open_page(**PHONE)
    page.goto(path.as_uri())
    shoot(page, "report-phone")
    assert overflow(page) <= 0
    cut = page.eval_on_selector_all(
        ".made td", "cells => cells.filter(c => c.getBoundingClientRect().right > 390).length"
    )
    assert cut == 0
