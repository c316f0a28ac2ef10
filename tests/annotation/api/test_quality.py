"""Quality and recruitment by the API."""

from datetime import timedelta
from http import HTTPStatus

import pytest
from django.test import Client
from django.urls import reverse

from annotation.exports import rater_pseudonym
from annotation.models import (
    Channel,
    GoldAnswer,
    LedgerEntry,
    PanelBonus,
    PanelCredential,
    Rater,
    Rating,
)
from annotation.recruitment.fake.state import WORKSPACE
from annotation.services.studies import study_pause
from tests.annotation.factories import make_participation, make_study, rate_study
from tests.annotation.factories_api import api_client
from tests.annotation.factories_panels import arrive, complete, fake_prolific, make_recruitment
from tests.annotation.factories_quality import make_gold_study, rate_tasks, wrong

pytestmark = pytest.mark.django_db
JSON = "application/json"


def address(name: str, *values: object) -> str:
    return reverse(f"api:{name}", args=values)


def post(client: Client, name: str, *values: object, **body: object):
    return client.post(address(name, *values), body, content_type=JSON)


def test_raters_their_reviews_and_exclusions() -> None:
    study = make_gold_study()
    client = api_client(study.owner)
    bad = make_participation(study)
    rate_tasks(bad, wrong(study), 3)
    rate_study(study)
    agreement = client.get(address("agreement", study.slug)).json()
    assert -1 <= agreement["overall"]["alpha"] < 1
    assert {row["concept"] for row in agreement["per_concept"]} == {"concept 0", "concept 1"}
    raters = client.get(address("rater_list", study.slug)).json()["results"]
    rater = next(row for row in raters if row["id"] == str(bad.public_id))
    assert rater["rater"] == rater_pseudonym(study, bad.rater.public_id)
    assert (rater["gold"]["k"], rater["excluded"], rater["n_tasks"]) == (0, False, 3)
    assert client.get(address("rater", study.slug, bad.public_id)).json() == rater
    review = post(client, "rater_report", study.slug, bad.public_id, note="All wrong.")
    assert review.status_code == HTTPStatus.CREATED
    key = review.json()["id"]
    (waiting,) = client.get(address("review_list", study.slug)).json()["results"]
    assert (waiting["id"], waiting["reason"], waiting["rater"]) == (key, "reported", rater["id"])
    decided = post(client, "review_decision", study.slug, key, decision="exclude", note="Yes.")
    assert decided.json()["decision"] == "exclude"
    assert post(client, "review_decision", study.slug, key, decision="keep").status_code == 400
    assert client.get(address("review_list", study.slug)).json()["count"] == 0
    assert client.get(address("review_list", study.slug), {"open": "false"}).json()["count"] == 1
    shown = client.get(address("rater_list", study.slug), {"show": "excluded"}).json()["results"]
    assert [(row["id"], row["excluded"]) for row in shown] == [(rater["id"], True)]
    lifted = client.delete(address("exclusion", study.slug, bad.public_id)).json()
    assert lifted == {"n_back": 3, "n_left_out": 0}
    excluded = post(client, "exclusion", study.slug, bad.public_id, reason="gold")
    assert excluded.json()["excluded"] is True


def test_a_rater_is_deleted_where_all_their_studies_are_ones_own() -> None:
    study, other = make_study(), make_study()
    rater = make_participation(study, "same")
    make_participation(other, "same")
    refused = api_client(study.owner).delete(address("rater", study.slug, rater.public_id))
    assert refused.status_code == HTTPStatus.FORBIDDEN
    rate_tasks(rater, "present")
    own = address("rater", other.slug, other.participations.get().public_id)
    assert api_client(other.owner).delete(own).status_code == HTTPStatus.FORBIDDEN
    type(other).objects.update(owner=study.owner)
    gone = api_client(study.owner).delete(address("rater", study.slug, rater.public_id))
    assert gone.status_code == HTTPStatus.NO_CONTENT
    assert not Rater.objects.exists()
    assert not Rating.objects.exists()


def test_the_policy_changes_as_the_state_allows() -> None:
    study = make_study(launched=False)
    client, policy = api_client(study.owner), address("policy", study.slug)
    shown = client.patch(policy, {"tasks_per_rater": 4}, content_type=JSON).json()
    assert shown["tasks_per_rater"] == 4
    assert client.get(policy).json() == shown
    for body in ({"tasks_per_rater": 0}, {"gold_minimum_accuracy": 2}, {"attention_failures": 1}):
        refused = client.patch(policy, body, content_type=JSON)
        assert refused.status_code == HTTPStatus.BAD_REQUEST
        assert next(iter(body)) in refused.json()["detail"]


def test_known_answers_are_suggested_added_and_taken_out() -> None:
    study = make_study(launched=False, n_inputs=80)
    client = api_client(study.owner)
    found = client.get(
        address("gold_suggestions", study.slug), {"source": "reference", "n_each": 2}
    ).json()
    assert len(found) == 8
    assert not GoldAnswer.objects.exists()
    added = post(client, "gold_list", study.slug, answers=found[:3])
    assert added.status_code == HTTPStatus.CREATED
    listed = client.get(address("gold_list", study.slug)).json()
    assert listed["count"] == 3
    gone = client.delete(address("gold", study.slug, listed["results"][0]["id"]))
    assert gone.status_code == HTTPStatus.NO_CONTENT
    assert GoldAnswer.objects.count() == 2
    refused = post(client, "gold_list", study.slug, answers=[{**found[3], "concept": "unicorn"}])
    assert refused.status_code == HTTPStatus.BAD_REQUEST
    assert "unicorn" in refused.json()["detail"]


def test_screening_questions_are_replaced() -> None:
    study = make_study(launched=False)
    client, screening = api_client(study.owner), address("screening", study.slug)
    question = {
        "text": "Your age?",
        "choices": ["under 18", "18 or over"],
        "accepted": ["18 or over"],
    }
    shown = client.put(screening, {"questions": [question]}, content_type=JSON)
    assert shown.json() == client.get(screening).json() == [question]
    wrong_one = {**question, "accepted": ["other"]}
    refused = client.put(screening, {"questions": [wrong_one]}, content_type=JSON)
    assert refused.status_code == HTTPStatus.BAD_REQUEST
    assert client.get(screening).json() == [question]
    assert client.put(screening, {"questions": []}, content_type=JSON).json() == []


def test_channels_codes_and_costs() -> None:
    study = make_study(spending_cap_minor=10_000)
    client = api_client(study.owner)
    body = {"id_parameter": "pid", "completion_url": "https://panel.example/?cc={code}"}
    shown = client.patch(address("recruitment", study.slug, "panel"), body, content_type=JSON)
    assert shown.json()["id_parameter"] == "pid"
    codes = {"completed": "DONE-1"}
    found = client.put(
        address("codes", study.slug, "panel"), {"codes": codes}, content_type=JSON
    ).json()
    assert {"outcome": "completed", "code": "DONE-1"} in found
    refused = client.patch(address("recruitment", study.slug, "simulated"), {}, content_type=JSON)
    assert "channel: 'simulated'" in refused.json()["detail"]
    assert client.get(address("cost", study.slug, "prolific")).status_code == HTTPStatus.NOT_FOUND
    channels = client.get(address("recruitment_list", study.slug)).json()["results"]
    assert [row["channel"] for row in channels] == ["direct", "panel"]
    assert client.get(address("spend", study.slug)).json()["left_minor"] == 10_000
    assert client.get(address("ledger", study.slug)).json()["count"] == 0


@pytest.mark.django_db(transaction=True)
def test_a_study_at_prolific() -> None:
    with fake_prolific() as server:
        row = make_recruitment(places=2)
        slug = row.study.slug
        client, pays = api_client(row.study.owner, "write"), api_client(row.study.owner, "pay")
        access = {"name": "another", "token": "fake-token", "workspace_id": WORKSPACE}
        shown = client.put(address("prolific_access", slug), access, content_type=JSON)
        assert shown.json()["credential"] == "another"
        assert "fake-token" not in shown.content.decode()
        assert PanelCredential.objects.count() == 2
        planned = post(client, "prolific_draft", slug, dry_run=True).json()
        assert planned["sent"][0]["path"].endswith("/studies/")
        assert server.requests == []
        drafted = post(client, "prolific_draft", slug).json()["recruitment"]
        assert drafted["panel_status"] == "UNPUBLISHED"
        assert post(client, "prolific_publish", slug).status_code == HTTPStatus.FORBIDDEN
        assert post(pays, "prolific_publish", slug).status_code == HTTPStatus.OK
        cost = client.get(address("cost", slug, "prolific")).json()
        assert (cost["places"], cost["total_minor"], cost["places_booked"]) == (0, 0, 2)
        more = client.get(address("cost", slug, "prolific"), {"places": 5}).json()
        assert more["total_minor"] == 3 * LedgerEntry.objects.get().amount_minor // 2
        balance = post(client, "prolific_balance", slug).json()
        assert (balance["available_minor"], balance["total_minor"]) == (999_600, 1_000_000)
        row.refresh_from_db()
        taken = server.fake.place_take(row.panel_study_id)
        code = complete(row, arrive(row, taken))
        server.fake.submission_move(taken.id, "AWAITING REVIEW", code)
        assert post(client, "prolific_reconcile", slug).status_code == HTTPStatus.OK
        (submission,) = client.get(address("submission_list", slug)).json()["results"]
        assert (submission["id"], submission["may_approve"]) == (taken.id, True)
        approved = post(pays, "prolific_approve", slug, submissions=[taken.id])
        assert approved.status_code == HTTPStatus.OK, approved.json()
        assert post(client, "prolific_reconcile", slug).status_code == HTTPStatus.OK
        bonus = post(pays, "prolific_bonus", slug, taken.id, amount_minor=50, key="b-1")
        assert bonus.json()["bonus"]["state"] == "paid"
        again = post(pays, "prolific_bonus", slug, taken.id, amount_minor=50, key="b-1")
        assert again.json()["bonus"] == bonus.json()["bonus"]
        assert again.json()["sent"] == []
        (listed,) = client.get(address("submission_list", slug)).json()["results"]
        assert [one["state"] for one in listed["bonuses"]] == ["paid"]
        subscribed = post(client, "prolific_webhooks", slug)
        assert subscribed.status_code == HTTPStatus.OK, subscribed.json()
        assert [one["confirmed"] for one in server.fake.subscriptions.values()] == [True, True]
        assert server.fake.hook_secret not in subscribed.content.decode()
        doubt = PanelBonus.objects.get()
        PanelBonus.objects.update(
            state="uncertain", created_at=doubt.created_at - timedelta(minutes=5)
        )
        unpaid = post(client, "prolific_bonus_resolve", slug, taken.id, paid=True)
        assert unpaid.status_code == HTTPStatus.FORBIDDEN
        resolved = post(pays, "prolific_bonus_resolve", slug, taken.id, paid=True)
        assert resolved.json()["state"] == "paid"
        spend = client.get(address("spend", slug)).json()
        assert (spend["rewards_minor"], spend["bonuses_minor"], spend["n_paid"]) == (150, 50, 1)
        kinds = {entry["kind"] for entry in client.get(address("ledger", slug)).json()["results"]}
        assert {"commitment", "reward", "fee", "bonus"} <= kinds
        rejected = post(pays, "prolific_reject", slug, taken.id, category="OTHER", message="short")
        assert rejected.status_code == HTTPStatus.BAD_REQUEST
        study_pause(study=row.study, actor=row.study.owner)
        shown = client.get(address("recruitment", slug, "prolific")).json()["panel_request"]
        assert (shown["action"], shown["done_at"], shown["error"]) == ("PAUSE", None, "")
        server.fake.token = "changed"
        failed = post(pays, "prolific_pause", slug)
        assert failed.status_code == HTTPStatus.FAILED_DEPENDENCY
        assert failed.json()["type"].endswith("PanelRefused")
    assert row.channel == Channel.PROLIFIC
