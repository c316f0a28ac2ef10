"""The launch list: every check fails for its reason, and only a failed one stops a launch."""

import shutil
from collections.abc import Callable

import numpy as np
import pytest
from django.utils import timezone

from annotation.exceptions import InvalidInput, StudyNotReady
from annotation.models import Channel, Item, QualityPolicy, Study, WorkerHeartbeat
from annotation.queries.checklist import Check, CheckState
from annotation.services.datasets import activations_register
from annotation.services.gold import NewGoldAnswer, gold_answers_add, gold_answers_remove
from annotation.services.launch import launch_checklist, launch_require
from annotation.services.sampling import sampling_plan
from annotation.services.studies import NewExplanation, explanations_add, study_launch
from tests.annotation.factories import make_study

pytestmark = pytest.mark.django_db


def checks(study: Study) -> dict[str, Check]:
    return {check.name: check for check in launch_checklist(study=study).checks}


def draft(**fields) -> Study:
    return make_study(launched=False, contact="a@example.org", **fields)


def test_a_study_in_order_can_be_launched() -> None:
    study = draft()
    checklist = launch_require(study=study)
    assert checklist.ready
    assert {check.state for check in checklist.checks} == {CheckState.PASS, CheckState.WARN}
    preview = checklist.preview
    study_launch(study=study, actor=study.owner)
    items = Item.objects.filter(study=study)
    assert preview.n_items == items.count()
    assert preview.n_tasks == study.tasks.count()
    assert preview.n_ratings == items.count() * study.redundancy
    indices = set(items.values_list("probe_input__index", flat=True))
    assert set(preview.inputs_sampled) == indices


def no_explanations(study: Study) -> None:
    study.explanations.all().delete()


def no_column(study: Study) -> None:
    study.concept_prior.columns.filter(concept__text="concept 0").delete()


def folder_gone(study: Study) -> None:
    shutil.rmtree(study.dataset.absolute_root)


def file_empty(study: Study) -> None:
    for row in study.dataset.inputs.all():
        (study.dataset.absolute_root / row.file).write_bytes(b"")


def array_changed(study: Study) -> None:
    with study.concept_prior.absolute_path.open("ab") as file:
        file.write(b"x")


def small_budget(study: Study) -> None:
    Study.objects.filter(pk=study.pk).update(rating_budget=5)


def no_consent(study: Study) -> None:
    Study.objects.filter(pk=study.pk).update(consent_text=" ")


def wants_gold(study: Study) -> None:
    QualityPolicy.objects.filter(study=study).update(gold_per_task=2)


def wants_training(study: Study) -> None:
    QualityPolicy.objects.filter(study=study).update(training_items=3)


def add_training_answers(study: Study, n: int) -> None:
    answers = [NewGoldAnswer("concept 0", index, "present", use="training") for index in range(n)]
    gold_answers_add(study=study, answers=answers, actor=study.owner)


def bad_policy(study: Study) -> None:
    QualityPolicy.objects.filter(study=study).update(items_per_concept=1)


def no_channel(study: Study) -> None:
    study.recruitments.update(active=False)


def no_places(study: Study) -> None:
    study.recruitments.update(channel=Channel.PROLIFIC, places=0)


def above_cap(study: Study) -> None:
    study.recruitments.update(channel=Channel.PROLIFIC, places=10, reward_minor=200)
    Study.objects.filter(pk=study.pk).update(spending_cap_minor=1999)


def no_cap(study: Study) -> None:
    study.recruitments.update(channel=Channel.PROLIFIC, places=10, reward_minor=200)


def underpaid(study: Study) -> None:
    study.recruitments.update(
        channel=Channel.PROLIFIC, places=10, reward_minor=10, estimated_minutes=60
    )
    Study.objects.filter(pk=study.pk).update(spending_cap_minor=100_000)


def no_contact(study: Study) -> None:
    Study.objects.filter(pk=study.pk).update(contact="", spending_cap_minor=100_000)
    study.recruitments.update(channel=Channel.PROLIFIC, places=10, reward_minor=200)


def dead_neuron(study: Study) -> None:
    layer = activations_register(
        dataset=study.dataset,
        model_name="dead",
        layer="relu",
        activations=np.zeros((study.dataset.n_inputs, 1)),
    )
    new = NewExplanation(layer, 0, {"concept 0": 1.0})
    explanations_add(study=study, method="Dead", explanations=[new])


@pytest.mark.parametrize(
    ("spoil", "name", "words"),
    [
        (dead_neuron, "sampling", "leave this neuron out of the study."),
        (no_explanations, "explanations", "There are none"),
        (no_column, "concepts", "'concept 0'"),
        (folder_gone, "files", "is gone. Answers are safe"),
        (file_empty, "files", "are gone or empty"),
        (array_changed, "arrays", "cheap model"),
        (small_budget, "budget", "ratings are needed (3 an item), 5 allowed"),
        (no_consent, "consent", "empty"),
        (wants_gold, "gold", "Too few known answers"),
        (wants_training, "training", "3 training items asked for, 0 there"),
        (bad_policy, "policy", "items_per_concept"),
        (no_channel, "recruitment", "No channel is active"),
        (no_places, "recruitment", "Prolific has no places"),
        (above_cap, "cost", "20.00 GBP"),
        (no_cap, "cost", "there is no cap"),
        (underpaid, "pay", "below the panel's minimum"),
        (no_contact, "contact", "empty"),
    ],
)
def test_a_failed_check_stops_the_launch(
    spoil: Callable[[Study], None], name: str, words: str
) -> None:
    study = draft()
    spoil(study)
    check = checks(study)[name]
    assert check.state == CheckState.FAIL
    assert words in check.text
    assert check.remedy
    with pytest.raises(StudyNotReady, match="cannot be launched yet"):
        launch_require(study=study)
    assert not Item.objects.exists()


@pytest.mark.parametrize(
    ("n_there", "mark", "effect", "remedy"),
    [
        (0, 2, "Raters would not be trained at all.", "Add 3 known answers for training, or ask"),
        (1, 2, "pass with 1 right, not 2.", "Add 2 known answers for training, or ask for 1, with"),
        (2, 2, "see 2, and pass with 2 right.", "Add 1 known answer for training, or ask for 2."),
    ],
)
def test_a_training_that_lacks_items_says_what_raters_would_meet(
    n_there: int, mark: int, effect: str, remedy: str
) -> None:
    study = draft()
    QualityPolicy.objects.filter(study=study).update(training_items=3, training_pass_mark=mark)
    add_training_answers(study, n_there)
    check = checks(study)["training"]
    assert check.state == CheckState.FAIL
    assert effect in check.text
    assert check.remedy.startswith(remedy)
    add_training_answers(study, 3)
    assert checks(study)["training"].text == f"3 items, {mark} right answers pass."


def test_what_is_only_to_be_looked_at(settings) -> None:
    study = make_study(launched=False, instructions="")
    settings.NEURONJURY_ALLOW_SIMULATED_RATERS = True
    found = checks(study)
    for name in ("instructions", "contact", "gold", "worker", "simulated"):
        assert found[name].state == CheckState.WARN, name
    now = timezone.now()
    WorkerHeartbeat.objects.create(worker_id="w", started_at=now, beat_at=now)
    assert checks(study)["worker"].state == CheckState.PASS
    assert launch_checklist(study=study).ready


def test_an_open_study_is_not_launched_again() -> None:
    study = make_study(contact="a@example.org")
    assert checks(study)["state"].state == CheckState.FAIL


def test_raters_are_counted_by_the_limit_of_tasks() -> None:
    study = draft(redundancy=3, items_per_task=5)
    preview = launch_checklist(study=study).preview
    assert preview.n_raters == 3
    QualityPolicy.objects.filter(study=study).update(tasks_per_rater=2)
    limited = launch_checklist(study=study).preview
    assert limited.n_raters == -(-preview.n_tasks * 3 // 2)


def test_an_answer_that_raters_are_told_is_not_asked() -> None:
    study = draft()
    task = sampling_plan(study).tasks[0]
    index = task.inputs[0].index
    told = NewGoldAnswer(task.concept.text, index, "present", "example")
    (gold,) = gold_answers_add(study=study, answers=[told], actor=study.owner)
    check = checks(study)["told"]
    assert check.state == CheckState.FAIL
    assert f"{task.concept.text!r} at input {index} (example)" in check.text
    with pytest.raises(StudyNotReady, match=f"input {index} .*not drawn"):
        study_launch(study=study, actor=study.owner)
    assert not Item.objects.exists()
    gold_answers_remove(study=study, ids=[gold.pk], actor=study.owner)
    study_launch(study=study, actor=study.owner)
    with pytest.raises(InvalidInput, match="is an item of the study"):
        gold_answers_add(study=study, answers=[told], actor=study.owner)
