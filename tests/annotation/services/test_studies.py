"""A study's life, and every reason not to launch it."""

from collections import Counter

import numpy as np
import pytest

from annotation.datafiles import NewInput
from annotation.exceptions import (
    ArrayProblem,
    BudgetTooSmall,
    ConceptWithoutPositives,
    InvalidInput,
    NothingToRate,
    SamplingProblem,
    StudyStateError,
    UnknownConcept,
    UnknownNeuron,
)
from annotation.models import (
    Draw,
    Explanation,
    Item,
    PairSample,
    SamplingDesign,
    Study,
    StudyStatus,
    Task,
)
from annotation.services.datasets import (
    activations_register,
    concept_matrix_register,
    probe_dataset_create,
)
from annotation.services.studies import (
    NewExplanation,
    explanations_add,
    study_close,
    study_create,
    study_launch,
    study_pause,
    study_redundancy_raise,
    study_resume,
)
from tests.annotation.factories import make_dataset, make_study

pytestmark = pytest.mark.django_db


def layer(study: Study):
    return study.explanations.first().neuron.activations


def nothing_written(study: Study) -> bool:
    study.refresh_from_db()
    return study.status == StudyStatus.DRAFT and not any(
        model.objects.filter(**{path: study}).exists()
        for model, path in (
            (PairSample, "study"),
            (Task, "study"),
            (Item, "study"),
            (Draw, "pair_sample__study"),
        )
    )


# --- launching ------------------------------------------------------------------------------------


def test_launch_draws_every_pair_and_makes_items_and_tasks() -> None:
    study = make_study(n_inputs=60, n_neurons=3, n_concepts=2, inputs_per_pair=25, items_per_task=7)
    assert (study.status, study.launched_by) == (StudyStatus.OPEN, study.owner)
    pairs = set(study.explanations.values_list("neuron", "concepts"))
    samples = {(s.neuron_id, s.concept_id): s for s in study.pair_samples.all()}
    assert set(samples) == pairs
    assert all(sample.draws.count() == 25 == sample.n_draws for sample in samples.values())
    drawn = set(
        Draw.objects.filter(pair_sample__study=study).values_list(
            "pair_sample__concept", "probe_input"
        )
    )
    assert set(study.items.values_list("concept", "probe_input")) == drawn


def test_items_carry_the_designs_probabilities() -> None:
    study = make_study(n_inputs=30, n_neurons=2, n_concepts=1, inputs_per_pair=10)
    matrix = layer(study)
    values = np.load(matrix.absolute_path).astype(np.float64)
    prior = np.load(study.concept_prior.absolute_path)[:, 0].astype(np.float64)
    q = []
    for unit in range(2):
        a = (values[:, unit] - values[:, unit].mean()) / values[:, unit].std()
        s = (prior - prior.mean()) / prior.std()
        q.append(0.8 * np.abs(a * s) / np.abs(a * s).sum() + 0.2 / 30)
    for item in study.items.select_related("probe_input"):
        i = item.probe_input.index
        assert item.draw_probability == pytest.approx((q[0][i] + q[1][i]) / 2)
        missed = (1 - q[0][i]) ** 10 * (1 - q[1][i]) ** 10
        assert item.inclusion_probability == pytest.approx(1 - missed)
        draws = Draw.objects.filter(pair_sample__concept=item.concept, probe_input=item.probe_input)
        assert item.n_draws == draws.count()
        for draw in draws:
            unit = draw.pair_sample.neuron.unit
            assert draw.probability == pytest.approx(q[unit][i])


def test_tasks_hold_one_concept_in_full_bundles_but_the_last() -> None:
    study = make_study(n_inputs=60, items_per_task=7, inputs_per_pair=25)
    for concept in set(study.items.values_list("concept", flat=True)):
        n_items = study.items.filter(concept=concept).count()
        sizes = [task.items.count() for task in study.tasks.filter(concept=concept)]
        assert sizes == [7] * (n_items // 7) + [n_items % 7] * (n_items % 7 > 0)
    for task in study.tasks.all():
        assert set(task.items.values_list("concept", flat=True)) == {task.concept_id}
        assert sorted(task.items.values_list("position", flat=True)) == list(
            range(task.items.count())
        )


def test_tasks_of_the_concepts_are_served_in_turn() -> None:
    study = make_study(n_inputs=60, n_neurons=3, n_concepts=3, items_per_task=5)
    order = list(study.tasks.order_by("number").values_list("concept", flat=True))
    least = min(Counter(order).values())
    assert least > 1
    for turn in range(least):
        assert len(set(order[3 * turn : 3 * turn + 3])) == 3


def test_the_order_of_items_tells_nothing_of_their_probability() -> None:
    study = make_study(n_inputs=300, n_neurons=2, n_concepts=1, inputs_per_pair=200)
    rows = list(
        study.items.order_by("task__number", "position").values_list(
            "draw_probability", "probe_input__index"
        )
    )
    assert len(rows) > 150
    place = np.arange(len(rows))
    for values in np.array(rows).T:
        # under a random order |r| > 4/sqrt(n) has a chance below 1e-4
        assert abs(np.corrcoef(place, values)[0, 1]) < 4 / np.sqrt(len(rows))


def test_the_same_seed_draws_the_same_study_in_another_database_row() -> None:
    def sampled(study: Study) -> list:
        return list(
            study.items.order_by("task__number", "position").values_list(
                "concept__text", "probe_input__index"
            )
        )

    first, second = make_study(seed=5), make_study(seed=5)
    assert first.pk != second.pk
    assert sampled(first) == sampled(second)
    assert sampled(first) != sampled(make_study(seed=6))


def test_a_linear_explanation_samples_each_of_its_concepts() -> None:
    study = make_study(launched=False)
    Explanation.objects.all().delete()
    unit = NewExplanation(
        study.dataset.activation_matrices.get(), 0, {"concept 0": 0.7, "concept 1": -0.2}, 0.1
    )
    explanations_add(study=study, method="LE", explanations=[unit])
    study_launch(study=study, actor=study.owner)
    assert study.pair_samples.count() == 2


def test_launch_is_logged_with_what_it_made() -> None:
    study = make_study()
    event = study.events.get(action="launched")
    assert event.actor == study.owner
    assert event.details == {
        "n_pairs": 4,
        "n_items": study.items.count(),
        "n_tasks": study.tasks.count(),
        "ratings_wanted": 3 * study.items.count(),
    }


def test_a_study_is_launched_once() -> None:
    study = make_study()
    with pytest.raises(StudyStateError, match="is open to raters; only while it is draft"):
        study_launch(study=study, actor=study.owner)


# --- reasons not to launch ------------------------------------------------------------------------


def test_no_explanations() -> None:
    study = make_study(launched=False)
    study.explanations.all().delete()
    with pytest.raises(NothingToRate, match="no explanations, so there is nothing to rate"):
        study_launch(study=study, actor=study.owner)


def test_a_budget_that_is_too_small_names_both_numbers_and_what_fits() -> None:
    need = 3 * make_study().items.count()
    study = make_study(launched=False, rating_budget=need - 1)
    n = need // 3
    with pytest.raises(BudgetTooSmall) as caught:
        study_launch(study=study, actor=study.owner)
    message = str(caught.value)
    assert f"needs {need} ratings ({n} items x redundancy 3)" in message
    assert f"rating_budget is {need - 1}" in message
    assert f"raise rating_budget to {need}" in message
    assert "lower redundancy to 2" in message
    assert "lower inputs_per_pair to about 19" in message
    assert nothing_written(study)


def test_a_budget_that_just_fits() -> None:
    need = 3 * make_study().items.count()
    assert make_study(rating_budget=need).status == StudyStatus.OPEN


@pytest.mark.parametrize("budget", [0, -5])
def test_a_study_with_no_budget(budget: int) -> None:
    with pytest.raises(BudgetTooSmall, match=f"has no budget \\({budget} ratings\\)"):
        make_study(rating_budget=budget)


def test_a_concept_without_positives() -> None:
    study = make_study(launched=False)
    study.reference = concept_matrix_register(
        dataset=study.dataset,
        name="empty",
        role="reference",
        concepts=["concept 0", "concept 1"],
        values=np.column_stack([np.eye(40)[0], np.zeros(40)]),
    )
    study.save()
    with pytest.raises(
        ConceptWithoutPositives,
        match="concept 'concept 1' in the reference labels 'empty': it has no positives among 40",
    ):
        study_launch(study=study, actor=study.owner)
    assert nothing_written(study)


def test_a_concept_prior_that_cannot_guide() -> None:
    study = make_study(launched=False)
    study.concept_prior = concept_matrix_register(
        dataset=study.dataset,
        name="blind",
        role="prior",
        concepts=["concept 0", "concept 1"],
        values=np.zeros((40, 2)),
    )
    study.save()
    with pytest.raises(
        SamplingProblem, match=r"neuron layer1:0, concept 'concept 0': prior: constant \(0\)"
    ):
        study_launch(study=study, actor=study.owner)
    study.sampling_design = "uniform"
    study.save()
    assert study_launch(study=study, actor=study.owner).status == StudyStatus.OPEN


def test_a_constant_neuron() -> None:
    study = make_study(launched=False)
    matrix = activations_register(
        dataset=study.dataset, model_name="dead", layer="relu", activations=np.zeros((40, 1))
    )
    explanations_add(
        study=study,
        method="Good",
        explanations=[NewExplanation(matrix, 0, {"concept 1": 1.0})],
    )
    with pytest.raises(SamplingProblem, match=r"neuron relu:0, concept 'concept 1': .*constant"):
        study_launch(study=study, actor=study.owner)
    assert nothing_written(study)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sampling_parameters": {"gama": 0.3}}, "does not take the parameters gama"),
        ({"sampling_parameters": {"gamma": 0}}, r"gamma: 0 is outside \(0, 1\]"),
    ],
)
def test_designs_that_do_not_work(fields: dict, message: str) -> None:
    study = make_study(launched=False, **fields)
    with pytest.raises(SamplingProblem, match=message):
        study_launch(study=study, actor=study.owner)


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("design", SamplingDesign.values)
def test_every_design_launches(design: str, replacement: bool) -> None:
    study = make_study(
        sampling_design=design,
        sampling_parameters={"replacement": replacement},
        inputs_per_pair=20,
    )
    for item in study.items.all():
        assert 0 < item.draw_probability <= 1
        assert 0 < item.inclusion_probability <= 1
    # one (neuron, concept) pair a concept here: each input at most once without replacement
    draws = Counter(study.pair_samples.values_list("pk", "draws__probe_input"))
    assert replacement or max(draws.values()) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"sampling_design": "best"},
        {"sampling_design": "top"},  # it says nothing of inputs outside the top
        {"aggregation": "guess"},
        {"estimator": "guess"},
    ],
)
def test_choices_that_are_none(fields: dict) -> None:
    with pytest.raises(InvalidInput, match=f"{next(iter(fields))}: Value .* is not a valid choice"):
        make_study(launched=False, **fields)


def test_a_missing_or_changed_file() -> None:
    study = make_study(launched=False)
    path = layer(study).absolute_path
    np.save(path, np.load(path) + 1)
    with pytest.raises(ArrayProblem, match=r"tiny layer1: .*the file changed"):
        study_launch(study=study, actor=study.owner)
    path.unlink()
    with pytest.raises(ArrayProblem, match=r"tiny layer1: .*no such file"):
        study_launch(study=study, actor=study.owner)
    assert nothing_written(study)


# --- creating and filling -------------------------------------------------------------------------


def test_matrices_of_another_dataset_are_refused() -> None:
    study = make_study(launched=False)
    with pytest.raises(InvalidInput, match="concept_prior: 'cheap model' is over the probe"):
        study_create(
            slug="x",
            title="X",
            owner=study.owner,
            dataset=make_dataset(5),
            concept_prior=study.concept_prior,
            rating_budget=10,
            consent_text="Yes?",
        )


def test_the_question_speaks_of_what_is_shown() -> None:
    images = make_study(launched=False)
    texts = probe_dataset_create(
        name="Texts",
        modality="text",
        inputs=[NewInput(text=f"passage {number}") for number in range(4)],
    )
    prior = concept_matrix_register(
        dataset=texts, name="cheap", role="prior", concepts=["a"], values=[[0.2], [0.8]] * 2
    )
    asked = {"owner": images.owner, "dataset": texts, "concept_prior": prior}
    asked |= {"rating_budget": 10, "consent_text": "Yes?", "title": "X"}
    assert images.question == "Does this image contain:"
    assert study_create(slug="x", **asked).question == "Does this text contain:"
    assert study_create(slug="y", question="Is there:", **asked).question == "Is there:"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"slug": "not a slug"}, "slug: Enter a valid"),
        ({"redundancy": 0}, "redundancy: "),
        ({"redundancy": 101}, "redundancy: "),
        ({"consent_text": ""}, "consent_text: This field cannot be blank"),
        ({"inputs_per_pair": 10_001}, "inputs_per_pair: .* less than or equal to 10000"),
        ({"items_per_task": 0}, "items_per_task: "),
        ({"currency": "€€€"}, "currency: '€€€' is no currency code"),
        ({"currency": "usd"}, "three capital letters"),
    ],
)
def test_bad_fields(fields: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        make_study(launched=False, **fields)


@pytest.mark.parametrize(
    ("unit", "terms", "error", "message"),
    [
        (7, {"concept 0": 1.0}, UnknownNeuron, "layer1:7: .* has 2 neurons, 0 to 1"),
        (-1, {"concept 0": 1.0}, UnknownNeuron, "layer1:-1"),
        (0, {"zebra": 1.0}, UnknownConcept, "'zebra': the concept prior 'cheap model' has no col"),
        (0, {}, InvalidInput, "its explanation has no concept"),
        (0, {"concept 0": 0.0}, InvalidInput, "the weight of 'concept 0' is 0.0"),
        (0, {"concept 0": float("nan")}, InvalidInput, "the weight of 'concept 0' is nan"),
    ],
)
def test_bad_explanations(unit: int, terms: dict, error, message: str) -> None:
    study = make_study(launched=False)
    new = NewExplanation(layer(study), unit, terms)
    with pytest.raises(error, match=message):
        explanations_add(study=study, method="New", explanations=[new])
    assert not study.explanations.filter(method__name="New").exists()


def test_activations_of_another_dataset() -> None:
    study = make_study(launched=False)
    foreign = activations_register(
        dataset=make_dataset(5), model_name="net", layer="conv9", activations=np.eye(5)
    )
    with pytest.raises(UnknownNeuron, match=r"conv9:0: .* another probe dataset"):
        explanations_add(
            study=study,
            method="New",
            explanations=[NewExplanation(foreign, 0, {"concept 0": 1.0})],
        )


def test_one_explanation_a_neuron_and_method() -> None:
    study = make_study(launched=False)
    with pytest.raises(InvalidInput, match="neuron layer1:0: the method 'Good' explains it twice"):
        explanations_add(
            study=study,
            method="Good",
            explanations=[NewExplanation(layer(study), 0, {"concept 0": 1.0})],
        )


def test_nothing_is_added_after_the_launch() -> None:
    study = make_study()
    with pytest.raises(StudyStateError, match="only while it is draft explanations can be added"):
        explanations_add(study=study, method="New", explanations=[])


# --- states ---------------------------------------------------------------------------------------


def test_states_are_changed_once_each_with_a_log() -> None:
    study = make_study()
    actor = study.owner
    for change in (study_pause, study_pause, study_resume, study_pause, study_close, study_close):
        change(study=study, actor=actor)
    actions = list(study.events.values_list("action", flat=True))
    assert actions == [
        "created",
        "explanations added",
        "explanations added",
        "launched",
        "paused",
        "resumed",
        "paused",
        "closed",
    ]
    assert (study.status, study.closed_by) == (StudyStatus.CLOSED, actor)
    with pytest.raises(StudyStateError, match="is closed; only while it is paused"):
        study_resume(study=study, actor=actor)


def test_a_draft_is_not_paused() -> None:
    study = make_study(launched=False)
    with pytest.raises(StudyStateError, match="is draft; only while it is open"):
        study_pause(study=study, actor=study.owner)


def test_redundancy_only_rises_and_within_the_budget() -> None:
    n_items = make_study().items.count()
    study = make_study(rating_budget=4 * n_items)
    study_redundancy_raise(study=study, redundancy=4, actor=study.owner)
    assert study.redundancy == 4
    assert study.events.last().details == {"before": 3, "after": 4}
    for redundancy in (4, 2, 101):
        with pytest.raises(InvalidInput, match=f"redundancy: {redundancy} is not above"):
            study_redundancy_raise(study=study, redundancy=redundancy, actor=study.owner)
    with pytest.raises(BudgetTooSmall, match=f"rating_budget is {4 * n_items}") as caught:
        study_redundancy_raise(study=study, redundancy=5, actor=study.owner)
    assert "lower redundancy" not in str(caught.value)  # 4 is what it has
    Study.objects.filter(pk=study.pk).update(rating_budget=5 * n_items)
    with pytest.raises(BudgetTooSmall, match="or lower redundancy to 5"):
        study_redundancy_raise(study=study, redundancy=6, actor=study.owner)
    study.refresh_from_db()
    assert study.redundancy == 4
