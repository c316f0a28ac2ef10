"""Estimate runs: right numbers, one waiting at a time, and nothing lost when one fails."""

import csv
import io
import math
from datetime import timedelta
from functools import partial

import numpy as np
import pytest
from django.db.models import Count
from django.utils import timezone
from django_tasks import TaskResultStatus, default_task_backend

import estimation.aggregation
from annotation import science
from annotation.exceptions import InvalidInput, RunOver
from annotation.exports import RATING_COLUMNS, csv_lines, rating_rows
from annotation.models import (
    Aggregation,
    AssignmentStatus,
    ConceptMatrixRole,
    EstimateRun,
    Estimator,
    Rating,
    RunStatus,
    Study,
)
from annotation.services import estimates, scoring
from annotation.services.assignments import assignment_lease
from annotation.services.datasets import concept_matrix_register
from annotation.services.estimates import (
    QUEUE_LIMIT,
    RUN_LIMIT,
    estimate_cancel,
    estimate_request,
    estimate_run,
    runs_reap,
    runs_requeue,
)
from annotation.services.studies import NewExplanation, explanations_add, study_launch
from annotation.tasks import estimate_run_task
from estimation.combined import combined_correlation
from estimation.correlation import importance_weighted_correlation
from estimation.model_correlation import model_assisted_correlation
from estimation.sampling import draw_model_guided
from tests.annotation.factories import make_participation, make_study, rate_study, rate_task

pytestmark = pytest.mark.django_db


def run_now(study: Study, aggregation: str = "bragg", *, live: bool = True) -> EstimateRun:
    """Live runs leave the sanity checks, and with them torch, out."""
    run = estimate_request(study=study, aggregation=aggregation, enqueue=False, live=live)
    return estimate_run(run=run)


def exported(study: Study) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(csv_lines(RATING_COLUMNS, rating_rows(study))))))


# --- numbers --------------------------------------------------------------------------------------


def test_the_export_recomputes_the_majority_estimate() -> None:
    study = make_study(n_neurons=3, redundancy=3)
    rate_study(study)
    run = run_now(study, "majority")
    assert run.status == RunStatus.FINISHED
    rows = exported(study)
    assert run.n_ratings == len(rows) == Rating.objects.count()
    for estimate in run.estimates.select_related("explanation__neuron__activations"):
        neuron = estimate.explanation.neuron
        a = np.load(neuron.activations.absolute_path)[:, neuron.unit].astype(np.float64)
        text = estimate.explanation.concepts.get().text
        votes: dict[int, list[bool]] = {}
        weight = {}
        for row in rows:
            if row["concept"] == text and row["counted"] == "true":
                index = int(row["input_index"])
                votes.setdefault(index, []).append(row["value"] == "present")
                weight[index] = int(row["n_draws"]) / float(row["draw_probability"])
        indices = np.array(sorted(votes))
        c = np.array([np.mean(votes[i]) > 0.5 for i in indices], dtype=np.float64)
        w = np.array([weight[i] for i in indices])
        expected = np.cov(a[indices], c, aweights=w, ddof=0)
        correlation = expected[0, 1] / math.sqrt(expected[0, 0] * expected[1, 1])
        assert estimate.score == pytest.approx(correlation, abs=1e-9)
        assert estimate.n_inputs_rated == len(indices)
        assert estimate.lower < estimate.score < estimate.upper


def test_the_reference_score_is_plain_pearson_over_all_inputs() -> None:
    study = make_study()
    rate_study(study, max_tasks=4)
    labels = np.load(study.reference.absolute_path)
    for estimate in run_now(study).estimates.all():
        neuron = estimate.explanation.neuron
        a = np.load(neuron.activations.absolute_path)[:, neuron.unit]
        column = int(estimate.explanation.concepts.get().text.split()[-1])
        expected = np.corrcoef(a, labels[:, column])[0, 1]
        assert estimate.reference_score == pytest.approx(expected, abs=1e-6)


def test_the_good_method_leads_and_the_bad_one_trails() -> None:
    study = make_study(n_inputs=120, n_neurons=6, n_concepts=3, inputs_per_pair=40)
    rate_study(study)
    run = run_now(study)
    board = list(run.method_estimates.order_by("rank").select_related("method"))
    assert [row.method.name for row in board] == ["Good", "Bad"]
    assert board[0].lower > board[1].upper
    assert board[0].probability_best > 0.99
    scores = {row.explanation_id: row.reference_score for row in run.estimates.all()}
    for row in board:
        own = study.explanations.filter(method=row.method).values_list("pk", flat=True)
        assert row.n_neurons == 6
        assert row.reference_mean == pytest.approx(np.mean([scores[pk] for pk in own]))


def test_no_reference_no_reference_score() -> None:
    study = make_study(with_reference=False)
    rate_study(study, "present", max_tasks=2)
    rate_study(study, "absent", max_tasks=2)
    run = run_now(study, "majority")
    assert not run.estimates.exclude(reference_score=None).exists()
    assert not run.method_estimates.exclude(reference_mean=None).exists()


def test_a_linear_explanation_is_scored_from_the_samples_of_its_concepts() -> None:
    study = make_study(n_inputs=150, inputs_per_pair=80, launched=False)
    matrix = study.explanations.first().neuron.activations
    explanations_add(
        study=study,
        method="Linear",
        explanations=[NewExplanation(matrix, 0, {"concept 0": 1.0, "concept 1": 0.5}, bias=3.0)],
    )
    study_launch(study=study, actor=study.owner)
    rate_study(study)
    run = run_now(study, "majority")
    estimate = run.estimates.get(explanation__method__name="Linear")
    labels = np.load(study.reference.absolute_path)
    a = np.load(matrix.absolute_path)[:, 0]
    expected = np.corrcoef(a, labels[:, 0] + 0.5 * labels[:, 1])[0, 1]
    assert estimate.reference_score == pytest.approx(expected, abs=1e-6)
    assert abs(estimate.score - expected) < 4 * estimate.standard_error


def test_a_negative_weight_turns_the_score_around() -> None:
    study = make_study(launched=False)
    matrix = study.explanations.first().neuron.activations
    explanations_add(
        study=study,
        method="Opposite",
        explanations=[NewExplanation(matrix, 0, {"concept 0": -1.0})],
    )
    study_launch(study=study, actor=study.owner)
    rate_study(study)
    run = run_now(study, "majority")
    opposite = run.estimates.get(explanation__method__name="Opposite")
    good = run.estimates.get(explanation__method__name="Good", explanation__neuron__unit=0)
    assert opposite.reference_score == pytest.approx(-good.reference_score)
    assert opposite.score == pytest.approx(-good.score, abs=0.1)


def test_cannot_tell_carries_no_vote() -> None:
    study = make_study(redundancy=3)
    rate_study(study)
    before = run_now(study)
    # a fourth rater who cannot tell changes nothing
    Study.objects.filter(pk=study.pk).update(redundancy=4)
    study.refresh_from_db()
    rate_study(study, "cannot_tell")
    after = run_now(study)
    assert after.n_ratings > before.n_ratings
    assert after.diagnostics["n_cannot_tell"] == after.n_ratings - before.n_ratings
    assert list(after.estimates.values_list("explanation", "score", "lower", "upper")) == list(
        before.estimates.values_list("explanation", "score", "lower", "upper")
    )


def test_only_submitted_assignments_count() -> None:
    study = make_study(redundancy=1)
    rate_study(study)
    before = run_now(study)
    Study.objects.filter(pk=study.pk).update(redundancy=2)
    late = assignment_lease(participation=make_participation(study))
    assert late is not None
    rate_task(late, "present")
    type(late).objects.filter(pk=late.pk).update(
        status=AssignmentStatus.EXPIRED, submitted_at=None, late_at=timezone.now()
    )
    after = run_now(study)
    assert after.n_ratings == before.n_ratings < Rating.objects.count()


# --- what cannot be scored ------------------------------------------------------------------------


def test_explanations_without_ratings_wait_and_get_no_number() -> None:
    study = make_study(n_neurons=2, n_concepts=2, items_per_task=100)
    empty = run_now(study)
    assert empty.status == RunStatus.FINISHED
    assert (empty.n_ratings, empty.diagnostics["n_waiting"]) == (0, 4)
    assert not empty.estimates.exists()
    assert not empty.method_estimates.exists()
    first = assignment_lease(participation=make_participation(study))
    assert first is not None
    rate_study(study, max_tasks=0)
    items = first.task.items.select_related("probe_input")
    half = {item.pk for item in items[::2]}
    rate_task(first, lambda item: "present" if item.pk in half else "absent")
    run = run_now(study)
    rated = study.explanations.filter(concepts=first.task.concept)
    assert run.diagnostics["n_waiting"] == 4 - rated.count() == 2
    assert set(run.estimates.values_list("explanation", flat=True)) == set(
        rated.values_list("pk", flat=True)
    )


def test_a_concept_that_nobody_found_has_no_score_and_the_reason() -> None:
    study = make_study()
    rate_study(study, "absent")
    run = run_now(study, "majority")
    assert run.status == RunStatus.FINISHED
    assert not run.estimates.exists()
    undefined = run.diagnostics["undefined"]
    assert {entry["explanation"] for entry in undefined} == set(
        study.explanations.values_list("pk", flat=True)
    )
    assert "no positives in the sample" in " ".join(undefined[0]["reasons"])


def test_nobody_could_tell() -> None:
    study = make_study()
    rate_study(study, "cannot_tell")
    run = run_now(study)
    assert (run.status, run.diagnostics["n_waiting"]) == (RunStatus.FINISHED, 4)
    assert not run.estimates.exists()


# --- failing --------------------------------------------------------------------------------------


def test_a_broken_file_fails_the_run_with_its_name_and_loses_nothing() -> None:
    study = make_study()
    rate_study(study)
    good = run_now(study)
    n_ratings = Rating.objects.count()
    path = study.explanations.first().neuron.activations.absolute_path
    path.write_bytes(path.read_bytes()[:100])
    run = run_now(study)
    assert run.status == RunStatus.FAILED
    assert run.error.startswith("tiny layer1: ")
    assert "truncated or damaged" in run.error
    assert not run.estimates.exists()
    assert Rating.objects.count() == n_ratings
    assert good.estimates.count() == 4


def test_a_fault_of_the_software_is_kept_and_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study()

    def broken(run: EstimateRun, report: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(estimates, "study_score", broken)
    run = estimate_request(study=study, aggregation="bragg", enqueue=False)
    with pytest.raises(ZeroDivisionError):
        estimate_run(run=run)
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED
    assert run.error == "A fault of the software (ZeroDivisionError): division by zero"


def test_a_failure_while_writing_leaves_no_half_of_the_results(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = make_study()
    rate_study(study)

    def broken(run: EstimateRun, scored: scoring.ScoredStudy) -> None:
        scoring.study_scores_write(run, scored)
        raise OSError("disk full")

    monkeypatch.setattr(estimates, "study_scores_write", broken)
    run = estimate_request(study=study, aggregation="bragg", enqueue=False, live=True)
    with pytest.raises(OSError, match="disk full"):
        estimate_run(run=run)
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED
    assert not run.estimates.exists()


# --- queueing -------------------------------------------------------------------------------------


def test_at_most_one_waits(queued_tasks, django_capture_on_commit_callbacks) -> None:
    study = make_study()
    with django_capture_on_commit_callbacks(execute=True):
        first = estimate_request(study=study, aggregation="bragg", live=True)
        second = estimate_request(study=study, aggregation="bragg", actor=study.owner)
        other = estimate_request(study=study, aggregation="majority")
    assert first == second != other
    assert [task.args for task in queued_tasks] == [[first.pk], [other.pk]]
    first.refresh_from_db()
    assert not first.live  # somebody wants the whole estimate


def test_a_request_by_a_person_is_logged(queued_tasks) -> None:
    study = make_study()
    estimate_request(study=study, aggregation="bragg", actor=study.owner)
    event = study.events.last()
    assert (event.action, event.actor) == ("estimate requested", study.owner)


@pytest.mark.parametrize(
    ("launched", "aggregation", "message"),
    [
        (True, "median", "aggregation: 'median' is none of majority, mean, bragg, dawid_skene"),
        (False, "bragg", "was never launched"),
    ],
)
def test_bad_requests(launched: bool, aggregation: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        estimate_request(study=make_study(launched=launched), aggregation=aggregation)


def test_the_background_task_makes_the_run(
    immediate_tasks, django_capture_on_commit_callbacks
) -> None:
    study = make_study()
    rate_study(study)
    with django_capture_on_commit_callbacks(execute=True):
        run = estimate_request(study=study, aggregation="majority", live=True)
    run.refresh_from_db()
    assert run.status == RunStatus.FINISHED
    # the same task again finds the work done
    result = estimate_run_task.enqueue(run.pk)
    assert result.status == TaskResultStatus.SUCCESSFUL
    assert result.return_value == "finished"
    assert run.estimates.count() == 4


def test_a_run_that_another_worker_has_is_left_alone() -> None:
    study = make_study()
    run = estimate_request(study=study, aggregation="bragg", enqueue=False)
    EstimateRun.objects.filter(pk=run.pk).update(
        status=RunStatus.RUNNING, started_at=timezone.now()
    )
    assert estimate_run(run=run).status == RunStatus.RUNNING


def test_a_dead_run_is_failed_and_asked_for_once_more(
    queued_tasks, django_capture_on_commit_callbacks
) -> None:
    study = make_study()
    long_ago = timezone.now() - RUN_LIMIT - timedelta(seconds=1)

    def die(run: EstimateRun) -> None:
        EstimateRun.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING, started_at=long_ago)

    first = estimate_request(study=study, aggregation="bragg", enqueue=False)
    die(first)
    with django_capture_on_commit_callbacks(execute=True):
        assert runs_reap(study=study) == 1
    first.refresh_from_db()
    assert first.status == RunStatus.FAILED
    assert "The worker stopped" in first.error
    second = EstimateRun.objects.get(study=study, status=RunStatus.QUEUED)
    assert second.attempt == 2
    assert [task.args for task in queued_tasks] == [[second.pk]]
    die(second)
    assert runs_reap(study=study) == 1
    assert not EstimateRun.objects.filter(status=RunStatus.QUEUED).exists()
    # a person may always ask again
    assert estimate_request(study=study, aggregation="bragg", enqueue=False).attempt == 1


def test_a_living_run_is_not_reaped() -> None:
    study = make_study()
    run = estimate_request(study=study, aggregation="bragg", enqueue=False)
    EstimateRun.objects.filter(pk=run.pk).update(
        status=RunStatus.RUNNING, started_at=timezone.now() - RUN_LIMIT / 2
    )
    assert runs_reap(study=study) == 0


def test_a_run_taken_for_dead_that_ends_after_all_writes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = make_study()
    rate_study(study)
    score = scoring.study_score

    def slow(run: EstimateRun) -> scoring.ScoredStudy:
        scored = score(run)
        runs_reap(study=study, now=timezone.now() + RUN_LIMIT * 2)
        return scored

    monkeypatch.setattr(estimates, "study_score", slow)
    run = run_now(study)
    assert run.status == RunStatus.FAILED
    assert not run.estimates.exists()


def test_a_waiting_run_whose_task_was_lost_is_given_out_again(
    queued_tasks, django_capture_on_commit_callbacks
) -> None:
    study = make_study()
    run = estimate_request(study=study, aggregation="bragg", enqueue=False)
    EstimateRun.objects.filter(pk=run.pk).update(
        queued_at=timezone.now() - QUEUE_LIMIT - timedelta(seconds=1)
    )
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(3):
            assert estimate_request(study=study, aggregation="bragg") == run
    assert len(default_task_backend.results) == 1


# --- cancelling -----------------------------------------------------------------------------------


def test_a_waiting_run_is_cancelled_and_its_task_finds_nothing_to_do() -> None:
    study = make_study()
    rate_study(study, max_tasks=2)
    run = estimate_request(study=study, aggregation="majority", enqueue=False)
    assert estimate_cancel(run=run, actor=study.owner).status == RunStatus.CANCELLED
    assert run.finished_at is not None
    event = study.events.last()
    assert (event.action, event.actor) == ("estimate cancelled", study.owner)
    assert event.details == {"aggregation": "majority", "run": str(run.public_id)}
    assert estimate_run(run=run).status == RunStatus.CANCELLED
    assert not run.estimates.exists()
    # it keeps nobody from asking again
    assert estimate_request(study=study, aggregation="majority", enqueue=False) != run


def test_a_run_that_is_being_made_stops_at_its_next_report(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study()
    rate_study(study)
    monkeypatch.setattr(estimates, "REPORT_EVERY_SECONDS", 0.0)
    reached = []

    def cancelled_on_the_way(run: EstimateRun, report: scoring.Report) -> scoring.ScoredStudy:
        def told(stage: str, progress: float) -> None:
            reached.append(stage)
            if stage.startswith("scoring explanation 2"):
                estimate_cancel(run=EstimateRun.objects.get(pk=run.pk), actor=study.owner)
            report(stage, progress)

        return scoring.study_score(run, told)

    monkeypatch.setattr(estimates, "study_score", cancelled_on_the_way)
    run = run_now(study, "majority", live=False)
    assert run.status == RunStatus.CANCELLED
    assert (run.error, run.stage) == ("", "")
    assert reached[-1] == "scoring explanation 2 of 4"
    assert not run.estimates.exists()
    assert study.events.filter(action="estimate cancelled").count() == 1


def test_a_run_cancelled_after_its_last_report_writes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = make_study()
    rate_study(study)

    def slow(run: EstimateRun) -> scoring.ScoredStudy:
        scored = scoring.study_score(run)
        estimate_cancel(run=EstimateRun.objects.get(pk=run.pk), actor=study.owner)
        return scored

    monkeypatch.setattr(estimates, "study_score", slow)
    run = run_now(study, "majority")
    assert run.status == RunStatus.CANCELLED
    assert not run.estimates.exists()
    assert not run.method_estimates.exists()


def test_a_run_that_has_ended_is_not_cancelled() -> None:
    study = make_study()
    run = run_now(study, "majority")
    n_events = study.events.count()
    with pytest.raises(RunOver, match="is finished already"):
        estimate_cancel(run=run, actor=study.owner)
    run.refresh_from_db()
    assert run.status == RunStatus.FINISHED
    assert study.events.count() == n_events


def test_a_cancelled_run_is_neither_reaped_nor_given_out_again() -> None:
    study = make_study()
    run = estimate_request(study=study, aggregation="bragg", enqueue=False)
    estimate_cancel(run=run, actor=None)
    later = timezone.now() + 2 * RUN_LIMIT
    assert (runs_reap(now=later), runs_requeue(now=later)) == (0, 0)


# --- what a run keeps -----------------------------------------------------------------------------


def test_a_whole_run_has_sanity_checks_and_a_live_one_not() -> None:
    study = make_study(n_inputs=80, inputs_per_pair=60)
    rate_study(study)
    assert run_now(study, live=True).sanity_checks == []
    (check,) = run_now(study, live=False).sanity_checks
    assert check["metric"] == "pearson_correlation"
    assert check["n_pairs"] == 2
    for test in ("missing", "extra"):
        assert check[test]["n_tested"] > 0
        # halving or doubling the positives of a concept that drives the neuron lowers its score
        assert check[test]["share"] > 0.9


def test_old_live_runs_go_and_runs_that_somebody_asked_for_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(estimates, "LIVE_RUNS_KEPT", 2)
    study = make_study()
    asked = run_now(study, "majority", live=False)
    other = run_now(study, "bragg")
    live = [run_now(study, "majority") for _ in range(4)]
    assert set(EstimateRun.objects.all()) == {asked, other, *live[2:]}


@pytest.mark.parametrize(
    "aggregation", [choice for choice in Aggregation if choice.is_quick], ids=str
)
def test_every_quick_aggregation_scores_by_importance_weights(aggregation: Aggregation) -> None:
    study = make_study(aggregation=aggregation)
    rate_study(study)
    assert study.live_aggregation == aggregation
    run = run_now(study, aggregation, live=False)
    assert run.status == RunStatus.FINISHED, run.error
    assert run.estimator == "importance_weighted"
    assert run.method_estimates.get(method__name="Good").rank == 1


def test_the_published_aggregation_follows_submits_where_the_study_s_own_is_slow() -> None:
    assert make_study().live_aggregation == Aggregation.BRAGG


@pytest.mark.parametrize("estimator", Estimator.values)
def test_the_study_s_estimator_scores_what_has_predictions(estimator: str) -> None:
    rng = np.random.default_rng(0)
    activation, prior = rng.random(50), rng.random(50)
    draw = draw_model_guided(activation, prior, n_draws=30, seed=1)
    predictions = np.tile(prior, (20, 1))
    labels = predictions.copy()
    labels[:, draw.unique_indices] = activation[draw.unique_indices] > 0.5
    aggregated = science.Aggregated({1: labels}, {}, {}, {1: predictions})
    assert aggregated.estimator(estimator) == estimator
    score = science.explanation_score(
        activation,
        [1.0],
        [draw],
        [labels],
        [predictions],
        estimator=estimator,
        level=0.95,
        seed=0,
        what="this",
    )
    expected = {
        "combined": lambda: combined_correlation(activation, draw, labels, predictions),
        "model_assisted": lambda: model_assisted_correlation(
            activation, draw, labels, predictions, n_imputations=200
        ),
        "importance_weighted": lambda: importance_weighted_correlation(
            activation, draw, labels[:, draw.indices], n_imputations=200
        ),
    }[estimator]()
    assert score.score == pytest.approx(expected.score, abs=1e-9)
    assert science.Aggregated({1: labels}, {}).estimator(estimator) == "importance_weighted"


@pytest.mark.slow
def test_the_hierarchical_run_keeps_posterior_and_diagnostics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # the same posterior as by the default sampler, without its compilation; the demo's test has it
    quick = partial(estimation.aggregation.HierarchicalBayes, sampler="kernel")
    monkeypatch.setattr(estimation.aggregation, "HierarchicalBayes", quick)
    study = make_study(n_inputs=80, inputs_per_pair=40)
    rate_study(study)
    run = run_now(study, "hierarchical", live=False)
    assert run.status == RunStatus.FINISHED, run.error
    assert run.estimator == "model_assisted"
    assert run.diagnostics["sampler"]["r_hat_population"] < 1.05
    mean, sd = run.posterior_mean, run.posterior_sd
    assert (mean.role, sd.role) == (
        ConceptMatrixRole.POSTERIOR_MEAN,
        ConceptMatrixRole.POSTERIOR_SD,
    )
    labels = np.load(study.reference.absolute_path)
    means, deviations = science.array_load(mean, verify=True), science.array_load(sd)
    assert means.shape == deviations.shape == (80, 2)
    for text, column in mean.columns.values_list("concept__text", "column"):
        truth = labels[:, int(text.split()[-1])]
        # three truthful raters: the posterior knows what was rated
        rated = study.items.filter(concept__text=text).values_list("probe_input__index", flat=True)
        assert np.mean((means[list(rated), column] > 0.5) == truth[list(rated)]) > 0.95
    good = run.method_estimates.get(method__name="Good")
    assert good.rank == 1
    assert run.estimates.aggregate(n=Count("pk"))["n"] == 4


def test_a_study_whose_reference_lacks_a_concept_scores_the_rest_against_it() -> None:
    study = make_study(launched=False)
    labels = np.load(study.reference.absolute_path)
    study.reference = concept_matrix_register(
        dataset=study.dataset,
        name="half",
        role="reference",
        concepts=["concept 0"],
        values=labels[:, :1],
    )
    study.save()
    study_launch(study=study, actor=study.owner)
    rate_study(
        study, lambda item: "present" if labels[item.probe_input.index, 0] > 0.5 else "absent"
    )
    run = run_now(study, "majority")
    for estimate in run.estimates.all():
        known = estimate.explanation.concepts.get().text == "concept 0"
        assert (estimate.reference_score is not None) == known
