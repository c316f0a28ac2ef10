"""The panel's submissions: moved forward by its own clock, and what follows here."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from annotation.exceptions import InvalidInput, PanelUnreachable
from annotation.models import (
    Assignment,
    AssignmentStatus,
    Channel,
    LedgerEntry,
    LedgerKind,
    Outcome,
    PanelSubmission,
    Rating,
    Review,
    ReviewReason,
    SubmissionStatus,
)
from annotation.queries.recruitment import submission_counts, submission_row, submission_rows
from annotation.services.assignments import assignment_lease
from annotation.services.deletions import rater_delete
from annotation.services.raters import (
    consent_give,
    external_id_hash,
    instructions_confirm,
    rater_arrive,
)
from annotation.services.submissions import (
    PanelWord,
    submission_apply,
    submission_record,
    submissions_reconcile,
    submissions_reconcile_due,
)
from tests.annotation.factories import rate_task
from tests.annotation.factories_panels import (
    arrive,
    complete,
    fake_prolific,
    make_published,
    make_recruitment,
)

pytestmark = pytest.mark.django_db

T0 = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def server():
    with fake_prolific() as started:
        yield started


def say(row, status: SubmissionStatus, minutes: int, **word) -> PanelSubmission:
    return submission_apply(
        recruitment=row,
        submission_id="visit",
        word=PanelWord(status, T0 + timedelta(minutes=minutes), **word),
    )


def test_status_only_moves_forward_in_time() -> None:
    row = make_recruitment()
    say(row, SubmissionStatus.ACTIVE, 1)
    assert say(row, SubmissionStatus.AWAITING_REVIEW, 5).status == "AWAITING REVIEW"
    for minutes in (0, 4):
        assert say(row, SubmissionStatus.ACTIVE, minutes).status == "AWAITING REVIEW"
    assert say(row, SubmissionStatus.TIMED_OUT, 6).status == "TIMED-OUT"
    assert say(row, SubmissionStatus.APPROVED, 9).status == "APPROVED"
    assert say(row, SubmissionStatus.RETURNED, 10).status == "APPROVED"
    assert PanelSubmission.objects.count() == 1


def test_at_one_moment_the_later_word_counts() -> None:
    row = make_recruitment()
    say(row, SubmissionStatus.AWAITING_REVIEW, 1)
    assert say(row, SubmissionStatus.ACTIVE, 1).status == "AWAITING REVIEW"
    assert say(row, SubmissionStatus.APPROVED, 1).status == "APPROVED"


@pytest.mark.parametrize("status", [SubmissionStatus.RETURNED, SubmissionStatus.TIMED_OUT])
def test_a_place_given_back_frees_the_task_and_keeps_the_answers(status) -> None:
    row = make_recruitment()
    participation = rater_arrive(study=row.study, channel=Channel.PROLIFIC, external_id="rater")
    submission_record(recruitment=row, submission_id="visit", participation=participation)
    consent_give(participation=participation)
    instructions_confirm(participation=participation)
    first = assignment_lease(participation=participation)
    assert first is not None
    rate_task(first, "absent")
    held = assignment_lease(participation=participation)
    assert held is not None
    ratings = Rating.objects.count()
    say(row, status, 1)
    participation.refresh_from_db()
    assert participation.outcome == Outcome.RETURNED
    assert Assignment.objects.get(pk=held.pk).status == AssignmentStatus.RETURNED
    assert Rating.objects.count() == ratings
    assert Assignment.objects.filter(status=AssignmentStatus.SUBMITTED).count() == 1


def test_a_word_before_the_arrival_takes_effect_at_the_arrival() -> None:
    row = make_recruitment()
    say(row, SubmissionStatus.RETURNED, 1)
    participation = rater_arrive(study=row.study, channel=Channel.PROLIFIC, external_id="rater")
    submission_record(recruitment=row, submission_id="visit", participation=participation)
    participation.refresh_from_db()
    assert participation.outcome == Outcome.RETURNED


def test_arriving_again_is_the_same_visit() -> None:
    row = make_recruitment()
    participation = rater_arrive(study=row.study, channel=Channel.PROLIFIC, external_id="rater")
    made = {
        submission_record(recruitment=row, submission_id="visit", participation=participation).pk
        for _ in range(3)
    }
    assert len(made) == 1
    assert PanelSubmission.objects.get().status_at is None  # the panel has said nothing yet
    other = rater_arrive(study=row.study, channel=Channel.PROLIFIC, external_id="other")
    with pytest.raises(InvalidInput, match="another rater"):
        submission_record(recruitment=row, submission_id="visit", participation=other)


def test_an_early_word_counts_more_than_the_arrival() -> None:
    """Our clock may be ahead of the panel's."""
    row = make_recruitment()
    participation = rater_arrive(study=row.study, channel=Channel.PROLIFIC, external_id="rater")
    submission_record(recruitment=row, submission_id="visit", participation=participation)
    assert say(row, SubmissionStatus.RETURNED, -100_000).status == "RETURNED"


def test_a_second_visit_is_not_ended_by_the_first() -> None:
    row = make_recruitment()
    participation = rater_arrive(study=row.study, channel=Channel.PROLIFIC, external_id="rater")
    submission_record(recruitment=row, submission_id="visit", participation=participation)
    submission_record(recruitment=row, submission_id="visit-2", participation=participation)
    say(row, SubmissionStatus.TIMED_OUT, 1)
    participation.refresh_from_db()
    assert participation.outcome == ""


def test_disagreement_is_for_a_person(server) -> None:
    row = make_published(server)
    submission = server.fake.place_take(row.panel_study_id)
    participation = arrive(row, submission)
    complete(row, participation)
    server.fake.submission_move(submission.id, "TIMED-OUT")
    for _ in range(2):
        submissions_reconcile(recruitment=row)
    review = Review.objects.get()
    assert review.reason == ReviewReason.CODE_MISMATCH
    assert "timed out at the panel" in review.details["text"]
    participation.refresh_from_db()
    assert participation.outcome == Outcome.COMPLETED  # our record stays what it is


def test_a_decided_disagreement_is_not_asked_again(server) -> None:
    row = make_published(server)
    submission = server.fake.place_take(row.panel_study_id)
    participation = arrive(row, submission)
    complete(row, participation)
    server.fake.submission_move(submission.id, "TIMED-OUT")
    submissions_reconcile(recruitment=row)
    Review.objects.update(decision="keep", decided_at=timezone.now(), decided_by=row.study.owner)
    submissions_reconcile(recruitment=row)
    assert Review.objects.count() == 1


def test_another_code_than_ours_is_seen(server) -> None:
    row = make_published(server)
    submission = server.fake.place_take(row.panel_study_id)
    complete(row, arrive(row, submission))
    server.fake.submission_move(submission.id, "AWAITING REVIEW", "NOCODE")
    submissions_reconcile(recruitment=row)
    shown = submission_row(submission_rows(row).get())
    assert "another code" in shown.disagreement
    assert shown.may_approve
    assert Review.objects.count() == 1


def test_handed_in_there_but_not_here_is_seen(server) -> None:
    row = make_published(server)
    submission = server.fake.place_take(row.panel_study_id)
    arrive(row, submission)
    server.fake.submission_move(submission.id, "AWAITING REVIEW", "STOLEN")
    submissions_reconcile(recruitment=row)
    shown = submission_row(submission_rows(row).get())
    assert "not finished here" in shown.disagreement
    assert not shown.may_approve


def test_the_submission_of_a_deleted_rater_is_not_said_to_be_of_nobody(server) -> None:
    row = make_published(server)
    submission = server.fake.place_take(row.panel_study_id)
    participation = arrive(row, submission)
    code = complete(row, participation)
    server.fake.submission_move(submission.id, "AWAITING REVIEW", code)
    submissions_reconcile(recruitment=row)
    rater_delete(rater=participation.rater, actor=row.study.owner)
    submissions_reconcile(recruitment=row)
    shown = submission_row(row.submissions.get())
    assert shown.ours == "not here"
    assert "the rater's data was deleted" in shown.disagreement
    assert not shown.may_approve


def test_those_that_wait_for_a_person_come_first(server) -> None:
    row = make_published(server)
    waits, later = (server.fake.place_take(row.panel_study_id) for _ in range(2))
    for submission in (waits, later):
        complete(row, arrive(row, submission))
    server.fake.submission_move(waits.id, "AWAITING REVIEW")
    submissions_reconcile(recruitment=row)
    assert [one.submission_id for one in submission_rows(row)] == [waits.id, later.id]


def test_polling_repairs_what_no_webhook_said(server) -> None:
    row = make_published(server, places=5)
    done, gone, never = (server.fake.place_take(row.panel_study_id) for _ in range(3))
    code = complete(row, arrive(row, done))
    leaving = arrive(row, gone)
    held = assignment_lease(participation=leaving)
    assert held is not None
    server.fake.submission_move(done.id, "AWAITING REVIEW", code)
    server.fake.submission_move(gone.id, "RETURNED")
    assert submissions_reconcile(recruitment=row) == 3
    assert submissions_reconcile(recruitment=row) == 0
    assert submission_counts(row) == {"ACTIVE": 1, "AWAITING REVIEW": 1, "RETURNED": 1}
    assert not Review.objects.exists()
    held.refresh_from_db()
    assert held.status == AssignmentStatus.RETURNED
    assert row.submissions.get(submission_id=never.id).participation is None
    assert row.reconciled_at is not None


def test_polling_finds_the_rater_whose_visit_was_not_recorded(server) -> None:
    row = make_published(server)
    submission = server.fake.place_take(row.panel_study_id)
    participation = rater_arrive(
        study=row.study, channel=Channel.PROLIFIC, external_id=submission.participant
    )
    submissions_reconcile(recruitment=row)
    assert row.submissions.get().participation == participation


def test_approved_is_what_the_panel_says(server) -> None:
    row = make_published(server)
    submission = server.fake.place_take(row.panel_study_id)
    code = complete(row, arrive(row, submission))
    server.fake.submission_move(submission.id, "AWAITING REVIEW", code)
    submissions_reconcile(recruitment=row)
    assert not LedgerEntry.objects.filter(kind=LedgerKind.REWARD).exists()
    server.fake.approve([submission.id])
    for _ in range(3):
        submissions_reconcile(recruitment=row)
    assert LedgerEntry.objects.filter(kind=LedgerKind.REWARD).count() == 1
    assert row.submissions.get().status == "APPROVED"


def test_a_panel_that_is_down_changes_nothing(server, monkeypatch) -> None:
    monkeypatch.setattr("annotation.recruitment.prolific.FIRST_WAIT_SECONDS", 0.001)
    row = make_published(server)
    server.fake.place_take(row.panel_study_id)
    server.fail("GET", 500, times=99)
    with pytest.raises(PanelUnreachable):
        submissions_reconcile(recruitment=row)
    assert not row.submissions.exists()


def test_the_sweeper_asks_who_is_due(server, monkeypatch) -> None:
    monkeypatch.setattr("annotation.recruitment.prolific.FIRST_WAIT_SECONDS", 0.001)
    row = make_published(server)
    server.fake.place_take(row.panel_study_id)
    make_recruitment()  # not at the panel
    assert submissions_reconcile_due() == 1
    n_asked = server.count("GET")
    assert submissions_reconcile_due() == 0  # asked just now
    assert server.count("GET") == n_asked
    server.fail("GET", 500, times=99)
    row.refresh_from_db()
    later = row.reconciled_at + timedelta(hours=1)
    assert submissions_reconcile_due(now=later) == 0  # logged, and no other study is held up


def test_ids_of_raters_are_kept_as_hashes(server) -> None:
    row = make_published(server)
    submission = server.fake.place_take(row.panel_study_id)
    participation = arrive(row, submission)
    assert participation.rater.external_id_hash == external_id_hash(
        channel=Channel.PROLIFIC, external_id=submission.participant
    )
    submissions_reconcile(recruitment=row)
    stored = [str(value) for value in PanelSubmission.objects.values_list().get()]
    assert submission.participant not in "".join(stored)
