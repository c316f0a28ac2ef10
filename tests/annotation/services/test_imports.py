"""Old ratings taken into a study: exactly those that fit, exactly k an item, once."""

import csv
import io
from collections import Counter

import numpy as np
import pytest

from annotation.exceptions import InvalidInput, StudyStateError
from annotation.exports import RATING_COLUMNS, csv_lines, rating_rows
from annotation.models import (
    Assignment,
    Channel,
    GoldAnswer,
    Item,
    Participation,
    Rater,
    Rating,
    RatingValue,
    Task,
)
from annotation.rating_files import RatingFile, RatingFileOptions, rating_file_read
from annotation.services.assignments import assignment_lease
from annotation.services.estimates import estimate_request, estimate_run
from annotation.services.exclusions import exclusion_lift, exclusion_make
from annotation.services.imports import import_plan, ratings_import
from tests.annotation.factories import (
    make_participation,
    make_study,
    rate_study,
    rate_task,
    truthful,
)

pytestmark = pytest.mark.django_db


def crowdkit(rows, **options) -> RatingFile:
    """A file of (item, worker, label) rows."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["task", "worker", "label", "concept"])
    for item, worker, label in rows:
        writer.writerow([item.probe_input.index, worker, label, item.concept.text])
    return read(out.getvalue(), **options)


def read(text: str, **options) -> RatingFile:
    data = io.BytesIO(text.encode())
    return rating_file_read(data, name="old.csv", options=RatingFileOptions(**options))


def items_of(study) -> list[Item]:
    return list(study.items.select_related("probe_input", "concept", "task").order_by("pk"))


def counted(study) -> Counter[int]:
    return Counter(
        Rating.objects.filter(item__study=study, assignment__status="submitted").values_list(
            "item", flat=True
        )
    )


def consistent(study) -> None:
    """Every slot that an import filled has an answer to every item of its task."""
    for assignment in Assignment.objects.filter(
        task__study=study, participation__channel=Channel.IMPORTED
    ):
        rated = set(assignment.ratings.values_list("item", flat=True))
        assert rated == set(assignment.task.items.values_list("pk", flat=True))
    assert not Task.objects.filter(study=study, items__isnull=True).exists()


def test_a_whole_study_moves_to_another_server() -> None:
    source = make_study(slug="source", seed=5)
    rate_study(source)
    text = "".join(csv_lines(RATING_COLUMNS, rating_rows(source)))
    target = make_study(slug="target", seed=5)
    n_tasks = target.tasks.count()
    plan = ratings_import(study=target, file=read(text), actor=target.owner)
    assert (plan.format, plan.n_ready, plan.reasons) == ("ours", Rating.objects.count() // 2, {})
    consistent(target)
    assert target.tasks.count() == n_tasks  # the same raters rated whole tasks: they stay
    assert set(counted(target).values()) == {3}
    scores = [
        [row.score for row in run.estimates.order_by("explanation__pk")]
        for run in (
            estimate_run(run=estimate_request(study=s, aggregation="bragg", enqueue=False))
            for s in (source, target)
        )
    ]
    np.testing.assert_allclose(scores[0], scores[1], rtol=0, atol=1e-12)
    event = target.events.get(action="ratings imported")
    assert event.details["n_imported"] == plan.n_ready
    assert event.actor == target.owner


def test_scattered_ratings_fill_items_not_tasks() -> None:
    study = make_study(redundancy=3)
    items = items_of(study)
    rng = np.random.default_rng(1)
    rows, wanted = [], Counter()
    for item in items:
        k = int(rng.integers(0, 4))
        wanted[item.pk] = k
        rows += [(item, f"w{w}", int(rng.integers(2))) for w in rng.choice(9, k, replace=False)]
    ratings_import(study=study, file=crowdkit(rows), actor=study.owner)
    assert counted(study) == +wanted
    consistent(study)
    assert Item.objects.filter(study=study).count() == len(items)
    values = {
        (item.pk, worker): RatingValue.PRESENT if label else RatingValue.ABSENT
        for item, worker, label in rows
    }
    assert Counter(Rating.objects.values_list("item", "value")) == Counter(
        (item, value) for (item, _), value in values.items()
    )
    # raters who come now bring every item to exactly k
    rate_study(study)
    assert counted(study) == Counter({item.pk: 3 for item in items})


def test_the_same_file_again_changes_nothing() -> None:
    study = make_study()
    file = crowdkit([(item, f"w{n}", 1) for item in items_of(study) for n in range(2)])
    first = ratings_import(study=study, file=file, actor=study.owner)
    before = list(Rating.objects.order_by("pk").values())
    again = ratings_import(study=study, file=file, actor=study.owner)
    assert (first.n_ready, again.n_ready, again.n_there) == (len(before), 0, len(before))
    assert list(Rating.objects.order_by("pk").values()) == before
    assert study.events.filter(action="ratings imported").count() == 1
    third = crowdkit([(item, "w2", 0) for item in items_of(study)])
    assert ratings_import(study=study, file=third, actor=study.owner).n_ready == study.items.count()
    assert set(counted(study).values()) == {3}
    consistent(study)


def test_rows_that_do_not_fit_are_counted_and_named() -> None:
    study = make_study(redundancy=2, inputs_per_pair=5)
    items = items_of(study)
    inside = {(item.concept.text, item.probe_input.index) for item in items}
    text = items[0].concept.text
    outside = next(n for n in range(40) if (text, n) not in inside)
    file = io.StringIO()
    writer = csv.writer(file)
    index = items[0].probe_input.index
    writer.writerows(
        [
            ["task", "worker", "label", "concept"],
            [index, "w1", "1", text],
            [index, "w2", "0", text],
            [index, "w3", "1", text],  # surplus
            [index, "w1", "0", text],  # twice
            [outside, "w1", "1", text],
            [9999, "w1", "1", text],
            [index, "w1", "1", "unicorn"],
            [index, "", "1", text],
            [index, "w4", "yes", text],
        ]
    )
    plan = ratings_import(study=study, file=read(file.getvalue()), actor=study.owner)
    assert plan.n_ready == 2
    assert [(refusal.row, refusal.reason.split(" (")[0]) for refusal in plan.refused] == [
        (3, "its item has 2 ratings, as many as wanted"),
        (4, "its rater rated the same item in an earlier row"),
        (5, "it is outside the sampling design"),
        (6, "the probe dataset has no such input"),
        (7, "the study has no such concept"),
        (8, "it has no rater"),
        (9, "nobody said what its label means"),
    ]
    assert sum(plan.reasons.values()) == 7
    assert counted(study) == {items[0].pk: 2}
    changed = crowdkit([(items[0], "w1", 0)])
    with pytest.raises(InvalidInput, match="another answer of this rater"):
        ratings_import(study=study, file=changed, actor=study.owner)


def test_inputs_are_known_by_file_name_too() -> None:
    study = make_study()
    item = items_of(study)[0]
    text = f"task,worker,label,concept\n{item.probe_input.file},w,1,{item.concept.text}\n"
    assert ratings_import(study=study, file=read(text), actor=study.owner).n_ready == 1
    assert Rating.objects.get().item == item


def test_a_preview_writes_nothing() -> None:
    study = make_study()
    file = crowdkit([(item, "w", 1) for item in items_of(study)])
    plan = import_plan(study=study, file=file)
    assert plan.n_ready == study.items.count()
    assert not Rating.objects.exists()
    assert not Rater.objects.exists()
    assert ratings_import(study=study, file=file, actor=study.owner).n_ready == plan.n_ready


def test_tasks_that_are_being_rated_are_left_alone() -> None:
    study = make_study(redundancy=2)
    leased = assignment_lease(participation=make_participation(study))
    own = set(leased.task.items.values_list("pk", flat=True))
    items = items_of(study)
    some = [item for item in items if item.pk in own][:2]
    with pytest.raises(InvalidInput, match="being rated already"):
        ratings_import(
            study=study, file=crowdkit([(item, "w", 1) for item in some]), actor=study.owner
        )
    rows = [(item, worker, 1) for item in items for worker in ("a", "b")]
    plan = ratings_import(study=study, file=crowdkit(rows), actor=study.owner)
    assert set(leased.task.items.values_list("pk", flat=True)) == own
    assert plan.reasons == {"its item has 2 ratings, or raters at work": len(own)}
    rate_task(leased, truthful(study))
    assert set(counted(study).values()) == {2}
    consistent(study)


def test_imported_raters_are_hashed_and_have_nothing_left_to_do() -> None:
    study = make_study()
    ratings_import(
        study=study, file=crowdkit([(items_of(study)[0], "A1WORKER", 1)]), actor=study.owner
    )
    rater, participation = Rater.objects.get(), Participation.objects.get()
    assert (rater.channel, participation.channel) == (Channel.IMPORTED, Channel.IMPORTED)
    assert "A1WORKER" not in str(Rater.objects.values().get())
    assert participation.outcome == "completed"
    assert participation.completion_code == ""


def test_gold_items_of_emptied_tasks_go_and_the_others_stay() -> None:
    study = make_study(items_per_task=4)
    items = items_of(study)
    spare = study.dataset.inputs.exclude(
        pk__in=study.items.filter(concept=items[0].concept).values("probe_input")
    ).first()
    for task in study.tasks.filter(concept=items[0].concept):
        Item.objects.create(
            study=study,
            task=task,
            round=items[0].round,
            concept=task.concept,
            probe_input=spare,
            position=99,
            gold_value=RatingValue.PRESENT,
        )
    GoldAnswer.objects.create(
        study=study, concept=items[0].concept, probe_input=spare, value=RatingValue.PRESENT
    )
    task = items[0].task
    mine = [item for item in items if item.task_id == task.pk]
    n_gold = Item.objects.exclude(gold_value="").count()
    ratings_import(study=study, file=crowdkit([(item, "w", 1) for item in mine]), actor=study.owner)
    assert not Task.objects.filter(pk=task.pk).exists()
    assert Item.objects.exclude(gold_value="").count() == n_gold - 1
    assert GoldAnswer.objects.exists()
    consistent(study)


def test_only_studies_that_are_open_or_paused_take_ratings() -> None:
    study = make_study(launched=False)
    file = read("task,worker,label,concept\n1,w,1,concept 0\n")
    with pytest.raises(StudyStateError, match="ratings can be imported"):
        ratings_import(study=study, file=file, actor=study.owner)
    with pytest.raises(StudyStateError):
        import_plan(study=study, file=file)


def test_an_excluded_rater_brings_no_further_ratings() -> None:
    study = make_study(redundancy=2)
    first, second = items_of(study)[:2]
    ratings_import(study=study, file=crowdkit([(first, "w", 1)]), actor=study.owner)
    excluded = Participation.objects.get(channel=Channel.IMPORTED)
    exclusion_make(participation=excluded, reason="reported", actor=study.owner)
    file = crowdkit([(first, "w", 1), (second, "w", 1), (second, "v", 1)])
    plan = ratings_import(study=study, file=file, actor=study.owner)
    assert (plan.n_there, plan.n_ready) == (1, 1)
    assert plan.reasons == {"its rater is excluded here; lift the exclusion first": 1}
    assert counted(study) == Counter({second.pk: 1})
    exclusion_lift(participation=excluded, actor=study.owner)
    assert import_plan(study=study, file=file).reasons != plan.reasons
