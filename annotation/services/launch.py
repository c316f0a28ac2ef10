"""Looking before leaping: what a launch would draw, and whether everything is in order for it."""

from annotation.exceptions import AnnotationError, StudyNotReady
from annotation.models import QualityPolicy, Study
from annotation.queries.checklist import Checklist, SamplingPreview, study_checklist
from annotation.services.quality import policy_require
from annotation.services.sampling import SamplingPlan, sampling_plan

#: What an item takes a rater, in seconds, with the pauses that people make.
SECONDS_AN_ITEM = 3.5


def sampling_preview(*, study: Study) -> SamplingPreview:
    """Draw what a launch would draw, and write nothing.

    Parameters
    ----------
    study : Study
        A draft.

    Returns
    -------
    SamplingPreview
        With the reason in `problem` where nothing can be drawn.
    """
    if not study.explanations.exists():
        return SamplingPreview(problem="There are no explanations, so there is nothing to rate.")
    try:
        plan = sampling_plan(study)
    except AnnotationError as error:
        return SamplingPreview(problem=str(error))
    return _counted(study, plan)


def launch_checklist(*, study: Study) -> Checklist:
    """Go through everything that a launch needs.

    Parameters
    ----------
    study : Study
        A draft.

    Returns
    -------
    Checklist
    """
    row = Study.objects.select_related("dataset", "concept_prior", "reference").get(pk=study.pk)
    return study_checklist(row, sampling_preview(study=row))


def launch_require(*, study: Study) -> Checklist:
    """Refuse to launch a study while a check fails; pages, API and commands call it first.

    Parameters
    ----------
    study : Study
        A draft.

    Returns
    -------
    Checklist

    Raises
    ------
    StudyNotReady
        The message has every failed check with its remedy.
    """
    checklist = launch_checklist(study=study)
    if not checklist.ready:
        reasons = " ".join(
            f"{check.title}: {check.text} {check.remedy}" for check in checklist.failed
        )
        raise StudyNotReady(f"The study {study.title!r} cannot be launched yet. {reasons}")
    return checklist


def _counted(study: Study, plan: SamplingPlan) -> SamplingPreview:
    policy = QualityPolicy.objects.filter(study=study).first() or QualityPolicy(study=study)
    n_tasks = len(plan.tasks)
    n_shown = plan.n_items + plan.n_gold
    in_all = n_tasks * study.redundancy
    limit = policy.tasks_per_rater
    # no rater does a task twice, so that the redundancy is the least there can be
    n_raters = max(study.redundancy, -(-in_all // limit) if limit else 0)
    minutes = n_shown / max(n_tasks, 1) * SECONDS_AN_ITEM / 60
    return SamplingPreview(
        n_pairs=len(plan.pairs),
        n_items=plan.n_items,
        n_tasks=n_tasks,
        n_gold=plan.n_gold,
        n_ratings=n_shown * study.redundancy,
        n_raters=n_raters,
        minutes_a_task=minutes,
        minutes_a_rater=minutes * (limit or -(-in_all // max(n_raters, 1))),
        gold_problems=tuple(plan.gold_problems),
        gold_told=tuple(plan.gold_told),
        policy_problem=_policy_problem(study),
        inputs_sampled=tuple(
            sorted({sampled.index for task in plan.tasks for sampled in task.inputs})
        ),
    )


def _policy_problem(study: Study) -> str:
    try:
        policy_require(study=study)
    except AnnotationError as error:
        return str(error)
    return ""
