"""A study as Prolific wants to know it."""

from typing import Any

from annotation.exceptions import InvalidInput
from annotation.models import CODED_OUTCOMES, Channel, Outcome, Recruitment
from annotation.queries.money import USUAL_FEES, cost_estimate, minor

PLACEHOLDERS = "PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
DEVICES = ("desktop", "tablet", "mobile")
#: What happens at the panel by itself when a code comes in. Nobody is rejected, and nobody is paid,
#: without a person; who is not to be paid is asked to give the place back.
CODE_ACTIONS: dict[str, tuple[str, dict[str, str]]] = {
    Outcome.COMPLETED: ("COMPLETED", {"action": "MANUALLY_REVIEW"}),
    Outcome.NO_CONSENT: (
        "NO_CONSENT",
        {"action": "REQUEST_RETURN", "return_reason": "You did not consent to take part."},
    ),
    Outcome.SCREENED_OUT: (
        "OTHER",
        {"action": "REQUEST_RETURN", "return_reason": "The study looks for other people."},
    ),
    Outcome.FAILED_CHECKS: ("FAILED_ATTENTION_CHECK", {"action": "MANUALLY_REVIEW"}),
}


def prolific_body(recruitment: Recruitment, entry_url: str) -> dict[str, Any]:
    """Write the study as Prolific wants to know it. Raters read it: nothing of neurons is in it.

    Parameters
    ----------
    recruitment : Recruitment
        Prolific's channel of the study.
    entry_url : str
        The study's entry page, absolute.

    Returns
    -------
    dict

    Raises
    ------
    InvalidInput
        When reward, places or a code is missing, or the pay is below Prolific's minimum.
    """
    study = recruitment.study
    ready_require(recruitment)
    codes = {code.outcome: code.code for code in recruitment.codes.all()}
    missing = [outcome for outcome in CODED_OUTCOMES if outcome not in codes]
    if missing:
        raise InvalidInput(f"codes: {missing[0]} has none; set the codes of all outcomes.")
    return {
        "name": study.title,
        "internal_name": f"Neuron Jury: {study.slug}",
        "description": study.instructions or study.title,
        "external_study_url": f"{entry_url}?{PLACEHOLDERS}",
        "is_external_study_url_secure": recruitment.require_signature,
        "prolific_id_option": "url_parameters",
        "completion_codes": [
            {
                "code": codes[outcome],
                "code_type": CODE_ACTIONS[outcome][0],
                "actions": [CODE_ACTIONS[outcome][1]],
            }
            for outcome in CODED_OUTCOMES
        ],
        "estimated_completion_time": recruitment.estimated_minutes,
        "reward": recruitment.reward_minor,
        "total_available_places": recruitment.places,
        "device_compatibility": list(DEVICES),
        "peripheral_requirements": [],
        "filters": [],
    }


def ready_require(recruitment: Recruitment) -> None:
    """Refuse a study without pay, fee or places, or with pay below the panel's minimum.

    Parameters
    ----------
    recruitment : Recruitment
        Prolific's channel of the study.

    Raises
    ------
    InvalidInput
        The message names the field.
    """
    if recruitment.channel != Channel.PROLIFIC:
        raise InvalidInput(f"channel: {recruitment.channel!r} is not Prolific.")
    if recruitment.reward_minor < 1 or recruitment.places < 1:
        name = "places" if recruitment.reward_minor else "reward_minor"
        raise InvalidInput(f"{name}: it is 0; set what a rater is paid and how many are wanted.")
    if recruitment.fee_percent <= 0:
        raise InvalidInput(
            "fee_percent: it is 0, but Prolific takes a fee, and the cap would not count it; set "
            f"that of your contract, tax included (usually {' or '.join(USUAL_FEES)} before tax)."
        )
    estimate = cost_estimate(recruitment)
    if estimate.is_underpaid:
        currency = estimate.currency
        raise InvalidInput(
            f"reward_minor: {minor(estimate.hourly_minor, currency)} an hour is below Prolific's "
            f"minimum of {minor(estimate.hourly_minimum or 0, currency)}; pay more, or plan a "
            "shorter study."
        )
