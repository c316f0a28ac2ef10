"""Which tasks a rater may get, and in which order. Nothing here writes."""

from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from annotation.models import HOLDING, Assignment, Item, Participation, Task


def tasks_for(participation: Participation) -> "QuerySet[Task]":
    """List the tasks with a free slot that a rater may get, the one to hand out first.

    Parameters
    ----------
    participation : Participation
        The rater in the study, with its study and the study's quality policy.

    Returns
    -------
    QuerySet of Task
        None that the rater has had, and none that would pass the policy's limit of items of one
        concept. First those without a gold item that the rater has met; then those of the concept
        that the rater was at, where the policy bundles concepts; then those with the fewest held
        slots, so that the redundancy fills evenly.
    """
    study = participation.study
    policy = study.quality_policy
    own = Assignment.objects.filter(participation=participation)
    tasks: QuerySet[Task] = (
        Task.objects.filter(study=study)
        .exclude(pk__in=own.values("task"))
        .annotate(
            held=_count(Assignment.objects.filter(task=OuterRef("pk"), status__in=HOLDING), "task")
        )
        .filter(held__lt=study.redundancy)
    )
    if policy.items_per_concept is not None:
        tasks = _within_limit(tasks, participation, policy.items_per_concept)
    order = ["held", "number"]
    if policy.bundle_concepts:
        concept = own.order_by("-leased_at", "-pk").values_list("task__concept", flat=True).first()
        if concept is not None:
            away = Case(When(concept=concept, then=Value(0)), default=Value(1))
            tasks = tasks.annotate(away=away)
            order = ["away", *order]
    if policy.gold_per_task:
        tasks = tasks.annotate(met=Exists(_gold_met(participation)))
        order = ["met", *order]
    return tasks.order_by(*order)


def _count(rows: "QuerySet[Assignment] | QuerySet[Item]", by: str) -> Coalesce:
    # A subquery, not a join with GROUP BY: PostgreSQL cannot lock grouped rows.
    counted = rows.order_by().values(by).annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def _within_limit(
    tasks: "QuerySet[Task]", participation: Participation, limit: int
) -> "QuerySet[Task]":
    """Gold items are there to measure raters, and count towards no limit."""
    sampled = Item.objects.filter(gold_value="")
    return tasks.annotate(
        own_items=_count(sampled.filter(task=OuterRef("pk")), "task"),
        had_items=_count(
            sampled.filter(
                concept=OuterRef("concept"), task__assignments__participation=participation
            ),
            "concept",
        ),
    ).filter(Q(own_items__lte=limit - F("had_items")))


def _gold_met(participation: Participation) -> "QuerySet[Item]":
    met = Item.objects.filter(
        task__assignments__participation=participation, concept=OuterRef("concept")
    ).exclude(gold_value="")
    return (
        Item.objects.filter(task=OuterRef("pk"))
        .exclude(gold_value="")
        .filter(probe_input__in=met.values("probe_input"))
    )
