"""Work off the request, run by ``manage.py run_worker``.

A task gets its work twice without harm: when its worker is killed, the task is given to another
one (see `annotation.services.jobs.tasks_requeue`).
"""

from django_tasks import TaskContext, task


@task(takes_context=True)
def estimate_run_task(context: TaskContext, run_id: int) -> str:
    """Make an estimate run, unless another worker has it.

    Parameters
    ----------
    context : TaskContext
        Knows which worker this is.
    run_id : int
        Primary key of the run.

    Returns
    -------
    str
        The status that the run has afterwards.
    """
    from annotation.models import EstimateRun
    from annotation.services.estimates import estimate_run

    run = EstimateRun.objects.get(pk=run_id)
    workers = context.task_result.worker_ids
    return str(estimate_run(run=run, worker=workers[-1] if workers else "").status)


@task()
def panel_event_task(event_id: int) -> str:
    """Let a stored event of a panel take effect.

    Parameters
    ----------
    event_id : int
        Primary key of the event.

    Returns
    -------
    str
        Why it concerned nothing here; empty where it took effect.
    """
    from annotation.models import PanelEvent
    from annotation.services.panel_events import event_process

    return event_process(event=PanelEvent.objects.get(pk=event_id)).error


@task()
def panel_request_task(request_id: int) -> str:
    """Ask a panel for what the state of a study wants of it.

    Parameters
    ----------
    request_id : int
        Primary key of the request; one that is gone was replaced by what a person did.

    Returns
    -------
    str
        Why it is not done yet; the sweeper tries again.
    """
    from annotation.models import PanelRequest
    from annotation.services.prolific_states import panel_request_send

    request = PanelRequest.objects.filter(pk=request_id).first()
    return "" if request is None else panel_request_send(request=request)
