"""The rater's way through the pages, without JavaScript: consent to completion code."""

import re
import uuid
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import (
    Assignment,
    AssignmentStatus,
    Channel,
    Concept,
    Participation,
    Rating,
    RatingValue,
    Study,
)
from annotation.services.assignments import assignment_return, leases_expire
from annotation.services.studies import study_close, study_pause
from tests.annotation.factories import make_participation, make_study, rate_task
from tests.annotation.factories_journey import make_panel, policy_set, turn_into_texts

pytestmark = pytest.mark.django_db

FIELDSET = re.compile(
    r'<fieldset[^>]* data-item="([^"]+)" data-image="([^"]+)".*?</fieldset>', re.DOTALL
)


@pytest.fixture
def study() -> Study:
    return make_study(title="Images", consent_text="Agree?", instructions="Look well.", n_inputs=60)


@pytest.fixture
def rater(client: Client, study: Study) -> Client:
    """A browser that holds the first task."""
    client.post(reverse("rater:entry", args=[study.slug]), {"consent": "yes"})
    client.post(reverse("rater:instructions", args=[study.slug]))
    return client


def task_html(client: Client, study: Study) -> str:
    response = client.get(reverse("rater:task", args=[study.slug]))
    assert response.status_code == 200
    return response.content.decode()


def submit_url(study: Study) -> str:
    held = Assignment.objects.get(status=AssignmentStatus.LEASED)
    return reverse("rater:submit", args=[study.slug, held.public_id])


def all_answers(html: str, value: str = "present") -> dict[str, str]:
    return {f"item-{item}": value for item, _ in FIELDSET.findall(html)}


def test_looking_at_the_entry_page_makes_no_rater(client: Client, study: Study) -> None:
    response = client.get(reverse("rater:entry", args=[study.slug]))
    assert b"Agree?" in response.content
    assert b"version 1" in response.content
    assert Participation.objects.count() == 0
    assert client.get(reverse("rater:task", args=[study.slug])).status_code == 403


def test_consent_is_needed_and_kept(client: Client, study: Study) -> None:
    url = reverse("rater:entry", args=[study.slug])
    unclear = client.post(url, {})
    assert unclear.status_code == 422
    assert b"Choose one of the two buttons" in unclear.content
    declined = client.post(url, {"consent": "no"}, follow=True)
    assert b"Thank you for your time" in declined.content
    person = Participation.objects.get()
    assert person.declined_at is not None
    assert person.consented_at is None
    for page in ("instructions", "task", "stop", "complete"):
        response = client.get(reverse(f"rater:{page}", args=[study.slug]))
        assert response.url == url, page
    assert client.post(url, {"consent": "yes"}).url == reverse(
        "rater:instructions", args=[study.slug]
    )
    person.refresh_from_db()
    assert person.consent_version == "1"
    assert Participation.objects.count() == 1


def test_a_new_consent_text_is_asked_for_again(rater: Client, study: Study) -> None:
    url = reverse("rater:entry", args=[study.slug])
    assert rater.get(url).status_code == 302
    Study.objects.filter(pk=study.pk).update(consent_version="2")
    assert b"version 2" in rater.get(url).content


def test_get_never_leases(client: Client, study: Study) -> None:
    client.post(reverse("rater:entry", args=[study.slug]), {"consent": "yes"})
    for page in ("instructions", "task", "stop"):
        client.get(reverse(f"rater:{page}", args=[study.slug]))
    assert Assignment.objects.count() == 0


def test_a_whole_task_with_the_plain_form(rater: Client, study: Study) -> None:
    html = task_html(rater, study)
    assert len(FIELDSET.findall(html)) == 15
    response = rater.post(submit_url(study), all_answers(html))
    assert response.url == reverse("rater:task", args=[study.slug])
    assert Rating.objects.filter(value=RatingValue.PRESENT).count() == 15
    assert "task 2" in task_html(rater, study)
    stop = rater.get(reverse("rater:stop", args=[study.slug]))
    assert b"You have finished 1 task." in stop.content
    done = rater.post(reverse("rater:stop", args=[study.slug]), follow=True)
    code = Participation.objects.get().completion_code
    assert code
    assert code in done.content.decode()
    again = rater.get(reverse("rater:task", args=[study.slug]))
    assert again.url == reverse("rater:complete", args=[study.slug])


def test_missing_answers_are_named_and_given_ones_kept(rater: Client, study: Study) -> None:
    answers = all_answers(task_html(rater, study), "cannot_tell")
    left_out = list(answers)[3], list(answers)[9]
    partial = {name: value for name, value in answers.items() if name not in left_out}
    response = rater.post(submit_url(study), partial)
    assert response.status_code == 422
    html = response.content.decode()
    assert "2 images have no answer yet" in html
    assert 'href="#item-4"' in html
    assert 'href="#item-10"' in html
    assert html.count("· no answer<") == 2
    assert html.count(" checked>") == 13
    assert task_html(rater, study).count(" checked>") == 13
    assert not Assignment.objects.filter(status=AssignmentStatus.SUBMITTED).exists()
    rater.post(submit_url(study), dict.fromkeys(left_out, "absent"))
    assert Assignment.objects.filter(status=AssignmentStatus.SUBMITTED).count() == 1


def test_an_answer_that_does_not_exist_is_refused(rater: Client, study: Study) -> None:
    answers = all_answers(task_html(rater, study), "perhaps")
    response = rater.post(submit_url(study), answers)
    assert response.status_code == 409
    assert b"none of the three" in response.content
    assert Rating.objects.count() == 0


def test_submitting_twice_is_submitting_once(rater: Client, study: Study) -> None:
    html, url = task_html(rater, study), submit_url(study)
    rater.post(url, all_answers(html))
    response = rater.post(url, all_answers(html, "absent"))
    assert response.status_code == 302
    assert Assignment.objects.filter(status=AssignmentStatus.SUBMITTED).count() == 1
    assert set(Rating.objects.values_list("value", flat=True)) == {"present"}


def test_another_raters_task_cannot_be_submitted(rater: Client, study: Study) -> None:
    url, html = submit_url(study), task_html(rater, study)
    other = Client()
    other.post(reverse("rater:entry", args=[study.slug]), {"consent": "yes"})
    assert other.post(url, all_answers(html)).status_code == 404
    assert Rating.objects.count() == 0


def test_stopping_before_the_first_task_ends_politely(rater: Client, study: Study) -> None:
    stop = reverse("rater:stop", args=[study.slug])
    assert b"there is no completion code" in rater.get(stop).content
    response = rater.post(stop, follow=True)
    assert b"Thank you for your time" in response.content
    assert Assignment.objects.get().status == AssignmentStatus.RETURNED
    assert Participation.objects.get().completion_code == ""


def test_a_rater_comes_back_to_the_same_task(rater: Client, study: Study) -> None:
    html = task_html(rater, study)
    assert FIELDSET.findall(task_html(rater, study)) == FIELDSET.findall(html)
    response = rater.get(reverse("rater:entry", args=[study.slug]))
    assert response.url == reverse("rater:task", args=[study.slug])


def test_an_expired_lease_is_taken_up_again(rater: Client, study: Study) -> None:
    html = task_html(rater, study)
    held = Assignment.objects.get()
    leases_expire(now=held.expires_at)
    page = rater.get(reverse("rater:task", args=[study.slug]))
    assert b"Ready for the next task?" in page.content
    rater.post(reverse("rater:task", args=[study.slug]))
    assert FIELDSET.findall(task_html(rater, study)) == FIELDSET.findall(html)


def test_a_lost_session_is_told_what_to_do(client: Client, study: Study) -> None:
    response = client.get(reverse("rater:task", args=[study.slug]))
    assert response.status_code == 403
    assert reverse("rater:entry", args=[study.slug]) in response.content.decode()


def test_no_work_left_gives_the_code_or_says_so(client: Client) -> None:
    small = make_study(n_inputs=12, inputs_per_pair=4, n_neurons=1, n_concepts=1, redundancy=1)
    entry = reverse("rater:entry", args=[small.slug])
    late = Client()
    for browser in (client, late):
        browser.post(entry, {"consent": "yes"})
    client.post(reverse("rater:instructions", args=[small.slug]))
    response = late.post(reverse("rater:instructions", args=[small.slug]), follow=True)
    assert b"No task is left" in response.content
    html = task_html(client, small)
    response = client.post(submit_url(small), all_answers(html))
    assert response.url == reverse("rater:complete", args=[small.slug])


@pytest.mark.parametrize(("change", "words"), [(study_pause, "break"), (study_close, "closed")])
def test_a_study_that_is_not_open_says_so(rater: Client, study: Study, change, words) -> None:
    html, url = task_html(rater, study), submit_url(study)
    change(study=study, actor=study.owner)
    newcomer = Client().get(reverse("rater:entry", args=[study.slug]))
    assert newcomer.status_code == 403
    assert words in newcomer.content.decode()
    assert "data-item" in task_html(rater, study)  # what was begun may be finished
    response = rater.post(url, all_answers(html))
    assert response.status_code == 403
    assert "Get my completion code" in response.content.decode()
    assert Assignment.objects.get().status == AssignmentStatus.SUBMITTED
    done = rater.post(reverse("rater:stop", args=[study.slug]), follow=True)
    assert Participation.objects.get().completion_code in done.content.decode()


def test_a_draft_is_not_there(client: Client) -> None:
    draft = make_study(launched=False)
    assert client.get(reverse("rater:entry", args=[draft.slug])).status_code == 404


def test_simulated_raters_need_a_setting(client: Client, study: Study, settings) -> None:
    url = reverse("rater:entry", args=[study.slug])
    for name in ("7", ""):
        refused = client.post(url, {"consent": "yes", "simulated_rater": name})
        assert refused.status_code == 403
        assert b"this site takes no simulated raters" in refused.content
    assert not Participation.objects.exists()
    settings.NEURONJURY_ALLOW_SIMULATED_RATERS = True
    other = Client()
    other.post(url, {"consent": "yes", "simulated_rater": "7"})
    assert Participation.objects.filter(rater__channel=Channel.SIMULATED).count() == 1


def test_items_differ_in_nothing_but_opaque_ids(rater: Client, study: Study) -> None:
    html = task_html(rater, study)
    shapes = set()
    for number, match in enumerate(FIELDSET.finditer(html), start=1):
        item, image = match.groups()
        assert uuid.UUID(item).version == uuid.UUID(image).version == 4
        text = match.group().replace(item, "ITEM").replace(image, "IMAGE")
        text = re.sub(r"sign=[\w-]+", "sign=SIGN", text)
        text = text.replace(f'id="item-{number}"', 'id="item-N"')
        shapes.add(
            text.replace(f"Image {number} of", "Image N of").replace(f"Image {number},", "Image N,")
        )
    assert len(shapes) == 1


def test_the_order_shown_is_not_the_datasets(rater: Client, study: Study) -> None:
    shown = [image for _, image in FIELDSET.findall(task_html(rater, study))]
    rows = Assignment.objects.get().task.items.values_list(
        "probe_input__public_id", "probe_input__index"
    )
    index = {str(public_id): row for public_id, row in rows}
    order = [index[image] for image in shown]
    assert order != sorted(order)
    assert sorted(order) == sorted(index.values())


def test_raters_see_no_neuron_method_or_file(rater: Client, study: Study) -> None:
    pages = [task_html(rater, study)]
    answers = all_answers(pages[0])
    pages += [
        rater.get(reverse(f"rater:{name}", args=[study.slug])).content.decode()
        for name in ("exit", "instructions", "stop")
    ]
    pages.append(Client().get(reverse("rater:entry", args=[study.slug])).content.decode())
    pages.append(rater.post(submit_url(study), {}).content.decode())
    rater.post(submit_url(study), answers)
    done = rater.post(reverse("rater:stop", args=[study.slug]), follow=True)
    pages.append(done.content.decode())
    files = list(study.dataset.inputs.values_list("file", flat=True))
    forbidden = [
        *files,
        *{re.sub(r"-.*", "", file) for file in files},
        *(file.removesuffix(".png") for file in files),
        study.dataset.name,
        study.dataset.root,
        *("layer1", "tiny", "Good", "Bad", "neuron", "activation", "probability", "gold"),
    ]
    for page in pages:
        assert [word for word in forbidden if word in page] == []
    assert "neuron" not in " ".join(f"{name}: {value}" for name, value in done.items())


def test_nothing_is_inline(rater: Client, study: Study) -> None:
    rater.force_login(study.owner)
    addresses = [
        *(reverse(f"rater:{name}", args=[study.slug]) for name in ("task", "stop", "exit")),
        reverse("rater:instructions", args=[study.slug]),
        reverse("researcher:study_list"),
        reverse("researcher:study", args=[study.slug]),
        reverse("login"),
        "/r/none/",
    ]
    for address in addresses:
        response = rater.get(address)
        html = response.content.decode()
        assert "script-src 'self'" in response["Content-Security-Policy"]
        assert re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", html) is None, (
            address
        )
        assert re.search(r'(?:src|href)="(?:https?:)?//', html) is None, address


def test_a_task_page_is_light(rater: Client, study: Study) -> None:
    static = Path(__file__).parents[3] / "annotation/static/annotation"
    files = [
        "css/base.css",
        "css/rater.css",
        "js/task.js",
        "js/outbox.js",
        "js/marks.js",
        "logo.svg",
    ]
    own = sum((static / file).stat().st_size for file in files)
    assert own + len(task_html(rater, study).encode()) < 100_000


def texts_study(text: str, highlight: tuple[int, int] | None = None) -> Study:
    study = make_study(n_inputs=60, title="Texts", instructions="Read.")
    turn_into_texts(study, text, highlight)
    return study


def begin(client: Client, study: Study, query: str = "") -> Client:
    client.post(reverse("rater:entry", args=[study.slug]) + query, {"consent": "yes"})
    client.post(reverse("rater:instructions", args=[study.slug]))
    return client


def test_texts_are_shown_with_their_marked_words(client: Client) -> None:
    study = texts_study("a <b>cat</b> & 🙂 سلام", highlight=(5, 8))
    begin(client, study)
    html = task_html(client, study)
    assert html.count("a &lt;b&gt;<mark>cat</mark>&lt;/b&gt; &amp; 🙂 سلام</div>") == 15
    assert "<img" not in html.split("<dialog")[0]
    assert "Does this text contain:" in html
    assert "Text 3 of 15" in html
    for name in ("entry", "instructions", "task"):
        page = Client() if name == "entry" else client
        text = page.get(reverse(f"rater:{name}", args=[study.slug])).content.decode()
        visible = re.sub(
            r"<dialog.*?</dialog>|/i/|data-image=|<(meta|link|img|svg)[^>]*>", "", text
        )
        assert re.search(r"\bimages?\b(?!/)", visible, re.IGNORECASE) is None, name


def test_a_text_of_ten_thousand_characters_is_whole(client: Client) -> None:
    text = "word 🙂 " * 1400 + "end of it"
    study = texts_study(text, highlight=(len(text) - 9, len(text)))
    begin(client, study)
    html = task_html(client, study)
    assert html.count("<mark>end of it</mark>") == 15
    assert html.count("🙂") == 15 * 1400
    missing = client.post(submit_url(study), {})
    assert missing.status_code == 422
    assert b"15 texts have no answer yet" in missing.content


def test_what_researchers_write_cannot_run(client: Client, study: Study) -> None:
    bad = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    Study.objects.update(
        title=bad,
        question=bad,
        consent_text=bad,
        instructions=bad,
        debrief=bad,
        consent_version="2",
    )
    Concept.objects.filter(text="concept 0").update(text=bad)
    Concept.objects.filter(text="concept 1").update(text=bad + "2")
    pages = [client.get(reverse("rater:entry", args=[study.slug])).content.decode()]
    begin(client, study)
    pages.append(client.get(reverse("rater:instructions", args=[study.slug])).content.decode())
    html = task_html(client, study)
    client.post(submit_url(study), all_answers(html))
    done = client.post(reverse("rater:stop", args=[study.slug]), follow=True)
    for page in [*pages, html, done.content.decode()]:
        assert "&lt;script&gt;" in page
        assert "<script>" not in page
        assert "<img src=x" not in page


def test_a_second_tab_shows_the_same_task(rater: Client, study: Study) -> None:
    first, second = task_html(rater, study), task_html(rater, study)
    url = submit_url(study)
    assert FIELDSET.findall(first) == FIELDSET.findall(second)
    rater.post(url, all_answers(first))
    # the other tab submits what it has: nothing changes, and it is led on
    response = rater.post(url, all_answers(second, "absent"))
    assert response.url == reverse("rater:task", args=[study.slug])
    assert set(Rating.objects.values_list("value", flat=True)) == {"present"}
    assert Assignment.objects.count() == 2


def test_ten_submits_of_the_last_task_give_one_code(client: Client) -> None:
    study = make_study(n_inputs=60)
    policy_set(study, tasks_per_rater=1)
    begin(client, study)
    url, answers = submit_url(study), all_answers(task_html(client, study))
    codes = set()
    for _ in range(10):
        assert client.post(url, answers).url == reverse("rater:complete", args=[study.slug])
        codes.add(Participation.objects.get().completion_code)
    assert len(codes) == 1
    assert Assignment.objects.count() == 1
    assert client.get(url).url == reverse("rater:complete", args=[study.slug])


def test_a_returned_task_is_told_in_the_raters_words(rater: Client, study: Study) -> None:
    html, url = task_html(rater, study), submit_url(study)
    assignment_return(assignment=Assignment.objects.get())
    response = rater.post(url, all_answers(html))
    assert response.status_code == 409
    assert b"It was given back, and takes no more answers." in response.content


def test_an_attention_check_comes_before_the_next_task(rater: Client, study: Study) -> None:
    policy_set(study, attention_checks=1, tasks_per_rater=3)
    check = reverse("rater:attention", args=[study.slug])
    task = reverse("rater:task", args=[study.slug])
    for _ in range(3):
        response = rater.post(submit_url(study), all_answers(task_html(rater, study)))
        if response.url == check:
            break
    assert rater.get(task).url == check
    assert rater.post(task).url == check
    assert not Assignment.objects.filter(status=AssignmentStatus.LEASED).exists()


def test_pages_are_not_kept_by_caches(rater: Client, study: Study) -> None:
    response = rater.get(reverse("rater:task", args=[study.slug]))
    assert "no-store" in response["Cache-Control"]


def test_a_late_task_counts_for_the_rater(rater: Client, study: Study) -> None:
    html, url = task_html(rater, study), submit_url(study)
    held = Assignment.objects.get()
    leases_expire(now=held.expires_at)
    for slot in range(study.redundancy):  # others take every slot
        other = make_participation(study)
        taken = held.task.assignments.create(
            participation=other,
            slot=slot,
            redundancy=study.redundancy,
            leased_at=held.leased_at,
            expires_at=held.expires_at,
        )
        rate_task(taken, "absent")
    rater.post(url, all_answers(html))
    held.refresh_from_db()
    assert held.late_at is not None
    assert "task 2" in task_html(rater, study)


def test_without_a_script_the_task_says_how_to_keep_what_was_chosen(
    rater: Client, study: Study
) -> None:
    html = task_html(rater, study)
    assert '<p class="notice no-script">Before a break or a stop, press “Submit task”' in html
    first, *_ = all_answers(html).items()
    rater.post(submit_url(study), dict([first]))
    assert Rating.objects.count() == 1


def test_a_paid_rater_who_returns_tasks_is_not_done(client: Client) -> None:
    study = make_study(n_inputs=60, n_neurons=1, n_concepts=1, items_per_task=10)
    make_panel(study)
    assert study.tasks.count() == 2
    policy_set(study, tasks_per_rater=2)
    begin(client, study, "?pid=PAID-1")
    stop, task = (reverse(f"rater:{name}", args=[study.slug]) for name in ("stop", "task"))
    client.post(submit_url(study), all_answers(task_html(client, study)))
    client.post(stop)
    assert client.post(task).url == task
    assert Participation.objects.get().completion_code == ""
    client.post(submit_url(study), all_answers(task_html(client, study)))
    assert Participation.objects.get().completed_at is not None


def test_no_task_is_handed_out_while_the_images_are_gone(client: Client, study: Study) -> None:
    root = study.dataset.absolute_root
    client.post(reverse("rater:entry", args=[study.slug]), {"consent": "yes"})
    root.rename(root.with_name(f"{root.name}-elsewhere"))
    url = reverse("rater:instructions", args=[study.slug])
    response = client.post(url, follow=True)
    assert response.status_code == 403
    assert "taking a break" in response.content.decode()
    assert not Assignment.objects.exists()
    root.with_name(f"{root.name}-elsewhere").rename(root)
    assert client.post(reverse("rater:task", args=[study.slug]), follow=True).status_code == 200
    assert Assignment.objects.count() == 1
