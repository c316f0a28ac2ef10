"""Money where the panel's word is late, stale or missing: the cap holds, nothing is paid twice."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.exceptions import InvalidInput, PanelRefused, PanelUnreachable, SpendingCapPassed
from annotation.models import (
    BonusState,
    Channel,
    LedgerKind,
    PanelBonus,
    PanelSubmission,
    Recruitment,
    StudyEvent,
    SubmissionStatus,
)
from annotation.queries.money import commitment_open, cost_estimate, ledger_total, places_booked
from annotation.services.bonuses import bonus_pay, submission_bonus_resolve
from annotation.services.commitments import (
    commitment_book,
    commitment_late_book,
    commitment_settle,
)
from annotation.services.payments import bonus_book, submission_book
from annotation.services.prolific import prolific_approve, prolific_body
from annotation.services.recruitments import recruitment_set
from annotation.services.submissions import submissions_reconcile
from tests.annotation.factories_panels import ENTRY, fake_prolific, make_published, make_recruitment

pytestmark = pytest.mark.django_db

COST = 200


@pytest.fixture(autouse=True)
def _quick(monkeypatch) -> None:
    monkeypatch.setattr("annotation.recruitment.prolific.FIRST_WAIT_SECONDS", 0.001)


@pytest.fixture
def server():
    with fake_prolific() as started:
        yield started


def visits(row: Recruitment, status: SubmissionStatus, n: int = 1) -> list[PanelSubmission]:
    number = row.submissions.count()
    return [
        PanelSubmission.objects.create(
            recruitment=row, submission_id=f"visit-{number + k}", status=status
        )
        for k in range(n)
    ]


def timed_out(server, row: Recruitment) -> PanelSubmission:
    there = server.fake.place_take(row.panel_study_id)
    server.fake.submission_move(there.id, "TIMED-OUT")
    submissions_reconcile(recruitment=row)
    return row.submissions.get(submission_id=there.id)


def test_approving_who_timed_out_meets_the_cap(server) -> None:
    row = make_published(server, places=2, cap=3 * COST - 1)
    submission = timed_out(server, row)
    with pytest.raises(SpendingCapPassed, match="without a booked place"):
        prolific_approve(recruitment=row, submissions=[submission], actor=row.study.owner)
    assert server.count("bulk-approve") == 0
    assert ledger_total(row.study) == 2 * COST


def test_who_timed_out_is_booked_once_and_beside_the_places(server) -> None:
    row = make_published(server, places=2)
    submission = timed_out(server, row)
    server.fail("bulk-approve", 400)
    with pytest.raises(PanelRefused):
        prolific_approve(recruitment=row, submissions=[submission], actor=row.study.owner)
    assert ledger_total(row.study) == 2 * COST
    for _ in range(2):
        prolific_approve(recruitment=row, submissions=[submission], actor=row.study.owner)
    assert ledger_total(row.study) == 3 * COST
    assert places_booked(row) == 2  # both may still be filled
    Recruitment.objects.filter(pk=row.pk).update(panel_status="COMPLETED")
    commitment_settle(recruitment=row, as_of=timezone.now())
    assert commitment_open(row) == COST  # the approval that was asked for
    submission.status = SubmissionStatus.APPROVED
    submission.save()
    submission_book(submission=submission)
    assert (ledger_total(row.study), commitment_open(row)) == (COST, 0)


def test_who_waits_without_a_booked_place_is_booked() -> None:
    row = make_recruitment(cap=3 * COST)
    commitment_book(recruitment=row, places=2, actor=None)
    waiting = visits(row, SubmissionStatus.AWAITING_REVIEW, 3)
    # all the same which are asked for first: the two places cover two of the three
    assert commitment_late_book(recruitment=row, submissions=waiting[:2], actor=None)
    assert commitment_late_book(recruitment=row, submissions=waiting, actor=None) == []
    assert ledger_total(row.study) == 3 * COST


def test_places_released_at_a_stop_are_booked_anew() -> None:
    row = make_recruitment(places=10)
    commitment_book(recruitment=row, places=10, actor=None)
    for submission in visits(row, SubmissionStatus.APPROVED, 6):
        submission_book(submission=submission)
    Recruitment.objects.filter(pk=row.pk).update(panel_status="COMPLETED")
    commitment_settle(recruitment=row, as_of=timezone.now())
    estimate = cost_estimate(row, places=12, booked=places_booked(row))
    assert (estimate.places, estimate.total_minor) == (6, 6 * COST)
    assert commitment_book(recruitment=row, places=12, actor=None) == 6
    assert ledger_total(row.study) == 12 * COST


def test_an_old_word_releases_nothing() -> None:
    row = make_recruitment()
    before = timezone.now()
    commitment_book(recruitment=row, places=3, actor=None)
    Recruitment.objects.filter(pk=row.pk).update(
        panel_status="AWAITING REVIEW", busy_until=timezone.now() + timedelta(minutes=1)
    )
    assert commitment_settle(recruitment=row, as_of=timezone.now()) == 0  # an action goes on
    Recruitment.objects.filter(pk=row.pk).update(busy_until=None)
    assert commitment_settle(recruitment=row, as_of=before) == 0
    assert commitment_settle(recruitment=row, as_of=timezone.now()) == 3 * COST


def test_reading_while_something_is_published_writes_no_older_state(server) -> None:
    row = make_published(server)
    server.fake.study(row.panel_study_id).status = "UNPUBLISHED"  # as it was read before
    Recruitment.objects.filter(pk=row.pk).update(busy_until=timezone.now() + timedelta(minutes=1))
    submissions_reconcile(recruitment=row)
    row.refresh_from_db()
    assert row.panel_status == "ACTIVE"
    assert commitment_open(row) == 3 * COST


def test_pay_that_was_changed_meanwhile_is_not_booked() -> None:
    row = make_recruitment()
    recruitment_set(
        study=row.study, channel=Channel.PROLIFIC, actor=row.study.owner, reward_minor=900
    )
    with pytest.raises(InvalidInput, match="reward_minor: somebody changed it to 900"):
        commitment_book(recruitment=row, places=3, actor=None)
    assert ledger_total(row.study) == 0


def test_no_fee_is_no_study_at_prolific() -> None:
    row = make_recruitment()
    row.fee_percent = 0
    with pytest.raises(InvalidInput, match="fee_percent: it is 0"):
        prolific_body(row, ENTRY)


@pytest.mark.parametrize("paid", [True, False])
def test_a_bonus_in_doubt_stops_another_until_a_person_has_looked(server, paid: bool) -> None:
    row = make_published(server)
    there = server.fake.place_take(row.panel_study_id)
    server.fake.submission_move(there.id, "AWAITING REVIEW", "ABC")
    submissions_reconcile(recruitment=row)
    submission, owner = row.submissions.get(), row.study.owner
    before = ledger_total(row.study)
    server.fail("/pay/", 500)
    with pytest.raises(PanelUnreachable):
        bonus_pay(submission=submission, amount_minor=100, key="one", actor=owner)
    with pytest.raises(InvalidInput, match="uncertain"):  # the page was loaded again
        bonus_pay(submission=submission, amount_minor=100, key="two", actor=owner)
    with pytest.raises(InvalidInput, match="still be at it"):
        submission_bonus_resolve(submission=submission, paid=paid, actor=owner)
    PanelBonus.objects.update(created_at=timezone.now() - timedelta(minutes=3))
    bonus = submission_bonus_resolve(submission=submission, paid=paid, actor=owner)
    assert bonus.state == (BonusState.PAID if paid else BonusState.REFUSED)
    assert ledger_total(row.study) - before == (134 if paid else 0)
    assert StudyEvent.objects.get(action="bonus decided by a person").details["paid"] is paid
    with pytest.raises(InvalidInput, match="in doubt"):
        submission_bonus_resolve(submission=submission, paid=paid, actor=owner)
    assert bonus_book(submission=submission, amount_minor=100, key="two", actor=owner)[1]
    assert row.ledger.filter(kind=LedgerKind.BONUS).count() == 2
