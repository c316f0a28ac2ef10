"""Pages of errors as a rater sees them: no axe violation, no sideways scroll, both directions."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings as django_settings
from playwright.sync_api import Page

from annotation.middleware import MAINTENANCE
from annotation.models import Study
from tests.annotation.factories import make_study
from tests.browser.conftest import PHONE, WIDE
from tests.browser.researcher import SHOTS, overflow, shoot

pytestmark = pytest.mark.browser

Open = Callable[..., Page]
VIEWS = [(scheme, size) for size in (WIDE, PHONE) for scheme in ("light", "dark")]


@pytest.fixture(params=["en", "ar"])
def study(request: pytest.FixtureRequest, transactional_db: None) -> Study:
    return make_study(slug="handwriting", language=request.param)


def test_errors_are_shown_well(
    open_page: Open, live_server, study: Study, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # axe is put into the page, which the content security policy forbids to anybody else
    page = open_page(bypass_csp=True, locale="ar-EG" if study.language == "ar" else "en-GB")
    page.expected += ["400", "403", "404", "413", "429", "500", "503"]
    axe, found, headings = Axe(), [], []
    entry = f"{live_server.url}/r/handwriting/"

    def look(code: str) -> None:
        headings.append(page.get_by_role("heading", level=1).inner_text())
        # each page in one view; all four where somebody wants to see them
        for scheme, size in VIEWS if SHOTS else VIEWS[len(headings) % len(VIEWS) :][:1]:
            # without motion: else axe may see colours half-way between the two schemes
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.set_viewport_size(size["viewport"])
            for violation in axe.run(page).response["violations"]:
                nodes = [node["html"][:200] for node in violation["nodes"]]
                found.append((code, scheme, violation["id"], nodes))
            assert overflow(page) == 0
            width = size["viewport"]["width"]
            shoot(page, f"error-{code}-{study.language}-{width}-{scheme}")

    def agree() -> None:
        page.goto(entry)
        page.locator("button[value=yes]").click()

    page.goto(f"{live_server.url}/r/nothing/")
    look("404")
    page.goto(entry)
    page.context.clear_cookies()
    page.locator("button[value=yes]").click()
    look("403-csrf")
    with monkeypatch.context() as few:
        few.setitem(settings.NEURONJURY_THROTTLES, "arrival", (0, 600))
        agree()
        look("429")
    with monkeypatch.context() as small:
        small.setattr(settings, "NEURONJURY_MAX_BODY_BYTES", 10)
        agree()
        look("413")
    with monkeypatch.context() as broken:
        broken.setattr("annotation.views.arrival.arrival_read", lambda *_: 1 / 0)
        page.goto(entry)
        look("500")
    flag = django_settings.DATA_DIR / MAINTENANCE
    flag.touch()
    try:
        page.goto(entry)
        look("503")
    finally:
        flag.unlink()
    assert found == []
    assert len(set(headings)) == len(headings) == 6
