"""Rounds over the API: listed, planned with a dry run, drawn once."""

import pytest
from django.test import Client

from annotation.models import SamplingRound, Study
from tests.annotation.factories import make_study, make_user, rate_study

pytestmark = pytest.mark.django_db

WANTED = {"design": "adaptive", "n_draws": 10}


@pytest.fixture
def study() -> Study:
    made = make_study(n_inputs=80)
    rate_study(made)
    return made


@pytest.fixture
def client(study: Study) -> Client:
    client = Client()
    client.force_login(study.owner)
    return client


def address(study: Study) -> str:
    return f"/api/studies/{study.slug}/rounds/"


def post(client: Client, study: Study, body: dict, **headers: str):
    return client.post(address(study), body, content_type="application/json", headers=headers)


def test_a_dry_run_says_what_the_draw_then_does(client: Client, study: Study) -> None:
    plan = post(client, study, {**WANTED, "dry_run": True})
    assert plan.status_code == 200
    planned = plan.json()
    assert study.sampling_rounds.count() == 1
    assert (planned["number"], planned["n_pairs"], planned["n_drawn"]) == (2, 4, 40)
    assert planned["n_ratings"] == planned["n_items"] * 3 > 0
    assert sum(row["n_new"] for row in planned["concepts"]) == planned["n_items"]
    assert planned["problem"] == ""
    assert 0.01 <= planned["error_rate"] < 0.23

    made = post(client, study, {**WANTED, "max_ratings": planned["n_ratings"]})
    assert made.status_code == 201
    row = made.json()
    assert (row["number"], row["design"], row["seed"]) == (2, "adaptive", planned["seed"])
    assert row["n_items"] == planned["n_items"]
    assert row["drawn_by"] == study.owner.username
    listed = client.get(address(study)).json()
    assert [one["number"] for one in listed] == [1, 2]
    assert listed[1] == row


def test_a_key_draws_once(client: Client, study: Study) -> None:
    replies = [post(client, study, WANTED, **{"Idempotency-Key": "k"}) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [201, 201]
    assert replies[0].json() == replies[1].json()
    assert study.sampling_rounds.count() == 2


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"n_draws": 5}, 400, "design"),
        ({**WANTED, "n_draws": 0}, 400, "n_draws"),
        ({**WANTED, "design": "uniform"}, 400, "neither 'adaptive'"),
        ({**WANTED, "half_width": 2}, 400, "half_width"),
        ({**WANTED, "max_ratings": 1}, 400, "max_ratings"),
    ],
)
def test_what_cannot_be_drawn_is_a_problem(
    client: Client, study: Study, body: dict, status: int, words: str
) -> None:
    reply = post(client, study, body)
    assert (reply.status_code, words in reply.json()["detail"]) == (status, True), reply.json()
    assert SamplingRound.objects.count() == 1


def test_a_draft_conflicts_and_a_stranger_finds_nothing(client: Client, study: Study) -> None:
    draft = make_study(launched=False, owner=study.owner)
    assert client.get(address(draft)).json() == []
    assert post(client, draft, WANTED).status_code == 409
    stranger = Client()
    stranger.force_login(make_user())
    assert stranger.get(address(study)).status_code == 404
    assert post(stranger, study, WANTED).status_code == 404


def test_a_budget_that_is_too_small_is_said_in_the_dry_run(client: Client, study: Study) -> None:
    Study.objects.filter(pk=study.pk).update(rating_budget=study.items.count() * 3)
    plan = post(client, study, {**WANTED, "dry_run": True}).json()
    assert "rating_budget" in plan["problem"]
    assert post(client, study, WANTED).status_code == 400
