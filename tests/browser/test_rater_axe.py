"""axe-core on every page of a rater: wide and phone, light and dark, left and right."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from annotation.models import (
    AttentionCheck,
    GoldUse,
    Participation,
    ScreeningQuestion,
    Study,
    TrainingAttempt,
)
from annotation.queries.training import attempt_items
from annotation.services.raters import participation_end
from tests.annotation.factories import make_study
from tests.annotation.factories_journey import (
    add_gold,
    add_training,
    make_panel,
    policy_set,
    turn_into_texts,
)
from tests.browser.conftest import PHONE, WIDE
from tests.browser.journey import enhanced
from tests.browser.researcher import scheme_set, violations

pytestmark = pytest.mark.browser

Open = Callable[..., Page]
VIEWS = {
    "images": [("light", WIDE), ("dark", PHONE)],
    "texts": [("dark", WIDE), ("light", PHONE)],
}


@pytest.fixture(params=[("en", "images"), ("ar", "texts")], ids=["images", "texts-rtl"])
def study(request: pytest.FixtureRequest, transactional_db: None) -> Study:
    language, kind = request.param
    study = make_study(
        n_inputs=120,
        slug="handwriting",
        language=language,
        contact="jury@example.org",
        debrief="We look at neurons.",
    )
    if kind == "texts":
        turn_into_texts(study, "a text with a word " * 60, (1100, 1104))
    add_gold(study, GoldUse.EXAMPLE, ["present", "absent"])
    add_training(study, ["present", "absent"], pass_mark=2)
    policy_set(study, tasks_per_rater=3)
    make_panel(study)
    ScreeningQuestion.objects.create(
        study=study, position=1, text="Do you see well?", choices=["Yes", "No"], accepted=["Yes"]
    )
    return study


def test_axe_finds_nothing(open_page: Open, live_server, study: Study) -> None:
    # axe is put into the page, which the content security policy forbids to anybody else
    page = open_page(bypass_csp=True)
    page.expected += ["422", "403", "400", "ERR_FAILED"]
    found: list[tuple[str, str, str]] = []
    base = f"{live_server.url}/r/handwriting/"

    def look(path: str = "") -> None:
        if path:
            page.goto(base + path.removeprefix("/"))
        for scheme, size in VIEWS["texts" if study.language == "ar" else "images"]:
            scheme_set(page, scheme)
            page.set_viewport_size(size["viewport"])
            found.extend((page.url, scheme, problem) for problem in violations(page))

    look("/")  # screening
    page.locator("button.primary").click()  # and what is missing in it
    look()
    page.locator("input[type=radio]").first.check()
    page.locator("button.primary").click()
    look()  # consent
    page.locator("button[value=yes]").click()
    look()  # instructions
    page.locator("form button.primary").click()
    look()  # a training item
    for item in attempt_items(TrainingAttempt.objects.get()):
        page.locator(f".answer.{item.gold_answer.value}").click()
        page.locator("form button.primary").click()
        if item.number == 1:
            look()  # its feedback
        page.locator("a.button.primary").click()
    look()  # training passed
    page.locator("form button.primary").click()
    enhanced(page)
    for value in ("present", "absent", "cannot_tell"):
        page.locator(f".item.current .answer.{value}").click()
    page.locator(".thumb").first.click()
    expect(page.locator("#save-state")).to_have_attribute("data-state", "saved")
    look()  # the task
    page.route("**/task.js", lambda route: route.abort())
    page.reload()
    look()  # and where its script does not run
    assert page.locator(".notice.no-script").is_visible()
    page.unroute("**/task.js")
    look("break/")
    back = page.get_by_role("textbox").input_value()
    page.context.clear_cookies()
    page.goto(back)
    look()  # welcome back
    page.locator("form button.primary").click()
    enhanced(page)
    look("stop/")
    person = Participation.objects.get()
    person.assignments.update(status="returned")
    AttentionCheck.objects.create(participation=person, number=1, expected="absent")
    look("check/")
    person.attention_checks.all().delete()
    look("task/")  # between tasks
    look("nothing-left/")
    Participation.objects.update(channel="panel")
    look("stop/")  # too early
    participation_end(participation=person, outcome="failed_checks")
    look("ended/")
    Participation.objects.update(
        outcome="completed", completed_at=person.consented_at, completion_code="DONE1234"
    )
    look("complete/")
    page.context.clear_cookies()
    look("task/")  # not recognised
    look("?pid=")  # a link without an id
    page.goto(base + "?pid=77")
    page.get_by_role("button").last.click()
    look()  # refused
    assert found == []
