"""Known answers: added by a person, hidden at launch, never part of a score."""

import itertools
from collections import Counter, defaultdict

import pytest
from django.db import IntegrityError, transaction

from annotation.exceptions import (
    BudgetTooSmall,
    GoldTooFew,
    InvalidInput,
    StudyStateError,
)
from annotation.models import GoldAnswer, Item, QualityPolicy, Rating, Study, StudyEvent
from annotation.queries import study_progress
from annotation.services.estimates import estimate_request, estimate_run
from annotation.services.gold import (
    NewGoldAnswer,
    gold_answers_add,
    gold_answers_read,
    gold_answers_remove,
)
from annotation.services.gold_plan import PlannedGold, gold_hidden, gold_need
from annotation.services.gold_suggestions import gold_answers_suggest
from annotation.services.sampling import sampling_plan
from annotation.services.scoring import counted_ratings, gold_ratings
from annotation.services.studies import study_launch, study_redundancy_raise
from tests.annotation.factories import make_study, rate_study, truthful
from tests.annotation.factories_quality import make_gold_study, set_policy

pytestmark = pytest.mark.django_db


@pytest.fixture
def draft() -> Study:
    return make_study(launched=False)


def add(study: Study, *answers: NewGoldAnswer) -> list[GoldAnswer]:
    return gold_answers_add(study=study, answers=answers, actor=study.owner)


# --- adding ------------------------------------------------------------------------------------


def test_answers_are_added_and_logged(draft: Study) -> None:
    added = add(
        draft,
        NewGoldAnswer("concept 0", 3, "present"),
        NewGoldAnswer(" concept 1 ", 4, "absent", "training", "No stripes."),
    )
    assert [(one.concept.text, one.probe_input.index, one.value, one.use) for one in added] == [
        ("concept 0", 3, "present", "hidden"),
        ("concept 1", 4, "absent", "training"),
    ]
    event = StudyEvent.objects.get(study=draft, action="gold answers added")
    assert event.details == {"hidden": 1, "training": 1}
    assert event.actor == draft.owner


def test_a_training_answer_makes_no_other_concept_one_that_is_asked(draft: Study) -> None:
    training = NewGoldAnswer("concept 9", 3, "present", "training")
    with pytest.raises(InvalidInput, match="answer 2: no explanation uses the concept 'concept 9'"):
        add(draft, training, NewGoldAnswer("concept 9", 4, "absent"))
    assert not GoldAnswer.objects.exists()


def test_adding_again_changes_only_the_feedback(draft: Study) -> None:
    answer = NewGoldAnswer("concept 0", 3, "present")
    (first,) = add(draft, answer)
    (again,) = add(draft, NewGoldAnswer("concept 0", 3, "present", feedback="A tail."))
    assert again.pk == first.pk
    assert GoldAnswer.objects.get().feedback == "A tail."
    assert StudyEvent.objects.filter(action="gold answers added").count() == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (NewGoldAnswer("concept 9", 3, "present"), "no explanation uses the concept 'concept 9'"),
        (NewGoldAnswer("", 3, "present"), "0 characters"),
        (NewGoldAnswer("concept 0", 40, "present"), "input 40 is outside the dataset, 0 to 39"),
        (NewGoldAnswer("concept 0", -1, "present"), "input -1 is outside"),
        (NewGoldAnswer("concept 0", 3, "cannot_tell"), "neither present nor absent"),
        (NewGoldAnswer("concept 0", 3, "present", "secret"), "none of hidden, training, example"),
        (NewGoldAnswer("concept 0", 3, "present", feedback="x" * 501), "501 characters"),
        (NewGoldAnswer("concept 0", 5, "absent"), "is present .hidden. already"),
        (NewGoldAnswer("concept 1", 5, "absent", "training"), "used for another purpose already"),
    ],
)
def test_what_cannot_be_used_is_named_and_nothing_is_added(
    draft: Study, answer: NewGoldAnswer, words: str
) -> None:
    add(draft, NewGoldAnswer("concept 0", 5, "present"))
    with pytest.raises(InvalidInput, match=words) as caught:
        add(draft, NewGoldAnswer("concept 0", 6, "present"), answer)
    assert "answer 2:" in str(caught.value)
    assert GoldAnswer.objects.count() == 1


def test_one_input_in_one_file_has_one_use(draft: Study) -> None:
    with pytest.raises(InvalidInput, match="another purpose"):
        add(
            draft,
            NewGoldAnswer("concept 0", 5, "present"),
            NewGoldAnswer("concept 1", 5, "present", "example"),
        )


def test_a_training_concept_need_not_be_in_an_explanation(draft: Study) -> None:
    (added,) = add(draft, NewGoldAnswer("a practice concept", 5, "absent", "training"))
    assert added.concept.text == "a practice concept"


def test_after_the_launch_only_examples_change() -> None:
    study = make_gold_study()
    (example,) = add(study, NewGoldAnswer("concept 0", 0, "present", "example"))
    with pytest.raises(StudyStateError, match="draft"):
        add(study, NewGoldAnswer("concept 0", 1, "present"))
    hidden = GoldAnswer.objects.filter(use="hidden").first()
    with pytest.raises(StudyStateError, match="draft"):
        gold_answers_remove(study=study, ids=[hidden.pk], actor=study.owner)
    assert gold_answers_remove(study=study, ids=[example.pk], actor=study.owner) == 1


def test_another_studys_answers_are_not_removed(draft: Study) -> None:
    (mine,) = add(draft, NewGoldAnswer("concept 0", 3, "present"))
    other = make_study(launched=False)
    assert gold_answers_remove(study=other, ids=[mine.pk], actor=other.owner) == 0
    assert GoldAnswer.objects.filter(pk=mine.pk).exists()


# --- files -------------------------------------------------------------------------------------


def test_a_file_names_inputs_by_index_or_file(draft: Study) -> None:
    file = draft.dataset.inputs.get(index=7).file
    text = (
        "\ufeffConcept,Input,Value,Use,Feedback\n"
        f'concept 0,{file},present,,\n"concept 1",2,0,training,"Look, no wings"\n'
    )
    assert gold_answers_read(study=draft, text=text) == [
        NewGoldAnswer("concept 0", 7, "present", "hidden", ""),
        NewGoldAnswer("concept 1", 2, "absent", "training", "Look, no wings"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "column 'concept' is missing"),
        ("concept,input\na,1\n", "column 'value' is missing"),
        ("concept,input,value,why\na,1,present,x\n", "column 'why' is unknown"),
        ("concept,input,value\na,nowhere.png,present\n", "row 2: the dataset has no input"),
        ("concept,input,value\na,99,present\n", "row 2: the dataset has no input '99'"),
        ("concept,input,value\na,1,maybe\n", "row 2: value 'maybe'"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(draft: Study, text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        gold_answers_read(study=draft, text=text)


# --- suggestions -------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["reference", "prior"])
def test_suggestions_are_balanced_not_drawn_and_the_same_each_time(source: str) -> None:
    study = make_study(launched=False, n_inputs=120, inputs_per_pair=15)
    found = gold_answers_suggest(study=study, source=source, n_each=4)
    assert found == gold_answers_suggest(study=study, source=source, n_each=4)
    assert found != gold_answers_suggest(study=study, source=source, n_each=4, seed=9)
    assert Counter((one.concept, one.value) for one in found) == {
        (f"concept {number}", value): 4 for number in (0, 1) for value in ("present", "absent")
    }
    assert len({one.input_index for one in found}) == len(found)
    drawn = {
        (task.concept.text, one.index) for task in sampling_plan(study).tasks for one in task.inputs
    }
    assert not drawn & {(one.concept, one.input_index) for one in found}
    assert GoldAnswer.objects.count() == 0


def test_suggestions_from_the_reference_are_true(draft: Study) -> None:
    right = truthful(draft)
    for one in gold_answers_suggest(study=draft, source="reference", n_each=2):
        concept = draft.reference.columns.get(concept__text=one.concept).concept
        item = Item(concept=concept, probe_input=draft.dataset.inputs.get(index=one.input_index))
        assert right(item) == one.value


def test_suggestions_leave_out_what_is_there(draft: Study) -> None:
    first = gold_answers_suggest(study=draft, source="reference", n_each=2)
    add(draft, *first)
    second = gold_answers_suggest(study=draft, source="reference", n_each=2, use="training")
    assert not {one.input_index for one in first} & {one.input_index for one in second}


def test_suggestions_need_labels_and_sane_numbers() -> None:
    study = make_study(launched=False, with_reference=False)
    for wrong, words in (
        ({"source": "reference"}, "no reference labels"),
        ({"source": "dreams"}, "none of reference, prior"),
        ({"n_each": 0}, "outside 1 to 100"),
        ({"use": "other"}, "none of hidden"),
    ):
        with pytest.raises(InvalidInput, match=words):
            gold_answers_suggest(study=study, **{"source": "prior", "n_each": 2, **wrong})


# --- hiding ------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_task", [1, 2, 3])
@pytest.mark.parametrize("cap", [None, 2])
@pytest.mark.parametrize("n_tasks", [1, 2, 5, 8])
def test_the_least_that_is_needed_is_enough(per_task: int, cap: int | None, n_tasks: int) -> None:
    policy = QualityPolicy(gold_per_task=per_task, gold_exposure_cap=cap)
    need = gold_need(policy, n_tasks)
    pool = [PlannedGold(n, "present") for n in range(need.present)]
    pool += [PlannedGold(100 + n, "absent") for n in range(need.absent)]
    for seed in range(5):
        tasks = gold_hidden(policy, pool, n_tasks, seed)
        assert [len({gold.index for gold in task}) for task in tasks] == [per_task] * n_tasks
        exposures = Counter(gold.index for task in tasks for gold in task)
        assert cap is None or max(exposures.values()) <= cap
        values = Counter(gold.value for task in tasks for gold in task)
        assert abs(values["present"] - values["absent"]) <= 1
        for task in tasks:
            own = Counter(gold.value for gold in task)
            assert abs(own["present"] - own["absent"]) <= 1
        assert tasks == gold_hidden(policy, pool, n_tasks, seed)


def test_a_large_pool_is_used_evenly() -> None:
    policy = QualityPolicy(gold_per_task=2)
    pool = [PlannedGold(n, "present" if n % 2 else "absent") for n in range(10)]
    tasks = gold_hidden(policy, pool, 12, seed=1)
    exposures = Counter(gold.index for task in tasks for gold in task)
    assert set(exposures.values()) == {2, 3}
    for first, second in itertools.pairwise(tasks):
        assert not {gold.index for gold in first} & {gold.index for gold in second}


def test_a_launch_hides_gold_items_at_varying_places() -> None:
    study = make_gold_study(n_each=4, gold_per_task=2)
    gold = study.items.exclude(gold_value="")
    per_task = Counter(gold.values_list("task", flat=True))
    assert set(per_task) == set(study.tasks.values_list("pk", flat=True))
    assert set(per_task.values()) == {2}
    assert set(gold.values_list("n_draws", "draw_probability", "inclusion_probability")) == {
        (0, None, None)
    }
    for task in study.tasks.all():
        positions = sorted(task.items.values_list("position", flat=True))
        assert positions == list(range(len(positions)))
        assert Counter(task.items.exclude(gold_value="").values_list("gold_value", flat=True)) == {
            "present": 1,
            "absent": 1,
        }
    assert len(set(gold.values_list("position", flat=True))) > 2
    known = {(one.concept_id, one.probe_input_id): one.value for one in study.gold_answers.all()}
    for item in gold:
        assert known[item.concept_id, item.probe_input_id] == item.gold_value


def test_what_is_drawn_is_never_hidden_as_gold() -> None:
    """Every input is a known answer; those that the design draws are rated as all others."""
    study = make_study(launched=False, n_inputs=60, inputs_per_pair=8, items_per_task=5)
    right = truthful(study)
    concepts = [column.concept for column in study.reference.columns.select_related("concept")]
    answers = [
        NewGoldAnswer(concept.text, row.index, right(Item(concept=concept, probe_input=row)))
        for concept in concepts
        for row in study.dataset.inputs.all()
    ]
    add(study, *answers)
    set_policy(study, gold_per_task=2)
    study_launch(study=study, actor=study.owner)
    drawn = set(study.items.filter(gold_value="").values_list("concept", "probe_input"))
    hidden = set(study.items.exclude(gold_value="").values_list("concept", "probe_input"))
    assert hidden
    assert not hidden & drawn


def test_the_same_seed_hides_the_same() -> None:
    def hidden(study: Study) -> list[tuple[object, ...]]:
        return list(
            study.items.exclude(gold_value="")
            .order_by("task__number", "position")
            .values_list("task__number", "position", "probe_input__index", "gold_value")
        )

    first, second = make_gold_study(seed=3), make_gold_study(seed=3)
    assert hidden(first) == hidden(second) != hidden(make_gold_study(seed=4))


def test_too_few_known_answers_are_named_with_what_it_takes() -> None:
    study = make_gold_study(n_each=1, gold_per_task=4, launched=False)
    with pytest.raises(
        GoldTooFew, match=r"'concept 0' needs 2 known answers present and 2 absent .*has 1 and 1"
    ):
        study_launch(study=study, actor=study.owner)
    study.refresh_from_db()
    assert study.status == "draft"
    assert not study.items.exists()


def test_the_cap_says_how_many_it_takes() -> None:
    study = make_gold_study(n_each=2, gold_per_task=2, gold_exposure_cap=1, launched=False)
    with pytest.raises(GoldTooFew, match="each in at most 1 tasks"):
        study_launch(study=study, actor=study.owner)


def test_the_budget_pays_for_gold_items_as_well() -> None:
    study = make_gold_study(launched=False, redundancy=2)
    plan = sampling_plan(study)
    need = 2 * (plan.n_items + plan.n_gold)
    Study.objects.filter(pk=study.pk).update(rating_budget=need - 1)
    with pytest.raises(BudgetTooSmall, match=rf"needs {need} ratings .*and {plan.n_gold} gold"):
        study_launch(study=study, actor=study.owner)
    Study.objects.filter(pk=study.pk).update(rating_budget=need)
    study_launch(study=study, actor=study.owner)
    with pytest.raises(BudgetTooSmall):
        study_redundancy_raise(study=study, redundancy=3, actor=study.owner)


# --- counting ----------------------------------------------------------------------------------


def test_gold_ratings_are_no_study_ratings() -> None:
    study = make_gold_study(redundancy=2)
    rate_study(study)
    n_items = study.items.filter(gold_value="").count()
    n_gold = study.items.exclude(gold_value="").count()
    progress = study_progress(study)
    assert (progress.items, progress.ratings_wanted, progress.ratings_valid) == (
        n_items,
        2 * n_items,
        2 * n_items,
    )
    assert sum(row.items for row in progress.per_concept) == n_items
    assert sum(row.ratings_valid for row in progress.per_concept) == 2 * n_items
    assert len(counted_ratings(study)) == 2 * n_items
    assert len(gold_ratings(study)) == 2 * n_gold
    assert Rating.objects.count() == 2 * (n_items + n_gold)
    assert all(row.value == row.label for row in gold_ratings(study))


def test_estimates_are_the_same_with_and_without_gold(immediate_tasks) -> None:
    """Same seed, same draws, same answers: the scores do not know that gold was hidden."""
    found: dict[bool, list[tuple[object, ...]]] = defaultdict(list)
    for with_gold in (True, False):
        study = make_gold_study(gold_per_task=2 if with_gold else 0, redundancy=1, seed=5)
        rate_study(study)
        for aggregation in ("bragg", "majority"):
            run = estimate_run(
                run=estimate_request(study=study, aggregation=aggregation, enqueue=False)
            )
            assert run.status == "finished", run.error
            found[with_gold] += list(
                run.estimates.order_by("explanation").values_list(
                    "explanation__method__name", "score", "lower", "upper", "n_inputs_rated"
                )
            )
    assert found[True] == found[False] != []


def test_no_item_is_gold_and_drawn() -> None:
    study = make_gold_study()
    item = study.items.filter(gold_value="").first()
    with pytest.raises(IntegrityError), transaction.atomic():
        Item.objects.filter(pk=item.pk).update(gold_value="present")
