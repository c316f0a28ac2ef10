"""Exclusions, the review queue, the rules, deletions: what the database holds afterwards."""

import itertools
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotation.exceptions import InvalidInput, ParticipationOver, PolicyRefused, StudyStateError
from annotation.models import (
    Assignment,
    Channel,
    EstimateRun,
    Exclusion,
    IdempotencyKey,
    LedgerEntry,
    PanelEvent,
    Participation,
    Rater,
    RaterDeletion,
    Rating,
    RatingRevision,
    Recruitment,
    Review,
    Study,
    StudyEvent,
)
from annotation.queries.journey import tasks_done
from annotation.services.assignments import (
    assignment_lease,
    assignment_return,
    assignment_submit,
    leases_expire,
)
from annotation.services.decisions import review_decide
from annotation.services.deletions import rater_delete, rater_find
from annotation.services.exclusions import exclusion_lift, exclusion_make
from annotation.services.quality import quality_policy_set
from annotation.services.raters import participation_complete
from annotation.services.reviews import review_open, review_report, reviews_check
from annotation.services.scoring import counted_ratings
from annotation.services.studies import study_launch
from tests.annotation.factories import make_participation, make_study, make_user, rate_task
from tests.annotation.factories_quality import (
    make_gold_study,
    rate_tasks,
    set_policy,
    wrong,
)

pytestmark = pytest.mark.django_db


def one_task_study(**fields: object) -> Study:
    return make_study(
        **{"n_inputs": 12, "n_neurons": 1, "n_concepts": 1, "redundancy": 1, **fields},
        items_per_task=100,
    )


def rated(study: Study) -> Participation:
    participation = make_participation(study)
    assert rate_tasks(participation, "present") == 1
    return participation


def exclude(participation: Participation, **fields: object) -> Exclusion:
    return exclusion_make(
        participation=participation,
        actor=participation.study.owner,
        **{"reason": "reported", **fields},
    )


# --- exclusions --------------------------------------------------------------------------------


def test_an_exclusion_frees_the_slots_at_once(queued_tasks) -> None:
    study = one_task_study()
    participation = rated(study)
    assert assignment_lease(participation=make_participation(study)) is None
    exclusion = exclude(participation, note=" Guessed. ")
    assert (exclusion.note, exclusion.excluded_by) == ("Guessed.", study.owner)
    assert Assignment.objects.get(participation=participation).status == "excluded"
    assert counted_ratings(study) == []
    refill = assignment_lease(participation=make_participation(study))
    assert refill is not None
    assert refill.slot == 0
    event = StudyEvent.objects.get(action="rater excluded")
    assert event.details["n_tasks"] == 1
    assert Rating.objects.filter(assignment__participation=participation).exists()


def test_excluding_twice_is_one_exclusion() -> None:
    participation = rated(one_task_study())
    assert exclude(participation) == exclude(participation, reason="gold")
    assert StudyEvent.objects.filter(action="rater excluded").count() == 1


def test_an_exclusion_asks_for_the_estimates_anew(
    queued_tasks, django_capture_on_commit_callbacks
) -> None:
    study = one_task_study()
    participation = rated(study)
    EstimateRun.objects.create(
        study=study, aggregation="hierarchical", status="finished", finished_at=timezone.now()
    )
    with django_capture_on_commit_callbacks(execute=True):
        exclude(participation)
    waiting = EstimateRun.objects.filter(status="queued").values_list("aggregation", flat=True)
    assert set(waiting) == {"bragg", "hierarchical"}


def test_who_is_excluded_gets_no_further_task_but_their_code() -> None:
    study = make_study(redundancy=1)
    participation = rated(study)
    exclude(participation)
    assert assignment_lease(participation=participation) is None
    assert tasks_done(participation) == 1
    assert participation_complete(participation=participation, nothing_left=True).completion_code


def test_a_task_that_is_held_is_excluded_with_its_submit() -> None:
    study = one_task_study()
    participation = make_participation(study)
    held = assignment_lease(participation=participation)
    exclude(participation)
    assert rate_task(held, "present").status == "excluded"
    assert assignment_submit(assignment=held).status == "excluded"
    assert counted_ratings(study) == []
    assert assignment_lease(participation=make_participation(study)) is not None


def test_an_expired_task_of_an_excluded_rater_takes_no_slot() -> None:
    study = one_task_study()
    participation = make_participation(study)
    held = assignment_lease(participation=participation)
    leases_expire(now=timezone.now() + timedelta(days=1))
    exclude(participation)
    late = rate_task(held, "present")
    assert (late.status, late.late_at is not None) == ("expired", True)


def test_lifting_brings_back_what_has_a_free_slot(queued_tasks) -> None:
    study = one_task_study(redundancy=2)
    first, second = rated(study), rated(study)
    exclude(first)
    exclude(second)
    rated(study)
    lifted = exclusion_lift(participation=first, actor=study.owner)
    assert (lifted.n_back, lifted.n_left_out) == (1, 0)
    lifted = exclusion_lift(participation=second, actor=study.owner)
    assert (lifted.n_back, lifted.n_left_out) == (0, 1)
    statuses = Assignment.objects.order_by("pk").values_list("status", flat=True)
    assert list(statuses) == ["submitted", "excluded", "submitted"]
    assert not Exclusion.objects.filter(lifted_at__isnull=True).exists()
    back = Assignment.objects.get(participation=first)
    assert back.submitted_at is not None
    assert len(counted_ratings(study)) == 2 * study.items.count()


def test_lifting_needs_an_exclusion() -> None:
    participation = rated(one_task_study())
    with pytest.raises(InvalidInput, match="not excluded"):
        exclusion_lift(participation=participation, actor=participation.study.owner)


@pytest.mark.parametrize(
    ("fields", "words"), [({"reason": "dislike"}, "none of"), ({"note": "x" * 501}, "501")]
)
def test_what_is_no_reason_is_refused(fields: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        exclude(rated(one_task_study()), **fields)


def test_a_returned_task_stays_returned() -> None:
    study = one_task_study()
    participation = make_participation(study)
    assignment_return(assignment=assignment_lease(participation=participation))
    exclude(participation)
    exclusion_lift(participation=participation, actor=study.owner)
    assert Assignment.objects.get().status == "returned"


# --- reviews -----------------------------------------------------------------------------------


def test_a_wrong_rater_goes_to_review_by_gold(django_capture_on_commit_callbacks) -> None:
    study = make_gold_study(gold_per_task=2)
    set_policy(study, gold_minimum_accuracy=0.6, gold_minimum_answers=4, minimum_response_ms=0)
    participation = make_participation(study)
    with django_capture_on_commit_callbacks(execute=True):
        rate_tasks(participation, wrong(study))
    assert not Review.objects.exists()  # two answers are too few to judge by
    with django_capture_on_commit_callbacks(execute=True):
        rate_tasks(participation, wrong(study))
    review = Review.objects.get()
    assert (review.participation, review.reason) == (participation, "gold")
    assert review.details == {"n": 4, "n_right": 0, "minimum": 0.6}
    assert Assignment.objects.filter(status="submitted").count() == 2  # nothing is excluded


def test_speed_and_straight_lines_go_to_review() -> None:
    study = make_study(items_per_task=8)
    set_policy(study, straight_line_items=10, minimum_response_ms=300)
    participation = make_participation(study)
    rate_tasks(participation, "absent", 2)
    Rating.objects.update(response_ms=299)
    reviews = {
        review.reason: review.details for review in reviews_check(participation=participation)
    }
    n = Rating.objects.count()
    assert reviews == {
        "speed": {"n": n, "median_ms": 299.0, "minimum_ms": 300},
        "straight_line": {"n": n, "value": "absent", "limit": 10},
    }


def test_a_careful_rater_is_left_alone() -> None:
    study = make_gold_study()
    set_policy(study, gold_minimum_accuracy=0.9, gold_minimum_answers=2, straight_line_items=500)
    participation = make_participation(study)
    from tests.annotation.factories import truthful

    rate_tasks(participation, truthful(study), 3)
    Rating.objects.update(response_ms=900)
    assert reviews_check(participation=participation) == []


def test_looking_at_a_rater_costs_a_constant_number_of_queries(django_assert_num_queries) -> None:
    study = make_gold_study()
    participation = make_participation(study)
    rate_tasks(participation, "absent", 1)
    with django_assert_num_queries(2):
        reviews_check(participation=participation)
    rate_tasks(participation, "absent", 3)
    with django_assert_num_queries(2):
        reviews_check(participation=participation)


def test_one_open_review_a_reason_with_the_numbers_of_today() -> None:
    participation = rated(one_task_study())
    first = review_open(participation=participation, reason="gold", details={"n": 4})
    again = review_open(participation=participation, reason="gold", details={"n": 6})
    assert again.pk == first.pk
    assert Review.objects.get().details == {"n": 6}


def test_after_a_decision_it_takes_twice_the_evidence() -> None:
    participation = rated(one_task_study())
    actor = participation.study.owner
    review = review_open(participation=participation, reason="gold", details={"n": 4})
    review_decide(review=review, decision="keep", actor=actor)
    assert review_open(participation=participation, reason="gold", details={"n": 7}) is None
    again = review_open(participation=participation, reason="gold", details={"n": 8})
    assert again.pk != review.pk


def test_a_decision_is_recorded_and_repeated_without_harm() -> None:
    participation = rated(one_task_study())
    actor = participation.study.owner
    review = review_report(participation=participation, actor=actor, note="Asked for it.")
    decided = review_decide(review=review, decision="exclude", actor=actor, note="Agreed.")
    assert (decided.decided_by, decided.note) == (actor, "Agreed.")
    assert Exclusion.objects.get().reason == "reported"
    review_decide(review=review, decision="exclude", actor=actor)
    assert Exclusion.objects.count() == 1
    with pytest.raises(InvalidInput, match="decided already"):
        review_decide(review=review, decision="keep", actor=actor)
    with pytest.raises(InvalidInput, match="none of keep, exclude"):
        review_decide(review=review, decision="perhaps", actor=actor)
    assert StudyEvent.objects.filter(action="review decided").count() == 1


def test_an_exclusion_decides_all_that_waits() -> None:
    participation = rated(one_task_study())
    for reason in ("gold", "speed"):
        review_open(participation=participation, reason=reason, details={"n": 4})
    exclude(participation)
    assert set(Review.objects.values_list("decision", "decided_by")) == {
        ("exclude", participation.study.owner.pk)
    }


def test_keeping_changes_nothing() -> None:
    participation = rated(one_task_study())
    review = review_open(participation=participation, reason="gold", details={"n": 4})
    review_decide(review=review, decision="keep", actor=participation.study.owner)
    assert Assignment.objects.get().status == "submitted"
    assert not Exclusion.objects.exists()


def test_a_report_needs_a_note() -> None:
    participation = rated(one_task_study())
    with pytest.raises(InvalidInput, match="empty"):
        review_report(participation=participation, actor=participation.study.owner, note="  ")


# --- the rules ---------------------------------------------------------------------------------


def test_rules_are_set_and_logged() -> None:
    study = make_study(launched=False)
    policy = quality_policy_set(study=study, actor=study.owner, gold_per_task=2, tasks_per_rater=5)
    assert (policy.gold_per_task, policy.tasks_per_rater) == (2, 5)
    event = StudyEvent.objects.get(action="quality policy changed")
    assert event.details == {"gold_per_task": [0, 2], "tasks_per_rater": [None, 5]}
    quality_policy_set(study=study, actor=study.owner, gold_per_task=2)
    assert StudyEvent.objects.filter(action="quality policy changed").count() == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"golden": 1}, "golden: a quality policy has no such field"),
        ({"id": 3}, "id: a quality policy has no such field"),
        ({"gold_exposure_cap": 0}, "gold_exposure_cap: 0 is too few; give at least 1"),
        ({"items_per_concept": 3}, "items_per_concept: 3 is less than the 15"),
        ({"attention_checks": 1}, "attention_failures: 2 of 1"),
        ({"attention_checks": 3, "tasks_per_rater": 2}, "do not fit between 2 tasks"),
        ({"gold_minimum_accuracy": 1.5}, "gold_minimum_accuracy"),
        ({"attention_checks": 2, "attention_failures": 1}, "attention_failures: 1 is too few"),
        ({"training_items": 2, "training_pass_mark": 3}, "3 of 2 training"),
        ({"tasks_per_rater": 0}, "tasks_per_rater: 0 is too few"),
    ],
)
def test_rules_that_make_no_sense_are_refused(fields: dict[str, object], words: str) -> None:
    study = make_study(launched=False)
    with pytest.raises(PolicyRefused, match=words):
        quality_policy_set(study=study, actor=study.owner, **fields)
    assert not StudyEvent.objects.filter(action="quality policy changed").exists()


def test_after_the_launch_only_what_is_safe_changes() -> None:
    study = make_study()
    quality_policy_set(study=study, actor=study.owner, straight_line_items=20)
    with pytest.raises(StudyStateError, match="gold_per_task"):
        quality_policy_set(study=study, actor=study.owner, gold_per_task=2)


@pytest.mark.parametrize(("minutes", "refused"), [(4, True), (5, False)])
def test_panels_allow_attention_checks_from_five_minutes(minutes: int, refused: bool) -> None:
    study = make_study(launched=False)
    set_policy(study, attention_checks=2)
    Recruitment.objects.create(study=study, channel=Channel.PROLIFIC, estimated_minutes=minutes)
    if refused:
        with pytest.raises(PolicyRefused, match="attention_checks: Prolific allows none"):
            study_launch(study=study, actor=study.owner)
    else:
        study_launch(study=study, actor=study.owner)


# --- deletions ---------------------------------------------------------------------------------


@pytest.fixture
def somebody(client) -> Participation:
    """A rater with everything that one can leave behind, in two studies."""
    study, other = one_task_study(), one_task_study()
    participation = make_participation(study, "somebody")
    assignment = assignment_lease(participation=participation)
    item = assignment.task.items.first()
    from annotation.services.ratings import ratings_save

    ratings_save(assignment=assignment, values={item.public_id: "absent"})
    rate_task(assignment, "present")
    rate_tasks(make_participation(other, "somebody"), "absent")
    review_report(participation=participation, actor=study.owner, note="Look.")
    session = client.session
    session["participations"] = {study.slug: str(participation.public_id)}
    session.save()
    return participation


def test_all_that_a_rater_gave_is_deleted_and_that_it_was_is_recorded(
    somebody: Participation, client
) -> None:
    rater, study = somebody.rater, somebody.study
    stranger = make_participation(study)
    n_ratings = Rating.objects.filter(rater=rater).count()
    assert RatingRevision.objects.exists()
    record = rater_delete(rater=rater, actor=study.owner, note="By e-mail.")
    assert (record.rater_public_id, record.n_ratings, len(record.studies), record.note) == (
        rater.public_id,
        n_ratings,
        2,
        "By e-mail.",
    )
    for model in (Rating, RatingRevision, Assignment, Review):
        assert not model.objects.exists()
    assert list(Participation.objects.all()) == [stranger]
    assert StudyEvent.objects.filter(action="rater deleted").count() == 2
    assert "participations" not in client.session
    # the slot is free at once
    assert assignment_lease(participation=stranger) is not None
    with pytest.raises(InvalidInput, match="no such rater"):
        rater_delete(rater=Rater(pk=rater.pk), actor=study.owner)


def test_what_was_paid_stays_without_the_rater(somebody: Participation) -> None:
    entry = LedgerEntry.objects.create(
        study=somebody.study,
        participation=somebody,
        kind="reward",
        amount_minor=100,
        currency="GBP",
        key="reward 1",
    )
    rater_delete(rater=somebody.rater, actor=somebody.study.owner)
    entry.refresh_from_db()
    assert (entry.participation, entry.amount_minor) == (None, 100)


def test_somebody_elses_session_stays(somebody: Participation, client) -> None:
    other = make_participation(somebody.study)
    rater_delete(rater=other.rater, actor=somebody.study.owner)
    assert client.session["participations"]


def test_a_rater_is_found_by_the_start_of_the_id(somebody: Participation) -> None:
    public_id = str(somebody.rater.public_id)
    assert rater_find(pseudonym=public_id[:8]) == somebody.rater
    assert rater_find(pseudonym=public_id.upper()) == somebody.rater
    for wrong_id, words in ((public_id[:7], "at least its 8"), ("zzzzzzzz", "no id")):
        with pytest.raises(InvalidInput, match=words):
            rater_find(pseudonym=wrong_id)
    with pytest.raises(InvalidInput, match="no rater"):
        rater_find(pseudonym="0" * 12)


def test_the_command_says_first_and_deletes_with_yes(somebody: Participation, capsys) -> None:
    name, actor = str(somebody.rater.public_id)[:8], make_user("officer").username
    call_command("delete_rater", name, "--actor", actor)
    assert "Would delete" in capsys.readouterr().out
    assert Rater.objects.filter(pk=somebody.rater_id).exists()
    call_command("delete_rater", name, "--actor", actor, "--yes")
    assert RaterDeletion.objects.get().deleted_by.username == "officer"
    with pytest.raises(CommandError, match="no rater"):
        call_command("delete_rater", name, "--actor", actor, "--yes")
    with pytest.raises(CommandError, match="no active user"):
        call_command("delete_rater", name, "--actor", "nobody")


# --- allocation --------------------------------------------------------------------------------


def test_a_rater_gets_no_more_tasks_than_make_a_participation() -> None:
    study = make_study(items_per_task=5)
    set_policy(study, tasks_per_rater=2)
    participation = make_participation(study)
    assert rate_tasks(participation, "absent", 5) == 2
    participation_complete(participation=participation)
    with pytest.raises(ParticipationOver):
        assignment_lease(participation=participation)


def test_a_rater_stays_with_a_concept_where_the_policy_says_so() -> None:
    def concepts(*, bundle: bool) -> list[int]:
        study = make_study(items_per_task=5, n_concepts=3, n_neurons=3)
        set_policy(study, bundle_concepts=bundle)
        participation = make_participation(study)
        seen = []
        while (assignment := assignment_lease(participation=participation)) is not None:
            seen.append(assignment.task.concept_id)
            rate_task(assignment, "absent")
        return seen

    def changes(seen: list[int]) -> int:
        return sum(a != b for a, b in itertools.pairwise(seen))

    assert changes(concepts(bundle=True)) == 2
    assert changes(concepts(bundle=False)) > 2


def test_items_of_one_concept_are_limited_gold_left_out() -> None:
    study = make_gold_study(items_per_task=5, gold_per_task=2)
    set_policy(study, items_per_concept=10)
    participation = make_participation(study)
    rate_tasks(participation, "absent", 100)
    rows = Rating.objects.filter(item__gold_value="").values_list("item__concept", flat=True)
    counts = [list(rows).count(concept) for concept in set(rows)]
    sizes = [study.items.filter(concept=concept, gold_value="").count() for concept in set(rows)]
    assert max(counts) <= 10 < max(sizes)
    assert min(counts) > 5


def test_no_rater_meets_a_gold_item_twice_while_it_can_be_avoided() -> None:
    study = make_gold_study(n_each=2, gold_per_task=2, n_concepts=3, n_neurons=3)
    participation = make_participation(study)
    rate_tasks(participation, "absent", 6)  # two tasks of each of three concepts
    met = list(
        Rating.objects.exclude(item__gold_value="").values_list(
            "item__concept", "item__probe_input"
        )
    )
    assert len(met) == 12
    assert len(set(met)) == 12


def test_no_event_and_no_reply_names_a_deleted_rater(somebody: Participation) -> None:
    actor = somebody.study.owner
    for number, digest in enumerate((somebody.rater.external_id_hash, "other")):
        PanelEvent.objects.create(
            event_id=f"e{number}",
            event_type="submission.status.change",
            payload={"resource_id": "visit", "participant_hash": digest},
            occurred_at=timezone.now(),
        )
    for key, named in (("mine", somebody.public_id), ("other", make_user().pk)):
        IdempotencyKey.objects.create(
            user=actor, key=key, fingerprint="f", status=200, reply={"rows": [{"id": str(named)}]}
        )
    rater_delete(rater=somebody.rater, actor=actor)
    assert PanelEvent.objects.get(event_id="e0").payload == {"resource_id": "visit"}
    assert PanelEvent.objects.get(event_id="e1").payload["participant_hash"] == "other"
    assert list(IdempotencyKey.objects.values_list("key", flat=True)) == ["other"]


def test_a_rater_who_arrives_while_being_deleted_is_told(
    somebody: Participation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another study's participation is made after the look at those that there are."""
    elsewhere = make_study()

    def arrives(**_: object) -> None:
        Participation.objects.get_or_create(study=elsewhere, rater=somebody.rater)

    monkeypatch.setattr("annotation.services.deletions.study_event_record", arrives)
    with pytest.raises(InvalidInput, match="try once more"):
        rater_delete(rater=somebody.rater, actor=elsewhere.owner)
    assert Rating.objects.filter(rater=somebody.rater).exists()
