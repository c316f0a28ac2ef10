"""Further rounds: what the database holds after one was drawn, and what estimates make of it."""

from collections import Counter

import numpy as np
import pytest

from annotation.exceptions import (
    BudgetTooSmall,
    InvalidInput,
    NothingToRate,
    RoundDrawnMeanwhile,
    SpendingCapPassed,
    StudyStateError,
)
from annotation.models import (
    Assignment,
    Draw,
    EstimateRun,
    Item,
    PairSample,
    Rating,
    SamplingRound,
    Study,
    StudyEvent,
)
from annotation.queries.rounds import intervals_known, pairs_in_doubt, rounds_overview
from annotation.services.estimates import estimate_request, estimate_run
from annotation.services.round_plan import round_plan
from annotation.services.rounds import round_draw, round_write
from annotation.services.studies import study_close, study_pause
from annotation.services.study_copies import study_delete
from tests.annotation.factories import make_study, make_user, rate_study

pytestmark = pytest.mark.django_db


def run_now(study: Study, aggregation: str = "bragg") -> EstimateRun:
    run = estimate_run(run=estimate_request(study=study, aggregation=aggregation, enqueue=False))
    assert run.status == "finished", run.error
    return run


def drawn(study: Study, **options: object) -> SamplingRound:
    fields = {"design": "adaptive", "n_draws": 15, "actor": study.owner, **options}
    return round_draw(study=study, **fields)


def test_the_launch_is_round_one() -> None:
    study = make_study()
    launch = study.sampling_rounds.get()
    assert (launch.number, launch.design, launch.n_draws) == (1, "model_guided", 20)
    assert (launch.seed, launch.drawn_by, launch.run) == (study.seed, study.owner, None)
    assert set(study.pair_samples.values_list("round", flat=True)) == {launch.pk}
    assert set(study.items.values_list("round", flat=True)) == {launch.pk}


@pytest.mark.parametrize("design", ["adaptive", "model_guided"])
def test_a_round_asks_about_new_inputs_and_lets_old_ratings_serve(design: str) -> None:
    study = make_study(n_inputs=80, n_neurons=3, items_per_task=7)
    rate_study(study)
    before = {item.pk: item for item in study.items.all()}
    old_tasks, n_ratings = set(study.tasks.values_list("pk", flat=True)), Rating.objects.count()
    last = max(study.tasks.values_list("number", flat=True))
    second = drawn(study, design=design)

    assert (second.number, second.design, second.n_ratings_before) == (2, design, n_ratings)
    samples = PairSample.objects.filter(round=second)
    assert {s.sampling_design for s in samples} == {design}
    launched = study.pair_samples.filter(round__number=1)
    pairs = Counter(samples.values_list("neuron", "concept"))
    assert pairs == Counter(launched.values_list("neuron", "concept"))
    assert not {s.seed for s in samples} & {s.seed for s in launched}
    assert all(sample.draws.count() == 15 == sample.n_draws for sample in samples)

    # every drawn input is one item, made once; nothing of round one moved
    for concept, index in Draw.objects.filter(pair_sample__study=study).values_list(
        "pair_sample__concept", "probe_input"
    ):
        assert study.items.filter(concept=concept, probe_input=index).count() == 1
    new = study.items.exclude(pk__in=before)
    assert new.count() > 0
    assert set(new.values_list("round", flat=True)) == {second.pk}
    assert not set(new.values_list("task", flat=True)) & old_tasks
    for item in study.items.filter(pk__in=before):
        assert (item.task_id, item.position) == (before[item.pk].task_id, before[item.pk].position)
    numbers = sorted(study.tasks.exclude(pk__in=old_tasks).values_list("number", flat=True))
    assert numbers == list(range(last + 1, last + 1 + len(numbers)))
    assert Rating.objects.count() == n_ratings

    # n_draws over draw_probability is the item's weight over both rounds
    weights: Counter[tuple[int, int]] = Counter()
    counts: Counter[tuple[int, int]] = Counter()
    for round_ in (1, 2):
        own = Draw.objects.filter(pair_sample__round__number=round_, pair_sample__study=study)
        for concept in set(study.pair_samples.values_list("concept", flat=True)):
            rows = list(
                own.filter(pair_sample__concept=concept).values_list("probe_input", "probability")
            )
            if round_ == 2 and design == "adaptive":
                for index, probability in rows:
                    weights[concept, index] += 1 / probability
            counts.update((concept, index) for index, _ in rows)
    for item in study.items.all():
        key = (item.concept_id, item.probe_input_id)
        assert item.n_draws == counts[key]
        if design == "adaptive":
            first = before.get(item.pk)
            old = first.n_draws / first.draw_probability if first else 0.0
            assert item.n_draws / item.draw_probability == pytest.approx(weights[key] + old)

    event = StudyEvent.objects.filter(study=study, action="round drawn").get()
    assert event.actor == study.owner
    assert event.details["n_items"] == new.count()
    assert event.details["number"] == 2


def test_exactly_k_ratings_an_item_also_of_a_round() -> None:
    study = make_study(n_inputs=80, redundancy=2)
    rate_study(study)
    drawn(study)
    rate_study(study)
    per_item = Counter(Rating.objects.values_list("item", flat=True))
    assert set(per_item.values()) == {2}
    assert len(per_item) == study.items.count()


def test_a_plan_writes_nothing_and_is_the_same_again() -> None:
    study = make_study(n_inputs=80)
    rate_study(study)
    tables = (SamplingRound, PairSample, Draw, Item, StudyEvent, Assignment)
    counts = [model.objects.count() for model in tables]
    one = round_plan(study=study, design="adaptive", n_draws=15)
    two = round_plan(study=study, design="adaptive", n_draws=15)
    assert [model.objects.count() for model in tables] == counts
    assert [pair.indices for pair in one.pairs] == [pair.indices for pair in two.pairs]
    other = round_plan(study=study, design="adaptive", n_draws=15, seed=5)
    assert [pair.indices for pair in one.pairs] != [pair.indices for pair in other.pairs]
    assert one.n_items == sum(row.n_new for row in one.concepts) > 0
    assert one.n_drawn == 15 * 4 == sum(row.n_draws for row in one.concepts)
    assert one.n_ratings == one.n_items * 3
    launched = round_plan(study=study, design="model_guided", n_draws=15)
    assert 0 < launched.share_reused < 1
    assert launched.n_reused == sum(row.n_reused for row in launched.concepts)
    assert launched.error_rate is launched.further is None
    # raters of these tests never err: the rate is estimated, and small
    assert one.error_rate is not None
    assert one.error_rate < 0.1
    assert not any("published rate" in note for note in one.notes)


def test_without_ratings_the_published_error_rate_is_used_and_said() -> None:
    plan = round_plan(study=make_study(n_inputs=60), design="adaptive", n_draws=10)
    assert plan.error_rate == 0.23
    assert any("published rate of 23%" in note for note in plan.notes)
    assert any("still to come" in note for note in plan.notes)


def test_only_pairs_in_doubt_draw() -> None:
    study = make_study(n_inputs=150, n_neurons=4, n_concepts=3, inputs_per_pair=60)
    rate_study(study)
    run = run_now(study, study.live_aggregation)
    halves = {
        (e.explanation.neuron_id, e.explanation.terms.get().concept_id): (e.upper - e.lower) / 2
        for e in run.estimates.all()
    }
    wanted = float(np.median(list(halves.values())))
    doubtful = {pair for pair, half in halves.items() if half > wanted}
    assert pairs_in_doubt(run, wanted) == doubtful
    known = intervals_known(study, wanted)
    assert known is not None
    assert (known.n_scores, known.n_wide, known.widest) == (8, len(doubtful), max(halves.values()))

    plan = round_plan(study=study, design="adaptive", n_draws=10, half_width=wanted)
    assert {(pair.neuron.pk, pair.concept.pk) for pair in plan.pairs} == doubtful
    assert plan.run == run
    assert plan.n_pairs_left == len(halves) - len(doubtful)
    written = round_write(study=study, plan=plan, actor=study.owner)
    assert (written.run, written.half_width) == (run, wanted)
    with pytest.raises(NothingToRate, match="half_width: no interval"):
        round_plan(study=study, design="adaptive", n_draws=10, half_width=1.0)


def test_an_explanation_without_a_score_is_in_doubt() -> None:
    study = make_study(n_inputs=80, items_per_task=4)
    rate_study(study, max_tasks=1)
    run = run_now(study, study.live_aggregation)
    assert run.estimates.count() < study.explanations.count()
    scored = set(run.estimates.values_list("explanation", flat=True))
    waiting = study.explanations.exclude(pk__in=scored)
    assert pairs_in_doubt(run, 1.0) == {
        (explanation.neuron_id, explanation.terms.get().concept_id) for explanation in waiting
    }


def test_a_draft_and_a_closed_study_have_no_rounds() -> None:
    draft = make_study(launched=False)
    with pytest.raises(StudyStateError, match="is draft"):
        drawn(draft)
    study = make_study()
    plan = round_plan(study=study, design="model_guided", n_draws=5)
    study_close(study=study, actor=study.owner)
    with pytest.raises(StudyStateError, match="is closed"):
        round_write(study=study, plan=plan, actor=study.owner)
    assert study.sampling_rounds.count() == 1


def test_a_paused_study_stays_paused() -> None:
    study = make_study(n_inputs=80)
    study_pause(study=study, actor=study.owner)
    drawn(study, design="model_guided")
    study.refresh_from_db()
    assert study.status == "paused"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"design": "uniform"}, "neither 'adaptive' nor the study's own, 'model_guided'"),
        ({"n_draws": 0}, "n_draws: 0"),
        ({"half_width": 0.0}, "half_width: 0"),
        ({"half_width": float("nan")}, "half_width: nan"),
        ({"most_seconds": 0.1}, "manage.py draw_round"),
        ({"max_ratings": 1}, "max_ratings: the round would ask for"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options: dict, message: str) -> None:
    study = make_study(n_inputs=60)
    with pytest.raises(InvalidInput, match=message):
        drawn(study, **options)
    assert study.sampling_rounds.count() == 1


def test_the_budget_holds() -> None:
    study = make_study(n_inputs=80)
    rate_study(study)
    plan = round_plan(study=study, design="adaptive", n_draws=15)
    need = (study.items.count() + plan.n_items) * 3
    Study.objects.filter(pk=study.pk).update(rating_budget=need - 1)
    n_items = study.items.count()
    with pytest.raises(BudgetTooSmall, match=f"raise it to {need}"):
        round_write(study=study, plan=plan, actor=study.owner)
    assert (study.sampling_rounds.count(), study.items.count()) == (1, n_items)
    Study.objects.filter(pk=study.pk).update(rating_budget=need)
    round_write(study=study, plan=plan, actor=study.owner)
    assert study.items.count() * 3 == need


def test_the_spending_cap_holds_where_every_channel_is_paid() -> None:
    study = make_study(n_inputs=80, spending_cap_minor=500)
    study.quality_policy.tasks_per_rater = 1
    study.quality_policy.save()
    channel = study.recruitments.get()
    channel.channel, channel.reward_minor, channel.places = "prolific", 300, 3
    channel.save()
    plan = round_plan(study=study, design="model_guided", n_draws=10)
    assert plan.n_raters == len(plan.tasks) * 3
    assert plan.costs[0].total_minor >= plan.n_raters * 300
    assert any("3 places are planned" in note for note in plan.notes)
    with pytest.raises(SpendingCapPassed, match="raise the cap"):
        round_write(study=study, plan=plan, actor=study.owner)
    assert study.sampling_rounds.count() == 1
    assert not study.ledger.exists()
    Study.objects.filter(pk=study.pk).update(spending_cap_minor=10**6)
    round_write(study=study, plan=plan, actor=study.owner)
    assert not study.ledger.exists()


def test_a_plan_is_void_once_somebody_drew_that_round() -> None:
    study = make_study(n_inputs=80)
    plan = round_plan(study=study, design="model_guided", n_draws=5)
    round_write(study=study, plan=plan, actor=study.owner)
    with pytest.raises(RoundDrawnMeanwhile, match="drew round 2"):
        round_write(study=study, plan=plan, actor=make_user())
    assert [row.number for row in study.sampling_rounds.order_by("number")] == [1, 2]


def test_the_list_of_rounds_has_their_progress() -> None:
    study = make_study(n_inputs=80)
    rate_study(study)
    drawn(study)
    one, two = rounds_overview(study)
    assert one.ratings_valid == one.ratings_wanted == one.n_items * 3 > 0
    assert (two.n_pairs, two.ratings_valid) == (4, 0)
    assert two.ratings_wanted == two.n_items * 3 > 0


def test_a_study_with_rounds_is_deleted_whole() -> None:
    study = make_study(n_inputs=80)
    rate_study(study, max_tasks=2)
    run_now(study, study.live_aggregation)
    drawn(study, half_width=0.01)
    study_delete(study=study, actor=study.owner, typed_slug=study.slug)
    for model in (SamplingRound, PairSample, Draw, Item):
        assert not model.objects.exists()


# --- estimates ------------------------------------------------------------------------------------


def scores(run: EstimateRun) -> dict[int, tuple[float, float, float]]:
    return {e.explanation_id: (e.score, e.lower, e.upper) for e in run.estimates.all()}


@pytest.mark.parametrize("design", ["adaptive", "model_guided"])
def test_a_round_without_its_ratings_changes_no_score(design: str) -> None:
    """Its draws on inputs that are rated already are no random part of it."""
    study = make_study(n_inputs=80)
    rate_study(study)
    before = scores(run_now(study))
    second = drawn(study, design=design)
    assert Draw.objects.filter(
        pair_sample__round=second, probe_input__items__round__number=1
    ).exists()
    assert scores(run_now(study)) == before


@pytest.mark.parametrize("aggregation", ["majority", "bragg"])
def test_the_scores_of_two_rounds_are_weighted_by_each_rounds_own_probability(
    aggregation: str,
) -> None:
    study = make_study(n_inputs=120, n_neurons=3)
    rate_study(study)
    drawn(study, n_draws=25)
    rate_study(study)
    run = run_now(study, aggregation)
    labels = np.load(study.reference.absolute_path)
    columns = dict(study.reference.columns.values_list("concept_id", "column"))
    assert run.estimates.count() == 6
    for estimate in run.estimates.all():
        neuron, concept = estimate.explanation.neuron, estimate.explanation.terms.get().concept
        a = np.load(neuron.activations.absolute_path)[:, neuron.unit].astype(np.float64)
        items = study.items.filter(concept=concept)
        rows = np.array(list(items.values_list("probe_input__index", "n_draws")))
        q = np.array(list(items.values_list("draw_probability", flat=True)))
        index, w = rows[:, 0], rows[:, 1] / q
        c = labels[index, columns[concept.pk]].astype(np.float64)
        moments = np.cov(a[index], c, aweights=w, ddof=0)
        expected = moments[0, 1] / np.sqrt(moments[0, 0] * moments[1, 1])
        assert estimate.score == pytest.approx(
            expected, abs=0.02 if aggregation == "bragg" else 1e-9
        )
        assert estimate.n_inputs_rated == len(index)
