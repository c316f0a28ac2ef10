"""The panel follows the study: closed here at once, stopped there however long it takes."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone
from django_tasks import default_task_backend

from annotation.exceptions import StudyStateError
from annotation.models import LedgerKind, PanelAction, PanelRequest, Recruitment, StudyEvent
from annotation.queries.money import commitment_open
from annotation.recruitment.prolific import ProlificClient
from annotation.services.prolific import (
    prolific_draft_create,
    prolific_places_add,
    prolific_transition,
)
from annotation.services.prolific_states import (
    LATEST,
    SOONEST,
    panel_request_send,
    panel_requests_send_due,
    request_due_at,
)
from annotation.services.studies import study_close, study_pause, study_resume
from annotation.tasks import panel_request_task
from tests.annotation.factories import make_study
from tests.annotation.factories_panels import (
    ENTRY,
    arrive,
    fake_prolific,
    make_published,
    make_recruitment,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _quick(monkeypatch) -> None:
    monkeypatch.setattr("annotation.recruitment.prolific.FIRST_WAIT_SECONDS", 0.001)


@pytest.fixture
def server():
    with fake_prolific() as started:
        yield started


def there(server, row: Recruitment) -> str:
    return str(server.fake.study(row.panel_study_id).status)


def sent(row: Recruitment) -> str:
    """What the worker's task says after one try."""
    return str(panel_request_task.func(PanelRequest.objects.get(recruitment=row).pk))


def logged(row: Recruitment) -> list[str]:
    found = StudyEvent.objects.filter(study=row.study, action__contains="panel")
    return list(found.exclude(action__startswith="panel").values_list("action", flat=True))[2:]


def test_closing_asks_the_panel_to_stop(server, django_capture_on_commit_callbacks) -> None:
    row = make_published(server, places=3)
    default_task_backend.clear()
    with django_capture_on_commit_callbacks(execute=True):
        study_close(study=row.study, actor=row.study.owner)
    assert server.count("transition") == 1  # that of publishing: closing itself asks nothing
    (queued,) = default_task_backend.results
    assert queued.args == [row.panel_request.pk]
    assert sent(row) == ""
    assert there(server, row) == "COMPLETED"
    row.refresh_from_db()
    assert row.panel_status == "COMPLETED"
    assert row.panel_request.done_at is not None
    assert commitment_open(row) == 0
    assert row.ledger.filter(kind=LedgerKind.RELEASE).exists()
    event = StudyEvent.objects.get(action="stopped at the panel")
    assert event.actor == row.study.owner
    assert sent(row) == ""
    assert server.count("transition") == 2


def test_what_may_still_be_paid_stays_booked(server) -> None:
    row = make_published(server, places=3)
    arrive(row, server.fake.place_take(row.panel_study_id))
    study_close(study=row.study, actor=row.study.owner)
    assert sent(row) == ""
    assert (there(server, row), commitment_open(row)) == ("AWAITING REVIEW", 200)


@pytest.mark.parametrize("after", [False, True])
def test_a_panel_that_is_broken_is_asked_until_it_has_stopped(server, after: bool) -> None:
    row = make_published(server)
    server.fail("POST .*transition", 500, times=4, after=after)
    study_close(study=row.study, actor=row.study.owner)
    assert row.study.status == "closed"
    assert "answered 500" in sent(row)
    row.panel_request.refresh_from_db()
    assert "answered 500" in row.panel_request.error
    assert row.panel_request.done_at is None
    tried = row.panel_request.tried_at
    assert panel_requests_send_due(now=tried + SOONEST / 2) == 0
    assert panel_requests_send_due(now=tried + SOONEST) == 1
    assert there(server, row) == "COMPLETED"
    assert logged(row) == ["the panel has not followed yet", "stopped at the panel"]
    row.panel_request.refresh_from_db()
    assert row.panel_request.error == ""


def test_an_unreachable_panel_keeps_nobody_from_closing(server, settings) -> None:
    row = make_published(server)
    address = settings.NEURONJURY_PROLIFIC_URL
    settings.NEURONJURY_PROLIFIC_URL = "http://127.0.0.1:9/api/v1"
    study_close(study=row.study, actor=row.study.owner)
    for hours in range(1, 4):
        panel_requests_send_due(now=timezone.now() + timedelta(hours=hours))
    row.panel_request.refresh_from_db()
    assert "did not answer" in row.panel_request.error
    assert logged(row) == ["the panel has not followed yet"]  # said once, not at every try
    settings.NEURONJURY_PROLIFIC_URL = address
    assert panel_requests_send_due(now=timezone.now() + timedelta(hours=9)) == 1
    assert there(server, row) == "COMPLETED"


def test_one_study_that_cannot_be_asked_keeps_no_other_from_it(server, monkeypatch) -> None:
    lost, row = make_published(server), make_published(server)
    study_close(study=lost.study, actor=lost.study.owner)
    study_close(study=row.study, actor=row.study.owner)
    lost.credential.token_encrypted = b"of another server"
    lost.credential.save()
    assert panel_requests_send_due(now=timezone.now() + LATEST) == 1
    assert (there(server, lost), there(server, row)) == ("ACTIVE", "COMPLETED")
    lost.panel_request.refresh_from_db()
    assert lost.panel_request.tried_at is not None


def test_without_access_the_reason_is_kept(server) -> None:
    row = make_published(server)
    Recruitment.objects.filter(pk=row.pk).update(credential=None)
    study_close(study=row.study, actor=row.study.owner)
    assert "enter a token" in sent(row)


def test_pausing_and_resuming_are_followed(server) -> None:
    row = make_published(server)
    owner, states = row.study.owner, []
    for change in (study_pause, study_resume, study_pause, study_close):
        change(study=row.study, actor=owner)
        assert sent(row) == ""
        states.append(there(server, row))
    assert states == ["PAUSED", "ACTIVE", "PAUSED", "COMPLETED"]
    assert logged(row) == [
        f"{word} at the panel" for word in ("paused", "resumed", "paused", "stopped")
    ]


def test_the_newest_state_counts_alone(server) -> None:
    row = make_published(server)
    owner = row.study.owner
    study_pause(study=row.study, actor=owner)
    older = PanelRequest.objects.get(recruitment=row)
    study_resume(study=row.study, actor=owner)
    assert panel_request_send(request=older) == ""
    assert there(server, row) == "ACTIVE"
    assert PanelRequest.objects.get(recruitment=row).done_at is None  # that of resuming
    assert sent(row) == ""
    assert not PanelRequest.objects.exists()  # nothing had been paused
    assert server.count("transition") == 1


def test_what_a_person_paused_there_is_not_resumed_by_itself(server) -> None:
    row = make_published(server)
    owner = row.study.owner
    prolific_transition(recruitment=row, action=PanelAction.PAUSE, actor=owner)
    study_pause(study=row.study, actor=owner)
    assert sent(row) == ""
    study_resume(study=row.study, actor=owner)
    assert not PanelRequest.objects.exists()
    assert there(server, row) == "PAUSED"


def test_what_a_person_does_there_replaces_what_was_asked_for(server) -> None:
    row = make_published(server)
    owner = row.study.owner
    study_pause(study=row.study, actor=owner)
    with pytest.raises(StudyStateError, match="paused"):
        prolific_transition(recruitment=row, action=PanelAction.START, actor=owner)
    prolific_transition(recruitment=row, action=PanelAction.PAUSE, actor=owner)
    assert not PanelRequest.objects.exists()
    study_close(study=row.study, actor=owner)
    server.fake.study_transition(row.panel_study_id, "START")
    prolific_transition(recruitment=row, action=PanelAction.PAUSE, actor=owner)
    assert row.panel_request.action == PanelAction.STOP  # a closed study is stopped all the same
    assert sent(row) == ""
    assert there(server, row) == "COMPLETED"


def test_a_state_that_changes_meanwhile_is_followed(server, monkeypatch) -> None:
    row = make_published(server)
    owner = row.study.owner
    prolific_transition(recruitment=row, action=PanelAction.PAUSE, actor=owner)
    asked = ProlificClient.study_transition

    def paused_meanwhile(client, study_id, action):
        study_pause(study=row.study, actor=owner)
        return asked(client, study_id, action)

    monkeypatch.setattr(ProlificClient, "study_transition", paused_meanwhile)
    prolific_transition(recruitment=row, action=PanelAction.START, actor=owner)
    monkeypatch.undo()
    assert there(server, row) == "ACTIVE"
    assert sent(row) == ""
    assert there(server, row) == "PAUSED"


def test_a_closed_study_is_not_opened_again_at_the_panel(server) -> None:
    row = make_published(server)
    study_close(study=row.study, actor=row.study.owner)
    assert sent(row) == ""
    with pytest.raises(StudyStateError, match="closed"):
        prolific_places_add(recruitment=row, places=9, actor=row.study.owner)
    with pytest.raises(StudyStateError, match="closed"):
        prolific_transition(recruitment=row, action=PanelAction.START, actor=row.study.owner)
    assert there(server, row) == "COMPLETED"


def test_an_action_under_way_is_waited_for(server) -> None:
    row = make_published(server)
    Recruitment.objects.filter(pk=row.pk).update(busy_until=timezone.now() + timedelta(minutes=9))
    study_close(study=row.study, actor=row.study.owner)
    assert "under way" in sent(row)
    Recruitment.objects.filter(pk=row.pk).update(busy_until=None)
    assert panel_requests_send_due(now=timezone.now() + LATEST) == 1
    assert there(server, row) == "COMPLETED"


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_worker_stops_it(server, settings) -> None:
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
    row = make_published(server)
    study_close(study=row.study, actor=row.study.owner)
    assert there(server, row) == "ACTIVE"
    call_command("run_worker", "--batch")
    assert there(server, row) == "COMPLETED"
    assert PanelRequest.objects.get().done_at is not None


def test_a_draft_there_is_nothing_to_stop(server) -> None:
    row = make_recruitment()
    prolific_draft_create(recruitment=row, entry_url=ENTRY, actor=row.study.owner)
    study_close(study=row.study, actor=row.study.owner)
    assert sent(row) == ""
    assert there(server, row) == "UNPUBLISHED"
    assert not PanelRequest.objects.exists()  # the page does not say that it was stopped
    assert server.count("transition") == 0


def test_nothing_is_asked_where_nothing_is_there(server) -> None:
    study = make_study(launched=False)
    study_close(study=study, actor=study.owner)
    row = make_recruitment()
    study_pause(study=row.study, actor=row.study.owner)
    study_close(study=row.study, actor=row.study.owner)
    assert not PanelRequest.objects.exists()
    assert panel_request_task.func(4711) == ""
    assert server.requests == []


def test_tries_become_rarer() -> None:
    asked = timezone.now()
    request = PanelRequest(asked_at=asked)
    assert request_due_at(request) == asked + SOONEST
    waits = []
    for age in (timedelta(seconds=1), timedelta(minutes=20), timedelta(days=1)):
        request.tried_at = asked + age
        waits.append(request_due_at(request) - request.tried_at)
    assert waits == [SOONEST, timedelta(minutes=5), LATEST]
