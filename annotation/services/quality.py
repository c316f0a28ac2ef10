"""A study's quality policy: what may be set when, and what must hold before a launch."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction

from annotation.exceptions import PolicyRefused, StudyStateError
from annotation.models import QualityPolicy, Study, StudyStatus
from annotation.queries.journey import PAID
from annotation.services.audit import study_event_record
from annotation.services.locks import lock

#: Panels allow attention checks only in studies of at least this many minutes.
ATTENTION_MINUTES = 5
POLICY_FIELDS = frozenset(
    field.name
    for field in QualityPolicy._meta.get_fields()  # noqa: SLF001 - Django's documented API
    if field.name not in ("id", "study")
)
#: Numbers that may be left empty (some of them), but not be smaller.
LEAST = {
    "tasks_per_rater": 1,
    "gold_exposure_cap": 1,
    "training_attempts": 1,
    "attention_failures": 2,
}
#: What changes no promise to those who rate already: who is looked at, and who goes on where.
OPEN_POLICY_FIELDS = frozenset(
    {
        "gold_minimum_answers",
        "gold_minimum_accuracy",
        "minimum_response_ms",
        "straight_line_items",
        "items_per_concept",
        "bundle_concepts",
    }
)


def policy_fields_editable(study: Study) -> frozenset[str]:
    """List the fields of the quality policy that may change in the study's present state.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    frozenset of str
        All of a draft's, none of a closed study's.
    """
    if study.status == StudyStatus.DRAFT:
        return POLICY_FIELDS
    return frozenset() if study.status == StudyStatus.CLOSED else OPEN_POLICY_FIELDS


@transaction.atomic
def quality_policy_set(*, study: Study, actor: AbstractBaseUser, **fields: Any) -> QualityPolicy:
    """Change a study's quality policy.

    Parameters
    ----------
    study : Study
        Its state decides what may change, see `policy_fields_editable`.
    actor : User
        Who changes it.
    **fields
        Names of `QualityPolicy` and their new values; values as they were change nothing.

    Returns
    -------
    QualityPolicy

    Raises
    ------
    PolicyRefused
        When a field is unknown or out of range, or contradicts another one or the study.
    StudyStateError
        When the study's state does not allow the change.
    """
    unknown = fields.keys() - POLICY_FIELDS
    if unknown:
        raise PolicyRefused(
            f"{min(unknown)}: a quality policy has no such field; there are "
            f"{', '.join(sorted(POLICY_FIELDS))}."
        )
    row = lock(Study.objects.all(), pk=study.pk)
    policy, _ = QualityPolicy.objects.get_or_create(study=row)
    before = {name: getattr(policy, name) for name in fields}
    changed = {name: value for name, value in fields.items() if value != before[name]}
    if not changed:
        return policy
    refused = changed.keys() - policy_fields_editable(row)
    if refused:
        raise StudyStateError(
            f"{min(refused)}: the study {row.title!r} is {row.get_status_display()}, and its "
            "raters work under the rules that they began with; clone the study to change them."
        )
    for name, value in changed.items():
        setattr(policy, name, value)
    _consistent_require(row, policy)
    try:
        policy.full_clean()
    except ValidationError as error:
        raise PolicyRefused(
            " ".join(f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items())
        ) from error
    policy.save(update_fields=list(changed))
    study_event_record(
        study=row,
        action="quality policy changed",
        actor=actor,
        **{name: [before[name], changed[name]] for name in changed},
    )
    return policy


def policy_require(*, study: Study) -> QualityPolicy:
    """Refuse to launch a study whose quality policy contradicts it or its recruitment.

    Parameters
    ----------
    study : Study
        A draft.

    Returns
    -------
    QualityPolicy

    Raises
    ------
    PolicyRefused
        When it does.
    """
    policy, _ = QualityPolicy.objects.get_or_create(study=study)
    _consistent_require(study, policy)
    if policy.attention_checks:
        short = study.recruitments.filter(
            active=True, channel__in=PAID, estimated_minutes__lt=ATTENTION_MINUTES
        ).first()
        if short is not None:
            raise PolicyRefused(
                f"attention_checks: {short.get_channel_display()} allows none in a study of under "
                f"{ATTENTION_MINUTES} minutes, and this one is estimated at "
                f"{short.estimated_minutes}; set them to 0, or give raters more tasks and correct "
                "the estimate."
            )
    return policy


def _consistent_require(study: Study, policy: QualityPolicy) -> None:
    for name, least in LEAST.items():
        value = getattr(policy, name)
        if value is not None and value < least:
            raise PolicyRefused(f"{name}: {value} is too few; give at least {least}.")
    if policy.training_pass_mark > policy.training_items:
        raise PolicyRefused(
            f"training_pass_mark: {policy.training_pass_mark} of {policy.training_items} training "
            "items cannot be right; lower it, or ask for more items."
        )
    n, cap = policy.items_per_concept, study.items_per_task
    if n is not None and n < cap:
        raise PolicyRefused(
            f"items_per_concept: {n} is less than the {cap} items of one task, so nobody could get "
            f"a task; give at least {cap}, or leave it empty."
        )
    if policy.attention_checks and policy.attention_failures > policy.attention_checks:
        raise PolicyRefused(
            f"attention_failures: {policy.attention_failures} of {policy.attention_checks} "
            "attention checks cannot be failed; ask for more checks, or set them to 0."
        )
    limit = policy.tasks_per_rater
    if limit is not None and policy.attention_checks > limit:
        raise PolicyRefused(
            f"attention_checks: {policy.attention_checks} do not fit between {limit} tasks a "
            "rater; ask for fewer checks or more tasks."
        )
