"""Training and instructions as a rater sees them: plain forms, feedback only after the answer."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import (
    Assignment,
    GoldUse,
    Participation,
    Study,
    TrainingAnswer,
    TrainingAttempt,
)
from annotation.queries.training import attempt_items
from tests.annotation.factories import make_study
from tests.annotation.factories_journey import CODES, add_gold, add_training, make_panel

pytestmark = pytest.mark.django_db

FEEDBACK = b"Look closely."
IMAGE = re.compile(r'<img src="(/i/[^"]+)"')


@pytest.fixture
def study() -> Study:
    study = make_study(n_inputs=60)
    add_training(study, ["present", "absent"], pass_mark=2)
    return study


@pytest.fixture
def rater(client: Client, study: Study) -> Client:
    """A browser at the first training item."""
    client.post(page("entry", study), {"consent": "yes"})
    response = client.post(page("instructions", study))
    assert response.url == page("training", study)
    return client


def page(name: str, study: Study) -> str:
    return reverse(f"rater:{name}", args=[study.slug])


def item_page(study: Study, attempt: int, number: int) -> str:
    return reverse("rater:training_item", args=[study.slug, attempt, number])


def answer(client: Client, study: Study, *, right: bool) -> None:
    """Answer the whole open attempt."""
    attempt = TrainingAttempt.objects.get(finished_at=None)
    for item in attempt_items(attempt):
        known = item.gold_answer.value
        other = "absent" if known == "present" else "present"
        address = item_page(study, attempt.number, item.number)
        client.post(address, {"value": known if right else other})


def test_feedback_follows_the_answer_and_not_before(rater: Client, study: Study) -> None:
    first = item_page(study, 1, 1)
    assert rater.get(page("training", study)).url == first
    before = rater.get(first)
    assert FEEDBACK not in before.content
    assert b"The right answer" not in before.content
    assert TrainingAnswer.objects.count() == 0
    known = attempt_items(TrainingAttempt.objects.get())[0].gold_answer.value
    wrong = "absent" if known == "present" else "present"
    assert rater.post(first, {"value": wrong}).url == first
    after = rater.get(first)
    assert FEEDBACK in after.content
    assert b"Not quite." in after.content
    # going back and answering better changes nothing
    rater.post(first, {"value": known})
    assert TrainingAnswer.objects.get().value == wrong
    assert rater.get(page("training", study)).url == item_page(study, 1, 2)


def test_an_answer_is_needed(rater: Client, study: Study) -> None:
    for form in ({}, {"value": "perhaps"}):
        response = rater.post(item_page(study, 1, 1), form)
        assert response.status_code == 422
        assert b"Choose one of the three answers." in response.content
        assert FEEDBACK not in response.content
    assert not TrainingAnswer.objects.exists()


def test_no_item_can_be_looked_at_or_answered_ahead(rater: Client, study: Study) -> None:
    for address in (item_page(study, 1, 2), item_page(study, 1, 9), item_page(study, 2, 1)):
        assert rater.get(address).url == page("training", study)
        assert rater.post(address, {"value": "present"}).url == page("training", study)
    assert not TrainingAnswer.objects.exists()


def test_passing_leads_to_the_first_task(rater: Client, study: Study) -> None:
    assert rater.post(page("task", study)).url == page("training", study)
    assert not Assignment.objects.exists()
    answer(rater, study, right=True)
    assert b"Practice passed" in rater.get(page("training", study)).content
    assert rater.post(page("task", study)).url == page("task", study)
    assert Assignment.objects.count() == 1


def test_failing_twice_ends_with_the_panels_code(client: Client, study: Study) -> None:
    make_panel(study)
    client.post(page("entry", study) + "?pid=a", {"consent": "yes"})
    client.post(page("instructions", study))
    answer(client, study, right=False)
    html = client.get(page("training", study)).content
    assert b"Right answers: 0 of 2; 2 are needed. You can try 1 more time." in html
    client.post(page("training", study))
    answer(client, study, right=False)
    response = client.get(page("training", study), follow=True)
    assert response.redirect_chain[-1][0] == page("ended", study)
    assert CODES["failed_checks"] in response.content.decode()
    assert Participation.objects.get().outcome == "failed_checks"


def test_images_of_training_and_examples_are_sent_to_this_rater_alone(
    rater: Client, study: Study
) -> None:
    add_gold(study, GoldUse.EXAMPLE, ["present"], feedback="A clear case.")
    add_gold(study, GoldUse.HIDDEN, ["present"])
    shown = [
        *IMAGE.findall(rater.get(page("instructions", study)).content.decode()),
        *IMAGE.findall(rater.get(item_page(study, 1, 1)).content.decode()),
    ]
    assert len(shown) == 2
    for address in shown:
        url = address.replace("&amp;", "&")
        assert rater.get(url).status_code == 200
        assert Client().get(url).status_code == 404
    hidden = study.gold_answers.get(use=GoldUse.HIDDEN).probe_input
    assert not any(str(hidden.public_id) in address for address in shown)


def test_examples_show_answer_and_reason(rater: Client, study: Study) -> None:
    add_gold(study, GoldUse.EXAMPLE, ["present", "absent"], feedback="Seen <i>there</i>.")
    html = rater.get(page("instructions", study)).content.decode()
    assert html.count("Seen &lt;i&gt;there&lt;/i&gt;.") == 2
    assert 'class="verdict present"' in html
    assert 'class="verdict absent"' in html


def test_training_pages_tell_nothing_of_neurons_or_files(rater: Client, study: Study) -> None:
    html = rater.get(item_page(study, 1, 1)).content.decode()
    file = attempt_items(TrainingAttempt.objects.get())[0].gold_answer.probe_input.file
    for word in (file, file.removesuffix(".png"), "neuron", "layer1", "gold", "activation"):
        assert word not in html


def test_a_study_without_training_leads_on(client: Client) -> None:
    study = make_study(n_inputs=60)
    client.post(page("entry", study), {"consent": "yes"})
    client.post(page("instructions", study))
    assert client.post(page("training", study), follow=True).status_code == 200
