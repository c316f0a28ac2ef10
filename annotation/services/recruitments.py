"""A study's channels: who may come which way, what they are paid, which code each outcome has."""

import re
import secrets
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction

from annotation.exceptions import InvalidInput, StudyStateError
from annotation.models import (
    CODED_OUTCOMES,
    Channel,
    Outcome,
    OutcomeCode,
    Recruitment,
    Study,
    StudyStatus,
)
from annotation.services.audit import study_event_record
from annotation.services.locks import lock
from annotation.services.panel_claims import UNPUBLISHED
from annotation.services.raters import CODE_ALPHABET, CODE_LENGTH

#: The other channels are the software's own: simulations and imports.
CHANNELS = (Channel.DIRECT, Channel.PROLIFIC, Channel.PANEL)
FIELDS = frozenset(
    {
        "active",
        "id_parameter",
        "submission_parameter",
        "completion_url",
        "require_signature",
        "reward_minor",
        "fee_percent",
        "estimated_minutes",
        "places",
    }
)
#: What raters were promised, and what the ledger counts with.
MONEY = frozenset({"reward_minor", "fee_percent"})
PLACEHOLDERS = frozenset({"code", "id"})
#: Names that the entry page reads itself.
RESERVED_PARAMETERS = frozenset({"back", "arrival", "prolific_token", "simulated"})
MOST_REWARD = 100_000
MOST_PLACES = 100_000


@transaction.atomic
def recruitment_set(
    *, study: Study, channel: str, actor: AbstractBaseUser, **fields: Any
) -> Recruitment:
    """Add a channel to a study, or change it.

    Parameters
    ----------
    study : Study
        Not closed.
    channel : str
        ``direct``, ``prolific`` or ``panel``.
    actor : User
        Who does it.
    **fields
        Of `FIELDS`; the others stay as they are.

    Returns
    -------
    Recruitment
        Panels get a random completion code for every outcome that has none.

    Raises
    ------
    InvalidInput
        When a field is unknown or its value cannot be.
    StudyStateError
        When the study is closed, pay is changed after places were booked, or signed links are
        asked for after publishing.
    """
    if channel not in CHANNELS:
        raise InvalidInput(f"channel: {channel!r} is none of {', '.join(CHANNELS)}.")
    unknown = fields.keys() - FIELDS
    if unknown:
        raise InvalidInput(
            f"{min(unknown)}: a recruitment has no such field to set; there are "
            f"{', '.join(sorted(FIELDS))}."
        )
    locked = lock(Study.objects.all(), pk=study.pk)
    if locked.status == StudyStatus.CLOSED:
        raise StudyStateError(f"The study {locked.title!r} is closed; it recruits nobody.")
    row = Recruitment.objects.filter(study=locked, channel=channel).first()
    is_new = row is None
    row = row or Recruitment(study=locked, channel=channel)
    changed = _assign(row, fields)
    _clean(row)
    if not changed and not is_new:
        return row
    _change_require(row, changed)
    row.save()
    if channel != Channel.DIRECT:
        _codes_make(row)
    study_event_record(
        study=locked,
        action="recruitment set",
        actor=actor,
        channel=channel,
        **{name: str(getattr(row, name)) for name in sorted(changed)},
    )
    return row


@transaction.atomic
def outcome_codes_set(
    *, recruitment: Recruitment, codes: Mapping[str, str], actor: AbstractBaseUser
) -> list[OutcomeCode]:
    """Set the codes that a panel expects for outcomes.

    Parameters
    ----------
    recruitment : Recruitment
        A panel's channel.
    codes : mapping of str to str
        From outcome to code; outcomes that are not named keep theirs.
    actor : User
        Who does it.

    Returns
    -------
    list of OutcomeCode
        All of the channel's.

    Raises
    ------
    InvalidInput
        When an outcome is unknown, or a code is empty, too long, has other characters than
        letters, digits, "-" and "_", or belongs to another outcome.
    StudyStateError
        When Prolific knows the codes already.
    """
    row = lock(Recruitment.objects.select_related("study"), pk=recruitment.pk)
    known = {code.outcome: code for code in row.codes.all()}
    wanted = {outcome: code.strip() for outcome, code in codes.items()}
    for outcome, code in wanted.items():
        if outcome not in CODED_OUTCOMES:
            raise InvalidInput(
                f"codes: {outcome!r} is no outcome with a code; there are "
                f"{', '.join(CODED_OUTCOMES)}."
            )
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", code):
            raise InvalidInput(
                f"codes: {code!r} for {outcome} is not 1 to 32 letters, digits, '-' or '_'."
            )
    changed = {
        outcome: code
        for outcome, code in wanted.items()
        if outcome not in known or known[outcome].code != code
    }
    if not changed:
        return list(row.codes.all())
    if row.panel_study_id:
        raise StudyStateError(
            "The codes were given to Prolific with the draft and stay as they are."
        )
    after = {outcome: code.code for outcome, code in known.items()} | changed
    if len(set(after.values())) < len(after):
        raise InvalidInput("codes: two outcomes have the same code; each needs one of its own.")
    row.codes.filter(outcome__in=changed).delete()
    OutcomeCode.objects.bulk_create(
        OutcomeCode(recruitment=row, outcome=outcome, code=code)
        for outcome, code in changed.items()
    )
    study_event_record(study=row.study, action="codes set", actor=actor, outcomes=sorted(changed))
    return list(row.codes.all())


def _codes_make(recruitment: Recruitment) -> None:
    known = set(recruitment.codes.values_list("outcome", flat=True))
    OutcomeCode.objects.bulk_create(
        OutcomeCode(
            recruitment=recruitment,
            outcome=outcome,
            code="".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH)),
        )
        for outcome in CODED_OUTCOMES
        if outcome not in known
    )


def _assign(row: Recruitment, fields: Mapping[str, Any]) -> set[str]:
    changed = set()
    for name, value in fields.items():
        new = _decimal(value) if name == "fee_percent" else value
        if getattr(row, name) != new:
            setattr(row, name, new)
            changed.add(name)
    return changed


def _decimal(value: Any) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise InvalidInput(f"fee_percent: {value!r} is no number; give percent.") from None
    if not number.is_finite() or not 0 <= number <= 100:
        raise InvalidInput(f"fee_percent: {value!r} is not between 0 and 100.")
    return number.quantize(Decimal("0.01"))


def _change_require(row: Recruitment, changed: set[str]) -> None:
    if changed & MONEY and row.pk and row.ledger.exists():
        raise StudyStateError(
            f"{min(changed & MONEY)}: places were booked at the pay that raters were promised; "
            "clone the study to recruit at another one."
        )
    is_published = row.panel_status not in {"", UNPUBLISHED}
    if is_published and "require_signature" in changed and row.require_signature:
        raise StudyStateError(
            "require_signature: raters come with the links that Prolific was given at publishing, "
            "and those may be unsigned; each of them would be turned away. Clone the study to "
            "recruit with signed links alone."
        )
    if row.panel_study_id and changed & {"places", "estimated_minutes"}:
        raise StudyStateError(
            f"{min(changed & {'places', 'estimated_minutes'})}: the study exists at Prolific with "
            "the present one; places can be added there."
        )


def _clean(row: Recruitment) -> None:
    for name in ("id_parameter", "submission_parameter"):
        value = getattr(row, name)
        if value and not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", str(value)):
            raise InvalidInput(
                f"{name}: {value!r} is no name of a query parameter; take letters, digits, '_'."
            )
        if value in RESERVED_PARAMETERS:
            raise InvalidInput(f"{name}: {value!r} is read by this site itself; take another name.")
    if row.channel == Channel.PANEL and not row.id_parameter:
        raise InvalidInput(
            "id_parameter: name the query parameter in which the panel sends its id of the rater."
        )
    if row.id_parameter and row.id_parameter == row.submission_parameter:
        raise InvalidInput(
            f"submission_parameter: {row.id_parameter!r} is the id of the rater already."
        )
    if row.completion_url:
        _completion_clean(row.completion_url)
    if isinstance(row.reward_minor, int) and row.reward_minor > MOST_REWARD:
        raise InvalidInput(
            f"reward_minor: {row.reward_minor} is over {MOST_REWARD}; it is in pence or cents."
        )
    if isinstance(row.places, int) and row.places > MOST_PLACES:
        raise InvalidInput(f"places: {row.places} is over {MOST_PLACES}.")
    try:
        row.clean_fields(exclude=["study", "credential"])
    except ValidationError as error:
        name, problems = next(iter(error.message_dict.items()))
        raise InvalidInput(f"{name}: {getattr(row, name)!r}: {problems[0]}") from None
    if row.estimated_minutes < 1:
        raise InvalidInput("estimated_minutes: 0 is too few; give at least 1.")


def _completion_clean(address: str) -> None:
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    names = set(re.findall(r"{([^{}]*)}", address))
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise InvalidInput(
            f"completion_url: {address!r} is no address of a page; it begins with https://."
        )
    if "{" in parts.netloc or not names <= PLACEHOLDERS:
        raise InvalidInput(
            f"completion_url: {address!r} has another placeholder than {{code}} and {{id}}, or one "
            "in the name of the host."
        )


def outcome_label(outcome: str) -> str:
    """Name an outcome for a person.

    Parameters
    ----------
    outcome : str
        One of `Outcome`.

    Returns
    -------
    str
    """
    return str(Outcome(outcome).label)
