"""Ratings that were given elsewhere, taken into a study: all that fit, or none.

"Exactly k ratings an item" stays a constraint of the database: an imported rater holds a slot of a
task, like any rater. Old ratings seldom follow our tasks, so items of tasks that nobody has begun
are put into new tasks, one for each set of raters, before the slots are filled.
"""

from datetime import timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from annotation.exceptions import InvalidInput
from annotation.models import (
    HOLDING,
    Assignment,
    AssignmentStatus,
    Channel,
    Item,
    Outcome,
    Participation,
    Rater,
    Rating,
    Study,
    StudyStatus,
    Task,
)
from annotation.rating_files import RatingFile
from annotation.services.audit import study_event_record
from annotation.services.freshness import estimates_refresh
from annotation.services.import_plan import ImportedBundle, ImportPlan, plan_of, rater_hash
from annotation.services.locks import lock
from annotation.services.states import state_require

BATCH = 2000


def import_plan(*, study: Study, file: RatingFile) -> ImportPlan:
    """Say what an import would do; write nothing.

    Parameters
    ----------
    study : Study
        Open or paused.
    file : RatingFile
        From `annotation.rating_files.rating_file_read`.

    Returns
    -------
    ImportPlan

    Raises
    ------
    StudyStateError
        When the study is a draft, which has no items yet, or closed.
    """
    state_require(study, "ratings can be imported", StudyStatus.OPEN, StudyStatus.PAUSED)
    return plan_of(study, file)


@transaction.atomic
def ratings_import(*, study: Study, file: RatingFile, actor: AbstractBaseUser) -> ImportPlan:
    """Import the rows that fit; the same file again changes nothing.

    Parameters
    ----------
    study : Study
        Open or paused.
    file : RatingFile
        From `annotation.rating_files.rating_file_read`.
    actor : User
        Who imports it.

    Returns
    -------
    ImportPlan
        What was done.

    Raises
    ------
    StudyStateError
        When the study is a draft or closed.
    InvalidInput
        When no row fits and none is there already; the message says why the first does not.
    """
    row = lock(Study.objects.all(), pk=study.pk)
    state_require(row, "ratings can be imported", StudyStatus.OPEN, StudyStatus.PAUSED)
    # an exclusion of an imported rater is in force before the plan looks, or waits until the end
    list(
        Participation.objects.filter(study=row, channel=Channel.IMPORTED)
        .order_by("pk")
        .select_for_update(of=("self",), no_key=True)
        .values_list("pk", flat=True)
    )
    # whoever leases one of these tasks meanwhile has it before this lock, or waits until the end
    list(
        Task.objects.filter(study=row)
        .order_by("pk")
        .select_for_update(of=("self",), no_key=True)
        .values_list("pk", flat=True)
    )
    plan = plan_of(row, file)
    if plan.n_ready == 0 and plan.n_there == 0:
        raise InvalidInput(
            f"file: none of the {plan.n_rows} ratings of {file.name} fits the study; the first, in "
            f"line {plan.refused[0].line}: {plan.refused[0].reason}."
        )
    if plan.n_ready:
        _write(row, plan)
        study_event_record(
            study=row,
            action="ratings imported",
            actor=actor,
            file=file.name,
            sha256=file.sha256,
            format=file.format,
            n_imported=plan.n_ready,
            n_raters=plan.n_raters,
            n_there=plan.n_there,
            refused=plan.reasons,
        )
        estimates_refresh(study=row)
    return plan


def _write(study: Study, plan: ImportPlan) -> None:
    participations = _participations(study, plan)
    number = Task.objects.filter(study=study).aggregate(last=Max("number"))["last"] or 0
    for bundle in plan.bundles:
        if bundle.task is None:
            number += 1
        _bundle_write(study, bundle, number, participations)
    # what is left of tasks whose items moved: at most gold items, which are in other tasks too
    Task.objects.filter(study=study, assignments__isnull=True).exclude(
        pk__in=Item.objects.filter(study=study, gold_value="").values("task")
    ).delete()


def _participations(study: Study, plan: ImportPlan) -> dict[str, Participation]:
    """Find or make the imported raters; they have nothing left to do here."""
    names = {slot.rater for bundle in plan.bundles for slot in bundle.slots}
    hashes = {rater_hash(name): name for name in sorted(names)}
    Rater.objects.bulk_create(
        (Rater(channel=Channel.IMPORTED, external_id_hash=digest) for digest in hashes),
        batch_size=BATCH,
        ignore_conflicts=True,
    )
    found: dict[str, Participation] = {}
    digests = list(hashes)
    now = timezone.now()
    for start in range(0, len(digests), BATCH):
        raters = Rater.objects.filter(
            channel=Channel.IMPORTED, external_id_hash__in=digests[start : start + BATCH]
        )
        Participation.objects.bulk_create(
            (
                Participation(
                    study=study,
                    rater=rater,
                    channel=Channel.IMPORTED,
                    outcome=Outcome.COMPLETED,
                    ended_at=now,
                )
                for rater in raters
            ),
            ignore_conflicts=True,
        )
        for participation in Participation.objects.filter(
            study=study, rater__in=raters
        ).select_related("rater"):
            found[hashes[participation.rater.external_id_hash]] = participation
    return found


def _bundle_write(
    study: Study, bundle: ImportedBundle, number: int, participations: dict[str, Participation]
) -> None:
    task = bundle.task
    if task is None:
        task = Task.objects.create(study=study, concept_id=bundle.concept, number=number).pk
        moved = [
            Item(pk=item, task_id=task, position=position)
            for position, item in enumerate(bundle.items)
        ]
        Item.objects.bulk_update(moved, ["task", "position"], batch_size=500)
    taken = set(
        Assignment.objects.filter(task=task, status__in=HOLDING).values_list("slot", flat=True)
    )
    free = [slot for slot in range(study.redundancy) if slot not in taken]
    now = timezone.now()
    for number_of_slot, slot in zip(free, bundle.slots, strict=False):
        participation = participations[slot.rater]
        begun = min((answer.old.rated_at or now for answer in slot.answers), default=now)
        assignment = Assignment.objects.create(
            task_id=task,
            participation=participation,
            status=AssignmentStatus.SUBMITTED,
            slot=number_of_slot,
            redundancy=study.redundancy,
            leased_at=begun,
            expires_at=begun + timedelta(seconds=study.lease_seconds),
            submitted_at=now,
        )
        Rating.objects.bulk_create(
            (
                Rating(
                    assignment=assignment,
                    item_id=answer.item,
                    rater_id=participation.rater_id,
                    value=answer.value,
                    client_id=answer.client_id,
                    response_ms=answer.old.response_ms,
                    rated_at=answer.old.rated_at or now,
                )
                for answer in slot.answers
            ),
            batch_size=BATCH,
        )
