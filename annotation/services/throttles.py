"""Counting tries in windows of time, in the database: all server processes count together."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import salted_hmac

from annotation.models import ThrottleWindow


@transaction.atomic
def throttle_hit(
    *, scope: str, who: str, limit: int, seconds: int, now: datetime | None = None
) -> int:
    """Count a try, and say how long whoever it is has to wait.

    Parameters
    ----------
    scope : str
        What is tried.
    who : str
        An account, an address; only its keyed hash is stored.
    limit : int
        Tries that are allowed in a window.
    seconds : int
        Length of a window; it starts with the first try.
    now : datetime, optional
        The present by default.

    Returns
    -------
    int
        Seconds until the window ends; 0 when this try is within the limit. Tries beyond it do not
        make the window longer.
    """
    moment = now or timezone.now()
    window, created = ThrottleWindow.objects.select_for_update().get_or_create(
        key=_key(scope, who),
        defaults={
            "started_at": moment,
            "ends_at": moment + timedelta(seconds=seconds),
            "tries": 1,
        },
    )
    if not created:
        if window.ends_at <= moment:
            window.started_at = moment
            window.ends_at = moment + timedelta(seconds=seconds)
            window.tries = 0
        window.tries += 1
        window.save(update_fields=["started_at", "ends_at", "tries"])
    if window.tries <= limit:
        return 0
    return max(1, round((window.ends_at - moment).total_seconds()))


def throttle_undo(*, scope: str, who: str) -> None:
    """Take back one try that turned out to be allowed, so that only failures are counted.

    Parameters
    ----------
    scope, who : str
        As in `throttle_hit`.
    """
    ThrottleWindow.objects.filter(key=_key(scope, who), tries__gt=0).update(tries=F("tries") - 1)


def _key(scope: str, who: str) -> str:
    return salted_hmac(f"annotation.throttle.{scope}", who, algorithm="sha256").hexdigest()
