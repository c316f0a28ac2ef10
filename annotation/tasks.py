"""Work off the request, run by ``manage.py db_worker``.

A task gets its work twice without harm: a worker that is killed leaves its task unfinished, and
what it was to do is asked for again (see `annotation.services.estimates.runs_reap`).
"""

from django_tasks import task


@task()
def estimate_run_task(run_id: int) -> str:
    """Make an estimate run, unless another worker has it.

    Parameters
    ----------
    run_id : int
        Primary key of the run.

    Returns
    -------
    str
        The status that the run has afterwards.
    """
    from annotation.models import EstimateRun
    from annotation.services.estimates import estimate_run

    return str(estimate_run(run=EstimateRun.objects.get(pk=run_id)).status)
