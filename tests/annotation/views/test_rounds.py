"""The page of rounds: looking writes nothing, and what was looked at is what is drawn."""

import re
from typing import Any

import pytest
from django.test import Client

from annotation.models import Role, SamplingRound, Study, StudyMember
from annotation.services.estimates import estimate_request, estimate_run
from annotation.services.rounds import round_draw
from annotation.services.studies import study_close, study_pause
from tests.annotation.addresses import writes_recorded
from tests.annotation.factories import make_study, make_user, rate_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    made = make_study(n_inputs=80)
    rate_study(made)
    estimate_run(run=estimate_request(study=made, aggregation="bragg", enqueue=False))
    return made


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page(client: Client, study: Study, **query: Any) -> str:
    response = client.get(f"/studies/{study.slug}/rounds/", query)
    assert response.status_code == 200
    return response.content.decode()


def confirmed(html: str) -> dict[str, str]:
    """What the form of the plan would send."""
    form = re.search(r'action="[^"]*/rounds/draw/">(.*?)</form>', html, re.DOTALL)
    assert form
    fields = re.findall(r'name="(\w+)" value="([^"]*)"', form[1])
    return {name: value for name, value in fields if name != "csrfmiddlewaretoken"}


def test_the_study_page_offers_a_round_to_members_who_may_change(study: Study) -> None:
    viewer, editor = make_user(), make_user()
    StudyMember.objects.create(study=study, user=viewer, role=Role.VIEWER)
    StudyMember.objects.create(study=study, user=editor, role=Role.RESEARCHER)
    for user, offered in ((study.owner, True), (editor, True), (viewer, False)):
        html = client_of(user).get(f"/studies/{study.slug}/").content.decode()
        assert ("Look at the round" in html) is offered
        assert ("Look at the round" in page(client_of(user), study)) is offered
    query = {"design": "adaptive", "n_draws": "10"}
    address = f"/studies/{study.slug}/rounds/"
    assert client_of(viewer).get(address, query).status_code == 403
    assert client_of(viewer).post(f"{address}draw/", query).status_code == 403
    assert client_of(make_user()).get(address).status_code == 404
    assert study.sampling_rounds.count() == 1


def test_a_plan_is_looked_at_then_drawn(study: Study) -> None:
    client = client_of(study.owner)
    with writes_recorded() as writes:
        html = page(client, study, design="adaptive", n_draws="12", half_width="")
    assert not writes
    assert "Round 2, not drawn yet" in html
    fields = confirmed(html)
    assert (fields["design"], fields["n_draws"], fields["number"]) == ("adaptive", "12", "2")
    n_items = int(re.search(r"new items in [^<]*</dt><dd>([\d,]+)", html)[1])
    assert int(fields["max_ratings"]) == int(n_items * 3 * 1.1)

    response = client.post(f"/studies/{study.slug}/rounds/draw/", fields, follow=True)
    assert "Round 2 is drawn" in response.content.decode()
    drawn = study.sampling_rounds.get(number=2)
    assert (drawn.design, drawn.n_draws, drawn.drawn_by) == ("adaptive", 12, study.owner)
    assert study.items.filter(round=drawn).count() == n_items

    # the same form again: somebody (here the same person) drew that round
    response = client.post(f"/studies/{study.slug}/rounds/draw/", fields, follow=True)
    assert "Somebody drew round 2" in response.content.decode()
    assert study.sampling_rounds.count() == 2


def test_a_plan_that_cannot_be_paid_has_no_button(study: Study) -> None:
    Study.objects.filter(pk=study.pk).update(rating_budget=study.items.count() * 3)
    html = page(client_of(study.owner), study, design="model_guided", n_draws="12")
    assert "rating_budget is" in html
    assert "Draw round 2" not in html


def test_more_than_was_confirmed_is_refused_and_planned_again(study: Study) -> None:
    client = client_of(study.owner)
    fields = confirmed(page(client, study, design="adaptive", n_draws="12"))
    response = client.post(
        f"/studies/{study.slug}/rounds/draw/", {**fields, "max_ratings": "2"}, follow=True
    )
    html = response.content.decode()
    assert "more than 2" in html
    assert "Round 2, not drawn yet" in html
    assert study.sampling_rounds.count() == 1


@pytest.mark.parametrize(
    "query",
    [{"design": "uniform", "n_draws": "5"}, {"design": "adaptive", "n_draws": "many"}],
)
def test_a_form_that_cannot_be_read_plans_nothing(study: Study, query: dict[str, str]) -> None:
    client = client_of(study.owner)
    assert "not drawn yet" not in page(client, study, **query)
    response = client.post(f"/studies/{study.slug}/rounds/draw/", query, follow=True)
    assert "Plan the round again" in response.content.decode()
    assert SamplingRound.objects.filter(number=2).count() == 0


def test_a_paused_study_says_that_it_must_be_resumed_and_a_closed_one_offers_nothing(
    study: Study,
) -> None:
    client = client_of(study.owner)
    study_pause(study=study, actor=study.owner)
    fields = confirmed(page(client, study, design="model_guided", n_draws="5"))
    response = client.post(f"/studies/{study.slug}/rounds/draw/", fields, follow=True)
    assert "resume it" in response.content.decode()
    study_close(study=study, actor=study.owner)
    assert "Look at the round" not in page(client, study)
    assert "only while it is" in page(client, study, design="model_guided", n_draws="5")


def test_the_rounds_so_far_are_listed(study: Study) -> None:
    round_draw(study=study, design="adaptive", n_draws=9, half_width=0.015, actor=study.owner)
    html = page(client_of(study.owner), study)
    assert re.search("launch,\\s+model.guided", html, re.IGNORECASE)
    assert "above ±0.015" in html
    assert f"0 of {study.items.filter(round__number=2).count() * 3}" in html
