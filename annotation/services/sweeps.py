"""What must happen though nobody asks for it: leases end, lost work is found, old rows go."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from annotation.services.assignments import leases_expire
from annotation.services.estimates import runs_reap, runs_requeue
from annotation.services.idempotency import requests_prune
from annotation.services.imports_of_files import uploads_prune
from annotation.services.jobs import rows_prune, tasks_requeue
from annotation.services.panel_events import events_process_waiting
from annotation.services.places import places_come_back
from annotation.services.prolific_states import panel_requests_send_due
from annotation.services.submissions import submissions_reconcile_due
from annotation.services.tokens import tokens_prune

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Chore:
    """One thing that is done again and again.

    Attributes
    ----------
    name : str
        In logs.
    every : timedelta
        How often, at most.
    work : callable
        Does it; given the present time.
    """

    name: str
    every: timedelta
    work: Callable[[datetime], object]


#: Ten seconds: a lease is back in the pool well within a minute of its end.
OFTEN = timedelta(seconds=10)
A_MINUTE = timedelta(minutes=1)
SELDOM = timedelta(minutes=10)

CHORES = (
    Chore("leases that ended", OFTEN, lambda now: leases_expire(now=now)),
    Chore("runs whose worker was killed", OFTEN, lambda now: runs_reap(now=now)),
    Chore("runs whose task was lost", OFTEN, lambda now: runs_requeue(now=now)),
    Chore("tasks whose worker was killed", OFTEN, lambda now: tasks_requeue(now=now)),
    Chore("places of raters who are gone", SELDOM, lambda now: places_come_back(now=now)),
    Chore("old rows", SELDOM, lambda now: rows_prune(now=now)),
    Chore("old idempotency keys", SELDOM, lambda now: requests_prune(now=now)),
    Chore("old tokens", SELDOM, lambda now: tokens_prune(now=now)),
    Chore("files that nobody confirmed", SELDOM, lambda _now: uploads_prune()),
)

#: These ask a panel over the network: a panel that is slow must not hold up a lease.
PANEL_CHORES = (
    Chore("panels that follow a study", OFTEN, lambda now: panel_requests_send_due(now=now)),
    Chore("panels' events", A_MINUTE, lambda _now: events_process_waiting()),
    Chore("panels' submissions", A_MINUTE, lambda now: submissions_reconcile_due(now=now)),
)


class Sweeper:
    """Does every chore when it is due; one that fails does not keep the others from being done.

    Parameters
    ----------
    chores : tuple of Chore
        What is to be done.
    """

    def __init__(self, chores: tuple[Chore, ...] = CHORES) -> None:
        self._chores = chores
        self._done: dict[str, datetime] = {}

    def sweep(self, *, now: datetime | None = None) -> dict[str, object]:
        """Do what is due.

        Parameters
        ----------
        now : datetime, optional
            The time to compare with; the present by default.

        Returns
        -------
        dict
            From the name of each chore that was due to what it did: mostly how many rows it
            changed; an exception where it failed, which is in the log as well.
        """
        moment = now or timezone.now()
        results: dict[str, object] = {}
        for chore in self._chores:
            last = self._done.get(chore.name)
            if last is not None and moment - last < chore.every:
                continue
            self._done[chore.name] = moment
            try:
                results[chore.name] = chore.work(moment)
            except Exception as error:  # the next chore matters as much, and this one comes again
                logger.exception("sweep: %s", chore.name)
                results[chore.name] = error
        return results
