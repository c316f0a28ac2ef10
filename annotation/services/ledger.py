"""The ledger: entries are only ever added, each key once, and never beyond the study's cap.

Every booking locks the study's row first, so that no two of them see the same room under the cap.
"""

from django.contrib.auth.models import AbstractBaseUser

from annotation.exceptions import SpendingCapPassed
from annotation.models import LedgerEntry, LedgerKind, PanelSubmission, Recruitment, Study
from annotation.queries.money import ledger_total, minor


def cap_require(study: Study, amount: int, what: str) -> None:
    """Refuse to book what the cap does not allow.

    Parameters
    ----------
    study : Study
        Locked by the caller.
    amount : int
        To be booked, in minor units.
    what : str
        What it is for, for the message.

    Raises
    ------
    SpendingCapPassed
        When there is no cap, or too little is left of it.
    """
    cap, booked = study.spending_cap_minor, ledger_total(study)
    if cap is None:
        raise SpendingCapPassed(
            f"spending_cap_minor: the study {study.title!r} has no spending cap, and nothing is "
            "paid for without one; set what it may cost in all."
        )
    if booked + amount > cap:
        currency = study.currency
        raise SpendingCapPassed(
            f"{what} cost {minor(amount, currency)}, but of the cap of {minor(cap, currency)} only "
            f"{minor(max(0, cap - booked), currency)} are left; raise the cap or plan for less."
        )


def entry_number(recruitment: Recruitment, kind: LedgerKind) -> int:
    """Number the entries of a kind from 1; the study's lock keeps others from the same number.

    Parameters
    ----------
    recruitment : Recruitment
        The channel.
    kind : LedgerKind
        Of the entry that is to be booked.

    Returns
    -------
    int
    """
    return LedgerEntry.objects.filter(recruitment=recruitment, kind=kind).count() + 1


def entry_book(
    study: Study,
    kind: LedgerKind,
    amount: int,
    *,
    key: str,
    recruitment: Recruitment | None = None,
    submission: PanelSubmission | None = None,
    actor: AbstractBaseUser | None = None,
    note: str = "",
) -> None:
    """Add an entry.

    Parameters
    ----------
    study : Study
        Locked by the caller.
    kind : LedgerKind
        What the amount is for.
    amount : int
        In minor units of the study's currency; releases are negative.
    key : str
        The same key is refused by the database.
    recruitment : Recruitment, optional
        The channel.
    submission : PanelSubmission, optional
        Whose work it is for.
    actor : User, optional
        Who spends it.
    note : str
        For the reader of the ledger.
    """
    LedgerEntry.objects.create(
        study=study,
        recruitment=recruitment,
        participation_id=None if submission is None else submission.participation_id,
        kind=kind,
        amount_minor=amount,
        currency=study.currency,
        key=key,
        note=note,
        actor_id=None if actor is None else actor.pk,
    )
