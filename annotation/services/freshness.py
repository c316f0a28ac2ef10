"""Estimates follow what counts: asked for once its transaction is committed."""

from django.db import transaction

from annotation.models import RunStatus, Study
from annotation.services.estimates import estimate_request, live_estimate_request


def live_estimate_follow(*, study: Study) -> None:
    """Ask for the quick estimate when the present transaction commits.

    Parameters
    ----------
    study : Study
        The study whose ratings change.
    """
    # robust: what was committed must be acknowledged, whatever happens to the estimate
    transaction.on_commit(
        lambda: live_estimate_request(study=study, aggregation=study.live_aggregation), robust=True
    )


def estimates_refresh(*, study: Study) -> None:
    """Ask for all estimates anew that rest on ratings which were taken out or came back.

    Parameters
    ----------
    study : Study
        Launched. The aggregation that it quotes is made anew too where it was made before: nobody
        should quote a score that rests on excluded ratings.
    """
    live_estimate_follow(study=study)
    quoted = study.aggregation
    made = study.estimate_runs.filter(aggregation=quoted, status=RunStatus.FINISHED)
    if quoted != study.live_aggregation and made.exists():
        transaction.on_commit(lambda: _request(study, quoted), robust=True)


def _request(study: Study, aggregation: str) -> None:
    estimate_request(study=study, aggregation=aggregation)
