"""Gold items of a further round: hidden as at the launch, never an item, within the cap."""

from collections import Counter

import pytest

from annotation.models import GoldAnswer
from annotation.services.round_plan import round_plan
from annotation.services.rounds import round_draw
from tests.annotation.factories import rate_study
from tests.annotation.factories_quality import make_gold_study

pytestmark = pytest.mark.django_db


def test_gold_items_are_hidden_in_the_new_tasks() -> None:
    study = make_gold_study()
    rate_study(study, "present", max_tasks=2)
    drawn = round_draw(study=study, design="model_guided", n_draws=10, actor=study.owner)
    own = study.items.filter(round=drawn)
    per_task = Counter(own.exclude(gold_value="").values_list("task", flat=True))
    assert set(per_task) == set(own.values_list("task", flat=True))
    assert set(per_task.values()) == {2}
    for task in study.tasks.filter(items__round=drawn).distinct():
        positions = sorted(task.items.values_list("position", flat=True))
        assert positions == list(range(len(positions)))
    known = {
        (gold.concept_id, gold.probe_input_id): gold.value
        for gold in GoldAnswer.objects.filter(study=study)
    }
    asked = set(study.items.filter(gold_value="").values_list("concept", "probe_input"))
    for concept, probe_input, value in own.exclude(gold_value="").values_list(
        "concept", "probe_input", "gold_value"
    ):
        assert known[concept, probe_input] == value
        assert (concept, probe_input) not in asked
    event = study.events.get(action="round drawn")
    assert event.details["n_gold"] == own.exclude(gold_value="").count()


def test_the_cap_counts_the_tasks_of_earlier_rounds() -> None:
    """Each of 8 answers a concept may be hidden twice; rounds use that up."""
    study = make_gold_study(n_each=8, gold_exposure_cap=2)
    for n_draws in (12, 12, 12, 12):
        plan = round_plan(study=study, design="model_guided", n_draws=n_draws)
        short = any("known answers are short" in note for note in plan.notes)
        round_draw(study=study, design="model_guided", n_draws=n_draws, actor=study.owner)
        hidden = study.items.exclude(gold_value="").values_list("concept", "probe_input")
        assert max(Counter(hidden).values()) <= 2
        if short:
            break
    else:
        pytest.fail("the answers never ran short, so the cap was never at stake")
    without = [task for task in plan.tasks if not task.gold]
    assert without
    assert plan.n_gold == 2 * (len(plan.tasks) - len(without))


def test_new_items_whose_answer_raters_were_shown_are_told() -> None:
    study = make_gold_study()
    first = round_plan(study=study, design="model_guided", n_draws=10)
    told = first.tasks[0]
    GoldAnswer.objects.create(
        study=study,
        concept=told.concept,
        probe_input=study.dataset.inputs.get(index=told.inputs[0].index),
        value="present",
        use="training",
    )
    plan = round_plan(study=study, design="model_guided", n_draws=10)
    expected = f"{told.concept.text!r} at input {told.inputs[0].index} (training)"
    assert any(expected in note for note in plan.notes)
