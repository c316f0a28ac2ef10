"""What a person does at Prolific: once, booked first, and only what was confirmed there."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.exceptions import (
    InvalidInput,
    PanelBusy,
    PanelRefused,
    PanelUnreachable,
    SpendingCapPassed,
    StudyStateError,
)
from annotation.models import (
    BonusState,
    Channel,
    LedgerEntry,
    LedgerKind,
    Outcome,
    PanelBonus,
    PanelCredential,
    StudyEvent,
)
from annotation.queries.money import commitment_open, ledger_total
from annotation.recruitment.prolific import LONGEST_WAIT_SECONDS, TIMEOUT, TRIES
from annotation.recruitment.signature import signature_verify
from annotation.services.bonuses import bonus_pay
from annotation.services.credentials import client_for, credential_save, credential_use
from annotation.services.panel_claims import BUSY
from annotation.services.prolific import (
    prolific_approve,
    prolific_body,
    prolific_draft_create,
    prolific_places_add,
    prolific_publish,
    prolific_reject,
    prolific_return_request,
    prolific_transition,
    prolific_webhooks_subscribe,
)
from annotation.services.recruitments import recruitment_set
from annotation.services.studies import study_pause
from annotation.services.submissions import submissions_reconcile
from tests.annotation.factories import make_user
from tests.annotation.factories_panels import (
    ENTRY,
    arrive,
    complete,
    fake_prolific,
    make_published,
    make_recruitment,
)

pytestmark = pytest.mark.django_db

COST = 200


@pytest.fixture(autouse=True)
def _quick(monkeypatch) -> None:
    monkeypatch.setattr("annotation.recruitment.prolific.FIRST_WAIT_SECONDS", 0.001)


@pytest.fixture
def server():
    with fake_prolific() as started:
        yield started


def waiting(server, row):
    """A submission that waits for review, complete here and there."""
    submission = server.fake.place_take(row.panel_study_id)
    code = complete(row, arrive(row, submission))
    server.fake.submission_move(submission.id, "AWAITING REVIEW", code)
    submissions_reconcile(recruitment=row)
    return row.submissions.select_related("recruitment__study", "recruitment__credential").get(
        submission_id=submission.id
    )


def test_the_draft_tells_the_panel_nothing_of_neurons(server) -> None:
    row = make_recruitment(title="Do you see it?")
    prolific_draft_create(recruitment=row, entry_url=ENTRY, actor=row.study.owner)
    fields = server.fake.study(row.panel_study_id).fields
    text = str({name: value for name, value in fields.items() if name != "internal_name"}).lower()
    for word in ("neuron", "activation", "layer", "good", "bad"):
        assert word not in text
    assert fields["external_study_url"].endswith(
        "?PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
    )
    assert fields["is_external_study_url_secure"] is True
    assert set(fields["device_compatibility"]) == {"desktop", "tablet", "mobile"}
    actions = {row["code_type"]: row["actions"][0]["action"] for row in fields["completion_codes"]}
    assert actions == {
        "COMPLETED": "MANUALLY_REVIEW",
        "NO_CONSENT": "REQUEST_RETURN",
        "OTHER": "REQUEST_RETURN",
        "FAILED_ATTENTION_CHECK": "MANUALLY_REVIEW",
    }
    assert row.panel_status == "UNPUBLISHED"
    assert not LedgerEntry.objects.exists()


def test_one_draft_however_often(server) -> None:
    row = make_recruitment()
    for _ in range(3):
        prolific_draft_create(recruitment=row, entry_url=ENTRY, actor=row.study.owner)
    assert len(server.fake.studies) == 1


def test_publishing_books_and_happens_once(server) -> None:
    row = make_published(server, places=3)
    for _ in range(2):
        prolific_publish(recruitment=row, actor=row.study.owner)
    assert ledger_total(row.study) == 3 * COST
    assert server.count("transition") == 1
    assert row.panel_status == "ACTIVE"
    entry = LedgerEntry.objects.get()
    assert (entry.kind, entry.actor) == (LedgerKind.COMMITMENT, row.study.owner)
    assert StudyEvent.objects.filter(action="published at the panel").count() == 1


def test_the_cap_stops_publishing_before_the_panel_hears_of_it(server) -> None:
    row = make_recruitment(cap=3 * COST - 1)
    prolific_draft_create(recruitment=row, entry_url=ENTRY, actor=row.study.owner)
    with pytest.raises(SpendingCapPassed):
        prolific_publish(recruitment=row, actor=row.study.owner)
    assert server.count("transition") == 0
    assert not LedgerEntry.objects.exists()


def test_a_refusal_releases_the_booking(server) -> None:
    server.fake.balance_minor = 1
    row = make_recruitment()
    prolific_draft_create(recruitment=row, entry_url=ENTRY, actor=row.study.owner)
    with pytest.raises(PanelRefused, match="money"):
        prolific_publish(recruitment=row, actor=row.study.owner)
    assert ledger_total(row.study) == 0
    server.fake.balance_minor = 100_000
    prolific_publish(recruitment=row, actor=row.study.owner)
    assert ledger_total(row.study) == 3 * COST


def test_silence_does_not_release_it_and_can_be_repeated(server) -> None:
    row = make_recruitment()
    prolific_draft_create(recruitment=row, entry_url=ENTRY, actor=row.study.owner)
    server.fail("transition", 500, times=4, after=True)
    with pytest.raises(PanelUnreachable):
        prolific_publish(recruitment=row, actor=row.study.owner)
    assert ledger_total(row.study) == 3 * COST
    assert row.panel_status == "UNPUBLISHED"
    prolific_publish(recruitment=row, actor=row.study.owner)
    assert ledger_total(row.study) == 3 * COST
    assert row.panel_status == "ACTIVE"


def test_a_draft_changed_at_the_panel_is_not_published(server) -> None:
    row = make_recruitment()
    prolific_draft_create(recruitment=row, entry_url=ENTRY, actor=row.study.owner)
    server.fake.study(row.panel_study_id).fields["reward"] = 900
    with pytest.raises(InvalidInput, match="900 in the draft"):
        prolific_publish(recruitment=row, actor=row.study.owner)
    assert not LedgerEntry.objects.exists()


def test_a_draft_with_unsigned_links_is_not_published_where_signed_ones_are_wanted(server) -> None:
    row = make_recruitment()
    owner = row.study.owner
    recruitment_set(study=row.study, channel="prolific", actor=owner, require_signature=False)
    row.refresh_from_db()
    prolific_draft_create(recruitment=row, entry_url=ENTRY, actor=owner)
    recruitment_set(study=row.study, channel="prolific", actor=owner, require_signature=True)
    with pytest.raises(InvalidInput, match="require_signature: only signed links"):
        prolific_publish(recruitment=row, actor=owner)
    assert ledger_total(row.study) == 0
    recruitment_set(study=row.study, channel="prolific", actor=owner, require_signature=False)
    prolific_publish(recruitment=row, actor=owner)
    with pytest.raises(StudyStateError, match="require_signature: raters come with the links"):
        recruitment_set(study=row.study, channel="prolific", actor=owner, require_signature=True)


def test_nobody_is_sent_to_a_channel_that_takes_nobody(server) -> None:
    row = make_recruitment()
    owner = row.study.owner
    prolific_draft_create(recruitment=row, entry_url=ENTRY, actor=owner)
    recruitment_set(study=row.study, channel="prolific", actor=owner, active=False)
    with pytest.raises(StudyStateError, match="takes no new raters"):
        prolific_publish(recruitment=row, actor=owner)
    assert ledger_total(row.study) == 0
    recruitment_set(study=row.study, channel="prolific", actor=owner, active=True)
    prolific_publish(recruitment=row, actor=owner)
    recruitment_set(study=row.study, channel="prolific", actor=owner, active=False)
    with pytest.raises(StudyStateError, match="takes no new raters"):
        prolific_places_add(recruitment=row, places=9, actor=owner)
    prolific_transition(recruitment=row, action="PAUSE", actor=owner)
    with pytest.raises(StudyStateError, match="takes no new raters"):
        prolific_transition(recruitment=row, action="START", actor=owner)
    assert ledger_total(row.study) == row.places * COST


def test_only_an_open_study_is_published(server) -> None:
    row = make_recruitment()
    prolific_draft_create(recruitment=row, entry_url=ENTRY, actor=row.study.owner)
    study_pause(study=row.study, actor=row.study.owner)
    with pytest.raises(StudyStateError, match="paused"):
        prolific_publish(recruitment=row, actor=row.study.owner)


def test_pay_below_the_minimum_is_refused_here() -> None:
    row = make_recruitment(reward_minor=99)
    with pytest.raises(InvalidInput, match=r"5.94 GBP an hour is below"):
        prolific_body(row, ENTRY)


def test_a_second_action_waits_for_the_first(server) -> None:
    row = make_recruitment()
    row.busy_until = timezone.now() + timedelta(minutes=1)
    row.save()
    with pytest.raises(PanelBusy):
        prolific_draft_create(recruitment=row, entry_url=ENTRY, actor=row.study.owner)
    row.busy_until = timezone.now() - timedelta(seconds=1)  # that server was killed
    row.save()
    prolific_draft_create(recruitment=row, entry_url=ENTRY, actor=row.study.owner)
    row.refresh_from_db()
    assert row.busy_until is None


def test_an_action_is_kept_apart_as_long_as_it_may_take() -> None:
    reading = (TIMEOUT.connect or 0) + (TIMEOUT.read or 0)
    request = TRIES * reading + (TRIES - 1) * LONGEST_WAIT_SECONDS
    assert BUSY.total_seconds() > 2 * request


def test_pause_resume_stop(server) -> None:
    row = make_published(server, places=3)
    owner = row.study.owner
    states = []
    for action in ("PAUSE", "START", "STOP"):
        prolific_transition(recruitment=row, action=action, actor=owner)
        states.append(row.panel_status)
    assert states == ["PAUSED", "ACTIVE", "COMPLETED"]
    assert commitment_open(row) == 0  # nobody came, nothing can be paid any more
    with pytest.raises(InvalidInput, match="action"):
        prolific_transition(recruitment=row, action="DELETE", actor=owner)


def test_stopping_keeps_what_may_still_be_paid(server) -> None:
    row = make_published(server, places=3)
    waiting(server, row)
    prolific_transition(recruitment=row, action="STOP", actor=row.study.owner)
    assert row.panel_status == "AWAITING REVIEW"
    assert commitment_open(row) == COST


def test_places_are_added_once(server) -> None:
    row = make_published(server, places=3)
    for _ in range(3):
        prolific_places_add(recruitment=row, places=5, actor=row.study.owner)
    assert row.places == 5
    assert ledger_total(row.study) == 5 * COST
    assert server.fake.study(row.panel_study_id).fields["total_available_places"] == 5
    with pytest.raises(InvalidInput, match="takes no places back"):
        prolific_places_add(recruitment=row, places=4, actor=row.study.owner)


def test_refused_places_are_released(server) -> None:
    row = make_published(server, places=3)
    server.fail("PATCH", 400)
    with pytest.raises(PanelRefused):
        prolific_places_add(recruitment=row, places=5, actor=row.study.owner)
    assert ledger_total(row.study) == 3 * COST
    assert row.places == 3


def test_approval_is_asked_for_and_believed_later(server) -> None:
    row = make_published(server)
    submission = waiting(server, row)
    prolific_approve(recruitment=row, submissions=[submission], actor=row.study.owner)
    submission.refresh_from_db()
    assert submission.status == "AWAITING REVIEW"
    assert not LedgerEntry.objects.filter(kind=LedgerKind.REWARD).exists()
    submissions_reconcile(recruitment=row)
    submission.refresh_from_db()
    assert submission.status == "APPROVED"
    entry = LedgerEntry.objects.get(kind=LedgerKind.REWARD)
    assert entry.participation == submission.participation
    assert prolific_approve(recruitment=row, submissions=[submission], actor=row.study.owner) == []


def test_approval_needs_work_that_was_handed_in(server) -> None:
    row = make_published(server)
    arrive(row, server.fake.place_take(row.panel_study_id))
    with pytest.raises(InvalidInput, match="active"):
        prolific_approve(
            recruitment=row, submissions=list(row.submissions.all()), actor=row.study.owner
        )
    other = make_published(server)
    with pytest.raises(InvalidInput, match="another study"):
        prolific_approve(
            recruitment=other, submissions=list(row.submissions.all()), actor=row.study.owner
        )


def test_nothing_here_rejects_by_itself(server) -> None:
    row = make_published(server)
    submission = waiting(server, row)
    with pytest.raises(InvalidInput, match="characters"):
        prolific_reject(
            submission=submission, category="LOW_EFFORT", message="bad", actor=row.study.owner
        )
    assert server.fake.submission(submission.submission_id).status == "AWAITING REVIEW"
    prolific_reject(
        submission=submission,
        category="LOW_EFFORT",
        message="The same answer was given to every image, which cannot be right. " * 2,
        actor=row.study.owner,
    )
    assert server.fake.submission(submission.submission_id).status == "REJECTED"
    event = StudyEvent.objects.get(action="rejection asked for")
    assert (event.actor, event.details["category"]) == (row.study.owner, "LOW_EFFORT")


def test_a_return_is_asked_for(server) -> None:
    row = make_published(server)
    submission = waiting(server, row)
    prolific_return_request(submission=submission, reason="It broke.", actor=row.study.owner)
    assert server.fake.submission(submission.submission_id).returned_asked
    with pytest.raises(InvalidInput, match="reason"):
        prolific_return_request(submission=submission, reason=" ", actor=row.study.owner)


def test_a_bonus_is_paid_once(server) -> None:
    row = make_published(server)
    submission = waiting(server, row)
    before = ledger_total(row.study)
    for _ in range(3):
        bonus, _ = bonus_pay(
            submission=submission, amount_minor=100, key="first", actor=row.study.owner
        )
        assert bonus is not None
        assert bonus.state == BonusState.PAID
    assert server.fake.submission(submission.submission_id).bonus_minor == [100]
    assert ledger_total(row.study) - before == 134
    with pytest.raises(InvalidInput, match="another bonus"):
        bonus_pay(submission=submission, amount_minor=101, key="first", actor=row.study.owner)


@pytest.mark.parametrize(
    ("pattern", "status", "error", "state", "booked"),
    [
        ("bonus-payments/$", 500, PanelUnreachable, BonusState.REFUSED, 0),
        ("bonus-payments/$", 400, PanelRefused, BonusState.REFUSED, 0),
        ("/pay/", 400, PanelRefused, BonusState.REFUSED, 0),
        ("/pay/", 500, PanelUnreachable, BonusState.UNCERTAIN, 134),
    ],
)
def test_a_bonus_in_doubt_is_not_paid_again(server, pattern, status, error, state, booked) -> None:
    row = make_published(server)
    submission = waiting(server, row)
    before = ledger_total(row.study)
    server.fail(pattern, status, after=status == 500)
    with pytest.raises(error):
        bonus_pay(submission=submission, amount_minor=100, key="k", actor=row.study.owner)
    bonus_pay(submission=submission, amount_minor=100, key="k", actor=row.study.owner)
    assert PanelBonus.objects.get().state == state
    assert ledger_total(row.study) - before == booked
    assert server.count("/pay/") == int("pay/" in pattern)


def test_webhooks_are_subscribed_once(server) -> None:
    row = make_recruitment()
    for _ in range(2):
        prolific_webhooks_subscribe(
            credential=row.credential, target_url="https://jury.example.org/hook", recruitment=row
        )
    assert [sub["confirmed"] for sub in server.fake.subscriptions.values()] == [True, True]
    assert server.fake.hook_secret.encode() not in bytes(
        PanelCredential.objects.get().webhook_secret_encrypted
    )


def test_a_dry_run_sends_and_writes_nothing(server) -> None:
    row = make_recruitment()
    owner = row.study.owner
    events = StudyEvent.objects.count()
    said = [
        *prolific_draft_create(recruitment=row, entry_url=ENTRY, actor=owner, dry_run=True),
        *prolific_publish(recruitment=row, actor=owner, dry_run=True),
        *prolific_transition(recruitment=row, action="PAUSE", actor=owner, dry_run=True),
        *prolific_places_add(recruitment=row, places=9, actor=owner, dry_run=True),
    ]
    assert [sending.method for sending in said] == ["POST", "POST", "POST", "PATCH"]
    assert said[0].body["reward"] == 150
    assert server.requests == []
    assert StudyEvent.objects.count() == events
    assert not LedgerEntry.objects.exists()
    row.refresh_from_db()
    assert (row.panel_study_id, row.places) == ("", 3)


def test_a_token_is_its_owners_alone() -> None:
    row = make_recruitment()
    theirs = credential_save(owner=make_user(), name="theirs", token="another")
    with pytest.raises(InvalidInput, match="somebody else's"):
        credential_use(recruitment=row, credential=theirs, actor=row.study.owner)


def test_a_token_is_stored_encrypted_and_never_said() -> None:
    owner = make_user()
    row = credential_save(owner=owner, name="mine", token="very-secret")
    assert b"very-secret" not in bytes(row.token_encrypted)
    assert credential_save(owner=owner, name="mine", token="newer").pk == row.pk
    with pytest.raises(InvalidInput) as caught:
        credential_save(owner=owner, name="mine", token="very secret")
    assert "very secret" not in str(caught.value)
    assert PanelCredential.objects.count() == 1


def test_without_access_it_says_so() -> None:
    row = make_recruitment()
    row.credential = None
    with pytest.raises(InvalidInput, match="enter a token"):
        client_for(row)


def test_the_whole_way_of_one_rater(server) -> None:
    row = make_published(server)
    submission = server.fake.place_take(row.panel_study_id)
    link = server.fake.arrival_url(submission)
    token = link.rsplit("prolific_token=", 1)[1]
    claims = signature_verify(
        token=token, audience="https://jury.example.org", study_id=row.panel_study_id
    )
    assert (claims.participant_id, claims.submission_id) == (
        submission.participant,
        submission.id,
    )
    code = complete(row, arrive(row, submission))
    assert code == row.codes.get(outcome=Outcome.COMPLETED).code


def test_ten_approvals_at_once_pay_once(server) -> None:
    row = make_published(server)
    submission = waiting(server, row)
    client = client_for(row)
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: client.submissions_approve([submission.submission_id]), range(10)))
    for _ in range(10):
        submissions_reconcile(recruitment=row)
    assert LedgerEntry.objects.filter(kind=LedgerKind.REWARD).count() == 1
    assert server.fake.submission(submission.submission_id).status == "APPROVED"


def test_pay_stays_as_promised(server) -> None:
    row = make_published(server)
    with pytest.raises(StudyStateError, match="promised"):
        recruitment_set(
            study=row.study, channel=Channel.PROLIFIC, actor=row.study.owner, reward_minor=100
        )
