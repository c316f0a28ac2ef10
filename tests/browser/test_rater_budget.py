"""The task page on a slow network and a slow phone: it works before any image is there.

No time is asserted: what comes before what, how many requests, which of them hold the page up.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request, Route, expect

from annotation.models import Rating, Study
from tests.browser.conftest import PHONE
from tests.browser.journey import begin, enhanced, saved, until

pytestmark = pytest.mark.browser

Open = Callable[..., Page]

#: What Lighthouse calls slow 4G, and a phone a quarter as fast as this machine.
NETWORK = {
    "offline": False,
    "latency": 150,
    "downloadThroughput": 1_600_000 // 8,
    "uploadThroughput": 750_000 // 8,
}
SLOWDOWN = 4
#: Page, two style sheets, three modules, icon; the images of the task come on top.
MOST_REQUESTS = 8
WATCH = """
window.seen = { shifts: [], largest: [] };
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    window.seen.shifts.push([entry.value, entry.sources.map((source) => source.node?.className)]);
  }
}).observe({ type: "layout-shift", buffered: true });
new PerformanceObserver((list) => {
  for (const { element } of list.getEntries()) {
    window.seen.largest.push(
      Boolean(element?.closest("#question") || element?.matches(".item.current img")));
  }
}).observe({ type: "largest-contentful-paint", buffered: true });
"""
STATE = """() => ({
  loaded: performance.getEntriesByType("navigation")[0].loadEventEnd > 0,
  pictures: [...document.querySelectorAll(".item img")].filter((one) => one.naturalWidth).length,
  blocking: performance.getEntriesByType("resource")
    .filter((entry) => entry.renderBlockingStatus === "blocking").map((entry) => entry.name),
  ...window.seen,
})"""


def test_the_task_works_while_its_images_are_on_their_way(
    open_page: Open, live_server, study: Study
) -> None:
    page = open_page(**PHONE)
    begin(page, live_server.url)
    requests: list[Request] = []
    held: list[Route] = []
    are_held = True

    def image(route: Route) -> None:
        if are_held:
            held.append(route)
        else:
            route.continue_()

    page.route("**/i/**", image)
    page.add_init_script(WATCH)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    devtools.send("Network.setCacheDisabled", {"cacheDisabled": True})
    devtools.send("Network.emulateNetworkConditions", NETWORK)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
    page.on("request", lambda request: requests.append(request))
    page.reload(wait_until="domcontentloaded")
    enhanced(page)
    until(lambda: bool(page.evaluate("window.seen.largest.length")))

    # a key answers, and the answer is saved, before one image is there and before "load"
    expect(page.locator("#position")).to_have_text("image 1 of 15")
    page.keyboard.press("y")
    expect(page.locator("#position")).to_have_text("image 2 of 15")
    saved(page)
    assert Rating.objects.get().value == "present"
    before = page.evaluate(STATE)
    assert not before["loaded"]
    assert before["pictures"] == 0
    assert held

    # the largest thing painted is what the rater came for: the question, or the first image
    assert before["largest"]
    assert before["largest"][-1]
    own = [request for request in requests if "/i/" not in request.url]
    pages = [request for request in own if request.method == "GET"]
    assert len(pages) <= MOST_REQUESTS, [request.url for request in pages]
    assert {urlsplit(request.url).netloc for request in requests} == {
        urlsplit(live_server.url).netloc
    }
    assert before["blocking"]
    assert {name.rsplit(".", 1)[-1] for name in before["blocking"]} <= {"css", "js"}

    # then the images come, and nothing moves
    are_held = False
    for route in held:
        route.continue_()
    page.wait_for_load_state("load")
    until(lambda: page.evaluate(STATE)["pictures"] == page.locator(".item img").count())
    assert page.evaluate(STATE)["shifts"] == []
