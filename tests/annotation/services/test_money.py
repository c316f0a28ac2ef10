"""The ledger: the cap holds, each key is booked once, nothing is ever changed."""

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from annotation.exceptions import SpendingCapPassed
from annotation.models import LedgerEntry, LedgerKind, PanelSubmission, SubmissionStatus
from annotation.models.append_only import LEDGER_CREATE, LEDGER_DROP
from annotation.queries.money import (
    commitment_open,
    cost_estimate,
    ledger_total,
    minor,
    place_cost,
    places_booked,
    places_needed,
    study_spend,
)
from annotation.services.commitments import commitment_book, commitment_settle, commitment_undo
from annotation.services.payments import bonus_book, bonus_release, submission_book
from tests.annotation.factories import make_study, rate_study
from tests.annotation.factories_panels import make_recruitment

pytestmark = pytest.mark.django_db

COST = 200  # 1.50 and a fee of 49.995 pence, rounded up


def approved(row, number: int = 1) -> PanelSubmission:
    return PanelSubmission.objects.create(
        recruitment=row, submission_id=f"visit-{number}", status=SubmissionStatus.APPROVED
    )


def test_a_place_costs_reward_and_fee_rounded_up() -> None:
    row = make_recruitment()
    assert place_cost(row) == COST
    row.fee_percent = 0
    assert place_cost(row) == 150


def test_the_estimate_says_all_before_launch() -> None:
    row = make_recruitment(places=10, cap=5000)
    estimate = cost_estimate(row)
    assert (estimate.total_minor, estimate.hourly_minor) == (2000, 900)
    assert (estimate.is_underpaid, estimate.is_meagre, estimate.passes_cap) == (False,) * 3
    row.estimated_minutes = 15
    assert cost_estimate(row).is_meagre
    row.estimated_minutes = 16
    assert cost_estimate(row).is_underpaid
    assert cost_estimate(row, places=26).passes_cap


def test_places_are_booked_once() -> None:
    row = make_recruitment(places=5)
    assert [commitment_book(recruitment=row, places=5, actor=None) for _ in range(3)] == [5, 0, 0]
    assert commitment_book(recruitment=row, places=7, actor=None) == 2
    assert ledger_total(row.study) == 7 * COST
    assert places_booked(row) == 7


def test_the_cap_is_hard() -> None:
    row = make_recruitment(cap=5 * COST - 1)
    with pytest.raises(SpendingCapPassed, match=r"9\.99"):
        commitment_book(recruitment=row, places=5, actor=None)
    assert not LedgerEntry.objects.exists()
    commitment_book(recruitment=row, places=4, actor=None)
    with pytest.raises(SpendingCapPassed):
        commitment_book(recruitment=row, places=5, actor=None)
    assert ledger_total(row.study) == 4 * COST


def test_without_a_cap_nothing_is_paid_for() -> None:
    row = make_recruitment(cap=None)
    with pytest.raises(SpendingCapPassed, match="spending_cap_minor"):
        commitment_book(recruitment=row, places=1, actor=None)


def test_what_the_panel_refused_is_released() -> None:
    row = make_recruitment()
    commitment_book(recruitment=row, places=3, actor=None)
    for _ in range(2):
        commitment_undo(recruitment=row, places=1, actor=None)
    assert (places_booked(row), ledger_total(row.study)) == (1, COST)
    commitment_book(recruitment=row, places=3, actor=None)
    assert (places_booked(row), ledger_total(row.study)) == (3, 3 * COST)


def test_an_approved_submission_turns_commitment_into_cost() -> None:
    row = make_recruitment()
    commitment_book(recruitment=row, places=3, actor=None)
    submission = approved(row)
    assert [submission_book(submission=submission) for _ in range(3)] == [True, False, False]
    spend = study_spend(row.study)
    assert (spend.committed_minor, spend.rewards_minor, spend.fees_minor) == (2 * COST, 150, 50)
    assert spend.used_minor == ledger_total(row.study) == 3 * COST
    assert spend.n_paid == 1


def test_only_the_panel_approves() -> None:
    row = make_recruitment()
    submission = approved(row)
    for status in set(SubmissionStatus) - {SubmissionStatus.APPROVED}:
        submission.status = status
        assert not submission_book(submission=submission)
    assert not LedgerEntry.objects.exists()


def test_what_the_panel_paid_is_booked_without_a_commitment_too() -> None:
    row = make_recruitment(cap=1)
    assert submission_book(submission=approved(row))
    assert ledger_total(row.study) == COST


def test_a_study_that_ended_keeps_what_may_still_be_paid() -> None:
    row = make_recruitment(places=5)
    commitment_book(recruitment=row, places=5, actor=None)
    submission_book(submission=approved(row))
    for number, status in enumerate(["AWAITING REVIEW", "RETURNED", "REJECTED"], start=2):
        PanelSubmission.objects.create(
            recruitment=row, submission_id=f"visit-{number}", status=status
        )
    assert commitment_settle(recruitment=row, as_of=timezone.now()) == 0  # raters still come
    row.panel_status = "AWAITING REVIEW"
    row.save()
    assert commitment_settle(recruitment=row, as_of=timezone.now()) == 2 * COST
    assert commitment_settle(recruitment=row, as_of=timezone.now()) == 0
    assert commitment_open(row) == 2 * COST
    row.panel_status = "COMPLETED"
    row.save()
    assert commitment_settle(recruitment=row, as_of=timezone.now()) == COST
    assert commitment_open(row) == COST


def test_a_bonus_is_booked_once_and_within_the_cap() -> None:
    row = make_recruitment(cap=200)
    submission = approved(row)
    owner = row.study.owner
    bonus, made = bonus_book(submission=submission, amount_minor=150, key="a", actor=owner)
    assert made
    again, made = bonus_book(submission=submission, amount_minor=150, key="a", actor=owner)
    assert (again, made) == (bonus, False)
    assert ledger_total(row.study) == 200
    with pytest.raises(SpendingCapPassed):
        bonus_book(submission=submission, amount_minor=1, key="b", actor=owner)
    for _ in range(2):
        bonus_release(bonus=bonus)
    assert ledger_total(row.study) == 0
    spend = study_spend(row.study)
    assert spend.committed_minor == 0
    assert spend.paid_minor == 0


def test_entries_are_neither_changed_nor_deleted() -> None:
    row = make_recruitment()
    commitment_book(recruitment=row, places=1, actor=None)
    entry = LedgerEntry.objects.get()
    entry.amount_minor = 1
    with pytest.raises(TypeError):
        entry.save()
    with pytest.raises(TypeError):
        entry.delete()


def test_the_database_refuses_changes_as_well() -> None:
    row = make_recruitment()
    with connection.cursor() as cursor:
        for statement in LEDGER_DROP[connection.vendor] + LEDGER_CREATE[connection.vendor]:
            cursor.execute(statement)
    commitment_book(recruitment=row, places=1, actor=None)
    entries = LedgerEntry.objects.all()
    for change in (
        lambda: entries.update(amount_minor=1),
        lambda: entries.update(note="other", participation=None),
        lambda: entries._raw_delete("default"),
    ):
        with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
            change()
    entries.update(participation=None)  # a rater's data is deleted on request
    assert ledger_total(row.study) == COST


def test_places_needed_follow_from_tasks_and_redundancy() -> None:
    study = make_study(launched=False)
    assert places_needed(study) is None
    study = make_study(redundancy=3)
    assert places_needed(study) == 3
    study.quality_policy.tasks_per_rater = 1
    study.quality_policy.save()
    assert places_needed(study) == study.tasks.count() * 3
    rate_study(study, max_tasks=1)
    assert places_needed(study) == study.tasks.count() * 3 - 1


def test_ratings_that_count_have_a_price() -> None:
    row = make_recruitment()
    assert study_spend(row.study).rating_minor is None
    rate_study(row.study, max_tasks=1)
    commitment_book(recruitment=row, places=1, actor=None)
    submission_book(submission=approved(row))
    spend = study_spend(row.study)
    assert spend.rating_minor == pytest.approx(COST / spend.n_ratings)


def test_amounts_are_written_for_people() -> None:
    assert minor(123456, "GBP") == "1,234.56 GBP"


def test_every_kind_has_a_sign() -> None:
    row = make_recruitment()
    for kind, amount in [(LedgerKind.RELEASE, 5), (LedgerKind.REWARD, -5), (LedgerKind.FEE, 0)]:
        with pytest.raises(DatabaseError), transaction.atomic():
            LedgerEntry.objects.create(
                study=row.study, kind=kind, amount_minor=amount, currency="GBP", key=str(kind)
            )
