"""Accessibility without a checker: names, structure, contrast, size, layout shift."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

from annotation.models import Study
from tests.annotation.factories import rate_study
from tests.browser.conftest import PHONE, WIDE
from tests.browser.contrast import poor_contrast
from tests.browser.journey import begin, enhanced
from tests.browser.researcher import scheme_set
from tests.browser.test_researcher_journeys import log_in, run_queued

pytestmark = pytest.mark.browser

Open = Callable[..., Page]

NAMELESS = """
() => [...document.querySelectorAll('a, button, input:not([type=hidden]), select, img, progress')]
  .filter((e) => !e.closest('template, dialog:not([open])'))
  .filter((e) => !(e.getAttribute('aria-label') || e.alt === '' || e.alt
    || e.textContent.trim() || (e.labels && [...e.labels].some((l) => l.textContent.trim()))))
  .map((e) => e.outerHTML.slice(0, 120))
"""

SHIFT = """
() => new Promise((resolve) => {
  let total = 0;
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) total += entry.value;
  });
  observer.observe({ type: 'layout-shift', buffered: true });
  setTimeout(() => resolve(total), 300);
})
"""


def check(page: Page) -> None:
    """Assert what must hold on every page, in both colour schemes."""
    where = page.url
    for scheme in ("light", "dark"):
        scheme_set(page, scheme)
        assert poor_contrast(page) == [], (where, scheme)
    assert page.evaluate(NAMELESS) == [], where
    assert page.locator("h1").count() == 1, where
    assert page.locator("main#main").count() == 1, where
    assert page.locator("html").get_attribute("lang") == "en", where
    levels = page.eval_on_selector_all(
        "h1, h2, h3, h4", "all => all.map(e => Number(e.tagName[1]))"
    )
    assert all(b - a <= 1 for a, b in pairwise(levels)), where
    ids = page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
    assert len(ids) == len(set(ids)), where
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(overflow) <= 0, where


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_raters_pages(open_page: Open, live_server, study: Study, size) -> None:
    page = open_page(**size)
    address = f"{live_server.url}/r/handwriting/"
    page.goto(address)
    check(page)
    page.get_by_role("button", name="I agree, start").click()
    check(page)
    page.get_by_role("button", name="Show me the first task").click()
    enhanced(page)
    for value in ("present", "absent", "cannot_tell"):
        page.locator(f".item.current .answer.{value}").click()
    page.locator(".thumb").first.click()  # an item with its answer given
    check(page)
    page.goto(address + "stop/")
    check(page)
    page.goto(address + "exit/")
    check(page)
    page.expected.append("404")
    page.goto(live_server.url + "/r/none/")
    check(page)


def test_researchers_pages(open_page: Open, live_server, study: Study) -> None:
    rate_study(study, max_tasks=4)
    run_queued()
    page = open_page(**{**PHONE, "viewport": {"width": 360, "height": 740}})
    page.goto(live_server.url)
    check(page)
    log_in(page, live_server.url, study)
    check(page)
    page.goto(live_server.url)
    check(page)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{live_server.url}/studies/{study.slug}/")
    check(page)


def test_nothing_shifts_while_rating(open_page: Open, live_server, study: Study) -> None:
    for size in (WIDE, PHONE):
        page = open_page(**size)
        begin(page, live_server.url)
        enhanced(page)
        assert page.evaluate(SHIFT) < 0.01
        for _ in range(15):
            page.keyboard.press("y")
        assert page.evaluate(SHIFT) < 0.01
        page.goto(f"{live_server.url}/r/handwriting/stop/")
        page.get_by_role("button", name="Stop").click()


def test_right_to_left_mirrors_the_arrows(open_page: Open, live_server, study: Study) -> None:
    page = open_page()
    page.route(
        "**/task/",
        lambda route: route.fulfill(
            response=(answer := route.fetch()),
            body=answer.text().replace('dir="ltr"', 'dir="rtl"', 1),
        ),
    )
    begin(page, live_server.url)
    page.reload()  # a route sees no redirects
    enhanced(page)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#position")).to_have_text("image 2 of 15")
    image, overview = page.locator(".item.current img"), page.locator("#overview")
    assert overview.bounding_box()["x"] < image.bounding_box()["x"]
