"""One action at the panel at a time, without a lock of the database while the panel takes its time.

`Recruitment.busy_until` says that an action is under way; it ends by itself when a server dies.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from annotation.exceptions import InvalidInput, PanelBusy, StudyStateError
from annotation.models import Recruitment
from annotation.services.locks import lock

#: Longer than two requests with all their tries and waits take.
BUSY = timedelta(minutes=10)
#: The panel's word for a draft.
UNPUBLISHED = "UNPUBLISHED"


@contextmanager
def at_panel(recruitment: Recruitment) -> Iterator[Recruitment]:
    """Keep two actions at the panel apart; the claim ends by itself when this server dies.

    Parameters
    ----------
    recruitment : Recruitment
        Prolific's channel of the study.

    Yields
    ------
    Recruitment
        As it stands now, with its study.

    Raises
    ------
    PanelBusy
        When another action is under way.
    """
    until = timezone.now() + BUSY
    with transaction.atomic():
        row = lock(Recruitment.objects.select_related("study"), pk=recruitment.pk)
        if row.busy_until is not None and row.busy_until > timezone.now():
            raise PanelBusy(
                "Prolific: another action of this study is under way; look again in a few minutes."
            )
        row.busy_until = until
        row.save(update_fields=["busy_until"])
    try:
        yield row
    finally:
        Recruitment.objects.filter(pk=row.pk, busy_until=until).update(busy_until=None)


def draft_require(recruitment: Recruitment, *, dry_run: bool) -> str:
    """Name the study at the panel, or refuse an action on one that is not there.

    Parameters
    ----------
    recruitment : Recruitment
        Prolific's channel of the study.
    dry_run : bool
        Nothing will be sent.

    Returns
    -------
    str
        Prolific's id of the study; in a dry run, a word that stands for it.

    Raises
    ------
    InvalidInput
        When there is no draft, and this is no dry run.
    """
    if recruitment.panel_study_id:
        return recruitment.panel_study_id
    if dry_run:
        return "STUDY_ID"  # what the draft would be called is not known before it is there
    raise InvalidInput("Prolific: the study has no draft there yet; create it first.")


def active_require(row: Recruitment) -> None:
    """Refuse to have raters sent who would be turned away here.

    Parameters
    ----------
    row : Recruitment
        From `at_panel`.

    Raises
    ------
    StudyStateError
        When the channel takes no new raters.
    """
    if not row.active:
        raise StudyStateError(
            "active: the channel Prolific takes no new raters here, so that everybody whom it "
            "sends would be turned away; let it take new raters first."
        )


def status_save(row: Recruitment, status: str) -> None:
    """Keep the panel's own word for the state of its study.

    Parameters
    ----------
    row : Recruitment
        From `at_panel`.
    status : str
        The word, cut to what is stored.
    """
    row.panel_status = status[:30]
    Recruitment.objects.filter(pk=row.pk).update(panel_status=row.panel_status)


def recruitment_refresh(recruitment: Recruitment) -> None:
    """Bring the caller's object up to date after an action.

    Parameters
    ----------
    recruitment : Recruitment
        What the caller has in hand.
    """
    recruitment.refresh_from_db(fields=["panel_study_id", "panel_status", "places", "busy_until"])
