"""The single checks of the launch list, by what they are about."""

from collections.abc import Iterator

from django.conf import settings

from annotation import science
from annotation.exceptions import ArrayProblem
from annotation.models import (
    ActivationMatrix,
    Channel,
    Concept,
    QualityPolicy,
    Recruitment,
    Study,
    StudyStatus,
)
from annotation.queries.launch_types import Check, CheckState, SamplingPreview
from annotation.queries.money import cost_estimate, is_paid_channel, minor
from annotation.queries.stored_files import dataset_problem
from annotation.queries.training import training_shortage
from annotation.queries.workers import worker_is_running

NAMED = 5


def content_checks(study: Study, preview: SamplingPreview) -> Iterator[Check]:
    """Check explanations, concepts, files, arrays, samples and budget.

    Parameters
    ----------
    study : Study
        A draft.
    preview : SamplingPreview
        What a launch would draw.

    Yields
    ------
    Check
    """
    n_explanations = study.explanations.count()
    if n_explanations:
        n_methods = study.explanations.values("method").distinct().count()
        text = f"{n_explanations} explanations by {n_methods} method{'s' * (n_methods > 1)}."
        yield Check("explanations", "Explanations", CheckState.PASS, text)
    else:
        remedy = "Add the explanations of at least one method."
        yield _failed(
            "explanations", "Explanations", "There are none.", remedy, "study_explanations"
        )
    used = Concept.objects.filter(terms__explanation__study=study).distinct()
    missing = list(
        used.exclude(columns__matrix=study.concept_prior_id).values_list("text", flat=True)
    )
    if missing:
        named = ", ".join(map(repr, missing[:NAMED]))
        yield _failed(
            "concepts",
            "Concepts in the prior",
            f"{len(missing)} have no column in {study.concept_prior.name!r}: {named}.",
            "Choose another prior, or take those explanations out.",
            "study_edit",
        )
    else:
        n_used = used.count()
        who = "The one concept has" if n_used == 1 else f"All {n_used} concepts have"
        text = f"{who} a column."
        yield Check("concepts", "Concepts in the prior", CheckState.PASS, text)
    problem = dataset_problem(study.dataset, preview.inputs_sampled or (0,))
    title = "Files of the dataset"
    if problem:
        yield _failed("files", title, problem, "Put the files back.", "datasets")
    else:
        yield Check("files", title, CheckState.PASS, "The inputs to be shown are there.")
    yield from _samples(study, preview)


def _samples(study: Study, preview: SamplingPreview) -> Iterator[Check]:
    damaged = _arrays_damaged(study) if preview.problem else []
    title = "Arrays unchanged"
    if damaged:
        yield _failed("arrays", title, " ".join(damaged), "Register the arrays again.", "datasets")
    else:
        text = "Activations, prior and reference are as they were registered."
        yield Check("arrays", title, CheckState.PASS, text)
    if preview.problem:
        if not damaged and study.explanations.exists():
            remedy = "Change the sampling or the explanations."
            text = f"{preview.problem.rstrip('.')}."
            yield _failed("sampling", "Samples", text, remedy, "study_edit")
        return
    text = f"{preview.n_items} items in {preview.n_tasks} tasks from {preview.n_pairs} pairs."
    yield Check("sampling", "Samples", CheckState.PASS, text)
    need, budget = preview.n_ratings, study.rating_budget
    gold = f", {preview.n_gold} of the items gold" if preview.n_gold else ""
    text = f"{need} ratings are needed ({study.redundancy} an item{gold}), {budget} allowed."
    if need > budget:
        remedy = f"Raise the budget to {need}, or lower redundancy or inputs a pair."
        yield _failed("budget", "Rating budget", text, remedy, "study_edit")
    else:
        yield Check("budget", "Rating budget", CheckState.PASS, text)


def _arrays_damaged(study: Study) -> list[str]:
    neurons = ActivationMatrix.objects.filter(neurons__explanations__study=study).distinct()
    problems = []
    for matrix in (study.concept_prior, study.reference, *neurons):
        if matrix is None:
            continue
        try:
            science.array_load(matrix, verify=True)
        except ArrayProblem as error:
            problems.append(str(error))
    return problems


def text_checks(study: Study, recruitments: list[Recruitment]) -> Iterator[Check]:
    """Check what raters read.

    Parameters
    ----------
    study : Study
        A draft.
    recruitments : list of Recruitment
        The active ones.

    Yields
    ------
    Check
    """
    paid = any(is_paid_channel(recruitment.channel) for recruitment in recruitments)
    for name, title, there, remedy, state in (
        (
            "consent",
            "Consent text",
            study.consent_text.strip(),
            "Write what raters agree to.",
            CheckState.FAIL,
        ),
        (
            "instructions",
            "Instructions",
            study.instructions.strip(),
            "Say what counts as present, with the doubtful cases.",
            CheckState.WARN,
        ),
        (
            "contact",
            "Contact",
            study.contact,
            "Give an address for raters' questions; panels ask for one.",
            CheckState.FAIL if paid else CheckState.WARN,
        ),
    ):
        if there:
            yield Check(name, title, CheckState.PASS, "There is one.")
        else:
            yield Check(name, title, state, "It is empty.", remedy, "study_edit")


def quality_checks(
    study: Study, policy: QualityPolicy, preview: SamplingPreview
) -> Iterator[Check]:
    """Check known answers, training and policy.

    Parameters
    ----------
    study : Study
        A draft.
    policy : QualityPolicy
        Its own.
    preview : SamplingPreview
        What a launch would draw.

    Yields
    ------
    Check
    """
    title, page = "Gold items", "study_quality"
    if policy.gold_per_task == 0:
        text = "None are hidden in the tasks: raters are judged by agreement alone."
        remedy = "Hide one or two gold items in every task."
        yield Check("gold", title, CheckState.WARN, text, remedy, page)
    elif preview.gold_problems:
        named = "; ".join(preview.gold_problems[:NAMED])
        more = len(preview.gold_problems) - NAMED
        text = f"Too few known answers: {named}{f' and {more} more' if more > 0 else ''}."
        remedy = "Add known answers, hide fewer gold items in a task, or raise the cap."
        yield _failed("gold", title, text, remedy, page)
    else:
        text = f"{policy.gold_per_task} in every task."
        yield Check("gold", title, CheckState.PASS, text)
    if preview.gold_told:
        told, more = "; ".join(preview.gold_told[:NAMED]), len(preview.gold_told) - NAMED
        text = (
            f"Raters would be told the answer to items: {told}{f' and {more} more' * (more > 0)}."
        )
        remedy = "Remove these known answers, and add some whose input is not drawn."
        yield _failed("told", "Training and examples", text, remedy, page)
    if policy.training_items:
        shortage = training_shortage(study, policy)
        if shortage is not None:
            yield _failed("training", "Training", shortage.text, shortage.remedy, page)
        else:
            text = f"{policy.training_items} items, {policy.training_pass_mark} right answers pass."
            yield Check("training", "Training", CheckState.PASS, text)
    if preview.policy_problem:
        remedy = "Correct the quality policy."
        yield _failed("policy", "Quality policy", preview.policy_problem, remedy, page)
    else:
        text = "It fits the study and its recruitment."
        yield Check("policy", "Quality policy", CheckState.PASS, text)


def recruitment_checks(
    study: Study, recruitments: list[Recruitment], preview: SamplingPreview
) -> Iterator[Check]:
    """Check that raters can come, and that what they cost lies within the cap.

    Parameters
    ----------
    study : Study
        A draft.
    recruitments : list of Recruitment
        The active ones.
    preview : SamplingPreview
        What a launch would draw.

    Yields
    ------
    Check
    """
    title, page = "Recruitment", "study_recruitment"
    if not recruitments:
        remedy = "Switch on the volunteer link or a panel."
        yield _failed("recruitment", title, "No channel is active.", remedy, page)
        return
    names = ", ".join(str(recruitment.get_channel_display()) for recruitment in recruitments)
    text = f"Active: {names}."
    if preview.n_raters:  # none is counted where no sample can be drawn
        who = "1 rater is" if preview.n_raters == 1 else f"{preview.n_raters} raters are"
        text += f" About {who} needed."
    if any(row.channel == Channel.PROLIFIC and row.places == 0 for row in recruitments):
        remedy = "Set how many places Prolific has."
        yield _failed("recruitment", title, f"{text} Prolific has no places.", remedy, page)
    else:
        yield Check("recruitment", title, CheckState.PASS, text)
    estimates = [cost_estimate(row) for row in recruitments if is_paid_channel(row.channel)]
    total = sum(estimate.total_minor for estimate in estimates)
    if not total:
        return
    title, page = "Cost within the cap", "study_edit"
    money = f"{minor(total, study.currency)} for the places planned, fees included"
    left = estimates[0].left_minor
    if left is None:
        remedy = "Set what the study may cost in all."
        yield _failed("cost", title, f"{money}; there is no cap.", remedy, page)
    elif total > left:
        text = f"{money}; {minor(left, study.currency)} are left of the cap."
        yield _failed("cost", title, text, "Raise the cap, or plan fewer places.", page)
    else:
        yield Check("cost", title, CheckState.PASS, f"{money}; the cap allows it.")
    underpaid = next((estimate for estimate in estimates if estimate.is_underpaid), None)
    if underpaid is not None:
        text = f"{minor(underpaid.hourly_minor, study.currency)} an hour"
        least = minor(underpaid.hourly_minimum or 0, study.currency)
        remedy = "Pay more, or correct the estimate of the minutes."
        text = f"{text} is below the panel's minimum of {least}."
        yield _failed("pay", "Hourly pay", text, remedy, "study_recruitment")


def site_checks(study: Study) -> Iterator[Check]:
    """Check what the site itself must bring.

    Parameters
    ----------
    study : Study
        A draft; one that was launched cannot be launched again.

    Yields
    ------
    Check
    """
    title = "Background worker"
    if worker_is_running():
        text = "It runs: estimates follow the ratings."
        yield Check("worker", title, CheckState.PASS, text)
    else:
        text = "None is running: answers are kept, but estimates and freed leases wait."
        remedy = "Start one with manage.py run_worker; make serve brings one along."
        yield Check("worker", title, CheckState.WARN, text, remedy)
    title = "Simulated raters"
    if settings.NEURONJURY_ALLOW_SIMULATED_RATERS:
        text = "This site takes visitors who say that they are simulated."
        remedy = "Unset NEURONJURY_ALLOW_SIMULATED_RATERS for a study with people."
        yield Check("simulated", title, CheckState.WARN, text, remedy)
    else:
        yield Check("simulated", title, CheckState.PASS, "This site takes none.")
    if study.status != StudyStatus.DRAFT:
        text = f"The study is {study.get_status_display()}."
        yield _failed("state", "State", text, "Clone it to launch it again.")


def _failed(name: str, title: str, text: str, remedy: str, page: str = "") -> Check:
    return Check(name, title, CheckState.FAIL, text, remedy, page)
