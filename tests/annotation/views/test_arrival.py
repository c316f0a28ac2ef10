"""Arrival by each kind of link: GET records nothing, one id is one rater, bad links are told."""

import re

import pytest
from django.contrib.sessions.models import Session
from django.core import signing
from django.test import Client
from django.urls import reverse

from annotation.models import (
    Outcome,
    PanelSubmission,
    Participation,
    Rater,
    ScreeningAnswer,
    ScreeningQuestion,
    Study,
)
from annotation.services.raters import participation_end
from annotation.services.studies import study_pause
from tests.annotation.factories import make_study, rate_task
from tests.annotation.factories_journey import CODES, make_panel, policy_set

pytestmark = pytest.mark.django_db

TICKET = re.compile(r'name="arrival" value="([^"]+)"')


@pytest.fixture
def study() -> Study:
    return make_study(n_inputs=60, title="Images")


@pytest.fixture
def link(study: Study) -> str:
    """The link of a panel's rater."""
    make_panel(study)
    return reverse("rater:entry", args=[study.slug]) + "?pid=PANEL-ID-77&visit=v1"


def page(name: str, study: Study) -> str:
    return reverse(f"rater:{name}", args=[study.slug])


def ticket_of(html: str) -> str:
    found = TICKET.search(html)
    assert found is not None
    return found.group(1)


def begin(client: Client, link: str, study: Study) -> None:
    """From the link to the first task."""
    client.post(link, {"consent": "yes", "arrival": ticket_of(client.get(link).content.decode())})
    client.post(page("instructions", study))


def test_opening_a_link_records_nothing(client: Client, study: Study, link: str) -> None:
    for address in (page("entry", study), link):
        assert client.get(address).status_code == 200
    assert not Rater.objects.exists()
    assert not Session.objects.exists()


def test_a_panels_id_is_nowhere_in_plain_words(client: Client, study: Study, link: str) -> None:
    html = client.get(link).content.decode()
    begin(client, link, study)
    assert "PANEL-ID-77" not in html
    assert Participation.objects.get().channel == "panel"
    kept = [row.external_id_hash for row in Rater.objects.all()]
    kept += [repr(row.get_decoded()) for row in Session.objects.all()]
    assert not any("PANEL-ID-77" in text for text in kept)


def test_the_same_id_in_another_browser_is_the_same_rater(
    client: Client, study: Study, link: str
) -> None:
    begin(client, link, study)
    held = Participation.objects.get().assignments.get()
    other = Client()
    assert b"Welcome back" in other.get(link).content
    assert not other.session.get("participations")
    ticket = ticket_of(other.get(link).content.decode())
    response = other.post(link, {"resume": "yes", "arrival": ticket})
    assert response.url == page("task", study)
    assert str(held.public_id) in other.get(response.url).content.decode()
    assert Participation.objects.count() == 1


def test_two_raters_on_one_computer_are_two(client: Client, study: Study, link: str) -> None:
    begin(client, link, study)
    second = link.replace("77", "78")
    assert b"Your consent" in client.get(second).content
    begin(client, second, study)
    assert Participation.objects.count() == 2
    assert client.get(second).url == page("task", study)
    assert b"Welcome back" in client.get(link).content


def test_the_form_may_come_back_long_after_the_link(
    client: Client, study: Study, link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = ticket_of(client.get(link).content.decode())
    # the address without its query, as after a change of page
    client.post(page("entry", study), {"consent": "yes", "arrival": ticket})
    assert Participation.objects.get().channel == "panel"
    monkeypatch.setattr(signing.time, "time", lambda: 2**32)
    late = Client().post(page("entry", study), {"consent": "yes", "arrival": ticket})
    assert late.status_code == 400
    assert b"Open the link that you were given once more" in late.content


@pytest.mark.parametrize(
    "query",
    ["pid=", "pid=%20", "pid={{%PROLIFIC_PID%}}", "pid=[id]", "pid=" + "x" * 201, "pid=a%00b"],
)
def test_a_link_without_an_id_is_told(client: Client, study: Study, query: str) -> None:
    make_panel(study)
    for send in (client.get, client.post):
        response = send(f"{page('entry', study)}?{query}")
        assert response.status_code == 400
        assert "“pid” is missing or not filled in" in response.content.decode()
    assert not Rater.objects.exists()


def test_a_ticket_cannot_be_made_up_or_carried_elsewhere(
    client: Client, study: Study, link: str
) -> None:
    ticket = ticket_of(client.get(link).content.decode())
    other = make_study()
    make_panel(other)
    for address, given in ((page("entry", other), ticket), (page("entry", study), ticket + "x")):
        response = client.post(address, {"consent": "yes", "arrival": given})
        assert response.status_code == 400
    assert not Rater.objects.exists()


def test_a_channel_that_is_off_or_full_has_a_page(client: Client, study: Study, link: str) -> None:
    study.recruitments.filter(channel="panel").update(places=1)
    begin(client, link, study)
    second = link.replace("77", "78")
    full = Client().post(second, {"consent": "yes"})
    assert full.status_code == 403
    assert b"All places are taken" in full.content
    study.recruitments.update(active=False)
    for address in (second, page("entry", study)):
        off = Client().post(address, {"consent": "yes"})
        assert b"This link takes nobody at the moment" in off.content
    assert Rater.objects.count() == 1
    assert client.get(link).url == page("task", study)  # whoever is in stays in


def test_a_paused_study_is_told_before_anything_is_asked(
    client: Client, study: Study, link: str
) -> None:
    study_pause(study=study, actor=study.owner)
    assert b"taking a break" in client.get(link).content
    assert b"taking a break" in client.post(link, {"consent": "yes"}).content
    assert not Rater.objects.exists()


def test_refusing_consent_sends_the_panel_its_code(client: Client, study: Study, link: str) -> None:
    response = client.post(link, {"consent": "no"}, follow=True)
    assert response.redirect_chain[-1][0] == page("ended", study)
    html = response.content.decode()
    assert CODES["no_consent"] in html
    assert 'href="https://panel.example/done?code=NOCONS12&amp;who=PANEL-ID-77"' in html
    person = Participation.objects.get()
    assert (person.outcome, person.consented_at) == (Outcome.NO_CONSENT, None)
    # no change of mind: the panel was told
    assert client.post(link, {"consent": "yes"}).url == page("ended", study)
    person.refresh_from_db()
    assert person.consented_at is None


def test_a_volunteer_may_change_their_mind(client: Client, study: Study) -> None:
    entry = page("entry", study)
    assert client.post(entry, {"consent": "no"}).url == page("exit", study)
    assert Participation.objects.get().ended_at is None
    response = client.post(entry, {"consent": "yes", "nickname": "Ada"})
    assert response.url == page("instructions", study)
    assert Rater.objects.get().nickname == "Ada"


def test_a_name_that_is_too_long_is_told(client: Client, study: Study) -> None:
    response = client.post(page("entry", study), {"consent": "yes", "nickname": "x" * 41})
    assert response.status_code == 422
    assert b"at most 40 characters" in response.content
    assert not Rater.objects.exists()


def screen(study: Study) -> None:
    ScreeningQuestion.objects.create(
        study=study, position=1, text="Do you <b>see</b>?", choices=["Yes", "No"], accepted=["Yes"]
    )


def test_screening_comes_before_consent(client: Client, study: Study, link: str) -> None:
    screen(study)
    html = client.get(link).content.decode()
    assert "Do you &lt;b&gt;see&lt;/b&gt;?" in html
    assert "Your consent" not in html
    for form in ({}, {"screening-1": "Perhaps"}, {"consent": "yes"}):
        response = client.post(link, form)
        assert response.status_code == 422
        assert b"Choose one of the answers." in response.content
    assert not Rater.objects.exists()
    assert client.post(link, {"screening-1": "Yes"}).url == page("entry", study)
    assert b"Your consent" in client.get(link).content
    assert Participation.objects.get().consented_at is None
    assert client.post(link, {"consent": "yes"}).url == page("instructions", study)


def test_whoever_is_not_eligible_is_sent_back_once(client: Client, study: Study, link: str) -> None:
    screen(study)
    response = client.post(link, {"screening-1": "No"}, follow=True)
    assert b"This study is not for you" in response.content
    assert CODES["screened_out"] in response.content.decode()
    again = client.post(link, {"screening-1": "Yes"}, follow=True)
    assert b"This study is not for you" in again.content
    assert ScreeningAnswer.objects.get().choice == "No"
    for name in ("task", "instructions", "stop", "complete"):
        assert client.get(page(name, study)).url == page("ended", study), name


def test_a_screening_question_may_be_left_by_not_taking_part(client: Client, study: Study) -> None:
    screen(study)
    assert client.post(page("entry", study), {"consent": "no"}).url == page("exit", study)
    assert Participation.objects.get().declined_at is not None


def test_the_link_to_come_back_is_the_raters_own(client: Client, study: Study, link: str) -> None:
    begin(client, link, study)
    html = client.get(page("break", study)).content.decode()
    assert "kept for you for 29 more minutes" in html
    back = re.search(r'value="http://testserver([^"]+back=[^"]+)"', html)
    assert back is not None
    other = Client()
    assert b"Welcome back" in other.get(back.group(1)).content
    assert other.post(back.group(1), {"resume": "yes"}).url == page("task", study)
    assert b"data-item" in other.get(page("task", study)).content
    bad = Client().get(back.group(1)[:-2])
    assert bad.status_code == 400
    assert b"damaged or too old" in bad.content
    elsewhere = back.group(1).replace(study.slug, make_study().slug)
    assert Client().get(elsewhere).status_code == 400


def test_a_panels_rater_stops_early_without_a_code(client: Client, study: Study, link: str) -> None:
    policy_set(study, tasks_per_rater=2)
    begin(client, link, study)
    person = Participation.objects.get()
    rate_task(person.assignments.get(), "absent")
    stop = client.get(page("stop", study)).content.decode()
    assert "You have finished 1 of 2 tasks." in stop
    assert "there is no completion code" in stop
    response = client.post(page("stop", study), follow=True)
    assert b"You stopped before the end" in response.content
    person.refresh_from_db()
    assert (person.completion_code, person.ended_at) == ("", None)
    # back for the second task
    assert client.post(page("task", study)).url == page("task", study)
    assert "task 2 of 2" in client.get(page("task", study)).content.decode()


def test_enough_tasks_complete_by_themselves(client: Client, study: Study, link: str) -> None:
    policy_set(study, tasks_per_rater=1)
    Study.objects.update(debrief="We look into <neurons>.", contact="jury@example.org")
    begin(client, link, study)
    person = Participation.objects.get()
    rate_task(person.assignments.get(), "absent")
    assert b"All tasks are done" in client.get(page("task", study)).content
    for _ in range(2):
        response = client.post(page("task", study), follow=True)
        html = response.content.decode()
        assert f'value="{CODES["completed"]}"' in html
        assert "We look into &lt;neurons&gt;." in html
        assert "mailto:jury@example.org" in html
        assert "code=DONE1234&amp;who=PANEL-ID-77" in html
    assert person.assignments.count() == 1


def test_the_way_back_is_an_address_of_the_web_only(
    client: Client, study: Study, link: str
) -> None:
    study.recruitments.filter(channel="panel").update(completion_url="javascript:alert(1)//{code}")
    html = client.post(link, {"consent": "no"}, follow=True).content.decode()
    assert "javascript" not in html
    assert CODES["no_consent"] in html


def test_without_a_code_a_panels_rater_is_told_what_to_do(client: Client, study: Study) -> None:
    make_panel(study, codes=False)
    response = client.post(page("entry", study) + "?pid=a", {"consent": "no"}, follow=True)
    assert b"Give your place back on the panel" in response.content


@pytest.mark.parametrize("outcome", [value for value in Outcome.values if value != "completed"])
def test_every_outcome_has_a_page(client: Client, study: Study, link: str, outcome: str) -> None:
    begin(client, link, study)
    participation_end(participation=Participation.objects.get(), outcome=outcome)
    response = client.post(page("task", study), follow=True)
    assert response.redirect_chain[-1][0] == page("ended", study)
    assert response.status_code == 200
    code = CODES.get(Outcome(outcome))
    assert (b"Your code for the panel" in response.content) == (code is not None)
    assert b"Give your place back" not in response.content


def test_coming_back_with_another_visit_records_it(client: Client, study: Study, link: str) -> None:
    study.recruitments.filter(channel="panel").update(submission_parameter="visit")
    client.post(link, {"consent": "yes"})
    longest = "v" * 200
    client.post(link.replace("visit=v1", f"visit={longest}"), {"resume": "1"})
    visits = PanelSubmission.objects.values_list("submission_id", "participation")
    mine = Participation.objects.get().pk
    assert set(visits) == {("v1", mine), (longest, mine)}
