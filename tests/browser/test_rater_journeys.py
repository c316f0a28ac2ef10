"""What a rater does in a real browser: keyboard, touch, a bad network, no JavaScript."""

import re
from collections.abc import Callable

import pytest
from django.test import testcases
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from annotation.models import (
    Assignment,
    AssignmentStatus,
    Participation,
    Rating,
    RatingRevision,
    Study,
)
from annotation.queries import assignment_items
from tests.annotation.factories_journey import add_training, turn_into_texts
from tests.browser.conftest import PHONE
from tests.browser.journey import begin, enhanced, n_marked, saved, until, write

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


def values_by_position(page: Page) -> list[str | None]:
    """The answers that the page shows, in its order."""
    return page.eval_on_selector_all(
        ".item", "items => items.map(i => i.querySelector('input:checked')?.value ?? null)"
    )


def stored(page: Page) -> list[str | None]:
    """The answers that the server has, in the page's order."""
    ids = page.eval_on_selector_all(".item", "items => items.map(i => i.dataset.item)")
    kept = {
        str(item): value for item, value in Rating.objects.values_list("item__public_id", "value")
    }
    return [kept.get(item) for item in ids]


def test_a_whole_task_by_keyboard(open_page: Open, live_server, study: Study) -> None:
    page = open_page()
    begin(page, live_server.url)
    enhanced(page)
    keys = "ynu" * 5
    for position, key in enumerate(keys, start=1):
        expect(page.locator("#position")).to_have_text(f"image {position} of 15")
        page.keyboard.press(key)
    expect(page.locator("#submit-task")).to_be_focused()
    expect(page.locator("#submit-task")).to_have_text("Submit task")
    saved(page)
    assert stored(page) == ["present", "absent", "cannot_tell"] * 5
    times = list(Rating.objects.values_list("response_ms", flat=True))
    assert all(time is not None and time >= 0 for time in times)
    page.keyboard.press("Enter")
    expect(page.locator(".ask-side")).to_contain_text("task 2")
    assert Assignment.objects.filter(status=AssignmentStatus.SUBMITTED).count() == 1
    assert RatingRevision.objects.count() == 0
    page.get_by_role("link", name="Stop").press("Enter")
    expect(page.get_by_text("You have finished 1 task.")).to_be_visible()
    page.get_by_role("button", name="Stop and get my code").press("Enter")
    code = Participation.objects.get().completion_code
    expect(page.get_by_label("Your completion code")).to_have_value(code)
    expect(page.get_by_role("button", name="Copy")).to_be_visible()


def test_undo_move_and_change(open_page: Open, live_server, study: Study) -> None:
    page = open_page()
    begin(page, live_server.url)
    enhanced(page)
    for key in ("y", "y", "z"):
        page.keyboard.press(key)
    expect(page.locator("#position")).to_have_text("image 2 of 15")
    assert values_by_position(page)[:3] == ["present", None, None]
    page.keyboard.press("n")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#position")).to_have_text("image 1 of 15")
    page.keyboard.press("u")
    expect(page.locator("#position")).to_have_text("image 3 of 15")
    assert values_by_position(page)[:3] == ["cannot_tell", "absent", None]
    page.keyboard.press("Backspace")
    assert values_by_position(page)[:3] == ["present", "absent", None]
    saved(page)
    assert stored(page)[:3] == ["present", "absent", None]


def test_radio_buttons_keep_their_own_keys(open_page: Open, live_server, study: Study) -> None:
    page = open_page()
    begin(page, live_server.url)
    enhanced(page)
    first = page.locator(".item.current input").first
    first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#position")).to_have_text("image 1 of 15")
    assert values_by_position(page)[0] == "absent"
    saved(page)
    assert stored(page)[0] == "absent"


def test_keys_can_be_switched_off(open_page: Open, live_server, study: Study) -> None:
    page = open_page()
    begin(page, live_server.url)
    enhanced(page)
    page.get_by_role("button", name="Keys: on").click()
    page.keyboard.press("y")
    expect(page.get_by_role("button", name="Keys: off")).to_be_visible()
    assert n_marked(page) == 0
    page.get_by_role("button", name="Keys: off").click()
    page.keyboard.press("y")
    assert n_marked(page) == 1


def test_an_incomplete_task_leads_to_the_open_item(
    open_page: Open, live_server, study: Study
) -> None:
    page = open_page()
    begin(page, live_server.url)
    enhanced(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("y")
    page.locator("#submit-task").click()
    expect(page.locator("#position")).to_have_text("image 1 of 15")
    expect(page.locator("#announcer")).to_have_text("14 to go")
    assert page.locator(".thumb.missing").count() == 14
    assert not Assignment.objects.filter(status=AssignmentStatus.SUBMITTED).exists()


def test_zoom_opens_and_closes(open_page: Open, live_server, study: Study) -> None:
    page = open_page()
    begin(page, live_server.url)
    enhanced(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.locator("#zoom")).to_be_visible()
    page.keyboard.press("y")  # no answer is given behind the enlarged image
    page.keyboard.press("Escape")
    expect(page.locator("#zoom")).to_be_hidden()
    assert n_marked(page) == 0


def test_a_task_by_touch_on_a_phone(open_page: Open, live_server, study: Study) -> None:
    page = open_page(**PHONE)
    begin(page, live_server.url)
    enhanced(page)
    sizes = page.eval_on_selector_all(
        ".item.current .answer, .thumb, #undo, #submit-task, .ask-side a",
        "all => all.map(e => [e.getBoundingClientRect().width, e.getBoundingClientRect().height])",
    )
    assert min(min(size) for size in sizes) >= 44
    height = page.evaluate("document.documentElement.scrollHeight")
    assert height <= 844  # everything in one screen
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for _ in range(15):
        page.locator(".item.current .answer.absent").tap()
    saved(page)
    page.locator("#undo").tap()
    expect(page.locator("#submit-task")).to_have_text("1 to go")
    page.locator(".item.current .answer.present").tap()
    page.locator("#submit-task").tap()
    expect(page.locator(".ask-side")).to_contain_text("task 2")
    assert sorted(Rating.objects.values_list("value", flat=True)) == ["absent"] * 14 + ["present"]


def test_a_lost_network_loses_nothing(open_page: Open, live_server, study: Study) -> None:
    page = open_page()
    page.expected.append("ERR_INTERNET_DISCONNECTED")
    begin(page, live_server.url)
    enhanced(page)
    for _ in range(5):
        page.keyboard.press("y")
    saved(page)
    page.context.set_offline(True)
    for _ in range(10):
        page.keyboard.press("n")
    expect(page.locator("#save-state")).to_have_attribute("data-state", "waiting")
    expect(page.locator("#save-state")).to_contain_text("10 kept here")
    page.keyboard.press("Enter")  # submitting waits for the network
    assert Rating.objects.count() == 5
    assert not Assignment.objects.filter(status=AssignmentStatus.SUBMITTED).exists()
    page.context.set_offline(False)
    saved(page)
    assert stored(page) == ["present"] * 5 + ["absent"] * 10
    page.keyboard.press("Enter")
    expect(page.locator(".ask-side")).to_contain_text("task 2")
    assert Rating.objects.filter(assignment__status=AssignmentStatus.SUBMITTED).count() == 15


def test_a_reload_resumes_with_what_the_server_has(
    open_page: Open, live_server, study: Study
) -> None:
    page = open_page()
    begin(page, live_server.url)
    enhanced(page)
    for key in "yny":
        page.keyboard.press(key)
    saved(page)
    page.reload()
    enhanced(page)
    expect(page.locator("#position")).to_have_text("image 4 of 15")
    assert values_by_position(page)[:4] == ["present", "absent", "present", None]


def test_answers_outlive_a_crash_before_they_were_sent(
    open_page: Open, live_server, study: Study
) -> None:
    page = open_page()
    page.expected.append("ERR_FAILED")
    begin(page, live_server.url)
    enhanced(page)
    page.keyboard.press("y")
    saved(page)
    page.route("**/ratings/", lambda route: route.abort())
    page.keyboard.press("n")
    page.keyboard.press("y")
    page.keyboard.press("z")  # taken back, and the browser dies before another answer
    expect(page.locator("#save-state")).to_have_attribute("data-state", "waiting")
    context = page.context
    page.close()
    assert Rating.objects.count() == 1
    again = context.new_page()
    again.goto(f"{live_server.url}/r/handwriting/task/")
    enhanced(again)
    assert values_by_position(again)[:3] == ["present", "absent", None]
    saved(again)
    assert stored(again)[:3] == ["present", "absent", None]


def test_answers_of_a_task_that_was_lost_are_sent_later(
    open_page: Open, live_server, study: Study
) -> None:
    page = open_page()
    page.expected.append("ERR_FAILED")
    begin(page, live_server.url)
    enhanced(page)
    first = Assignment.objects.get()
    page.route("**/ratings/", lambda route: route.abort())
    page.keyboard.press("y")
    expect(page.locator("#save-state")).to_have_attribute("data-state", "waiting")
    context = page.context
    page.close()
    # the lease runs out, and the rater is on another task when the browser is opened again
    held = Assignment.objects.filter(pk=first.pk)
    write(lambda: held.update(status=AssignmentStatus.EXPIRED))
    second = study.tasks.exclude(pk=first.task_id).first()
    assert second is not None
    second.assignments.create(
        participation=first.participation,
        slot=0,
        redundancy=study.redundancy,
        leased_at=first.leased_at,
        expires_at=first.expires_at,
    )
    again = context.new_page()
    again.goto(f"{live_server.url}/r/handwriting/task/")
    enhanced(again)
    until(lambda: again.evaluate("localStorage.length") == 0)
    assert Rating.objects.get().assignment == first
    # a shared browser: what is not found for this rater is another's, and waits for them
    theirs = {"url": "/r/handwriting/nowhere", "queue": [{"client_id": "c"}], "cleared": []}
    again.evaluate("box => localStorage.setItem('neuron-jury:x', JSON.stringify(box))", theirs)
    with again.expect_response("**/nowhere"):
        again.reload()
    again.evaluate("new Promise(done => setTimeout(done, 100))")
    assert again.evaluate("localStorage.length") == 1


def test_a_busy_server_is_asked_again(open_page: Open, live_server, study: Study) -> None:
    page = open_page()
    page.expected.append("503")
    begin(page, live_server.url)
    enhanced(page)
    refusals = iter([503, 503])

    def sometimes(route) -> None:
        status = next(refusals, None)
        route.fulfill(status=status) if status else route.continue_()

    page.route("**/ratings/", sometimes)
    page.keyboard.press("y")
    expect(page.locator("#save-state")).to_have_attribute("data-state", "waiting")
    saved(page)
    assert stored(page)[0] == "present"


def test_an_answer_that_is_refused_is_not_called_saved(
    open_page: Open, live_server, study: Study
) -> None:
    page = open_page()
    page.expected.append("409")
    begin(page, live_server.url)
    enhanced(page)
    Assignment.objects.update(status=AssignmentStatus.RETURNED)
    page.keyboard.press("y")
    expect(page.locator("#save-state")).to_have_attribute("data-state", "refused")
    assert Rating.objects.count() == 0


def test_without_javascript(open_page: Open, live_server, study: Study) -> None:
    page = open_page(java_script_enabled=False)
    begin(page, live_server.url)
    assert page.get_by_role("radio").count() == 45
    for number in range(1, 15):
        page.locator(f"#item-{number}").get_by_role("radio", name="Absent").check(force=True)
    page.expected.append("422")
    page.get_by_role("button", name="Submit task").click()
    expect(page.get_by_role("alert")).to_contain_text("1 image has no answer yet: image 15.")
    assert page.locator("input:checked").count() == 14
    page.locator("#item-15").get_by_role("radio", name="Present").check(force=True)
    page.get_by_role("button", name="Submit task").click()
    expect(page.locator(".ask-side")).to_contain_text("task 2")
    page.get_by_role("link", name="Stop").click()
    page.get_by_role("button", name="Stop and get my code").click()
    code = Participation.objects.get().completion_code
    expect(page.get_by_label("Your completion code")).to_have_value(code)
    assert Rating.objects.count() == 15


def test_not_agreeing_ends_politely(open_page: Open, live_server, study: Study) -> None:
    page = open_page()
    page.goto(f"{live_server.url}/r/handwriting/")
    page.get_by_role("button", name="I do not agree").click()
    expect(page.get_by_role("heading", name="Thank you for your time")).to_be_visible()
    page.get_by_role("link", name="I have changed my mind").click()
    expect(page).to_have_url(re.compile(r"/r/handwriting/$"))


class OneRequest(testcases.QuietWSGIRequestHandler):
    """Keeps no connection open, for one that outlives its server would reach its database."""

    protocol_version = "HTTP/1.0"


class Restartable(testcases.LiveServerThread):
    """A live server that may take up a port that was in use a moment ago."""

    def _create_server(self, connections_override=None):
        return self.server_class(
            (self.host, self.port),
            OneRequest,
            allow_reuse_address=True,
            connections_override=connections_override,
        )


def test_a_server_that_stops_and_starts_again(
    open_page: Open, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testcases, "LiveServerThread", Restartable)
    server = LiveServer("localhost:0")
    page = open_page()
    page.expected.append("ERR_CONNECTION_REFUSED")
    begin(page, server.url)
    enhanced(page)
    for _ in range(4):
        page.keyboard.press("y")
    saved(page)
    page.wait_for_load_state("networkidle")
    address = f"localhost:{server.thread.port}"
    server.stop()
    for _ in range(11):
        page.keyboard.press("n")
    expect(page.locator("#save-state")).to_have_attribute("data-state", "waiting")
    page.keyboard.press("Enter")
    again = LiveServer(address)
    try:
        saved(page)
        assert stored(page) == ["present"] * 4 + ["absent"] * 11
        page.keyboard.press("Enter")
        expect(page.locator(".ask-side")).to_contain_text("task 2")
        assert Assignment.objects.filter(status=AssignmentStatus.SUBMITTED).count() == 1
        page.wait_for_load_state("networkidle")
    finally:
        page.goto("about:blank")
        again.stop()


def test_two_tabs_without_a_network_keep_each_others_answers(
    open_page: Open, live_server, study: Study
) -> None:
    page = open_page()
    page.expected.append("ERR_FAILED")
    begin(page, live_server.url)
    enhanced(page)
    context = page.context
    other = context.new_page()
    other.goto(page.url)
    enhanced(other)
    context.route("**/ratings/", lambda route: route.abort())
    page.keyboard.press("y")
    other.locator(".thumb").nth(1).click()
    other.keyboard.press("n")
    page.locator(".thumb").nth(2).click()
    page.keyboard.press("u")
    for tab in (page, other):
        expect(tab.locator("#save-state")).to_have_attribute("data-state", "waiting")
        tab.close()
    assert Rating.objects.count() == 0
    context.unroute("**/ratings/")
    third = context.new_page()
    third.goto(f"{live_server.url}/r/handwriting/task/")
    enhanced(third)
    assert values_by_position(third)[:3] == ["present", "absent", "cannot_tell"]
    saved(third)
    assert stored(third)[:3] == ["present", "absent", "cannot_tell"]


def test_back_after_the_submit_changes_nothing(open_page: Open, live_server, study: Study) -> None:
    page = open_page()
    begin(page, live_server.url)
    enhanced(page)
    for _ in range(15):
        page.keyboard.press("y")
    saved(page)
    page.keyboard.press("Enter")
    expect(page.locator(".ask-side")).to_contain_text("task 2")
    page.go_back()
    page.reload()
    enhanced(page)
    expect(page.locator(".ask-side")).to_contain_text("task 2")
    assert Assignment.objects.count() == 2
    assert Rating.objects.filter(value="present").count() == 15


def test_long_texts_by_keyboard(open_page: Open, live_server, study: Study) -> None:
    text = "word " * 1900 + "needle" + " word" * 80
    turn_into_texts(study, text, (9500, 9506))
    page = open_page(**PHONE)
    begin(page, live_server.url, question="Does this text contain: concept")
    enhanced(page)
    expect(page.locator("#position")).to_have_text("text 1 of 15")
    expect(page.locator(".item.current mark")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollHeight") <= 844
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    passage = page.locator(".item.current .passage")
    passage.evaluate("e => { e.scrollTop = 0; }")
    for key in ("Space", "ArrowDown"):
        before = passage.evaluate("e => e.scrollTop")
        page.keyboard.press(key)
        until(lambda before=before: passage.evaluate("e => e.scrollTop") > before + 20)
    expect(page.locator("#zoom")).to_be_hidden()
    page.keyboard.press("y")
    expect(page.locator("#position")).to_have_text("text 2 of 15")
    expect(page.locator(".item.current mark")).to_be_in_viewport()
    saved(page)
    assert stored(page)[0] == "present"


def test_training_on_a_phone_without_javascript(open_page: Open, live_server, study: Study) -> None:
    add_training(study, ["present", "present"], pass_mark=2)
    page = open_page(**PHONE, java_script_enabled=False)
    page.goto(f"{live_server.url}/r/handwriting/")
    page.get_by_role("button", name="I agree, start").click()
    page.get_by_role("button", name="Go on to the practice").click()
    for value in ("Absent", "Present"):
        page.get_by_role("radio", name=value).check(force=True)
        page.get_by_role("button", name="Answer").tap()
        expect(page.get_by_role("status")).to_contain_text("Look closely.")
        page.locator("a.button.primary").tap()
    expect(page.get_by_role("heading", name="Not passed yet")).to_be_visible()
    page.get_by_role("button", name="Try again").tap()
    for _ in range(2):
        page.get_by_role("radio", name="Present").check(force=True)
        page.get_by_role("button", name="Answer").tap()
        expect(page.get_by_role("status")).to_contain_text("That is right.")
        page.locator("a.button.primary").tap()
    page.get_by_role("button", name="Show me the first task").tap()
    expect(page.get_by_role("radio")).to_have_count(45)


def test_an_image_that_is_gone_leaves_a_note(open_page: Open, live_server, study: Study) -> None:
    page = open_page()
    page.expected.append("404")
    page.route("**/task/", lambda route: (damage(), route.continue_()))

    def damage() -> None:
        held = Assignment.objects.filter(status=AssignmentStatus.LEASED).first()
        if held is not None:
            first = assignment_items(held)[0].item.probe_input
            (study.dataset.absolute_root / first.file).unlink(missing_ok=True)

    begin(page, live_server.url)
    page.reload()
    enhanced(page)
    picture = page.locator(".item.current img")
    # the note is a picture of 400 x 400, the images of this study have 8 x 8
    until(lambda: picture.evaluate("e => e.naturalWidth") == 400)
    page.keyboard.press("u")
    saved(page)
    assert stored(page)[0] == "cannot_tell"
    page.wait_for_load_state("networkidle")


def test_the_task_page_weighs_little(open_page: Open, live_server, study: Study) -> None:
    page = open_page()
    sizes: dict[str, int] = {}
    page.on(
        "requestfinished",
        lambda request: sizes.update({request.url: sum(request.sizes().values())}),
    )
    begin(page, live_server.url)
    enhanced(page)
    sizes.clear()
    page.context.clear_cookies(name="none")
    page.reload()
    enhanced(page)
    page.wait_for_load_state("networkidle")
    own = {url: size for url, size in sizes.items() if "/i/" not in url}
    assert any(url.endswith("/task/") for url in own)
    kinds = {url.rsplit(".", 1)[-1] for url in own}
    assert {"css", "js"} <= kinds
    assert sum(own.values()) < 100_000, own
