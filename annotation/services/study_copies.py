"""A study again as a draft, and a study gone."""

from collections.abc import Iterable
from typing import Any, TypeVar

from django.contrib.auth.models import AbstractBaseUser
from django.db import models, transaction

from annotation.exceptions import DeletionRefused
from annotation.models import (
    Assignment,
    Channel,
    ConceptMatrix,
    ExplanationTerm,
    LedgerEntry,
    Participation,
    QualityPolicy,
    Rating,
    Recruitment,
    Study,
    StudyDeletion,
    StudyStatus,
)
from annotation.services.audit import study_event_record
from annotation.services.files import files_delete_on_commit
from annotation.services.locks import lock
from annotation.services.study_changes import study_clean

Row = TypeVar("Row", bound=models.Model)
#: What a copy does not take over: its own key, its life so far, what a panel knows it by.
LIFE = ("id", "status", "created_at", "launched_at", "launched_by", "closed_at", "closed_by")
PANEL = ("panel_study_id", "panel_status", "credential", "busy_until", "reconciled_at")
BATCH = 2000


@transaction.atomic
def study_clone(
    *, study: Study, slug: str, title: str, actor: AbstractBaseUser, seed: int | None = None
) -> Study:
    """Make a draft with the same settings, explanations, gold answers, policy and recruitment.

    Parameters
    ----------
    study : Study
        In any state.
    slug, title : str
        Of the new study.
    actor : User
        Its owner.
    seed : int, optional
        Of its samples; by default the same, which draws the same inputs again.

    Returns
    -------
    Study
        Without raters, ratings, members, completion codes and panel ids: those are one study's.

    Raises
    ------
    InvalidInput
        When the slug is taken or a field is out of range.
    """
    source = Study.objects.select_related("dataset", "concept_prior", "reference").get(pk=study.pk)
    clone = _copy(source, leave=LIFE, slug=slug, title=title, owner_id=actor.pk)
    if seed is not None:
        clone.seed = seed
    study_clean(clone)
    clone.save()
    clone.excluded_studies.set(source.excluded_studies.all())
    policy = QualityPolicy.objects.filter(study=source).first()
    (_copy(policy, study_id=clone.pk) if policy else QualityPolicy(study=clone)).save()
    for recruitment in source.recruitments.all():
        _copy(recruitment, leave=("id", *PANEL), study_id=clone.pk).save()
    if not clone.recruitments.exists():
        Recruitment.objects.create(study=clone, channel=Channel.DIRECT)
    _copies(source.screening_questions.all(), study_id=clone.pk)
    _copies(source.gold_answers.all(), study_id=clone.pk)
    originals = list(source.explanations.prefetch_related("terms").order_by("pk"))
    copies = _copies(originals, study_id=clone.pk)
    ExplanationTerm.objects.bulk_create(
        (
            _copy(term, explanation_id=copy.pk)
            for original, copy in zip(originals, copies, strict=True)
            for term in original.terms.all()
        ),
        batch_size=BATCH,
    )
    study_event_record(
        study=clone, action="created", actor=actor, clone_of=source.slug, n_added=len(copies)
    )
    return clone


@transaction.atomic
def study_delete(*, study: Study, actor: AbstractBaseUser, typed_slug: str = "") -> StudyDeletion:
    """Delete a study with everything that belongs to it.

    Parameters
    ----------
    study : Study
        One without ledger entries.
    actor : User
        Who deletes it.
    typed_slug : str
        The study's slug, where people have taken part: nobody deletes their work by a slip.

    Returns
    -------
    StudyDeletion
        The record that stays.

    Raises
    ------
    DeletionRefused
        When money was booked for the study, or people took part and the slug was not typed.
    """
    row = lock(Study.objects.all(), pk=study.pk)
    if LedgerEntry.objects.filter(study=row).exists():
        raise DeletionRefused(
            f"The study {row.title!r} has entries in its ledger, and a ledger is kept; close the "
            "study instead."
        )
    if study_has_people(row) and typed_slug != row.slug:
        raise DeletionRefused(
            f"People have taken part in {row.title!r}, and their answers would go; type its name "
            f"{row.slug!r} to delete it."
        )
    ratings = Rating.objects.filter(item__study=row)
    record = StudyDeletion.objects.create(
        slug=row.slug,
        title=row.title,
        status=row.status,
        n_ratings=ratings.count(),
        deleted_by_id=actor.pk,
    )
    ratings.delete()
    Assignment.objects.filter(task__study=row).delete()
    Participation.objects.filter(study=row).delete()
    _posteriors_delete(row)
    row.delete()
    return record


def study_has_people(study: Study) -> bool:
    """Say whether anybody but simulated raters has come to a study.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    bool
    """
    if study.status == StudyStatus.DRAFT and study.launched_at is None:
        return False
    return (
        Participation.objects.filter(study=study).exclude(rater__channel=Channel.SIMULATED).exists()
    )


def _posteriors_delete(study: Study) -> None:
    """Matrices that the study's runs wrote: nothing else refers to them."""
    runs = study.estimate_runs.all()
    ids = {
        pk
        for pair in runs.values_list("posterior_mean", "posterior_sd")
        for pk in pair
        if pk is not None
    }
    runs.delete()
    matrices = ConceptMatrix.objects.filter(pk__in=ids)
    paths = [matrix.absolute_path for matrix in matrices]
    matrices.delete()
    files_delete_on_commit(paths)


def _copy(row: Row, *, leave: Iterable[str] = ("id",), **changes: Any) -> Row:
    """Make an unsaved copy of a row."""
    fields = {
        field.attname: getattr(row, field.attname)
        for field in row._meta.concrete_fields  # noqa: SLF001 - Django's documented API
        if field.name not in leave
    }
    return type(row)(**{**fields, **changes})


def _copies(rows: Iterable[Row], **changes: Any) -> list[Row]:
    """Copy rows of one model in few queries, in their order."""
    copies = [_copy(row, **changes) for row in rows]
    if copies:
        type(copies[0])._default_manager.bulk_create(  # noqa: SLF001 - Django's documented API
            copies, batch_size=BATCH
        )
    return copies
