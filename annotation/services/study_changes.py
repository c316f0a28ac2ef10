"""Editing a study: all of a draft, what is safe once people rate, little when it is closed."""

import re
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import models, transaction

from annotation.exceptions import InvalidInput, StudyStateError, UnknownConcept
from annotation.models import ConceptMatrix, ConceptMatrixRole, ExplanationTerm, Study, StudyStatus
from annotation.services.audit import study_event_record
from annotation.services.locks import lock

#: Fields that a researcher sets; all of them may change while the study is a draft.
DRAFT_FIELDS = frozenset(
    {
        "slug",
        "title",
        "dataset",
        "concept_prior",
        "reference",
        "question",
        "instructions",
        "consent_text",
        "consent_version",
        "debrief",
        "contact",
        "language",
        "excluded_studies",
        "sampling_design",
        "sampling_parameters",
        "aggregation",
        "estimator",
        "seed",
        "inputs_per_pair",
        "redundancy",
        "items_per_task",
        "rating_budget",
        "lease_seconds",
        "currency",
        "spending_cap_minor",
    }
)
#: Those that change no rating, weight or promise that was made: what was asked stays what it was.
OPEN_FIELDS = frozenset(
    {
        "title",
        "instructions",
        "consent_text",
        "consent_version",
        "debrief",
        "contact",
        "language",
        "excluded_studies",
        "rating_budget",
        "lease_seconds",
        "spending_cap_minor",
    }
)
CLOSED_FIELDS = frozenset({"title", "debrief", "contact"})
#: Nothing booked or asked for may come to lie above them. A first cap may come at any time, for
#: without one nothing was booked.
RAISED_ONLY = ("rating_budget", "spending_cap_minor")
LONG_TEXTS = frozenset({"instructions", "consent_text", "debrief"})
CURRENCY = re.compile("[A-Z]{3}")
RESERVED_SLUGS = frozenset({"new"})


def fields_editable(study: Study) -> frozenset[str]:
    """List the fields that may change in the study's present state.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    frozenset of str
    """
    return {
        StudyStatus.DRAFT: DRAFT_FIELDS,
        StudyStatus.OPEN: OPEN_FIELDS,
        StudyStatus.PAUSED: OPEN_FIELDS,
        StudyStatus.CLOSED: CLOSED_FIELDS,
    }[StudyStatus(study.status)]


@transaction.atomic
def study_update(*, study: Study, actor: AbstractBaseUser, **fields: Any) -> Study:
    """Change fields of a study.

    Parameters
    ----------
    study : Study
        In any state; the state decides what may change.
    actor : User
        Who changes it.
    **fields
        Names of `DRAFT_FIELDS` and their new values; values as they were change nothing.

    Returns
    -------
    Study
        As it stands now. A new consent text gets a new version by itself.

    Raises
    ------
    StudyStateError
        When the study's state does not allow one of the changes.
    InvalidInput
        When a value is out of range, or a budget or cap of a launched study is lowered.
    UnknownConcept
        When a new concept prior lacks a concept that an explanation uses.
    """
    row = lock(Study.objects.select_related("dataset", "concept_prior", "reference"), pk=study.pk)
    unknown = fields.keys() - DRAFT_FIELDS
    if unknown:
        raise InvalidInput(
            f"{min(unknown)}: a study has no such field to set; there are "
            f"{', '.join(sorted(DRAFT_FIELDS))}."
        )
    many = fields.pop("excluded_studies", None)
    before = {name: getattr(row, name) for name in fields}
    fields = {name: _long_text(name, value) for name, value in fields.items()}
    changed = {
        name: value for name, value in fields.items() if value != _long_text(name, before[name])
    }
    excluded = set(row.excluded_studies.values_list("pk", flat=True))
    new_excluded = excluded if many is None else {other.pk for other in many}
    names = {*changed, *({"excluded_studies"} if new_excluded != excluded else ())}
    if not names:
        return row
    refused = names - fields_editable(row)
    if refused:
        raise StudyStateError(
            f"{min(refused)}: the study {row.title!r} is {row.get_status_display()}, and what was "
            "asked of its raters stays as it was; clone the study to ask something else."
        )
    _raised_only(row, changed)
    if "currency" in changed:
        currency_require(changed["currency"])
    if "consent_text" in changed and changed.get("consent_version") is None:
        changed["consent_version"] = _next_version(row.consent_version)
        before["consent_version"] = row.consent_version
    for name, value in changed.items():
        setattr(row, name, value)
    _matrices_require(row, changed)
    study_clean(row)
    row.save(update_fields=list(changed))
    if row.pk in new_excluded:
        raise InvalidInput("excluded_studies: a study cannot exclude its own raters.")
    if new_excluded != excluded:
        row.excluded_studies.set(new_excluded)
    study_event_record(
        study=row,
        action="changed",
        actor=actor,
        **{name: _change(name, before[name], changed[name]) for name in changed},
        **({"excluded_studies": len(new_excluded)} if new_excluded != excluded else {}),
    )
    return row


def study_clean(study: Study) -> None:
    """Check the fields of a study that is to be saved.

    Parameters
    ----------
    study : Study
        Not saved yet.

    Raises
    ------
    InvalidInput
        When one is out of range, the slug is taken or reserved, or a matrix is over another
        dataset.
    """
    if study.slug in RESERVED_SLUGS:
        raise InvalidInput(f"slug: {study.slug!r} is a page of this site; choose another one.")
    roles = {"concept_prior": ConceptMatrixRole.PRIOR, "reference": ConceptMatrixRole.REFERENCE}
    for name in roles:
        matrix: ConceptMatrix | None = getattr(study, name)
        if matrix is not None and matrix.dataset_id != study.dataset_id:
            raise InvalidInput(
                f"{name}: {matrix.name!r} is over the probe dataset {matrix.dataset.name!r}, the "
                f"study over {study.dataset.name!r}; register one over the study's dataset."
            )
    for name in LONG_TEXTS:
        setattr(study, name, _long_text(name, getattr(study, name)))
    if not isinstance(study.sampling_parameters, dict):
        raise InvalidInput(
            'sampling_parameters: expected names and numbers, such as {"gamma": 0.2}.'
        )
    try:
        study.full_clean()
    except ValidationError as error:
        raise InvalidInput(
            " ".join(f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items())
        ) from error


def _long_text(name: str, value: Any) -> Any:
    """Give a long text the line ends that it is kept with: a browser sends others, and cuts ends.

    Without this a text from a file or the API would become another one, of a new version, when
    somebody saves the settings in a browser, and raters at work would be asked for consent again.
    """
    if name not in LONG_TEXTS or not isinstance(value, str):
        return value
    return value.replace("\r\n", "\n").replace("\r", "\n").strip()


def currency_require(currency: str) -> None:
    """Refuse what is no currency code.

    Parameters
    ----------
    currency : str
        Of the study's rewards and cap.

    Raises
    ------
    InvalidInput
        When it is not three capital letters.
    """
    if not CURRENCY.fullmatch(currency):
        raise InvalidInput(
            f"currency: {currency!r} is no currency code (ISO 4217); give three capital letters, "
            "such as GBP."
        )


def _raised_only(study: Study, changed: dict[str, Any]) -> None:
    if study.status == StudyStatus.DRAFT:
        return
    for name in RAISED_ONLY:
        old, new = getattr(study, name), changed.get(name)
        if name in changed and old is not None and (new is None or new < old):
            raise InvalidInput(
                f"{name}: {new} is less than the present {old}, which may have been spent already; "
                "raise it, or pause the study to spend no more."
            )


def _next_version(version: str) -> str:
    return str(int(version) + 1) if version.isdecimal() else f"{version[:17]}-2"


def _matrices_require(study: Study, changed: dict[str, Any]) -> None:
    """A dataset stays with its explanations; a prior has a column for all that they use."""
    if "dataset" in changed and study.explanations.exists():
        raise InvalidInput(
            "dataset: the study has explanations of neurons that were recorded on another dataset; "
            "take them out first."
        )
    if "concept_prior" in changed:
        used = ExplanationTerm.objects.filter(explanation__study=study)
        columns = study.concept_prior.columns.values("concept")
        missing = used.exclude(concept__in=columns).select_related("concept").first()
        if missing is not None:
            raise UnknownConcept(
                f"concept_prior: {study.concept_prior.name!r} has no column for "
                f"{missing.concept.text!r}, which an explanation uses; choose another prior, or "
                "take the explanation out."
            )


def _change(name: str, before: Any, after: Any) -> Any:
    """What the log says of a change; long texts are named, not repeated."""
    if name in LONG_TEXTS:
        return f"{len(before)} characters before, {len(after)} now"
    return [_plain(before), _plain(after)]


def _plain(value: Any) -> Any:
    if isinstance(value, models.Model | datetime):
        return str(value)
    return value
