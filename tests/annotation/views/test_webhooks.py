"""Webhooks: signed, fresh, stored before they are acknowledged, each once, in any order."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import Outcome, PanelEvent, SubmissionStatus
from annotation.recruitment.fake import signed_headers
from annotation.services.panel_events import event_process, events_process_waiting
from annotation.services.prolific import prolific_webhooks_subscribe
from annotation.services.submissions import submissions_reconcile
from tests.annotation.factories_panels import arrive, complete, fake_prolific, make_published

pytestmark = pytest.mark.django_db(transaction=False)


@pytest.fixture(autouse=True)
def _quick(monkeypatch) -> None:
    monkeypatch.setattr("annotation.recruitment.prolific.FIRST_WAIT_SECONDS", 0.001)


@pytest.fixture
def server():
    with fake_prolific() as started:
        yield started


@pytest.fixture
def row(server):
    made = make_published(server)
    prolific_webhooks_subscribe(
        credential=made.credential, target_url="https://jury.example.org/h", recruitment=made
    )
    made.credential.refresh_from_db()
    return made


class Hook:
    """Brings the fake's events to the webhook as the network would."""

    def __init__(self, server, row, capture) -> None:
        self.server, self.row, self.capture = server, row, capture
        self.client = Client(enforce_csrf_checks=True)
        self.url = reverse("prolific_webhook", args=[row.credential.public_id])

    def post(self, body: bytes, headers: dict, **extra):
        with self.capture(execute=True):
            return self.client.post(
                self.url, body, content_type="application/json", headers=headers, **extra
            )

    def deliver(self, delivery, sent: datetime | None = None):
        return self.post(delivery.body, delivery.headers(sent or datetime.now(UTC)))

    def signed(self, body: bytes, **headers):
        secret = self.server.fake.hook_secret
        signs = signed_headers(secret, body, datetime.now(UTC))
        return self.post(body, {**signs, "X-Event-ID": "one", **headers})


@pytest.fixture
def hook(server, row, django_capture_on_commit_callbacks) -> Hook:
    return Hook(server, row, django_capture_on_commit_callbacks)


def test_an_event_is_stored_acknowledged_and_takes_effect(hook, server, row) -> None:
    submission = server.fake.place_take(row.panel_study_id)
    participation = arrive(row, submission)
    server.fake.submission_move(submission.id, "RETURNED")
    answers = [hook.deliver(delivery) for delivery in server.fake.deliveries]
    assert {answer.status_code for answer in answers} == {204}
    assert PanelEvent.objects.filter(processed_at__isnull=True).count() == 2
    assert events_process_waiting() == 2
    participation.refresh_from_db()
    assert participation.outcome == Outcome.RETURNED
    assert submission.participant not in json.dumps(
        list(PanelEvent.objects.values_list("payload", flat=True))
    )


def test_it_is_worked_on_in_the_background(hook, server, row, immediate_tasks) -> None:
    submission = server.fake.place_take(row.panel_study_id)
    assert hook.deliver(server.fake.deliveries[-1]).status_code == 204
    assert row.submissions.get().submission_id == submission.id


def test_twice_and_out_of_order(hook, server, row) -> None:
    submission = server.fake.place_take(row.panel_study_id)
    code = complete(row, arrive(row, submission))
    server.fake.submission_move(submission.id, "AWAITING REVIEW", code)
    server.fake.approve([submission.id])
    waiting = [d for d in server.fake.deliveries if b"submission.status" in d.body]
    for delivery in [*reversed(waiting), *waiting]:
        assert hook.deliver(delivery).status_code == 204
        events_process_waiting()
    assert PanelEvent.objects.count() == len(waiting)
    assert row.submissions.get().status == SubmissionStatus.APPROVED
    assert row.ledger.filter(kind="reward").count() == 1


def test_an_event_before_the_arrival(hook, server, row) -> None:
    submission = server.fake.place_take(row.panel_study_id)
    hook.deliver(server.fake.deliveries[-1])
    events_process_waiting()
    assert row.submissions.get().participation is None
    participation = arrive(row, submission)
    assert row.submissions.get().participation == participation


def test_a_lost_event_is_repaired_by_polling(hook, server, row) -> None:
    submission = server.fake.place_take(row.panel_study_id)
    participation = arrive(row, submission)
    server.fake.submission_move(submission.id, "RETURNED")
    submissions_reconcile(recruitment=row)
    participation.refresh_from_db()
    assert participation.outcome == Outcome.RETURNED
    for delivery in server.fake.deliveries:  # they come at last, and change nothing
        hook.deliver(delivery)
    events_process_waiting()
    assert row.submissions.get().status == SubmissionStatus.RETURNED


def test_a_delayed_event_is_signed_anew(hook, server, row) -> None:
    server.fake.place_take(row.panel_study_id)
    delivery = server.fake.deliveries[-1]
    assert hook.deliver(delivery, datetime.now(UTC) - timedelta(hours=1)).status_code == 400
    assert not PanelEvent.objects.exists()
    assert hook.deliver(delivery).status_code == 204


@pytest.mark.parametrize(
    "change",
    [
        {"X-Prolific-Request-Signature": "AAAA"},
        {"X-Prolific-Request-Signature": ""},
        {"X-Prolific-Request-Timestamp": "yesterday"},
        {"X-Prolific-Request-Timestamp": "1e400"},
        {"X-Event-ID": ""},
        {"X-Event-ID": "x" * 200},
    ],
)
def test_what_is_not_signed_is_not_stored(hook, change) -> None:
    answer = hook.signed(b'{"event_type": "study.status.change"}', **change)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert not PanelEvent.objects.exists()


def test_another_body_is_another_message(hook, server) -> None:
    signs = signed_headers(server.fake.hook_secret, b'{"a": 1}', datetime.now(UTC))
    assert hook.post(b'{"a": 2}', {**signs, "X-Event-ID": "one"}).status_code == 400
    assert not PanelEvent.objects.exists()


def test_another_secret_is_refused(hook) -> None:
    body = b'{"event_type": "x"}'
    signs = signed_headers("another", body, datetime.now(UTC))
    assert hook.post(body, {**signs, "X-Event-ID": "one"}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1]",
        b"{",
        b"\xff",
        b'{"a": "\\u0000"}',
        b'{"a": "\\ud800"}',
        b'{"a": NaN}',
        b"[" * 60_000,
    ],
)
def test_what_cannot_be_stored_is_refused(hook, body) -> None:
    assert hook.signed(body).status_code == 400
    assert not PanelEvent.objects.exists()


def test_a_body_that_is_too_large_is_refused(hook) -> None:
    assert hook.signed(b'{"a": "' + b"x" * 70_000 + b'"}').status_code == 413


def test_an_unknown_webhook_is_not_there(hook, client) -> None:
    other = reverse("prolific_webhook", args=["00000000-0000-0000-0000-000000000000"])
    assert client.post(other, b"{}", content_type="application/json").status_code == 404
    assert client.get(hook.url).status_code == 405


def test_unknown_events_are_stored_and_marked(hook) -> None:
    assert hook.signed(b'{"event_type": "study.has_high_return_rate"}').status_code == 204
    events_process_waiting()
    event = PanelEvent.objects.get()
    assert "mean nothing here" in event.error
    assert event.processed_at is not None


def test_a_submission_of_somebody_elses_study_is_marked(hook, server) -> None:
    body = json.dumps(
        {"event_type": "submission.status.change", "resource_id": "gone", "status": "ACTIVE"}
    ).encode()
    hook.signed(body)
    events_process_waiting()
    assert PanelEvent.objects.get().error == "the submission is of no study here"


def test_an_event_waits_while_the_panel_is_down(hook, server, row) -> None:
    server.fake.place_take(row.panel_study_id)
    hook.deliver(server.fake.deliveries[-1])
    server.fail("GET .*submissions", 500, times=4)
    assert events_process_waiting() == 0
    assert "500" in PanelEvent.objects.get().error
    assert events_process_waiting() == 1
    assert row.submissions.count() == 1
    assert PanelEvent.objects.get().error == ""


def test_the_state_of_the_study_follows(hook, server, row) -> None:
    server.fake.study_transition(row.panel_study_id, "PAUSE")
    server.fake.study_transition(row.panel_study_id, "STOP")
    for delivery in reversed(server.fake.deliveries):
        hook.deliver(delivery)
        events_process_waiting()
    row.refresh_from_db()
    assert row.panel_status == "COMPLETED"
    assert event_process(event=PanelEvent.objects.first()).processed_at is not None
