"""Money on PostgreSQL: no race passes the cap, nothing is booked or paid twice."""

from collections import Counter

import pytest
from django.utils import timezone

from annotation.exceptions import PanelBusy, SpendingCapPassed
from annotation.models import (
    LedgerEntry,
    LedgerKind,
    PanelBonus,
    PanelSubmission,
    Recruitment,
    SubmissionStatus,
)
from annotation.queries.money import ledger_total, places_booked
from annotation.services.bonuses import bonus_pay
from annotation.services.commitments import commitment_book
from annotation.services.payments import bonus_book
from annotation.services.prolific import prolific_draft_create, prolific_publish
from annotation.services.submissions import PanelWord, submission_apply, submissions_reconcile
from tests.annotation.concurrency.parallel import together
from tests.annotation.factories_panels import (
    ENTRY,
    arrive,
    complete,
    fake_prolific,
    make_recruitment,
)

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
]

COST = 200
N = 10


def test_the_cap_holds_in_a_race() -> None:
    row = make_recruitment(cap=5 * COST)
    submission = PanelSubmission.objects.create(
        recruitment=row, submission_id="visit", status=SubmissionStatus.APPROVED
    )

    def spend(number: int) -> object:
        return bonus_book(
            submission=submission, amount_minor=150, key=f"k{number}", actor=row.study.owner
        )

    results = together(N, spend)
    refused = [result for result in results if isinstance(result, SpendingCapPassed)]
    assert len(refused) == N - 5, Counter(map(repr, results))
    assert ledger_total(row.study) == 5 * COST
    assert PanelBonus.objects.count() == 5


def test_places_are_booked_once_in_a_race() -> None:
    row = make_recruitment(places=4)
    results = together(N, lambda _: commitment_book(recruitment=row, places=4, actor=None))
    assert sorted(map(str, results)) == ["0"] * (N - 1) + ["4"]
    assert places_booked(row) == 4


def test_ten_words_of_an_approval_book_once() -> None:
    row = make_recruitment()
    word = PanelWord(SubmissionStatus.APPROVED, timezone.now())
    results = together(
        N, lambda _: submission_apply(recruitment=row, submission_id="visit", word=word)
    )
    assert all(isinstance(result, PanelSubmission) for result in results), results
    kinds = Counter(LedgerEntry.objects.values_list("kind", flat=True))
    assert kinds == {LedgerKind.REWARD: 1, LedgerKind.FEE: 1}


def test_ten_clicks_publish_once_and_pay_one_bonus() -> None:
    with fake_prolific() as server:
        row = make_recruitment(places=3)
        owner = row.study.owner
        together(
            N,
            lambda _: prolific_draft_create(
                recruitment=Recruitment.objects.select_related("study", "credential").get(
                    pk=row.pk
                ),
                entry_url=ENTRY,
                actor=owner,
            ),
        )
        assert len(server.fake.studies) == 1
        results = together(
            N,
            lambda _: prolific_publish(
                recruitment=Recruitment.objects.select_related("study", "credential").get(
                    pk=row.pk
                ),
                actor=owner,
            ),
        )
        assert all(isinstance(result, list | PanelBusy) for result in results), results
        assert ledger_total(row.study) == 3 * COST
        row.refresh_from_db()
        submission = server.fake.place_take(row.panel_study_id)
        code = complete(row, arrive(row, submission))
        server.fake.submission_move(submission.id, "AWAITING REVIEW", code)
        submissions_reconcile(recruitment=row)
        mine = PanelSubmission.objects.select_related(
            "recruitment__study", "recruitment__credential"
        ).get()
        together(N, lambda _: bonus_pay(submission=mine, amount_minor=100, key="one", actor=owner))
        assert submission.bonus_minor == [100]
        server.fake.approve([submission.id])
        together(N, lambda _: submissions_reconcile(recruitment=row))
        assert LedgerEntry.objects.filter(kind=LedgerKind.REWARD).count() == 1
