"""The client: what it retries and what never, what it says, and that the token stays inside."""

import logging

import httpx
import pytest

from annotation.exceptions import InvalidInput, PanelRefused, PanelUnreachable
from annotation.recruitment.fake import FakeServer
from annotation.recruitment.prolific import ProlificClient, rejection_require
from tests.annotation.factories_panels import ENTRY, fake_prolific

STUDY = {
    "name": "Tigers",
    "description": "Say what you see.",
    "external_study_url": ENTRY,
    "prolific_id_option": "url_parameters",
    "completion_codes": [
        {"code": "DONE", "code_type": "COMPLETED", "actions": [{"action": "MANUALLY_REVIEW"}]}
    ],
    "estimated_completion_time": 10,
    "reward": 150,
    "total_available_places": 3,
}


@pytest.fixture
def server():
    with fake_prolific() as started:
        yield started


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client(server, waits) -> ProlificClient:
    return ProlificClient("fake-token", base_url=server.api_url, sleep=waits.append)


@pytest.fixture
def study_id(client) -> str:
    return client.study_create(STUDY)["id"]


def test_a_study_lives(client: ProlificClient, study_id: str) -> None:
    assert client.study(study_id)[0]["status"] == "UNPUBLISHED"
    for action, status in [
        ("PUBLISH", "ACTIVE"),
        ("PUBLISH", "ACTIVE"),
        ("PAUSE", "PAUSED"),
        ("START", "ACTIVE"),
    ]:
        assert client.study_transition(study_id, action)["status"] == status
    assert client.places_set(study_id, 5)["total_available_places"] == 5
    with pytest.raises(PanelRefused, match="only grow"):
        client.places_set(study_id, 4)
    assert client.study_transition(study_id, "STOP")["status"] == "COMPLETED"


def test_submissions_come_in_pages(client, server: FakeServer, study_id, monkeypatch) -> None:
    monkeypatch.setattr("annotation.recruitment.prolific.PAGE", 2)
    client.study_transition(study_id, "PUBLISH")
    made = [server.fake.place_take(study_id).id for _ in range(3)]
    rows, _ = client.submissions(study_id)
    assert [row["id"] for row in rows] == made
    assert server.count("GET /api/v1/submissions/") == 2


def test_what_can_be_repeated_is_tried_again(client, server, study_id, waits) -> None:
    server.fail("GET .*/studies/", 500, times=2)
    assert client.study(study_id)[0]["id"] == study_id
    assert waits == [0.5, 1.0]


def test_it_waits_as_long_as_it_is_told(client, server, study_id, waits) -> None:
    server.fail("transition", 429, headers={"Retry-After": "7"})
    assert client.study_transition(study_id, "PUBLISH")["status"] == "ACTIVE"
    assert waits == [7.0]


def test_it_gives_up(client, server, study_id, waits) -> None:
    server.fail("GET", 500, times=99)
    with pytest.raises(PanelUnreachable, match="answered 500"):
        client.study(study_id)
    assert len(waits) == 3


def test_too_many_requests_were_refused(client, server, study_id) -> None:
    server.fail("transition", 429, times=99)
    with pytest.raises(PanelRefused, match="no more requests") as caught:
        client.study_transition(study_id, "PUBLISH")
    assert caught.value.status == 429
    assert server.fake.study(study_id).status == "UNPUBLISHED"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_pays_is_never_tried_again(client, server, study_id, waits, status) -> None:
    client.study_transition(study_id, "PUBLISH")
    submission = server.fake.place_take(study_id)
    bulk_id = client.bonuses_set_up(study_id, [(submission.id, 120)])["id"]
    server.fail("/pay/", status, after=True)
    with pytest.raises((PanelUnreachable, PanelRefused)):
        client.bonuses_pay(bulk_id)
    assert waits == []
    assert server.count("/pay/") == 1
    assert submission.bonus_minor == [120]


def test_a_draft_is_not_made_twice(client, server) -> None:
    server.fail("POST /api/v1/studies/$", 500, after=True)
    with pytest.raises(PanelUnreachable, match="done or not"):
        client.study_create(STUDY)
    assert len(server.fake.studies) == 1


def test_approval_is_repeated_without_harm(client, server, study_id) -> None:
    client.study_transition(study_id, "PUBLISH")
    submission = server.fake.place_take(study_id)
    server.fake.submission_move(submission.id, "AWAITING REVIEW", "DONE")
    server.fail("bulk-approve", 500, after=True)
    client.submissions_approve([submission.id])
    assert server.count("bulk-approve") == 2
    assert server.fake.submission(submission.id).status == "APPROVED"


def test_a_rejection_needs_a_reason(client, server, study_id) -> None:
    client.study_transition(study_id, "PUBLISH")
    submission = server.fake.place_take(study_id)
    server.fake.submission_move(submission.id, "AWAITING REVIEW", "DONE")
    with pytest.raises(InvalidInput, match="99 characters"):
        client.submission_reject(submission.id, category="LOW_EFFORT", message="x" * 99)
    with pytest.raises(InvalidInput, match="category"):
        rejection_require("BECAUSE", "x" * 100)
    assert server.count("transition") == 1
    client.submission_reject(submission.id, category="LOW_EFFORT", message="x" * 100)
    assert server.fake.submission(submission.id).status == "REJECTED"


def test_it_says_why(client) -> None:
    with pytest.raises(PanelRefused, match="no such study") as caught:
        client.study("missing")
    assert caught.value.status == 404
    with pytest.raises(PanelRefused, match="minimum"):
        client.study_create({**STUDY, "reward": 10})


def test_a_dry_run_sends_nothing(server) -> None:
    client = ProlificClient("fake-token", base_url=server.api_url, dry_run=True)
    client.study_create(STUDY)
    client.study_transition("study", "PUBLISH")
    client.submissions_approve(["one", "two"])
    client.submission_reject("one", category="OTHER", message="x" * 100)
    client.bonuses_set_up("study", [("one", 5)])
    client.bonuses_pay("bulk")
    client.hook_secret_create("workspace")
    client.hook_subscribe(workspace_id="w", event_type="e", target_url="https://x.example.org")
    assert server.requests == []
    assert [sending.method for sending in client.sendings] == ["POST"] * 8
    assert client.sendings[2].body == {"submission_ids": ["one", "two"]}


def test_the_token_stays_inside(server, caplog) -> None:
    secret = "a-very-secret-token"
    client = ProlificClient(secret, base_url=server.api_url, sleep=lambda _: None)
    errors = [repr(client), str(vars(client)["sendings"])]
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(PanelRefused) as refused:
            client.user()
        errors.append(str(refused.value))

        def broken(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError(f"could not send {request.headers}", request=request)

        offline = ProlificClient(
            secret,
            base_url=server.api_url,
            transport=httpx.MockTransport(broken),
            sleep=lambda _: None,
        )
        with pytest.raises(PanelUnreachable) as unreachable:
            offline.user()
        errors.append(str(unreachable.value))
    assert secret not in "".join(errors)
    assert secret not in caplog.text


def test_the_token_is_not_sent_in_the_clear() -> None:
    with pytest.raises(InvalidInput, match="https"):
        ProlificClient("secret", base_url="http://api.example.org/api/v1")


def test_the_balance_of_a_workspace(client, server, study_id) -> None:
    client.study_transition(study_id, "PUBLISH")
    found = client.balance("workspace")
    assert (found.available_minor, found.total_minor, found.currency) == (999_400, 10_000_00, "GBP")
    assert found.at.tzinfo is not None


@pytest.mark.parametrize("amount", [None, "12", 1.5, True])
def test_a_balance_that_is_none_is_said(amount) -> None:
    body = {"currency_code": "GBP", "total_balance": 1, "available_balance": amount}
    answer = httpx.MockTransport(lambda _: httpx.Response(200, json=body))
    with pytest.raises(PanelUnreachable, match="whole number 'available_balance'"):
        ProlificClient("t", base_url="https://x.example.org", transport=answer).balance("w")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"status": 400, "detail": "No such study."}}, "No such study."),
        ({"message": "Bad request", "detail": "No money."}, "No money."),
        ({"error": "Forbidden"}, "Forbidden"),
        ({}, "no reason given"),
        (["strange"], "strange"),
    ],
)
def test_a_refusal_says_why_in_all_its_forms(body, words: str) -> None:
    answer = httpx.MockTransport(lambda _: httpx.Response(400, json=body))
    with pytest.raises(PanelRefused, match=words):
        ProlificClient("t", base_url="https://x.example.org", transport=answer).user()


def test_a_subscription_may_come_in_a_list() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        wanted = {"event_type": "e", "target_url": "https://x.example.org/hook"}
        rows = [{"id": "other", "event_type": "f"}, {"id": "mine", **wanted}]
        return httpx.Response(201, json={"results": rows}, headers={"X-Hook-Secret": "s"})

    client = ProlificClient(
        "t", base_url="https://x.example.org", transport=httpx.MockTransport(answer)
    )
    client.hook_subscribe(workspace_id="w", event_type="e", target_url="https://x.example.org/hook")
    assert asked == ["/hooks/subscriptions/", "/hooks/subscriptions/mine/"]


def test_no_message_is_ever_sent() -> None:
    assert not [name for name in dir(ProlificClient) if "message" in name]


@pytest.mark.parametrize("status", [429, 400])
def test_a_refusal_after_silence_is_no_refusal(client, server, study_id, status) -> None:
    server.fail("transition", 500, after=True)
    server.fail("transition", status, times=99)
    with pytest.raises(PanelUnreachable, match="may have been"):
        client.study_transition(study_id, "PUBLISH")
    assert server.fake.study(study_id).status == "ACTIVE"


def test_the_secret_of_a_hook_is_not_shown(client, server) -> None:
    client.hook_secret_create("w")
    client.hook_subscribe(
        workspace_id="w", event_type="study.status.change", target_url="https://x.org"
    )
    assert client.sendings[-1].body == {"secret": "(not shown)"}
