"""What is said of money before a person spends it at a panel."""

from dataclasses import dataclass

from annotation.models import Recruitment
from annotation.queries.money import CostEstimate, cost_estimate, ledger_total, minor, places_booked


@dataclass(frozen=True)
class CostWords:
    """The cost of places, as the page of confirmation shows it.

    Attributes
    ----------
    lines : list of (str, str)
        Name and amount.
    button : str
        What the button says.
    warning : str
        What stands in the way, or should give pause; empty where nothing does.
    """

    lines: list[tuple[str, str]]
    button: str
    warning: str


def cost_words(row: Recruitment, places: int) -> CostWords:
    """Say what so many places cost beyond those that are booked.

    Parameters
    ----------
    row : Recruitment
        Prolific's channel of the study.
    places : int
        How many there shall be in all.

    Returns
    -------
    CostWords
    """
    currency = row.study.currency
    estimate = cost_estimate(row, places=places, booked=places_booked(row))
    left = estimate.left_minor
    lines = [
        ("Places", f"{estimate.places} new, {places} in all"),
        ("Reward", minor(estimate.reward_minor, currency)),
        ("Fee for each", minor(estimate.fee_minor, currency)),
        ("In all", minor(estimate.total_minor, currency)),
        ("An hour, as estimated", minor(estimate.hourly_minor, currency)),
        ("Booked so far", minor(ledger_total(row.study), currency)),
        ("Left under the cap", "no cap is set" if left is None else minor(left, currency)),
    ]
    access = row.credential
    if access is not None and access.balance_minor is not None:
        amount = minor(access.balance_minor, access.balance_currency)
        lines.append(("Available at Prolific when it was last read", amount))
    button = f"Spend up to {minor(estimate.total_minor, currency)}"
    return CostWords(lines, button, _warning(row, estimate))


def _warning(row: Recruitment, estimate: CostEstimate) -> str:
    if estimate.passes_cap:
        return "This is more than the spending cap allows, and will be refused."
    if estimate.is_underpaid:
        return "The pay is below Prolific's minimum, and will be refused."
    access = row.credential
    if access is not None and access.balance_minor is not None:
        if access.balance_currency != estimate.currency:
            return (
                f"The workspace pays in {access.balance_currency}, but the study counts in "
                f"{estimate.currency}: the amounts are not what they seem."
            )
        if access.balance_minor < estimate.total_minor:
            return (
                "The workspace had less than this when its balance was last read; Prolific "
                "refuses what it cannot pay."
            )
    if estimate.is_meagre:
        recommended = minor(estimate.hourly_recommended or 0, estimate.currency)
        return f"Prolific recommends {recommended} an hour."
    return ""
